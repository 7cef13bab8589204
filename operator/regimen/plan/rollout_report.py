"""What is said of a rollout: phase, message, conditions, events."""

from regimen.plan.actions import Action, Event, Plan, SetFinalizer, Verdict
from regimen.plan.common import FINALIZER, Owner
from regimen.plan.comparison import comparison_says
from regimen.plan.evidence import arms_status, unmeasured
from regimen.plan.exchange import Done, Hold
from regimen.plan.memory import Memory
from regimen.plan.rollout_facts import Context, RolloutFacts, current_step
from regimen.plan.rollout_pace import estimate
from regimen.spec.phases import RolloutPhase
from regimen.spec.rollout import ModelRolloutStatus, RollbackSeconds, Weight


def plain(
    phase: RolloutPhase,
    reason: str,
    message: str,
    actions: tuple[Action, ...] = (),
    *,
    stalled: bool = False,
    again_after: float = 5.0,
) -> Plan:
    """A rollout that has not begun."""
    conditions = (
        Verdict("Ready", not stalled, reason, message),
        Verdict("Promoted", False, reason if stalled else phase.value, message),
        Verdict("Stalled", stalled, reason, message),
    )
    events = (Event(reason, message, warning=stalled),)
    return Plan(ModelRolloutStatus(phase=phase, message=message), conditions, actions, events, again_after)


def report(context: Context, before: Memory, memory: Memory, actions: tuple[Action, ...], hold: Hold | Done) -> Plan:
    """A rollout under way, or one that ends with this pass."""
    phase = _phase(context, memory)
    message = _with_lack(context, memory, _message(context, memory, hold))
    failed = phase in {RolloutPhase.ROLLED_BACK, RolloutPhase.INVALID}
    reason = memory.reason if memory.outcome == "RollBack" else phase.value
    conditions = (
        Verdict("Ready", not failed, reason, message),
        Verdict("Promoted", phase is RolloutPhase.PROMOTED, reason, message),
        Verdict("Stalled", False, reason, message),
    )
    new = memory.history[len(before.history) :] if len(memory.history) > len(before.history) else memory.history[-1:]
    events = tuple(
        Event("RolledBack" if memory.outcome == "RollBack" else "Rollout", entry.what, warning=memory.outcome == "RollBack")
        for entry in (new if memory.history != before.history else [])
    )
    positive, estimated = context.spec.analysis.positive, _estimated(context, memory)
    status = _status(context.facts, context.spec.to_ref.name, phase, message, memory, positive, estimated)
    return Plan(status, conditions, actions, events, again_after=1.0)


def ended(owner: Owner, facts: RolloutFacts, memory: Memory, actions: tuple[Action, ...] = ()) -> Plan:
    """Nothing moves any more. The finalizer has done its work."""
    phase = end_of(memory)
    message = memory.why
    release = (SetFinalizer(False),) if FINALIZER in owner.finalizers else ()
    conditions = (
        Verdict("Ready", phase is RolloutPhase.PROMOTED, memory.reason, message),
        Verdict("Promoted", phase is RolloutPhase.PROMOTED, memory.reason if phase is RolloutPhase.PROMOTED else phase.value, message),
        Verdict("Stalled", False, memory.reason, message),
    )
    return Plan(_status(facts, facts.candidate.version, phase, message, memory), conditions, (*release, *actions), again_after=300)


