"""Versions are allocated once and artifacts are whole, on a real S3: two operators race, and uploads are killed at random bytes."""

import os
import random
import signal
import socket
import sys
import threading
import traceback
from collections.abc import Iterator
from dataclasses import dataclass, field
from hashlib import sha256
from pathlib import Path
from urllib.parse import urlsplit
from uuid import uuid4

import pytest
from plan_builders import AT, job_spec, owner
from wire_world import Wire

from regimen.act.arms import ServiceArms
from regimen.act.http import Peers
from regimen.act.observe import Observer
from regimen.plan.finetune_facts import version_name
from regimen.spec.artifacts import Claim, Lineage, StageRecord, VersionManifest, claim_key, manifest_key, stage_record_key, version_prefix
from regimen.store import AlreadyExistsError, NotFoundError, Store, StoreError

pytestmark = pytest.mark.wire
VERSIONS, UPLOADS = 1000, 300


def test_two_operators_racing_for_a_thousand_versions_allocate_each_once(wire: Wire, bucket: dict[str, str]) -> None:
    """Jobs for the Next version. Each operator goes through all of them as if it were alone, one from each end."""
    jobs = [owner("FineTuneJob", f"job-{number}", namespace=wire.namespace, uid=f"uid-{number}") for number in range(VERSIONS)]
    spec, lost = job_spec(version="Next"), [0, 0]
    failures: list[str] = []

    def operate(index: int) -> None:
        store = Store.from_env(bucket)
        observer = Observer(
            wire.cluster, store, wire.settings, ServiceArms(wire.cluster, store, wire.settings, Peers("http://127.0.0.1:1"))
        )
        for job in jobs if index == 0 else reversed(jobs):
            while True:
                version, claim = observer.claimed(job, spec, "openins")
                if claim is not None:
                    break
                wanted = Claim(job=job.path, uid=job.uid, dataset_revision="sha256:x")
                try:
                    store.put_once(claim_key(wire.namespace, "openins", version), wanted.model_dump_json(by_alias=True).encode())
                except AlreadyExistsError:
                    lost[index] += 1

    def guarded(index: int) -> None:
        try:
            operate(index)
        except BaseException:  # noqa: BLE001 - shown below
            failures.append(traceback.format_exc())

    threads = [threading.Thread(target=guarded, args=(index,)) for index in range(2)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert failures == []
    keys = wire.store.keys(f"models/{wire.namespace}/openins/")
    claims = [Claim.model_validate_json(wire.store.get(key)) for key in keys]
    sys.stdout.write(f"\n{len(keys)} versions for {VERSIONS} jobs by two operators; races lost: {lost}")
    assert sorted(keys) == sorted(claim_key(wire.namespace, "openins", f"v1.{minor}") for minor in range(VERSIONS))
    assert len({claim.uid for claim in claims}) == VERSIONS, "a job holds two versions"
    assert sum(lost) > 0, "they met"


@dataclass
class Cutter:
    """Passes bytes on to the object store until `left` of them have gone to it; then it kills a process, in the middle of whatever it sends."""

    target: tuple[str, int]
    left: int = 0
    victim: int = 0
    server: socket.socket = field(default_factory=lambda: socket.create_server(("127.0.0.1", 0)))
    lock: threading.Lock = field(default_factory=threading.Lock)

    @property
    def port(self) -> int:
        return int(self.server.getsockname()[1])

    def serve(self) -> None:
        while True:
            try:
                client, _ = self.server.accept()
            except OSError:
                return  # closed
            store = socket.create_connection(self.target)
            threading.Thread(target=self._pump, args=(client, store, True), daemon=True).start()
            threading.Thread(target=self._pump, args=(store, client, False), daemon=True).start()

    def _pump(self, source: socket.socket, sink: socket.socket, counted: bool) -> None:
        try:
            while data := source.recv(65536):
                sink.sendall(self._allowed(data) if counted else data)
        except OSError:
            pass  # the other side is gone: so is this connection
        finally:
            for end in (source, sink):
                end.close()

    def _allowed(self, data: bytes) -> bytes:
        with self.lock:
            rest, self.left = data[: max(0, self.left)], self.left - len(data)
            if self.left <= 0 and self.victim:
                os.kill(self.victim, signal.SIGKILL)
                self.victim = 0
            return rest if self.left < 0 else data


@pytest.fixture
def cutter(bucket: dict[str, str]) -> Iterator[Cutter]:
    address = urlsplit(bucket["REGIMEN_S3_ENDPOINT"])
    found = Cutter((str(address.hostname), int(address.port or 0)))
    thread = threading.Thread(target=found.serve, daemon=True)
    thread.start()
    yield found
    found.server.close()


def publish(store: Store, namespace: str, folder: Path) -> None:
    """What a stage and the operator do, in their order: files, the stage's record, the version's manifest last."""
    prefix = f"{version_prefix(namespace, 'openins', 'v1.0')}adapter/"
    files = [store.upload(path, prefix + path.name, path.name) for path in sorted(folder.iterdir())]
    record = StageRecord(stage="adapter", job="claims/x", uid="u", files=files, finished_at=AT)
    store.put_once(stage_record_key(namespace, "openins", "v1.0", "u", "adapter"), record.model_dump_json(by_alias=True).encode())
    name = version_name("openins", "v1.0")
    manifest = VersionManifest(name=name, model="openins", version="v1.0", lineage=Lineage(), adapter=files, published_at=AT)
    store.put_once(manifest_key(namespace, "openins", "v1.0"), manifest.model_dump_json(by_alias=True).encode())


def in_a_process(bucket: dict[str, str], namespace: str, folder: Path) -> int:
    """Fork, publish there, end without a word. Returns the process."""
    child = os.fork()
    if child == 0:
        try:
            publish(Store.from_env(bucket), namespace, folder)
        except StoreError:
            os._exit(1)
        finally:
            os._exit(0)
    return child


def is_whole(store: Store, namespace: str) -> str:
    """none, record or version: what exists, after its files were compared with their digests."""
    found = "none"
    for kind, key, model in (
        ("record", stage_record_key(namespace, "openins", "v1.0", "u", "adapter"), StageRecord),
        ("version", manifest_key(namespace, "openins", "v1.0"), VersionManifest),
    ):
        try:
            document = model.model_validate_json(store.get(key))
        except NotFoundError:
            continue
        found = kind
        for file in document.files if isinstance(document, StageRecord) else document.adapter:
            data = store.get_uri(file.uri)
            assert (sha256(data).hexdigest(), len(data)) == (file.sha256, file.bytes), f"{file.path} is torn"
    return found


def test_uploads_killed_at_a_random_byte_leave_no_torn_version(bucket: dict[str, str], cutter: Cutter, tmp_path: Path) -> None:
    """SIGKILL in the middle of a file, of a part of a large one, of a record, of the manifest; then the same again, to its end."""
    store, dice = Store.from_env(bucket), random.Random(5)
    through = {**bucket, "REGIMEN_S3_ENDPOINT": f"http://127.0.0.1:{cutter.port}"}
    seen = dict.fromkeys(("none", "record", "version"), 0)
    for number in range(UPLOADS):
        folder, namespace = tmp_path / str(number), f"kill-{uuid4().hex[:8]}"
        folder.mkdir()
        # Every tenth has a file that goes up in parts.
        sizes = {
            "adapter_model.safetensors": 9_000_000 if number % 10 == 0 else dice.randrange(20_000, 400_000),
            "adapter_config.json": 700,
        }
        for name, size in sizes.items():
            (folder / name).write_bytes(dice.randbytes(size))
        cutter.left, cutter.victim = dice.randrange(1, sum(sizes.values()) + 6000), 0
        child = in_a_process(through, namespace, folder)
        with cutter.lock:
            if cutter.left <= 0:
                os.kill(child, signal.SIGKILL)
            else:
                cutter.victim = child
        os.waitpid(child, 0)
        cutter.victim = 0
        seen[is_whole(store, namespace)] += 1
        publish(store, namespace, folder)
        assert is_whole(store, namespace) == "version", "the next attempt publishes it"
        for key in store.keys(f"models/{namespace}/"):
            store._s3.delete_object(Bucket=store.bucket, Key=key)
    sys.stdout.write(
        f"\n{UPLOADS} uploads killed: {seen['none']} left nothing that counts, {seen['record']} a record, {seen['version']} a version"
    )
    assert seen["none"] > UPLOADS / 2
    assert all(seen.values()), "kills hit files, the manifest and what comes after"
