"""The generated definitions: current, structural, bounded, and wide enough for all that the operator writes."""

from collections.abc import Iterator
from enum import StrEnum
from pathlib import Path
from typing import Any, get_args, get_origin

import pytest
import yaml
from pydantic import BaseModel

from regimen.spec import crds, reference
from regimen.spec.kinds import KINDS, Kind

ROOT = Path(__file__).parents[3]
REMEDY = "run `make crds`"
each_kind = pytest.mark.parametrize("kind", KINDS, ids=lambda kind: kind.name)


def root(kind: Kind) -> dict[str, Any]:
    schema: dict[str, Any] = crds.crd(kind)["spec"]["versions"][0]["schema"]["openAPIV3Schema"]
    return schema


def walk(schema: dict[str, Any], path: str) -> Iterator[tuple[str, dict[str, Any]]]:
    yield path, schema
    for name, field in schema.get("properties", {}).items():
        yield from walk(field, f"{path}.{name}")
    for key in ("items", "additionalProperties"):
        if key in schema:
            yield from walk(schema[key], f"{path}[]")


@each_kind
def test_files_are_current(kind: Kind) -> None:
    assert (ROOT / f"crds/{kind.plural}.yaml").read_text() == crds.HEADER + crds.crd_yaml(kind), REMEDY


def test_no_file_is_left_over() -> None:
    assert {path.stem for path in (ROOT / "crds").glob("*.yaml")} == {kind.plural for kind in KINDS}


def test_chart_and_reference_are_current() -> None:
    assert (ROOT / "charts/regimen/templates/crds.yaml").read_text() == crds.chart_template(), REMEDY
    assert (ROOT / "docs/reference.md").read_text() == reference.reference(), REMEDY


@each_kind
def test_schema_is_structural(kind: Kind) -> None:
    allowed = {*crds.KEPT, "properties", "items", "additionalProperties", "required", "nullable"}
    for path, schema in walk(root(kind), kind.name):
        assert "type" in schema, path
        assert not (extra := {key for key in schema if not key.startswith("x-kubernetes-")} - allowed), (path, extra)
        assert not ("properties" in schema and "additionalProperties" in schema), path


@each_kind
def test_every_field_is_described(kind: Kind) -> None:
    for part in ("spec", "status"):
        for path, schema in walk(root(kind)["properties"][part], part):
            assert schema.get("description") or path.endswith("[]"), path


@each_kind
def test_spec_is_bounded_for_the_cost_of_rules(kind: Kind) -> None:
    bound = {"string": ("maxLength", "enum"), "array": ("maxItems",), "object": ("maxProperties", "properties", "description")}
    for path, schema in walk(root(kind)["properties"]["spec"], "spec"):
        assert any(key in schema for key in bound.get(schema["type"], ("type",))), f"{path}: bound it in the model"
        if "additionalProperties" in schema:
            assert "maxProperties" in schema, path


@each_kind
def test_conditions_are_a_map(kind: Kind) -> None:
    conditions = root(kind)["properties"]["status"]["properties"]["conditions"]
    assert (conditions["x-kubernetes-list-type"], conditions["x-kubernetes-list-map-keys"]) == ("map", ["type"])


@each_kind
def test_columns_point_at_fields(kind: Kind) -> None:
    for column in kind.columns:
        if "[" in column.path or column.path.startswith(".metadata"):
            continue
        schema = root(kind)
        for part in column.path.removeprefix(".").split("."):
            schema = schema["properties"][part]
        assert column.type in (schema["type"], "date"), column


@each_kind
def test_rules_name_fields_that_exist(kind: Kind) -> None:
    for path, schema in walk(root(kind)["properties"]["spec"], "spec"):
        for rule in schema.get("x-kubernetes-validations", []):
            if "fieldPath" in rule:
                assert rule["fieldPath"].removeprefix(".") in schema["properties"], (path, rule)


def sample(annotation: Any) -> Any:
    """A value for an annotation, with every optional part there."""
    origin, args = get_origin(annotation), get_args(annotation)
    if isinstance(annotation, type) and issubclass(annotation, BaseModel):
        return {name: sample(info.annotation) for name, info in annotation.model_fields.items()}
    if isinstance(annotation, type) and issubclass(annotation, StrEnum):
        return next(iter(annotation))
    if origin is list:
        return [sample(args[0])]
    if origin is dict:
        return {"key": sample(args[1])}
    if args:  # Literal, Optional, Annotated: the first alternative
        return args[0] if isinstance(args[0], str) else sample(args[0])
    return {int: 1, float: 0.5, str: "x", bool: True}[annotation]


def pruned(schema: dict[str, Any], value: Any) -> Any:
    """What the API server keeps."""
    if isinstance(value, list):
        return [pruned(schema["items"], item) for item in value]
    if not isinstance(value, dict) or "additionalProperties" in schema:
        return value
    known = schema.get("properties", {})
    return {name: pruned(known[name], item) for name, item in value.items() if name in known}


@each_kind
def test_nothing_of_a_status_is_pruned(kind: Kind) -> None:
    status = kind.status.model_validate(sample(kind.status)).model_dump(mode="json", by_alias=True)
    assert set(status) == set(root(kind)["properties"]["status"]["properties"])
    assert pruned(root(kind)["properties"]["status"], status) == status


def defaulted(schema: dict[str, Any], value: Any) -> Any:
    """What the API server fills in."""
    if isinstance(value, list):
        return [defaulted(schema["items"], item) for item in value]
    if not isinstance(value, dict) or "properties" not in schema:
        return value
    filled = {name: field["default"] for name, field in schema["properties"].items() if "default" in field} | value
    return {name: defaulted(schema["properties"][name], item) for name, item in filled.items()}


@each_kind
def test_the_servers_defaults_are_the_models(kind: Kind) -> None:
    (example,) = [path for path in ROOT.glob("examples/*.yaml") if path.stem.endswith(f"-{kind.name.lower()}")]
    given = yaml.safe_load(example.read_text())["spec"]
    required = {name: given[name] for name in root(kind)["properties"]["spec"]["required"]}
    filled = defaulted(root(kind)["properties"]["spec"], required)
    assert kind.spec.model_validate(filled) == kind.spec.model_validate(required)
    dumped = kind.spec.model_validate(required).model_dump(mode="json", by_alias=True, exclude_none=True)
    missing = {name for name, value in dumped.items() if value not in ([], {})} - set(filled)
    assert not missing


def test_an_immutable_spec_names_every_field() -> None:
    for kind in KINDS:
        rules = root(kind)["properties"]["spec"].get("x-kubernetes-validations", [])
        frozen = {rule["message"].split()[0] for rule in rules if "oldSelf" in rule["rule"]}
        fields = set(root(kind)["properties"]["spec"]["properties"])
        assert frozen == (fields - kind.mutable if kind.immutable else set())
        assert kind.mutable <= fields


def test_braces_are_no_template_actions(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(crds, "crd_yaml", lambda kind: "metadata:\n  description: '{{ .Values }} stays'\n")
    assert """'{{ "{{" }} .Values }} stays'""" in crds.chart_template()
