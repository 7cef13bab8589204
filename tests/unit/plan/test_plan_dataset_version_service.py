"""Datasets, versions and services: each state of the facts, what is said and what is done."""

import json
from dataclasses import replace
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from plan_builders import (
    AT,
    DIGEST,
    SETTINGS,
    arm,
    artifact,
    dataset_spec,
    owner,
    record,
    revision,
    service_spec,
    version_spec,
)

from regimen.plan import dataset, service, version
from regimen.plan.actions import Apply, Create, Delete, Plan, Put, Scale
from regimen.plan.admission import CardLoad, ModelSize
from regimen.plan.common import JobFacts
from regimen.plan.dataset import DatasetFacts
from regimen.plan.exchange import ArmFacts
from regimen.plan.service import ServiceFacts, as_taken_up, stable_routing
from regimen.plan.serving import arm_deployment
from regimen.plan.version import VersionFacts
from regimen.spec.artifacts import Lineage, ModelShape, Progress, ServingRecord, VersionManifest
from regimen.spec.dataset import TrainingDatasetStatus
from regimen.spec.phases import TRANSITIONS, DatasetPhase, ServicePhase, VersionPhase
from regimen.spec.routing import ArmRoute
from regimen.spec.version import ModelVersionSpec, Weights

RUNNING = JobFacts("j", active=True, succeeded=False, failed=False)
FAILED = JobFacts("j", active=False, succeeded=False, failed=True, message="column claim_amount is missing", exit_code=1)
REFUSED = replace(FAILED, exit_code=2)


def said(plan: Plan) -> tuple[str, str, bool]:
    """Phase, reason, whether Ready."""
    ready = next(verdict for verdict in plan.conditions if verdict.type == "Ready")
    return plan.status.model_dump()["phase"].value, ready.reason, ready.status


# TrainingDataset

DATASET = owner("TrainingDataset", "business")
SOURCES = (("sources.claims.csv[0].uri", "s3://regimen/raw/c.csv", "e1"), ("sources.documents.csv[0].uri", "s3://regimen/raw/d.csv", "e2"))
NEW = DatasetFacts(SOURCES, None, None, TrainingDatasetStatus())
OLD = TrainingDatasetStatus(phase=DatasetPhase.READY, revision="sha256:old", message="old")
DATASETS: dict[str, tuple[DatasetFacts, str, str, bool]] = {
    "a source is missing": (replace(NEW, sources=(SOURCES[0], (*SOURCES[1][:2], None))), "Invalid", "SourceMissing", False),
    "a source is missing, though a revision is there": (
        replace(NEW, sources=((*SOURCES[0][:2], None),), previous=OLD),
        "Invalid",
        "SourceMissing",
        False,
    ),
    "new": (NEW, "Preparing", "Preparing", False),
    "under way": (replace(NEW, job=RUNNING), "Preparing", "Preparing", False),
    "under way, an older revision can be used": (replace(NEW, job=RUNNING, previous=OLD), "Preparing", "Preparing", True),
    "failed": (replace(NEW, job=FAILED), "Failed", "PrepareFailed", False),
    "the input is at fault": (replace(NEW, job=REFUSED), "Invalid", "InputRefused", False),
    "prepared": (replace(NEW, prepared=revision(), job=RUNNING), "Ready", "RevisionPublished", True),
}


NOW = 1_790_000_000.0
"""2026-09-21, some time after the dataset was created."""


def decide_dataset(facts: DatasetFacts, **changes: Any) -> Plan:
    return dataset.decide(DATASET, dataset_spec(**changes), facts, SETTINGS, NOW)


@pytest.mark.parametrize("row", DATASETS)
def test_dataset(row: str) -> None:
    facts, *wanted = DATASETS[row]
    plan = decide_dataset(facts)
    assert list(said(plan)) == wanted
    assert [type(action) for action in plan.actions] == ([Apply, Create] if row == "new" else [])


def test_a_missing_source_is_named_with_its_remedy() -> None:
    message = decide_dataset(DATASETS["a source is missing"][0]).status.message
    assert message == "sources.documents.csv[0].uri: s3://regimen/raw/d.csv does not exist; upload it or correct the address"


