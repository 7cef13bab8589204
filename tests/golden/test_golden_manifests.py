"""Golden pairs: the examples in, manifests out. REGIMEN_UPDATE_GOLDEN=1 writes them anew; read the difference before you keep it."""

import json
import os
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import yaml
from plan_builders import (
    AT,
    DIGEST,
    SETTINGS,
    arm,
    artifact,
    dataset_spec,
    job_spec,
    owner,
    revision,
    rollout_spec,
    service_spec,
    version_spec,
)

from regimen.plan import dataset, finetune, schedule, service, version
from regimen.plan.actions import Action, Apply, Create
from regimen.plan.borrow import CardFacts, LenderFacts
from regimen.plan.exchange import ArmFacts, Hold
from regimen.plan.finetune_facts import BaseFacts, DatasetFacts, FineTuneFacts
from regimen.plan.memory import Memory
from regimen.plan.rollout_facts import Context, RolloutFacts
from regimen.plan.rollout_moves import wanted_routing
from regimen.plan.rollout_prepare import fetch_jobs
from regimen.plan.router import router_manifests, routing_map
from regimen.plan.service import ServiceFacts
from regimen.plan.version import VersionFacts
from regimen.spec.artifacts import Claim, ServingRecord
from regimen.spec.dataset import TrainingDatasetStatus
from regimen.spec.phases import DatasetPhase, VersionPhase
from regimen.spec.version import ArtifactStatus, ModelVersionStatus, Weights

DATA = Path(__file__).parent / "data"
SERVICE, ROLLOUT, JOB = owner("ModelService"), owner("ModelRollout", "openins-v1-0"), owner("FineTuneJob", "openins-v1-0")
Manifest = dict[str, Any]


def made(actions: tuple[Action, ...]) -> list[Manifest]:
    return [action.manifest for action in actions if isinstance(action, Apply | Create)]


def train(**changes: Any) -> list[Manifest]:
    base = BaseFacts(
        version_spec(),
        ModelVersionStatus(phase=VersionPhase.READY, artifacts=[ArtifactStatus(kind="weights", uri="s3://x/", sha256=DIGEST, bytes=1)]),
    )
    facts = FineTuneFacts(
        base=base, dataset=DatasetFacts(revision(), dataset_spec().tasks[1], DatasetPhase.READY, ""), version="v1.0",
        claim=Claim(job=JOB.path, uid=JOB.uid, dataset_revision=f"sha256:{DIGEST}"), manifest=None, version_exists=False,
        contenders=(("Baseline", "openins-baseline", artifact("a.gguf")),), cards=(CardFacts("rtx3090", 4, 2),),
        lenders=(LenderFacts("openins", 4, 2, 2, None),),
    )  # fmt: skip
    return made(finetune.decide(JOB, job_spec(**changes), facts, SETTINGS, AT.timestamp()).actions)


def train_in_a_window() -> list[Manifest]:
    """At 07:00 UTC, 1 hour after 01:00 in Chicago, where clocks went back in that hour."""
    window = {"schedule": "0 1 * * *", "duration": "4h", "timeZone": "America/Chicago"}
    manifests = train(window=window, cache={"persistentVolumeClaim": {"claimName": "model-cache"}})
    return [item for item in manifests if item["kind"] == "Job"]


def served() -> list[Manifest]:
    facts = ServiceFacts(
        record=None, record_unknown=False, recorded_in_cluster=False, version=version_spec(), version_ready=True, version_message="",
        published=None, stable=ArmFacts("openins-baseline", "openins-openins-baseline"), others=(), routing=None, routing_applied=False,
        rollout=None, candidate_ready=0, lending=False, claim_exists=True, routers_ready=0,
    )  # fmt: skip
    return made(service.decide(SERVICE, service_spec(), facts, SETTINGS).actions)


def servers() -> list[Manifest]:
    return [item for item in served() if item["metadata"]["name"] == "openins-openins-baseline"]


def routing() -> list[Manifest]:
    """A fifth of the subjects on one candidate replica of four."""
    facts = RolloutFacts(
        service_owner=SERVICE, service=service_spec(), serving=ServingRecord(version_ref="openins-baseline", revision=1, by="baseline"),
        to_version=version_spec("v1.0"), to_ready=True, before=(), memory=None, stable=arm("openins-baseline", 3),
        candidate=arm("openins-v1.0", 1), routing=None, routers=(), routers_expected=2, evidence=None, lending=False,
    )  # fmt: skip
    now = AT.timestamp()
    memory = Memory(stable_ref="openins-baseline", begun_at=now, step_since=now, moved_at=now, requested_weight=20)
    context = Context(ROLLOUT, rollout_spec(), facts, SETTINGS, now, SERVICE, service_spec())
    return [routing_map(SERVICE, wanted_routing(context, memory, Hold("")))]


def fetched() -> list[Manifest]:
    """Both versions' files, brought to the node that serves before anything moves."""
    facts = RolloutFacts(
        service_owner=SERVICE, service=service_spec(), serving=ServingRecord(version_ref="openins-baseline", revision=1, by="baseline"),
        to_version=version_spec("v1.0"), to_ready=True, before=(), memory=None, stable=arm("openins-baseline", 4),
        candidate=ArmFacts("openins-v1.0", "openins-openins-v1-0"), routing=None, routers=(), routers_expected=2, evidence=None,
        lending=False, stable_version=version_spec(),
    )  # fmt: skip
    now = AT.timestamp()
    memory = Memory(stable_ref="openins-baseline", begun_at=now, step_since=now, moved_at=now, nodes=["rtx3090"])
    return made(fetch_jobs(Context(ROLLOUT, rollout_spec(), facts, SETTINGS, now, SERVICE, service_spec()), memory))


