"""When training may hold the card: the openings of a window, each so many seconds long. Pure: now is an argument.

An opening's length is time that passes, not what a wall clock shows: 4h from 02:00 are 4 hours on the night when clocks change, too. An
opening that the change skips opens right after it, and one whose hour comes twice opens once, the first time.
"""

from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from functools import lru_cache
from typing import Final
from zoneinfo import ZoneInfo

from croniter import croniter

from regimen.plan.cron import ticks
from regimen.spec.finetune import Window
from regimen.spec.meta import parse_duration

LONGEST_MARGIN, SHORTEST_MARGIN = 120, 15
"""Seconds for keeping a checkpoint: an eighth of an opening, but not more nor less than these."""
LOOK_AHEAD: Final = (1000, timedelta(days=366))
"""Openings, or days, over which the gaps between openings are looked at."""
SOME_YEAR: Final = datetime(2028, 1, 1, tzinfo=UTC)
"""A leap year, so that 29 February has an opening, too."""


@dataclass(frozen=True)
class Opening:
    """One time for which the card may be held, in seconds since the epoch."""

    start: float
    end: float

    @property
    def margin(self) -> int:
        """Seconds that a checkpoint may take.

        >>> Opening(0, 4 * 3600).margin, Opening(0, 180).margin
        (120, 22)
        """
        return int(min(LONGEST_MARGIN, max(SHORTEST_MARGIN, (self.end - self.start) / 8)))

    @property
    def stop_at(self) -> float:
        """When training stops by itself."""
        return self.end - 2 * self.margin

    @property
    def deadline(self) -> float:
        """When Kubernetes tells it to: one that hangs is killed a margin later, at the end."""
        return self.end - self.margin

    def worth_it(self, now: float) -> bool:
        """Whether there is time left to load a model and to train more than nothing."""
        return self.stop_at - now >= 2 * SHORTEST_MARGIN


def check(window: Window) -> None:
    """Refuse what has no openings, or openings that overlap. Raises ValueError naming the field and the remedy."""
    ticks(window.schedule, window.time_zone, 0)
    gap, length = _shortest_gap(window.schedule), parse_duration(window.duration)
    if length > gap:
        raise ValueError(
            f"duration: {window.duration} is longer than the {gap / 60:.0f} minutes between two openings of {window.schedule}; "
            "shorten it, open less often, or remove window"
        )


@lru_cache(maxsize=256)
def _shortest_gap(schedule: str) -> float:
    """Seconds between two openings, at least; clocks that change aside."""
    limit, days = LOOK_AHEAD
    cron = croniter(schedule, SOME_YEAR)
    last, shortest = float(cron.get_next(float)), float("inf")
    for _ in range(limit):
        following = float(cron.get_next(float))
        shortest = min(shortest, following - last)
        last = following
        if last > (SOME_YEAR + days).timestamp():
            break
    return shortest


def opening(window: Window, now: float) -> Opening | None:
    """The opening under way, or None. The window must have passed `check`."""
    start, _ = ticks(window.schedule, window.time_zone, now)
    start = _first_of_twice(window, start)
    end = start + parse_duration(window.duration)
    return Opening(start, end) if now < end else None


def next_opening(window: Window, now: float) -> float:
    """When the next one starts, in seconds since the epoch."""
    _, following = ticks(window.schedule, window.time_zone, now)
    if _first_of_twice(window, following) != following:
        _, following = ticks(window.schedule, window.time_zone, following)
    return following


def _first_of_twice(window: Window, start: float) -> float:
    """The hour before, where clocks went back between and the schedule does not open every hour anyhow."""
    local = datetime.fromtimestamp(start, ZoneInfo(window.time_zone))
    if not local.fold:
        return start
    first = local.replace(fold=0).timestamp()
    return first if _shortest_gap(window.schedule) > start - first else start
