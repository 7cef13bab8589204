"""The six CustomResourceDefinitions, generated from the models in this package.

    python -m regimen.spec.crds crds charts/regimen/templates

writes one file for each kind into the first folder and, where it is given, the chart's one template into the second. Nothing
else may write them: a test compares the files with what this module says. Knows pydantic and the rules of structural schemas
(no $ref, no anyOf, no const, exclusive bounds as booleans), and talks to nobody.

Specs are strict. Statuses are lenient where it costs nothing (an optional field may be null), because a status that the API
server refuses would leave a person without any report at all.
"""

import sys
from collections.abc import Iterator
from enum import StrEnum
from pathlib import Path
from types import UnionType
from typing import Any, Union, get_args, get_origin

import yaml
from pydantic import BaseModel
from pydantic.fields import FieldInfo

from regimen.spec.kinds import KINDS, MAPS, RULES, SETS, Column, Kind, Rule
from regimen.spec.meta import GROUP, VERSION, Spec, Status

Schema = dict[str, Any]

KEPT = (
    "type", "description", "default", "enum", "pattern", "minLength", "maxLength", "minItems", "maxItems", "maxProperties",
    "minimum", "exclusiveMinimum", "maximum", "exclusiveMaximum",
)  # fmt: skip
"""Keywords taken over from JSON schema as they are; the others are built here or have no meaning to an API server."""


def model_in(annotation: Any) -> type[BaseModel] | None:
    """The model that an annotation holds: `Ref`, `Ref | None`, `list[Ref]` all give Ref; `list[str]` gives None."""
    if isinstance(annotation, type) and issubclass(annotation, BaseModel):
        return annotation
    return next((found for part in get_args(annotation) if (found := model_in(part))), None)


def enum_in(annotation: Any) -> type[StrEnum] | None:
    """The enum that an annotation holds, likewise."""
    if isinstance(annotation, type) and issubclass(annotation, StrEnum):
        return annotation
    return next((found for part in get_args(annotation) if (found := enum_in(part))), None)


def optional(info: FieldInfo) -> bool:
    """Whether None is among the field's values."""
    return get_origin(info.annotation) in (Union, UnionType) and type(None) in get_args(info.annotation)


def alias(name: str, info: FieldInfo) -> str:
    """The field's name outside Python."""
    return info.alias or name


def default_of(info: FieldInfo) -> Any:
    """What the API server fills in, or None for nothing: a nested object's own defaults follow from an empty one."""
    if info.is_required():
        return None
    value = info.get_default(call_default_factory=True, validated_data={})
    if isinstance(value, BaseModel):
        return {}
    return value if value not in ([], {}) else None


def _leaf(raw: Schema) -> Schema:
    """A scalar, list of scalars or map of scalars, from pydantic's JSON schema to a structural one."""
    schema = {key: raw[key] for key in KEPT if key in raw}
    if "const" in raw:
        schema["enum"] = [raw["const"]]
    for exclusive, bound in (("exclusiveMinimum", "minimum"), ("exclusiveMaximum", "maximum")):
        if exclusive in schema:
            schema[bound], schema[exclusive] = schema[exclusive], True
    if "items" in raw:
        schema["items"] = _leaf(raw["items"])
    if isinstance(raw.get("additionalProperties"), dict):
        schema["additionalProperties"] = _leaf(raw["additionalProperties"])
    if "anyOf" in raw:
        return _leaf(next(branch for branch in raw["anyOf"] if branch.get("type") != "null")) | schema
    return schema


def _nested(raw: Schema, inner: Schema) -> Schema:
    """Puts a model's schema where pydantic has its $ref: the field itself, or the items of its list."""
    branches = raw.get("anyOf", [raw])
    listed = next((branch for branch in branches if branch.get("type") == "array"), None)
    if listed is None:
        return {**inner, **{key: raw[key] for key in ("description",) if key in raw}}
    return {**_leaf({key: value for key, value in raw.items() if key != "items"}), "items": inner}


def _list_type(model: type[BaseModel], name: str, schema: Schema) -> Schema:
    """How server-side apply merges a list and whether items may repeat."""
    if schema.get("type") != "array":
        return {}
    key = next((keys[name] for owner, keys in MAPS.items() if issubclass(model, owner) and name in keys), None)
    if key:
        return {"x-kubernetes-list-type": "map", "x-kubernetes-list-map-keys": [key]}
    return {"x-kubernetes-list-type": "set" if name in SETS and issubclass(model, Spec) else "atomic"}


def field_schema(model: type[BaseModel], name: str, info: FieldInfo, raw: Schema) -> Schema:
    """One property of a model's schema."""
    inner, enum = model_in(info.annotation), enum_in(info.annotation)
    if inner:
        schema = _nested(raw, object_schema(inner))
    elif enum:
        schema = {"type": "string", "description": raw.get("description", ""), "enum": [str(value) for value in enum]}
    else:
        schema = _leaf(raw)
    schema.pop("default", None)
    default = default_of(info)
    if issubclass(model, Spec) and default is not None:
        schema["default"] = default
    if issubclass(model, Status) and optional(info):
        schema["nullable"] = True
    return schema | _list_type(model, name, schema)


