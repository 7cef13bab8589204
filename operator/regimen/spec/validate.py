"""Checks manifests as a person wrote them, before any cluster sees them.

The models refuse what the API server refuses (and more: what CEL cannot say), so this only finds the documents, asks the
models, and turns their answers into sentences that name file, document, field and remedy. References are checked among the
given documents alone; a missing one is a warning, since it may exist in the cluster.
"""

import json
import re
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from difflib import get_close_matches
from functools import cache
from typing import Any

import yaml
from pydantic import BaseModel, ValidationError
from pydantic_core import ErrorDetails

from regimen.spec.crds import Schema, alias, model_in, spec_schema
from regimen.spec.kinds import KINDS, Kind
from regimen.spec.meta import API_VERSION, GROUP

Path = tuple[str | int, ...]
BY_NAME = {kind.name: kind for kind in KINDS}
TOP = ("apiVersion", "kind", "metadata", "spec", "status")
NAME = re.compile(r"[a-z0-9]([-a-z0-9.]{0,251}[a-z0-9])?")


@dataclass(frozen=True)
class Document:
    """One YAML document. `index` counts from 1 within its file."""

    file: str
    index: int
    body: Any
    node: yaml.Node

    @property
    def kind(self) -> str:
        return str(self.body.get("kind", ""))

    @property
    def name(self) -> str:
        metadata = self.body.get("metadata")
        return str(metadata.get("name", "")) if isinstance(metadata, dict) else ""

    @property
    def namespace(self) -> str:
        metadata = self.body.get("metadata")
        return str(metadata.get("namespace", "")) if isinstance(metadata, dict) else ""

    @property
    def ours(self) -> bool:
        """Whether the document is of Regimen's API group."""
        return isinstance(self.body, dict) and str(self.body.get("apiVersion", "")).split("/")[0] == GROUP


@dataclass(frozen=True)
class Problem:
    """Something wrong (or, as a warning, doubtful) in a document."""

    document: Document
    path: Path
    message: str
    warning: bool = False

    def __str__(self) -> str:
        where = f"{self.document.file}:{line_of(self.document.node, self.path)}: document {self.document.index}"
        field = "".join(f"[{part}]" if isinstance(part, int) else f".{part}" for part in self.path).removeprefix(".")
        level = "warning: " if self.warning else ""
        return f"{where} ({self.document.kind} {self.document.name}): {level}{field}: {self.message}"


class _Loader(yaml.SafeLoader):
    """Reads YAML as kubectl does: 2e-4 is a number, a date a string, a bare y true; and takes a repeated key for an error."""

    def construct_mapping(self, node: yaml.MappingNode, deep: bool = False) -> dict[Any, Any]:
        seen: set[str] = set()
        for key, _ in node.value:
            if key.value in seen:
                raise yaml.constructor.ConstructorError(None, None, f"{key.value} is given twice; keep one", key.start_mark)
            seen.add(key.value)
        return super().construct_mapping(node, deep)


_Loader.yaml_implicit_resolvers = {
    first: [(tag, pattern) for tag, pattern in resolvers if not tag.endswith((":timestamp", ":float"))]
    for first, resolvers in yaml.SafeLoader.yaml_implicit_resolvers.items()
}
_Loader.add_implicit_resolver(
    "tag:yaml.org,2002:float", re.compile(r"^[-+]?(\.[0-9]+|[0-9]+(\.[0-9]*)?([eE][-+]?[0-9]+)?)$"), list("-+.0123456789")
)
_Loader.add_implicit_resolver("tag:yaml.org,2002:bool", re.compile(r"^[yYnN]$"), list("yYnN"))
_Loader.bool_values = {**yaml.SafeLoader.bool_values, "y": True, "n": False}


def read(file: str, text: str) -> list[Document]:
    """The documents of a file, empty ones left out. Raises yaml.YAMLError."""
    loader = _Loader(text)
    documents: list[Document] = []
    try:
        index = 0
        while loader.check_node():
            index += 1
            node = loader.get_node()
            body = loader.construct_document(node)
            if node is not None and body is not None:
                documents.append(Document(file, index, body, node))
    finally:
        loader.dispose()
    return documents


def line_of(node: yaml.Node, path: Path) -> int:
    """Line of a field, or of the innermost part of its path that is there."""
    for part in path:
        found = _child(node, part)
        if found is None:
            break
        node = found
    return int(node.start_mark.line) + 1


def _child(node: yaml.Node, part: str | int) -> yaml.Node | None:
    if isinstance(node, yaml.MappingNode):
        return next((value for key, value in node.value if key.value == part), None)
    if isinstance(node, yaml.SequenceNode) and isinstance(part, int) and part < len(node.value):
        child: yaml.Node = node.value[part]
        return child
    return None


