"""The way back: what it needs, what it takes, and what is known of it beforehand; and a rollout that ended before, in this life or another."""

import json
from dataclasses import replace
from functools import partial
from typing import Any

import pytest
from plan_builders import owner, rollout_spec, service_spec
from plan_simulation import CANDIDATE, OUTCOME, SERVICE, STABLE, World, go
from plan_simulation import until as until_by

from regimen.plan.actions import Create, Put, Scale
from regimen.plan.common import JobFacts
from regimen.plan.memory import Memory
from regimen.plan.rollout_pace import estimate, least, least_back, over_budget
from regimen.spec.phases import RolloutPhase
from regimen.spec.rollout import ModelRolloutStatus

STEPS: list[dict[str, object]] = [{"setReplicas": 1}, {"setReplicas": 3}, {"analysis": {}}, {"setReplicas": 4}]


until = partial(until_by, seconds=1)


def said(live: World) -> ModelRolloutStatus:
    status = live.decide().status
    assert isinstance(status, ModelRolloutStatus)
    return status


def test_it_comes_back_while_the_bucket_and_the_feedback_store_are_gone() -> None:
    live = World(4, 3, STEPS, evidence="empty")
    until(live, RolloutPhase.ANALYZING)
    live.bucket, live.evidence = False, "missing"
    live.deleting = True
    until(live, RolloutPhase.ROLLED_BACK)
    assert live.arm(STABLE).ready == 4
    assert live.outcome is None
    go(live, 1)
    assert not live.finalizer, "the object may go, whatever the bucket does"
    live.bucket = True
    go(live, 2)
    assert live.outcome is not None
    assert live.outcome.outcome == "RollBack"


def test_on_harm_traffic_leaves_first_and_every_candidate_goes_at_once() -> None:
    live = World(4, 3, STEPS, evidence="empty")
    until(live, RolloutPhase.ANALYZING)
    assert live.arm(CANDIDATE).replicas == 3
    live.evidence = "bad"
    until(live, RolloutPhase.ROLLING_BACK)
    assert live.routing is not None
    assert live.routing.candidate is not None
    assert live.routing.candidate.weight == 0
    assert live.arm(CANDIDATE).ready == 3
    live.routers_take_up()
    scaled = [action for action in live.run().actions if isinstance(action, Scale)]
    assert [(action.replicas, len(action.victims)) for action in scaled] == [(0, 3)]
    until(live, RolloutPhase.ROLLED_BACK)


def test_both_figures_are_told() -> None:
    live = World(4, 3, STEPS, evidence="empty")
    until(live, RolloutPhase.ANALYZING)
    live.deleting = True
    until(live, RolloutPhase.ROLLED_BACK)
    took = said(live).rollback_seconds
    assert took is not None
    assert took.capacity_restored is not None
    assert 0 < took.traffic_off <= took.capacity_restored
    told = [entry.what for entry in said(live).history]
    assert any(what.startswith(f"no traffic on {CANDIDATE} after ") for what in told), told
    assert told[-1].startswith(f"rolled back to {STABLE}: every replica was back after ")


def test_while_it_goes_forward_the_estimate_is_of_where_the_step_leads() -> None:
    live = World(4, 3, STEPS, evidence="empty")
    until(live, RolloutPhase.PROGRESSING)
    go(live, 30, seconds=2)
    status = said(live)
    assert status.estimated_rollback_seconds is not None
    assert live.memory is not None
    assert live.memory.load_seconds is not None
    assert any(entry.what.startswith("a replica was ready after") for entry in status.history)


SPEC, KNOWN = rollout_spec(), Memory(stable_ref="s", begun_at=0, step_since=0, moved_at=0, load_seconds=45, switch_seconds=0.4)
ESTIMATES: dict[str, tuple[dict[str, Any], int, float, float | None]] = {
    "one of four, as in the example": ({}, 1, 1, 68),
    "three, one at a time": ({}, 3, 1, 204),
    "three, two at a time": ({"minAvailable": 2}, 3, 1, 136),
    "all four: nobody to send traffic to before the first is back": ({}, 4, 68, 272),
    "nothing moved": ({}, 0, 1, 0),
    "minAvailable is all: one may be missing on the way back": ({"minAvailable": 4}, 2, 1, 136),
    "a longer drain": ({"router": {"drainTimeout": "60s"}}, 1, 1, 108),
}


