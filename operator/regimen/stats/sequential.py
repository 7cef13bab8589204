"""When to look, and how much a look must show: group-sequential boundaries by alpha spending.

Knows information fractions and normal boundaries, nothing of what is measured.

Sources: Lan and DeMets, Biometrika 70 (1983) 659; O'Brien and Fleming, Biometrics 35 (1979) 549; Armitage, McPherson and
Rowe, JRSS A 132 (1969) 235 (the recursion); Robbins, Ann. Math. Stat. 41 (1970) 1397 (the mixture boundary).
"""

from collections.abc import Callable, Sequence
from functools import lru_cache
from itertools import pairwise
from math import inf, log, pi, sqrt

import numpy as np
from numpy.typing import NDArray
from scipy.special import ndtr, ndtri

Array = NDArray[np.float64]

_DEPTH = 9.0
"""Standard deviations below the mean at which the recursion is cut off; Phi(-9) = 1e-19."""
_TINY = 1e-13
"""Spending below this is not resolved by the recursion; the look's own tail then bounds it, which is conservative."""

_NEAREST = 0.001
"""Looks closer than this in information are refused: the quadrature would no longer resolve the step between them."""


def spent_alpha(fraction: float, alpha: float) -> float:
    """One-sided error probability spent up to an information fraction: 2 - 2 Phi(z_(alpha/2) / sqrt(t)).

    It is also the probability that a Brownian motion crosses z_(alpha/2) before t, hence `continuous_boundary`.

    >>> round(spent_alpha(0.5, 0.05), 5), round(spent_alpha(1.0, 0.05), 5)
    (0.00557, 0.05)
    """
    return float(2 * ndtr(ndtri(alpha / 2) / sqrt(fraction)))


def obrien_fleming_boundaries(information: Sequence[float], alpha: float) -> list[float]:
    """One-sided upper z boundaries of O'Brien-Fleming type at the given looks.

    The boundary of look k is such that, without effect, the probability of crossing there first is
    alpha*(t_k) - alpha*(t_(k-1)). It is found from the density of S = Z sqrt(t) among the paths that have not crossed, which
    is carried from look to look by Gauss-Legendre quadrature.

    information: fractions of the planned information, each in (0, 1] and at least 0.001 above the one before (nearer looks would
    need a finer grid). alpha: in (0, 0.5). Returns one z value a look. Raises ValueError for other input.

    >>> [round(z, 3) for z in obrien_fleming_boundaries([0.2, 0.4, 0.6, 0.8, 1.0], 0.025)]
    [4.877, 3.357, 2.68, 2.29, 2.031]
    """
    times = _checked(information, alpha)
    return boundaries_spending(times, [spent_alpha(t, alpha) for t in times])


def boundaries_spending(times: Sequence[float], spent: Sequence[float]) -> list[float]:
    """The same for any spending: error probability spent up to each look."""
    steps = [later - earlier for earlier, later in pairwise([0.0, *times])]
    boundaries = [_upper_tail(spent[0])]
    grid, mass = _first_density(times[0], boundaries[0], _nodes_for(steps))
    for k in range(1, len(times)):
        sd = sqrt(steps[k])
        boundaries.append(_next_boundary(grid, mass, sd, times[k], spent[k] - spent[k - 1]))
        grid, mass = _next_density(grid, mass, sd, times[k], boundaries[k])
    return boundaries


@lru_cache(maxsize=256)
def even_boundaries(looks: int, alpha: float) -> tuple[float, ...]:
    """Boundaries of looks evenly spaced in information, the last at 1.

    They stay valid when looks are skipped: without the earlier chances to cross, crossing is only less likely.

    >>> [round(z, 3) for z in even_boundaries(4, 0.05)]
    [3.75, 2.54, 2.016, 1.72]
    """
    return tuple(obrien_fleming_boundaries([(k + 1) / looks for k in range(looks)], alpha))


def crossing_probability(boundaries: Sequence[float], information: Sequence[float], drift: float) -> float:
    """Probability that z reaches its boundary at one of the looks, where S = Z sqrt(t) is a Brownian motion with this drift.

    drift: the true effect over its standard error at full information. The recursion is that of `obrien_fleming_boundaries`.

    >>> looks = [0.25, 0.5, 0.75, 1.0]
    >>> round(crossing_probability(even_boundaries(4, 0.05), looks, 0.0), 6), round(crossing_probability(even_boundaries(4, 0.05), looks, 2.5), 3)
    (0.05, 0.794)
    """
    steps = [later - earlier for earlier, later in pairwise([0.0, *information])]
    nodes = _nodes_for(steps)
    crossed = float(ndtr(drift * sqrt(information[0]) - boundaries[0]))
    grid, weights = _span(information[0], boundaries[0], nodes)
    mass = weights * _density(grid - drift * information[0], sqrt(information[0]))
    for time, step, boundary in zip(information[1:], steps[1:], boundaries[1:], strict=True):
        sd = sqrt(step)
        crossed += float(mass @ ndtr((grid + drift * step - boundary * sqrt(time)) / sd))
        grid, mass = _next_density(grid + drift * step, mass, sd, time, boundary)
    return crossed


@lru_cache(maxsize=64)
def drift_shown(looks: int, alpha: float, power: float) -> float:
    """The drift that evenly spaced looks show with this power: z_alpha + z_power and a little more for looking early.

    >>> round(drift_shown(1, 0.05, 0.8), 4), round(drift_shown(4, 0.05, 0.8), 4)
    (2.4865, 2.5221)
    """
    boundaries, information = even_boundaries(looks, alpha), [(k + 1) / looks for k in range(looks)]
    return -_solve_falling(lambda minus: crossing_probability(boundaries, information, -minus), power, -_DEPTH, 0.0)