def test_a_failed_dataset_says_that_it_starts_again_by_itself() -> None:
    message = decide_dataset(replace(NEW, job=FAILED)).status.message
    assert message == "column claim_amount is missing; a corrected source or spec starts again by itself"


REFRESH = {"schedule": "0 1 * * *", "timeZone": "UTC"}


def made_from(sources: Any = SOURCES, now: float = NOW, **changes: Any) -> dataset.Inputs:
    return dataset.inputs(DATASET, dataset_spec(**changes), sources, now)


@pytest.mark.parametrize("change", [{"split": {"seed": 7}}, {"maxRejectedPercent": 5}])
def test_a_changed_spec_is_another_input(change: dict[str, Any]) -> None:
    assert made_from() != made_from(**change)


def test_changed_content_is_another_input_and_the_same_is_the_same() -> None:
    other = (SOURCES[0], (*SOURCES[1][:2], "e3"))
    assert made_from() != made_from(other)
    assert made_from() == made_from(tuple(SOURCES))


def test_with_a_refresh_content_counts_when_it_is_due_and_mends_a_failed_run_at_once() -> None:
    other = (SOURCES[0], (*SOURCES[1][:2], "e3"))
    before, changed = made_from(refresh=REFRESH), made_from(other, refresh=REFRESH)
    assert before.prepared == changed.prepared, "what the last refresh gave stands until the next"
    assert before.job != changed.job, "a corrected source is another job"
    assert before.following is not None
    due = made_from(now=before.following, refresh=REFRESH)
    assert due.prepared != before.prepared
    assert due.following == before.following + 86400


@pytest.mark.parametrize(
    ("refresh", "message"),
    [
        ({"schedule": "0 1 * * *", "timeZone": "Moon/Base"}, "refresh.timeZone: Moon/Base is no IANA time zone"),
        ({"schedule": "whenever it suits"}, "refresh.schedule: 'whenever it suits' is no cron expression"),
    ],
)
def test_a_wrong_refresh_is_named(refresh: dict[str, Any], message: str) -> None:
    plan = decide_dataset(NEW, refresh=refresh)
    assert said(plan)[0] == "Invalid"
    assert message in (plan.status.message or "")


def test_ready_says_when_the_next_refresh_is() -> None:
    plan = decide_dataset(replace(NEW, prepared=revision()), refresh=REFRESH)
    assert isinstance(plan.status, TrainingDatasetStatus)
    assert (plan.status.next_refresh or "").endswith("T01:00:00Z")


def test_a_query_gets_its_url_from_the_secret() -> None:
    sql = {"urlFrom": {"secretKeyRef": {"name": "claims-db", "key": "url"}}, "query": "SELECT * FROM claims_history"}
    plan = decide_dataset(NEW, sources={"claims": {"csv": [], "sql": sql}}, refresh=REFRESH)
    job = next(action.manifest for action in plan.actions if isinstance(action, Create))
    env = job["spec"]["template"]["spec"]["containers"][0]["env"]
    assert {"name": "REGIMEN_SQL_CLAIMS", "valueFrom": {"secretKeyRef": {"name": "claims-db", "key": "url"}}} in env


def test_token_lengths_need_weights() -> None:
    tokens = {"baseRef": {"name": "openins-baseline"}, "maxLength": 512}
    plan = decide_dataset(NEW, tokens=tokens)
    assert said(plan)[:2] == ("Invalid", "TokenizerMissing")
    with_weights = decide_dataset(replace(NEW, tokenizer_uri="s3://regimen/base/"), tokens=tokens)
    assert said(with_weights)[0] == "Preparing"


def test_a_new_revision_remembers_the_one_before() -> None:
    status = decide_dataset(replace(NEW, prepared=revision(), previous=OLD)).status
    assert isinstance(status, TrainingDatasetStatus)
    assert (status.revision, status.previous_revision) == (f"sha256:{DIGEST}", "sha256:old")
    again = decide_dataset(replace(NEW, prepared=revision(), previous=status))
    assert again.status.model_dump()["previous_revision"] == "sha256:old"
    assert again.events == ()


