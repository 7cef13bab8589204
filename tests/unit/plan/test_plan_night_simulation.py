"""Nights driven to their end through faults: the laws hold at every tick (see night_simulation), and the end is one version."""

from collections.abc import Callable

from hypothesis import given, settings
from hypothesis import strategies as st
from night_simulation import INTERVAL, SCHEDULES, STARTUP, STEPS, TICK, Night, key_of

from regimen.plan.actions import Create
from regimen.spec.artifacts import VersionManifest
from regimen.spec.phases import JobPhase

FAULTS = ("go", "go", "go", "go", "pass", "half", "half", "alone", "kill", "drain", "lost", "suspend", "resume", "window")
events = st.lists(st.tuples(st.sampled_from(FAULTS), st.integers(0, 5)), max_size=60)


def go(live: Night, passes: int) -> None:
    for _ in range(passes):
        live.tick()
        live.run()


def alone(live: Night, ticks: int) -> None:
    """The operator is gone."""
    for _ in range(ticks):
        live.tick()


def happen(live: Night, what: str, number: int) -> None:
    doings: dict[str, Callable[[], object]] = {
        "go": lambda: go(live, 10 * (1 + number)), "pass": live.run, "half": lambda: live.run(number % 3),
        "alone": lambda: alone(live, 60 * (1 + number)), "kill": live.kill, "drain": live.drain, "lost": live.lose_status,
        "suspend": lambda: setattr(live, "suspend", True), "resume": lambda: setattr(live, "suspend", False),
        "window": lambda: setattr(live, "schedule", SCHEDULES[number % len(SCHEDULES)]),
    }  # fmt: skip
    if live.phases and live.phases[-1] is JobPhase.SUCCEEDED:
        return  # an ended job gets no more passes
    doings[what]()


def assert_ended_well(live: Night) -> None:
    assert len(live.manifests) == live.versions == 1
    assert live.pods == []
    (manifest,) = live.manifests
    published = VersionManifest.model_validate_json(manifest).gguf
    assert live.ggufs == {key_of(file) for file in published}, "a file that belongs to no version stayed in the bucket"
    assert live.began_at[0] == 0
    assert live.began_at == sorted(live.began_at), "a pod went back behind a checkpoint"


def test_a_training_of_two_nights() -> None:
    live = Night()
    live.settle()
    shown = [phase for index, phase in enumerate(live.phases) if index == 0 or phase is not live.phases[index - 1]]
    assert [phase.value for phase in shown] == ["Waiting", "Training", "Paused", "Training", "Converting", "Evaluating", "Succeeded"]
    assert len(live.began_at) == 2
    assert live.began_at[1] > 400
    assert live.said.attempts == 2
    held = TICK * STEPS + 2 * STARTUP
    assert held <= live.said.seconds <= held + 10 * TICK
    assert_ended_well(live)


@settings(max_examples=40, deadline=None)
@given(events)
def test_laws_hold_through_faults_and_one_version_comes_of_it(happenings: list[tuple[str, int]]) -> None:
    live = Night()
    for what, number in happenings:
        happen(live, what, number)
    if live.phases and live.phases[-1] is JobPhase.SUCCEEDED:
        return
    live.settle()
    assert_ended_well(live)
    kills = sum(what == "kill" for what, _ in happenings)
    assert live.lost <= kills * (INTERVAL / TICK + 1), "an interruption cost more than one interval"


def test_with_the_operator_gone_from_before_the_end_until_after_the_card_is_back_in_time() -> None:
    live = Night()
    while not live.pods:
        go(live, 1)
    ends = live.pods[0].ends
    alone(live, int((ends - live.now) / TICK) + 10)
    assert live.pods == []
    assert live.now > ends
    live.settle()
    assert_ended_well(live)


def test_stopped_between_any_two_actions_it_ends_the_same() -> None:
    """The operator stops once, after so many actions of all that it ever does."""
    total = actions_of(Night())
    for stop in range(total):
        live, left = Night(), stop
        while not (live.phases and live.phases[-1] is JobPhase.SUCCEEDED):
            live.tick()
            if not live.is_open() and not live.pods and "adapter" not in live.records and live.checkpoint:
                live.now += 1800
            planned = len(live.run(0).actions)
            if 0 <= left < planned:
                live.run(left)
                live.lose_status()
            else:
                live.run()
            left -= planned
        assert_ended_well(live)


def actions_of(live: Night) -> int:
    """How many actions a run without faults takes."""
    total = 0
    while not (live.phases and live.phases[-1] is JobPhase.SUCCEEDED):
        live.tick()
        if not live.is_open() and not live.pods and "adapter" not in live.records and live.checkpoint:
            live.now += 1800
        total += len(live.run().actions)
    return total


def test_suspended_in_the_night_it_gives_the_card_back_and_goes_on_where_it_was() -> None:
    live = Night()
    while not live.checkpoint:
        go(live, 1)
    live.suspend = True
    go(live, 2)
    assert live.pods == []
    assert live.phases[-1] is JobPhase.PAUSED
    assert not any(isinstance(action, Create) for action in live.run().actions)
    kept, live.suspend = live.checkpoint, False
    go(live, 3)
    assert live.began_at[-1] == kept
    live.settle()
    assert_ended_well(live)


def test_two_operators_at_once_make_one_job() -> None:
    """Both look before either acts, at every step of the way into training."""
    live = Night()
    for _ in range(100):
        live.tick()
        plans = [live.run(0), live.run(0)]
        for plan in plans:
            for action in plan.actions:
                live.perform(action)
    assert len(live.jobs) == 1
    assert len(live.began_at) == 1
