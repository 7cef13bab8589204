"""Rollouts against a real API server and a real bucket: operators that stop after any write, buckets and statuses that are gone, and a
cluster restored beside its old bucket. Pods and routers are played (`wire_serving`)."""

import itertools
import json
from collections.abc import Callable
from dataclasses import replace
from typing import Any

import pytest
from plan_builders import example
from wire_serving import Serving
from wire_world import Wire

from regimen.act.cluster import OUR_KINDS
from regimen.plan.common import FINALIZER
from regimen.spec.artifacts import ServingRecord, serving_key
from regimen.store import Store

pytestmark = pytest.mark.wire
ENDS = {"Promoted", "RolledBack", "Invalid"}
QUICK: dict[str, Any] = {
    "strategy": {"steps": [{"setReplicas": 1}, {"analysis": {}}, {"setReplicas": 4}]},
    "analysis": {"criterion": "Better", "margin": 0, "minDuration": "0s", "looks": 1, "minLabelledPerArm": 100, "guardrails": []},
}
NOWHERE = {"REGIMEN_S3_ENDPOINT": "http://127.0.0.1:1"}


def production(wire: Wire, **rollout: Any) -> Serving:
    """A service with four replicas that are ready, and a rollout to v1.0 that has not begun."""
    wire.upload()
    wire.claim()
    wire.give("1-trainingdataset")
    wire.give("2-modelversion")
    wire.give("2-modelversion", "openins-v1.0", version="v1.0")
    wire.give("4-modelservice")
    wire.work()
    live = Serving(wire)
    live.service()
    wire.give("5-modelrollout", **{**QUICK, **rollout})
    live.least = 99
    return live


def phase(live: Serving, name: str = "openins-v1-0") -> str:
    return live.wire.phase("ModelRollout", name)


def until(live: Serving, done: Callable[[], bool], passes: int = 150, stops: Any = None) -> None:
    for _ in range(passes):
        live.rollout(stop_after=next(stops) if stops else None)
        if done():
            return
    obj = live.wire.get("ModelRollout", "openins-v1-0")
    raise AssertionError(f"not yet: {obj.get('status')}")


def replicas(live: Serving) -> dict[str, int]:
    return {
        obj["metadata"]["name"]: obj["spec"]["replicas"]
        for obj in live.wire.all_of("Deployment")
        if "router" not in obj["metadata"]["name"]
    }


def record(live: Serving) -> ServingRecord:
    return ServingRecord.model_validate_json(live.wire.store.get(serving_key(live.wire.namespace, "openins")))


def test_an_operator_that_is_stopped_after_every_few_writes_promotes_all_the_same(wire: Wire) -> None:
    live = production(wire)
    live.routers.evidence_is = "good"
    until(live, lambda: phase(live) in ENDS, passes=400, stops=itertools.cycle([1, 2, 3, 9]))
    assert phase(live) == "Promoted", live.wire.get("ModelRollout", "openins-v1-0")["status"]
    assert replicas(live) == {"openins-openins-baseline": 0, "openins-openins-v1-0": 4}
    assert (record(live).version_ref, record(live).previous_ref) == ("openins-v1.0", "openins-baseline")
    newest = max(wire.all_of("ControllerRevision"), key=lambda item: int(item["revision"]))
    assert newest["data"]["versionRef"] == "openins-v1.0"
    assert live.least >= 3, "minAvailable"
    live.service()
    live.service()
    assert replicas(live) == {"openins-openins-v1-0": 4}


def test_nodes_are_told_to_keep_what_serves_and_what_it_goes_back_to_and_nothing_older(wire: Wire) -> None:
    files = {
        name: {"gguf": [{"quantization": "Q5_K_M", "uri": f"s3://regimen/{name}.gguf", "sha256": name[-1] * 64}]}
        for name in ("v0.8", "v0.9")
    }
    for name, file in files.items():
        wire.give("2-modelversion", f"openins-{name}", version=name, **file)
    live = production(wire, toRef={"name": "openins-v0.9"})
    until(live, lambda: bool(fetching(wire)))
    env = {entry["name"]: entry["value"] for entry in fetching(wire)[0]["env"]}
    serves = {item["sha256"] for item in json.loads(env["GGUFS"])}
    assert len(serves) == 2
    assert set(json.loads(env["NEEDED"])) == serves
    assert "8" * 64 not in env["NEEDED"]


def fetching(wire: Wire) -> list[Any]:
    """The containers that bring files to nodes."""
    containers = [job["spec"]["template"]["spec"]["containers"][0] for job in wire.all_of("Job")]
    return [container for container in containers if container["name"] == "fetch"]


def test_it_rolls_back_with_the_bucket_and_the_feedback_service_gone_and_a_new_operator_at_each_write(wire: Wire) -> None:
    live = production(wire)
    until(live, lambda: phase(live) == "Analyzing")
    gone = Store.from_env({**wire.settings.bucket_env, **NOWHERE})
    live.wire = replace(wire, store=gone)
    live.operator = live.new_operator(gone)
    wire.cluster.delete("ModelRollout", wire.namespace, "openins-v1-0")

    def released() -> bool:
        obj = wire.cluster.get("ModelRollout", wire.namespace, "openins-v1-0")
        return obj is None or FINALIZER not in obj["metadata"].get("finalizers", [])

    until(live, released, passes=200, stops=itertools.cycle([1, 2, 3]))
    assert replicas(live) == {"openins-openins-baseline": 4, "openins-openins-v1-0": 0}
    assert live.least >= 3
    routing = live.routers.routing(wire.namespace, "openins")
    assert (routing.stable.version, routing.stable.weight, routing.candidate) == ("openins-baseline", 100, None)


