"""The arithmetic of replicas and shares, row by row."""

import pytest
from hypothesis import given
from hypothesis import strategies as st
from plan_builders import arm, pods

from regimen.plan.exchange import ArmFacts, Done, Hold, Move, candidate_share, next_move

S, C = "s", "c"


def none(version: str = C) -> ArmFacts:
    return ArmFacts(version, f"deployment-{version}")


def moved(version: str, replicas: int, victim: str | None = None) -> tuple[str, int, str | None]:
    return version, replicas, victim


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
    "two crashed, minAvailable holds": (1, 4, 2, arm(S, 4, ready=2, unready=2), none(), moved(S, 3, "s-2")),
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
    got = next_move(target, total, least, stable, candidate)
    if isinstance(got, Move):
        assert (got.arm.version, got.replicas, got.victim) == wanted
    elif isinstance(got, Hold):
        assert isinstance(wanted, str), got
        assert got.reason.startswith(wanted)
    else:
        assert got == wanted


arms = st.builds(
    lambda replicas, ready, unready, leaving: (replicas, ready, unready, leaving), st.integers(0, 5), st.integers(0, 4), st.integers(0, 3),
    st.integers(0, 2),
)  # fmt: skip


@given(st.integers(0, 6), st.integers(1, 5), st.integers(0, 5), arms, arms)
def test_whatever_is_seen_a_move_is_one_replica_and_keeps_the_minimum(
    target: int, total: int, least: int, one: tuple[int, int, int, int], other: tuple[int, int, int, int]
) -> None:
    stable, candidate = (ArmFacts(v, v, True, a[0], pods(v, *a[1:])) for v, a in ((S, one), (C, other)))
    move = next_move(target, total, least, stable, candidate)
    if not isinstance(move, Move):
        return
    ready = stable.ready + candidate.ready
    assert abs(move.replicas - move.arm.replicas) == 1
    assert move.replicas >= 0
    if move.replicas > move.arm.replicas:
        assert len(stable.pods) + len(candidate.pods) < total
    elif move.victim is not None and any(pod.name == move.victim and pod.ready for pod in move.arm.pods):
        assert ready - 1 >= least
        assert all(pod.ready for pod in move.arm.pods if not pod.terminating), "an unready one would have done"


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
    assert candidate_share(stable, candidate, victim) == pytest.approx(wanted)
