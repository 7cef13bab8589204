"""ModelRollout: move replicas, then traffic, as far as the steps and the evidence allow; promote or roll back.

One pass: judge the evidence, advance the memory, then make the one move that the memory and the live state ask for. Moves are
derived from what is seen, never from what an earlier pass meant to do, so a crash between any two of them changes nothing.
"""

from regimen.plan.actions import Apply, Plan, Scale, SetFinalizer
from regimen.plan.common import FINALIZER, Owner, Settings
from regimen.plan.evidence import arms_status, find_arm, judge_evidence, watch_evidence
from regimen.plan.exchange import Done, next_move
from regimen.plan.memory import Memory, memory_map
from regimen.plan.rollout_facts import Context, RolloutFacts, current_step
from regimen.plan.rollout_lending import follow_loan
from regimen.plan.rollout_moves import next_actions, promote, rolled_back
from regimen.plan.rollout_report import ended, plain, report
from regimen.plan.service import gguf_for
from regimen.spec.meta import parse_duration
from regimen.spec.phases import RolloutPhase
from regimen.spec.rollout import ModelRolloutSpec, Step


def decide(owner: Owner, spec: ModelRolloutSpec, facts: RolloutFacts, settings: Settings, now: float) -> Plan:
    """One pass over a rollout."""
    memory = facts.memory
    if memory is not None and memory.ended:
        return ended(owner, facts, memory)
    if facts.service_owner is None or facts.service is None:
        return _without_service(owner, spec)
    context = Context(owner, spec, facts, settings, now, facts.service_owner, facts.service)
    if memory is None:
        return _begin(context)
    advanced = _advance(context, memory)
    actions, hold = next_actions(context, advanced)
    if advanced.outcome == "Promote":
        actions, advanced, hold = promote(context, advanced, actions, hold)
    elif memory.outcome == "RollBack" and not actions and isinstance(hold, Done):
        actions, advanced = rolled_back(context, advanced)
    moved = any(isinstance(action, Scale) for action in actions)
    if moved:
        advanced = advanced.model_copy(update={"moved_at": now})
    remember = (Apply(memory_map(owner, advanced)),) if advanced != memory else ()
    # Once it says that all is done, nobody looks again: so that is written last, anything else before it is acted on.
    ordered = (*actions, *remember) if advanced.ended else (*remember, *actions)
    return report(context, memory, advanced, ordered, hold)


def _without_service(owner: Owner, spec: ModelRolloutSpec) -> Plan:
    release = (SetFinalizer(False),) if FINALIZER in owner.finalizers and owner.deleting else ()
    text = f"serviceRef.name: ModelService {spec.service_ref.name} does not exist; create it"
    return plain(RolloutPhase.PENDING, "ServiceMissing", text, release)


def _begin(context: Context) -> Plan:
    """Check what must hold before anything moves; then remember what to return to."""
    owner, facts = context.owner, context.facts
    if owner.deleting:
        return plain(RolloutPhase.PENDING, "Deleted", "deleted before it began", (SetFinalizer(False),))
    if facts.before:
        return plain(RolloutPhase.PENDING, "WaitingForRollout", f"rollout {facts.before[0]} of the same service comes first")
    invalid, waiting = _invalid(context), _waiting(context)
    if waiting is not None:
        return plain(RolloutPhase.PENDING, *waiting)
    if invalid is not None:
        return plain(RolloutPhase.INVALID, *invalid, stalled=True)
    if FINALIZER not in owner.finalizers:
        return plain(RolloutPhase.PENDING, "Beginning", "beginning", (SetFinalizer(True),), again_after=0.2)
    if facts.serving is None:
        raise AssertionError("_waiting lets nothing through that is missing")
    memory = Memory(stable_ref=facts.serving.version_ref, begun_at=context.now, step_since=context.now, moved_at=context.now)
    memory = memory.noting(context.iso, f"began: {facts.serving.version_ref} → {context.spec.to_ref.name}")
    return plain(RolloutPhase.PROGRESSING, "Beginning", "beginning", (Apply(memory_map(owner, memory)),), again_after=0.2)


