"""Paired comparisons: bounds that hold as often as they say, by groups, and never certain from few rows."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy.stats import binom, binomtest

from regimen.stats.paired import DRAWS, Bootstrap, Ratio, agresti_min, clopper_pearson, mcnemar, share_seen


def right(flags: list[int] | np.ndarray) -> Ratio:
    values = np.array(flags, dtype=np.float64)
    return Ratio(values, np.ones(len(values)))


@pytest.mark.parametrize(("wins", "losses", "p"), [(0, 0, 1.0), (5, 5, 1.0), (10, 0, 0.001953125), (0, 10, 0.001953125), (8, 2, 0.109375)])
def test_mcnemar_is_exact(wins: int, losses: int, p: float) -> None:
    ours = [True] * wins + [False] * losses + [True] * 3
    theirs = [False] * wins + [True] * losses + [True] * 3
    assert mcnemar(ours, theirs) == pytest.approx(p)


def test_the_same_rows_give_the_same_bounds_whatever_their_order() -> None:
    rng = np.random.default_rng(1)
    ours, theirs = (rng.random(120) < share for share in (0.9, 0.8))
    first = Bootstrap(range(120)).difference(right(ours), right(theirs))
    assert first == Bootstrap(range(120)).difference(right(ours), right(theirs))
    assert first is not None and first.lower is not None and first.upper is not None
    assert first.lower < first.value < first.upper


def test_pieces_of_draws_are_the_draws() -> None:
    """A million groups are drawn in pieces; the sums are of as many draws."""
    bootstrap = Bootstrap(range(5000), draws=50)
    assert bootstrap.sums([np.ones(5000)]).tolist() == [[5000.0]] * 50
    assert Bootstrap(range(20_000)).sums([np.ones(20_000)]).shape == (DRAWS, 1)


def test_rows_of_a_group_count_as_one() -> None:
    rng = np.random.default_rng(2)
    policy = np.repeat(np.arange(40), 10)
    won, lost = (np.repeat(rng.random(40) < share, 10) for share in (0.15, 0.1))
    ours, theirs = right(won | ~lost), right(~won)
    by_policy = Bootstrap(policy.tolist()).difference(ours, theirs)
    by_row = Bootstrap(range(400)).difference(ours, theirs)
    assert by_policy and by_row and by_policy.standard_error and by_row.standard_error
    assert by_policy.standard_error > 2.5 * by_row.standard_error


def test_without_any_difference_there_is_no_certainty() -> None:
    found = Bootstrap(range(50)).difference(right([1] * 50), right([1] * 50))
    assert found is not None and found.lower is not None and found.detectable is not None
    assert (found.value, found.lower < -0.02, found.detectable > 0.04) == (0.0, True, True)


def test_few_groups_have_no_bounds() -> None:
    found = Bootstrap([1] * 50 + [2] * 50).difference(right([1] * 100), right([0] * 100))
    assert found is not None
    assert (found.value, found.lower, found.detectable) == (1.0, None, None)


def test_a_metric_without_cases_is_none() -> None:
    empty = Ratio(np.zeros(30), np.zeros(30))
    assert Bootstrap(range(30)).estimate(empty) is None
    assert Bootstrap(range(30)).difference(empty, right([1] * 30)) is None


def test_a_rare_denominator_still_has_bounds() -> None:
    seldom = np.array([1.0] * 5 + [0.0] * 95)
    found = Bootstrap(range(100)).estimate(Ratio(seldom * [1, 1, 0, 0, 0, *[0] * 95], seldom))
    assert found is not None and found.lower is not None and found.upper is not None
    assert found.lower < 0.4 < found.upper


def test_the_lower_bound_covers_as_it_says() -> None:
    """200 rows of 100 policies, 10 % discordance, no true difference: at most about 5 % of the bounds lie above it."""
    rng, above, runs = np.random.default_rng(3), 0, 400
    for _ in range(runs):
        drawn = np.repeat(rng.random(100), 2)
        ours, theirs = right(drawn >= 0.05), right(drawn < 0.95)
        found = Bootstrap(np.repeat(np.arange(100), 2).tolist(), draws=400).difference(ours, theirs)
        assert found is not None and found.lower is not None
        above += found.lower > 0
    assert above <= binom.ppf(0.999, runs, 0.05)


@given(st.integers(0, 30), st.integers(0, 30), st.integers(60, 300))
def test_agresti_min_is_a_difference_with_room(wins: int, losses: int, cases: int) -> None:
    middle, error = agresti_min(wins, losses, cases)
    assert abs(middle) <= abs(wins - losses) / cases
    assert error >= 1 / (cases + 2)


def test_bounds_of_a_share() -> None:
    assert clopper_pearson(1.0, 64)[1] == 1.0
    assert clopper_pearson(3 / 64, 64)[0] == pytest.approx(binomtest(3, 64, alternative="greater").proportion_ci(0.95).low)
    assert 1 - (1 - share_seen(64)) ** 64 == pytest.approx(0.8)
    assert clopper_pearson(3 / 64, 64)[1] == pytest.approx(binomtest(3, 64, alternative="less").proportion_ci(0.95).high)
