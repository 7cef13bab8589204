"""The whole path on real pods, with the operator killed in every phase: the same end as without.

The tests of this file build on one another, in their order: each leaves the production that the next one starts from.
"""

import csv
import hashlib
import sys
import time
from contextlib import AbstractContextManager
from typing import Any

import pytest

from argocd_lua import health
from regimen.act.parts import asked_for
from regimen.spec.artifacts import Claim, PairedEvidence, VersionManifest, claim_key, manifest_key
from regimen_demo.install import NAMESPACE
from regimen_demo.production import Production

pytestmark = [pytest.mark.cluster, pytest.mark.timeout(1800)]
ENDED = {"Promoted", "RolledBack", "Invalid"}


def operator_killed_in_each_phase(production: Production, kind: str, name: str) -> AbstractContextManager[list[str]]:
    """Kill the operator's pod, without grace, whenever the resource shows a phase for the first time."""
    return production.operator_killed_at_each(lambda: str(production.watch.status(kind, name).get("phase", "")))


def health_by_phase(production: Production, kind: str, name: str, ends: set[str]) -> dict[str, str]:
    """What Argo CD would show of a resource in each phase that it goes through until it has ended."""
    found: dict[str, str] = {}
    deadline = time.monotonic() + 900
    while not ends & found.keys():
        assert time.monotonic() < deadline, found
        obj = production.watch.seen.objects.get((kind, name))
        if obj and (phase := obj.get("status", {}).get("phase")) and phase not in found:
            found[phase] = str(health(obj)["status"])
        time.sleep(0.3)
    sys.stdout.write(f"\n{kind} {name}, health by phase: {found}")
    return found


def serving(production: Production, version: str) -> dict[str, Any]:
    """The service's status once it says that `version` serves."""
    deadline = time.monotonic() + 120
    while (status := production.watch.status("ModelService", "openins")).get("stableVersion") != version:
        assert time.monotonic() < deadline, status
        time.sleep(0.5)
    return status


def test_a_version_is_trained_on_the_whole_card_and_published_once(production: Production) -> None:
    with operator_killed_in_each_phase(production, "FineTuneJob", "openins-v1-0") as killed:
        production.apply(*production.manifest("v1-0.yaml"))
        lowest = 4
        while production.watch.status("FineTuneJob", "openins-v1-0").get("phase") not in {"Succeeded", "Failed"}:
            ready = (production.watch.status("ModelService", "openins").get("replicas") or {}).get("ready", 4)
            lowest = min(lowest, ready)
            time.sleep(0.5)
    status = production.watch.status("FineTuneJob", "openins-v1-0")
    assert status["phase"] == "Succeeded", status
    assert {"Training", "Converting", "Evaluating"} <= set(killed)
    assert lowest >= 2, "borrowing kept minAvailable"
    node, slices = next(place for pod, place in production.watch.seen.places.items() if pod.startswith("openins-v1-0-train"))
    assert (node, slices) == ("rtx3090", 4)
    manifest = VersionManifest.model_validate_json(production.store.get(manifest_key(NAMESPACE, "openins", "v1.0")))
    for file in (*manifest.adapter, *manifest.gguf, *manifest.evaluation):
        assert hashlib.sha256(production.store.get_uri(file.uri)).hexdigest() == file.sha256
    assert status["evaluation"]["compared"][0]["difference"] > 0


def test_a_job_for_a_version_that_exists_is_refused_and_creates_nothing(production: Production) -> None:
    (again,) = production.manifest("v1-0.yaml")
    again["metadata"] = {"name": "openins-again"}
    production.apply(again)
    production.watch.until("FineTuneJob", "openins-again", {"Failed"}, {"Training", "Succeeded"}, 60)
    assert "v1.0 belongs to claims/openins-v1-0" in production.watch.status("FineTuneJob", "openins-again")["message"]
    claim = Claim.model_validate_json(production.store.get(claim_key(NAMESPACE, "openins", "v1.0")))
    assert claim.job == f"{NAMESPACE}/openins-v1-0"
    assert not [job for job in production.cluster.items("Job", NAMESPACE) if job["metadata"]["name"].startswith("openins-again")]


