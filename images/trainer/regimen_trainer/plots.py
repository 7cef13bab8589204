"""Geometry of the report's plots, in percent of the drawing. Knows numbers and nothing of what they count; the template draws.

Percentages instead of pixels: the page then stretches a plot to a phone or a sheet of paper while its texts keep their size.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import pairwise
from math import floor, log10

LEAST_SEEN = 1.5
"""Percent of the height that a single row has at least: the few longest rows are what one looks for."""
FARTHEST = 1.6
"""A limit beyond this multiple of the longest row is named at the edge: drawn to scale it would press the histogram into a corner."""


@dataclass(frozen=True)
class Part:
    """A piece of a stacked bar. `x` and `width` are percentages of the bar's length."""

    name: str
    value: int
    x: float
    width: float


def stacked(values: Mapping[str, int], whole: int) -> list[Part]:
    """The values one after another along a bar that is `whole` long; zeros are left out.

    >>> [(part.name, part.x, part.width) for part in stacked({"used": 3, "rejected": 0, "left": 1}, 4)]
    [('used', 0.0, 75.0), ('left', 75.0, 25.0)]
    """
    parts: list[Part] = []
    x = 0.0
    for name, value in values.items():
        width = 100 * value / max(1, whole)
        if value:
            parts.append(Part(name, value, x, width))
        x += width
    return parts


@dataclass(frozen=True)
class Tick:
    """A place on an axis: percent from the axis's beginning, and the number that stands there."""

    at: float
    value: int


@dataclass(frozen=True)
class Column:
    """A column of a histogram, all in percent; `over` is true for the rows beyond the limit."""

    x: float
    width: float
    height: float
    over: bool
    low: int
    high: int
    rows: int


@dataclass(frozen=True)
class Histogram:
    """Columns with their axes. `limit` is the limit's place on the x axis, or None where it lies too far right to be drawn."""

    columns: list[Column]
    xs: list[Tick]
    ys: list[Tick]
    limit: float | None


def histogram(bins: Sequence[tuple[int, int, int]], limit: int) -> Histogram:
    """Columns for (low, high, rows), low included and high not, on an axis from 0. A bin that the limit cuts is drawn in two parts.

    Heights are rows per unit of length, so that bins of unequal width can be compared.
    """
    longest = max((high for _, high, _ in bins), default=1)
    end = max(longest, round(limit * 1.04)) if limit <= FARTHEST * longest else longest
    widest = max((high - low for low, high, _ in bins), default=1)
    densities = [rows * widest / max(1, high - low) for low, high, rows in bins]
    steps = ticks(max(densities, default=1))
    top = max(steps[-1], max(densities, default=1), 1)
    columns = [
        Column(100 * left / end, 100 * (right - left) / end, max(LEAST_SEEN, 100 * density / top), left >= limit, low, high, rows)
        for (low, high, rows), density in zip(bins, densities, strict=True)
        if rows
        for left, right in pairwise(sorted({low, high, min(max(limit, low), high)}))
    ]
    drawn = 100 * limit / end if limit <= end else None
    return Histogram(columns, [Tick(100 * value / end, value) for value in ticks(end)], [Tick(100 * v / top, v) for v in steps], drawn)


def ticks(end: float) -> list[int]:
    """Four to six round numbers from 0 to at most `end`; fewer for small ends.

    >>> ticks(2048), ticks(93), ticks(3)
    ([0, 500, 1000, 1500, 2000], [0, 20, 40, 60, 80], [0, 1, 2, 3])
    """
    rough = max(1.0, end / 5)
    power = 10 ** floor(log10(rough))
    step = max(1, floor(next(power * factor for factor in (1, 2, 2.5, 5, 10) if power * factor >= rough * 0.99)))
    return list(range(0, floor(end) + 1, step))