def test_few_rows_and_other_warnings_are_conditions_not_refusals() -> None:
    warned = revision().model_copy(
        update={"warnings": ["sources.claims.minRows: 900 usable claims of 1000 asked for", "3 rows are in quarantine"]}
    )
    plan = decide_dataset(replace(NEW, prepared=warned))
    assert said(plan)[0] == "Ready"
    told = {verdict.type: verdict.message for verdict in plan.conditions}
    assert told["FewRows"] == "sources.claims.minRows: 900 usable claims of 1000 asked for"
    assert told["Attention"] == "3 rows are in quarantine"


# ModelVersion

VERSION = owner("ModelVersion", "openins-baseline")
URI = version_spec().gguf[0].uri
PUBLISHED = VersionManifest(
    name="openins-v1.0", model="openins", version="v1.0", lineage=Lineage(fine_tune_job="job", base_ref="openins-baseline"),
    gguf=[artifact().model_copy(update={"uri": URI, "bytes": 77})], published_at=AT,
)  # fmt: skip
SHAPE = ModelShape(
    architecture="LlamaForCausalLM", parameters=8_030_261_248, layers=32, hidden_size=4096, intermediate_size=14336, vocabulary=128256,
    heads=32, kv_heads=8, head_dim=128,
)  # fmt: skip
COPIED = [artifact(path, "s3://regimen/base/claims/openins-baseline/abc/") for path in ("config.json", "model.safetensors")]
IMPORTED = record(
    "weights", [*COPIED, artifact().model_copy(update={"uri": URI, "bytes": 55})], weightsDigest=f"sha256:{DIGEST}"
).model_copy(update={"shape": SHAPE})  # fmt: skip
VERSIONS: dict[str, tuple[VersionFacts, str, str, bool]] = {
    "new": (VersionFacts(None, None, None), "Importing", "Importing", False),
    "under way": (VersionFacts(None, None, RUNNING), "Importing", "Importing", False),
    "failed": (VersionFacts(None, None, FAILED), "Failed", "ImportFailed", False),
    "imported": (VersionFacts(None, IMPORTED, FAILED), "Ready", "Verified", True),
    "published": (VersionFacts(PUBLISHED, None, None), "Ready", "Published", True),
}


@pytest.mark.parametrize("row", VERSIONS)
def test_version(row: str) -> None:
    facts, *wanted = VERSIONS[row]
    plan = version.decide(VERSION, version_spec(), facts, SETTINGS)
    assert list(said(plan)) == wanted
    assert [type(action) for action in plan.actions] == ([Apply, Create] if row == "new" else [])


def test_sizes_and_lineage_are_told() -> None:
    status = version.decide(VERSION, version_spec(), VersionFacts(PUBLISHED, None, None), SETTINGS).status.model_dump()
    assert (status["artifacts"][0]["bytes"], status["lineage"]["fine_tune_job"]) == (77, "job")
    status = version.decide(VERSION, version_spec(), VersionFacts(None, IMPORTED, None), SETTINGS).status.model_dump()
    told = [(item["kind"], item["uri"], item["sha256"], item["bytes"]) for item in status["artifacts"]]
    assert told == [("gguf", URI, DIGEST, 55), ("weights", "s3://regimen/base/claims/openins-baseline/abc/", f"sha256:{DIGEST}", 20)]
    assert status["shape"]["parameters"] == SHAPE.parameters


def imported_from(**weights: Any) -> ModelVersionSpec:
    return version_spec().model_copy(update={"weights": Weights.model_validate(weights)})


HUB = {"repo": "owner/base", "revision": "0123456789abcdef0123456789abcdef01234567"}


def import_pod(spec: ModelVersionSpec) -> dict[str, Any]:
    plan = version.decide(VERSION, spec, VERSIONS["new"][0], SETTINGS)
    job = next(action.manifest for action in plan.actions if isinstance(action, Create))
    pod: dict[str, Any] = job["spec"]["template"]["spec"]
    return pod