def _waiting(context: Context) -> tuple[str, str] | None:
    spec, facts = context.spec, context.facts
    if facts.to_version is None:
        return "VersionMissing", f"toRef.name: ModelVersion {spec.to_ref.name} does not exist; create it or correct the name"
    if not facts.to_ready:
        return "VersionNotReady", f"toRef.name: ModelVersion {spec.to_ref.name} is not Ready yet"
    if facts.serving is None or facts.routing is None:
        return "ServiceNotServing", f"serviceRef.name: ModelService {spec.service_ref.name} does not serve yet"
    if facts.stable.ready < context.service.replicas:
        return "ServiceNotReady", f"{facts.stable.ready} of {context.service.replicas} replicas are ready; waiting for all"
    if facts.lending:
        return "CardLent", "training has borrowed a card of this service; waiting for its return"
    return None


def _invalid(context: Context) -> tuple[str, str] | None:
    spec, facts, service = context.spec, context.facts, context.service
    if facts.to_version is None or facts.serving is None:
        return None
    if facts.to_version.model != service.model:
        return (
            "WrongModel",
            f"toRef.name: {spec.to_ref.name} is of model {facts.to_version.model}, the service serves {service.model}",
        )
    if gguf_for(service, facts.to_version) is None:
        return (
            "QuantizationMissing",
            f"toRef.name: {spec.to_ref.name} has no {service.quantization} GGUF; publish one with output.quantizations",
        )
    if spec.from_ref is not None and facts.serving.version_ref != spec.from_ref.name:
        return (
            "FromMismatch",
            f"fromRef.name: {facts.serving.version_ref} serves, not {spec.from_ref.name}; delete and create it corrected",
        )
    if facts.serving.version_ref == spec.to_ref.name:
        return "ServesAlready", f"toRef.name: {spec.to_ref.name} serves already; delete this rollout"
    if service.min_available >= service.replicas:
        return (
            "NoReplicaToSpare",
            f"serviceRef.name: minAvailable {service.min_available} of {service.replicas} replicas leaves none to exchange; lower minAvailable",
        )
    counts = [step.set_replicas for step in spec.strategy.steps if step.set_replicas is not None]
    if not counts or counts[-1] != service.replicas:
        return (
            "StepsIncomplete",
            f"strategy.steps: the last setReplicas must be {service.replicas}, all replicas; delete and create it corrected",
        )
    if not any(step.analysis is not None for step in spec.strategy.steps):
        return (
            "NoAnalysis",
            "strategy.steps: a step `analysis: {}` is needed, since nothing is promoted without evidence; delete and create",
        )
    return None


def _advance(context: Context, memory: Memory) -> Memory:
    """What follows from deletion, evidence and time, before any move."""
    serving = context.facts.serving
    recorded = serving is not None and serving.version_ref == context.spec.to_ref.name
    if context.owner.deleting and memory.outcome != "RollBack" and not recorded:
        return _rolling_back(context, memory, "Deleted", "deleted before it ended")
    if memory.outcome is not None:
        return memory
    memory = follow_loan(context, memory)
    if memory.lent_since is not None:
        return memory
    memory = _weigh(context, memory)
    if memory.outcome is None:
        memory = _deadline(context, memory)
    if memory.outcome is None and not context.spec.paused:
        memory = _next_step(context, memory)
    return memory


def _rolling_back(context: Context, memory: Memory, reason: str, why: str, at_once: bool = False) -> Memory:
    return memory.noting(
        context.iso, f"rolling back: {why}", outcome="RollBack", reason=reason, why=why, at_once=at_once, requested_weight=0.0
    )