def continuous_boundary(fraction: float, alpha: float) -> float:
    """z boundary of the same spending for evidence that is watched all the time: z_(alpha/2) / sqrt(t).

    By the reflection principle P(max of a Brownian motion up to t >= c) = 2 - 2 Phi(c / sqrt(t)): the constant
    c = z_(alpha/2) spends exactly alpha*(t). So it may be tested at any and every moment up to full information.
    Infinite without information.

    >>> round(continuous_boundary(0.25, 0.05), 3), round(continuous_boundary(1.0, 0.05), 3), continuous_boundary(0, 0.05)
    (3.92, 1.96, inf)
    """
    return float(-ndtri(alpha / 2)) / sqrt(min(fraction, 1.0)) if fraction > 0 else inf


def mixture_boundary(samples: float, tuned_for: float, alpha: float) -> float:
    """z boundary that is valid at every moment without a planned size: Robbins' normal mixture, one-sided level alpha.

    sqrt((n + r) / n * ln((n + r) / (r (2 alpha)^2))), n: samples so far, r: samples it is tuned for. Twice alpha because
    one side of the two-sided boundary is used. Infinite without samples.

    >>> round(mixture_boundary(50, 50, 0.05), 2), round(mixture_boundary(500, 50, 0.05), 2)
    (3.26, 2.78)
    """
    if samples <= 0:
        return inf
    total = samples + tuned_for
    return sqrt(total / samples * log(total / (tuned_for * (2 * alpha) ** 2)))


def information_fraction(labelled_min_arm: int, planned: int) -> float:
    """Share of the planned information, by labelled answers of the smaller arm; an overrun counts as 1.

    >>> information_fraction(100, 400), information_fraction(900, 400)
    (0.25, 1.0)
    """
    if planned <= 0 or labelled_min_arm < 0:
        raise ValueError(f"labelled answers must not be negative and the plan positive: {labelled_min_arm} of {planned}")
    return min(1.0, labelled_min_arm / planned)


def look_due(labelled_min_arm: int, planned: int, looks: int, taken: int) -> int | None:
    """Number (1 to `looks`) of the newest look that is due and not taken; None if there is none.

    Look k is due at k/looks of the planned labels. Where several have become due at once, the older ones are skipped.

    >>> look_due(99, 400, 4, 0), look_due(100, 400, 4, 0), look_due(350, 400, 4, 1), look_due(350, 400, 4, 3)
    (None, 1, 3, None)
    >>> look_due(5000, 400, 4, 3)
    4
    """
    if planned <= 0 or looks <= 0:
        raise ValueError(f"planned labels and looks must be positive: {planned}, {looks}")
    due = min(looks, labelled_min_arm * looks // planned)
    return due if due > taken else None


def _checked(information: Sequence[float], alpha: float) -> list[float]:
    times = [float(t) for t in information]
    if not 0 < alpha < 0.5:
        raise ValueError(f"alpha must be between 0 and 0.5, not {alpha}")
    if not times or times[0] <= 0 or times[-1] > 1 or any(b - a < _NEAREST for a, b in pairwise(times)):
        raise ValueError(f"information fractions must increase within 0 (excluded) to 1, by {_NEAREST} or more: {times}")
    return times


def _upper_tail(probability: float) -> float:
    """z with this probability above it; infinite for 0."""
    return float(-ndtri(probability))


@lru_cache(maxsize=4)
def _legendre(nodes: int) -> tuple[Array, Array]:
    points, weights = np.polynomial.legendre.leggauss(nodes)
    return points, weights


def _nodes_for(steps: Sequence[float]) -> int:
    """Quadrature nodes: more where looks lie so close together that the kernel is narrow."""
    narrowest = sqrt(min(steps))
    return 96 if narrowest > 0.2 else 256 if narrowest > 0.05 else 768


def _span(time: float, boundary: float, nodes: int) -> tuple[Array, Array]:
    """Nodes and weights over the values of S at which the test goes on."""
    low, high = -_DEPTH * sqrt(time), min(boundary, _DEPTH) * sqrt(time)
    points, weights = _legendre(nodes)
    return low + (points + 1) * (high - low) / 2, weights * (high - low) / 2


def _density(x: Array, sd: float) -> Array:
    return np.asarray(np.exp(-0.5 * (x / sd) ** 2) / (sd * sqrt(2 * pi)), dtype=np.float64)


def _first_density(time: float, boundary: float, nodes: int) -> tuple[Array, Array]:
    grid, weights = _span(time, boundary, nodes)
    return grid, weights * _density(grid, sqrt(time))


def _next_density(grid: Array, mass: Array, sd: float, time: float, boundary: float) -> tuple[Array, Array]:
    following, weights = _span(time, boundary, len(grid))
    return following, weights * (_density(following[:, None] - grid[None, :], sd) @ mass)


def _next_boundary(grid: Array, mass: Array, sd: float, time: float, increment: float) -> float:
    """z at `time` that is first crossed there, one step of standard deviation `sd` later, with probability `increment`."""
    if increment < _TINY:
        return _upper_tail(increment)

    def crossing(z: float) -> float:
        return float(mass @ ndtr((grid - z * sqrt(time)) / sd))

    return _solve_falling(crossing, increment, -_DEPTH, _DEPTH)


def _solve_falling(function: Callable[[float], float], target: float, low: float, high: float) -> float:
    """x with function(x) = target for a falling function, by bisection to 1e-9."""
    while high - low > 1e-9:
        middle = (low + high) / 2
        low, high = (middle, high) if function(middle) > target else (low, middle)
    return (low + high) / 2
