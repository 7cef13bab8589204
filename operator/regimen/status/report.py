"""Merge a plan's status and conditions with what was said before; say only what changed."""

from collections.abc import Mapping
from typing import Any

from regimen.plan.actions import Plan, Verdict
from regimen.spec.meta import Condition, KindStatus


def next_status(plan: Plan, generation: int, before: Mapping[str, Any], now_iso: str) -> dict[str, Any]:
    """The whole status to write, camelCase, without empty fields.

    A condition's lastTransitionTime stays while its status stays.
    """
    old = {item["type"]: item for item in before.get("conditions", []) if isinstance(item, dict) and "type" in item}
    conditions = [_condition(verdict, generation, old.get(verdict.type), now_iso) for verdict in plan.conditions]
    status: KindStatus = plan.status.model_copy(update={"observed_generation": generation, "conditions": conditions})
    return status.model_dump(mode="json", by_alias=True, exclude_none=True)


def _condition(verdict: Verdict, generation: int, old: Mapping[str, Any] | None, now_iso: str) -> Condition:
    status = "True" if verdict.status else "False"
    since = str(old["lastTransitionTime"]) if old is not None and old.get("status") == status else now_iso
    return Condition(
        type=verdict.type, status=status, reason=verdict.reason, message=verdict.message[:4096],
        observed_generation=generation, last_transition_time=since,
    )  # fmt: skip


def merge_patch(before: Mapping[str, Any], after: Mapping[str, Any]) -> dict[str, Any]:
    """A JSON merge patch that turns `before` into `after`; empty where nothing changed.

    >>> merge_patch({"a": 1, "b": {"c": 2, "d": 3}}, {"a": 1, "b": {"c": 4}})
    {'b': {'c': 4, 'd': None}}
    """
    patch: dict[str, Any] = {key: None for key in before if key not in after}
    for key, value in after.items():
        old = before.get(key)
        if isinstance(old, Mapping) and isinstance(value, Mapping):
            if inner := merge_patch(old, value):
                patch[key] = inner
        elif old != value:
            patch[key] = value
    return patch


def invalid_status(message: str, generation: int, before: Mapping[str, Any], now_iso: str, phase: str | None) -> dict[str, Any]:
    """The status of a resource whose spec the models refuse, where the API server let it through."""
    verdicts = (Verdict("Ready", False, "SpecInvalid", message), Verdict("Stalled", True, "SpecInvalid", message))
    status = next_status(Plan(KindStatus(message=message), verdicts), generation, before, now_iso)
    return {**status, **({"phase": phase} if phase else {})}