def prepare() -> list[Manifest]:
    sources = (("sources.claims.csv[0].uri", "s3://regimen/raw/c.csv", "e1"),)
    facts = dataset.DatasetFacts(sources, None, None, TrainingDatasetStatus())
    return made(dataset.decide(owner("TrainingDataset", "business"), dataset_spec(), facts, SETTINGS, 0.0).actions)


def imported() -> list[Manifest]:
    return made(version.decide(owner("ModelVersion", "openins-baseline"), version_spec(), VersionFacts(None, None, None), SETTINGS).actions)


def imported_from(**weights: Any) -> list[Manifest]:
    spec = version_spec().model_copy(update={"weights": Weights.model_validate(weights)})
    return made(version.decide(owner("ModelVersion", "openins-baseline"), spec, VersionFacts(None, None, None), SETTINGS).actions)


def imported_from_hub() -> list[Manifest]:
    token = {"secretKeyRef": {"name": "hf", "key": "token"}}
    return imported_from(huggingFace={"repo": "owner/base", "revision": "0123456789abcdef0123456789abcdef01234567", "tokenFrom": token})


def imported_from_claim() -> list[Manifest]:
    return imported_from(persistentVolumeClaim={"claimName": "models", "path": "hf/openinsurancellm-llama3-8b"})


PAIRS = {
    "train": train, "train-in-a-window": train_in_a_window, "servers": servers, "routers": lambda: router_manifests(SERVICE, service_spec(), SETTINGS), "routing": routing, "fetch": fetched,
    "prepare": prepare, "import": imported, "import-hub": imported_from_hub, "import-claim": imported_from_claim,
}  # fmt: skip


def readable(value: Any) -> Any:
    """Documents inside documents are spread out; Secrets show their keys only."""
    if isinstance(value, dict):
        if value.get("kind") == "Secret":
            value = {**value, "data": sorted(value["data"])}
        return {key: readable(item) for key, item in value.items()}
    if isinstance(value, list):
        return [readable(item) for item in value]
    if isinstance(value, str) and value.startswith("{"):
        return {"json": json.loads(value)}
    return value


class _Plain(yaml.SafeDumper):
    def ignore_aliases(self, data: Any) -> bool:
        return True


@pytest.mark.parametrize("name", PAIRS)
def test_golden(name: str) -> None:
    text = yaml.dump_all([readable(item) for item in PAIRS[name]()], Dumper=_Plain, sort_keys=False, width=130)
    path = DATA / f"{name}.yaml"
    if os.environ.get("REGIMEN_UPDATE_GOLDEN") == "1":
        path.write_text(text)
    assert path.read_text() == text, f"{path.name} differs; if it should, REGIMEN_UPDATE_GOLDEN=1 writes it"


def pods() -> Iterator[tuple[str, Manifest]]:
    """Every pod that the operator ever makes."""
    for source in (train, train_in_a_window, servers, fetched, PAIRS["routers"], prepare, imported, imported_from_hub, imported_from_claim):
        for item in source():
            if item["kind"] in {"Job", "Deployment"}:
                yield item["metadata"]["name"], item["spec"]["template"]["spec"]


@pytest.mark.parametrize(("name", "pod"), list(pods()), ids=lambda value: value if isinstance(value, str) else "")
def test_pods_satisfy_pod_security_restricted(name: str, pod: Manifest) -> None:
    security = pod["securityContext"]
    assert security["runAsNonRoot"] is True
    assert security["runAsUser"] != 0
    assert security["seccompProfile"] == {"type": "RuntimeDefault"}
    assert not {"hostNetwork", "hostPID", "hostIPC"} & set(pod)
    allowed = {"emptyDir", "persistentVolumeClaim", "configMap", "secret", "projected", "downwardAPI", "csi", "ephemeral"}
    assert all(set(volume) - {"name"} <= allowed for volume in pod["volumes"])
    for container in [*pod["containers"], *pod.get("initContainers", [])]:
        inner = container["securityContext"]
        assert inner["allowPrivilegeEscalation"] is False
        assert inner["capabilities"]["drop"] == ["ALL"]
        assert "add" not in inner["capabilities"]
        assert inner.get("runAsNonRoot", True) is True
        assert not inner.get("privileged")
        assert not any("hostPort" in port for port in container.get("ports", []))


def test_only_routers_get_a_token() -> None:
    assert {name for name, pod in pods() if pod.get("automountServiceAccountToken") is not False} == {"openins-router"}


def test_the_whole_card_with_training_s_priority() -> None:
    job = next(item for item in train() if item["kind"] == "Job")
    pod = job["spec"]["template"]["spec"]
    assert pod["containers"][0]["resources"]["requests"]["nvidia.com/gpu"] == "4"
    assert pod["priorityClassName"] == SETTINGS.training_priority_class != SETTINGS.serving_priority_class


def test_the_freed_place_is_used_only_once_it_is_free() -> None:
    strategy = next(item for item in servers() if item["kind"] == "Deployment")["spec"]["strategy"]
    assert strategy["rollingUpdate"]["maxSurge"] == 0


def test_the_grace_is_longer_than_the_drain() -> None:
    pod = next(pod for name, pod in pods() if name == "openins-openins-baseline")
    assert pod["terminationGracePeriodSeconds"] > 20 + 3


def test_a_schedule_makes_a_job_that_is_the_template_and_more() -> None:
    from plan_builders import schedule_spec

    spec = schedule_spec()
    job = schedule.job_manifest(owner("RetrainSchedule", "monthly"), spec, 1793520000, 900)
    template = spec.fine_tune_template.spec.model_dump(mode="json", by_alias=True, exclude_none=True)
    assert {key: job["spec"][key] for key in template} == template
