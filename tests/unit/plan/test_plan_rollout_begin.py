"""Before a rollout moves anything: what it waits for and what it refuses, each with field and remedy."""

from dataclasses import replace
from typing import Any

import pytest
from plan_builders import AT, SETTINGS, arm, owner, rollout_spec, service_spec, version_spec
from plan_simulation import World

from regimen.plan import rollout
from regimen.plan.actions import Apply, Plan, SetFinalizer
from regimen.plan.common import FINALIZER
from regimen.plan.exchange import ArmFacts
from regimen.plan.rollout_facts import RolloutFacts
from regimen.plan.service import stable_routing
from regimen.spec.artifacts import ServingRecord
from regimen.spec.phases import TRANSITIONS, RolloutPhase
from regimen.spec.service import EmptyDir, ServiceCache

SERVICE = owner("ModelService")
ROUTED = stable_routing(SERVICE, service_spec(), "openins-baseline", SETTINGS, None)
FIT = RolloutFacts(
    service_owner=SERVICE,
    service=service_spec(),
    serving=ServingRecord(version_ref="openins-baseline", revision=1, by="baseline"),
    to_version=version_spec("v1.0"),
    to_ready=True,
    before=(),
    memory=None,
    stable=arm("openins-baseline", 4),
    candidate=ArmFacts("openins-v1.0", "openins-openins-v1-0"),
    routing=ROUTED,
    routers=(),
    routers_expected=2,
    evidence=None,
    lending=False,
)


def decide(facts: RolloutFacts, finalizers: tuple[str, ...] = (), deleting: bool = False, **changes: Any) -> Plan:
    me = owner("ModelRollout", "openins-v1-0", finalizers=finalizers, deleting=deleting)
    return rollout.decide(me, rollout_spec(**changes), facts, SETTINGS, AT.timestamp())


def said(plan: Plan) -> tuple[str, str]:
    return plan.status.model_dump()["phase"].value, next(item.reason for item in plan.conditions if item.type == "Ready")


def loading(name: str, replicas: int, seconds: float) -> ArmFacts:
    """An arm whose replicas took so long to load; one of them was unready for a day."""
    made = arm(name, replicas)
    times = [seconds, *[seconds + 86400] * (replicas - 1)]
    return replace(made, pods=tuple(replace(pod, load_seconds=time) for pod, time in zip(made.pods, times, strict=True)))


STEPS: tuple[dict[str, Any], ...] = {"setReplicas": 1}, {"analysis": {}}, {"setReplicas": 4}
ROWS: dict[str, tuple[dict[str, Any], dict[str, Any], str, str]] = {
    "ServiceMissing": (
        {"service": None, "service_owner": None},
        {},
        "Pending",
        "serviceRef.name: ModelService openins does not exist; create it",
    ),
    "WaitingForRollout": ({"before": ("other",)}, {}, "Pending", "rollout other of the same service comes first"),
    "VersionMissing": ({"to_version": None}, {}, "Pending", "toRef.name: ModelVersion openins-v1.0 does not exist; create it"),
    "VersionNotReady": ({"to_ready": False}, {}, "Pending", "toRef.name: ModelVersion openins-v1.0 is not Ready yet"),
    "ServiceNotServing": ({"serving": None}, {}, "Pending", "serviceRef.name: ModelService openins does not serve yet"),
    "ServiceNotReady": ({"stable": arm("openins-baseline", 4, ready=3)}, {}, "Pending", "3 of 4 replicas are ready"),
    "CardLent": ({"lending": True}, {}, "Pending", "training has borrowed a card"),
    "WrongModel": ({"to_version": version_spec(model="other")}, {}, "Invalid", "toRef.name: openins-v1.0 is of model other"),
    "QuantizationMissing": ({"to_version": version_spec(quantization="Q6_K")}, {}, "Invalid", "publish one with output.quantizations"),
    "FromMismatch": ({}, {"fromRef": {"name": "openins-v0.9"}}, "Invalid", "fromRef.name: openins-baseline serves, not openins-v0.9"),
    "ServesAlready": ({}, {"toRef": {"name": "openins-baseline"}}, "Invalid", "toRef.name: openins-baseline serves already"),
    "StepsIncomplete": ({}, {"strategy": {"steps": [*STEPS[:2], {"setReplicas": 3}]}}, "Invalid", "the last setReplicas must be 4"),
    "NoAnalysis": ({}, {"strategy": {"steps": [STEPS[0], STEPS[2]]}}, "Invalid", "a step `analysis: {}` is needed"),
    "CacheNotKept": (
        {"service": service_spec().model_copy(update={"cache": ServiceCache(empty_dir=EmptyDir())})},
        {},
        "Invalid",
        "serviceRef.name: the cache of openins is an emptyDir, which goes with each pod, so that going back would need the bucket",
    ),
    "ServiceChanging": (
        {"stable": replace(arm("openins-baseline", 4), settled=False)},
        {},
        "Pending",
        "a change of the service is being rolled out; waiting for its end",
    ),
    "OutageInevitable": (
        {"service": service_spec(replicas=1, minAvailable=0)},
        {"strategy": {"steps": [*STEPS[:2], {"setReplicas": 1}]}},
        "Invalid",
        "strategy.allowOutage: the service has one replica: while its place changes hands nobody answers, and requests wait at the router",
    ),
    "RollbackBudgetExceeded": (
        {"stable": loading("openins-baseline", 4, 100)},
        {},
        "Invalid",
        "rollbackBudget: rolling back 4 of 4 replicas would take 8m12s, rollbackBudget is 5m; raise it, or lower",
    ),
    "NoReplicaToSpare": (
        {"service": service_spec(minAvailable=4)},
        {},
        "Invalid",
        "serviceRef.name: minAvailable 4 of 4 replicas leaves none to exchange; lower minAvailable",
    ),
}