def _status(
    facts: RolloutFacts, to_ref: str, phase: RolloutPhase, message: str, memory: Memory, positive: str = "DENIED",
    estimated: RollbackSeconds | None = None,
) -> ModelRolloutStatus:  # fmt: skip
    if memory.ended:  # what is routed now is another rollout's business
        actual = 100.0 if memory.outcome == "Promote" else 0.0
    else:
        told = [state.candidate.weight for state in facts.routers if state.candidate is not None and state.candidate.version == to_ref]
        actual = max(told, default=0.0)
    fraction = facts.service.feedback.audit_fraction if facts.service is not None else 1.0
    arms = memory.arms or arms_status(facts.evidence, memory.stable_ref, to_ref, fraction, positive)
    measured = None
    if arms is not None and arms.stable is not None and arms.candidate is not None and arms.stable.requests + arms.candidate.requests:
        measured = round(100 * arms.candidate.requests / (arms.stable.requests + arms.candidate.requests), 1)
    took = None
    if memory.traffic_off is not None:
        took = RollbackSeconds(traffic_off=memory.traffic_off, capacity_restored=memory.capacity_restored)
    return ModelRolloutStatus(
        phase=phase, message=message, current_step=memory.step,
        weight=Weight(requested=memory.requested_weight, actual=actual, measured=measured),
        candidate_replicas=facts.candidate.ready, estimated_rollback_seconds=estimated, rollback_seconds=took,
        arms=arms, verdict=memory.verdict, power=memory.power, command=memory.command, report_uri=memory.report_uri, history=memory.history,
    )  # fmt: skip


def _estimated(context: Context, memory: Memory) -> RollbackSeconds | None:
    """From where the step under way leads."""
    if memory.outcome == "RollBack" or memory.ended:
        return None
    step = current_step(context.spec, memory)
    leads_to = step.set_replicas if step is not None and step.set_replicas is not None else 0
    return estimate(context.spec, context.service, max(leads_to, context.facts.candidate.replicas), memory)


def _phase(context: Context, memory: Memory) -> RolloutPhase:
    if memory.outcome is not None:
        moving = RolloutPhase.ROLLING_BACK if memory.outcome == "RollBack" else RolloutPhase.PROMOTING
        return end_of(memory) if memory.ended else moving
    if not memory.prepared:
        return RolloutPhase.PREPARING
    step = current_step(context.spec, memory)
    if context.paused(memory) or (step is not None and step.pause is not None):
        return RolloutPhase.PAUSED
    return RolloutPhase.ANALYZING if step is not None and step.analysis is not None else RolloutPhase.PROGRESSING


def _message(context: Context, memory: Memory, hold: Hold | Done) -> str:
    if memory.outcome is not None:
        return memory.why + (f"; {hold.reason}" if isinstance(hold, Hold) and not memory.ended else "")
    if not memory.prepared and isinstance(hold, Hold):
        return hold.reason
    number, total = memory.step + 1, len(context.spec.strategy.steps)
    if memory.lent_since is not None:
        what = "replicas that stepped aside are coming back" if memory.returned_at else "training has borrowed a card of this service"
        return f"step {number} of {total}: {what}; the clock stands still"
    step = current_step(context.spec, memory)
    if step is not None and step.analysis is not None and memory.verdict is not None:
        paired = context.spec.analysis.primary.evidence == "Paired"
        more = comparison_says(context.facts.paired) if paired else ""
        return f"step {number} of {total}, analysis: {memory.verdict.reason}" + (f"; {more}" if more else "")
    if context.facts.evidence is None and memory.evidence_since is not None:
        return f"step {number} of {total}: the feedback service cannot be asked; nothing is promoted meanwhile"
    return f"step {number} of {total}" + (f": {hold.reason}" if isinstance(hold, Hold) else "")


def _with_lack(context: Context, memory: Memory, message: str) -> str:
    """A guardrail without a number is said from the first step on, long before promotion has to wait for it."""
    lack = unmeasured(context) if memory.outcome is None else ""
    return message if not lack or lack in message else f"{message}; promotion waits: {lack}"


def end_of(memory: Memory) -> RolloutPhase:
    """A test whose subjects did not split as asked says nothing about the version: Invalid, though rolled back all the same."""
    if memory.outcome == "Promote":
        return RolloutPhase.PROMOTED
    return RolloutPhase.INVALID if memory.reason == "SampleRatioMismatch" else RolloutPhase.ROLLED_BACK