def object_schema(model: type[BaseModel]) -> Schema:
    """A model as a structural schema, with the rules that hold wherever it occurs."""
    raw = model.model_json_schema(by_alias=True)["properties"] if model.model_fields else {}
    fields = {alias(name, info): info for name, info in model.model_fields.items()}
    properties = {name: field_schema(model, name, info, raw[name]) for name, info in fields.items()}
    schema: Schema = {"type": "object", "description": " ".join((model.__doc__ or "").split())}
    if required := [name for name, info in fields.items() if info.is_required()]:
        schema["required"] = required
    if properties:
        schema["properties"] = properties
    if rules := [_rule(rule) for owner, given in RULES.items() if issubclass(model, owner) for rule in given]:
        schema["x-kubernetes-validations"] = rules
    return schema


def _rule(rule: Rule) -> Schema:
    schema = {"rule": rule.rule, "message": rule.message, "fieldPath": rule.field_path, "reason": rule.reason}
    return {key: value for key, value in schema.items() if value}


def immutability(kind: Kind, schema: Schema) -> Iterator[Rule]:
    """One rule for each field that may not change, so that the refusal names it."""
    for name, field in schema["properties"].items():
        if name in kind.mutable:
            continue
        same = f"self.{name} == oldSelf.{name}"
        always = name in schema["required"] or "default" in field
        yield Rule(
            same if always else f"has(self.{name}) == has(oldSelf.{name}) && (!has(self.{name}) || {same})",
            f"{name} cannot be changed once the {kind.name} exists; create another {kind.name} with the new value",
            f".{name}" if always else None,
            "FieldValueForbidden",
        )


def spec_schema(kind: Kind) -> Schema:
    """The schema of a kind's spec."""
    schema = object_schema(kind.spec)
    if kind.immutable:
        rules = [_rule(rule) for rule in immutability(kind, schema)]
        schema["x-kubernetes-validations"] = [*schema.get("x-kubernetes-validations", []), *rules]
    return schema


def _column(column: Column) -> Schema:
    printed: Schema = {"name": column.name, "type": column.type, "jsonPath": column.path, "description": column.description}
    return printed | ({"priority": column.priority} if column.priority else {})


def _root(kind: Kind) -> Schema:
    return {
        "type": "object",
        "description": kind.description,
        "required": ["spec"],
        "properties": {
            "apiVersion": {"type": "string", "description": f"{GROUP}/{VERSION}"},
            "kind": {"type": "string", "description": kind.name},
            "metadata": {"type": "object"},
            "spec": spec_schema(kind),
            "status": object_schema(kind.status),
        },
    }


def crd(kind: Kind) -> Schema:
    """The CustomResourceDefinition of a kind."""
    version = {
        "name": VERSION,
        "served": True,
        "storage": True,
        "subresources": {"status": {}},
        "additionalPrinterColumns": [_column(column) for column in kind.columns],
        "schema": {"openAPIV3Schema": _root(kind)},
    }
    names = {
        "kind": kind.name,
        "listKind": f"{kind.name}List",
        "plural": kind.plural,
        "singular": kind.name.lower(),
        "shortNames": [kind.short],
        "categories": ["regimen"],
    }
    return {
        "apiVersion": "apiextensions.k8s.io/v1",
        "kind": "CustomResourceDefinition",
        "metadata": {"name": f"{kind.plural}.{GROUP}", "labels": {"app.kubernetes.io/part-of": "regimen"}},
        "spec": {"group": GROUP, "scope": "Namespaced", "names": names, "versions": [version]},
    }


class _Dumper(yaml.SafeDumper):
    """Repeats what occurs twice instead of naming it: API servers take no anchors from a template."""

    def ignore_aliases(self, _data: Any) -> bool:
        return True


def crd_yaml(kind: Kind) -> str:
    """The CustomResourceDefinition as text."""
    return yaml.dump(crd(kind), Dumper=_Dumper, sort_keys=False, width=120, allow_unicode=True)


HEADER = "# Generated from operator/regimen/spec by `make crds`. Do not edit.\n"
KEEP = "  annotations:\n    {{- if $.Values.crds.keep }}\n    helm.sh/resource-policy: keep\n    {{- end }}\n"


def chart_template() -> str:
    """All six as one template, in the chart's hands: Helm never upgrades what lies in a crds/ folder."""
    texts = (crd_yaml(kind).replace("{{", '{{ "{{" }}').replace("metadata:\n", f"metadata:\n{KEEP}", 1) for kind in KINDS)
    return HEADER + "{{- if .Values.crds.install }}\n" + "".join(f"---\n{text}" for text in texts) + "{{- end }}\n"


def main(crds: str, chart: str | None = None) -> None:
    """Writes the files."""
    for kind in KINDS:
        Path(crds, f"{kind.plural}.yaml").write_text(HEADER + crd_yaml(kind))
    if chart:
        Path(chart, "crds.yaml").write_text(chart_template())


if __name__ == "__main__":
    main(*sys.argv[1:])
