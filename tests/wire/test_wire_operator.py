"""The operator against a real API server and a real bucket: each kind's way, and every law that a crash could break."""

import json
import threading
from collections.abc import Callable
from hashlib import sha256
from typing import Any

import pytest
from plan_builders import AT, example
from wire_world import SOURCES, Stopped, Wire

from regimen.act.reconcile import Reconciler
from regimen.errors import RegimenError
from regimen.plan.common import FINALIZER
from regimen.spec.artifacts import Claim, ServingRecord, VersionManifest, card_key, claim_key, manifest_key, serving_key
from regimen.store import StoreError

pytestmark = pytest.mark.wire


def prepared(wire: Wire) -> Wire:
    """A dataset and a baseline that are Ready."""
    wire.upload()
    wire.give("1-trainingdataset")
    wire.give("2-modelversion")
    wire.work()
    assert (wire.phase("TrainingDataset", "business"), wire.phase("ModelVersion", "openins-baseline")) == ("Ready", "Ready")
    return wire


def test_a_missing_source_is_said_and_its_upload_is_seen(wire: Wire) -> None:
    wire.upload(SOURCES[0])
    wire.give("1-trainingdataset")
    wire.turn()
    phase, reason, message = wire.said("TrainingDataset", "business")
    assert (phase, reason) == ("Invalid", "SourceMissing")
    assert message.startswith("sources.documents.csv[0].uri: s3://regimen/")
    assert message.endswith("clinical_documents.csv does not exist; upload it or correct the address")
    assert wire.all_of("Job") == []
    wire.upload(SOURCES[1])
    wire.turn()
    assert wire.phase("TrainingDataset", "business") == "Preparing"
    assert [job["metadata"]["name"].rsplit("-", 1)[0] for job in wire.all_of("Job")] == ["business-prepare"]
    wire.work()
    assert wire.phase("TrainingDataset", "business") == "Ready"


def test_new_content_makes_a_new_job(wire: Wire) -> None:
    prepared(wire)
    wire.store.put(f"{wire.namespace}/{SOURCES[0]}", b"claim_id\n1\n2\n")
    wire.turn()
    assert wire.phase("TrainingDataset", "business") == "Preparing"
    assert len([job for job in wire.all_of("Job") if "prepare" in job["metadata"]["name"]]) == 2


def test_a_job_becomes_a_version(wire: Wire) -> None:
    prepared(wire).job_on_cpu()
    seen = []
    for _ in range(20):
        wire.reconciler.reconcile("FineTuneJob", wire.namespace, "openins-v1-0")
        seen.append(wire.phase("FineTuneJob", "openins-v1-0"))
        if wire.store.exists(manifest_key(wire.namespace, "openins", "v1.0")) and "first" not in locals():
            first = wire.store.get(manifest_key(wire.namespace, "openins", "v1.0"))
        wire.train()
    assert list(dict.fromkeys(seen)) == ["Waiting", "Training", "Converting", "Evaluating", "Succeeded"]
    assert wire.store.get(manifest_key(wire.namespace, "openins", "v1.0")) == first
    manifest = VersionManifest.model_validate_json(first)
    assert manifest.lineage.fine_tune_job == "openins-v1-0"
    wire.work()
    assert wire.phase("ModelVersion", "openins-v1.0") == "Ready"
    assert wire.get("FineTuneJob", "openins-v1-0")["status"]["evaluation"]["agreement"] == 0.9


def test_a_card_is_published_with_the_version_and_the_manifest_names_its_digest(wire: Wire) -> None:
    prepared(wire).job_on_cpu()
    wire.work(lambda: wire.phase("FineTuneJob", "openins-v1-0") == "Succeeded")
    manifest = VersionManifest.model_validate_json(wire.store.get(manifest_key(wire.namespace, "openins", "v1.0")))
    card = wire.store.get(card_key(wire.namespace, "openins", "v1.0"))
    assert manifest.card is not None
    assert (manifest.card.sha256, manifest.card.bytes) == (sha256(card).hexdigest(), len(card))
    assert "A person decides every denial" in card.decode()


def test_the_16_bit_file_is_gone_from_the_bucket_once_the_job_has_ended(wire: Wire) -> None:
    prepared(wire).job_on_cpu()
    whole = f"{wire.namespace}/openins-v1.0-F16.gguf"
    wire.work(lambda: wire.store.exists(whole))
    wire.work(lambda: wire.phase("FineTuneJob", "openins-v1-0") == "Succeeded")
    manifest = VersionManifest.model_validate_json(wire.store.get(manifest_key(wire.namespace, "openins", "v1.0")))
    made = [wire.store.uri(key) for key in wire.store.keys(f"{wire.namespace}/") if key.endswith(".gguf")]
    assert made == [file.uri for file in manifest.gguf] != [wire.store.uri(whole)]


