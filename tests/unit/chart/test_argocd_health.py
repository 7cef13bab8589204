"""Argo CD's health scripts, run by a real Lua over the test data in Argo CD's own form."""

import importlib.util
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import yaml

from argocd_lua import ARGOCD, health
from regimen.spec.kinds import KINDS


def cases() -> Iterator[Any]:
    for file in sorted(ARGOCD.glob("*/health_test.yaml")):
        for case in yaml.safe_load(file.read_text())["tests"]:
            yield pytest.param(file.parent, case, id=f"{file.parent.name}-{Path(case['inputPath']).stem}")


@pytest.mark.parametrize(("folder", "case"), list(cases()))
def test_health(folder: Path, case: dict[str, Any]) -> None:
    resource = yaml.safe_load((folder / case["inputPath"]).read_text())
    assert resource["kind"] == folder.name
    assert health(resource) == case["healthStatus"]


def test_every_kind_has_health() -> None:
    assert {file.parent.name for file in ARGOCD.glob("*/health.lua")} == {kind.name for kind in KINDS}


@pytest.mark.parametrize("kind", KINDS, ids=lambda kind: kind.name)
def test_test_data_is_what_the_operator_writes(kind: Any) -> None:
    for file in (ARGOCD / kind.name / "testdata").glob("*.yaml"):
        kind.status.model_validate(yaml.safe_load(file.read_text()).get("status", {}))


@pytest.mark.parametrize("kind", KINDS, ids=lambda kind: kind.name)
def test_no_phase_breaks_a_script(kind: Any) -> None:
    phases = [*kind.status.model_fields["phase"].annotation.__args__[0]]
    for phase in phases:
        for ready in ("True", "False", "Unknown"):
            condition = {"type": "Ready", "status": ready, "reason": "R", "message": "m"}
            status = {"observedGeneration": 1, "phase": str(phase), "conditions": [condition]}
            said = health({"kind": kind.name, "metadata": {"generation": 1}, "spec": {}, "status": status})
            assert said["status"] in {"Healthy", "Progressing", "Degraded"}


def test_the_snippet_is_current() -> None:
    spec = importlib.util.spec_from_file_location("bundle", ARGOCD / "bundle.py")
    assert spec
    assert spec.loader
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    text = (ARGOCD / "argocd-cm.yaml").read_text()
    assert text == module.bundle(), "run charts/regimen/argocd/bundle.py"
    data = yaml.safe_load(text)["data"]
    assert data["resource.customizations.health.regimen.dev_ModelRollout"] == (ARGOCD / "ModelRollout/health.lua").read_text()