def test_the_hub_s_token_comes_from_its_secret() -> None:
    with_token = import_pod(imported_from(huggingFace={**HUB, "tokenFrom": {"secretKeyRef": {"name": "hf", "key": "token"}}}))
    wanted = {"name": "HF_TOKEN", "valueFrom": {"secretKeyRef": {"name": "hf", "key": "token"}}}
    assert wanted in with_token["containers"][0]["env"]
    assert "hf" not in json.loads(with_token["containers"][0]["env"][0]["value"])["weights"]["huggingFace"].get("token", "")
    assert not [item for item in import_pod(imported_from(huggingFace=HUB))["containers"][0]["env"] if item["name"] == "HF_TOKEN"]


def test_a_volume_with_weights_is_mounted_read_only_and_only_then() -> None:
    pod = import_pod(imported_from(persistentVolumeClaim={"claimName": "models", "path": "hf/base"}))
    assert {"name": "claim", "persistentVolumeClaim": {"claimName": "models", "readOnly": True}} in pod["volumes"]
    assert {"name": "claim", "mountPath": "/claim", "readOnly": True} in pod["containers"][0]["volumeMounts"]
    assert "claim" not in [volume["name"] for volume in import_pod(imported_from(huggingFace=HUB))["volumes"]]


def test_an_import_says_how_far_it_is() -> None:
    progress = Progress(bytes=4_015_130_624, total_bytes=16_060_522_496, message="fetching and verifying", at=AT)
    plan = version.decide(VERSION, imported_from(huggingFace=HUB), VersionFacts(None, None, RUNNING, progress), SETTINGS)
    status = plan.status.model_dump()
    assert status["progress"] == {"bytes": 4_015_130_624, "total_bytes": 16_060_522_496, "percent": 25.0}
    assert status["message"] == "fetching and verifying: 4.0 of 16.1 GB"
    assert version.decide(VERSION, version_spec(), VERSIONS["imported"][0], SETTINGS).status.model_dump()["progress"] is None


def test_a_failed_import_says_how_it_is_tried_again() -> None:
    message = version.decide(VERSION, version_spec(), VERSIONS["failed"][0], SETTINGS).status.message or ""
    assert message.startswith(f"{FAILED.message}; once that is put right, delete Job j to try again")


# ModelService

SERVICE = owner("ModelService")
RECORD = ServingRecord(version_ref="openins-baseline", revision=1, by="baseline")
S, C = "openins-baseline", "openins-v1.0"
ROUTED = stable_routing(SERVICE, service_spec(), S, SETTINGS, None)
SERVES = ServiceFacts(
    record=RECORD, record_unknown=False, recorded_in_cluster=True, version=version_spec(), version_ready=True, version_message="",
    published=None, stable=arm(S, 4), others=(), routing=ROUTED, routing_applied=True, rollout=None, candidate_ready=0, lending=False,
    claim_exists=True, routers_ready=2,
)  # fmt: skip
NOTHING = ArmFacts(S, "openins-openins-baseline")
FRESH = replace(SERVES, record=None, recorded_in_cluster=False, stable=NOTHING, routing=None, routing_applied=False)
SERVICES: dict[str, tuple[ServiceFacts, str, str, bool]] = {
    "serves": (SERVES, "Ready", "Serving", True),
    "starts": (FRESH, "Pending", "Starting", False),
    "no router is ready": (replace(SERVES, routers_ready=0), "Pending", "RoutersNotReady", False),
    "one is missing": (replace(SERVES, stable=arm(S, 4, ready=3, unready=1)), "Degraded", "ReplicasNotReady", True),
    "below minAvailable": (replace(SERVES, stable=arm(S, 4, ready=2, unready=2)), "Degraded", "ReplicasNotReady", False),
    "training has a card": (replace(SERVES, stable=arm(S, 4, ready=3, unready=1), lending=True), "SteppedAside", "SteppedAside", True),
    "a rollout exchanges": (replace(SERVES, stable=arm(S, 3), rollout="r", exchanging=True), "Ready", "ExchangingReplica", True),
    "the only one is exchanged": (replace(SERVES, stable=arm(S, 0), rollout="r", exchanging=True), "Pending", "Starting", False),
    "one dies in an analysis": (replace(SERVES, stable=arm(S, 4, ready=3, unready=1), rollout="r"), "Degraded", "ReplicasNotReady", True),
    "the record cannot be asked": (replace(FRESH, record_unknown=True), "Pending", "RecordUnknown", False),
    "the cache is missing": (replace(FRESH, claim_exists=False), "Pending", "CacheMissing", False),
    "the version is missing": (replace(FRESH, version=None), "Pending", "VersionMissing", False),
    "the version is not ready": (replace(FRESH, version_ready=False), "Pending", "VersionNotReady", False),
    "no such quantization": (replace(FRESH, version=version_spec(quantization="Q6_K")), "Pending", "QuantizationMissing", False),
}
REFUSALS = {"RecordUnknown", "CacheMissing", "VersionMissing", "VersionNotReady", "QuantizationMissing"}


