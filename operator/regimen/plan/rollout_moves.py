"""The moves of a rollout: which routing, then which replica; and how it ends either way."""

from regimen.plan.actions import Action, Apply, Create, Put, Scale
from regimen.plan.evidence import unwatched
from regimen.plan.exchange import ArmFacts, Done, Hold, Move, candidate_share, next_move
from regimen.plan.memory import Memory
from regimen.plan.progress import span
from regimen.plan.rollout_facts import Context, current_step
from regimen.plan.rollout_pace import over_budget, pace
from regimen.plan.router import routing_map, subject_salt
from regimen.plan.service import record_manifest, record_pointer, stable_routing
from regimen.plan.serving import Known, arm_deployment, arm_service, gguf_for
from regimen.spec.artifacts import RolloutOutcome, ServingRecord, outcome_key
from regimen.spec.routing import ArmRoute, Routing


def target_replicas(context: Context, memory: Memory) -> int:
    """Candidate replicas wanted now: those of the last setReplicas reached; none when rolling back, all when promoting."""
    if memory.outcome is not None:
        return 0 if memory.outcome == "RollBack" else context.service.replicas
    reached = context.spec.strategy.steps[: memory.step + 1]
    return next((step.set_replicas for step in reversed(reached) if step.set_replicas is not None), 0)


def next_actions(context: Context, memory: Memory) -> tuple[tuple[Action, ...], Hold | Done]:
    """At most one move. The weight moves first and is verified on every router, then the replica."""
    facts, service = context.facts, context.service
    move = next_move(target_replicas(context, memory), service.replicas, pace(context, memory), facts.stable, facts.candidate)
    if isinstance(move, Move) and (why := _held_back(context, memory)):
        move = Hold(why)
    routing = wanted_routing(context, memory, move)
    if routing != facts.routing:
        return (Apply(routing_map(context.service_owner, routing)),), Hold("routers are taking up the new weight")
    if not isinstance(move, Move):
        return (), move if facts.applied else Hold("waiting for every router to confirm the weight")
    if move.victims and not facts.applied:
        return (), Hold("waiting for every router to confirm the weight")
    return _carry_out(context, move), Hold(f"{move.arm.version}: {move.replicas} replicas")


def _held_back(context: Context, memory: Memory) -> str | None:
    """Why no replica moves now although the step asks for it. Nothing holds a rollback back."""
    if memory.outcome == "RollBack":
        return None
    if memory.outcome is None and context.paused(memory):
        return "paused"
    if why := unwatched(context, memory):
        return why
    if memory.outcome is None and memory.lent_since is not None:
        return "training has borrowed a card of this service"
    step = current_step(context.spec, memory)
    if context.spec.undo or step is None or step.set_replicas is None or step.set_replicas <= context.facts.candidate.replicas:
        return None
    return over_budget(context.spec, context.service, step.set_replicas, memory)


def wanted_routing(context: Context, memory: Memory, move: Move | Hold | Done) -> Routing:
    """The routing for now: the requested weight, but never more than the candidate's share of the replicas that stay ready."""
    facts, to_ref = context.facts, context.spec.to_ref.name
    victims = move.victims if isinstance(move, Move) else ()
    weight = _weight(context, memory, victims)
    previous = facts.routing
    # What is answered while a card is lent counts under no epoch that is ever asked: it is no evidence.
    epoch = f"{context.owner.uid}.{weight:g}" if weight > 0 and memory.lent_since is None else "-"
    wanted = Routing(
        generation=previous.generation if previous else 0,
        epoch=epoch,
        salt=subject_salt(context.settings, context.service_owner, context.owner.uid),
        stable=ArmRoute(version=memory.stable_ref, weight=100 - weight, draining=_draining(facts.stable, previous, victims)),
        candidate=ArmRoute(version=to_ref, weight=weight, draining=_draining(facts.candidate, previous, victims)),
        audit_fraction=context.service.feedback.audit_fraction,
    )
    return wanted if wanted == previous else wanted.model_copy(update={"generation": wanted.generation + 1})


