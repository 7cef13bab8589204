"""Whether a rollout may begin: what it waits for, what it refuses, and what a rollout of its name did before."""

from regimen.plan.actions import Apply, Plan, SetFinalizer
from regimen.plan.common import FINALIZER
from regimen.plan.comparison import comparison_missing
from regimen.plan.evidence import evidence_missing
from regimen.plan.memory import Memory, memory_map
from regimen.plan.progress import span
from regimen.plan.rollout_facts import Context
from regimen.plan.rollout_pace import estimate, least, over_budget
from regimen.plan.rollout_report import end_of, plain
from regimen.plan.service import as_taken_up
from regimen.plan.serving import gguf_for
from regimen.spec.artifacts import RolloutOutcome
from regimen.spec.phases import RolloutPhase

Said = tuple[str, str]
"""Reason and message."""


def begin(context: Context) -> Plan:
    """Check what must hold before anything moves; then remember what to return to."""
    owner, facts = context.owner, context.facts
    if owner.deleting:
        return plain(RolloutPhase.PENDING, "Deleted", "deleted before it began", (SetFinalizer(False),))
    if facts.outcome_unknown:
        text = "whether it ended before is recorded in the bucket, and the bucket cannot be reached; it begins once it can"
        return plain(RolloutPhase.PENDING, "BucketUnreachable", text)
    if facts.outcome is not None and _is_ours(context, facts.outcome):
        memory = _as_it_ended(context, facts.outcome)
        return plain(end_of(memory), memory.reason, memory.why, (Apply(memory_map(owner, memory)),), again_after=0.2)
    if facts.before:
        return plain(RolloutPhase.PENDING, "WaitingForRollout", f"rollout {facts.before[0]} of the same service comes first")
    waiting = _waiting(context)
    if waiting is not None:
        return plain(RolloutPhase.PENDING, *waiting)
    invalid = _invalid(context) or _outage(context) or _budget(context)
    if invalid is not None:
        return plain(RolloutPhase.INVALID, *invalid, stalled=True)
    if FINALIZER not in owner.finalizers:
        return plain(RolloutPhase.PENDING, "Beginning", "beginning", (SetFinalizer(True),), again_after=0.2)
    memory = _first_memory(context)
    return plain(RolloutPhase.PREPARING, "Beginning", "beginning", (Apply(memory_map(owner, memory)),), again_after=0.2)


def _is_ours(context: Context, outcome: RolloutOutcome) -> bool:
    """Whether it is this very rollout that ended, or one of its name and target in an earlier life of the service. A rollout that was
    deleted and made again while the service lived on runs again."""
    same = outcome.rollout_uid == context.owner.uid or outcome.service_uid != context.service_owner.uid
    return same and outcome.to_ref == context.spec.to_ref.name


def _as_it_ended(context: Context, outcome: RolloutOutcome) -> Memory:
    where = (
        "" if outcome.rollout_uid == context.owner.uid else f" (on {outcome.ended_at}, as the bucket says; to try again, use another name)"
    )
    memory = Memory(stable_ref=outcome.stable_ref, begun_at=context.now, step_since=context.now, moved_at=context.now)
    return memory.noting(
        context.iso, "ended before", outcome=outcome.outcome, reason=outcome.reason, why=f"{outcome.why}{where}", ended=True, kept=True
    )


def _first_memory(context: Context) -> Memory:
    facts, now = context.facts, context.now
    if facts.serving is None:
        raise AssertionError("_waiting lets nothing through that is missing")
    # What the service says later waits for the end of the rollout, a newer server image of the chart included.
    memory = Memory(
        stable_ref=facts.serving.version_ref, begun_at=now, step_since=now, moved_at=now,
        service=as_taken_up(context.service, context.settings),
        nodes=sorted({pod.node for pod in facts.stable.pods if pod.node and not pod.terminating}), load_seconds=_known_load(context),
    )  # fmt: skip
    return memory.noting(context.iso, f"began: {facts.serving.version_ref} → {context.spec.to_ref.name}{_gap(context, memory)}")