def decide_service(facts: ServiceFacts, **changes: Any) -> Plan:
    return service.decide(SERVICE, service_spec(**changes), facts, SETTINGS)


def doings(plan: Plan) -> list[str]:
    """`Apply ConfigMap openins-routing`, `Scale deployment-x 3`."""

    def name(action: Any) -> str:
        if isinstance(action, Apply | Create):
            return f"{type(action).__name__} {action.manifest['kind']} {action.manifest['metadata']['name']}"
        if isinstance(action, Scale):
            return f"Scale {action.deployment} {action.replicas}"
        return f"{type(action).__name__} {getattr(action, 'key', getattr(action, 'name', ''))}"

    return [name(action) for action in plan.actions]


@pytest.mark.parametrize("row", SERVICES)
def test_service(row: str) -> None:
    facts, *wanted = SERVICES[row]
    plan = decide_service(facts)
    assert list(said(plan)) == wanted
    stalled = next(verdict for verdict in plan.conditions if verdict.type == "Stalled").status
    assert stalled is (wanted[1] in REFUSALS)
    assert not (stalled and plan.actions), "a refusal changes nothing"


def test_a_fresh_service_writes_the_pointer_before_the_record() -> None:
    """Once the cluster has its record nobody writes the pointer any more, so an operator that stops between them must not lose it."""
    done = doings(decide_service(FRESH))
    assert done.index("Put services/claims/openins/serving.json") < done.index("Create ControllerRevision openins-serving-1")
    assert "Apply Deployment openins-openins-baseline" in done
    assert "Apply ConfigMap openins-routing" in done


def test_a_record_in_the_bucket_wins_over_the_baseline() -> None:
    kept = ServingRecord(version_ref=C, previous_ref=S, revision=7, by="rollout")
    plan = decide_service(
        replace(FRESH, record=kept, version=version_spec("v1.0", weights=False), stable=ArmFacts(C, "openins-openins-v1-0"))
    )
    done = doings(plan)
    assert "Create ControllerRevision openins-serving-7" in done
    assert "Apply Deployment openins-openins-v1-0" in done
    put = next(action for action in plan.actions if isinstance(action, Put))
    assert ServingRecord.model_validate_json(put.data) == kept


def test_a_published_version_whose_resource_is_gone_is_made_again() -> None:
    kept = ServingRecord(version_ref=C, revision=7, by="rollout")
    published = PUBLISHED.model_copy(update={"name": C})
    assert doings(decide_service(replace(FRESH, record=kept, version=None, published=published))) == [f"Create ModelVersion {C}"]


def test_what_serves_stays_although_its_version_is_no_longer_ready() -> None:
    assert said(decide_service(replace(SERVES, version_ready=False)))[1] == "Serving"


def test_other_replicas_asked_for() -> None:
    assert "Scale deployment-openins-baseline 5" in doings(decide_service(SERVES, replicas=5))
    assert not any(line.startswith("Scale") for line in doings(decide_service(SERVES)))


def test_while_a_rollout_is_under_way_replicas_and_routing_are_its_business() -> None:
    done = doings(decide_service(replace(SERVES, rollout="r", others=(arm(C, 1),)), replicas=5))
    assert not any("routing" in line or line.startswith(("Scale", "Delete")) or "Deployment openins-openins" in line for line in done)


