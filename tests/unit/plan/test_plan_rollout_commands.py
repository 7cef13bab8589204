"""A person's commands: each is carried out once and answered, and none breaks a law."""

import json

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from plan_simulation import CANDIDATE, STABLE, World, until
from test_plan_rollout_simulation import FAULTS, assert_ended_well, happen, world

from regimen.plan.actions import Apply, Scale
from regimen.spec.phases import RolloutPhase

VERBS = ("pause", "resume", "skip", "promote", "abort")


def passes(live: World, number: int = 1) -> None:
    """Fault-free passes in which no time goes by."""
    for _ in range(number):
        live.kubelet()
        live.all_ready()
        live.routers_take_up()
        live.run()


def at(phase: RolloutPhase, evidence: str = "empty") -> World:
    live = world(evidence=evidence)
    until(live, phase)
    return live


REFUSED = [
    # phase, verb, words of the answer
    (RolloutPhase.ANALYZING, "skip", "only a pause can be skipped"),
    (RolloutPhase.PROGRESSING, "skip", "only a pause can be skipped"),
    (RolloutPhase.ANALYZING, "resume", "not paused by hand"),
]


@pytest.mark.parametrize(("phase", "verb", "words"), REFUSED, ids=[f"{row[1]} while {row[0]}" for row in REFUSED])
def test_refused_with_the_reason(phase: RolloutPhase, verb: str, words: str) -> None:
    live = at(phase)
    before = live.memory
    live.ask(verb)
    live.run()
    assert not live.answer.accepted
    assert words in live.answer.message
    assert live.memory is not None
    assert before is not None
    assert (live.memory.step, live.memory.outcome) == (before.step, before.outcome)


def test_pause_holds_and_resume_goes_on() -> None:
    live = at(RolloutPhase.PROGRESSING)
    live.ask("pause")
    live.run()
    assert live.answer.accepted
    assert live.phases[-1] is RolloutPhase.PAUSED
    assert not any(isinstance(action, Scale) for _ in range(5) for action in live.run().actions)
    live.now += 3600 * 5  # longer than progressDeadline
    live.run()
    live.ask("resume")
    live.run()
    assert live.answer.accepted
    assert live.phases[-1] is RolloutPhase.PROGRESSING
    live.evidence = "good"
    assert live.settle() is RolloutPhase.PROMOTED


def test_resume_says_when_the_spec_still_holds() -> None:
    live = at(RolloutPhase.PROGRESSING)
    live.paused = True
    live.ask("resume")
    live.run()
    assert not live.answer.accepted
    assert "spec.paused is true" in live.answer.message
    assert live.phases[-1] is RolloutPhase.PAUSED


def test_skip_ends_a_pause_once() -> None:
    live = World(
        4, 3, [{"setReplicas": 1}, {"pause": {"duration": "24h"}}, {"pause": {"duration": "24h"}}, {"analysis": {}}, {"setReplicas": 4}]
    )
    until(live, RolloutPhase.PAUSED)
    assert live.memory is not None
    step = live.memory.step
    live.ask("skip")
    passes(live, 5)
    assert live.memory.step == step + 1, "a command that is still there is not carried out again"
    live.ask("skip")
    passes(live, 1)
    assert live.memory.step == step + 2
    assert live.phases[-1] is RolloutPhase.ANALYZING


def test_promote_by_hand_leaves_out_what_is_left_of_pauses_and_analyses() -> None:
    live = world(evidence="empty")
    live.spec = live.spec.model_copy(
        update={"strategy": live.spec.strategy.model_copy(update={"steps": [*live.spec.strategy.steps, *live.spec.strategy.steps[2:4]]})}
    )
    until(live, RolloutPhase.ANALYZING)
    live.ask("promote")
    assert live.settle() is RolloutPhase.PROMOTED
    assert_ended_by_hand(live)
    assert live.memory is not None
    assert any("promote, by hand" in entry.what for entry in live.memory.history)


