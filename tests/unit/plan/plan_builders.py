"""Small builders of specs and facts. Each gives something that works; a test says only what it is about."""

from copy import deepcopy
from datetime import UTC, datetime
from functools import lru_cache
from pathlib import Path
from typing import Any

import yaml

from regimen.plan.common import Owner, PodFacts, Settings
from regimen.plan.exchange import ArmFacts
from regimen.spec.artifacts import Artifact, DatasetManifest, StageRecord, TaskFigures
from regimen.spec.dataset import TrainingDatasetSpec
from regimen.spec.finetune import FineTuneJobSpec
from regimen.spec.rollout import ModelRolloutSpec
from regimen.spec.routing import ArmEvidence
from regimen.spec.schedule import RetrainScheduleSpec
from regimen.spec.service import ModelServiceSpec
from regimen.spec.version import ModelVersionSpec

ROOT = Path(__file__).parents[3]
AT = datetime(2026, 11, 1, 7, tzinfo=UTC)
ISO = "2026-11-01T07:00:00Z"
DIGEST = "ab" * 32
SETTINGS = Settings(
    trainer_image="regimen.local/trainer:1", server_image="regimen.local/server:1", router_image="regimen.local/router:1",
    pull_policy="IfNotPresent", feedback_url="http://feedback.regimen.svc:8090", signing_key="0f" * 32,
    training_node_selector={"gpu": "rtx3090"}, serving_priority_class="regimen-serving", training_priority_class="regimen-training",
    trainer_resources={"requests": {"memory": "8Gi"}}, server_resources={"requests": {"memory": "6Gi"}}, bucket="regimen",
    bucket_env={"REGIMEN_S3_BUCKET": "regimen", "REGIMEN_S3_ENDPOINT": "http://s3:9000"},
)  # fmt: skip


@lru_cache
def _read(number_and_kind: str) -> dict[str, Any]:
    document: dict[str, Any] = yaml.safe_load((ROOT / f"examples/{number_and_kind}.yaml").read_text())
    return document


def example(number_and_kind: str) -> dict[str, Any]:
    """The document of an example, e.g. `3-finetunejob`."""
    return deepcopy(_read(number_and_kind))


def merged(base: dict[str, Any], changes: dict[str, Any]) -> dict[str, Any]:
    """`base` with `changes` merged in, deeply; lists are replaced."""
    result = dict(base)
    for key, value in changes.items():
        result[key] = merged(base[key], value) if isinstance(value, dict) and isinstance(base.get(key), dict) else value
    return result


def job_spec(**changes: Any) -> FineTuneJobSpec:
    return FineTuneJobSpec.model_validate(merged(example("3-finetunejob")["spec"], changes))


def dataset_spec(**changes: Any) -> TrainingDatasetSpec:
    return TrainingDatasetSpec.model_validate(merged(example("1-trainingdataset")["spec"], changes))


def version_spec(version: str = "baseline", weights: bool = True, model: str = "openins", quantization: str = "Q5_K_M") -> ModelVersionSpec:
    file = {"quantization": quantization, "uri": f"s3://regimen/base/{model}-{version}-{quantization}.gguf", "sha256": DIGEST}
    content: dict[str, Any] = {"model": model, "version": version, "gguf": [file]}
    if weights:
        content["weights"] = {"s3": {"uri": f"s3://regimen/base/{model}/"}}
    return ModelVersionSpec.model_validate(content)


def service_spec(**changes: Any) -> ModelServiceSpec:
    return ModelServiceSpec.model_validate(merged(example("4-modelservice")["spec"], changes))


def rollout_spec(**changes: Any) -> ModelRolloutSpec:
    return ModelRolloutSpec.model_validate(merged(example("5-modelrollout")["spec"], changes))


def schedule_spec(**changes: Any) -> RetrainScheduleSpec:
    return RetrainScheduleSpec.model_validate(merged(example("6-retrainschedule")["spec"], changes))


def owner(kind: str, name: str = "openins", **changes: Any) -> Owner:
    values: dict[str, Any] = {
        "kind": kind, "namespace": "claims", "name": name, "uid": f"{kind.lower()}-0001", "generation": 1, "created": 0.0,
    }  # fmt: skip
    return Owner(**{**values, **changes})


def pods(prefix: str, ready: int = 0, unready: int = 0, leaving: int = 0) -> tuple[PodFacts, ...]:
    """Pods in that order: ready, not ready, terminating (still ready)."""
    kinds = [(True, False)] * ready + [(False, False)] * unready + [(True, True)] * leaving
    return tuple(PodFacts(f"{prefix}{i}", "node", is_ready, gone) for i, (is_ready, gone) in enumerate(kinds))


def arm(name: str, replicas: int, ready: int | None = None, unready: int = 0, leaving: int = 0) -> ArmFacts:
    """An arm whose Deployment asks for `replicas`; all ready where nothing else is said."""
    shown = replicas if ready is None else ready
    return ArmFacts(name, f"deployment-{name}", exists=True, replicas=replicas, pods=pods(f"{name}-", shown, unready, leaving))


def artifact(path: str = "train.jsonl", prefix: str = "s3://regimen/x/") -> Artifact:
    return Artifact(path=path, uri=f"{prefix}{path}", sha256=DIGEST, bytes=10)


def revision(digest: str = f"sha256:{DIGEST}", train: int = 900) -> DatasetManifest:
    names = ("medicalAnalysis", "adjudication", "clinicalDocs")
    tasks = [TaskFigures(name=n, train=train, test=100, train_path=f"{n}/train.jsonl", test_path=f"{n}/test.jsonl") for n in names]
    files = [artifact(path) for task in tasks for path in (task.train_path, task.test_path)]
    return DatasetManifest(dataset="business", digest=digest, files=files, tasks=tasks, rows_read=1000, rows_used=1000, published_at=AT)


def record(stage: Any, files: Any = None, **figures: Any) -> StageRecord:
    found = [artifact(f"{stage}.bin")] if files is None else files
    return StageRecord(stage=stage, job="claims/openins-v1-0", uid="u", files=found, figures=figures, finished_at=AT)


def answers(version: str, agreement: float, subjects: int) -> ArmEvidence:
    """Every eighth subject has two labelled answers."""
    labelled = subjects // 8
    agreed = round(agreement * labelled)
    clusters = [(2, 2)] * agreed + [(2, 0)] * (labelled - agreed)
    return ArmEvidence(
        version=version, requests=subjects, subjects=subjects, labelled=2 * labelled, labelled_subjects=labelled, agreed=2 * agreed,
        clusters=clusters, audits=[(2, 2)] * labelled,
    )  # fmt: skip