def test_a_stable_deployment_that_somebody_removed_comes_back_for_the_rollback() -> None:
    plan = decide_service(replace(SERVES, rollout="r", stable=NOTHING, others=(arm(C, 1),)))
    made = next(action.manifest for action in plan.actions if isinstance(action, Apply) and "component" in str(action.manifest["metadata"])
                and action.manifest["metadata"]["name"] == "openins-openins-baseline" and action.manifest["kind"] == "Deployment")  # fmt: skip
    assert made["spec"]["replicas"] == 0, "the rollout scales it"


def test_an_empty_arm_of_another_version_is_removed() -> None:
    done = doings(decide_service(replace(SERVES, others=(arm(C, 0),))))
    assert done[-2:] == [f"Delete deployment-{C}", f"Delete deployment-{C}"]


def test_an_arm_left_by_a_rollout_that_was_removed_by_force_is_exchanged_back() -> None:
    left = replace(SERVES, stable=arm(S, 3), others=(arm(C, 1),), candidate_ready=1)
    first = decide_service(left)
    assert doings(first)[-1] == "Apply ConfigMap openins-routing"
    routed = ROUTED.model_copy(update={
        "generation": 2, "stable": ArmRoute(version=S, weight=100), "candidate": ArmRoute(version=C, weight=0, draining=[f"{C}-0"]),
    })  # fmt: skip
    waiting = decide_service(replace(left, routing=routed, routing_applied=False))
    assert not any(isinstance(action, Scale) for action in waiting.actions), "not before the routers know"
    done = decide_service(replace(left, routing=routed))
    assert Scale("claims", f"deployment-{C}", 0, (f"{C}-0",)) in done.actions


def test_a_service_never_deletes_an_arm_with_pods() -> None:
    plan = decide_service(replace(SERVES, others=(arm(C, 0, ready=0, leaving=1), arm("openins-v0.9", 1))))
    assert not any(isinstance(action, Delete) for action in plan.actions)


TEMPLATE = arm_deployment(SERVICE, service_spec(), S, version_spec().gguf[0], 0, SETTINGS)["metadata"]["annotations"][
    "regimen.dev/template"
]


def running(replicas: int, template: str | None = TEMPLATE, **changes: Any) -> ArmFacts:
    return replace(arm(S, replicas), template=template, **changes)


CHANGES: dict[str, tuple[dict[str, Any], ArmFacts, int, tuple[int, int] | None]] = {
    "nothing changed": ({}, running(4), 0, (0, 1)),
    "one after another": ({}, running(4, "old"), 0, (0, 1)),
    "all must serve, a place is free: one more first": ({"minAvailable": 4}, running(4, "old"), 1, (1, 0)),
    "all must serve, no place is free": ({"minAvailable": 4}, running(4, "old"), 0, None),
    "one replica, a place is free": ({"replicas": 1, "minAvailable": 0}, running(1, "old"), 1, (1, 0)),
    "one replica, no place is free": ({"replicas": 1, "minAvailable": 0}, running(1, "old"), 0, None),
    "the same with allowOutage": ({"replicas": 1, "minAvailable": 0, "allowOutage": True}, running(1, "old"), 0, (0, 1)),
    "as it began, though the place is taken now": ({"minAvailable": 4}, running(4, settled=False, surges=True), 0, (1, 0)),
    "written by an operator that named no template": ({"minAvailable": 4}, running(4, None), 0, (0, 1)),
}


@pytest.mark.parametrize("row", CHANGES)
def test_a_change_of_the_service_is_rolled_out_drained_or_waits(row: str) -> None:
    changes, stable, room, wanted = CHANGES[row]
    plan = decide_service(replace(SERVES, stable=stable, room=room), **changes)
    made = [action.manifest["spec"]["strategy"]["rollingUpdate"] for action in plan.actions
            if isinstance(action, Apply) and action.manifest["metadata"]["name"] == "openins-openins-baseline"
            and action.manifest["kind"] == "Deployment"]  # fmt: skip
    assert made == ([] if wanted is None else [{"maxSurge": wanted[0], "maxUnavailable": wanted[1]}])
    assert ("a change waits" in (plan.status.message or "")) is (wanted is None)
    assert said(plan)[1:] == ("Serving", True)
    assert next(verdict for verdict in plan.conditions if verdict.type == "Stalled").status is (wanted is None)


