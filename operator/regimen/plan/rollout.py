"""ModelRollout: move replicas, then traffic, as far as the steps and the evidence allow; promote or roll back.

One pass: judge the evidence, advance the memory, then make the one move that the memory and the live state ask for. Moves are
derived from what is seen, never from what an earlier pass meant to do, so a crash between any two of them changes nothing.
"""

from regimen.plan.actions import Action, Apply, Plan, Put, Scale, SetFinalizer
from regimen.plan.commands import last_exchange, refuse_after_end, take_up
from regimen.plan.common import FINALIZER, Owner, Settings
from regimen.plan.comparison import comparison, comparison_missing
from regimen.plan.evidence import evidence_missing
from regimen.plan.exchange import Done, next_move
from regimen.plan.memory import Memory, memory_map
from regimen.plan.rollout_facts import Context, RolloutFacts, current_step, iso
from regimen.plan.rollout_lending import follow_loan
from regimen.plan.rollout_moves import next_actions, promote, rolled_back
from regimen.plan.rollout_page import report_page
from regimen.plan.rollout_report import ended, plain, report
from regimen.plan.rollout_weigh import keep_picture, rolling_back, weigh
from regimen.plan.service import gguf_for
from regimen.spec.artifacts import report_key
from regimen.spec.meta import parse_duration
from regimen.spec.phases import RolloutPhase
from regimen.spec.rollout import ModelRolloutSpec, Step


def decide(owner: Owner, spec: ModelRolloutSpec, facts: RolloutFacts, settings: Settings, now: float) -> Plan:
    """One pass over a rollout."""
    memory = facts.memory
    if memory is not None and memory.ended:
        return _ended(owner, spec, facts, settings, memory, iso(now))
    if facts.service_owner is None or facts.service is None:
        return _without_service(owner, spec)
    context = Context(owner, spec, facts, settings, now, facts.service_owner, facts.service)
    if memory is None:
        return _begin(context)
    advanced = keep_picture(context, _advance(context, memory))
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
    return report(context, memory, advanced, (*ordered, *comparison(context, advanced)), hold)


def _ended(owner: Owner, spec: ModelRolloutSpec, facts: RolloutFacts, settings: Settings, memory: Memory, at: str) -> Plan:
    """Nothing moves any more. The report is brought into the bucket, whenever that can be reached."""
    after = refuse_after_end(owner, memory, at)
    put: tuple[Action, ...] = ()
    if memory.report_uri is None and not owner.deleting:
        key = report_key(owner.namespace, owner.name, owner.uid)
        put = (Put(key, report_page(owner, spec, memory, at).encode()),)
        after = after.model_copy(update={"report_uri": f"s3://{settings.bucket}/{key}"})
    return ended(owner, facts, after, (*put, Apply(memory_map(owner, after))) if after != memory else ())


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
    return evidence_missing(context) or comparison_missing(context)


def _advance(context: Context, memory: Memory) -> Memory:
    """What follows from deletion, evidence and time, before any move."""
    serving = context.facts.serving
    recorded = serving is not None and serving.version_ref == context.spec.to_ref.name
    if context.owner.deleting and memory.outcome != "RollBack" and not recorded:
        return rolling_back(context, memory, "Deleted", "deleted before it ended")
    memory = take_up(context, memory)
    if memory.outcome is not None:
        return memory
    memory = follow_loan(context, memory)
    if memory.lent_since is not None:
        return memory
    memory = weigh(context, memory)
    if memory.outcome is None:
        memory = _deadline(context, memory)
    if memory.outcome is None and not context.paused(memory):
        memory = _next_step(context, memory)
    return memory


def _deadline(context: Context, memory: Memory) -> Memory:
    """A replica that takes too long to exchange; a pause stops the clock."""
    step = current_step(context.spec, memory)
    limit = parse_duration(context.spec.progress_deadline)
    if step is None or step.set_replicas is None:
        return memory
    if context.paused(memory):
        return memory.model_copy(update={"moved_at": context.now})
    if context.now - memory.moved_at <= limit:
        return memory
    return rolling_back(context, memory, "ProgressDeadlineExceeded", f"no replica moved for {context.spec.progress_deadline}")


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
