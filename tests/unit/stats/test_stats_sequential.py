"""Boundaries against published values, and against simulated tests without effect."""

from itertools import pairwise
from math import inf, sqrt

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.special import ndtr

from regimen.stats.sequential import (
    continuous_boundary,
    even_boundaries,
    information_fraction,
    look_due,
    mixture_boundary,
    obrien_fleming_boundaries,
    spent_alpha,
)

# Jennison and Turnbull (2000) and the packages gsDesign and ldbounds, Lan-DeMets spending of O'Brien-Fleming type.
PUBLISHED = [
    (0.025, [1.0], [1.960]),
    (0.025, [1 / 2, 1], [2.963, 1.969]),
    (0.025, [1 / 3, 2 / 3, 1], [3.710, 2.511, 1.993]),
    (0.025, [1 / 4, 2 / 4, 3 / 4, 1], [4.333, 2.963, 2.359, 2.014]),
    (0.025, [0.2, 0.4, 0.6, 0.8, 1], [4.877, 3.357, 2.680, 2.290, 2.031]),
]


@pytest.mark.parametrize(("alpha", "information", "expected"), PUBLISHED)
def test_published_boundaries(alpha: float, information: list[float], expected: list[float]) -> None:
    assert obrien_fleming_boundaries(information, alpha) == pytest.approx(expected, abs=1e-3)


def _first_crossings(information: list[float], boundaries: list[float], paths: int, seed: int) -> list[float]:
    """Share of simulated Brownian paths that have crossed by each look."""
    rng = np.random.default_rng(seed)
    steps = np.diff([0.0, *information])
    s = np.cumsum(rng.standard_normal((paths, len(steps))) * np.sqrt(steps), axis=1)
    crossed = s / np.sqrt(information) >= np.array(boundaries)
    return [float(share) for share in np.maximum.accumulate(crossed, axis=1).mean(axis=0)]


@pytest.mark.parametrize("alpha", [0.025, 0.05, 0.2])
@pytest.mark.parametrize("information", [[0.25, 0.5, 0.75, 1.0], [0.1, 0.15, 0.7, 0.72, 1.0], [0.4, 0.8]])
def test_simulated_spending_is_what_was_planned(alpha: float, information: list[float]) -> None:
    paths = 100_000
    seen = _first_crossings(information, obrien_fleming_boundaries(information, alpha), paths, seed=7)
    for fraction, share in zip(information, seen, strict=True):
        planned = spent_alpha(fraction, alpha)
        assert share == pytest.approx(planned, abs=4 * sqrt(planned / paths) + 1e-5)


def test_skipped_looks_spend_less() -> None:
    boundaries = even_boundaries(4, 0.05)
    for taken in ([1, 3], [3], [0, 3], [2, 3]):
        seen = _first_crossings([(k + 1) / 4 for k in taken], [boundaries[k] for k in taken], 100_000, seed=3)
        assert seen[-1] <= 0.05 + 4 * sqrt(0.05 / 100_000)


def test_looks_that_come_late_spend_little_more() -> None:
    """A look read late, anywhere before the next one, keeps the boundary of its plan."""
    rng = np.random.default_rng(5)
    boundaries, worst = list(even_boundaries(4, 0.05)), 0.0
    for _ in range(20):
        late = [(k + 1) / 4 + rng.uniform(0, 0.24) for k in range(4)]
        worst = max(worst, float(_first_crossings(late, boundaries, 20_000, seed=11)[-1]))
    assert worst <= 0.056


def test_continuous_boundary_holds_at_every_moment() -> None:
    times = [(i + 1) / 400 for i in range(400)]
    seen = _first_crossings(times, [continuous_boundary(t, 0.05) for t in times], 20_000, seed=9)
    assert 0.035 < seen[-1] <= 0.05 + 4 * sqrt(0.05 / 20_000)


def test_mixture_boundary_holds_at_every_moment() -> None:
    times = np.arange(1, 1001)
    steps = np.random.default_rng(2).standard_normal((5_000, 1000))
    z = np.cumsum(steps, axis=1) / np.sqrt(times)
    crossed = (z >= np.array([mixture_boundary(float(n), 50, 0.05) for n in times])).any(axis=1).mean()
    assert crossed <= 0.05


@given(
    st.lists(st.integers(1, 200), min_size=1, max_size=12, unique=True),
    st.floats(0.001, 0.2),
)
@settings(max_examples=40, deadline=None)
def test_boundaries_properties(marks: list[int], alpha: float) -> None:
    information = [mark / 200 for mark in sorted(marks)]
    boundaries = obrien_fleming_boundaries(information, alpha)
    assert len(boundaries) == len(information)
    for time, z in zip(information, boundaries, strict=True):
        assert z > 0
        assert ndtr(-z) <= spent_alpha(time, alpha) * (1 + 1e-6) + 1e-15  # a look alone never spends more than was planned by then


def test_fewer_alpha_higher_boundaries() -> None:
    for strict, lax in pairwise([0.01, 0.025, 0.05, 0.1, 0.2]):
        assert all(a > b for a, b in zip(even_boundaries(6, strict), even_boundaries(6, lax), strict=True))


@pytest.mark.parametrize("information", [[], [0.0, 1.0], [0.5, 0.5], [0.5, 0.5001], [0.8, 0.4], [0.5, 1.1]])
def test_bad_information_is_refused(information: list[float]) -> None:
    with pytest.raises(ValueError, match="information fractions"):
        obrien_fleming_boundaries(information, 0.05)


@pytest.mark.parametrize("alpha", [0.0, 0.5, 1.0, -0.1])
def test_bad_alpha_is_refused(alpha: float) -> None:
    with pytest.raises(ValueError, match="alpha"):
        obrien_fleming_boundaries([1.0], alpha)


def test_no_information_no_boundary() -> None:
    assert continuous_boundary(0, 0.05) == inf
    assert mixture_boundary(0, 50, 0.05) == inf
    assert continuous_boundary(3.0, 0.05) == continuous_boundary(1.0, 0.05)


@pytest.mark.parametrize(
    ("labelled", "taken", "due"),
    [(0, 0, None), (99, 0, None), (100, 0, 1), (199, 1, None), (399, 1, 3), (400, 3, 4), (10_000, 0, 4), (10_000, 4, None)],
)
def test_look_due(labelled: int, taken: int, due: int | None) -> None:
    assert look_due(labelled, 400, 4, taken) == due


@given(st.integers(0, 10_000), st.integers(1, 5_000), st.integers(1, 20), st.integers(0, 20))
def test_look_due_agrees_with_the_fraction(labelled: int, planned: int, looks: int, taken: int) -> None:
    due = look_due(labelled, planned, looks, taken)
    fraction = information_fraction(labelled, planned)
    assert 0 <= fraction <= 1
    if due is not None:
        assert taken < due <= looks
        assert fraction >= due / looks - 1e-12


def test_bad_plan_is_refused() -> None:
    with pytest.raises(ValueError, match="plan"):
        information_fraction(1, 0)
    with pytest.raises(ValueError, match="positive"):
        look_due(1, 0, 4, 0)
