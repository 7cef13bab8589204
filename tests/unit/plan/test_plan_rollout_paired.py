"""Paired evidence: one comparison a revision, over cases that neither version was trained on; nothing else of a rollout waits for it."""

import json
from dataclasses import replace
from typing import Any

import pytest
from plan_builders import revision, rollout_spec, service_spec, version_spec
from plan_simulation import STABLE, World, until

from regimen.plan.actions import Create
from regimen.plan.common import JobFacts
from regimen.plan.comparison import comparison_says, row_uris
from regimen.plan.rollout_facts import PairedFacts, RolloutFacts
from regimen.spec.artifacts import DatasetManifest
from regimen.spec.dataset import TaskOutput
from regimen.spec.phases import RolloutPhase
from regimen.spec.tasks import CompareTask, TaskAdapter

LABELS = TaskOutput.model_validate({"type": "Label", "labels": ["APPROVED", "DENIED"], "positive": "DENIED"})
TRAINED, NEWER = revision(), revision(digest=f"sha256:{'cd' * 32}")
PAIRED = PairedFacts(output=LABELS, newest=NEWER, known=(TRAINED,), trained=True)
GOOD = ((1, 1, 0),) * 70 + ((1, 0, 1),) * 20 + ((1, 0, 0),) * 610
EVEN = ((1, 1, 0),) * 45 + ((1, 0, 1),) * 45 + ((1, 0, 0),) * 610
WORSE = ((1, 0, 1),) * 90 + ((1, 0, 0),) * 610


class PairedWorld(World):
    """A rollout whose pairs decide."""

    paired: PairedFacts | None = PAIRED

    def facts(self) -> RolloutFacts:
        return replace(super().facts(), paired=self.paired, stable_version=version_spec())

    def perform(self, action: Any) -> None:
        if isinstance(action, Create) and "-compare-" in action.manifest["metadata"]["name"]:
            self.jobs.append(action.manifest)
            self.paired = replace(self.paired or PAIRED, job=JobFacts("compare", True, False, False))
            return
        super().perform(action)

    def __post_init__(self) -> None:
        super().__post_init__()
        self.jobs: list[dict[str, Any]] = []
        primary = {"metric": "agreement", "evidence": "Paired", "datasetRef": {"name": "business", "task": "adjudication"}}
        analysis = {"criterion": "Better", "margin": 0, "minDuration": "0s", "maxDuration": "14d", "primary": primary, "guardrails": []}
        self.spec = rollout_spec(strategy={"steps": self.steps}, fromRef={"name": STABLE}, analysis=analysis)


def world(**changes: Any) -> PairedWorld:
    live = PairedWorld(4, 3, [{"setReplicas": 1}, {"setWeight": 20}, {"analysis": {}}, {"setReplicas": 4}], evidence="empty")
    live.paired = replace(PAIRED, **changes) if "paired" not in changes else changes["paired"]
    return live


def test_one_job_is_made_and_told_what_is_new_and_what_is_known() -> None:
    live = world()
    until(live, RolloutPhase.ANALYZING)
    (job,) = live.jobs
    task = TaskAdapter.validate_json(job["spec"]["template"]["spec"]["containers"][0]["env"][0]["value"])
    assert isinstance(task, CompareTask)
    assert task.rows == row_uris(NEWER, "adjudication")
    assert task.known == row_uris(TRAINED, "adjudication")
    assert (task.candidate.version, task.stable.version) == ("openins-v1.0", STABLE)
    assert (task.candidate.gguf.uri, task.max_cases) == (version_spec("v1.0").gguf[0].uri, 840)
    assert job["metadata"]["name"].startswith("openins-compare-")
    assert "nvidia" not in json.dumps(job)


@pytest.mark.parametrize(
    ("groups", "end"), [(GOOD, RolloutPhase.PROMOTED), (EVEN, RolloutPhase.ROLLED_BACK), (WORSE, RolloutPhase.ROLLED_BACK)]
)
def test_pairs_decide(groups: Any, end: RolloutPhase) -> None:
    live = world()
    until(live, RolloutPhase.ANALYZING)
    live.good_was_seen = groups is GOOD
    live.paired = replace(PAIRED, groups=groups, compared=NEWER.digest)
    assert live.settle(200) is end
    assert live.memory is not None
    assert live.memory.verdict is not None
    assert "pairs" in live.memory.verdict.reason
    assert live.memory.at_once is (groups is WORSE)


@pytest.mark.parametrize(
    "changes",
    [{"paired": None}, {"newest": TRAINED}, {"newest": None}, {"groups": GOOD[:100], "compared": NEWER.digest}],
    ids=["no bucket", "nothing newer", "no revision", "too few"],
)
def test_without_enough_pairs_nothing_is_promoted(changes: dict[str, Any]) -> None:
    live = world(**changes)
    until(live, RolloutPhase.ANALYZING)
    assert live.settle(300, 7200) is RolloutPhase.ROLLED_BACK
    assert live.record.version_ref == STABLE
    assert live.memory is not None
    assert "Undecided after maxDuration" in live.memory.why


REFUSED = [
    ({"output": None}, "DatasetMissing", "does not exist or has no task adjudication"),
    ({"output": TaskOutput.model_validate({"type": "Text"})}, "NoLabels", "use evidence Live"),
    ({"trained": False}, "LineageUnknown", "does not say that it was trained on business"),
]


@pytest.mark.parametrize(("changes", "reason", "words"), REFUSED, ids=[row[1] for row in REFUSED])
def test_what_can_never_be_compared_is_refused_before_anything_moves(changes: dict[str, Any], reason: str, words: str) -> None:
    live = world(**changes)
    plan = live.run()
    assert plan.conditions[0].reason == reason
    assert words in plan.conditions[0].message
    assert not plan.actions


SAID = [
    (None, "the bucket cannot be reached"),
    (replace(PAIRED, newest=TRAINED), "has no revision yet that is newer"),
    (replace(PAIRED, job=JobFacts("c", True, False, False)), "are answering the new cases"),
    (replace(PAIRED, job=JobFacts("c", False, False, True, message="no rows")), "the comparison failed: no rows"),
    (replace(PAIRED, job=JobFacts("c", False, True, False)), ""),
]


@pytest.mark.parametrize(("facts", "words"), SAID, ids=[row[1] or "done" for row in SAID])
def test_what_is_awaited_is_said(facts: PairedFacts | None, words: str) -> None:
    said = comparison_says(facts)
    assert words in said if words else said == ""


def test_a_task_without_its_own_files_has_no_rows() -> None:
    assert row_uris(DatasetManifest.model_validate(NEWER.model_dump() | {"files": []}), "adjudication") == []


def test_live_evidence_needs_an_audit_sample() -> None:
    live = World(4, 3, [{"setReplicas": 1}, {"analysis": {}}, {"setReplicas": 4}])
    live.service = service_spec(replicas=4, minAvailable=3, feedback={"auditFraction": 0})
    plan = live.run()
    assert plan.conditions[0].reason == "NoAuditSample"
    assert "feedback.auditFraction" in plan.conditions[0].message


def test_a_query_without_prometheus_is_refused() -> None:
    live = World(4, 3, [{"setReplicas": 1}, {"analysis": {}}, {"setReplicas": 4}])
    rail = {"name": "heat", "prometheus": {"query": "max(temperature)"}, "max": 83}
    live.spec = rollout_spec(strategy={"steps": live.steps}, fromRef={"name": STABLE}, analysis={"guardrails": [rail]})
    plan = live.run()
    assert plan.conditions[0].reason == "NoPrometheus"
    assert "heat asks Prometheus" in plan.conditions[0].message
