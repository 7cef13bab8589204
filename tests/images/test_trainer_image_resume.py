"""A training that was interrupted, wherever, goes the same way as one that was not."""

from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from signal import SIGTERM
from typing import Any

import pytest

from regimen.spec.artifacts import Progress
from regimen.spec.finetune import Method
from regimen_trainer.training import loop, model
from regimen_trainer.training.folder import Folder
from regimen_trainer.training.job import Place, Sources, begin, save
from regimen_trainer.training.loop import Training
from regimen_trainer.training.memory import AtOnce
from regimen_trainer.training.stop import Stop

pytestmark = pytest.mark.trainer_image
STEPS = 14  # two epochs of 26 rows, four at a time


def method(**settings: Any) -> Method:
    return Method.model_validate(
        {"rank": 4, "epochs": 2, "batchSize": 4, "learningRate": 2e-3, "dropout": 0.1, "maxLength": 128, **settings}
    )


@dataclass
class Told:
    """Notes what is said."""

    said: list[str] = field(default_factory=list)

    def progress(self, progress: Progress, *, force: bool = False) -> None:
        pass

    def say(self, message: str) -> None:
        self.said.append(message)


@dataclass
class World:
    """A base, rows, a folder for checkpoints."""

    sources: Sources
    folder: Path
    told: Told = field(default_factory=Told)
    attempts: int = 0

    def attempt(self, how: Method, interval: float = 1e6, way: AtOnce | None = None) -> Training:
        """The next attempt, at its beginning."""
        self.attempts += 1
        place = Place(Folder(self.folder / "depot"), "checkpoints/", f"attempt-{self.attempts}", interval, 2)
        training, _ = begin(how, self.sources, place, self.told, Stop(), self.folder / f"scratch-{self.attempts}")
        training.way = way or training.way
        return training

    def losses(self, training: Training) -> list[float]:
        return [point.loss for point in training.course.points]


@pytest.fixture
def world(llama: Path, rows: Path, tmp_path: Path) -> World:
    return World(Sources(llama, rows, "rows"), tmp_path)


def stop_after(training: Training, step: int) -> Training:
    """Have it told to stop in the middle of the step after that one, or before the first."""
    real = training.batches

    def batches(*arguments: Any) -> Any:
        if training.step == step:
            training.stop.by = SIGTERM
        return real(*arguments)

    training.batches = batches  # type: ignore[method-assign]
    return training


@pytest.mark.parametrize("kind", ["LoRA", "QLoRA"])
@pytest.mark.parametrize("packing", [True, False])
def test_losses_and_adapter_are_the_same_wherever_it_was_interrupted(world: World, kind: str, packing: bool) -> None:
    """Told to stop within steps 1 (nothing is done), 3, 6 and 8 (an epoch's first), each after its first part."""
    how, parts = method(type=kind, packing=packing), AtOnce(1)
    whole = World(world.sources, world.folder / "whole").attempt(how, way=parts)
    assert whole.run()
    for step in (0, 2, 5, 7):
        interrupted = stop_after(world.attempt(how, way=parts), step)
        assert not interrupted.run()
        assert interrupted.step == interrupted.kept == step
    last = world.attempt(how)
    assert (last.step, last.way) == (7, parts)
    assert last.run()
    assert world.losses(last) == world.losses(whole)
    assert len(world.losses(whole)) == STEPS
    assert adapter(last, world.folder / "one") == adapter(whole, world.folder / "other")


def adapter(training: Training, folder: Path) -> bytes:
    save(training, folder)
    return (folder / "adapter_model.safetensors").read_bytes()


def test_packing_changes_nothing_but_the_speed(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    for module in (model, loop):
        monkeypatch.setattr(module, "multiplies_bfloat16", lambda: False)
    runs = []
    for packing in (True, False):
        training = World(world.sources, world.folder / str(packing)).attempt(method(packing=packing, dropout=0))
        assert training.run()
        runs.append(world.losses(training))
    assert runs[0] == pytest.approx(runs[1], abs=1e-4)
    assert runs[0][0] > runs[0][-1] + 0.1


def test_a_damaged_newest_checkpoint_costs_an_interval_and_no_more(world: World) -> None:
    whole = World(world.sources, world.folder / "whole").attempt(method())
    assert whole.run()
    first = stop_after(world.attempt(method(), interval=0), 6)
    first.pace.checkpoint = 0
    assert not first.run()
    newest = max((world.folder / "depot/checkpoints/attempt-1").iterdir(), key=lambda path: int(path.name))
    (newest / "optimizer.safetensors").write_bytes(b"torn")
    second = world.attempt(method())
    assert 0 < second.step < int(newest.name)
    assert any("is damaged (DigestMismatchError)" in message for message in world.told.said)
    assert second.run()
    assert world.losses(second) == world.losses(whole)


def out_of_memory_above(training: Training, micro_batch: int) -> None:
    """Have the device be full with more at once than that."""
    real: Callable[..., Any] = training.trainer.part

    def part(batch: Any, answers: Any) -> float:
        if training.way.micro_batch > micro_batch:
            raise RuntimeError("CUDA out of memory")
        return float(real(batch, answers))

    training.trainer.part = part


def test_out_of_memory_halves_the_micro_batch_and_not_the_batch(world: World) -> None:
    how = method(dropout=0)
    fewer = World(world.sources, world.folder / "fewer").attempt(how, way=AtOnce(1))
    assert fewer.run()
    training = world.attempt(how)
    assert training.way == AtOnce(4)
    out_of_memory_above(training, 1)
    assert training.run()
    assert training.way == AtOnce(1)
    assert world.losses(training) == world.losses(fewer)
    assert [
        message
        for message in world.told.said
        if message.startswith("out of memory at step 1 with micro-batch 4; going on with micro-batch 2")
    ]


def test_activations_computed_again_change_no_loss(world: World) -> None:
    how = method(dropout=0)
    runs = []
    for again in (False, True):
        training = World(world.sources, world.folder / str(again)).attempt(how)
        if again:
            model.compute_activations_again(training.model)
        assert training.run()
        runs.append(world.losses(training))
    assert runs[0] == pytest.approx(runs[1], abs=1e-6)


def test_three_losses_that_are_not_finite_stop_it_and_change_nothing(world: World) -> None:
    from regimen_trainer.errors import NonFiniteLossError

    training = world.attempt(method())
    before = adapter(training, world.folder / "before")
    real = training.trainer.part
    training.trainer.part = lambda batch, answers: real(batch, answers) * float("nan")
    with pytest.raises(NonFiniteLossError):
        training.run()
    assert adapter(training, world.folder / "after") == before
