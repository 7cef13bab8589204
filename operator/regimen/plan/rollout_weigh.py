"""What the evidence does to a rollout: it is judged in the analysis step, and watched in every other one."""

from regimen.plan.evidence import Weighed, arms_status, find_arm, judge_evidence, watch_evidence
from regimen.plan.memory import Memory, TimelinePoint
from regimen.plan.power import estimate
from regimen.plan.rollout_facts import Context, current_step
from regimen.spec.meta import parse_duration
from regimen.spec.rollout import Arms
from regimen.spec.routing import ArmEvidence

KEPT_PER_RUN = 100
"""Points of evidence kept over maxDuration, besides looks."""


def weigh(context: Context, memory: Memory) -> Memory:
    """Judge the evidence: in the analysis step to decide, in every other step only to stop."""
    facts, routing = context.facts, context.facts.routing
    on_candidate = routing is not None and routing.candidate is not None and routing.candidate.weight > 0
    if memory.evidence_since is None and on_candidate and facts.applied:
        memory = memory.model_copy(update={"evidence_since": context.now})
    memory = _say_power(context, _follow_epoch(context, memory))
    if memory.evidence_since is None or routing is None or routing.candidate is None:
        return _time_is_up(context, memory)
    if facts.evidence is None:
        return _time_is_up(context, _watch_queries(context, memory))
    stable, candidate = find_arm(facts.evidence, memory.stable_ref), find_arm(facts.evidence, context.spec.to_ref.name)
    analysis, share, step = context.spec.analysis, routing.candidate.weight / 100, current_step(context.spec, memory)
    before = memory.looks_taken
    if step is not None and step.analysis is not None:
        elapsed = context.now - memory.step_since
        result = judge_evidence(candidate, stable, analysis, before, elapsed, share, _pairs(context), facts.measured)
        memory = memory.model_copy(update={"verdict": result.verdict, "looks_taken": result.verdict.look})
        memory = _keep_point(context, memory, result, before)
    else:
        result = watch_evidence(candidate, stable, analysis, before, share, facts.measured)
    if result.verdict.decision != "Continue":
        memory = memory.model_copy(update={"verdict": result.verdict, "arms": _arms(context, memory)})
    if result.verdict.decision == "RollBack":
        return memory.rolling_back(context.iso, context.now, result.reason, result.verdict.reason, at_once=result.at_once)
    return memory


def _watch_queries(context: Context, memory: Memory) -> Memory:
    """While the feedback service is silent, guardrails that ask Prometheus roll back all the same."""
    candidate, stable = ArmEvidence(version=context.spec.to_ref.name), ArmEvidence(version=memory.stable_ref)
    verdict = watch_evidence(candidate, stable, context.spec.analysis, memory.looks_taken, 0.0, context.facts.measured).verdict
    if verdict.decision != "RollBack":
        return memory
    return memory.model_copy(update={"verdict": verdict}).rolling_back(context.iso, context.now, "NotPromoted", verdict.reason)


def _time_is_up(context: Context, memory: Memory) -> Memory:
    """Without evidence nothing is judged, and maxDuration ends the analysis all the same."""
    step, limit = current_step(context.spec, memory), context.spec.analysis.max_duration
    if memory.outcome is not None or step is None or step.analysis is None or context.now - memory.step_since < parse_duration(limit):
        return memory
    return memory.rolling_back(
        context.iso, context.now, "NotPromoted", f"Undecided after maxDuration {limit}: the feedback service cannot be asked"
    )


def _pairs(context: Context) -> tuple[tuple[int, int, int], ...]:
    return context.facts.paired.groups if context.facts.paired is not None else ()


def _follow_epoch(context: Context, memory: Memory) -> Memory:
    epoch = context.facts.routing.epoch if context.facts.routing is not None else "-"
    if not epoch.startswith(context.owner.uid) or epoch == memory.epoch:
        return memory
    return memory.model_copy(update={"epoch": epoch, "epoch_since": context.now})


def _say_power(context: Context, memory: Memory) -> Memory:
    """What the test can show: said when the rollout begins, and again when it turns out otherwise; once it is decided, no more."""
    if memory.passed:
        return memory
    power = estimate(context, memory, sum(cases for cases, _, _ in _pairs(context)))
    before = memory.power
    changed = before is None or (before.enough, before.by is None) != (power.enough, power.by is None)
    if not changed and not _is_due(context, memory.power_at):
        return memory
    memory = memory.model_copy(update={"power": power, "power_at": context.now})
    return memory.noting(context.iso, f"power: {power.note}") if changed else memory


def _keep_point(context: Context, memory: Memory, result: Weighed, before: int) -> Memory:
    """Looks and decisions are kept, and what lies between them now and then."""
    point = result.point(context.iso, before)
    if point is None:
        return memory
    if point.look is None and result.verdict.decision == "Continue" and not _is_due(context, memory.point_at):
        return memory
    return memory.seeing(point).model_copy(update={"point_at": context.now})


def _is_due(context: Context, last: float | None) -> bool:
    """Whether it is time to keep what changes all the while."""
    rest = parse_duration(context.spec.analysis.max_duration) / KEPT_PER_RUN
    return last is None or context.now - last >= rest


def keep_picture(context: Context, memory: Memory) -> Memory:
    """Replicas and weight as they are seen; and both arms' figures, once it is decided that they go apart."""
    facts = context.facts
    candidate = facts.routing.candidate if facts.routing is not None and facts.applied else None
    weight = candidate.weight if candidate is not None else memory.timeline[-1].weight if memory.timeline else 0.0
    memory = memory.showing(TimelinePoint(at=context.iso, stable=facts.stable.ready, candidate=facts.candidate.ready, weight=weight))
    if memory.outcome is None or memory.arms is not None or facts.evidence is None:
        return memory
    return memory.model_copy(update={"arms": _arms(context, memory)})


def _arms(context: Context, memory: Memory) -> Arms | None:
    fraction, positive = context.service.feedback.audit_fraction, context.spec.analysis.positive
    return arms_status(context.facts.evidence, memory.stable_ref, context.spec.to_ref.name, fraction, positive)
