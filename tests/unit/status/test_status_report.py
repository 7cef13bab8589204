"""From a plan to a status: conditions keep their times, and the patch says only what differs."""

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from regimen.plan.actions import Plan, Verdict
from regimen.spec.finetune import FineTuneJobStatus
from regimen.spec.meta import KindStatus
from regimen.spec.phases import JobPhase
from regimen.status.report import invalid_status, merge_patch, next_status

EARLY, LATE = "2026-11-01T07:00:00Z", "2026-11-01T08:00:00Z"


def plan(ready: bool, reason: str = "Training", message: str = "step 1 of 9") -> Plan:
    return Plan(FineTuneJobStatus(phase=JobPhase.TRAINING, message=message), (Verdict("Ready", ready, reason, message),))


def ready_of(status: dict[str, Any]) -> dict[str, Any]:
    found: dict[str, Any] = next(item for item in status["conditions"] if item["type"] == "Ready")
    return found


def test_the_first_time_is_now() -> None:
    status = next_status(plan(True), 3, {}, EARLY)
    assert ready_of(status) == {
        "type": "Ready", "status": "True", "reason": "Training", "message": "step 1 of 9", "observedGeneration": 3, "lastTransitionTime": EARLY,
    }  # fmt: skip
    assert (status["observedGeneration"], status["phase"], status["message"]) == (3, "Training", "step 1 of 9")


@pytest.mark.parametrize(("ready", "since"), [(True, EARLY), (False, LATE)])
def test_a_condition_s_time_stays_while_its_status_stays(ready: bool, since: str) -> None:
    before = next_status(plan(True), 1, {}, EARLY)
    after = next_status(plan(ready, "Other", "other words"), 2, before, LATE)
    assert ready_of(after)["lastTransitionTime"] == since
    assert (ready_of(after)["reason"], ready_of(after)["observedGeneration"]) == ("Other", 2)


def test_the_same_plan_again_patches_nothing() -> None:
    before = next_status(plan(True), 1, {}, EARLY)
    assert merge_patch(before, next_status(plan(True), 1, before, LATE)) == {}


@pytest.mark.parametrize("broken", [{"conditions": ["x", {}, {"type": "Ready"}]}, {"conditions": []}, {"phase": "Nonsense"}])
def test_a_status_that_a_person_broke_is_written_anew(broken: dict[str, Any]) -> None:
    assert ready_of(next_status(plan(True), 1, broken, LATE))["lastTransitionTime"] == LATE


def test_empty_fields_are_left_out() -> None:
    assert "progress" not in next_status(plan(True), 1, {}, EARLY)


def test_a_message_longer_than_the_api_server_takes_is_cut() -> None:
    long = Plan(KindStatus(message="short"), (Verdict("Ready", False, "Long", "x" * 9000),))
    assert len(ready_of(next_status(long, 1, {}, EARLY))["message"]) == 4096


def test_an_invalid_spec_is_said_in_both_conditions() -> None:
    status = invalid_status("spec.x: wrong", 4, {}, EARLY, "Failed")
    assert (status["phase"], status["message"], status["observedGeneration"]) == ("Failed", "spec.x: wrong", 4)
    assert {item["type"]: item["status"] for item in status["conditions"]} == {"Ready": "False", "Stalled": "True"}


values = st.recursive(
    st.none() | st.booleans() | st.integers(0, 3) | st.text("ab", max_size=2),
    lambda inner: st.lists(inner, max_size=2) | st.dictionaries(st.sampled_from("abc"), inner.filter(lambda v: v is not None), max_size=3),
    max_leaves=8,
)
objects = st.dictionaries(st.sampled_from("abcd"), values.filter(lambda value: value is not None), max_size=4)


def applied(target: Any, patch: Any) -> Any:
    """RFC 7386, by its pseudocode."""
    if not isinstance(patch, dict):
        return patch
    result = dict(target) if isinstance(target, dict) else {}
    for key, value in patch.items():
        if value is None:
            result.pop(key, None)
        else:
            result[key] = applied(result.get(key), value)
    return result


@given(objects, objects)
def test_a_patch_turns_before_into_after(before: dict[str, Any], after: dict[str, Any]) -> None:
    assert applied(before, merge_patch(before, after)) == after


@given(objects)
def test_the_patch_of_nothing_is_empty(status: dict[str, Any]) -> None:
    assert merge_patch(status, status) == {}
