"""Geometry of the report's plots, in percent of the drawing. Knows numbers and nothing of what they count; the template draws."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from math import ceil
from typing import Protocol

LEAST = 0.4
"""Percent of the width that a whisker has at least, to be seen."""
STEPS = (0.02, 0.05, 0.1, 0.2, 0.5, 1.0)
"""How far a difference's axis may reach to each side."""


class Bounded(Protocol):
    """A value that may have bounds."""

    @property
    def value(self) -> float | None: ...
    @property
    def lower(self) -> float | None: ...
    @property
    def upper(self) -> float | None: ...


class Differing(Protocol):
    """What has a difference, and the smallest one that can be seen."""

    @property
    def difference(self) -> Bounded: ...
    @property
    def detectable(self) -> float | None: ...


@dataclass(frozen=True)
class Whisker:
    """A dot at `at` and a line from `x` of `width`, all in percent; no line where there are no bounds."""

    at: float
    x: float | None = None
    width: float | None = None


def whisker(measured: Bounded, low: float = 0.0, high: float = 1.0) -> Whisker | None:
    """A value with its bounds on an axis from low to high; what lies outside is drawn at the edge. None without a value."""
    if measured.value is None:
        return None
    at = _place(measured.value, low, high)
    if measured.lower is None or measured.upper is None:
        return Whisker(at)
    left, right = _place(measured.lower, low, high), _place(measured.upper, low, high)
    return Whisker(at, left, max(LEAST, right - left))


def _place(value: float, low: float, high: float) -> float:
    return 100 * min(1.0, max(0.0, (value - low) / (high - low)))


@dataclass(frozen=True)
class Axis:
    """An axis with zero in the middle: how far it reaches, and places in percent with what they stand for."""

    reach: float
    ticks: list[tuple[float, float]]


def difference_axis(pairings: Sequence[Differing]) -> Axis:
    """An axis on which all differences, with bounds and what could be seen, have room."""
    ends = [
        abs(value)
        for pairing in pairings
        for value in (pairing.difference.value, pairing.difference.lower, pairing.difference.upper, pairing.detectable)
        if value is not None
    ]
    reach = next((step for step in STEPS if step >= max(ends, default=0.0)), STEPS[-1])
    return Axis(reach, [(25.0 * place, reach * (place - 2) / 2) for place in range(5)])


def spread_of(counts: Mapping[str, int]) -> dict[str, float]:
    """Counts as percent of the largest one, rounded up so that a single row is seen.

    >>> spread_of({"a": 200, "b": 1, "c": 0})
    {'a': 100.0, 'b': 1.0, 'c': 0.0}
    """
    most = max(counts.values(), default=0) or 1
    return {name: float(ceil(100 * count / most)) for name, count in counts.items()}
