"""Training without a cluster: a base model's folder and a JSONL file in, an adapter out, by the same code as in a pod.

The output folder holds the checkpoints while training lasts; the same command again goes on from the newest. What was trained is
written beside the adapter, so that a finished training is not done twice and another one is not written over it.
"""

import json
import os
import shutil
import signal
import time
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING

import click
from rich.progress import BarColumn, TaskID, TextColumn, TimeRemainingColumn
from rich.progress import Progress as Bar

from regimen.spec.artifacts import Progress
from regimen.spec.finetune import Method
from regimen_trainer.errors import InputError, InterruptedByClusterError, TrainerError
from regimen_trainer.training.folder import Folder
from regimen_trainer.training.stop import Stop
from regimen_trainer.weights import check_layout

if TYPE_CHECKING:
    from regimen_trainer.training.loop import Training
    from regimen_trainer.training.rows import Lengths

CHECKPOINTS, RECORD = "checkpoints/", "training.json"
LINE_SECONDS = 10.0
"""Between two lines where nobody sees a bar."""


class StoppedAtDesk(TrainerError):
    """Ctrl-C or SIGTERM. The exit code is a shell's, so that what was to follow does not."""

    def __init__(self, sentence: str, by: signal.Signals) -> None:
        super().__init__(sentence)
        self.exit_code = 128 + by


@dataclass(frozen=True)
class Request:
    """What the command line asks for."""

    base: Path
    dataset: Path
    folder: Path
    method: Method
    interval: float
    """Seconds between two checkpoints."""
    keep: int = 2


class Terminal:
    """Says on standard error how training goes: a bar on a terminal, a line now and then elsewhere."""

    def __init__(self) -> None:
        columns = (
            TextColumn("{task.description}"),
            BarColumn(),
            TextColumn("{task.completed:.0f}/{task.total:.0f}  {task.fields[numbers]}"),
        )
        self._bar = Bar(*columns, TimeRemainingColumn(), console=None, transient=True)
        self._task: TaskID | None = None
        self._said = 0.0

    def say(self, message: str) -> None:
        """A sentence on a line of its own."""
        if self._bar.live.is_started:
            self._bar.console.print(message, highlight=False)
        else:
            click.echo(message, err=True)

    def progress(self, progress: Progress, *, force: bool = False) -> None:
        """Move the bar, or write a line where the last one is old."""
        loss = f"loss {progress.loss:.4f}" if progress.loss is not None else ""
        numbers = f"{loss}  {progress.tokens_per_second or 0:,.0f} tokens/s"
        if self._bar.console.is_terminal:
            self._move(progress, numbers)
        elif force or time.monotonic() - self._said > LINE_SECONDS:
            self._said = time.monotonic()
            left = f", {progress.eta_seconds / 60:.1f} minutes left" if progress.eta_seconds else ""
            click.echo(f"step {progress.step} of {progress.total_steps}: {numbers}{left}", err=True)

    def _move(self, progress: Progress, numbers: str) -> None:
        if self._task is None:
            self._task = self._bar.add_task("training", total=progress.total_steps, numbers=numbers)
            self._bar.start()
        self._bar.update(self._task, completed=progress.step, numbers=numbers)
        if progress.step >= progress.total_steps:
            self._bar.stop()

    def close(self) -> None:
        """Leave the terminal as it was."""
        if self._task is not None:
            self._bar.stop()


def finetune(request: Request) -> Path:
    """Train, or go on, or find it done; returns the folder with the adapter. Raises TrainerError."""
    check(request)
    terminal, stop = Terminal(), Stop()
    try:
        with stop.listening(signal.SIGTERM, signal.SIGINT):
            return _trained(request, terminal, stop)
    except InterruptedByClusterError as error:
        raise StoppedAtDesk("stopped before training began", stop.by or signal.SIGTERM) from error
    finally:
        terminal.close()


def check(request: Request) -> None:
    """Raise InputError, naming the option, for a base that cannot be trained from."""
    check_layout([path.name for path in request.base.iterdir()], str(request.base), "--base_model")


def _trained(request: Request, terminal: Terminal, stop: Stop) -> Path:
    terminal.say("loading libraries")
    from regimen_trainer.run import confine
    from regimen_trainer.train import set_threads

    request.folder.mkdir(parents=True, exist_ok=True)
    scratch = request.folder / ".scratch"
    confine(scratch)
    set_threads()
    from regimen_trainer.training import job

    attempt = f"{datetime.now(UTC):%Y%m%dT%H%M%S}-{os.getpid()}"
    place = job.Place(Folder(request.folder), CHECKPOINTS, attempt, request.interval, request.keep)
    sources = job.Sources(request.base, request.dataset, "--dataset")
    try:
        training, lengths = job.begin(request.method, sources, place, terminal, stop, scratch)
        with stop.deferred():
            if is_done(request.folder, training.checkpoints.recipe):
                terminal.say(f"done already: {request.folder}")
            elif training.checkpoints.has_others():
                where = request.folder / CHECKPOINTS
                raise InputError(f"--output_dir: {where} is of another model, data or options; give another folder, or remove it")
            elif training.run():
                _publish(training, lengths, request.folder, scratch)
            else:
                kept = (
                    f"checkpoint kept at step {training.kept}; the same command again goes on from there"
                    if training.kept
                    else "nothing was trained yet"
                )
                raise StoppedAtDesk(kept, stop.by or signal.SIGTERM)
    finally:
        shutil.rmtree(scratch, ignore_errors=True)
    return request.folder


def is_done(folder: Path, recipe: str) -> bool:
    """Whether the folder has this training's adapter. Raises InputError where it has another's."""
    try:
        found = json.loads((folder / RECORD).read_text())["recipe"]
    except (FileNotFoundError, ValueError, KeyError):
        return False
    if found != recipe:
        raise InputError(f"--output_dir: {folder} holds an adapter of another model, data or options; give another folder")
    return True


def _publish(training: "Training", lengths: "Lengths", folder: Path, scratch: Path) -> None:
    """Move the finished files into the folder, the record last, and remove the checkpoints."""
    from regimen_trainer.training import job

    names = job.save(training, scratch / "adapter")
    for name in names:
        (scratch / "adapter" / name).replace(folder / name)
    record = {
        "recipe": training.checkpoints.recipe,
        "method": training.method.model_dump(by_alias=True),
        "figures": job.figures(training, lengths),
    }
    partial = scratch / RECORD
    partial.write_text(json.dumps(record, indent=2))
    partial.replace(folder / RECORD)
    training.checkpoints.remove()
