"""From the feedback service's counts to a verdict in the API's words, by `regimen.stats`; and what of it a rollout remembers."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from math import isfinite

from regimen.plan.memory import EvidencePoint, Memory
from regimen.plan.rollout_facts import Context
from regimen.spec.rollout import Analysis, ArmFigures, Arms, Metric, Verdict
from regimen.spec.routing import ArmEvidence, Evidence
from regimen.stats.guardrails import Measured, read_query
from regimen.stats.metrics import measure
from regimen.stats.primary import Group
from regimen.stats.verdict import Judgement, judge, watch


@dataclass(frozen=True)
class Weighed:
    """A verdict, how a rollback for it is done, and what the report shows of it."""

    verdict: Verdict
    reason: str
    at_once: bool
    judgement: Judgement

    def point(self, at: str, taken: int) -> EvidencePoint | None:
        """What is kept of this moment, if there is evidence. taken: looks taken before."""
        judgement = self.judgement
        if judgement.effect is None or judgement.z is None or len(self.verdict.interval) != 2:
            return None
        low, high = self.verdict.interval
        return EvidencePoint(
            at=at, look=judgement.look if judgement.look > taken else None, fraction=judgement.information_fraction,
            effect=self.verdict.effect or 0.0, low=low, high=high, z=judgement.z,
            boundary=judgement.boundary if isfinite(judgement.boundary) else None,
        )  # fmt: skip


def find_arm(evidence: Evidence, version: str) -> ArmEvidence:
    return next((arm for arm in evidence.arms if arm.version == version), ArmEvidence(version=version))


def judge_evidence(
    candidate: ArmEvidence,
    stable: ArmEvidence,
    analysis: Analysis,
    looks_taken: int,
    elapsed: float,
    candidate_share: float,
    pairs: Sequence[Group] = (),
    measured: Mapping[str, Measured] | None = None,
) -> Weighed:
    """In the analysis step: promote, roll back or go on; see `regimen.stats.verdict.judge`."""
    return _weighed(
        judge(
            candidate, stable, analysis, looks_taken=looks_taken, elapsed=elapsed, candidate_share=candidate_share, pairs=pairs,
            measured=measured,
        )
    )  # fmt: skip


def watch_evidence(
    candidate: ArmEvidence,
    stable: ArmEvidence,
    analysis: Analysis,
    looks_taken: int,
    candidate_share: float,
    measured: Mapping[str, Measured] | None = None,
) -> Weighed:
    """In every other step: only what must stop a rollout; see `regimen.stats.verdict.watch`."""
    return _weighed(watch(candidate, stable, analysis, looks_taken=looks_taken, candidate_share=candidate_share, measured=measured))


def _weighed(result: Judgement) -> Weighed:
    mismatch = result.sample_ratio == "Mismatch"
    reason = "SampleRatioMismatch" if mismatch else "Harm" if result.harmed else "NotPromoted"
    return Weighed(result.as_verdict(), reason, result.harmed or mismatch, result)


def evidence_missing(context: Context) -> tuple[str, str] | None:
    """Why the evidence that the analysis asks for can never come, by what is set up: reason and message."""
    analysis, service = context.spec.analysis, context.service
    if analysis.primary.evidence == "Live" and service.feedback.audit_fraction == 0:
        return (
            "NoAuditSample",
            f"serviceRef.name: {context.service_owner.name} draws no answers for audit, and labels that people chose to give show nothing "
            "for certain; set its feedback.auditFraction, to 1 where every answer is labelled",
        )
    queries = [rail.label for rail in analysis.guardrails if rail.prometheus is not None]
    if queries and not context.settings.prometheus_url:
        return (
            "NoPrometheus",
            f"analysis.guardrails: {queries[0]} asks Prometheus, whose address the chart does not have; set prometheus.url",
        )
    refused = [f"{label}: {said.lack}" for label in queries if (said := context.facts.measured.get(label)) is not None and said.refused]
    return ("QueryRefused", f"analysis.guardrails: {refused[0]}") if refused else None


def unmeasured(context: Context) -> str:
    """Guardrails that asked Prometheus and got no number, each with its remedy; empty where there is none."""
    if context.spec.undo:
        return ""
    readings = [read_query(rail, context.facts.measured) for rail in context.spec.analysis.guardrails if rail.prometheus is not None]
    return "; ".join(reading.says for reading in readings if reading.state == "Silent")


def unwatched(context: Context, memory: Memory) -> str:
    """Why the analysis, though passed, moves nothing more now: guardrails cannot be watched. A person's word is not held back."""
    if context.spec.undo or not memory.passed or memory.by_hand or memory.outcome is not None:
        return ""
    return (
        unmeasured(context) if context.facts.evidence is not None else "the feedback service cannot be asked, so guardrails are not watched"
    )


def arms_status(
    evidence: Evidence | None, stable_ref: str, candidate_ref: str, audit_fraction: float = 1.0, positive: str = "DENIED"
) -> Arms | None:
    """Both arms' figures as the status shows them. audit_fraction: the share of answers that is drawn for audit."""
    if evidence is None:
        return None
    stable, candidate = (_figures(find_arm(evidence, ref), audit_fraction, positive) for ref in (stable_ref, candidate_ref))
    return Arms(stable=stable, candidate=candidate)


def _figures(arm: ArmEvidence, audit_fraction: float, positive: str) -> ArmFigures:
    def value(metric: Metric, digits: int = 4) -> float | None:
        figure = measure(metric, arm, positive)
        return round(figure.value, digits) if figure is not None else None

    drawn = arm.audited if arm.audited is not None else arm.requests * audit_fraction
    return ArmFigures(
        version=arm.version, requests=arm.requests, errors=arm.errors,
        latency_p50_ms=value("latencyP50", 1), latency_p95_ms=value("latencyP95", 1), latency_p99_ms=value("latencyP99", 1),
        time_to_first_token_p95_ms=value("timeToFirstTokenP95", 1),
        labelled=arm.labelled, label_coverage=min(1.0, round(arm.labelled / drawn, 4)) if drawn else None,
        agreement=value("agreement"), precision=value("precision"), recall=value("recall"),
        false_denial_rate=value("falseDenialRate"), false_approval_rate=value("falseApprovalRate"), unparseable_rate=value("unparseableRate"),
        acceptance=value("acceptance"), edit_rate=value("editRate"), satisfaction=value("satisfaction"),
    )  # fmt: skip