def _weigh(context: Context, memory: Memory) -> Memory:
    """Judge the evidence: in the analysis step to decide, in every other step only to stop."""
    facts, routing = context.facts, context.facts.routing
    on_candidate = routing is not None and routing.candidate is not None and routing.candidate.weight > 0
    if memory.evidence_since is None and on_candidate and facts.applied:
        memory = memory.model_copy(update={"evidence_since": context.now})
    if memory.evidence_since is None or facts.evidence is None or routing is None or routing.candidate is None:
        return memory
    stable, candidate = find_arm(facts.evidence, memory.stable_ref), find_arm(facts.evidence, context.spec.to_ref.name)
    share, step = routing.candidate.weight / 100, current_step(context.spec, memory)
    if step is not None and step.analysis is not None:
        elapsed = context.now - memory.step_since
        result = judge_evidence(candidate, stable, context.spec.analysis, memory.looks_taken, elapsed, share)
        memory = memory.model_copy(update={"verdict": result.verdict, "looks_taken": result.verdict.look})
    else:
        result = watch_evidence(candidate, stable, context.spec.analysis, memory.looks_taken, share)
    if result.verdict.decision != "Continue":
        arms = arms_status(facts.evidence, memory.stable_ref, context.spec.to_ref.name)
        memory = memory.model_copy(update={"verdict": result.verdict, "arms": arms})
    if result.verdict.decision == "RollBack":
        return _rolling_back(context, memory, result.reason, result.verdict.reason, at_once=result.at_once)
    return memory


def _deadline(context: Context, memory: Memory) -> Memory:
    """A replica that takes too long to exchange; a pause stops the clock."""
    step = current_step(context.spec, memory)
    limit = parse_duration(context.spec.progress_deadline)
    if step is None or step.set_replicas is None:
        return memory
    if context.spec.paused:
        return memory.model_copy(update={"moved_at": context.now})
    if context.now - memory.moved_at <= limit:
        return memory
    return _rolling_back(context, memory, "ProgressDeadlineExceeded", f"no replica moved for {context.spec.progress_deadline}")


def _next_step(context: Context, memory: Memory) -> Memory:
    """Whether the step under way is done; then the next one begins."""
    step = current_step(context.spec, memory)
    if step is None:
        return memory.noting(context.iso, "every step is done", outcome="Promote", reason="Promoting", why="every step is done")
    memory = memory.model_copy(update={"requested_weight": requested_weight(context.spec, memory)})
    done = _is_done(context, memory, step)
    if done is None:
        return memory
    passed = memory.passed or step.analysis is not None
    return memory.noting(context.iso, done, step=memory.step + 1, step_since=context.now, moved_at=context.now, passed=passed)


def requested_weight(spec: ModelRolloutSpec, memory: Memory) -> float:
    """Percent that the steps ask for now; what is set is at most the candidate's share of the ready replicas.

    A setReplicas asks for the whole share, unless the next step sets a weight: then that, so that no subject meets the
    candidate only to lose it again.
    """
    steps = spec.strategy.steps
    step = steps[memory.step]
    if step.set_weight is not None:
        return step.set_weight
    if step.set_replicas is None:
        return memory.requested_weight
    following = steps[memory.step + 1].set_weight if memory.step + 1 < len(steps) else None
    return 100.0 if following is None else following


def _is_done(context: Context, memory: Memory, step: Step) -> str | None:
    """What to write into the history if the step is done, else None."""
    facts = context.facts
    if step.set_replicas is not None:
        result = next_move(step.set_replicas, context.service.replicas, context.service.min_available, facts.stable, facts.candidate)
        if isinstance(result, Done) and facts.applied:
            took = context.now - memory.step_since
            return f"{step.set_replicas} of {context.service.replicas} replicas on {context.spec.to_ref.name} after {took:.0f} s"
        return None
    if step.set_weight is not None:
        weight = facts.routing.candidate.weight if facts.routing and facts.routing.candidate else 0.0
        is_set = facts.applied and weight <= step.set_weight and (weight > 0 or step.set_weight == 0)
        return f"{weight:g} % of subjects" if is_set else None
    if step.pause is not None:
        over = context.now - memory.step_since >= parse_duration(step.pause.duration)
        return f"paused for {step.pause.duration}" if over else None
    if memory.verdict is not None and memory.verdict.decision == "Promote":
        return f"analysis passed: {memory.verdict.reason}"
    return None
