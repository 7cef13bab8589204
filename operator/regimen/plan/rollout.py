"""ModelRollout: move replicas, then traffic, as far as the steps and the evidence allow; promote or roll back.

One pass: judge the evidence, advance the memory, then make the one move that the memory and the live state ask for. Moves are
derived from what is seen, never from what an earlier pass meant to do, so a crash between any two of them changes nothing.
"""

from regimen.plan.actions import Action, Apply, Plan, Scale, SetFinalizer
from regimen.plan.common import FINALIZER, Owner, Settings
from regimen.plan.evidence import arms_status, find_arm, judge_evidence, watch_evidence
from regimen.plan.exchange import Done, Hold, next_move
from regimen.plan.memory import Memory, memory_map
from regimen.plan.rollout_begin import begin
from regimen.plan.rollout_facts import Context, RolloutFacts, current_step
from regimen.plan.rollout_lending import follow_loan
from regimen.plan.rollout_moves import keep_outcome, next_actions, promote, rolled_back
from regimen.plan.rollout_pace import measure, over_budget, pace
from regimen.plan.rollout_prepare import fetch_jobs, prepare
from regimen.plan.rollout_report import ended, plain, report
from regimen.plan.router import routing_name
from regimen.spec.meta import parse_duration
from regimen.spec.phases import RolloutPhase
from regimen.spec.rollout import ModelRolloutSpec, Step


def decide(owner: Owner, spec: ModelRolloutSpec, facts: RolloutFacts, settings: Settings, now: float) -> Plan:
    """One pass over a rollout."""
    memory = facts.memory
    if memory is not None and memory.ended:
        return _ended(owner, spec, facts, settings, now, memory)
    if facts.service_owner is None or facts.service is None:
        return _without_service(owner, spec)
    service = memory.service if memory is not None and memory.service is not None else facts.service
    context = Context(owner, spec, facts, settings, now, facts.service_owner, service)
    if memory is None:
        return begin(context)
    advanced, waiting = _advance(context, memory)
    hold: Hold | Done
    if not advanced.prepared and advanced.outcome is None:
        actions, hold = fetch_jobs(context, advanced), Hold(waiting)
    else:
        actions, hold = next_actions(context, advanced)
    if advanced.outcome == "Promote":
        actions, advanced, hold = promote(context, advanced, actions, hold)
    elif memory.outcome == "RollBack" and not actions and isinstance(hold, Done):
        actions, advanced = rolled_back(context, advanced)
    advanced = _note_moves(context, advanced, actions)
    remember = (Apply(memory_map(owner, advanced)),) if advanced != memory else ()
    # Once it says that all is done, nobody looks again: so that is written last, anything else before it is acted on.
    ordered = (*actions, *remember) if advanced.ended else (*remember, *actions)
    return report(context, memory, advanced, ordered, hold)


def _note_moves(context: Context, memory: Memory, actions: tuple[Action, ...]) -> Memory:
    """When a replica or the routing moves, clocks begin."""
    for action in actions:
        if isinstance(action, Scale) or (isinstance(action, Apply) and action.manifest["kind"] == "Deployment"):
            memory = memory.model_copy(update={"moved_at": context.now, "growing_since": _growing_since(context, memory, action)})
        elif isinstance(action, Apply) and action.manifest["metadata"]["name"] == routing_name(context.service_owner.name):
            memory = memory.model_copy(update={"routed_at": context.now})
    return memory


def _growing_since(context: Context, memory: Memory, action: Scale | Apply) -> float | None:
    """A Deployment that is made has its first replica; a smaller arm starts nothing."""
    arms = {arm.deployment: arm.replicas for arm in (context.facts.stable, context.facts.candidate)}
    grows = not isinstance(action, Scale) or action.replicas > arms.get(action.deployment, 0)
    return context.now if grows else memory.growing_since


def _ended(owner: Owner, spec: ModelRolloutSpec, facts: RolloutFacts, settings: Settings, now: float, memory: Memory) -> Plan:
    """Nothing moves any more; how it ended is brought into the bucket, whenever that can be reached."""
    if memory.kept or facts.outcome_unknown or facts.service_owner is None or facts.service is None:
        return ended(owner, facts, memory)
    context = Context(owner, spec, facts, settings, now, facts.service_owner, facts.service)
    put = () if facts.outcome is not None and facts.outcome.rollout_uid == owner.uid else (keep_outcome(context, memory),)
    return ended(owner, facts, memory, (*put, Apply(memory_map(owner, memory.model_copy(update={"kept": True})))))


def _without_service(owner: Owner, spec: ModelRolloutSpec) -> Plan:
    release = (SetFinalizer(False),) if FINALIZER in owner.finalizers and owner.deleting else ()
    text = f"serviceRef.name: ModelService {spec.service_ref.name} does not exist; create it"
    return plain(RolloutPhase.PENDING, "ServiceMissing", text, release)


def _advance(context: Context, memory: Memory) -> tuple[Memory, str]:
    """What follows from deletion, evidence and time, before any move; and what is waited for before there is one."""
    serving = context.facts.serving
    recorded = serving is not None and serving.version_ref == context.spec.to_ref.name
    memory = measure(context, memory)
    if context.owner.deleting and memory.outcome != "RollBack" and not recorded:
        return _rolling_back(context, memory, "Deleted", "deleted before it ended"), ""
    if memory.outcome is not None:
        return memory, ""
    if not memory.prepared:
        return prepare(context, memory)
    if not context.spec.undo:
        memory = follow_loan(context, memory)
        if memory.lent_since is not None:
            return memory, ""
        memory = _weigh(context, memory)
    if memory.outcome is None:
        memory = _deadline(context, memory)
    if memory.outcome is None and not context.spec.paused:
        memory = _next_step(context, memory)
    return memory, ""


def _rolling_back(context: Context, memory: Memory, reason: str, why: str, at_once: bool = False) -> Memory:
    return memory.noting(
        context.iso, f"rolling back: {why}", outcome="RollBack", reason=reason, why=why, at_once=at_once, requested_weight=0.0,
        rolling_since=context.now, traffic_off=None,
    )  # fmt: skip


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
    if not context.spec.undo and (why := over_budget(context.spec, context.service, step.set_replicas, memory)):
        return _rolling_back(context, memory, "RollbackBudgetExceeded", f"step {memory.step + 1} was not taken: {why}")
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
        result = next_move(step.set_replicas, context.service.replicas, pace(context, memory), facts.stable, facts.candidate)
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
