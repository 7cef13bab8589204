"""Geometry of a rollout's plots. Knows numbers and the drawing's size; the template draws."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime
from math import floor, log10

from regimen.plan.progress import span

WIDTH, HEIGHT = 720.0, 240.0
LEFT, RIGHT, TOP, BOTTOM = 52.0, 30.0, 12.0, 30.0

Pair = tuple[float, float]


@dataclass(frozen=True)
class Frame:
    """A plot's area: from values to places in the drawing. What lies outside is drawn at the edge."""

    x_low: float
    x_high: float
    y_low: float
    y_high: float

    def x(self, value: float) -> float:
        return round(LEFT + _share(value, self.x_low, self.x_high) * (WIDTH - LEFT - RIGHT), 1)

    def y(self, value: float) -> float:
        return round(HEIGHT - BOTTOM - _share(value, self.y_low, self.y_high) * (HEIGHT - TOP - BOTTOM), 1)

    def line(self, points: Iterable[Pair]) -> str:
        """An SVG path through the points."""
        return _path((self.x(x), self.y(y)) for x, y in points)

    def band(self, points: Sequence[tuple[float, float, float]]) -> str:
        """The closed path between two lines: (x, low, high)."""
        there, back = [(x, high) for x, _, high in points], [(x, low) for x, low, _ in reversed(points)]
        return f"{self.line([*there, *back])}Z"

    def stairs(self, points: Sequence[Pair], until: float) -> str:
        """A path that keeps each value until the next one comes."""
        return self.line(_stairs(points, until))

    def area(self, points: Sequence[Pair], until: float) -> str:
        """The same, closed down to zero."""
        corners = _stairs(points, until)
        return f"{self.line([(corners[0][0], 0.0), *corners, (corners[-1][0], 0.0)])}Z" if corners else ""

    @property
    def y_ticks(self) -> list[float]:
        """Round values on the y axis.

        >>> Frame(0, 1, -0.12, 0.2).y_ticks
        [-0.1, -0.05, 0.0, 0.05, 0.1, 0.15, 0.2]
        """
        step = nice_step((self.y_high - self.y_low) / 6)
        first = -floor(-self.y_low / step)
        return [round(step * k, 10) + 0.0 for k in range(first, floor(self.y_high / step + 1e-9) + 1)]


def around(values: Iterable[float], *, least: float, low: float = -1e9, high: float = 1e9) -> Pair:
    """Limits of an axis that shows all values and zero, with some room; at least `least` to each side."""
    known = [0.0, *values]
    bottom, top = min(*known, -least), max(*known, least)
    room = 0.06 * (top - bottom)
    return max(low, bottom - room), min(high, top + room)


def seconds_of(at: str) -> float:
    """Seconds since the epoch of an RFC 3339 moment."""
    return datetime.fromisoformat(at.replace("Z", "+00:00")).timestamp()


def duration(seconds: float) -> str:
    """A length of time on a page that may show weeks.

    >>> duration(90), duration(2 * 86_400), duration(8 * 86_400 + 5000)
    ('1m30s', '2 days', '8 days 1 h')
    """
    if seconds < 2 * 86_400:
        return span(seconds)
    hours = round(seconds / 3600)
    return f"{hours // 24} days" + (f" {hours % 24} h" if hours % 24 else "")


def nice_step(wish: float) -> float:
    """The round number (1, 2 or 5 times a power of ten) next above.

    >>> nice_step(0.03), nice_step(7)
    (0.05, 10.0)
    """
    power = 10.0 ** floor(log10(wish)) if wish > 0 else 1.0
    return next(round(power * factor, 10) for factor in (1, 2, 5, 10) if power * factor >= wish * (1 - 1e-9))


def _share(value: float, low: float, high: float) -> float:
    return min(1.0, max(0.0, (value - low) / (high - low))) if high > low else 0.0


def _path(places: Iterable[Pair]) -> str:
    return " ".join(f"{'M' if index == 0 else 'L'}{x:g},{y:g}" for index, (x, y) in enumerate(places))


def _stairs(points: Sequence[Pair], until: float) -> list[Pair]:
    corners: list[Pair] = []
    for index, (x, y) in enumerate(points):
        end = points[index + 1][0] if index + 1 < len(points) else until
        corners += [(x, y), (max(x, end), y)]
    return corners