def test_while_a_rollout_is_under_way_the_service_is_as_it_took_it_up() -> None:
    held = replace(SERVES, rollout="r", stable=NOTHING, others=(arm(C, 1),), rollout_service=as_taken_up(service_spec(), SETTINGS))
    plan = decide_service(held, router={"drainTimeout": "99s"}, minAvailable=1, engine={"contextSize": 512})
    assert (plan.status.message or "").endswith("a change of this spec waits for the end of rollout r")
    text = json.dumps([action.manifest for action in plan.actions if isinstance(action, Apply)])
    assert '"99"' not in text and '"512"' not in text and '"minAvailable": 1' not in text
    assert "waits" not in (decide_service(held).status.message or "")


AUTH = {"auth": {"apiKeysFrom": {"secretRef": {"name": "openins-keys"}}}}


def test_api_keys_reach_the_servers_and_other_keys_are_rolled_out() -> None:
    missing = decide_service(SERVES, router=AUTH)
    assert said(missing)[1] == "KeysMissing"
    assert (missing.status.message or "").startswith("router.auth.apiKeysFrom.secretRef.name: Secret openins-keys does not exist")

    def template(keys: str) -> dict[str, Any]:
        plan = decide_service(replace(SERVES, keys=keys), router=AUTH)
        made = [action.manifest for action in plan.actions if isinstance(action, Apply) and action.manifest["kind"] == "Deployment"]
        return next(item for item in made if item["metadata"]["name"] == "openins-openins-baseline")["spec"]["template"]  # type: ignore[no-any-return]

    pod = template("one")["spec"]
    assert {"name": "keys", "secret": {"secretName": "openins-keys", "defaultMode": 0o440}} in pod["volumes"]
    assert {"name": "keys", "mountPath": "/keys", "readOnly": True} in pod["containers"][0]["volumeMounts"]
    assert "keys" not in str(pod["initContainers"]), "who fetches needs none"
    assert template("one") != template("two")


def test_what_does_not_fit_is_not_asked_for() -> None:
    cards = (CardLoad("rtx3090", 12 * 10**9, 4, 0),)
    plan = decide_service(replace(FRESH, cards=cards, size=ModelSize(6 * 10**9, None)))
    assert said(plan)[:2] == ("Pending", "DoesNotFit")
    assert plan.actions == ()
    status = plan.status.model_dump()["estimate"]
    assert (status["fits"], status["card_bytes"]) == (False, 12 * 10**9)
    assert said(decide_service(replace(SERVES, cards=cards, size=ModelSize(6 * 10**9, None))))[1] == "Serving"


# Phases

walks = st.lists(st.integers(0, 30), max_size=30)


@given(walks)
def test_datasets_keep_to_the_table(steps: list[int]) -> None:
    before, rows = DatasetPhase.PENDING, list(DATASETS.values())
    for step in steps:
        after = DatasetPhase(said(decide_dataset(rows[step % len(rows)][0]))[0])
        assert after == before or after in TRANSITIONS[DatasetPhase][before]
        before = after


@given(walks)
def test_versions_keep_to_the_table(steps: list[int]) -> None:
    before, rows = VersionPhase.PENDING, list(VERSIONS.values())
    for step in steps:
        after = VersionPhase(said(version.decide(VERSION, version_spec(), rows[step % len(rows)][0], SETTINGS))[0])
        assert after == before or after in TRANSITIONS[VersionPhase][before]
        if after is VersionPhase.READY:
            return  # its record does not go away again
        before = after


@given(walks)
def test_services_keep_to_the_table(steps: list[int]) -> None:
    before, rows = ServicePhase.PENDING, list(SERVICES.values())
    for step in steps:
        after = ServicePhase(said(decide_service(rows[step % len(rows)][0]))[0])
        assert after == before or after in TRANSITIONS[ServicePhase][before]
        before = after