def nearest(word: str, among: Iterable[str]) -> str:
    """' did you mean X?', or nothing."""
    return f"; did you mean {match[0]}?" if (match := get_close_matches(word, list(among), 1, 0.6)) else ""


def model_at(model: type[BaseModel], path: Path) -> type[BaseModel] | None:
    """The model whose fields are at a path below `model`."""
    current: type[BaseModel] | None = model
    for part in path:
        if isinstance(part, int) or current is None:
            continue
        info = next((info for name, info in current.model_fields.items() if alias(name, info) == part), None)
        current = model_in(info.annotation) if info else None
    return current


def sentence(error: ErrorDetails, model: type[BaseModel]) -> str:
    """One of pydantic's errors, for people: what is wrong and what to do."""
    *parents, last = error["loc"] or ("",)
    if error["input"] is None:
        return "empty; give it a value or remove it"
    match error["type"]:
        case "extra_forbidden":
            owner = model_at(model, tuple(parents))
            fields = [alias(name, info) for name, info in owner.model_fields.items()] if owner else []
            hint = nearest(str(last), fields) or (f"; known are {', '.join(fields)}" if fields else "; remove it")
            return f"unknown field{hint}"
        case "missing":
            return "required, but missing; add it"
        case "literal_error" | "enum":
            known = re.findall(r"'([^']*)'", str(error.get("ctx", {}).get("expected", "")))
            return f"{error['input']!r} is not one of {', '.join(known)}{nearest(str(error['input']), known)}"
        case "string_type":
            return f"{error['input']!r} must be a string; put it in quotes"
        case "string_pattern_mismatch":
            return f"{error['input']!r} does not match {error.get('ctx', {}).get('pattern')}"
        case "value_error":
            return str(error["msg"]).removeprefix("Value error, ")
        case _:
            return f"{error['msg'][0].lower()}{error['msg'][1:]}, not {json.dumps(error['input'])[:80]}"


def repeated(schema: Schema, value: Any, path: Path) -> Iterator[tuple[Path, str]]:
    """Items that occur twice in lists which the API server holds to be sets or maps."""
    if isinstance(value, dict):
        for name, field in schema.get("properties", {}).items():
            yield from repeated(field, value.get(name), (*path, name))
    if not isinstance(value, list):
        return
    keys = schema.get("x-kubernetes-list-map-keys", [])
    unique = schema.get("x-kubernetes-list-type") in ("set", "map")
    seen: set[str] = set()
    for index, item in enumerate(value):
        identity = json.dumps([item.get(key) for key in keys] if keys and isinstance(item, dict) else item)
        if unique and identity in seen:
            yield (*path, index), "is listed twice; keep one"
        seen.add(identity)
        yield from repeated(schema.get("items", {}), item, (*path, index))


@cache
def _schema(kind: Kind) -> Schema:
    return spec_schema(kind)


def _envelope(document: Document) -> Iterator[Problem]:
    """What is wrong outside spec."""
    if document.body["apiVersion"] != API_VERSION:
        yield Problem(document, ("apiVersion",), f"{document.body['apiVersion']} is not known; write {API_VERSION}")
    if document.kind not in BY_NAME:
        yield Problem(document, ("kind",), f"{document.kind or 'nothing'} is not a kind of {GROUP}{nearest(document.kind, BY_NAME)}")
    for name in document.body.keys() - set(TOP):
        yield Problem(document, (name,), f"unknown field{nearest(str(name), TOP)}")
    metadata = document.body.get("metadata")
    generated = isinstance(metadata, dict) and "generateName" in metadata
    if not generated and not NAME.fullmatch(document.name):
        yield Problem(document, ("metadata", "name"), "required: lower-case letters, digits, '-' and '.', at most 253")


def _spec(document: Document, kind: Kind) -> Iterator[Problem]:
    """What is wrong in spec."""
    spec = document.body.get("spec")
    try:
        kind.spec.model_validate_json(json.dumps(spec), strict=True)
    except ValidationError as refused:
        for error in refused.errors():
            yield Problem(document, ("spec", *error["loc"]), sentence(error, kind.spec))
    for path, message in repeated(_schema(kind), spec, ("spec",)):
        yield Problem(document, path, message)


def check(documents: Sequence[Document]) -> list[Problem]:
    """All that is wrong with Regimen's documents among the given ones, and what is doubtful between them."""
    problems: list[Problem] = []
    for document in filter(lambda document: document.ours, documents):
        problems += _envelope(document)
        if kind := BY_NAME.get(document.kind):
            problems += _spec(document, kind)
    return problems
