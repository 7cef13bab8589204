"""How manifests are read: as kubectl reads them, with places that a person can find."""

import pytest
import yaml

from regimen.spec.validate import check, read

ROLLOUT = """\
apiVersion: regimen.dev/v1alpha1
kind: ModelRollout
metadata: {name: r}
spec:
  serviceRef: {name: s}
  toRef: {name: v}
  strategy: {steps: [{setReplicas: 1}]}
"""


def said(text: str) -> list[str]:
    return [str(problem) for problem in check(read("f.yaml", text))]


def test_names_file_line_document_and_field() -> None:
    (line,) = said(f"---\nkind: Other\n---\n{ROLLOUT}  analyis: {{}}\n")
    assert line == "f.yaml:11: document 2 (ModelRollout r): spec.analyis: unknown field; did you mean analysis?"


@pytest.mark.parametrize(
    ("replaced", "by", "expected"),
    [
        ("v1alpha1", "v1", "apiVersion: regimen.dev/v1 is not known; write regimen.dev/v1alpha1"),
        ("kind: ModelRollout", "kind: ModelRolout", "kind: ModelRolout is not a kind of regimen.dev; did you mean ModelRollout?"),
        ("metadata: {name: r}", "metadata: {name: R_1}", "metadata.name: required: lower-case"),
        ("metadata: {name: r}", "metadata: {}", "metadata.name: required"),
        ("spec:", "spek: {}\nspec:", "spek: unknown field; did you mean spec?"),
    ],
)
def test_envelope(replaced: str, by: str, expected: str) -> None:
    assert any(expected in line for line in said(ROLLOUT.replace(replaced, by)))


def test_other_groups_are_left_alone() -> None:
    assert said("apiVersion: v1\nkind: Secret\n---\n- a list\n---\njust text\n") == []


def test_an_empty_value_is_called_empty() -> None:
    (line,) = said(ROLLOUT + "  progressDeadline:\n")
    assert line.endswith("spec.progressDeadline: empty; give it a value or remove it")


def test_generated_names_are_names() -> None:
    assert said(ROLLOUT.replace("{name: r}", "{generateName: r-}")) == []


def test_a_repeated_key_is_an_error() -> None:
    with pytest.raises(yaml.YAMLError, match="toRef is given twice"):
        read("f.yaml", ROLLOUT + "  toRef: {name: w}\n")


@pytest.mark.parametrize(
    ("text", "value"),
    [("2e-4", 2e-4), ("2.0e-4", 2e-4), ("2026-11-01", "2026-11-01"), ("y", True), ("v1.0", "v1.0"), ("1.0", 1.0)],
)
def test_scalars_as_kubectl_reads_them(text: str, value: object) -> None:
    (document,) = read("f.yaml", f"a: {text}\n")
    assert document.body == {"a": value}


def test_the_message_does_not_depend_on_a_spec_being_an_object() -> None:
    assert any("spec: " in line for line in said(ROLLOUT.split("spec:")[0] + "spec: []\n"))
    assert any("spec: " in line for line in said(ROLLOUT.split("spec:")[0]))
