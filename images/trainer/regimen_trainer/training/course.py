"""How training goes: losses, tokens and speed of every step, over all attempts; what progress says of it."""

import math
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Protocol

from regimen.spec.artifacts import Progress
from regimen_trainer.errors import NonFiniteLossError

NON_FINITE_LIMIT = 3
RECENT = 20
"""Steps over which speed and time left are said."""


class Report(Protocol):
    """Whoever is told how it goes: the bucket, or a person at a terminal."""

    def progress(self, progress: Progress, *, force: bool = False) -> None: ...

    def say(self, message: str) -> None:
        """A sentence without content of any record."""


@dataclass(frozen=True)
class Point:
    """A step: its number from 1, its loss, the tokens it read, the seconds it took."""

    step: int
    loss: float
    tokens: int
    seconds: float


@dataclass
class Course:
    """The steps so far. `points` has no step whose loss was not finite."""

    report: Report
    total: int
    points: list[Point] = field(default_factory=list)
    checkpoint_step: int | None = None
    non_finite: int = 0

    def is_usable(self, loss: float) -> bool:
        """Whether a step's loss is finite. Raises NonFiniteLossError at the third in a row that is not."""
        self.non_finite = 0 if math.isfinite(loss) else self.non_finite + 1
        if self.non_finite >= NON_FINITE_LIMIT:
            raise NonFiniteLossError(f"method.learningRate: the loss was not finite {NON_FINITE_LIMIT} times running; lower the rate")
        return self.non_finite == 0

    def stepped(self, step: int, loss: float, tokens: int, seconds: float) -> None:
        """Take in a step and say how far it is."""
        if math.isfinite(loss):
            self.points.append(Point(step, loss, tokens, seconds))
        self.tell(step, "training")

    def tell(self, step: int, message: str, force: bool = False) -> None:
        """Write progress."""
        recent = self.points[-RECENT:]
        spent = sum(point.seconds for point in recent)
        self.report.progress(
            Progress(
                step=step,
                total_steps=self.total,
                loss=recent[-1].loss if recent else None,
                tokens_per_second=round(sum(point.tokens for point in recent) / spent, 1) if spent else None,
                eta_seconds=round(spent / len(recent) * (self.total - step), 1) if recent else None,
                checkpoint_step=self.checkpoint_step,
                message=message,
                at=datetime.now(UTC),
            ),
            force=force or step >= self.total,
        )

    def note(self, step: int, message: str) -> None:
        """Say something, and leave the numbers of the newest step beside it."""
        self.report.say(message)
        self.tell(step, message, force=True)

    def figures(self) -> dict[str, float | int | str | None]:
        """Numbers of the record: the mean of the last ten losses, tokens a second over all steps, seconds of training."""
        last = [point.loss for point in self.points[-10:]]
        seconds = sum(point.seconds for point in self.points)
        return {
            "finalLoss": round(sum(last) / len(last), 5) if last else None,
            "tokensPerSecond": round(sum(point.tokens for point in self.points) / max(1e-9, seconds), 1),
            "trainSeconds": round(seconds, 1),
        }
