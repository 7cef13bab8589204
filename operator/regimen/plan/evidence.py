"""From the feedback service's counts to a verdict in the API's words, by `regimen.stats`."""

from dataclasses import dataclass

from regimen.spec.rollout import Analysis, ArmFigures, Arms, Verdict
from regimen.spec.routing import LATENCY_BUCKETS_MS, ArmEvidence, Evidence
from regimen.stats.histogram import quantile
from regimen.stats.verdict import Judgement, judge, watch

POSITIVE = "DENIED"
NEGATIVE = "APPROVED"


@dataclass(frozen=True)
class Weighed:
    """A verdict, and how a rollback for it is done."""

    verdict: Verdict
    reason: str
    at_once: bool


def find_arm(evidence: Evidence, version: str) -> ArmEvidence:
    return next((arm for arm in evidence.arms if arm.version == version), ArmEvidence(version=version))


def judge_evidence(
    candidate: ArmEvidence, stable: ArmEvidence, analysis: Analysis, looks_taken: int, elapsed: float, candidate_share: float
) -> Weighed:
    """In the analysis step: promote, roll back or go on; see `regimen.stats.verdict.judge`."""
    return _weighed(
        judge(
            candidate,
            stable,
            analysis,
            looks_taken=looks_taken,
            elapsed=elapsed,
            candidate_share=candidate_share,
            positive=POSITIVE,
        )
    )


def watch_evidence(candidate: ArmEvidence, stable: ArmEvidence, analysis: Analysis, looks_taken: int, candidate_share: float) -> Weighed:
    """In every other step: only what must stop a rollout; see `regimen.stats.verdict.watch`."""
    return _weighed(watch(candidate, stable, analysis, looks_taken=looks_taken, candidate_share=candidate_share, positive=POSITIVE))


def _weighed(result: Judgement) -> Weighed:
    mismatch = result.sample_ratio == "Mismatch"
    reason = "SampleRatioMismatch" if mismatch else "Harm" if result.harmed else "NotPromoted"
    return Weighed(result.as_verdict(), reason, at_once=result.harmed or mismatch)


def arms_status(evidence: Evidence | None, stable_ref: str, candidate_ref: str) -> Arms | None:
    if evidence is None:
        return None
    return Arms(stable=_figures(find_arm(evidence, stable_ref)), candidate=_figures(find_arm(evidence, candidate_ref)))


def _figures(arm: ArmEvidence) -> ArmFigures:
    denied_right, denied = arm.true_positive.get(POSITIVE, 0), arm.predicted.get(POSITIVE, 0)
    return ArmFigures(
        version=arm.version,
        requests=arm.requests,
        errors=arm.errors,
        latency_p95_ms=_rounded(quantile(arm.latency, LATENCY_BUCKETS_MS, 0.95), 1),
        labelled=arm.labelled,
        agreement=_ratio(arm.agreed, arm.labelled),
        precision=_ratio(denied_right, denied),
        recall=_ratio(denied_right, arm.expert.get(POSITIVE, 0)),
        false_denial_rate=_ratio(denied - denied_right, arm.expert.get(NEGATIVE, 0)),
        satisfaction=_ratio(arm.satisfaction_sum, arm.satisfaction_of),
    )


def _ratio(part: float, whole: float) -> float | None:
    return _rounded(part / whole, 4) if whole else None


def _rounded(value: float | None, digits: int) -> float | None:
    return None if value is None else round(value, digits)
