"""When to keep a checkpoint and when to end, from what steps and checkpoints have taken so far. Pure: time is an argument.

Times are seconds since the epoch: the end of a window is a time of day.
"""

from collections import deque
from dataclasses import dataclass, field

UNMEASURED = 20.0
"""What a checkpoint is taken to last before one has been kept."""
RECENT = 8
MARGIN = 1.5
"""How much longer than the longest one so far the next may take."""


@dataclass
class Pace:
    """What is known about time."""

    interval: float
    """Longest training time between two checkpoints."""
    stop_at: float | None
    """When the card must be given back."""
    kept_at: float
    """When the newest checkpoint's state was taken, or training began."""
    checkpoint: float = UNMEASURED
    """Seconds that a checkpoint takes."""
    _steps: deque[float] = field(default_factory=lambda: deque(maxlen=RECENT), init=False)

    @property
    def step(self) -> float:
        """Seconds that the longest of the last steps took: what the next may take. An early one that warmed up is forgotten."""
        return max(self._steps, default=0.0)

    def stepped(self, seconds: float) -> None:
        self._steps.append(seconds)

    def kept(self, began: float, ended: float) -> None:
        """A checkpoint of the state at `began` is safe since `ended`."""
        self.checkpoint = ended - began
        self.kept_at = began

    def failed(self, now: float) -> None:
        """A checkpoint could not be kept: try again after a quarter of the interval."""
        self.kept_at = now - 0.75 * self.interval

    def must_end(self, now: float) -> bool:
        """Whether there is time for no more than a checkpoint."""
        return self.stop_at is not None and now + MARGIN * self.checkpoint >= self.stop_at

    def must_end_before_step(self, now: float) -> bool:
        """Whether another step, and a checkpoint after it, would be too late."""
        return self.must_end(now + self.step)

    def is_due(self, now: float) -> bool:
        """Whether to keep a checkpoint before the next step: after that step it would be older than the interval.

        Where checkpoints take long, at least four times as long is trained between two.
        """
        elapsed = now - self.kept_at
        return elapsed + self.step + self.checkpoint >= self.interval and elapsed >= min(4 * self.checkpoint, self.interval)
