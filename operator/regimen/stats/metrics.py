"""What each metric is in one arm: its value, from how many samples, and how sure it is.

Knows the arms' counts as the feedback service gives them. Answers to one subject resemble each other, so every share counts on
samples / design effect, its effective number of samples. Where the feedback service does not say how a metric's own counts fall on
subjects (all label metrics but agreement), the design effect of agreement stands for it.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from math import inf

from regimen.spec.rollout import MORE_IS_BETTER, Metric
from regimen.spec.routing import LATENCY_BUCKETS_MS, ArmEvidence
from regimen.stats.histogram import quantile
from regimen.stats.proportions import ArmSample, design_effect, moderated

SCALE = (1.0, 5.0)
"""Lowest and highest satisfaction."""
QUANTILES: Mapping[Metric, float] = {"latencyP50": 0.5, "latencyP95": 0.95, "latencyP99": 0.99, "timeToFirstTokenP95": 0.95}


@dataclass(frozen=True)
class Figure:
    """One arm's value of a metric. variance: of the value (0: not used). effective: independent samples of a share, None of others."""

    value: float
    samples: int
    variance: float = 0.0
    effective: float | None = None


def better_sign(metric: Metric) -> float:
    """1 where more is better, -1 where less is.

    >>> better_sign("agreement"), better_sign("editRate")
    (1.0, -1.0)
    """
    return 1.0 if metric in MORE_IS_BETTER else -1.0


def measure(metric: Metric, arm: ArmEvidence, positive: str) -> Figure | None:
    """One arm's figure; None where nothing was counted. Raises ValueError for impossible counts.

    >>> given = {"DENIED": 25, "APPROVED": 100}
    >>> arm = ArmEvidence(version="b", predicted={"DENIED": 30}, true_positive={"DENIED": 20}, expert=given)
    >>> figure = measure("falseDenialRate", arm, "DENIED")
    >>> figure and (figure.value, figure.samples)
    (0.1, 100)
    """
    figure = _MEASURES[metric](arm, positive)
    return figure if figure.samples > 0 else None


def timings(metric: Metric, arm: ArmEvidence) -> list[int]:
    """The histogram that a latency is read from."""
    return arm.first_token if metric == "timeToFirstTokenP95" else arm.latency


def _share(count: int, of: int, widened: float) -> Figure:
    """A proportion with its Agresti-Caffo variance on of / widened samples."""
    if not 0 <= count <= of:
        raise ValueError(f"{count} of {of} is not a proportion")
    if of == 0:
        return Figure(0.0, 0)
    effective = of / widened
    return Figure(count / of, of, moderated(count / of, effective), effective)


def _agreement(arm: ArmEvidence, _: str) -> Figure:
    return _of_clusters(arm.clusters)


def _of_clusters(clusters: Sequence[tuple[int, int]]) -> Figure:
    sample = ArmSample(tuple(clusters))
    return _share(sample.hits, sample.answers, design_effect(sample))


def _labels(count: Callable[[ArmEvidence, str], tuple[int, int]]) -> Callable[[ArmEvidence, str], Figure]:
    """A metric of labelled answers from its count and what it is of; clustered as agreement is."""

    def figure(arm: ArmEvidence, positive: str) -> Figure:
        part, whole = count(arm, positive)
        return _share(part, whole, design_effect(ArmSample(tuple(arm.clusters))))

    return figure


def _precision(arm: ArmEvidence, positive: str) -> tuple[int, int]:
    return arm.true_positive.get(positive, 0), arm.predicted.get(positive, 0)


def _recall(arm: ArmEvidence, positive: str) -> tuple[int, int]:
    return arm.true_positive.get(positive, 0), arm.expert.get(positive, 0)


def _false_denials(arm: ArmEvidence, positive: str) -> tuple[int, int]:
    """Of the answers that experts did not give the positive label, those predicted positive."""
    negatives = sum(count for label, count in arm.expert.items() if label != positive)
    return arm.predicted.get(positive, 0) - arm.true_positive.get(positive, 0), negatives


def _false_approvals(arm: ArmEvidence, positive: str) -> tuple[int, int]:
    """Of the answers that experts gave the positive label, those predicted otherwise."""
    found, positives = _recall(arm, positive)
    return positives - found, positives


def _unparseable(arm: ArmEvidence, _: str) -> tuple[int, int]:
    return arm.unparseable, arm.labelled


def _acceptance(arm: ArmEvidence, _: str) -> Figure:
    return _of_clusters(arm.acceptance_clusters)


def _edit_rate(arm: ArmEvidence, _: str) -> Figure:
    """The mean of values within 0 and 1. Variance: of a ratio of cluster totals (Cochran, section 6.3), with one answer at each end added as
    subjects of their own, so that alike answers are not taken for certain ones. Infinite with fewer than 4 subjects."""
    found = [(rated, total) for rated, total in arm.edit_clusters if rated > 0]
    samples = sum(rated for rated, _ in found)
    if not found:
        return Figure(0.0, 0)
    value = sum(total for _, total in found) / samples
    if not 0 <= value <= 1:
        raise ValueError(f"{value} is not a mean edit rate")
    if len(found) < 4:
        return Figure(value, samples, inf)
    added = [*found, (1, 0.0), (1, 1.0)]
    subjects, rated_in_all = len(added), samples + 2
    mean = (value * samples + 1) / rated_in_all
    squares = sum((total - mean * rated) ** 2 for rated, total in added)
    return Figure(value, samples, subjects / (subjects - 3) * squares / rated_in_all**2)


def _satisfaction(arm: ArmEvidence, _: str) -> Figure:
    """The mean. Its variance is at most (5 - mean) (mean - 1) / n (Bhatia and Davis, 2000), with an answer at each end added."""
    if arm.satisfaction_of == 0:
        return Figure(0.0, 0)
    low, high = SCALE
    mean = arm.satisfaction_sum / arm.satisfaction_of
    middle = (arm.satisfaction_sum + low + high) / (arm.satisfaction_of + 2)
    return Figure(mean, arm.satisfaction_of, (high - middle) * (middle - low) / (arm.satisfaction_of + 2))


def _error_rate(arm: ArmEvidence, _: str) -> Figure:
    """Errors per request; above 1 where retried attempts failed too."""
    if arm.requests == 0:
        return Figure(0.0, 0)
    share = arm.errors / arm.requests
    return Figure(share, arm.requests, moderated(min(1.0, share), arm.requests))


def _latency(metric: Metric) -> Callable[[ArmEvidence, str], Figure]:
    def figure(arm: ArmEvidence, _: str) -> Figure:
        counts = timings(metric, arm)
        return Figure(quantile(counts, LATENCY_BUCKETS_MS, QUANTILES[metric]) or 0.0, sum(counts))

    return figure


_MEASURES: dict[Metric, Callable[[ArmEvidence, str], Figure]] = {
    "agreement": _agreement,
    "precision": _labels(_precision),
    "recall": _labels(_recall),
    "falseDenialRate": _labels(_false_denials),
    "falseApprovalRate": _labels(_false_approvals),
    "unparseableRate": _labels(_unparseable),
    "acceptance": _acceptance,
    "editRate": _edit_rate,
    "satisfaction": _satisfaction,
    "errorRate": _error_rate,
    **{metric: _latency(metric) for metric in QUANTILES},
}
