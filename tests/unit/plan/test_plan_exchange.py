"""The arithmetic of replicas and shares, row by row."""

import pytest
from hypothesis import given
from hypothesis import strategies as st
from plan_builders import arm, pods

from regimen.plan.common import PodFacts
from regimen.plan.exchange import ArmFacts, Done, Hold, Move, Pace, candidate_share, leaving, next_move

S, C = "s", "c"


def none(version: str = C) -> ArmFacts:
    return ArmFacts(version, f"deployment-{version}")


def moved(version: str, replicas: int, *victims: str) -> tuple[str, int, tuple[str, ...]]:
    return version, replicas, victims


ROWS = {
    "free the first place": (1, 4, 3, arm(S, 4), none(), moved(S, 3, "s-3")),
    "wait until it is gone": (1, 4, 3, arm(S, 3, ready=3, leaving=1), none(), "waiting for 1 replica to stop"),
    "use it": (1, 4, 3, arm(S, 3), none(), moved(C, 1)),
    "wait for the candidate": (1, 4, 3, arm(S, 3), arm(C, 1, ready=0, unready=1), "waiting for 1 replica to become ready"),
    "there": (1, 4, 3, arm(S, 3), arm(C, 1), Done()),
    "already there": (0, 4, 3, arm(S, 4), none(), Done()),
    "the next exchange": (2, 4, 3, arm(S, 3), arm(C, 1), moved(S, 2, "s-2")),
    "not before the first is ready": (2, 4, 2, arm(S, 3), arm(C, 1, ready=0, unready=1), "waiting for 1 replica of c to become ready"),
    "minAvailable is all": (1, 4, 4, arm(S, 4), none(), "stopping one of 4 ready replicas would fall below minAvailable 4"),
    "one crashed: it goes first": (1, 4, 3, arm(S, 4, ready=3, unready=1), none(), moved(S, 3, "s-3")),
    "two crashed, minAvailable holds": (1, 4, 2, arm(S, 4, ready=2, unready=2), none(), moved(S, 3, "s-3")),
    "crashed elsewhere: no ready one goes": (2, 4, 3, arm(S, 3, ready=2, unready=0), arm(C, 1), "stopping one of 3 ready"),
    "back: candidate goes": (0, 4, 3, arm(S, 3), arm(C, 1), moved(C, 0, "c-0")),
    "back: stable returns": (0, 4, 3, arm(S, 3), arm(C, 0), moved(S, 4)),
    "back: a broken candidate goes although minAvailable is 3": (0, 4, 3, arm(S, 3), arm(C, 1, ready=0, unready=1), moved(C, 0, "c-0")),
    "the last exchange": (4, 4, 3, arm(S, 1), arm(C, 3), moved(S, 0, "s-0")),
    "all moved": (4, 4, 3, arm(S, 0), arm(C, 4), Done()),
    "one place only": (1, 1, 0, arm(S, 1), none(), moved(S, 0, "s-0")),
    "one place, freed": (1, 1, 0, arm(S, 0), none(), moved(C, 1)),
    "one place that must serve": (1, 1, 1, arm(S, 1), none(), "stopping one of 1 ready"),
    "the service shrank: stable gives": (1, 3, 2, arm(S, 3), arm(C, 1), moved(S, 2, "s-2")),
    "the service shrank below the target": (4, 2, 0, arm(S, 0), arm(C, 2), Done()),
    "the service grew: stable grows": (1, 5, 3, arm(S, 3), arm(C, 1), moved(S, 4)),
    "too many on the candidate": (1, 4, 3, arm(S, 2), arm(C, 2), moved(C, 1, "c-1")),
    "nobody is there yet": (0, 2, 1, arm(S, 2, ready=0, unready=0), none(), "waiting for 2 replicas to become ready"),
}


@pytest.mark.parametrize("row", ROWS)
def test_next_move(row: str) -> None:
    target, total, least, stable, candidate, wanted = ROWS[row]
    assert_moves(next_move(target, total, Pace(least), stable, candidate), wanted)


