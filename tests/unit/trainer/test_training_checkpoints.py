"""Checkpoints: complete or absent, the newest whole one of the same recipe is used, few are kept. In a folder, as at a desk."""

from pathlib import Path

import pytest

from regimen.spec.artifacts import CheckpointManifest
from regimen.store import AlreadyExistsError, DigestMismatchError, NotFoundError
from regimen_trainer.training.checkpoints import Checkpoints
from regimen_trainer.training.folder import Folder
from regimen_trainer.training.memory import AtOnce

PREFIX = "checkpoints/"


class World:
    """A depot, and attempts of a training that keep checkpoints in it."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.root = folder / "depot"
        self.depot = Folder(self.root)
        self.said: list[str] = []

    def attempt(self, name: str, recipe: str = "r", keep: int = 2) -> Checkpoints:
        return Checkpoints(self.depot, PREFIX, name, keep, recipe, self.said.append)

    def put(self, attempt: Checkpoints, step: int, way: AtOnce | None = None) -> None:
        files = self.folder / f"files-{attempt.attempt}-{step}"
        files.mkdir()
        for name in ("adapter_model.safetensors", "state.json"):
            (files / name).write_text(f"{name} of {attempt.attempt} {step}")
        attempt.put(files, step, 100, way or AtOnce(4))

    def newest(self, attempt: Checkpoints) -> CheckpointManifest | None:
        return attempt.newest(self.folder / "resumed")

    def places(self) -> set[str]:
        return {key.removeprefix(PREFIX).rpartition("/")[0] for key in self.depot.keys(PREFIX)}


@pytest.fixture
def world(tmp_path: Path) -> World:
    return World(tmp_path)


def test_nothing_is_found_where_nothing_was_kept(world: World) -> None:
    assert world.newest(world.attempt("a")) is None


def test_the_newest_of_all_attempts_is_used(world: World) -> None:
    first, second = world.attempt("a"), world.attempt("b")
    world.put(first, 20)
    world.put(second, 30, AtOnce(2, True))
    found = world.newest(world.attempt("c"))
    assert found is not None
    assert (found.step, found.attempt, found.micro_batch, found.activation_checkpointing) == (30, "b", 2, True)
    assert (world.folder / "resumed/state.json").read_text() == "state.json of b 30"


def test_few_are_kept_over_all_attempts(world: World) -> None:
    for name, step in (("a", 10), ("a", 20), ("b", 30), ("b", 40)):
        world.put(world.attempt(name), step)
    assert world.places() == {"b/30", "b/40"}


def test_one_without_manifest_is_none(world: World) -> None:
    world.put(world.attempt("a"), 10)
    world.depot.upload(world.root / f"{PREFIX}a/10/state.json", f"{PREFIX}b/20/state.json", "state.json")
    found = world.newest(world.attempt("c"))
    assert found is not None
    assert found.step == 10


@pytest.mark.parametrize("damage", ["other bytes", "file gone", "torn manifest"])
def test_a_damaged_one_is_passed_over_and_said(world: World, damage: str) -> None:
    attempt = world.attempt("a")
    world.put(attempt, 10)
    world.put(attempt, 20)
    place = world.root / PREFIX / "a/20"
    match damage:
        case "other bytes":
            (place / "state.json").write_text("torn")
        case "file gone":
            (place / "state.json").unlink()
        case _:
            (place / "checkpoint.json").write_text('{"step": 2')
    later = world.attempt("b")
    found = world.newest(later)
    assert found is not None
    assert found.step == 10
    assert world.said[0].startswith("checkpoint a/20 is damaged")
    world.put(later, 15)
    assert world.places() == {"a/10", "b/15"}


def test_one_of_another_recipe_is_not_used(world: World) -> None:
    world.put(world.attempt("a", recipe="other"), 50)
    mine = world.attempt("b")
    assert world.newest(mine) is None
    assert mine.has_others()
    world.put(mine, 10)
    assert world.places() == {"b/10"}


def test_what_never_became_one_is_swept_once_it_lies_behind(world: World) -> None:
    ahead, behind = f"{PREFIX}b/30/state.json", f"{PREFIX}b/5/state.json"
    source = world.folder / "half"
    source.write_text("half")
    for key in (ahead, behind):
        world.depot.upload(source, key, "state.json")
    world.put(world.attempt("a"), 10)
    assert world.places() == {"a/10", "b/30"}


def test_all_are_removed_at_the_end(world: World) -> None:
    attempt = world.attempt("a")
    world.put(attempt, 10)
    attempt.remove()
    assert list(world.root.iterdir()) == []


def test_a_folder_keeps_the_buckets_promises(world: World) -> None:
    source = world.folder / "source"
    source.write_bytes(b"weights")
    sent = world.depot.upload(source, "a/b.bin", "b.bin")
    assert world.depot.download(sent.uri, world.folder / "down", f"sha256:{sent.sha256}") == sent.sha256
    with pytest.raises(DigestMismatchError):
        world.depot.download(sent.uri, world.folder / "other", "0" * 64)
    assert not (world.folder / "other").exists()
    world.depot.put_once("once", b"1")
    with pytest.raises(AlreadyExistsError):
        world.depot.put_once("once", b"2")
    with pytest.raises(NotFoundError):
        world.depot.get("gone")
    assert world.depot.keys("") == ["a/b.bin", "once"]