def test_trainers_get_the_weights_that_the_import_recorded(wire: Wire) -> None:
    prepared(wire).job_on_cpu()
    wire.work_on("FineTuneJob", "openins-v1-0", passes=3)
    (train,) = [job for job in wire.all_of("Job") if "-train-" in job["metadata"]["name"]]
    task = json.loads(train["spec"]["template"]["spec"]["containers"][0]["env"][0]["value"])
    (weights,) = [item for item in wire.get("ModelVersion", "openins-baseline")["status"]["artifacts"] if item["kind"] == "weights"]
    assert (task["baseUri"], task["baseDigest"]) == (weights["uri"], weights["sha256"])
    assert task["baseUri"] != example("2-modelversion")["spec"]["weights"]["s3"]["uri"]


def test_an_adapter_from_elsewhere_becomes_a_version_without_a_card(wire: Wire) -> None:
    prepared(wire)
    document = example("3-finetunejob")
    document["spec"] = {key: value for key, value in document["spec"].items() if key not in {"method", "borrow"}}
    document["spec"]["adapter"] = {"s3": {"uri": "s3://regimen/colab/openins/"}}
    document["metadata"]["namespace"] = wire.namespace
    assert wire.cluster.create(document)
    wire.work(lambda: wire.phase("FineTuneJob", "openins-v1-0") == "Succeeded")
    manifest = VersionManifest.model_validate_json(wire.store.get(manifest_key(wire.namespace, "openins", "v1.0")))
    assert manifest.lineage.adapter_source == "s3://regimen/colab/openins/"


def test_a_second_job_for_the_same_version_fails_and_names_the_first(wire: Wire) -> None:
    prepared(wire).job_on_cpu()
    wire.work(lambda: wire.phase("FineTuneJob", "openins-v1-0") == "Succeeded")
    wire.job_on_cpu("second")
    wire.work()
    phase, reason, message = wire.said("FineTuneJob", "second")
    assert (phase, reason) == ("Failed", "VersionExists")
    assert f"belongs to {wire.namespace}/openins-v1-0" in message
    assert not [job for job in wire.all_of("Job") if job["metadata"]["name"].startswith("second")]


def test_next_takes_the_next_free_version(wire: Wire) -> None:
    prepared(wire).job_on_cpu()
    wire.work()
    wire.job_on_cpu("next", version="Next")
    wire.work()
    held = {wire.get("FineTuneJob", name)["status"]["version"] for name in ("openins-v1-0", "next")}
    assert held == {"v1.0", "v1.1"}


def test_next_passes_over_a_version_that_a_person_made(wire: Wire) -> None:
    prepared(wire)
    wire.give("2-modelversion", "openins-v1.0", version="v1.0")
    wire.job_on_cpu("next", version="Next")
    wire.work()
    assert wire.get("FineTuneJob", "next")["status"].get("version") == "v1.1"
    assert wire.phase("FineTuneJob", "next") == "Succeeded"


def test_two_operators_at_once_publish_one_version_each(wire: Wire) -> None:
    prepared(wire)
    jobs = [wire.job_on_cpu(f"job-{index}", version="Next") for index in range(3)]
    operators = [Reconciler(wire.cluster, wire.store, wire.settings, AT.timestamp) for _ in range(2)]
    failures: list[BaseException] = []

    def operate(operator: Reconciler) -> None:
        for _ in range(12):
            for job in jobs:
                try:
                    operator.reconcile("FineTuneJob", wire.namespace, job)
                except (RegimenError, StoreError):
                    continue  # lost a race: the queue tries again
                except BaseException as error:  # noqa: BLE001 - shown below
                    failures.append(error)

    for _ in range(2):
        threads = [threading.Thread(target=operate, args=(operator,)) for operator in operators]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        wire.train()
    wire.work()
    assert failures == []
    held = [wire.get("FineTuneJob", job)["status"]["version"] for job in jobs]
    assert sorted(held) == ["v1.0", "v1.1", "v1.2"]
    for job, version in zip(jobs, held, strict=True):
        claim = Claim.model_validate_json(wire.store.get(claim_key(wire.namespace, "openins", version)))
        assert claim.job == f"{wire.namespace}/{job}"
    assert len(wire.all_of("ModelVersion")) == 4


def everything(wire: Wire) -> None:
    """What a business would apply: dataset, baseline, service, job."""
    wire.upload()
    wire.claim()
    wire.give("1-trainingdataset")
    wire.give("2-modelversion")
    wire.give("4-modelservice")
    wire.job_on_cpu()


