"""The split of subjects, quantiles by bucket, sample sizes."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy.stats import binom, binomtest

from regimen.spec.routing import LATENCY_BUCKETS_MS
from regimen.stats.histogram import quantile
from regimen.stats.power import detectable_difference, labelled_needed
from regimen.stats.ratio import log_bayes_factor, sample_ratio, sample_ratio_p


@pytest.mark.parametrize(
    ("candidate", "stable", "share", "expected"),
    [
        (0, 0, 0.2, "Unknown"), (39, 0, 0.2, "Unknown"), (8, 32, 0.2, "Ok"), (0, 80, 0.2, "Mismatch"),
        (100, 100, 0.2, "Mismatch"),
        (200, 800, 0.2, "Ok"), (260, 740, 0.2, "Mismatch"), (215, 785, 0.2, "Ok"), (500, 500, 0.5, "Ok"),
        (40, 0, 0.5, "Mismatch"),
    ],
)  # fmt: skip
def test_sample_ratio(candidate: int, stable: int, share: float, expected: str) -> None:
    assert sample_ratio(candidate, stable, share) == expected


@given(st.integers(0, 500), st.integers(0, 500), st.floats(0.01, 0.99))
def test_p_value_is_twice_the_smaller_exact_tail(candidate: int, stable: int, share: float) -> None:
    n = candidate + stable
    if n:
        tails = [binomtest(candidate, n, share, alternative=side).pvalue for side in ("less", "greater")]
        assert sample_ratio_p(candidate, stable, share) == pytest.approx(min(1, 2 * min(tails)), rel=1e-6, abs=1e-12)


def test_watching_a_sound_split_raises_no_alarm() -> None:
    rng, alarms = np.random.default_rng(4), 0
    for _ in range(100):
        candidate = np.cumsum(rng.random(2000) < 0.2)
        alarms += any(sample_ratio(int(candidate[n - 1]), n - int(candidate[n - 1]), 0.2) == "Mismatch" for n in range(40, 2001, 20))
    assert alarms <= 1


def test_bayes_factor_is_a_martingale() -> None:
    """Its expectation over the split asked for is 1."""
    n, p = 60, 0.2
    expectation = sum(binom.pmf(x, n, p) * np.exp(log_bayes_factor(x, n - x, p)) for x in range(n + 1))
    assert expectation == pytest.approx(1.0)


@pytest.mark.parametrize(("candidate", "stable", "share"), [(-1, 5, 0.2), (5, 5, 0.0), (5, 5, 1.0)])
def test_impossible_splits_are_refused(candidate: int, stable: int, share: float) -> None:
    with pytest.raises(ValueError, match="impossible split"):
        sample_ratio_p(candidate, stable, share)


@pytest.mark.parametrize(
    ("counts", "q", "expected"),
    [
        ([10, 0, 0, 0], 0.5, 5.0), ([10, 0, 0, 0], 1.0, 10.0), ([5, 5, 0, 0], 0.5, 10.0), ([0, 0, 4, 0], 0.25, 22.5),
        ([0, 0, 0, 7], 0.95, 30.0), ([0, 0, 0, 0], 0.5, None), ([5, 0, 5, 0], 0.75, 25.0), ([0, 4, 0, 0], 0.0, 10.0),
    ],
)  # fmt: skip
def test_quantile(counts: list[int], q: float, expected: float | None) -> None:
    assert quantile(counts, [10, 20, 30], q) == expected


@given(st.lists(st.floats(1, 99_000), min_size=1, max_size=300), st.floats(0.05, 1))
def test_quantile_is_within_a_bucket_of_the_true_one(values: list[float], q: float) -> None:
    counts = np.bincount(np.searchsorted(LATENCY_BUCKETS_MS, values), minlength=len(LATENCY_BUCKETS_MS) + 1)
    true = float(np.quantile(values, q, method="inverted_cdf"))
    found = quantile([int(c) for c in counts], LATENCY_BUCKETS_MS, q)
    assert found is not None
    assert found <= true * 1.2 + 5
    assert found >= true / 1.2 - 5


def test_bad_histograms_are_refused() -> None:
    with pytest.raises(ValueError, match="counts need"):
        quantile([1, 2], [10, 20], 0.5)
    with pytest.raises(ValueError, match="q must"):
        quantile([1, 2], [10], 1.5)


def test_design_document_sizes() -> None:
    """DESIGN: about 12,300 labelled for 2 points of non-inferiority at 20/80."""
    assert 12_200 < labelled_needed(0.85, 0.02, 0.2, 0.05) < 12_400


@given(st.floats(0.5, 0.99), st.floats(0.02, 0.3), st.floats(0.05, 0.95), st.floats(0.01, 0.2))
def test_size_and_difference_agree(p: float, wanted: float, share: float, alpha: float) -> None:
    total = labelled_needed(p, wanted, share, alpha)
    candidate = round(total * share)
    if candidate > 20 and total - candidate > 20:
        assert detectable_difference(p, candidate, total - candidate, alpha) == pytest.approx(wanted, rel=0.05)


def test_power_without_labels() -> None:
    assert detectable_difference(0.8, 0, 100, 0.05) == 1.0
    with pytest.raises(ValueError, match="impossible plan"):
        detectable_difference(1.8, 10, 100, 0.05)
    with pytest.raises(ValueError, match="between 0 and 1"):
        labelled_needed(0.8, 0.0, 0.2, 0.05)
