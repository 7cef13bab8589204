"""The API reference, generated from the same schemas as the CustomResourceDefinitions.

    python -m regimen.spec.reference docs/reference.md

A test compares the file with what this module says.
"""

import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import yaml

from regimen.spec.crds import Schema, crd
from regimen.spec.kinds import KINDS, Kind
from regimen.spec.meta import API_VERSION

INTRODUCTION = f"""<!-- Generated from operator/regimen/spec by `make crds`. Do not edit. -->
# API reference

API version `{API_VERSION}`. `kubectl explain <kind>.spec` says the same; `kubectl get regimen` lists all six kinds.

The user writes `spec`, the operator writes `status`. Fields that are not listed here are refused.
Durations are numbers with `s`, `m`, `h` or `d`: `90s`, `1h30m`, `14d`.
"""


def type_of(schema: Schema) -> str:
    """A field's type for people: `string`, `[]object`, `map of string`."""
    if schema["type"] == "array":
        return f"[]{type_of(schema['items'])}"
    if "additionalProperties" in schema:
        return f"map of {schema['additionalProperties']['type']}"
    return str(schema["type"])


def bounds_of(schema: Schema) -> Iterator[str]:
    """What a value must satisfy, in words; lengths that merely bound costs are left out."""
    if "enum" in schema:
        yield "one of " + ", ".join(f"`{value}`" for value in schema["enum"])
    if "pattern" in schema:
        yield f"matches `{schema['pattern']}`"
    if "minimum" in schema:
        yield f"{'>' if schema.get('exclusiveMinimum') else '≥'} {schema['minimum']}"
    if "maximum" in schema:
        yield f"{'<' if schema.get('exclusiveMaximum') else '≤'} {schema['maximum']}"
    if schema["type"] == "array":
        yield from (f"items {bound}" for bound in bounds_of(schema["items"]))
        if "maxItems" in schema:
            yield f"at most {schema['maxItems']}"


def default_text(value: Any) -> str:
    """A default as YAML flow, or `{}` for an object that is filled in field by field."""
    return f"`{yaml.safe_dump(value, default_flow_style=True, width=10**6).removesuffix('...' + chr(10)).strip()}`"


def rows(schema: Schema, prefix: str = "") -> Iterator[tuple[str, str, str, str]]:
    """(path, type, default or need, description) of every field below an object, depth first."""
    for name, field in schema.get("properties", {}).items():
        path = f"{prefix}{name}"
        need = "required" if name in schema.get("required", []) else default_text(field["default"]) if "default" in field else ""
        bounds = "; ".join(bounds_of(field))
        yield path, type_of(field), need, f"{field.get('description', '')} {f'({bounds})' if bounds else ''}".strip()
        yield from rows(field, f"{path}.")
        yield from rows(field.get("items", {}), f"{path}[].")


def rules(schema: Schema, path: str) -> Iterator[tuple[str, str]]:
    """(path, message) of every CEL rule at or below a schema, but for immutability, which is said in one sentence."""
    stated = schema.get("x-kubernetes-validations", [])
    yield from ((path, rule["message"]) for rule in stated if "oldSelf" not in rule["rule"])
    for name, field in schema.get("properties", {}).items():
        yield from rules(field, f"{path}.{name}")
        yield from rules(field.get("items", {}), f"{path}.{name}[]")


def _table(head: tuple[str, ...], lines: Iterator[tuple[str, ...]]) -> str:
    cells = [head, tuple("---" for _ in head), *lines]
    return "".join("| " + " | ".join(cell.replace("|", "\\|") for cell in line) + " |\n" for line in cells)


def _immutability(kind: Kind) -> str:
    if not kind.immutable:
        return ""
    but = " but for " + ", ".join(f"`{name}`" for name in sorted(kind.mutable)) if kind.mutable else ""
    return f"\nA {kind.name}'s spec cannot be changed{but}: create another {kind.name} instead.\n"


def section(kind: Kind) -> str:
    """One kind's part of the document."""
    root = crd(kind)["spec"]["versions"][0]["schema"]["openAPIV3Schema"]["properties"]
    spec = ((f"`{path}`", *rest) for path, *rest in rows(root["spec"]))
    stated = "".join(f"- `{path}`: {message}\n" for path, message in rules(root["spec"], "spec"))
    status = ((f"`{path}`", of, what) for path, of, _, what in rows(root["status"]))
    return (
        f"\n## {kind.name}\n\nShort name `{kind.short}`. {kind.description}\n\n### spec\n\n"
        + _table(("field", "type", "default", "meaning"), spec)
        + _immutability(kind)
        + (f"\nRules:\n\n{stated}" if stated else "")
        + "\n### status\n\n"
        + _table(("field", "type", "meaning"), status)
    )


def reference() -> str:
    """The whole document."""
    return INTRODUCTION + "".join(section(kind) for kind in KINDS)


if __name__ == "__main__":
    Path(sys.argv[1]).write_text(reference())