def assert_same(found: dict[str, Any], wanted: dict[str, Any], when: str) -> None:
    """Name by name, so that a difference can be read."""
    assert set(found) == set(wanted), when
    for name, item in wanted.items():
        assert found[name] == item, f"{name}, {when}"


def stopped_everywhere(wire: Wire, kind: str, create: Callable[[int], tuple[str, ...]], passes: int) -> int:
    """The same resource again and again, each time with the operator stopped after one more write. Returns how many writes there are.

    `create(k)` makes the k-th and returns its name and further words that name what is its own.
    """
    alive = wire.mortal()
    name, *words = create(0)
    alive.work_on(kind, name, passes)
    total = alive.countdown.writes
    wire.work_on(kind, name, 2)
    wanted = wire.picture(name, *words)
    for stop_after in range(1, total + 1):
        name, *words = create(stop_after)
        mortal = wire.mortal()
        mortal.countdown.left = stop_after
        with pytest.raises(Stopped):
            mortal.work_on(kind, name, passes)
        wire.work_on(kind, name, passes + 2)
        assert_same(wire.picture(name, *words), wanted, f"stopped after write {stop_after} of {total}")
        for job in wire.all_of("Job"):
            if job["metadata"]["name"].startswith(name):
                wire.cluster.delete("Job", wire.namespace, job["metadata"]["name"])
    return total


def test_a_job_stopped_after_any_write_ends_the_same(wire: Wire) -> None:
    prepared(wire)

    def create(number: int) -> tuple[str, ...]:
        version = f"v7.{number:03}"
        return wire.job_on_cpu(f"job-{number:03}", version=version), version

    assert stopped_everywhere(wire, "FineTuneJob", create, passes=8) > 10
    assert all(obj["status"]["phase"] == "Succeeded" for obj in wire.all_of("FineTuneJob"))


def test_a_service_stopped_after_any_write_ends_the_same(wire: Wire) -> None:
    prepared(wire).claim()

    def create(number: int) -> tuple[str, ...]:
        return (wire.give("4-modelservice", f"svc-{number:03}"),)

    assert stopped_everywhere(wire, "ModelService", create, passes=1) > 10


def test_a_second_pass_changes_nothing(wire: Wire) -> None:
    everything(wire)
    wire.work()
    before = wire.versions()
    alive = wire.mortal()
    alive.turn()
    assert wire.versions() == before


def test_a_status_that_is_lost_comes_back_and_nothing_else_changes(wire: Wire) -> None:
    everything(wire)
    wire.work()
    before, resources = wire.picture(), ("TrainingDataset", "ModelVersion", "FineTuneJob", "ModelService")
    jobs = {job["metadata"]["uid"] for job in wire.all_of("Job")}
    for kind in resources:
        for obj in wire.all_of(kind):
            wire.cluster.patch(kind, wire.namespace, obj["metadata"]["name"], {"status": None}, "status")
    wire.work()
    assert wire.picture() == before
    assert {job["metadata"]["uid"] for job in wire.all_of("Job")} == jobs


# Services


def test_a_restored_cluster_serves_what_the_bucket_says(wire: Wire) -> None:
    everything(wire)
    wire.work()
    record = ServingRecord(version_ref="openins-v1.0", previous_ref="openins-baseline", revision=5, by="rollout")
    wire.store.put(serving_key(wire.namespace, "openins"), record.model_dump_json(by_alias=True).encode())
    for kind in ("ControllerRevision", "Deployment", "ConfigMap"):
        for obj in wire.all_of(kind):
            wire.cluster.delete(kind, wire.namespace, obj["metadata"]["name"])
    wire.cluster.delete("ModelVersion", wire.namespace, "openins-v1.0")
    wire.cluster.patch("ModelService", wire.namespace, "openins", {"status": None}, "status")
    for _ in range(5):
        wire.turn()
    names = {obj["metadata"]["name"] for obj in wire.all_of("Deployment")}
    assert names == {"openins-openins-v1-0", "openins-router"}
    assert wire.get("ModelService", "openins")["status"]["stableVersion"] == "openins-v1.0"
    assert [int(item["revision"]) for item in wire.all_of("ControllerRevision")] == [5]
    assert wire.get("ModelVersion", "openins-v1.0")["spec"]["version"] == "v1.0", "made again from its manifest"
    kept = ServingRecord.model_validate_json(wire.store.get(serving_key(wire.namespace, "openins")))
    assert kept == record


def server(wire: Wire) -> dict[str, object]:
    spec: dict[str, object] = wire.get("Deployment", "openins-openins-baseline")["spec"]
    return spec


