"""The learning curve as a page: loss and speed over the steps. Geometry here, drawing in `templates/training_curve.html.jinja`.

Everything is in percent of the drawing, as in `regimen_trainer.plots`.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from math import floor, log10

from jinja2 import Environment, PackageLoader

from regimen_trainer.plots import Tick, ticks
from regimen_trainer.training.course import Point

MOST_PLACES = 400
"""Points of a line; with more steps each stands for several."""
SMOOTHING = 0.05
"""Share of the steps over which the bold line is a mean."""


@dataclass(frozen=True)
class Mark:
    """A number on the y axis, as it is written."""

    at: float
    text: str


@dataclass(frozen=True)
class Plot:
    """Lines as the points of an SVG polyline in a box of 100 by 100, y downwards."""

    name: str
    thin: str
    bold: str
    ys: list[Mark]
    last: str


def render(points: Sequence[Point], total: int) -> str:
    """The page. One file, no network, no scripts."""
    environment = Environment(loader=PackageLoader("regimen_trainer"), autoescape=True, trim_blocks=True, lstrip_blocks=True)
    losses = [(point.step, point.loss) for point in points]
    speeds = [(point.step, point.tokens / max(1e-9, point.seconds)) for point in points]
    plots = [plot("loss", losses, total, 3), plot("tokens a second", speeds, total, 0)] if points else []
    seconds, tokens = sum(point.seconds for point in points), sum(point.tokens for point in points)
    xs = [Tick(100 * value / max(1, total), value) for value in ticks(total)]
    page = environment.get_template("training_curve.html.jinja")
    return page.render(plots=plots, xs=xs, steps=len(points), total=total, tokens=f"{tokens:,}", minutes=f"{seconds / 60:.1f}")


def plot(name: str, values: Sequence[tuple[int, float]], total: int, digits: int) -> Plot:
    """Each step's value as a thin line, the mean of its neighbourhood as a bold one, on an axis from 0."""
    smooth = means([value for _, value in values], max(1, round(SMOOTHING * len(values))))
    top = scale(max(value for _, value in values))
    marks = [Mark(100 * part / 4, f"{top * part / 4:,.{digits if top < 10 else 0}f}") for part in range(5)]
    bold = list(zip((step for step, _ in values), smooth, strict=True))
    return Plot(name, line(values, total, top), line(bold, total, top), marks, f"{smooth[-1]:,.{digits}f}")


def means(values: Sequence[float], width: int) -> list[float]:
    """The mean of each value and up to `width` - 1 before it.

    >>> means([4.0, 2.0, 0.0], 2)
    [4.0, 3.0, 1.0]
    """
    sums, running = [], 0.0
    for place, value in enumerate(values):
        running += value - (values[place - width] if place >= width else 0.0)
        sums.append(running / min(place + 1, width))
    return sums


def line(values: Sequence[tuple[int, float]], total: int, top: float) -> str:
    """Points of a polyline; of many steps the mean of each stretch.

    >>> line([(1, 2.0), (2, 1.0)], 2, 2.0)
    '50.00,0.00 100.00,50.00'
    """
    stretch = -(-len(values) // MOST_PLACES)
    places = [values[start : start + stretch] for start in range(0, len(values), stretch)]
    return " ".join(
        f"{100 * some[-1][0] / total:.2f},{100 - 100 * sum(value for _, value in some) / len(some) / top:.2f}" for some in places
    )


def scale(highest: float) -> float:
    """The least of 1, 2, 4, 8 times a power of ten that reaches so high, so that quarters are round.

    >>> scale(2.3), scale(1790.0), scale(0.0)
    (4.0, 2000.0, 1.0)
    """
    if highest <= 0:
        return 1.0
    power = 10.0 ** floor(log10(highest))
    return next(factor * power for factor in (1, 2, 4, 8, 10) if factor * power >= highest)