def assert_moves(got: Move | Hold | Done, wanted: object) -> None:
    if isinstance(got, Move):
        assert (got.arm.version, got.replicas, got.victims) == wanted
    elif isinstance(got, Hold):
        assert isinstance(wanted, str), got
        assert got.reason.startswith(wanted)
    else:
        assert got == wanted


FULL = Pace(4, room=0)
FREE = Pace(4, room=1)
SURGES = {
    "one more where a place is free": (1, FREE, arm(S, 4), none(), moved(C, 1)),
    "wait for it, though the place is taken now": (1, FULL, arm(S, 4), arm(C, 1, ready=0, unready=1), "waiting for 1 replica of c"),
    "then one of the others goes": (1, FULL, arm(S, 4), arm(C, 1), moved(S, 3, "s-3")),
    "one that crashed goes at once": (1, FULL, arm(S, 4, ready=3, unready=1), arm(C, 1, ready=0, unready=1), moved(S, 3, "s-3")),
    "there": (1, FREE, arm(S, 3), arm(C, 1), Done()),
    "the next one": (2, FREE, arm(S, 3), arm(C, 1), moved(C, 2)),
    "no place: exchange where minAvailable allows": (1, Pace(3, room=0), arm(S, 4), none(), moved(S, 3, "s-3")),
    "no place and none to spare": (1, FULL, arm(S, 4), none(), "stopping one of 4 ready replicas would fall below minAvailable 4"),
    "the place is used once": (1, FREE, arm(S, 4, ready=4, leaving=1), none(), "waiting for 1 replica to stop"),
    "back: stable first, too": (0, FREE, arm(S, 3), arm(C, 1), moved(S, 4)),
    "back in the middle of a surge: what was added goes": (0, FULL, arm(S, 4), arm(C, 1, ready=0, unready=1), moved(C, 0, "c-0")),
}


@pytest.mark.parametrize("row", SURGES)
def test_surge(row: str) -> None:
    target, pace, stable, candidate, wanted = SURGES[row]
    assert_moves(next_move(target, 4, pace, stable, candidate), wanted)


HARM, ALONE = Pace(0, at_a_time=4), Pace(1, at_a_time=4)
WAVES = {
    "two at a time": (Pace(2, at_a_time=2), arm(S, 1), arm(C, 3), moved(C, 1, "c-2", "c-1")),
    "no more than may be missing": (Pace(3, at_a_time=2), arm(S, 1), arm(C, 3), moved(C, 2, "c-2")),
    "one is missing already": (Pace(3, at_a_time=2), arm(S, 1, ready=0, unready=1), arm(C, 3), "stopping one of 3 ready"),
    "places are used as they become free": (Pace(2, at_a_time=2), arm(S, 1), arm(C, 1, ready=1, leaving=1), moved(S, 2)),
    "harm: all at once": (HARM, arm(S, 1), arm(C, 3), moved(C, 0, "c-2", "c-1", "c-0")),
    "harm: though stable is not ready": (HARM, arm(S, 1, ready=0, unready=1), arm(C, 3), moved(C, 0, "c-2", "c-1", "c-0")),
    "harm: all but one while nobody else answers": (ALONE, arm(S, 0), arm(C, 4), moved(C, 1, "c-3", "c-2", "c-1")),
    "harm: three places at once": (HARM, arm(S, 0), arm(C, 1), moved(S, 3)),
    "harm: nothing left to stop": (HARM, arm(S, 4), arm(C, 0), Done()),
}


@pytest.mark.parametrize("row", WAVES)
def test_the_way_back_in_waves(row: str) -> None:
    pace, stable, candidate, wanted = WAVES[row]
    assert_moves(next_move(0, 4, pace, stable, candidate), wanted)


def pod(name: str, node: str = "n", **changes: bool) -> PodFacts:
    return PodFacts(name, node, **{"ready": True, "terminating": False, **changes})  # type: ignore[arg-type]


