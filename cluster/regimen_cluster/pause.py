"""The sandbox image: one static program that waits. Every pod has it as its first process.

The archive is written by hand in Docker's format: a layer, a configuration, a manifest.
"""

from __future__ import annotations

import hashlib
import io
import json
import tarfile
from pathlib import Path

from regimen_cluster.host import run
from regimen_cluster.layout import PAUSE_IMAGE

SOURCE = """#include <signal.h>
#include <sys/wait.h>
#include <unistd.h>
static void end(int signal) { (void)signal; _exit(0); }
static void reap(int signal) { (void)signal; while (waitpid(-1, 0, WNOHANG) > 0) {} }
int main(void) {
  signal(SIGINT, end);
  signal(SIGTERM, end);
  signal(SIGCHLD, reap);
  for (;;) pause();
}
"""


def build(into: Path) -> None:
    """Compile the program and pack it as `pause.tar`."""
    (into / "pause.c").write_text(SOURCE, encoding="utf-8")
    run(["gcc", "-Os", "-static", "-s", "-o", str(into / "pause"), str(into / "pause.c")])
    write_archive(into / "pause.tar", PAUSE_IMAGE, {"pause": (into / "pause").read_bytes()}, ["/pause"])


def write_archive(path: Path, image: str, files: dict[str, bytes], entrypoint: list[str]) -> None:
    """Write an image of one layer with executable files. The same input gives the same bytes."""
    layer = _tar({name: (content, 0o755) for name, content in files.items()})
    config = {
        "architecture": "amd64",
        "os": "linux",
        "config": {"Entrypoint": entrypoint, "Env": ["PATH=/usr/local/bin:/usr/bin:/bin"]},
        "rootfs": {"type": "layers", "diff_ids": [f"sha256:{hashlib.sha256(layer).hexdigest()}"]},
        "history": [{"created_by": "regimen_cluster"}],
    }
    config_bytes = json.dumps(config).encode()
    config_name = f"{hashlib.sha256(config_bytes).hexdigest()}.json"
    manifest = json.dumps([{"Config": config_name, "RepoTags": [image], "Layers": ["layer.tar"]}]).encode()
    path.write_bytes(_tar({config_name: (config_bytes, 0o644), "layer.tar": (layer, 0o644), "manifest.json": (manifest, 0o644)}))


def _tar(files: dict[str, tuple[bytes, int]]) -> bytes:
    buffer = io.BytesIO()
    with tarfile.open(fileobj=buffer, mode="w") as tar:
        for name, (content, mode) in files.items():
            entry = tarfile.TarInfo(name)
            entry.size, entry.mode = len(content), mode
            tar.addfile(entry, io.BytesIO(content))
    return buffer.getvalue()
