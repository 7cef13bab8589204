"""What the API server refuses, and what it keeps."""

from collections.abc import Callable
from datetime import datetime
from enum import StrEnum
from pathlib import Path
from types import UnionType
from typing import Any, Literal, Union, get_args, get_origin

import pytest
import yaml
from plan_builders import AT, example
from pydantic import BaseModel
from wire_world import Wire

from regimen.errors import RefusedError
from regimen.spec.kinds import KINDS, Kind

pytestmark = pytest.mark.wire
CASES: list[dict[str, Any]] = yaml.safe_load((Path(__file__).parents[1] / "unit/spec/data/refused.yaml").read_text())
EXAMPLES = {
    "TrainingDataset": "1-trainingdataset", "ModelVersion": "2-modelversion", "FineTuneJob": "3-finetunejob",
    "ModelService": "4-modelservice", "ModelRollout": "5-modelrollout", "RetrainSchedule": "6-retrainschedule",
}  # fmt: skip
Ask = Callable[..., str]


def changed(case: dict[str, Any]) -> dict[str, Any]:
    document = example(case["example"])
    for path, value in case["set"].items():
        *parents, last = [int(part) if part.isdigit() else part for part in path.split(".")]
        inner: Any = document
        for part in parents:
            inner = inner[part]
        if value is None:
            del inner[last]
        else:
            inner[last] = value
    return document


@pytest.mark.parametrize(
    "case", [case for case in CASES if case.get("api", True)], ids=lambda case: f"{case['example']}:{','.join(case['set'])}"
)
def test_bad_input_is_refused_with_the_field_s_name(refused: Ask, case: dict[str, Any]) -> None:
    said = refused(changed(case))
    assert said, "the API server accepts it"
    words = {next(part for part in reversed(path.split(".")) if not part.isdigit()) for path in case["set"]}
    around = case["field"].rsplit(".", 1)[-1].split("[")[0]
    assert around in said or any(word in said for word in words), said


@pytest.mark.parametrize("name", list(EXAMPLES.values()))
def test_every_example_is_accepted(refused: Ask, name: str) -> None:
    assert refused(example(name)) == ""


IMMUTABLE: dict[str, list[tuple[str, Any]]] = {
    "FineTuneJob": [("version", "v9.9"), ("maxDuration", "7h"), ("baseRef", {"name": "other"}), ("placement", {"wholeCard": False})],
    "ModelRollout": [("toRef", {"name": "other"}), ("progressDeadline", "5m"), ("fromRef", {"name": "other"})],
    "ModelVersion": [("version", "v9.9"), ("model", "other"), ("weights", None)],
}


@pytest.mark.parametrize(("kind", "field", "value"), [(kind, *change) for kind, changes in IMMUTABLE.items() for change in changes])
def test_what_is_fixed_cannot_be_changed(wire: Wire, kind: str, field: str, value: Any) -> None:
    name = wire.give(EXAMPLES[kind])
    with pytest.raises(RefusedError, match=f"{field} cannot be changed once the {kind} exists; create another {kind}"):
        wire.cluster.patch(kind, wire.namespace, name, {"spec": {field: value}})


@pytest.mark.parametrize(("kind", "field"), [("FineTuneJob", "suspend"), ("ModelRollout", "paused")])
def test_what_may_change_can(wire: Wire, kind: str, field: str) -> None:
    name = wire.give(EXAMPLES[kind])
    wire.cluster.patch(kind, wire.namespace, name, {"spec": {field: True}})
    assert wire.get(kind, name)["spec"][field] is True


def filled(annotation: Any) -> Any:
    """A value for an annotation, with every optional field given."""
    origin, args = get_origin(annotation), get_args(annotation)
    if isinstance(annotation, type) and issubclass(annotation, BaseModel):
        return {name: filled(info.annotation) for name, info in annotation.model_fields.items()}
    if origin in (Union, UnionType):
        return filled(next(arg for arg in args if arg is not type(None)))
    if origin is list:
        return [filled(args[0])]
    if origin is dict:
        return {"A": filled(args[1])}
    if origin is Literal:
        return args[0]
    if isinstance(annotation, type) and issubclass(annotation, StrEnum):
        return next(iter(annotation))
    values: dict[Any, Any] = {str: "a-1", int: 3, float: 0.25, bool: True, datetime: AT}
    return values[annotation]


@pytest.mark.parametrize("kind", KINDS, ids=lambda kind: kind.name)
def test_every_field_of_a_status_is_kept(wire: Wire, kind: Kind) -> None:
    name = wire.give(EXAMPLES[kind.name])
    status = kind.status.model_validate(filled(kind.status)).model_dump(mode="json", by_alias=True)
    wire.cluster.patch(kind.name, wire.namespace, name, {"status": status}, "status")
    assert wire.get(kind.name, name)["status"] == status