def _gap(context: Context, memory: Memory) -> str:
    """What allowOutage lets happen."""
    if least(context.spec, context.service) > 0:
        return ""
    takes = estimate(context.spec, context.service, 1, memory).capacity_restored
    about = f", {span(takes)} by what was measured" if takes is not None else ""
    return f"; as allowOutage says, nobody answers while a place changes hands{about}"


def _known_load(context: Context) -> float | None:
    """The shortest that a replica took to be ready: one that was unready for a while seems to have taken longer."""
    return min((pod.load_seconds for pod in context.facts.stable.pods if pod.ready and pod.load_seconds is not None), default=None)


def _waiting(context: Context) -> Said | None:
    spec, facts = context.spec, context.facts
    if facts.to_version is None:
        return "VersionMissing", f"toRef.name: ModelVersion {spec.to_ref.name} does not exist; create it or correct the name"
    if not facts.to_ready:
        return "VersionNotReady", f"toRef.name: ModelVersion {spec.to_ref.name} is not Ready yet"
    if facts.serving is None or facts.routing is None:
        return "ServiceNotServing", f"serviceRef.name: ModelService {spec.service_ref.name} does not serve yet"
    if spec.undo:
        return None  # the way back waits neither for replicas that may be broken nor for a card
    if facts.stable.ready < context.service.replicas:
        return "ServiceNotReady", f"{facts.stable.ready} of {context.service.replicas} replicas are ready; waiting for all"
    if not facts.stable.settled:
        return "ServiceChanging", "a change of the service is being rolled out; waiting for its end"
    if facts.lending:
        return "CardLent", "training has borrowed a card of this service; waiting for its return"
    return None


def _invalid(context: Context) -> Said | None:
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
    if service.cache.claim is None:
        return (
            "CacheNotKept",
            f"serviceRef.name: the cache of {spec.service_ref.name} is an emptyDir, which goes with each pod, so that going back would need the "
            "bucket; give the service cache.persistentVolumeClaim",
        )
    return _incomplete(context)


def _incomplete(context: Context) -> Said | None:
    spec, service = context.spec, context.service
    counts = [step.set_replicas for step in spec.strategy.steps if step.set_replicas is not None]
    if not counts or counts[-1] != service.replicas:
        return (
            "StepsIncomplete",
            f"strategy.steps: the last setReplicas must be {service.replicas}, all replicas; delete and create it corrected",
        )
    if spec.undo and spec.to_ref.name not in context.facts.served:
        known = ", ".join(context.facts.served)
        return "NeverServed", f"toRef.name: undo returns to a version that served before ({known}), not to {spec.to_ref.name}"
    if not spec.undo and not any(step.analysis is not None for step in spec.strategy.steps):
        return (
            "NoAnalysis",
            "strategy.steps: a step `analysis: {}` is needed, since nothing is promoted without evidence; delete and create",
        )
    return None if spec.undo else evidence_missing(context) or comparison_missing(context)


def _outage(context: Context) -> Said | None:
    """What the hardware makes inevitable is said before it happens (law 5)."""
    strategy, service = context.spec.strategy, context.service
    fits = strategy.capacity == "Surge" and context.facts.room > 0
    if strategy.allow_outage or fits:
        return None
    remedy = "set strategy.allowOutage: true, or give the service a second place"
    if service.replicas == 1:
        surge = " and, though capacity is Surge, no place is free" if strategy.capacity == "Surge" else ""
        return (
            "OutageInevitable",
            f"strategy.allowOutage: the service has one replica{surge}: while its place changes hands nobody answers, "
            f"and requests wait at the router for up to 30 s; {remedy}",
        )
    if service.min_available >= service.replicas and not context.spec.undo:
        return (
            "NoReplicaToSpare",
            f"serviceRef.name: minAvailable {service.min_available} of {service.replicas} replicas leaves none to exchange; "
            "lower minAvailable, set strategy.capacity: Surge where a place is free, or strategy.allowOutage: true",
        )
    return None


def _budget(context: Context) -> Said | None:
    """By the load times that are known already, whether the last step can be rolled back in time."""
    if context.spec.undo:
        return None
    memory = _first_memory(context)
    why = over_budget(context.spec, context.service, context.service.replicas, memory)
    if why is None:
        return None
    return "RollbackBudgetExceeded", f"rollbackBudget: {why}; raise it, or lower the service's router.drainTimeout or minAvailable"
