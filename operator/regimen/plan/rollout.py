"""ModelRollout: move replicas, then traffic, as far as the steps and the evidence allow; promote or roll back.

One pass: judge the evidence, advance the memory, then make the one move that the memory and the live state ask for. Moves are
derived from what is seen, never from what an earlier pass meant to do, so a crash between any two of them changes nothing.
"""

from regimen.plan.actions import Action, Apply, Plan, Put, Scale, SetFinalizer
from regimen.plan.commands import last_exchange, refuse_after_end, take_up
from regimen.plan.common import FINALIZER, Owner, Settings
from regimen.plan.comparison import comparison
from regimen.plan.evidence import unwatched
from regimen.plan.exchange import Done, Hold, next_move
from regimen.plan.memory import Memory, memory_map
from regimen.plan.rollout_begin import begin
from regimen.plan.rollout_facts import Context, RolloutFacts, current_step, iso
from regimen.plan.rollout_lending import follow_loan
from regimen.plan.rollout_moves import keep_outcome, next_actions, promote, rolled_back
from regimen.plan.rollout_pace import measure, over_budget, pace
from regimen.plan.rollout_page import report_page
from regimen.plan.rollout_prepare import fetch_jobs, prepare
from regimen.plan.rollout_report import ended, plain, report
from regimen.plan.rollout_weigh import keep_picture, weigh
from regimen.plan.router import routing_name
from regimen.spec.artifacts import report_key
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
    advanced = keep_picture(context, advanced)
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
    return report(context, memory, advanced, (*ordered, *comparison(context, advanced)), hold)


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
    """Nothing moves any more; how it ended and the report are brought into the bucket, whenever that can be reached."""
    after = refuse_after_end(owner, memory, iso(now))
    puts: list[Action] = []
    if not memory.kept and not facts.outcome_unknown and facts.service_owner is not None and facts.service is not None:
        if facts.outcome is None or facts.outcome.rollout_uid != owner.uid:
            puts.append(keep_outcome(Context(owner, spec, facts, settings, now, facts.service_owner, facts.service), memory))
        after = after.model_copy(update={"kept": True})
    if memory.report_uri is None and memory.timeline and not facts.outcome_unknown and not owner.deleting:
        key = report_key(owner.namespace, owner.name, owner.uid)
        puts.append(Put(key, report_page(owner, spec, memory, iso(now)).encode()))
        after = after.model_copy(update={"report_uri": f"s3://{settings.bucket}/{key}"})
    return ended(owner, facts, after, (*puts, Apply(memory_map(owner, after))) if after != memory else ())


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
        return memory.rolling_back(context.iso, context.now, "Deleted", "deleted before it ended"), ""
    if not context.owner.deleting:
        memory = take_up(context, memory)
    if memory.outcome is not None:
        return memory, ""
    if not memory.prepared:
        return prepare(context, memory)
    if not context.spec.undo:
        memory = follow_loan(context, memory)
        if memory.lent_since is not None:
            return memory, ""
        memory = weigh(context, memory)
    if memory.outcome is None:
        memory = _deadline(context, memory)
    if memory.outcome is None and not context.paused(memory) and not unwatched(context, memory):
        memory = _next_step(context, memory)
    return memory, ""


def _deadline(context: Context, memory: Memory) -> Memory:
    """A replica that takes too long to exchange; a pause stops the clock, and so does a guardrail that is silent after the analysis."""
    step = current_step(context.spec, memory)
    limit = parse_duration(context.spec.progress_deadline)
    if step is None or step.set_replicas is None:
        return memory
    if context.paused(memory) or unwatched(context, memory):
        return memory.model_copy(update={"moved_at": context.now})
    if context.now - memory.moved_at <= limit:
        return memory
    if not context.spec.undo and (why := over_budget(context.spec, context.service, step.set_replicas, memory)):
        return memory.rolling_back(context.iso, context.now, "RollbackBudgetExceeded", f"step {memory.step + 1} was not taken: {why}")
    return memory.rolling_back(
        context.iso, context.now, "ProgressDeadlineExceeded", f"no replica moved for {context.spec.progress_deadline}"
    )


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
    # Once a person has decided, nothing is waited for behind the last replica.
    following = len(context.spec.strategy.steps) if memory.by_hand and memory.step >= last_exchange(context.spec) else memory.step + 1
    return memory.noting(context.iso, done, step=following, step_since=context.now, moved_at=context.now, passed=passed)


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
