"""How much more often one arm agrees with the experts, and how sure that is; the same for any other share of its answers.

Knows (answers, hits) per subject. Answers to one subject resemble each other, so the subject is the unit: variances are
those of a ratio of cluster totals (Cochran, Sampling Techniques, 3rd ed., 1977, section 6.3; Rao and Scott, Biometrics 48
(1992) 577). Small and one-sided samples follow Agresti and Caffo, The American Statistician 54 (2000) 280: one success and
one failure are added to each arm before the variance is taken, so no sample has a variance of zero and z is never infinite.
"""

from dataclasses import dataclass
from math import inf, sqrt

import numpy as np


@dataclass(frozen=True)
class ArmSample:
    """One arm's answers of a kind, and the hits among them, whose share is asked for: (answers, hits) per subject. Agreement is the share
    of labelled answers that agree. Raises ValueError for impossible counts."""

    clusters: tuple[tuple[int, int], ...]

    def __post_init__(self) -> None:
        for answers, hits in self.clusters:
            if not 0 <= hits <= answers:
                raise ValueError(f"a subject cannot have {hits} of {answers} answers")

    @property
    def answers(self) -> int:
        """Answers of all subjects."""
        return sum(answers for answers, _ in self.clusters)

    @property
    def hits(self) -> int:
        """Hits of all subjects."""
        return sum(hits for _, hits in self.clusters)


@dataclass(frozen=True)
class Effect:
    """How much better the candidate is than stable, in the metric's unit (shares: 0.01 is one point; above 0: better, also where less of the
    metric is better); standard error infinite without samples."""

    estimate: float
    standard_error: float
    labelled_candidate: int
    labelled_stable: int


def design_effect(*samples: ArmSample) -> float:
    """By what factor clustering widens the variance: cluster-robust over binomial variance, at least 1. Of several samples, each with a share
    of its own, whose subjects are taken to cluster alike: one factor for all.

    Robust: m/(m-1) sum (y_i - p n_i)^2 / N^2 over m subjects, times (m-1)/(m-3), the variance of Student's t, for few subjects.
    Few answers that differ from the rest say little about how they cluster. So the estimate is drawn towards the worst case (each
    subject's answers all alike, sum n_i^2 / N) with the weight of one such answer; it is the worst case for 3 subjects or fewer.

    >>> design_effect(ArmSample(((1, 1),) * 80 + ((1, 0),) * 20)) < 1.05
    True
    >>> design_effect(ArmSample(((10, 10),) * 30)), round(design_effect(ArmSample(((10, 10),) * 30), ArmSample(((1, 1), (1, 0)) * 30)), 1)
    (10.0, 1.3)
    """
    total, rare = sum(sample.answers for sample in samples), sum(min(sample.hits, sample.answers - sample.hits) for sample in samples)
    if total == 0:
        return 1.0
    counts = [np.array([c for c in sample.clusters if c[0] > 0], dtype=np.float64).reshape(-1, 2) for sample in samples]
    subjects = [len(each) for each in counts]
    worst = sum(float((each[:, 0] ** 2).sum()) for each in counts) / total
    if min(subjects) <= 3 or rare == 0:
        return worst
    shares = [sample.hits / sample.answers for sample in samples]
    apart = sum(float(((each[:, 1] - share * each[:, 0]) ** 2).sum()) for each, share in zip(counts, shares, strict=True))
    plain = sum(sample.answers * share * (1 - share) for sample, share in zip(samples, shares, strict=True))
    estimated = max(1.0, sum(subjects) / (sum(subjects) - 3 * len(samples)) * apart / plain)
    return (rare * estimated + worst) / (rare + 1)


def variance(sample: ArmSample) -> float:
    """Variance of the share of hits: Agresti-Caffo on the effective number of answers n = N / design effect.

    q (1 - q) / (n + 2) with q = (p n + 1) / (n + 2). Infinite without answers.

    >>> round(variance(ArmSample(((1, 1),) * 100)), 6), variance(ArmSample(()))
    (9.5e-05, inf)
    """
    answers = sample.answers
    return moderated(sample.hits / answers, answers / design_effect(sample)) if answers else inf


def difference(candidate: ArmSample, stable: ArmSample, margin: float = 0.0) -> Effect:
    """The candidate's share minus stable's. Without answers in an arm: 0 with an infinite standard error.

    The variance is the larger of two: with each arm's own share, and with the shares as they are where the candidate is worse
    by just `margin` (Farrington and Manning, Statistics in Medicine 9 (1990) 1447, with weighted instead of maximum likelihood
    shares). Own shares alone promote too often: a small arm that is lucky near 100 % seems certain too (9 % instead of 5 % at a
    true share of 95 % and 20/80).

    >>> effect = difference(ArmSample(((1, 1),) * 90 + ((1, 0),) * 10), ArmSample(((1, 1),) * 80 + ((1, 0),) * 20))
    >>> round(effect.estimate, 3), round(effect.standard_error, 3)
    (0.1, 0.052)
    """
    ours, theirs = candidate.answers, stable.answers
    if ours == 0 or theirs == 0:
        return Effect(0.0, inf, ours, theirs)
    n, m = ours / design_effect(candidate), theirs / design_effect(stable)
    p, q = candidate.hits / ours, stable.hits / theirs
    return Effect(p - q, share_error(p, n, q, m, margin), ours, theirs)


def share_error(p: float, n: float, q: float, m: float, margin: float = 0.0) -> float:
    """Standard error of p - q, two shares of which more is better, of n and m independent answers; see `difference`."""
    common = (n * (p + margin) + m * q) / (n + m)
    own = moderated(p, n) + moderated(q, m)
    at_margin = moderated(max(0.0, common - margin), n) + moderated(min(1.0, common), m)
    return sqrt(max(own, at_margin))


def moderated(share: float, effective: float) -> float:
    """Agresti-Caffo variance of a share of so many independent answers."""
    middle = (min(share, 1.0) * effective + 1) / (effective + 2)
    return middle * (1 - middle) / (effective + 2)


def repeated_interval(effect: Effect, boundary: float) -> tuple[float, float]:
    """Repeated confidence interval: estimate -/+ boundary * standard error, within -1 and 1 (Jennison and Turnbull, 1989).

    With a look's boundary of one-sided level alpha, its level is 1 - 2 alpha over all looks together.

    >>> repeated_interval(Effect(0.25, 0.0625, 400, 1600), 2.0)
    (0.125, 0.375)
    """
    if inf in {boundary, effect.standard_error}:
        return (-1.0, 1.0)
    reach = boundary * effect.standard_error
    return max(-1.0, effect.estimate - reach), min(1.0, effect.estimate + reach)


def superior(effect: Effect, margin: float, boundary: float) -> bool:
    """Whether (estimate + margin) / standard error reaches the upper boundary; margin 0: better, above 0: not worse by it.

    >>> superior(Effect(0.1, 0.02, 400, 1600), 0, 2.0), superior(Effect(0.0, inf, 0, 0), 1, 2.0)
    (True, False)
    """
    return (effect.estimate + margin) / effect.standard_error >= boundary


def harmful(effect: Effect, boundary: float, margin: float = 0.0) -> bool:
    """Whether (estimate + margin) / standard error reaches the lower boundary, minus `boundary`.

    >>> harmful(Effect(-0.1, 0.02, 400, 1600), 2.0), harmful(Effect(-0.1, 0.02, 400, 1600), 2.0, margin=0.1)
    (True, False)
    """
    return (effect.estimate + margin) / effect.standard_error <= -boundary