def test_the_version_is_promoted_with_the_operator_killed_in_each_phase(production: Production) -> None:
    production.watch.until("ModelService", "openins", {"Ready"}, set(), 300)
    with operator_killed_in_each_phase(production, "ModelRollout", "openins-v1-0") as killed:
        production.apply(*production.manifest("v1-0-rollout.yaml"))
        moved = health_by_phase(production, "ModelRollout", "openins-v1-0", ENDED)
    status = production.watch.status("ModelRollout", "openins-v1-0")
    assert status["phase"] == "Promoted", status
    assert {"Progressing", "Analyzing"} <= set(killed)
    assert set(moved.values()) == {"Healthy"}, "a rollout of days keeps no sync waiting"
    assert status["verdict"]["decision"] == "Promote"
    # The operator that was killed last may not have reported on the service yet: what serves is recorded, its status follows.
    service = serving(production, "openins-v1.0")
    assert service["previousVersion"] == "openins-baseline"
    pods = production.cluster.items("Pod", NAMESPACE, "regimen.dev/version=openins-v1.0")
    assert sorted(pod["spec"]["nodeName"] for pod in pods) == ["rtx3060", "rtx3060", "rtx3090", "rtx3090"]
    assert {asked_for(pod, "nvidia.com/gpu") for pod in pods} == {1}


def test_a_cleared_status_changes_nothing_that_serves(production: Production) -> None:
    before = {pod["metadata"]["uid"] for pod in production.cluster.items("Pod", NAMESPACE, "regimen.dev/service=openins")}
    for kind, name in (("ModelService", "openins"), ("ModelRollout", "openins-v1-0")):
        production.cluster.patch(kind, NAMESPACE, name, {"status": None}, "status")
    time.sleep(3)  # the watch looks every second; an operator that was just killed waits for its predecessor's Lease first
    production.watch.until("ModelService", "openins", {"Ready"}, set(), 120)
    production.watch.until("ModelRollout", "openins-v1-0", {"Promoted"}, ENDED - {"Promoted"}, 120)
    assert production.watch.status("ModelService", "openins")["stableVersion"] == "openins-v1.0"
    after = {pod["metadata"]["uid"] for pod in production.cluster.items("Pod", NAMESPACE, "regimen.dev/service=openins")}
    assert after == before


def test_a_candidate_trained_on_shuffled_labels_is_rolled_back(production: Production) -> None:
    production.apply(*production.manifest("bad.yaml"))
    trained = health_by_phase(production, "FineTuneJob", "openins-bad", {"Succeeded", "Failed"})
    assert {"Training", "Converting", "Evaluating", "Succeeded"} <= trained.keys()
    assert set(trained.values()) == {"Healthy"}, "a job that takes hours keeps no sync waiting"
    production.watch.until("ModelService", "openins", {"Ready"}, set(), 300)
    production.apply(*production.manifest("bad-rollout.yaml"))
    moved = health_by_phase(production, "ModelRollout", "openins-bad", ENDED)
    # Which steps it gets to is chance: a guardrail may stop it at once, before the analysis has begun.
    assert "RolledBack" in moved
    assert moved == {phase: "Degraded" if phase in {"RollingBack", "RolledBack"} else "Healthy" for phase in moved}
    production.watch.until("ModelService", "openins", {"Ready"}, set(), 120)
    assert production.watch.status("ModelService", "openins")["stableVersion"] == "openins-v1.0"


