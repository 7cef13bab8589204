"""The arithmetic of moving replicas between two arms, on hardware with no spare place.

Knows counts, pods and the nodes they are on; not why the target is what it is, and not who carries the moves out.
"""

from collections import Counter
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
    settled: bool = True
    """Whether every pod is of the Deployment's present template."""
    template: str | None = None
    """Name of that template; None where an operator wrote it that named none."""
    surges: bool = False
    """Whether a changed template is rolled out with one more pod, instead of one less."""

    @property
    def ready(self) -> int:
        return sum(pod.ready and not pod.terminating for pod in self.pods)


@dataclass(frozen=True)
class Pace:
    """How far capacity may fall, and how much may move at once."""

    least: int
    """Ready replicas of both arms that no move may fall below."""
    at_a_time: int = 1
    """Replicas that may be between the arms at once. With more than one, nobody waits for what grows: only `least` is kept."""
    room: int | None = None
    """Surge: places that are free now. None: Exchange, a place is freed first."""


@dataclass(frozen=True)
class Move:
    """Set one arm's replicas; `victims` are drained first where the arm shrinks."""

    arm: ArmFacts
    replicas: int
    victims: tuple[str, ...] = ()


@dataclass(frozen=True)
class Hold:
    """Nothing to do now, and why."""

    reason: str


@dataclass(frozen=True)
class Done:
    """The arms are as the target says, and ready."""


def next_move(target: int, total: int, pace: Pace, stable: ArmFacts, candidate: ArmFacts) -> Move | Hold | Done:
    """One move towards `target` candidate replicas of `total`, or why there is none yet.

    A freed place is gone (its pod no longer exists) before the other arm grows, since the GPU is only free then. A ready
    replica is stopped only if `pace.least` ready ones of both arms stay. With Surge, an arm grows into a free place first.

    >>> pods = lambda n: tuple(PodFacts(f"p{i}", "node", True, False) for i in range(n))
    >>> stable, none = ArmFacts("a", "a", True, 4, pods(4)), ArmFacts("b", "b")
    >>> move = next_move(1, 4, Pace(3), stable, none); (move.arm.deployment, move.replicas, move.victims)
    ('a', 3, ('p3',))
    >>> next_move(1, 4, Pace(4), stable, none)
    Hold(reason='stopping one of 4 ready replicas would fall below minAvailable 4')
    >>> move = next_move(1, 4, Pace(4, room=1), stable, none); (move.arm.deployment, move.replicas)
    ('b', 1)
    >>> waiting = next_move(1, 4, Pace(3), ArmFacts("a", "a", True, 3, pods(4)), none); waiting
    Hold(reason='waiting for 1 replica to stop')
    """
    target = min(target, total)  # a service may shrink meanwhile
    asked = stable.replicas + candidate.replicas
    holding = len(stable.pods) + len(candidate.pods)
    forward = candidate.replicas < target
    growing, shrinking = (candidate, stable) if forward else (stable, candidate)
    if asked < total:
        wanted = target - candidate.replicas if forward else total - target - stable.replicas
        free = min(total - holding, total - asked, wanted, pace.at_a_time)
        return Move(growing, growing.replicas + free) if free > 0 else _until_gone(holding - asked)
    if holding > asked:
        return _until_gone(holding - asked)
    if asked > total:
        surplus = candidate if candidate.replicas > target else stable
        return _give_up(surplus, asked - total, pace, stable, candidate)
    if candidate.replicas != target:
        if pace.at_a_time == 1 and growing.ready < growing.replicas:
            return Hold(f"waiting for {_count(growing.replicas - growing.ready)} of {growing.version} to become ready")
        if pace.room:
            return Move(growing, growing.replicas + 1)
        return _shrink(shrinking, min(pace.at_a_time, abs(candidate.replicas - target)), pace, stable, candidate)
    unready = total - stable.ready - candidate.ready
    return Hold(f"waiting for {_count(unready)} to become ready") if unready else Done()


def _give_up(arm: ArmFacts, surplus: int, pace: Pace, stable: ArmFacts, candidate: ArmFacts) -> Move | Hold:
    """More than the service has: in a surge, where what was added is awaited first; or because the service shrank."""
    added = stable if arm is candidate else candidate
    if pace.room is not None and added.ready < added.replicas and arm.ready == arm.replicas:
        return Hold(f"waiting for {_count(added.replicas - added.ready)} of {added.version} to become ready")
    return _shrink(arm, min(surplus, pace.at_a_time), pace, stable, candidate)


def _until_gone(number: int) -> Hold:
    return Hold(f"waiting for {_count(number)} to stop")


def _count(number: int) -> str:
    return f"{number} replica" + ("" if number == 1 else "s")


def _shrink(arm: ArmFacts, wanted: int, pace: Pace, stable: ArmFacts, candidate: ArmFacts) -> Move | Hold:
    """Stop up to `wanted` replicas, as many as may go now."""
    ready = stable.ready + candidate.ready
    victims: list[PodFacts] = []
    for pod in leaving(arm, candidate if arm is stable else stable, wanted):
        if pod.ready and ready - 1 < pace.least:
            break
        ready -= pod.ready
        victims.append(pod)
    here = sum(not pod.terminating for pod in arm.pods)
    if not victims and here:
        return Hold(f"stopping one of {ready} ready replicas would fall below minAvailable {pace.least}")
    # Where the arm has fewer pods than it asks for, what is asked for shrinks all the same.
    return Move(arm, arm.replicas - (len(victims) or 1), tuple(pod.name for pod in victims))


def leaving(arm: ArmFacts, other: ArmFacts, wanted: int) -> list[PodFacts]:
    """Who goes first: one that is not ready; one that was chosen before; one whose place can be used again; one from the node where
    its arm has most and the other least, so that a node's loss never takes a whole arm; else the last by name.

    >>> pod = lambda name, node, ready=True: PodFacts(name, node, ready, False)
    >>> arm = ArmFacts("a", "a", True, 4, (pod("a0", "x"), pod("a1", "y"), pod("a2", "y"), pod("a3", "x", False)))
    >>> [pod.name for pod in leaving(arm, ArmFacts("b", "b"), 3)]
    ['a3', 'a2', 'a1']
    """
    here = [pod for pod in sorted(arm.pods, key=lambda pod: pod.name, reverse=True) if not pod.terminating]
    ours, theirs = Counter(pod.node for pod in here), Counter(pod.node for pod in other.pods)
    chosen: list[PodFacts] = []
    while here and len(chosen) < wanted:
        first = min(here, key=lambda pod: (pod.ready, not pod.doomed, pod.cordoned, theirs[pod.node] - ours[pod.node]))
        here.remove(first)
        ours[first.node] -= 1
        theirs[first.node] += 1  # whoever takes its place
        chosen.append(first)
    return chosen


def candidate_share(stable: ArmFacts, candidate: ArmFacts, victims: tuple[str, ...] = ()) -> float:
    """Percent of the ready replicas that are the candidate's once `victims` take no more requests.

    >>> pods = lambda n: tuple(PodFacts(f"p{i}", "node", True, False) for i in range(n))
    >>> candidate_share(ArmFacts("a", "a", True, 3, pods(3)), ArmFacts("b", "b", True, 1, (PodFacts("c", "n", True, False),)))
    25.0
    """

    def staying(arm: ArmFacts) -> int:
        return sum(pod.ready and not pod.terminating and pod.name not in victims for pod in arm.pods)

    ours, theirs = staying(candidate), staying(stable)
    return 100 * ours / (ours + theirs) if ours + theirs else 0.0