def test_harm_while_the_bucket_is_gone_is_told_with_both_figures_and_kept_once_it_is_back(wire: Wire) -> None:
    live = production(wire)
    until(live, lambda: phase(live) == "Analyzing")
    live.operator = live.new_operator(Store.from_env({**wire.settings.bucket_env, **NOWHERE}))
    live.routers.evidence_is = "bad"
    until(live, lambda: phase(live) in ENDS)
    status = wire.get("ModelRollout", "openins-v1-0")["status"]
    assert status["phase"] == "RolledBack"
    assert 0 < status["rollbackSeconds"]["trafficOff"] <= status["rollbackSeconds"]["capacityRestored"]
    key = f"services/{wire.namespace}/openins/rollouts/openins-v1-0.json"
    live.rollout()
    assert not wire.store.exists(key)
    live.operator = live.new_operator(wire.store)
    live.rollout()
    assert wire.store.exists(key)


def test_a_status_that_is_cleared_at_any_pass_changes_nothing(wire: Wire) -> None:
    live = production(wire)
    live.routers.evidence_is = "good"

    def cleared() -> bool:
        ended = phase(live) in ENDS
        if not ended:
            for kind, name in (("ModelRollout", "openins-v1-0"), ("ModelService", "openins")):
                wire.cluster.patch(kind, wire.namespace, name, {"status": None}, "status")
        return ended

    until(live, cleared)
    assert phase(live) == "Promoted"
    before = replicas(live)
    wire.cluster.patch("ModelRollout", wire.namespace, "openins-v1-0", {"status": None}, "status")
    live.rollout()
    assert phase(live) == "Promoted"
    assert replicas(live) == before


def specs(wire: Wire) -> dict[str, Any]:
    return {f"{kind}/{obj['metadata']['name']}": (obj["spec"], obj["metadata"].get("annotations"), obj["metadata"].get("labels"))
            for kind in OUR_KINDS for obj in wire.all_of(kind)}  # fmt: skip


def test_a_new_cluster_beside_the_old_bucket_serves_what_was_promoted_and_runs_nothing_again(wire: Wire) -> None:
    live = production(wire)
    live.routers.evidence_is = "good"
    until(live, lambda: phase(live) in ENDS)
    live.rollout()
    asked = specs(wire)
    for kind in (*OUR_KINDS, "ControllerRevision", "Deployment", "ConfigMap", "Pod", "Job", "Service", "Secret"):
        for obj in wire.all_of(kind):
            name = obj["metadata"]["name"]
            if kind in OUR_KINDS:
                wire.cluster.patch(kind, wire.namespace, name, {"metadata": {"finalizers": None}})
            if kind == "Pod":
                wire.cluster._call("DELETE", f"/api/v1/namespaces/{wire.namespace}/pods/{name}", {"gracePeriodSeconds": 0})
            else:
                wire.cluster.delete(kind, wire.namespace, name)
    wire.give("1-trainingdataset")
    wire.give("2-modelversion")
    wire.give("2-modelversion", "openins-v1.0", version="v1.0")
    wire.give("4-modelservice")
    wire.give("5-modelrollout", **QUICK)
    wire.work()
    live = Serving(wire)
    for _ in range(4):
        live.service()
        live.rollout()
    assert replicas(live) == {"openins-openins-v1-0": 4}
    assert wire.get("ModelService", "openins")["status"]["stableVersion"] == "openins-v1.0"
    told = wire.get("ModelRollout", "openins-v1-0")["status"]
    assert told["phase"] == "Promoted"
    assert "as the bucket says" in told["message"]
    assert specs(wire) == asked, "nothing that Git owns was touched"
    assert all(obj["metadata"]["generation"] == 1 for kind in OUR_KINDS for obj in wire.all_of(kind))


def test_undo_returns_to_what_served_before_without_a_label(wire: Wire) -> None:
    live = production(wire)
    live.routers.evidence_is = "good"
    until(live, lambda: phase(live) in ENDS)
    live.rollout()
    live.service()
    document = example("5-modelrollout")
    spec = {"serviceRef": {"name": "openins"}, "toRef": {"name": "openins-baseline"}, "undo": True,
            "strategy": {"steps": [{"setReplicas": 4}]}}  # fmt: skip
    assert wire.cluster.create({**document, "metadata": {"name": "undo-1", "namespace": wire.namespace}, "spec": spec})
    live.routers.evidence_is = "missing"
    for _ in range(60):
        live.rollout("undo-1")
        if phase(live, "undo-1") in ENDS:
            break
    assert phase(live, "undo-1") == "Promoted"
    assert (record(live).version_ref, record(live).previous_ref) == ("openins-baseline", "openins-v1.0")
    assert replicas(live) == {"openins-openins-baseline": 4, "openins-openins-v1-0": 0}
    refused = {**spec, "toRef": {"name": "openins-v1.0"}, "strategy": {"steps": [{"setReplicas": 4}], "allowOutage": True}}
    assert wire.cluster.create({**document, "metadata": {"name": "undo-2", "namespace": wire.namespace}, "spec": refused})
    live.rollout("undo-2")
    assert phase(live, "undo-2") == "Pending", "v1.0 served, too: back again is allowed"