def _weight(context: Context, memory: Memory, victims: tuple[str, ...]) -> float:
    facts = context.facts
    share = round(candidate_share(facts.stable, facts.candidate, victims), 2)
    if memory.outcome != "RollBack":
        return min(memory.requested_weight, share)
    # Back to stable at once if it must be and somebody is there, or if stable can carry it; else as capacity returns.
    if facts.stable.ready >= (1 if memory.at_once else max(1, context.service.min_available)):
        return 0.0
    return share


def _draining(arm: ArmFacts, previous: Routing | None, victims: tuple[str, ...]) -> list[str]:
    """Pods that get no new requests: the next to go, and those that were told to go and are not gone."""
    before = {name for route in (previous.stable, previous.candidate) if route for name in route.draining} if previous else set()
    leaving = len(arm.pods) > arm.replicas
    return sorted(pod.name for pod in arm.pods if pod.name in victims or (leaving and pod.name in before))


def _carry_out(context: Context, move: Move) -> tuple[Action, ...]:
    """Start or stop one replica. A version's Deployment is created with its first replica."""
    owner, arm = context.service_owner, move.arm
    if arm.exists:
        return (Scale(owner.namespace, arm.deployment, move.replicas, move.victims),)
    version = context.facts.to_version
    gguf = gguf_for(context.service, version) if version is not None and arm.version == context.spec.to_ref.name else None
    if gguf is None:
        return ()
    known = Known(context.facts.to_size, context.facts.keys)
    return (
        Apply(arm_service(owner, arm.version)),
        Apply(arm_deployment(owner, context.service, arm.version, gguf, move.replicas, context.settings, known)),
    )


def promote(
    context: Context, memory: Memory, actions: tuple[Action, ...], hold: Hold | Done
) -> tuple[tuple[Action, ...], Memory, Hold | Done]:
    """Once every replica is the candidate's: record it durably, hand the traffic over by swapping roles, end.

    No pod moves: the version's Deployment becomes the stable one.
    """
    to_ref, serving = context.spec.to_ref.name, context.facts.serving
    if serving is not None and serving.version_ref == to_ref:
        routing = stable_routing(context.service_owner, context.service, to_ref, context.settings, context.facts.routing)
        swap: tuple[Action, ...] = (Apply(routing_map(context.service_owner, routing)),) if routing != context.facts.routing else ()
        memory = memory.noting(context.iso, f"promoted {to_ref}", ended=True, reason="Promoted", why=f"{to_ref} serves")
        # The pointer again: an operator that stopped right after the record has not written it.
        return (record_pointer(context.service_owner, serving), *swap), memory, Done()
    if actions or not isinstance(hold, Done):
        return actions, memory, hold
    record = ServingRecord(
        version_ref=to_ref,
        previous_ref=memory.stable_ref,
        revision=(serving.revision if serving else 0) + 1,
        by=context.owner.name,
    )
    return (
        (Create(record_manifest(context.service_owner, record)), record_pointer(context.service_owner, record)),
        memory,
        Hold("recording what serves"),
    )


def rolled_back(context: Context, memory: Memory) -> tuple[tuple[Action, ...], Memory]:
    """Every replica is stable again: end."""
    routing = stable_routing(context.service_owner, context.service, memory.stable_ref, context.settings, context.facts.routing)
    actions: tuple[Action, ...] = (Apply(routing_map(context.service_owner, routing)),) if routing != context.facts.routing else ()
    took = context.now - (memory.rolling_since or context.now)
    return actions, memory.noting(
        context.iso, f"rolled back to {memory.stable_ref}: every replica was back after {span(took)}", ended=True,
        capacity_restored=round(took, 1),
    )  # fmt: skip


def keep_outcome(context: Context, memory: Memory) -> Put:
    """How it ended, for a cluster that is restored beside the bucket."""
    if memory.outcome is None:
        raise AssertionError("a rollout that has ended has an outcome")
    outcome = RolloutOutcome(
        rollout_uid=context.owner.uid, service_uid=context.service_owner.uid, stable_ref=memory.stable_ref, to_ref=context.spec.to_ref.name,
        outcome=memory.outcome, reason=memory.reason, why=memory.why, ended_at=context.iso,
    )  # fmt: skip
    key = outcome_key(context.owner.namespace, context.service_owner.name, context.owner.name)
    return Put(key, outcome.model_dump_json(by_alias=True).encode())
