"""Effects with cluster-robust variances; a seeded simulation of error and power over four looks."""

from math import inf, isfinite, sqrt

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from regimen.stats.proportions import ArmSample, Effect, design_effect, difference, harmful, repeated_interval, superior, variance
from regimen.stats.sequential import even_boundaries

cluster = st.integers(0, 30).flatmap(lambda n: st.tuples(st.just(n), st.integers(0, n)))
samples = st.lists(cluster, max_size=40).map(lambda c: ArmSample(tuple(c)))


def singles(agreed: int, labelled: int) -> ArmSample:
    return ArmSample(((1, 1),) * agreed + ((1, 0),) * (labelled - agreed))


def test_unclustered_variance_is_binomial() -> None:
    assert variance(singles(800, 1000)) == pytest.approx(0.8 * 0.2 / 1000, rel=0.02)


def test_clustered_variance_is_robust() -> None:
    """Each subject's ten answers all alike: only the subjects count."""
    sample = ArmSample(((10, 10),) * 80 + ((10, 0),) * 20)
    assert variance(sample) == pytest.approx(0.8 * 0.2 / 100, rel=0.05)


def test_simulated_variance_of_clustered_answers() -> None:
    """The estimated variance is that of the share over repeated samples (beta-binomial subjects, unequal sizes)."""
    rng = np.random.default_rng(1)
    shares, variances = [], []
    for _ in range(400):
        sizes = rng.integers(1, 20, 60)
        agreed = rng.binomial(sizes, rng.beta(4, 1, 60))
        sample = ArmSample(tuple((int(n), int(y)) for n, y in zip(sizes, agreed, strict=True)))
        shares.append(sample.hits / sample.answers)
        variances.append(variance(sample))
    assert np.mean(variances) == pytest.approx(np.var(shares), rel=0.2)


@pytest.mark.parametrize("sample", [ArmSample(((1, 1),) * 5), ArmSample(((50, 50),)), ArmSample(((400, 0),)), singles(400, 400)])
def test_one_sided_samples_have_a_variance(sample: ArmSample) -> None:
    assert 0 < variance(sample) < 0.3


def test_one_subject_counts_as_one() -> None:
    """Four hundred agreeing answers to one subject say as much as one answer."""
    assert variance(ArmSample(((400, 400),))) == pytest.approx(variance(ArmSample(((1, 1),))))


def test_impossible_counts_are_refused() -> None:
    with pytest.raises(ValueError, match="cannot have"):
        ArmSample(((1, 2),))


@settings(max_examples=50, deadline=None)
@given(samples, samples)
def test_z_is_finite_and_antisymmetric(a: ArmSample, b: ArmSample) -> None:
    there, back = difference(a, b), difference(b, a)
    assert there.estimate == -back.estimate
    assert there.standard_error == back.standard_error > 0
    assert isfinite(there.estimate / there.standard_error)
    assert design_effect(a) >= 1 - 1e-12


@settings(max_examples=50, deadline=None)
@given(samples, samples, st.floats(0.5, 9), st.floats(0, 0.3))
def test_interval_and_tests_agree(a: ArmSample, b: ArmSample, boundary: float, margin: float) -> None:
    effect = difference(a, b)
    low, high = repeated_interval(effect, boundary)
    assert -1 <= low <= effect.estimate <= high <= 1
    assert not (superior(effect, margin, boundary) and harmful(effect, boundary, margin))
    if low > 1e-9:
        assert superior(effect, 0, boundary)
    if high < -1e-9:
        assert harmful(effect, boundary)


def test_without_labels_nothing_is_shown() -> None:
    effect = difference(ArmSample(()), singles(90, 100))
    assert effect == Effect(0.0, inf, 0, 100)
    assert not superior(effect, 1.0, 0.1)
    assert not harmful(effect, 0.1)
    assert repeated_interval(effect, 2.0) == (-1.0, 1.0)
    assert repeated_interval(Effect(0.1, 0.1, 1, 1), inf) == (-1.0, 1.0)


def _promoted(rng: np.random.Generator, p_candidate: float, p_stable: float, subjects: int, per_subject: int, margin: float = 0.0) -> bool:
    """One test of four looks at 20/80: `subjects` in the candidate arm at the end, beta-distributed agreement by subject."""
    arms = []
    for p, count in ((p_candidate, subjects), (p_stable, 4 * subjects)):
        share = rng.beta(9 * p, 9 * (1 - p), count) if per_subject > 1 else np.full(count, p)
        agreed = rng.binomial(per_subject, share)
        arms.append([(per_subject, int(y)) for y in agreed])
    for look, boundary in enumerate(even_boundaries(4, 0.05), start=1):
        candidate, stable = (ArmSample(tuple(arm[: len(arm) * look // 4])) for arm in arms)
        if superior(difference(candidate, stable, margin), margin, boundary):
            return True
    return False


@pytest.mark.parametrize(("subjects", "per_subject", "p"), [(400, 1, 0.8), (400, 1, 0.95), (60, 8, 0.8)])
def test_simulated_type_one_error(subjects: int, per_subject: int, p: float) -> None:
    runs, rng = 300, np.random.default_rng(20)
    share = sum(_promoted(rng, p, p, subjects, per_subject) for _ in range(runs)) / runs
    assert share <= 0.05 + 3 * sqrt(0.05 * 0.95 / runs)


def test_simulated_type_one_error_of_not_worse() -> None:
    runs, rng = 200, np.random.default_rng(22)
    share = sum(_promoted(rng, 0.9, 0.95, 400, 1, margin=0.05) for _ in range(runs)) / runs
    assert share <= 0.05 + 3 * sqrt(0.05 * 0.95 / runs)


def test_simulated_power() -> None:
    """5.6 points at 400 and 1600 labels: 80 % by `detectable_difference` for p = 0.8, more as the variance falls with p."""
    runs, rng = 200, np.random.default_rng(21)
    assert sum(_promoted(rng, 0.856, 0.8, 400, 1) for _ in range(runs)) / runs > 0.76
