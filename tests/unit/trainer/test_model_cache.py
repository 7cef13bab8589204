"""The cache of a node: fetched once, whole or not at all, by two pods at once, and mended where it is damaged."""

import json
import multiprocessing
import os
import time
from hashlib import sha256
from pathlib import Path
from typing import Any

import pytest
from memory_bucket import MemoryBucket

from hub_server import TAKEN, llama
from regimen.spec.artifacts import content_digest, short
from regimen_trainer.errors import InputError
from regimen_trainer.kept import COMPLETE, cached
from regimen_trainer.stage import fetch_model

URI = "s3://b/w/"
DIGEST = content_digest((name, sha256(llama()[name]).hexdigest()) for name in TAKEN)
SHARD = "model-00001-of-00002.safetensors"


@pytest.fixture
def bucket() -> MemoryBucket:
    return MemoryBucket({f"w/{name}": data for name, data in llama().items()})


def fetch(bucket: MemoryBucket, tmp_path: Path, cache: bool = True) -> Path:
    return fetch_model(bucket.store, URI, tmp_path / "scratch", DIGEST, tmp_path / "cache" if cache else None)


def contents(folder: Path) -> dict[str, bytes]:
    return {path.name: path.read_bytes() for path in folder.iterdir() if path.name != COMPLETE}


WHOLE = {name: llama()[name] for name in TAKEN}


def test_it_is_fetched_once(bucket: MemoryBucket, tmp_path: Path) -> None:
    first = fetch(bucket, tmp_path)
    assert (first, contents(first)) == (tmp_path / "cache/weights" / short(DIGEST), WHOLE)
    count = len(bucket.downloads)
    bucket.objects.clear()
    assert fetch(bucket, tmp_path) == first, "a cache needs no bucket"
    assert len(bucket.downloads) == count
    assert not (tmp_path / "scratch").exists()


def test_the_environment_names_the_cache(bucket: MemoryBucket, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("REGIMEN_CACHE_DIR", str(tmp_path / "disk"))
    assert fetch(bucket, tmp_path, cache=False).parent.parent == tmp_path / "disk"


def test_without_a_cache_or_a_digest_it_goes_to_scratch_space(bucket: MemoryBucket, tmp_path: Path) -> None:
    assert contents(fetch(bucket, tmp_path, cache=False)) == WHOLE
    assert contents(fetch_model(bucket.store, URI, tmp_path / "other", None, tmp_path / "cache")) == WHOLE
    assert not (tmp_path / "cache").exists()


@pytest.mark.parametrize("damage", ["cut", "flipped", "gone"])
def test_damage_is_found_and_only_that_is_fetched_again(bucket: MemoryBucket, tmp_path: Path, damage: str) -> None:
    entry = fetch(bucket, tmp_path)
    data = (entry / SHARD).read_bytes()
    match damage:
        case "cut":
            (entry / SHARD).write_bytes(data[:-1])
        case "flipped":
            (entry / SHARD).write_bytes(data[:-1] + b"!")
        case "gone":
            (entry / SHARD).unlink()
    bucket.downloads.clear()
    assert contents(fetch(bucket, tmp_path)) == WHOLE
    assert bucket.downloads == [URI + SHARD]


def test_a_touched_file_is_read_and_believed(bucket: MemoryBucket, tmp_path: Path) -> None:
    entry = fetch(bucket, tmp_path)
    os.utime(entry / SHARD, (1, 1))
    bucket.downloads.clear()
    fetch(bucket, tmp_path)
    assert bucket.downloads == []


def test_what_a_killed_pod_left_is_used_if_it_is_right(bucket: MemoryBucket, tmp_path: Path) -> None:
    entry = fetch(bucket, tmp_path)
    (entry / COMPLETE).unlink()
    (entry / SHARD).unlink()
    bucket.downloads.clear()
    assert contents(fetch(bucket, tmp_path)) == WHOLE
    assert bucket.downloads == [URI + SHARD]


def test_what_a_killed_pod_left_is_fetched_again_if_it_is_wrong(bucket: MemoryBucket, tmp_path: Path) -> None:
    entry = fetch(bucket, tmp_path)
    (entry / COMPLETE).unlink()
    (entry / SHARD).write_bytes(b"half")
    assert contents(fetch(bucket, tmp_path)) == WHOLE


@pytest.mark.parametrize(
    "marker", ["", "[]", "{}", '{"config.json": 1}', json.dumps({"config.json": {"sha256": "0", "bytes": 1, "changed": 1}})]
)
def test_a_marker_that_says_nothing_is_no_marker(bucket: MemoryBucket, tmp_path: Path, marker: str) -> None:
    entry = fetch(bucket, tmp_path)
    (entry / COMPLETE).write_text(marker)
    assert contents(fetch(bucket, tmp_path)) == WHOLE


def test_files_that_are_not_those_that_were_imported_are_refused(bucket: MemoryBucket, tmp_path: Path) -> None:
    bucket.objects["w/tokenizer.json"] += b" "
    for cache in (True, False):
        with pytest.raises(InputError, match=f"files under s3://b/w/ are not those that were imported.*{short(DIGEST)}"):
            fetch(bucket, tmp_path, cache)


def test_a_cache_that_cannot_be_used_is_done_without(bucket: MemoryBucket, tmp_path: Path) -> None:
    (tmp_path / "cache").write_text("a file")
    assert contents(fetch(bucket, tmp_path)) == WHOLE


def _one_pod(folder: Path, queue: Any) -> None:
    fetched = []

    def slow(name: str, path: Path) -> str:
        fetched.append(name)
        time.sleep(0.05)
        path.write_bytes(WHOLE[name])
        return sha256(WHOLE[name]).hexdigest()

    entry = cached(folder, DIGEST, lambda: TAKEN, slow)
    queue.put((str(entry), len(fetched)))


def test_two_pods_at_once_fetch_once(tmp_path: Path) -> None:
    context = multiprocessing.get_context("fork")
    queue = context.Queue()
    pods = [context.Process(target=_one_pod, args=(tmp_path, queue)) for _ in range(3)]
    for pod in pods:
        pod.start()
    answers = [queue.get(timeout=30) for _ in pods]
    for pod in pods:
        pod.join()
    assert {entry for entry, _ in answers} == {str(tmp_path / "weights" / short(DIGEST))}
    assert sorted(count for _, count in answers) == [0, 0, len(TAKEN)]
