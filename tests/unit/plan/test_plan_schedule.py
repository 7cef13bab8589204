"""When a schedule is due, in its own time zone, and what it does then."""

from dataclasses import replace
from datetime import UTC, datetime
from typing import Any
from zoneinfo import ZoneInfo

import pytest
from hypothesis import example, given
from hypothesis import strategies as st
from plan_builders import owner, schedule_spec

from regimen.plan import schedule
from regimen.plan.actions import Create, Delete, Plan
from regimen.plan.cron import ticks
from regimen.plan.schedule import DUE, ROWS, RunFacts, ScheduleFacts, run_name
from regimen.spec.phases import TRANSITIONS, SchedulePhase


def at(text: str) -> float:
    return datetime.fromisoformat(text).replace(tzinfo=UTC).timestamp()


NOW = at("2026-11-15 12:00")
DUE_AT = int(at("2026-11-01 08:00"))  # 02:00 in Chicago, on the night that daylight saving ends there
ME = owner("RetrainSchedule", "openins-monthly", created=at("2026-10-15 00:00"))
IDLE = ScheduleFacts(dataset_exists=True, train_rows=900, service_exists=True, runs=(), last=None)


def run(
    due: str = "2026-10-01 07:00",
    phase: str = "Succeeded",
    rows: int = 600,
    rollout: str | None = "Promoted",
    version: str | None = "openins-v1.0",
) -> RunFacts:
    seconds = int(at(due))
    return RunFacts(run_name(ME, seconds), seconds, rows, phase, version if phase == "Succeeded" else None, rollout)


def decide(facts: ScheduleFacts, now: float = NOW, **changes: Any) -> Plan:
    return schedule.decide(ME, schedule_spec(**changes), facts, now)


def said(plan: Plan) -> tuple[str, str]:
    return plan.status.model_dump()["phase"].value, next(verdict for verdict in plan.conditions if verdict.type == "Ready").reason


TICKS = {
    "between": ("0 2 1 * *", "America/Chicago", "2026-07-15 12:00", "2026-07-01 07:00", "2026-08-01 07:00"),
    "in winter": ("0 2 1 * *", "America/Chicago", "2026-12-15 12:00", "2026-12-01 08:00", "2027-01-01 08:00"),
    "over the end of daylight saving": ("0 2 1 * *", "America/Chicago", "2026-10-20 12:00", "2026-10-01 07:00", "2026-11-01 08:00"),
    "after the end of daylight saving": ("0 2 1 * *", "America/Chicago", "2026-11-15 12:00", "2026-11-01 08:00", "2026-12-01 08:00"),
    "over the start of daylight saving": ("0 2 1 * *", "America/Chicago", "2026-03-20 12:00", "2026-03-01 08:00", "2026-04-01 07:00"),
    "every day, around the start": ("0 5 * * *", "America/Chicago", "2026-03-08 12:00", "2026-03-08 10:00", "2026-03-09 10:00"),
    "utc": ("0 2 1 * *", "UTC", "2026-07-15 12:00", "2026-07-01 02:00", "2026-08-01 02:00"),
    "half an hour off": ("30 2 * * 1", "Asia/Kolkata", "2026-07-15 12:00", "2026-07-12 21:00", "2026-07-19 21:00"),
    "the 31st": ("0 0 31 * *", "UTC", "2026-06-15 00:00", "2026-05-31 00:00", "2026-07-31 00:00"),
}


@pytest.mark.parametrize("row", TICKS)
def test_ticks(row: str) -> None:
    cron, zone, now, previous, following = TICKS[row]
    assert ticks(cron, zone, at(now)) == (at(previous), at(following))


@given(st.integers(int(at("2026-01-01 00:00")), int(at("2028-01-01 00:00"))), st.sampled_from(["America/Chicago", "Europe/Berlin", "UTC", "Australia/Lord_Howe"]),
       st.sampled_from(["0 2 1 * *", "30 2 * * *", "15 1 * * 0", "0 * * * *"]))  # fmt: skip
@example(DUE_AT, "America/Chicago", "0 2 1 * *")
def test_now_lies_between_two_ticks_and_none_is_left_out(now: int, zone: str, cron: str) -> None:
    previous, following = ticks(cron, zone, now)
    assert previous <= now < following
    assert ticks(cron, zone, following)[0] == following, "a due time is due at once"
    assert ticks(cron, zone, (previous + following) / 2) == (previous, following)
    hour, minute = datetime.fromtimestamp(following, ZoneInfo(zone)).hour, datetime.fromtimestamp(following, ZoneInfo(zone)).minute
    assert minute == int(cron.split()[0]) or zone != "UTC"
    assert cron.split()[1] == "*" or abs(hour - int(cron.split()[1])) <= 1, "an hour beside it only where the clock jumps"


INVALID: dict[str, tuple[dict[str, Any], str]] = {
    "no cron": ({"schedule": "every month"}, "schedule: 'every month' is no cron expression of five fields"),
    "a month that is none": ({"schedule": "0 2 1 FOO *"}, "schedule: '0 2 1 FOO *' is no cron expression of five fields"),
    "seconds": ({"schedule": "* * * * * *"}, "is no cron expression of five fields"),
    "an alias": ({"schedule": "@annually"}, "is no cron expression of five fields"),
    "never": ({"schedule": "0 0 31 2 *"}, "schedule: '0 0 31 2 *' is no cron"),
    "no zone": ({"timeZone": "Chicago"}, "timeZone: Chicago is no IANA time zone"),
    "a path": ({"timeZone": "../zone"}, "timeZone: ../zone is no IANA time zone"),
    "half a zone": ({"timeZone": "America"}, "timeZone: America is no IANA time zone"),
}


