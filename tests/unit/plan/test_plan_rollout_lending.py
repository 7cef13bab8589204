"""A night in the middle of a rollout: clocks stand still, nothing is judged, and what is answered meanwhile counts under no epoch."""

import pytest
from plan_builders import rollout_spec
from plan_simulation import STABLE, World, until

from regimen.plan.memory import Memory
from regimen.plan.rollout_facts import moves_replicas
from regimen.spec.phases import RolloutPhase

STEPS: list[dict[str, object]] = [
    {"setReplicas": 1}, {"setWeight": 20}, {"pause": {"duration": "1h"}}, {"analysis": {}}, {"setReplicas": 4},
]  # fmt: skip


def night(live: World, hours: float, looks: int = 50) -> None:
    """The card is lent: a replica goes, and waits."""
    live.step_aside(0)
    for _ in range(looks):
        live.run()
        live.routers_take_up()
        live.now += hours * 3600 / looks


def test_a_pause_goes_on_where_it_was() -> None:
    live = World(4, 2, STEPS, evidence="good")
    until(live, RolloutPhase.PAUSED)
    since = live.now
    night(live, 8)
    assert live.phases[-1] is RolloutPhase.PAUSED, "eight hours of a pause of one"
    live.lending = False
    until(live, RolloutPhase.ANALYZING)
    assert 1 * 3600 <= live.now - since - 8 * 3600 <= 1 * 3600 + 300


@pytest.mark.parametrize("evidence", ["good", "bad"])
def test_nothing_is_decided_in_the_night(evidence: str) -> None:
    live = World(4, 2, STEPS, evidence="empty")
    until(live, RolloutPhase.ANALYZING)
    assert live.memory is not None
    looks, began = live.memory.looks_taken, live.memory.step_since
    live.evidence = evidence
    night(live, 400)
    assert live.phases[-1] is RolloutPhase.ANALYZING
    assert live.memory.looks_taken == looks
    assert live.routing is not None
    assert live.routing.epoch == "-"
    assert live.routing.candidate is not None
    assert live.routing.candidate.weight > 0, "subjects stay where they are"
    live.lending = False
    live.run()
    assert live.routing.epoch == "-", "a replica is still coming back"
    live.kubelet()
    live.all_ready()
    live.run()
    assert live.memory.step_since == pytest.approx(began + 400 * 3600, abs=60)
    assert live.routing.epoch == "modelrollout-0001.20"
    assert live.settle() is (RolloutPhase.PROMOTED if evidence == "good" else RolloutPhase.ROLLED_BACK)


def test_the_longest_analysis_is_not_over_because_of_nights() -> None:
    live = World(4, 2, STEPS, evidence="empty")
    until(live, RolloutPhase.ANALYZING)
    for _ in range(20):
        night(live, 24, looks=4)
        live.lending = False
        until(live, RolloutPhase.ANALYZING)
    assert live.phases[-1] is RolloutPhase.ANALYZING, "20 nights of 24 hours in an analysis of at most 14 days"


def test_it_says_so() -> None:
    live = World(4, 2, STEPS, evidence="good")
    until(live, RolloutPhase.PAUSED)
    live.step_aside(0)
    assert live.run().status.message == "step 3 of 5: training has borrowed a card of this service; the clock stands still"
    live.lending = False
    live.run()
    assert live.run().status.message == "step 3 of 5: replicas that stepped aside are coming back; the clock stands still"
    assert live.memory is not None
    until(live, RolloutPhase.ANALYZING)
    assert any("the clock stood still for" in entry.what for entry in live.memory.history)


def test_replicas_that_do_not_come_back_are_no_loan() -> None:
    live = World(4, 2, STEPS, evidence="good")
    until(live, RolloutPhase.PAUSED)
    night(live, 1)
    live.lending = False
    for _ in range(3):
        live.run()
        live.now += 1000
    live.run()
    assert live.memory is not None
    assert live.memory.lent_since is None


def test_a_rollback_goes_on_while_the_card_is_lent() -> None:
    live = World(4, 2, STEPS, evidence="good")
    until(live, RolloutPhase.ANALYZING)
    live.step_aside(0)
    live.run()
    live.deleting = True
    for _ in range(60):
        live.kubelet()
        live.all_ready()
        live.routers_take_up()
        live.run()
        live.now += 30
        if live.phases[-1] is RolloutPhase.ROLLED_BACK:
            break
    assert live.phases[-1] is RolloutPhase.ROLLED_BACK
    assert live.record.version_ref == STABLE


ROWS = {
    "while files are brought": ({"step": 0, "prepared": False}, False, False),
    "in a step that sets replicas": ({"step": 0}, False, True),
    "held there by a person": ({"step": 0}, True, False),
    "in a pause": ({"step": 2}, False, False),
    "in the analysis": ({"step": 3}, False, False),
    "after the last step": ({"step": 5}, False, True),
    "rolling back": ({"step": 3, "outcome": "RollBack"}, True, True),
    "ended": ({"step": 5, "outcome": "Promote", "ended": True}, False, False),
}


@pytest.mark.parametrize("row", ROWS)
def test_training_waits_only_while_replicas_move(row: str) -> None:
    state, paused, moves = ROWS[row]
    memory = Memory.model_validate({"stable_ref": "a", "begun_at": 0, "step_since": 0, "moved_at": 0, "prepared": True, **state})
    assert moves_replicas(rollout_spec(strategy={"steps": STEPS}, paused=paused), memory) is moves
