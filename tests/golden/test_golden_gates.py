"""What a person sees when a gate fails: status and events of every made case, as a golden file. See test_golden_manifests."""

import os
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import yaml
from plan_builders import AT, DIGEST, SETTINGS, artifact, dataset_spec, job_spec, owner, record, revision, version_spec

from regimen.plan import finetune
from regimen.plan.actions import Plan
from regimen.plan.finetune_facts import BaseFacts, DatasetFacts, FineTuneFacts, JobStageFacts
from regimen.plan.training import TrainingFacts
from regimen.spec.artifacts import Claim
from regimen.spec.phases import DatasetPhase, VersionPhase
from regimen.spec.version import ArtifactStatus, ModelVersionStatus

GOLDEN = Path(__file__).parent / "data" / "gates.yaml"
JOB = owner("FineTuneJob", "openins-v1-1")
FACTS = FineTuneFacts(
    base=BaseFacts(
        version_spec(),
        ModelVersionStatus(phase=VersionPhase.READY, artifacts=[ArtifactStatus(kind="weights", uri="s3://x/", sha256=DIGEST, bytes=1)]),
    ),
    dataset=DatasetFacts(revision(), dataset_spec().tasks[1], DatasetPhase.READY, ""), version="v1.1",
    claim=Claim(job=JOB.path, uid=JOB.uid, dataset_revision=f"sha256:{DIGEST}"), manifest=None, version_exists=False,
    contenders=(("Serving", "openins-v1.0", artifact("a.gguf")),), adapter=TrainingFacts(record=record("adapter")),
    gguf=JobStageFacts(record("gguf", [artifact("openins-v1.1-Q5_K_M.gguf")])),
)  # fmt: skip
FIGURES: dict[str, Any] = {
    "rows": 200, "groups": 150, "version@Serving": "openins-v1.0",
    "agreement": 0.88, "agreement@Serving": 0.86, "agreement@Serving:lower": -0.021, "agreement@Serving:upper": 0.061,
    "agreement@Serving:detectable": 0.0613, "mcnemarP@Serving": 0.4244, "precision": 0.81, "recall": 0.79, "falseDenials": 9, "falseApprovals": 12,
    "unparseable": 1, "falseDenialRate": 0.064, "falseDenialRate@Serving": 0.05, "falseDenialRate@Serving:lower": -0.021,
    "falseDenialRate@Serving:upper": 0.05, "falseDenialRate@Serving:detectable": 0.053,
    "quantizationDivergence": 0.0123, "quantizationDivergence:upper": 0.0171, "quantizationDivergence:detectable": 0.0072,
    "quantizationRows": 64, "flippedAnswers": 0.015625, "flippedAnswers:upper": 0.0718, "flippedAnswers:detectable": 0.0248,
    "templateMatchesTraining": 1,
}  # fmt: skip
CASES: dict[str, tuple[list[dict[str, Any]], dict[str, Any]]] = {
    "all pass": ([{"metric": "agreement", "margin": 0.02}, {"metric": "quantizationDivergence", "max": 0.05}], {}),
    "worse": ([{"metric": "agreement", "margin": 0.02}], {"agreement": 0.80, "agreement@Serving:lower": -0.101}),
    "not better": ([{"metric": "agreement", "criterion": "Better"}], {"agreement": 0.86}),
    "not shown": ([{"metric": "agreement", "margin": 0.02, "bound": "Lower"}], {}),
    "more false denials": ([{"metric": "falseDenialRate", "margin": 0.01}], {}),
    "quantised too far": ([{"metric": "quantizationDivergence", "max": 0.01}], {}),
    "flips not ruled out": ([{"metric": "flippedAnswers", "max": 0.05, "bound": "Lower"}], {}),
    "not measured": ([{"metric": "rougeL", "margin": 0.02}], {}),
    "several at once": ([{"metric": "agreement", "criterion": "Better", "bound": "Lower"}, {"metric": "falseDenialRate"}], {}),
}


def plan_of(case: str) -> Plan:
    gates, changes = CASES[case]
    spec = job_spec(version="v1.1", evaluation={"compareWith": ["Serving"], "gates": gates})
    facts = replace(FACTS, evaluation=JobStageFacts(record("evaluation", **(FIGURES | changes))))
    return finetune.decide(JOB, spec, facts, SETTINGS, AT.timestamp())


def seen(plan: Plan) -> dict[str, Any]:
    """Status without what is the same in all cases, and events."""
    status = plan.status.model_dump(mode="json", by_alias=True, exclude_none=True)
    kept = {name: status[name] for name in ("phase", "message", "evaluation")}
    events = [{"reason": event.reason, "type": "Warning" if event.warning else "Normal", "message": event.message} for event in plan.events]
    return {"status": kept, "events": events, "publishes": bool(plan.actions)}


def test_what_is_said_of_each_gate() -> None:
    text = yaml.safe_dump({case: seen(plan_of(case)) for case in CASES}, sort_keys=False, width=130)
    if os.environ.get("REGIMEN_UPDATE_GOLDEN") == "1":
        GOLDEN.write_text(text)
    assert GOLDEN.read_text() == text, f"{GOLDEN.name} differs; if it should, REGIMEN_UPDATE_GOLDEN=1 writes it"


@pytest.mark.parametrize("case", CASES)
def test_what_fails_is_not_published(case: str) -> None:
    plan = plan_of(case)
    failed = [result for result in plan.status.model_dump()["evaluation"]["gates"] if not result["passed"]]
    assert bool(plan.actions) is (case == "all pass") is (not failed)
    assert [event.warning for event in plan.events] == [case != "all pass"]


def test_what_is_said_fits_an_event() -> None:
    assert max(len(event.message) for case in CASES for event in plan_of(case).events) <= 1024