def test_a_schedule_trains_the_next_version_and_rolls_it_out(production: Production) -> None:
    (job,) = production.manifest("v1-0.yaml")
    (rollout,) = production.manifest("v1-0-rollout.yaml")
    template = {key: job["spec"][key] for key in ("method", "output", "placement", "borrow", "maxDuration")}
    # Twice the same data: what is shown here is the way, so the margin is one that chance does not break.
    analysis = {**rollout["spec"]["analysis"], "criterion": "NotWorse", "margin": 0.3}
    analysis["guardrails"] = [rail for rail in analysis["guardrails"] if rail["metric"] != "falseDenialRate"]
    schedule = {
        "apiVersion": "regimen.dev/v1alpha1", "kind": "RetrainSchedule", "metadata": {"name": "monthly"},
        "spec": {
            "schedule": "* * * * *", "trigger": {"minNewRows": 100}, "baseRef": {"name": "openins-baseline"},
            "serviceRef": {"name": "openins"}, "datasetRef": {"name": "business", "task": "adjudication"},
            "fineTuneTemplate": {"spec": template},
            "rolloutTemplate": {"spec": {"strategy": rollout["spec"]["strategy"], "analysis": analysis}},
        },
    }  # fmt: skip
    production.apply(schedule)
    production.watch.until("RetrainSchedule", "monthly", {"RollingOut"}, set(), 900)
    production.watch.until("RetrainSchedule", "monthly", {"Idle"}, set(), 900)
    versions = production.watch.status("RetrainSchedule", "monthly")["versions"]
    ended = [obj["status"]["message"] for (kind, _), obj in production.watch.seen.objects.items() if kind == "ModelRollout"]
    assert [(item["version"], item["outcome"]) for item in versions] == [("openins-v1.2", "Promoted")], ended
    deadline = time.monotonic() + 180
    status = production.watch.status("RetrainSchedule", "monthly")
    while "trigger.minNewRows" not in status["message"] and time.monotonic() < deadline:
        time.sleep(1)
        status = production.watch.status("RetrainSchedule", "monthly")
    assert "trigger.minNewRows" in status["message"], "nothing new, nothing trained: the skip is reported"
    assert len(status["versions"]) == 1


def test_claims_decided_since_training_decide_by_pairs(production: Production) -> None:
    """Paired evidence: new rows reach the dataset, and both versions' own files answer them in a Job, by the engine that serves."""
    production.cluster.patch("RetrainSchedule", NAMESPACE, "monthly", {"spec": {"suspend": True}})
    rows = list(csv.DictReader((production.data / "office/historical_claims.csv").read_text().splitlines()))[:400]
    later = production.data / "later_claims.csv"
    with later.open("w", newline="") as file:
        writer = csv.DictWriter(file, rows[0].keys())
        writer.writeheader()
        writer.writerows({**row, "claim_id": f"L{row['claim_id']}"} for row in rows)
    production.store.upload(later, "raw/later_claims.csv", later.name)
    revision = production.watch.status("TrainingDataset", "business")["revision"]
    files = [{"uri": f"s3://{production.store.bucket}/raw/{name}_claims.csv"} for name in ("historical", "later")]
    production.cluster.patch("TrainingDataset", NAMESPACE, "business", {"spec": {"sources": {"claims": {"csv": files}}}})
    deadline = time.monotonic() + 240
    while production.watch.status("TrainingDataset", "business").get("revision") == revision:
        assert time.monotonic() < deadline, production.watch.status("TrainingDataset", "business")
        time.sleep(1)
    (rollout,) = production.manifest("v1-0-rollout.yaml")
    rollout["metadata"]["name"] = "openins-pairs"
    del rollout["spec"]["fromRef"]
    primary = {"evidence": "Paired", "datasetRef": {"name": "business", "task": "adjudication"}}
    rollout["spec"]["analysis"] |= {
        "criterion": "NotWorse",
        "margin": 0.3,
        "primary": primary,
        "minPairs": 200,
        "looks": 1,
        "guardrails": [],
    }
    production.apply(rollout)
    production.watch.until("ModelRollout", "openins-pairs", ENDED, set(), 600)
    status = production.watch.status("ModelRollout", "openins-pairs")
    sys.stdout.write(f"\n{status['message']}")
    assert status["phase"] == "Promoted", status
    (job,) = [job for job in production.cluster.items("Job", NAMESPACE) if job["metadata"]["name"].startswith("openins-pairs-compare")]
    assert job["status"]["succeeded"] == 1
    keys = [key for key in production.store.keys("") if key.endswith("/pairs.json")]
    (found,) = [PairedEvidence.model_validate_json(production.store.get(key)) for key in keys]
    assert (found.candidate, found.stable) == ("openins-v1.0", "openins-v1.2")
    assert 200 <= sum(cases for cases, _, _ in found.groups) <= 240


def test_no_request_was_lost_on_the_way(production: Production) -> None:
    tally = production.office.tally
    assert tally.sent > 1000
    assert tally.failed == 0, dict(tally.errors)
