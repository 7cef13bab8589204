"""Imports into a real bucket, from the double of a hub and from a volume's folder, and the cache that trainers read them from."""

from collections.abc import Iterator
from hashlib import sha256
from pathlib import Path
from typing import Any

import pytest
from wire_world import Wire

from hub_server import COMMIT, TAKEN, HubServer, Repo, hub_server, llama, write_folder
from regimen.spec.artifacts import StageRecord, content_digest, stage_record_key
from regimen.spec.tasks import ImportTask
from regimen_trainer import importing, origins
from regimen_trainer.stage import fetch_model

pytestmark = pytest.mark.wire
DIGEST = content_digest((name, sha256(llama()[name]).hexdigest()) for name in TAKEN)


@pytest.fixture
def hub() -> Iterator[HubServer]:
    with hub_server(base=Repo(llama())) as running:
        yield running


def imported(wire: Wire, scratch: Path, **weights: Any) -> StageRecord:
    common = {"namespace": wire.namespace, "name": "base", "uid": "u", "model": "m", "version": "baseline", "gguf": []}
    importing.run(ImportTask.model_validate({**common, "weights": weights}), wire.store, scratch)
    return StageRecord.model_validate_json(wire.store.get(stage_record_key(wire.namespace, "m", "baseline", "u", "weights")))


def test_from_a_hub_to_a_trainer_s_disk(wire: Wire, hub: HubServer, tmp_path: Path) -> None:
    record = imported(wire, tmp_path, huggingFace={"repo": "owner/base", "revision": COMMIT, "endpoint": hub.endpoint})
    assert record.figures["weightsDigest"] == DIGEST
    assert record.shape is not None
    prefix = record.files[0].uri.removesuffix(record.files[0].path)
    folder = fetch_model(wire.store, prefix, tmp_path / "scratch", DIGEST, tmp_path / "cache")
    assert {name: (folder / name).read_bytes() for name in TAKEN} == {name: llama()[name] for name in TAKEN}


def test_hub_bucket_and_volume_give_the_same_digest(wire: Wire, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(origins, "CLAIM", write_folder(llama(), tmp_path / "claim"))
    record = imported(wire, tmp_path / "scratch", persistentVolumeClaim={"claimName": "models", "path": "."})
    assert record.figures["weightsDigest"] == DIGEST


def test_ranges_of_objects_are_read(wire: Wire) -> None:
    wire.store.put("some", b"0123456789")
    uri = wire.store.uri("some")
    assert (wire.store.get_range(uri, 0, 3), wire.store.get_range(uri, 8, 5)) == (b"012", b"89")
