"""A GGUF from a real bucket onto a real disk that is too full for it."""

import json
import os
import subprocess
import sys
from collections.abc import Iterator
from hashlib import sha256
from pathlib import Path

import pytest
from wire_world import Wire

pytestmark = pytest.mark.wire
MIB = 1 << 20
CONTENT = bytes(range(256)) * (40 * MIB // 256)
DIGEST = sha256(CONTENT).hexdigest()
SERVES, BEFORE, LONG_AGO = ("a" * 64, "b" * 64, "c" * 64)


@pytest.fixture
def disk(tmp_path: Path) -> Iterator[Path]:
    """With three GGUFs of 50 MiB and 98 MiB left, where one of 40 asks for 104 with the headroom."""
    folder = tmp_path / "cache"
    folder.mkdir()
    subprocess.run(["mount", "-t", "tmpfs", "-o", "size=248m", "tmpfs", str(folder)], check=True)
    try:
        (folder / "sha256").mkdir()
        for name in (SERVES, BEFORE, LONG_AGO):
            (folder / "sha256" / f"{name}.gguf").write_bytes(bytes(50 * MIB))
        yield folder
    finally:
        subprocess.run(["umount", str(folder)], check=True)


def fetched(wire: Wire, disk: Path, needed: list[str] | None) -> tuple[int, str, set[str]]:
    """Exit status and what was said of the process that pods start, and what lies on the disk then."""
    wire.store.put(f"{wire.namespace}/new.gguf", CONTENT)
    environ = {
        **os.environ, **wire.settings.bucket_env, "GGUF_URI": wire.store.uri(f"{wire.namespace}/new.gguf"), "GGUF_SHA256": DIGEST,
        "CACHE_DIR": str(disk), **({"NEEDED": json.dumps(needed)} if needed is not None else {}),
    }  # fmt: skip
    done = subprocess.run(
        [sys.executable, "-m", "regimen_server.main", "fetch"], env=environ, capture_output=True, text=True, timeout=120, check=False
    )
    return done.returncode, done.stdout + done.stderr, {file.stem for file in (disk / "sha256").glob("*.gguf")}


def test_a_disk_that_is_full_takes_the_file_in_the_place_of_one_that_nobody_needs(wire: Wire, disk: Path) -> None:
    status, said, there = fetched(wire, disk, [SERVES, BEFORE])
    assert (status, there) == (0, {SERVES, BEFORE, DIGEST}), said
    assert "removed to make room" in said


def test_where_all_are_needed_the_disk_is_named_and_nothing_goes(wire: Wire, disk: Path) -> None:
    for needed in ([SERVES, BEFORE, LONG_AGO], None):
        status, said, there = fetched(wire, disk, needed)
        assert (status, there) == (1, {SERVES, BEFORE, LONG_AGO}), said
        assert "the cache has 0.1 GiB free and the GGUF needs 0.0 GiB" in said
