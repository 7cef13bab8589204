"""Rollouts driven to their end through faults: the laws hold at every move (see plan_simulation), and the end is one of two."""

from collections.abc import Callable

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from plan_simulation import CANDIDATE, ENDS, STABLE, World, until

from regimen.plan.actions import Apply, Scale
from regimen.spec.phases import RolloutPhase

ANALYZED: list[dict[str, object]] = [{"setWeight": 20}, {"pause": {"duration": "1m"}}, {"analysis": {}}]


def world(total: int = 4, min_available: int = 3, first: int = 1, evidence: str = "good") -> World:
    return World(total, min_available, [{"setReplicas": first}, *ANALYZED, {"setReplicas": total}], evidence=evidence)


shapes = st.integers(1, 5).flatmap(lambda total: st.tuples(st.just(total), st.integers(0, total - 1), st.integers(1, total)))
FAULTS = ("go", "go", "go", "go", "go", "pass", "pass", "half", "half", "ready", "ready", "stop", "stop", "routers", "routers", "crash", "vanish", "aside", "back",
          "late", "kubelet", "kubelet", "pause", "missing", "empty", "good", "no bucket", "bucket")  # fmt: skip
events = st.lists(st.tuples(st.sampled_from(FAULTS), st.integers(0, 5)), max_size=80)


def go(live: World, passes: int) -> None:
    """Some passes without faults, so that faults meet every step and not only the first."""
    for _ in range(passes):
        live.kubelet()
        live.all_ready()
        live.routers_take_up()
        live.run()
        live.now += 30


def happen(live: World, what: str, number: int) -> None:
    if what in {"missing", "empty", "good", "bad"}:
        live.evidence = what
        return
    doings: dict[str, Callable[[], object]] = {
        "pass": live.run, "half": lambda: live.run(number), "ready": lambda: live.become_ready(number), "stop": lambda: live.stop(number),
        "routers": live.routers_take_up, "crash": lambda: live.crash(number), "vanish": lambda: live.vanish(number),
        "aside": lambda: live.step_aside(number), "back": lambda: setattr(live, "lending", False), "kubelet": live.kubelet,
        "late": lambda: setattr(live, "now", live.now + 60 * number), "pause": lambda: setattr(live, "paused", number < 1),
        "go": lambda: go(live, 1 + 2 * number), "no bucket": lambda: setattr(live, "bucket", False), "bucket": lambda: setattr(live, "bucket", True),
    }  # fmt: skip
    doings[what]()
    live.kubelet()


def assert_ended_well(live: World, end: RolloutPhase) -> None:
    serves = CANDIDATE if end is RolloutPhase.PROMOTED else STABLE
    assert live.record.version_ref == serves
    assert live.pointer == serves, "the bucket's pointer says otherwise (law 1)"
    assert live.routing is not None
    assert (live.routing.stable.version, live.routing.stable.weight, live.routing.candidate) == (serves, 100, None)
    assert live.arm(serves).ready == live.total
    assert not live.finalizer
    assert (end is RolloutPhase.PROMOTED) <= live.good_was_seen


@settings(max_examples=150)
@given(shapes, events)
def test_laws_hold_through_faults_and_the_end_is_promoted_or_rolled_back(
    shape: tuple[int, int, int], happenings: list[tuple[str, int]]
) -> None:
    live = world(*shape)
    for what, number in happenings:
        happen(live, what, number)
    live.evidence = "good"
    assert_ended_well(live, live.settle())


@settings(max_examples=80)
@given(shapes, events, events, st.sampled_from(["missing", "empty", "bad"]))
def test_never_promoted_without_good_evidence(
    shape: tuple[int, int, int], first: list[tuple[str, int]], then: list[tuple[str, int]], evidence: str
) -> None:
    live = world(*shape, evidence=evidence)
    for what, number in first:
        happen(live, "pass" if what in {"good", "missing", "empty"} else what, number)
    for what, number in then:
        happen(live, "pass" if what in {"good", "missing", "empty"} else what, number)
    if evidence != "missing":
        assert live.settle(seconds=3600) in {RolloutPhase.ROLLED_BACK, RolloutPhase.INVALID}
    assert live.record.version_ref == STABLE


@settings(max_examples=150)
@given(shapes, events, events)
def test_deletion_rolls_back_unless_it_is_recorded_already(
    shape: tuple[int, int, int], before: list[tuple[str, int]], after: list[tuple[str, int]]
) -> None:
    live = world(*shape)
    for what, number in before:
        happen(live, what, number)
    recorded = live.record.version_ref
    live.deleting = True
    if live.memory is None and not live.finalizer:
        return  # nothing holds the object: it is gone at once
    for what, number in after:
        happen(live, what, number)
        if not live.finalizer:
            break  # the object is gone
    if live.finalizer:
        live.settle_deleted()
    assert live.record.version_ref == recorded
    assert live.pointer == recorded or live.memory is None
    assert live.routing is not None
    assert live.memory is None or live.routing.stable.version == recorded