@pytest.mark.parametrize("row", INVALID)
def test_what_is_wrong_is_named(row: str) -> None:
    changes, text = INVALID[row]
    plan = decide(IDLE, **changes)
    assert said(plan)[1] == "ScheduleInvalid"
    assert text in (plan.status.message or "")
    assert plan.actions == ()


STATES: dict[str, tuple[ScheduleFacts, dict[str, Any], str, str]] = {
    "due": (IDLE, {}, "Training", "Training"),
    "enough is new": (replace(IDLE, runs=(run(rows=700),)), {}, "Training", "Training"),
    "too little is new": (replace(IDLE, runs=(run(rows=701),)), {}, "Idle", "NothingNew"),
    "what failed used nothing": (replace(IDLE, runs=(run(rows=899, phase="Failed"),)), {}, "Training", "Training"),
    "ran already": (replace(IDLE, runs=(run("2026-11-01 08:00"),)), {}, "Idle", "Scheduled"),
    "skipped already": (replace(IDLE, last="2026-11-01T08:00:00Z"), {}, "Idle", "NothingNew"),
    "no dataset": (replace(IDLE, dataset_exists=False, train_rows=None), {}, "Idle", "DatasetNotReady"),
    "no revision": (replace(IDLE, train_rows=None), {}, "Idle", "DatasetNotReady"),
    "no service": (replace(IDLE, service_exists=False), {}, "Idle", "ServiceMissing"),
    "suspended": (IDLE, {"suspend": True}, "Suspended", "Suspended"),
    "suspended while one trains": (replace(IDLE, runs=(run(phase="Training"),)), {"suspend": True}, "Training", "Training"),
    "one trains": (replace(IDLE, runs=(run(phase="Converting"),)), {}, "Training", "Training"),
    "one rolls out": (replace(IDLE, runs=(run(rollout="Analyzing"),)), {}, "RollingOut", "RollingOut"),
    "one's rollout is new": (replace(IDLE, runs=(run(rollout=""),)), {}, "RollingOut", "RollingOut"),
    "one is to be rolled out": (replace(IDLE, runs=(run(rollout=None),)), {}, "RollingOut", "RollingOut"),
    "rolled out by hand": (replace(IDLE, runs=(run("2026-11-01 08:00", rollout=None),)), {"rolloutPolicy": "Manual"}, "Idle", "Scheduled"),
}


@pytest.mark.parametrize("row", STATES)
def test_states(row: str) -> None:
    facts, changes, *wanted = STATES[row]
    plan = decide(facts, **changes)
    assert list(said(plan)) == wanted
    starts = [action for action in plan.actions if isinstance(action, Create)]
    assert bool(starts) is (row in {"due", "enough is new", "what failed used nothing", "one is to be rolled out"})


def test_nothing_is_due_before_it_was_created() -> None:
    late = replace(ME, created=at("2026-11-02 00:00"))
    assert schedule.decide(late, schedule_spec(), IDLE, NOW).actions == ()


def test_a_due_run_is_named_by_its_time_and_made_from_the_template() -> None:
    (create,) = decide(IDLE).actions
    assert isinstance(create, Create)
    made = create.manifest
    assert made["metadata"]["name"] == run_name(ME, DUE_AT)
    assert made["metadata"]["annotations"] == {ROWS: "900", DUE: str(DUE_AT)}
    assert (made["spec"]["version"], made["spec"]["baseRef"], made["spec"]["borrow"]["mode"]) == (
        "Next",
        {"name": "openins-baseline"},
        "Preempt",
    )
    later = decide(IDLE, now=NOW + 86400).actions[0]
    assert isinstance(later, Create)
    assert later.manifest["metadata"]["name"] == made["metadata"]["name"], "a run is never started twice"


def test_a_skip_is_said_with_both_numbers() -> None:
    plan = decide(replace(IDLE, runs=(run(rows=800),)))
    assert "100 new rows, trigger.minNewRows is 200" in (plan.status.message or "")
    assert plan.status.model_dump()["last_schedule_time"] == "2026-11-01T08:00:00Z"


def test_the_rollout_takes_the_version_and_the_run_s_name() -> None:
    (create,) = decide(replace(IDLE, runs=(run(rollout=None),))).actions
    assert isinstance(create, Create)
    assert (create.manifest["kind"], create.manifest["spec"]["toRef"]) == ("ModelRollout", {"name": "openins-v1.0"})


def test_history_beyond_the_limits_goes_oldest_first() -> None:
    done = [run(f"2026-{month:02}-01 07:00") for month in range(1, 6)]
    failed = [run(f"2026-{month:02}-02 07:00", "Failed", rollout=None) for month in range(1, 4)]
    facts = replace(IDLE, runs=tuple(sorted([*done, *failed], key=lambda item: item.due)), last="2026-11-01T08:00:00Z")
    plan = decide(facts, historyLimits={"succeeded": 3, "failed": 1})
    gone = [action.name for action in plan.actions if isinstance(action, Delete)]
    assert gone == [item.name for item in (*done[:2], *failed[:2])]


@given(st.lists(st.integers(0, len(STATES) - 1), max_size=30))
def test_schedules_keep_to_the_table(steps: list[int]) -> None:
    before, rows = SchedulePhase.IDLE, list(STATES.values())
    for step in steps:
        facts, changes, *_ = rows[step]
        after = SchedulePhase(said(decide(facts, **changes))[0])
        assert after == before or after in TRANSITIONS[SchedulePhase][before]
        before = after
