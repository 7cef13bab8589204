"""What must not get worse: each guardrail's figures, and whether they exceed its limit.

Knows the arms' counts and the spec's Guardrail. Figures of operation (errorRate, latencyP95, unparseableRate) are judged by
their estimate: from min_samples on, one too high breaks the guardrail. Figures of opinion (falseDenialRate, satisfaction) vary so
much in small samples that estimates, looked at again and again, would roll good candidates back: they break the guardrail when an
always-valid bound (Robbins' mixture) shows them beyond the limit, and until then an estimate beyond it only holds promotion back.
"""

from collections.abc import Callable
from dataclasses import dataclass
from math import sqrt

from regimen.spec.rollout import Guardrail, GuardrailMetric
from regimen.spec.routing import LATENCY_BUCKETS_MS, ArmEvidence
from regimen.stats.histogram import quantile
from regimen.stats.proportions import ArmSample, design_effect
from regimen.stats.sequential import mixture_boundary

OPINION: frozenset[GuardrailMetric] = frozenset({"falseDenialRate", "satisfaction"})
"""Metrics that break a guardrail only when shown to be beyond its limit."""
SCALE = (1.0, 5.0)
"""Lowest and highest satisfaction."""


@dataclass(frozen=True)
class Figure:
    """One arm's value of a metric, from how many samples, and the variance of the value (0: not used)."""

    value: float
    samples: int
    variance: float = 0.0


@dataclass(frozen=True)
class Reading:
    """What one guardrail says. excess: how far beyond the limit (0 or less: within), in the metric's unit; None: it cannot speak.

    broken: roll back. says: a clause with the figures, for people.
    """

    metric: GuardrailMetric
    excess: float | None
    broken: bool
    says: str

    @property
    def permits(self) -> bool:
        """Whether promotion may go on: it speaks, and the estimate is within the limit."""
        return self.excess is not None and self.excess <= 0


def read(rail: Guardrail, candidate: ArmEvidence, stable: ArmEvidence, alpha: float, positive: str | None) -> Reading:
    """Judge one guardrail. A comparison needs min_samples in both arms, a `max` those of the candidate alone.

    alpha: one-sided probability that chance ever breaks it (metrics of opinion). positive: the label a denial has.

    >>> arm = ArmEvidence(version="b", requests=200, errors=10)
    >>> read(Guardrail(metric="errorRate", max=0.01), arm, arm, 0.05, None).says
    'errorRate is 0.05 over 200 samples, allowed is 0.01'
    """
    ours, theirs = (measure(rail.metric, arm, positive) for arm in (candidate, stable))
    needed = [ours] if rail.max is not None else [ours, theirs]
    if ours is None or any(figure is None or figure.samples < rail.min_samples for figure in needed):
        have = " and ".join(str(figure.samples if figure else 0) for figure in needed)
        return Reading(rail.metric, None, False, f"{rail.metric} needs {rail.min_samples} samples per arm and has {have}")
    limit, baseline_weight = _limit(rail, theirs)
    sign = -1.0 if rail.max_decrease is not None else 1.0
    excess = sign * (ours.value - limit)
    says = f"{rail.metric} is {ours.value:.4g} over {ours.samples} samples, allowed is {limit:.4g}"
    if rail.metric not in OPINION:
        return Reading(rail.metric, excess, excess > 0, says)
    spread = sqrt(ours.variance + (theirs.variance * baseline_weight**2 if theirs else 0.0))
    samples = min(figure.samples for figure in needed if figure)
    return Reading(rail.metric, excess, excess >= mixture_boundary(samples, rail.min_samples, alpha) * spread, says)


def measure(metric: GuardrailMetric, arm: ArmEvidence, positive: str | None = None) -> Figure | None:
    """One arm's figure; None where nothing was counted or the task lacks the metric.

    >>> given = {"DENIED": 25, "APPROVED": 100}
    >>> arm = ArmEvidence(version="b", predicted={"DENIED": 30}, true_positive={"DENIED": 20}, expert=given)
    >>> figure = measure("falseDenialRate", arm, "DENIED")
    >>> figure and (figure.value, figure.samples)
    (0.1, 100)
    """
    figure = _MEASURES[metric](arm, positive)
    return figure if figure.samples > 0 else None


def _limit(rail: Guardrail, stable: Figure | None) -> tuple[float, float]:
    """The value allowed, and the weight of the stable arm's value in it (0 for an absolute limit)."""
    if rail.max is not None or stable is None:
        return rail.max or 0.0, 0.0
    change = rail.max_increase if rail.max_increase is not None else -(rail.max_decrease or 0.0)
    if rail.metric == "latencyP95":
        return stable.value * (1 + change), 1 + change
    return stable.value + change, 1.0


def _share(count: int, of: int, widened: float) -> Figure:
    """A proportion with its Agresti-Caffo variance on of / widened samples. Raises ValueError for impossible counts."""
    if not 0 <= count <= of:
        raise ValueError(f"{count} of {of} is not a proportion")
    effective = of / widened
    moderated = (count / of * effective + 1) / (effective + 2) if of else 0.5
    return Figure(count / of if of else 0.0, of, moderated * (1 - moderated) / (effective + 2))


def _error_rate(arm: ArmEvidence, _: str | None) -> Figure:
    """Errors per request; above 1 where retried attempts failed too."""
    return Figure(arm.errors / arm.requests if arm.requests else 0.0, arm.requests)


def _unparseable_rate(arm: ArmEvidence, _: str | None) -> Figure:
    return Figure(arm.unparseable / arm.labelled if arm.labelled else 0.0, arm.labelled)


def _latency_p95(arm: ArmEvidence, _: str | None) -> Figure:
    return Figure(quantile(arm.latency, LATENCY_BUCKETS_MS, 0.95) or 0.0, sum(arm.latency))


def _false_denial_rate(arm: ArmEvidence, positive: str | None) -> Figure:
    """Of the answers that experts did not give the positive label, the share predicted positive; clustering as for agreement."""
    if positive is None:
        return Figure(0.0, 0)
    negatives = sum(count for label, count in arm.expert.items() if label != positive)
    false_positives = arm.predicted.get(positive, 0) - arm.true_positive.get(positive, 0)
    return _share(false_positives, negatives, design_effect(ArmSample(tuple(arm.clusters))))


def _satisfaction(arm: ArmEvidence, _: str | None) -> Figure:
    """The mean. Its variance is at most (5 - mean) (mean - 1) / n (Bhatia and Davis, 2000), with an answer at each end added."""
    if arm.satisfaction_of == 0:
        return Figure(0.0, 0)
    low, high = SCALE
    mean = arm.satisfaction_sum / arm.satisfaction_of
    moderated = (arm.satisfaction_sum + low + high) / (arm.satisfaction_of + 2)
    return Figure(mean, arm.satisfaction_of, (high - moderated) * (moderated - low) / (arm.satisfaction_of + 2))


_MEASURES: dict[GuardrailMetric, Callable[[ArmEvidence, str | None], Figure]] = {
    "errorRate": _error_rate,
    "unparseableRate": _unparseable_rate,
    "latencyP95": _latency_p95,
    "falseDenialRate": _false_denial_rate,
    "satisfaction": _satisfaction,
}