@pytest.mark.parametrize(("total", "least", "first"), [(1, 0, 1), (2, 1, 1), (4, 3, 1), (4, 2, 2), (5, 4, 3)])
def test_without_faults_it_is_promoted(total: int, least: int, first: int) -> None:
    live = world(total, least, first)
    assert live.settle() is RolloutPhase.PROMOTED
    assert_ended_well(live, RolloutPhase.PROMOTED)


@pytest.mark.parametrize("evidence", ["missing", "empty"])
def test_without_evidence_it_waits_in_the_analysis(evidence: str) -> None:
    live = world(evidence=evidence)
    with pytest.raises(AssertionError, match="no end in sight: Analyzing"):
        live.settle(100)
    assert live.record.version_ref == STABLE


def test_bad_evidence_rolls_back_and_takes_the_traffic_first() -> None:
    live = world(evidence="bad")
    assert live.settle() is RolloutPhase.ROLLED_BACK
    assert live.memory is not None
    assert live.memory.at_once
    assert_ended_well(live, RolloutPhase.ROLLED_BACK)


def stuck(live: World, passes: int) -> None:
    """Candidate pods never become ready."""
    for _ in range(passes):
        live.kubelet()
        for pod in list(live.pods[STABLE]):
            live.change(STABLE, pod.name, ready=True)
        live.stop(0)
        live.routers_take_up()
        live.run()
        live.now += 60


def test_a_candidate_that_never_becomes_ready_is_rolled_back() -> None:
    live = world()
    stuck(live, 60)
    assert live.memory is not None
    assert live.memory.reason == "ProgressDeadlineExceeded"
    assert live.settle() is RolloutPhase.ROLLED_BACK
    assert_ended_well(live, RolloutPhase.ROLLED_BACK)


def test_a_pause_stops_the_progress_deadline() -> None:
    live = world()
    until(live, RolloutPhase.PROGRESSING)
    live.paused = True
    for _ in range(5):
        live.now += 3600
        live.run()
    live.paused = False
    live.run()
    assert live.phases[-1] is RolloutPhase.PROGRESSING
    assert live.settle() is RolloutPhase.PROMOTED


def test_paused_moves_no_replica() -> None:
    live = world()
    until(live, RolloutPhase.PROGRESSING)
    live.paused = True
    live.routers_take_up()
    assert not any(isinstance(action, Scale) for _ in range(5) for action in live.run().actions)


def test_deleted_while_promotion_hangs_it_rolls_back() -> None:
    """The last replica crashes after every step is done: without this nobody could ever end the rollout."""
    live = world()
    until(live, RolloutPhase.ANALYZING)
    while live.phases[-1] is not RolloutPhase.PROMOTING:
        live.kubelet()
        live.all_ready()
        live.routers_take_up()
        if live.memory is not None and live.memory.step == len(live.steps):
            live.crash(0)
        live.run()
    live.run()
    assert live.record.version_ref == STABLE
    live.deleting = True
    live.settle()
    assert_ended_well(live, RolloutPhase.ROLLED_BACK)


@pytest.mark.parametrize("prefix", range(8))
def test_a_crash_at_promotion_loses_nothing(prefix: int) -> None:
    live = world()
    until(live, RolloutPhase.PROMOTING)
    live = world()
    for _ in range(300):
        live.kubelet()
        live.all_ready()
        live.routers_take_up()
        live.run(prefix if prefix < 4 else None)
        live.run(prefix % 4 or None)
        live.now += 30
        if live.phases[-1] in ENDS:
            break
        live.routers_take_up()
        live.run()
    assert_ended_well(live, live.settle())


def test_a_change_of_the_service_waits_for_the_end() -> None:
    live = world(4, 1)
    until(live, RolloutPhase.ANALYZING)
    engine = live.service.engine.model_copy(update={"context_size": 512, "image": "other"})
    live.service = live.service.model_copy(update={"replicas": 2, "min_available": 2, "engine": engine})
    assert live.settle() is RolloutPhase.PROMOTED
    assert live.arm(CANDIDATE).ready == 4, "the service scales it afterwards"
    assert live.memory is not None
    assert live.memory.service is not None
    assert live.memory.service.engine.image == "regimen.local/server:1"


def test_the_first_candidate_replica_comes_with_its_deployment() -> None:
    live = world()
    seen: list[str] = []
    for _ in range(30):
        live.kubelet()
        live.all_ready()
        live.routers_take_up()
        seen += [action.manifest["kind"] for action in live.run().actions if isinstance(action, Apply)]
    assert seen.count("Deployment") == 1