def assert_ended_by_hand(live: World) -> None:
    assert live.record.version_ref == CANDIDATE
    assert live.arm(CANDIDATE).ready == live.total


def test_guardrails_still_roll_a_promotion_by_hand_back() -> None:
    live = at(RolloutPhase.ANALYZING)
    live.ask("promote")
    passes(live, 2)
    live.evidence = "bad"
    assert live.settle() is RolloutPhase.ROLLED_BACK
    assert live.record.version_ref == STABLE


@pytest.mark.parametrize("phase", [RolloutPhase.PROGRESSING, RolloutPhase.ANALYZING])
def test_abort_rolls_back(phase: RolloutPhase) -> None:
    live = at(phase)
    live.ask("abort")
    live.run()
    assert live.answer.accepted
    assert live.phases[-1] is RolloutPhase.ROLLING_BACK
    assert live.settle() is RolloutPhase.ROLLED_BACK
    assert_ended_well(live, RolloutPhase.ROLLED_BACK)
    assert live.memory is not None
    assert live.memory.reason == "Aborted"


def test_an_ended_rollout_answers_and_changes_nothing() -> None:
    live = world(evidence="good")
    assert live.settle() is RolloutPhase.PROMOTED
    live.ask("abort")
    plan = live.run()
    assert not live.answer.accepted
    assert "the rollout has ended" in live.answer.message
    assert live.record.version_ref == CANDIDATE
    assert all(isinstance(action, Apply) for action in plan.actions)
    assert not live.run().actions, "answered once"


@pytest.mark.parametrize(
    "text", ["nonsense", "{}", json.dumps({"nonce": "a", "do": "explode"}), json.dumps({"nonce": "a b", "do": "skip"})]
)
def test_what_cannot_be_read_is_answered_once(text: str) -> None:
    live = at(RolloutPhase.ANALYZING)
    live.command = text
    live.run()
    assert not live.answer.accepted
    assert "regimen.dev/command" in live.answer.message
    nonce = live.answer.nonce
    before = live.memory
    live.run()
    assert live.answer.nonce == nonce
    assert before is not None
    assert live.memory is not None
    assert live.memory.command == before.command


shapes = st.integers(1, 4).flatmap(lambda total: st.tuples(st.just(total), st.integers(0, total - 1), st.integers(1, total)))
doings = st.lists(st.tuples(st.sampled_from((*FAULTS, *VERBS)), st.integers(0, 5)), max_size=60)


@settings(max_examples=120, deadline=None)
@given(shapes, doings)
def test_laws_hold_whatever_people_ask(shape: tuple[int, int, int], happenings: list[tuple[str, int]]) -> None:
    live = world(*shape)
    for what, number in happenings:
        if what in VERBS:
            live.ask(what)
        else:
            happen(live, what, number)
    live.ask("resume")
    live.evidence = "good"
    end = live.settle()
    assert live.record.version_ref == (CANDIDATE if end is RolloutPhase.PROMOTED else STABLE)
    assert live.arm(live.record.version_ref).ready == live.total
    assert not live.finalizer


def blind_after_the_analysis() -> World:
    """The analysis has passed, and the feedback service is away since."""
    live = at(RolloutPhase.ANALYZING, "good")
    while not (live.memory and live.memory.passed):
        passes(live)
    live.evidence = "missing"
    return live


def test_what_has_passed_moves_only_while_guardrails_are_watched() -> None:
    live = blind_after_the_analysis()
    for _ in range(3):
        assert not any(isinstance(action, Scale) for action in live.run().actions)
        live.now += 3600  # longer than progressDeadline
    assert live.run().status.message.endswith("the feedback service cannot be asked; nothing is promoted meanwhile")
    assert live.memory is not None
    assert live.memory.outcome is None
    live.evidence = "good"
    assert live.settle() is RolloutPhase.PROMOTED


def test_a_person_may_decide_what_nobody_watches() -> None:
    live = blind_after_the_analysis()
    live.ask("promote")
    assert live.settle() is RolloutPhase.PROMOTED
    assert live.answer.accepted
