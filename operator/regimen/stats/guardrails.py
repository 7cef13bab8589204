"""What must not get worse: each guardrail's figures, and whether they exceed its limit.

Knows figures and the spec's Guardrail. A guardrail of bound Point is judged by the estimate: from minSamples on, one too high breaks it.
What people say of answers varies so much in small samples that estimates, looked at again and again, would roll good candidates back:
with bound Harm a guardrail breaks when an always-valid bound (Robbins' mixture) shows the figure beyond the limit, and until then an
estimate beyond it only holds promotion back. A latency's bound is that of the share of answers slower than the limit.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from math import sqrt
from typing import Literal

from regimen.spec.rollout import Guardrail, Metric
from regimen.spec.routing import LATENCY_BUCKETS_MS, ArmEvidence
from regimen.stats.histogram import share_above
from regimen.stats.metrics import QUANTILES, Figure, measure, timings
from regimen.stats.proportions import moderated
from regimen.stats.sequential import mixture_boundary

POINT: frozenset[Metric] = frozenset({"errorRate", "unparseableRate", *QUANTILES})
"""Metrics whose bound is Point where nothing is said."""


@dataclass(frozen=True)
class Measured:
    """What Prometheus says to a query. value: its one number; None: there is none, and `lack` says why and what to do.

    refused: it cannot read the query, so asking again will not help.
    """

    value: float | None
    lack: str = ""
    refused: bool = False


@dataclass(frozen=True)
class Reading:
    """What one guardrail says. excess: how far beyond the limit (0 or less: within), in the metric's unit; None: it cannot speak.

    broken: roll back. says: a clause with the figures, for people.
    """

    label: str
    excess: float | None
    broken: bool
    says: str

    @property
    def permits(self) -> bool:
        """Whether promotion may go on: it speaks, and the estimate is within the limit."""
        return self.excess is not None and self.excess <= 0

    @property
    def state(self) -> Literal["Within", "Beyond", "Broken", "Silent"]:
        """In one word."""
        if self.excess is None:
            return "Silent"
        return "Broken" if self.broken else "Within" if self.permits else "Beyond"


def bound_of(rail: Guardrail) -> Literal["Point", "Harm"]:
    """What the guardrail asks for, or its metric's usual bound."""
    return rail.bound or ("Point" if rail.metric is None or rail.metric in POINT else "Harm")


def read(
    rail: Guardrail,
    candidate: ArmEvidence,
    stable: ArmEvidence,
    alpha: float,
    positive: str,
    measured: Mapping[str, Measured] | None = None,
) -> Reading:
    """Judge one guardrail. A comparison needs minSamples in both arms, a `max` those of the candidate alone.

    alpha: one-sided probability that chance ever breaks one of bound Harm. positive: the label a denial has. measured: what Prometheus
    answered, by the guardrail's name.

    >>> arm = ArmEvidence(version="b", requests=200, errors=10)
    >>> read(Guardrail(metric="errorRate", max=0.01), arm, arm, 0.05, "DENIED").says
    'errorRate is 0.05 over 200 samples, allowed is 0.01'
    """
    if rail.metric is None:
        return read_query(rail, measured or {})
    ours, theirs = (measure(rail.metric, arm, positive) for arm in (candidate, stable))
    needed = [ours] if rail.max is not None else [ours, theirs]
    if ours is None or any(figure is None or figure.samples < rail.min_samples for figure in needed):
        have = " and ".join(str(figure.samples if figure else 0) for figure in needed)
        return Reading(rail.label, None, False, f"{rail.metric} needs {rail.min_samples} samples per arm and has {have}")
    limit, baseline_weight = _limit(rail, theirs)
    sign = -1.0 if rail.max_decrease is not None else 1.0
    excess = sign * (ours.value - limit)
    says = f"{rail.metric} is {ours.value:.4g} over {ours.samples} samples, allowed is {limit:.4g}"
    if bound_of(rail) == "Point":
        return Reading(rail.label, excess, excess > 0, says)
    samples = min(figure.samples for figure in needed if figure)
    boundary = mixture_boundary(samples, rail.min_samples, alpha)
    if rail.metric in QUANTILES:
        return Reading(rail.label, excess, _slower(rail.metric, candidate, stable if baseline_weight else None, limit, boundary), says)
    spread = sqrt(ours.variance + (theirs.variance * baseline_weight**2 if theirs else 0.0))
    return Reading(rail.label, excess, excess >= boundary * spread, says)


def read_query(rail: Guardrail, measured: Mapping[str, Measured]) -> Reading:
    """Judge a guardrail that asks Prometheus. One that was not asked is silent, too.

    >>> rail = Guardrail.model_validate({"name": "heat", "prometheus": {"query": "max(celsius)"}, "max": 83})
    >>> read_query(rail, {"heat": Measured(91.0)}).says
    'heat is 91, allowed is 83'
    """
    found = measured.get(rail.label, Measured(None, "Prometheus is not asked; set the chart's prometheus.url"))
    if found.value is None:
        return Reading(rail.label, None, False, f"{rail.label}: {found.lack}")
    excess = found.value - (rail.max or 0.0)
    return Reading(rail.label, excess, excess > 0, f"{rail.label} is {found.value:g}, allowed is {rail.max:g}")


def _limit(rail: Guardrail, stable: Figure | None) -> tuple[float, float]:
    """The value allowed, and the weight of the stable arm's value in it (0 for an absolute limit)."""
    if rail.max is not None or stable is None:
        return rail.max or 0.0, 0.0
    change = rail.max_increase if rail.max_increase is not None else -(rail.max_decrease or 0.0)
    if rail.metric in QUANTILES:
        return stable.value * (1 + change), 1 + change
    return stable.value + change, 1.0


def _slower(metric: Metric, candidate: ArmEvidence, stable: ArmEvidence | None, limit: float, boundary: float) -> bool:
    """Whether more of the candidate's answers than the quantile leaves are shown to be slower than the limit. Where the limit follows from
    the stable arm's quantile, the uncertainty of that is that of the share above it."""
    left = 1 - QUANTILES[metric]
    counts = timings(metric, candidate)
    above, number = share_above(counts, LATENCY_BUCKETS_MS, limit), sum(counts)
    spread = moderated(above, number)
    if stable is not None:
        spread += moderated(left, sum(timings(metric, stable)))
    return above - left >= boundary * sqrt(spread)