@pytest.mark.parametrize("reason", ROWS)
def test_what_keeps_it_from_beginning(reason: str) -> None:
    facts, changes, phase, text = ROWS[reason]
    plan = decide(replace(FIT, **facts), **changes)
    assert said(plan) == (phase, reason)
    assert text in (plan.status.message or "")
    assert plan.actions == ()
    assert next(item.status for item in plan.conditions if item.type == "Stalled") is (phase == "Invalid")


SINGLE = {"service": service_spec(replicas=1, minAvailable=1), "stable": loading("openins-baseline", 1, 30)}
ONCE: dict[str, Any] = {"steps": [*STEPS[:2], {"setReplicas": 1}]}


def test_with_allow_outage_one_replica_is_exchanged_and_it_is_said_how_long_nobody_answers() -> None:
    plan = decide(replace(FIT, **SINGLE), (FINALIZER,), strategy={**ONCE, "allowOutage": True})
    assert said(plan) == ("Preparing", "Beginning")
    assert "as allowOutage says, nobody answers while a place changes hands, 53s by what was measured" in str(plan.actions)


@pytest.mark.parametrize(("room", "reason"), [(1, "Beginning"), (0, "OutageInevitable")])
def test_with_surge_one_replica_needs_a_free_place(room: int, reason: str) -> None:
    plan = decide(replace(FIT, room=room, **SINGLE), (FINALIZER,), strategy={**ONCE, "capacity": "Surge"})
    assert said(plan)[1] == reason


def test_with_surge_all_replicas_may_be_kept_where_a_place_is_free() -> None:
    all_kept = {"service": service_spec(minAvailable=4), "room": 1}
    assert said(decide(replace(FIT, **all_kept), (FINALIZER,), strategy={"capacity": "Surge"}))[1] == "Beginning"


def test_the_finalizer_comes_before_the_memory() -> None:
    assert decide(FIT).actions == (SetFinalizer(True),)
    (remember,) = decide(FIT, finalizers=(FINALIZER,)).actions
    assert isinstance(remember, Apply)
    assert remember.manifest["metadata"]["name"] == "openins-v1-0-rollout"


def test_deleted_before_it_began_it_lets_go_whatever_is_wrong() -> None:
    for facts, changes, *_ in ROWS.values():
        assert decide(replace(FIT, **facts), (FINALIZER,), deleting=True, **changes).actions == (SetFinalizer(False),)


def under_way() -> World:
    live = World(4, 3, [{"setReplicas": 1}, {"analysis": {}}, {"setReplicas": 4}])
    for _ in range(6):
        live.run()
        live.kubelet()
    assert live.phases[-1] is RolloutPhase.PROGRESSING
    return live


def allowed(before: RolloutPhase, after: str) -> bool:
    return before == after or RolloutPhase(after) in TRANSITIONS[RolloutPhase][before]


def test_a_service_that_goes_away_meanwhile_is_a_move_that_the_table_has() -> None:
    live = under_way()
    plan = decide(replace(live.facts(), service=None, service_owner=None))
    assert allowed(live.phases[-1], said(plan)[0])


@pytest.mark.parametrize("missed", [RolloutPhase.PROMOTING, RolloutPhase.ROLLING_BACK])
def test_a_report_that_was_never_written_is_a_move_that_the_table_has(missed: RolloutPhase) -> None:
    before = {move for move, after in TRANSITIONS[RolloutPhase].items() if missed in after and move is not RolloutPhase.PROMOTING}
    ends = TRANSITIONS[RolloutPhase][missed] - {RolloutPhase.ROLLING_BACK}
    assert all(allowed(RolloutPhase(move), end) for move in before for end in ends)