CHOICES: dict[str, tuple[tuple[PodFacts, ...], tuple[PodFacts, ...], str]] = {
    "the last by name": ((pod("a0"), pod("a1")), (), "a1"),
    "one that is not ready": ((pod("a0", ready=False), pod("a1")), (), "a0"),
    "the one that was chosen before": ((pod("a0", doomed=True), pod("a1")), (), "a0"),
    "not where nobody could take its place": ((pod("a0"), pod("a1", "m", cordoned=True)), (), "a0"),
    "where the arm has most": ((pod("a0", "x"), pod("a1", "x"), pod("a2", "y")), (), "a1"),
    "where the other arm has least": ((pod("a0", "x"), pod("a1", "y")), (pod("b0", "y"),), "a0"),
    "never one that goes already": ((pod("a0"), pod("a1", terminating=True)), (), "a0"),
}


@pytest.mark.parametrize("row", CHOICES)
def test_who_goes(row: str) -> None:
    ours, theirs, wanted = CHOICES[row]
    arms = ArmFacts("a", "a", True, len(ours), ours), ArmFacts("b", "b", True, len(theirs), theirs)
    assert [item.name for item in leaving(*arms, wanted=1)] == [wanted]


def test_an_arm_is_spread_over_the_nodes() -> None:
    stable = tuple(pod(f"a{index}", f"n{index % 2}") for index in range(4))
    gone = leaving(ArmFacts("a", "a", True, 4, stable), ArmFacts("b", "b"), 2)
    assert {item.node for item in gone} == {"n0", "n1"}


arms = st.builds(
    lambda replicas, ready, unready, leaving: (replicas, ready, unready, leaving), st.integers(0, 5), st.integers(0, 4), st.integers(0, 3),
    st.integers(0, 2),
)  # fmt: skip


@given(st.integers(0, 6), st.integers(1, 5), st.integers(0, 5), st.integers(1, 4), st.none() | st.integers(0, 2), arms, arms)
def test_whatever_is_seen_a_move_is_no_larger_than_it_may_be_and_keeps_the_minimum(
    target: int, total: int, least: int, at_a_time: int, room: int | None, one: tuple[int, int, int, int], other: tuple[int, int, int, int]
) -> None:
    stable, candidate = (ArmFacts(v, v, True, a[0], pods(v, *a[1:])) for v, a in ((S, one), (C, other)))
    move = next_move(target, total, Pace(least, at_a_time, room), stable, candidate)
    if not isinstance(move, Move):
        return
    ready, grown = stable.ready + candidate.ready, move.replicas - move.arm.replicas
    assert 1 <= abs(grown) <= at_a_time
    assert move.replicas >= 0
    holding, free = len(stable.pods) + len(candidate.pods), room or 0
    if grown > 0:
        assert holding + grown <= total + min(free, 1)
        return
    gone = {pod.name: pod for pod in move.arm.pods if pod.name in move.victims}
    lost = sum(pod.ready for pod in gone.values())
    assert ready - lost >= least or lost == 0
    if lost:
        kept = [pod for pod in move.arm.pods if not pod.terminating and pod.name not in gone]
        assert all(pod.ready for pod in kept), "an unready one would have done"


SHARES = {
    "none": (arm(S, 4), none(), None, 0.0),
    "a quarter": (arm(S, 3), arm(C, 1), None, 25.0),
    "a stable one leaves": (arm(S, 3), arm(C, 1), "s-2", 100 / 3),
    "the only candidate leaves": (arm(S, 3), arm(C, 1), "c-0", 0.0),
    "an unready candidate does not count": (arm(S, 3), arm(C, 1, ready=0, unready=1), None, 0.0),
    "a terminating stable one does not count": (arm(S, 2, ready=1, leaving=1), arm(C, 1), None, 50.0),
    "all": (arm(S, 0), arm(C, 4), None, 100.0),
    "nobody": (arm(S, 4, ready=0, unready=4), none(), None, 0.0),
}


@pytest.mark.parametrize("row", SHARES)
def test_candidate_share(row: str) -> None:
    stable, candidate, victim, wanted = SHARES[row]
    assert candidate_share(stable, candidate, (victim,) if victim else ()) == pytest.approx(wanted)
