"""How fast a rollout moves, how long its rollback would take, and what was measured of both."""

from math import ceil

from regimen.plan.exchange import Pace
from regimen.plan.memory import Memory
from regimen.plan.progress import span
from regimen.plan.rollout_facts import Context
from regimen.plan.serving import SETTLE_SECONDS
from regimen.spec.meta import parse_duration
from regimen.spec.rollout import ModelRolloutSpec, RollbackSeconds
from regimen.spec.service import ModelServiceSpec


def pace(context: Context, memory: Memory) -> Pace:
    """Steps: one replica at a time, above minAvailable. A rollback and an undo: as many at a time as minAvailable allows. On harm the
    candidate's replicas are no capacity: all go at once, or all but one as long as nobody else answers."""
    service, spec = context.service, context.spec
    if memory.outcome == "RollBack" and memory.at_once:
        alone = context.facts.stable.ready == 0 and service.replicas > 1
        return Pace(1 if alone else 0, at_a_time=service.replicas)
    room = context.facts.room if spec.strategy.capacity == "Surge" else None
    if memory.outcome != "RollBack" and not spec.undo:
        return Pace(least(spec, service), room=room)
    kept = least_back(spec, service)
    return Pace(kept, at_a_time=max(1, service.replicas - kept), room=room)


def least(spec: ModelRolloutSpec, service: ModelServiceSpec) -> int:
    """Ready replicas that a step may not fall below: minAvailable, and never none, unless allowOutage says so."""
    if spec.strategy.allow_outage:
        return min(service.min_available, service.replicas - 1)
    return max(1, service.min_available)


def least_back(spec: ModelRolloutSpec, service: ModelServiceSpec) -> int:
    """The same for the way back, which must be open even where minAvailable is all replicas: one may then be missing."""
    return min(least(spec, service), max(service.replicas - 1, 0 if spec.strategy.allow_outage else 1))


def estimate(spec: ModelRolloutSpec, service: ModelServiceSpec, moved: int, memory: Memory) -> RollbackSeconds:
    """What a rollback of `moved` replicas takes, one wave after another: drain, stop, load.

    Once all are moved there is nobody to send the traffic to before the first of them is back.
    """
    if memory.load_seconds is None:
        return RollbackSeconds(traffic_off=_whole(memory.switch_seconds))
    wave = parse_duration(service.router.drain_timeout) + SETTLE_SECONDS + memory.load_seconds
    waves = ceil(moved / max(1, service.replicas - least_back(spec, service)))
    off = wave if moved >= service.replicas else memory.switch_seconds
    return RollbackSeconds(traffic_off=_whole(off), capacity_restored=_whole(waves * wave) if moved else 0)


def _whole(seconds: float) -> float:
    return max(1, ceil(seconds))


def over_budget(spec: ModelRolloutSpec, service: ModelServiceSpec, moved: int, memory: Memory) -> str | None:
    """Why so many candidate replicas could not be rolled back in time, or None where they could."""
    takes = estimate(spec, service, moved, memory).capacity_restored
    if takes is None or takes <= parse_duration(spec.rollback_budget):
        return None
    return f"rolling back {moved} of {service.replicas} replicas would take {span(takes)}, rollbackBudget is {spec.rollback_budget}"


def measure(context: Context, memory: Memory) -> Memory:
    """Note how long what has just been completed took: a replica's start, a change of the routing, traffic off the candidate."""
    facts, now = context.facts, context.now
    if (
        memory.growing_since is not None
        and facts.stable.ready >= facts.stable.replicas
        and facts.candidate.ready >= facts.candidate.replicas
    ):
        took = now - memory.growing_since
        memory = memory.noting(
            context.iso, f"a replica was ready after {span(took)}", growing_since=None, load_seconds=max(took, memory.load_seconds or 0)
        )
    if memory.routed_at is not None and facts.applied:
        took = max(memory.switch_seconds, now - memory.routed_at)
        memory = memory.model_copy(update={"routed_at": None, "switch_seconds": took})
    rolling, candidate = memory.rolling_since, facts.routing.candidate if facts.routing else None
    if rolling is not None and memory.traffic_off is None and facts.applied and (candidate is None or candidate.weight == 0):
        took = now - rolling
        memory = memory.noting(context.iso, f"no traffic on {context.spec.to_ref.name} after {span(took)}", traffic_off=round(took, 1))
    return memory