@pytest.mark.parametrize("row", ESTIMATES)
def test_estimate(row: str) -> None:
    changes, moved, off, restored = ESTIMATES[row]
    found = estimate(SPEC, service_spec(**changes), moved, KNOWN)
    assert (found.traffic_off, found.capacity_restored) == (off, restored)


def test_without_a_measured_load_nothing_is_promised() -> None:
    unknown = KNOWN.model_copy(update={"load_seconds": None})
    assert estimate(SPEC, service_spec(), 4, unknown).capacity_restored is None
    assert over_budget(SPEC, service_spec(), 4, unknown) is None


LEAST = {
    "as asked": (4, 3, False, 3, 3),
    "never none": (4, 0, False, 1, 1),
    "allowOutage alone lets the last one go": (1, 0, True, 0, 0),
    "allowOutage where all must serve": (1, 1, True, 0, 0),
    "all must serve: a step needs a free place, the way back does not": (4, 4, False, 4, 3),
    "one that must serve": (1, 1, False, 1, 1),
}


@pytest.mark.parametrize("row", LEAST)
def test_least(row: str) -> None:
    replicas, minimum, outage, forward, back = LEAST[row]
    spec, service = rollout_spec(strategy={"allowOutage": outage}), service_spec(replicas=replicas, minAvailable=minimum)
    assert (least(spec, service), least_back(spec, service)) == (forward, back)


def test_a_step_that_could_not_be_rolled_back_in_time_is_not_taken() -> None:
    live = World(4, 3, STEPS, evidence="good")
    live.spec = live.spec.model_copy(update={"rollback_budget": "60s", "progress_deadline": "5m"})
    until(live, RolloutPhase.PROGRESSING)
    assert live.memory is not None
    live.memory = live.memory.model_copy(update={"load_seconds": 30.0})
    go(live, 40)
    assert said(live).message == "step 2 of 4: rolling back 3 of 4 replicas would take 2m39s, rollbackBudget is 60s"
    assert live.arm(CANDIDATE).replicas == 1
    until(live, RolloutPhase.ROLLED_BACK, passes=700)
    assert live.memory.reason == "RollbackBudgetExceeded"


def test_files_that_cannot_be_brought_end_it_before_anything_moved() -> None:
    live = World(4, 3, STEPS)
    for _ in range(3):
        live.run()
    assert live.phases[-1] is RolloutPhase.PREPARING
    live.run()
    (node,) = live.fetches
    live.fetches[node] = JobFacts("j", active=False, succeeded=False, failed=True, message="fetch: the cache has 1.0 GiB free")
    live.run()
    live.routers_take_up()
    live.run()
    live.run()
    assert live.memory is not None
    assert live.memory.reason == "PreparationFailed"
    assert "nothing was moved" in live.memory.why
    assert "the cache has 1.0 GiB free" in live.memory.why
    assert live.phases[-1] is RolloutPhase.ROLLED_BACK
    assert live.replicas == {STABLE: 4}


def test_both_files_are_brought_to_every_node_that_serves() -> None:
    live = World(4, 3, STEPS)
    live.pods[STABLE] = [replace(pod, node=f"node-{index % 2}") for index, pod in enumerate(live.pods[STABLE])]
    for _ in range(3):
        plan = live.run()
    jobs = [action.manifest for action in plan.actions if isinstance(action, Create)]
    assert len(jobs) == 2
    env = jobs[0]["spec"]["template"]["spec"]["containers"][0]["env"]
    assert [entry["name"] for entry in env] == ["GGUFS", "CACHE_DIR"], "of what is not known nothing may go"
    assert sorted(live.fetches) == ["node-0", "node-1"]
    assert said(live).message == "bringing both files to node-0, node-1"


def test_nodes_are_told_which_files_must_stay_when_room_is_made() -> None:
    live = World(4, 3, STEPS, needed=frozenset({"b" * 64, "a" * 64}))
    for _ in range(3):
        plan = live.run()
    (job,) = [action.manifest for action in plan.actions if isinstance(action, Create)]
    env = {entry["name"]: entry["value"] for entry in job["spec"]["template"]["spec"]["containers"][0]["env"]}
    assert json.loads(env["NEEDED"]) == ["a" * 64, "b" * 64]