def test_replicas_are_scaled_and_a_pass_does_not_reset_them(wire: Wire) -> None:
    everything(wire)
    wire.work()
    assert server(wire)["replicas"] == 4
    wire.cluster.patch("ModelService", wire.namespace, "openins", {"spec": {"replicas": 5}})
    wire.work()
    assert server(wire)["replicas"] == 5


def test_what_is_taken_out_of_a_service_leaves_its_deployment(wire: Wire) -> None:
    everything(wire)
    wire.work()
    wire.cluster.patch("ModelService", wire.namespace, "openins", {"spec": {"placement": {"gpuResource": "nvidia.com/slice"}}})
    wire.work()
    limits = server(wire)["template"]["spec"]["containers"][0]["resources"]["limits"]  # type: ignore[index]
    assert limits == {"nvidia.com/slice": "1"}


# Rollouts


def test_a_rollout_that_has_not_begun_goes_away_when_it_is_deleted(wire: Wire) -> None:
    everything(wire)
    wire.give("5-modelrollout")
    wire.work()
    assert wire.said("ModelRollout", "openins-v1-0")[:2] == ("Pending", "ServiceNotReady")
    assert "finalizers" not in wire.get("ModelRollout", "openins-v1-0")["metadata"]
    wire.cluster.patch("ModelRollout", wire.namespace, "openins-v1-0", {"metadata": {"finalizers": [FINALIZER, "a.person/keeps"]}})
    wire.cluster.delete("ModelRollout", wire.namespace, "openins-v1-0")
    wire.turn()
    assert wire.get("ModelRollout", "openins-v1-0")["metadata"]["finalizers"] == ["a.person/keeps"]
    wire.cluster.patch("ModelRollout", wire.namespace, "openins-v1-0", {"metadata": {"finalizers": None}})
    assert wire.cluster.get("ModelRollout", wire.namespace, "openins-v1-0") is None


def test_a_rollout_of_a_service_that_does_not_exist_can_be_deleted(wire: Wire) -> None:
    name = wire.give("5-modelrollout")
    wire.cluster.patch("ModelRollout", wire.namespace, name, {"metadata": {"finalizers": [FINALIZER]}})
    wire.cluster.delete("ModelRollout", wire.namespace, name)
    wire.turn()
    assert wire.cluster.get("ModelRollout", wire.namespace, name) is None


def pod(wire: Wire, name: str, labels: dict[str, str]) -> None:
    """A server pod that is ready, by hand: there is no controller manager."""
    wire.cluster.create({"apiVersion": "v1", "kind": "ServiceAccount", "metadata": {"name": "default", "namespace": wire.namespace}})
    wire.cluster.create(
        {"apiVersion": "v1", "kind": "Pod", "metadata": {"name": name, "namespace": wire.namespace, "labels": labels},
         "spec": {"automountServiceAccountToken": False, "containers": [{"name": "server", "image": "x"}]}}
    )  # fmt: skip
    ready = {"phase": "Running", "podIP": "127.0.0.9", "conditions": [{"type": "Ready", "status": "True"}]}
    wire.cluster.patch("Pod", wire.namespace, name, {"status": ready}, "status")


def begin_rollout(wire: Wire) -> None:
    """Four replicas of the baseline, and a rollout of v1.0 that has begun."""
    everything(wire)
    wire.work()
    labels = server(wire)["template"]["metadata"]["labels"]  # type: ignore[index]
    for index in range(4):
        pod(wire, f"server-{index}", labels)
    wire.give("5-modelrollout")
    wire.work()


def test_a_rollout_begins_and_remembers_what_to_return_to(wire: Wire) -> None:
    begin_rollout(wire)
    obj = wire.get("ModelRollout", "openins-v1-0")
    assert obj["metadata"]["finalizers"] == [FINALIZER]
    assert obj["status"]["phase"] == "Progressing"
    assert '"stableRef":"openins-baseline"' in wire.get("ConfigMap", "openins-v1-0-rollout")["data"]["memory.json"]
    assert wire.get("ModelService", "openins")["status"]["rollout"] == "openins-v1-0"
    assert server(wire)["replicas"] == 4, "no router has confirmed anything yet"
    wire.cluster.patch("ModelRollout", wire.namespace, "openins-v1-0", {"status": None}, "status")
    wire.work()
    assert wire.phase("ModelRollout", "openins-v1-0") == "Progressing"


def test_an_invalid_spec_that_the_api_server_lets_through_is_said(wire: Wire) -> None:
    analysis = {**example("5-modelrollout")["spec"]["analysis"], "minDuration": "15d"}
    wire.give("5-modelrollout", analysis=analysis)
    wire.turn()
    phase, reason, message = wire.said("ModelRollout", "openins-v1-0")
    assert (phase, reason) == ("Invalid", "SpecInvalid")
    assert "analysis.minDuration is longer than maxDuration" in message
