"""The arithmetic of moving replicas between two arms, one at a time, on hardware with no spare place.

Knows counts and names of pods; not why the target is what it is, and not who carries the moves out.
"""

from dataclasses import dataclass

from regimen.plan.common import PodFacts


@dataclass(frozen=True)
class ArmFacts:
    """One version's Deployment and its pods."""

    version: str
    deployment: str
    exists: bool = False
    replicas: int = 0
    """As the Deployment asks for."""
    pods: tuple[PodFacts, ...] = ()
    """Every pod that still holds its place, terminating ones included."""

    @property
    def ready(self) -> int:
        return sum(pod.ready and not pod.terminating for pod in self.pods)


@dataclass(frozen=True)
class Move:
    """Set one arm's replicas; `victim` is drained first where the arm shrinks."""

    arm: ArmFacts
    replicas: int
    victim: str | None = None


@dataclass(frozen=True)
class Hold:
    """Nothing to do now, and why."""

    reason: str


@dataclass(frozen=True)
class Done:
    """The arms are as the target says, and ready."""


def next_move(target: int, total: int, min_available: int, stable: ArmFacts, candidate: ArmFacts) -> Move | Hold | Done:
    """One move towards `target` candidate replicas of `total`, or why there is none yet.

    A freed place is gone (its pod no longer exists) before the other arm grows, since the GPU is only free then. A ready
    replica is stopped only if `min_available` ready ones of both arms stay.

    >>> pods = lambda n: tuple(PodFacts(f"p{i}", "node", True, False) for i in range(n))
    >>> stable, none = ArmFacts("a", "a", True, 4, pods(4)), ArmFacts("b", "b")
    >>> move = next_move(1, 4, 3, stable, none); (move.arm.deployment, move.replicas, move.victim)
    ('a', 3, 'p3')
    >>> next_move(1, 4, 4, stable, none)
    Hold(reason='stopping one of 4 ready replicas would fall below minAvailable 4')
    >>> waiting = next_move(1, 4, 3, ArmFacts("a", "a", True, 3, pods(4)), none); waiting
    Hold(reason='waiting for 1 replica to stop')
    """
    target = min(target, total)  # a service may shrink meanwhile
    asked = stable.replicas + candidate.replicas
    holding = len(stable.pods) + len(candidate.pods)
    if holding > asked:
        return Hold(f"waiting for {_count(holding - asked)} to stop")
    if asked > total:
        return _shrink(candidate if candidate.replicas > target else stable, stable, candidate, min_available)
    if asked < total:
        return _grow(candidate if candidate.replicas < target else stable)
    if candidate.replicas != target:
        growing, shrinking = (candidate, stable) if candidate.replicas < target else (stable, candidate)
        if growing.ready < growing.replicas:
            return Hold(f"waiting for {_count(growing.replicas - growing.ready)} of {growing.version} to become ready")
        return _shrink(shrinking, stable, candidate, min_available)
    unready = total - stable.ready - candidate.ready
    return Hold(f"waiting for {_count(unready)} to become ready") if unready else Done()


def _count(number: int) -> str:
    return f"{number} replica" + ("" if number == 1 else "s")


def _grow(arm: ArmFacts) -> Move:
    return Move(arm, arm.replicas + 1)


def _shrink(arm: ArmFacts, stable: ArmFacts, candidate: ArmFacts, min_available: int) -> Move | Hold:
    """Stop one replica: one that is not ready if there is one, else the last by name."""
    pods = sorted((pod for pod in arm.pods if not pod.terminating), key=lambda pod: (pod.ready, pod.name))
    victim = next((pod for pod in pods if not pod.ready), pods[-1] if pods else None)
    ready = stable.ready + candidate.ready
    if victim is not None and victim.ready and ready - 1 < min_available:
        return Hold(f"stopping one of {ready} ready replicas would fall below minAvailable {min_available}")
    return Move(arm, arm.replicas - 1, victim.name if victim else None)


def candidate_share(stable: ArmFacts, candidate: ArmFacts, victim: str | None) -> float:
    """Percent of the ready replicas that are the candidate's once `victim` takes no more requests.

    >>> pods = lambda n: tuple(PodFacts(f"p{i}", "node", True, False) for i in range(n))
    >>> candidate_share(ArmFacts("a", "a", True, 3, pods(3)), ArmFacts("b", "b", True, 1, (PodFacts("c", "n", True, False),)), None)
    25.0
    """

    def staying(arm: ArmFacts) -> int:
        return sum(pod.ready and not pod.terminating and pod.name != victim for pod in arm.pods)

    ours, theirs = staying(candidate), staying(stable)
    return 100 * ours / (ours + theirs) if ours + theirs else 0.0
