"""A real S3 on the loopback: versitygw, for tests that need a bucket."""

import os
import socket
import subprocess
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from regimen.store import Store, StoreUnavailableError


@contextmanager
def bucket_server(program: Path, folder: Path) -> Iterator[dict[str, str]]:
    """The environment that reaches it, while the block runs; its bucket is there and conditional writes are proven."""
    for part in ("objects", "meta"):
        (folder / part).mkdir()
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    environment = {
        "REGIMEN_S3_ENDPOINT": f"http://127.0.0.1:{port}", "REGIMEN_S3_BUCKET": "regimen",
        "AWS_ACCESS_KEY_ID": "test", "AWS_SECRET_ACCESS_KEY": "test-secret", "AWS_REGION": "us-east-1",
    }  # fmt: skip
    argv = [program, "--port", f"127.0.0.1:{port}", "--quiet", "posix", "--sidecar", folder / "meta", folder / "objects"]
    secrets = {"ROOT_ACCESS_KEY": "test", "ROOT_SECRET_KEY": "test-secret"}
    with subprocess.Popen(argv, env={**os.environ, **secrets}, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL) as gateway:
        try:
            _wait_for(Store.from_env(environment))
            yield environment
        finally:
            gateway.terminate()


def _wait_for(store: Store) -> None:
    for _ in range(100):
        try:
            store.ensure_bucket()
        except StoreUnavailableError:
            time.sleep(0.1)
        else:
            store.verify_conditional_writes()
            return
    raise AssertionError("versitygw does not answer")