# What ended before.


def ended() -> World:
    live = World(4, 3, STEPS, evidence="good")
    assert live.settle() is RolloutPhase.PROMOTED
    assert live.outcome is not None
    return live


def again(before: World, **changes: Any) -> World:
    """A rollout with nothing but the bucket's word on what there was."""
    live = World(4, 3, STEPS, evidence="good")
    assert before.outcome is not None
    live.outcome = before.outcome.model_copy(update=changes)
    return live


def test_in_a_restored_cluster_it_does_not_run_again() -> None:
    live = again(ended(), rollout_uid="old", service_uid="old")
    for _ in range(3):
        plan = live.run()
        assert not [action for action in plan.actions if isinstance(action, Scale | Put)]
    status = said(live)
    assert status.phase is RolloutPhase.PROMOTED
    assert "as the bucket says; to try again, use another name" in (status.message or "")
    assert live.record.version_ref == STABLE, "what serves is not this rollout's to say"
    assert live.replicas == {STABLE: 4}


def test_one_that_lost_its_memory_has_ended_all_the_same() -> None:
    live = again(ended(), rollout_uid=owner("ModelRollout").uid)
    live.run()
    assert said(live).phase is RolloutPhase.PROMOTED
    assert live.replicas == {STABLE: 4}


def test_deleted_and_made_again_while_the_service_lives_it_runs_again() -> None:
    live = again(ended(), rollout_uid="old", service_uid=SERVICE.uid)
    assert live.settle() is RolloutPhase.PROMOTED
    assert live.record.version_ref == CANDIDATE


def test_to_another_version_it_is_another_rollout() -> None:
    live = again(ended(), rollout_uid="old", service_uid="old", to_ref="openins-v0.9")
    assert live.settle() is RolloutPhase.PROMOTED


def test_while_the_bucket_cannot_say_whether_it_ended_it_does_not_begin() -> None:
    live = World(4, 3, STEPS)
    live.bucket = False
    plan = live.run()
    assert plan.actions == ()
    assert "the bucket cannot be reached; it begins once it can" in (plan.status.message or "")


def test_how_it_ended_is_written_once() -> None:
    live = ended()
    keys = [action.key for _ in range(3) for action in live.run().actions if isinstance(action, Put)]
    assert OUTCOME not in keys
    assert live.memory is not None
    assert live.memory.kept


# Undo.


def undoing(total: int = 4, min_available: int = 2) -> World:
    return World(total, min_available, [{"setReplicas": total}], undo=True)


@pytest.mark.parametrize("shape", [(4, 3), (4, 2), (4, 4), (2, 1), (1, 0)])
def test_undo_needs_no_evidence(shape: tuple[int, int]) -> None:
    live = undoing(*shape)
    live.min_available = min(shape[1], max(shape[0] - 1, 1))  # one may be missing on the way back
    assert live.settle() is RolloutPhase.PROMOTED
    assert (live.record.version_ref, live.record.previous_ref) == (CANDIDATE, STABLE)


def test_undo_takes_as_many_at_a_time_as_may_be_missing() -> None:
    live = undoing(4, 2)
    scaled: list[Scale] = []
    while not scaled:
        live.kubelet()
        live.routers_take_up()
        scaled = [action for action in live.run().actions if isinstance(action, Scale)]
    assert [(action.replicas, len(action.victims)) for action in scaled] == [(2, 2)]


def test_undo_does_not_wait_for_replicas_that_are_broken() -> None:
    live = undoing()
    live.crash(0)
    live.crash(1)
    live.lending = True
    for _ in range(3):
        live.run()
    assert live.phases[-1] is RolloutPhase.PREPARING


def test_undo_returns_only_to_what_served_before() -> None:
    live = undoing()
    facts = replace(live.facts(), served=(STABLE,))
    live.facts = lambda: facts  # type: ignore[method-assign]
    plan = live.run()
    assert plan.status.message == f"toRef.name: undo returns to a version that served before ({STABLE}), not to {CANDIDATE}"
