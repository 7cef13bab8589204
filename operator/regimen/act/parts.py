"""Facts that several kinds need: resources of ours, Jobs with their pods, documents in the bucket."""

from datetime import datetime
from typing import Any, TypeVar

from pydantic import BaseModel, ValidationError

from regimen.act.cluster import Cluster, Object
from regimen.plan.common import JobFacts, Owner, PodFacts, owner_label
from regimen.plan.training import TRAINING, TrainingJob, read
from regimen.store import NotFoundError, Store

Document = TypeVar("Document", bound=BaseModel)
DELETION_COST = "controller.kubernetes.io/pod-deletion-cost"
"""Annotation by which a ReplicaSet knows whom to stop first."""
ENDS_OF_JOB = frozenset({"Complete", "SuccessCriteriaMet", "Failed", "FailureTarget"})
"""Conditions of a Job that say that it is over, or about to be: no new pod is started for it."""


def owner_of(obj: Object) -> Owner:
    meta = obj["metadata"]
    return Owner(
        kind=obj["kind"], namespace=meta["namespace"], name=meta["name"], uid=meta["uid"], generation=meta.get("generation", 1),
        created=seconds(meta["creationTimestamp"]), deleting="deletionTimestamp" in meta, finalizers=tuple(meta.get("finalizers", [])),
        annotations=meta.get("annotations", {}),
    )  # fmt: skip


def seconds(rfc3339: str) -> float:
    return datetime.fromisoformat(rfc3339.replace("Z", "+00:00")).timestamp()


def document(store: Store, key: str, model: type[Document]) -> Document | None:
    """The document under a key, or None where there is none."""
    try:
        return model.model_validate_json(store.get(key))
    except NotFoundError:
        return None


def spec_of(obj: Object, model: type[Document]) -> Document:
    return model.model_validate(obj.get("spec", {}))


def status_of(obj: Object, model: type[Document]) -> Document:
    """A status as we wrote it; one that a person broke counts as none, since it can be lost (law 1)."""
    try:
        return model.model_validate(obj.get("status", {}))
    except ValidationError:
        return model.model_validate({})


def job_facts(cluster: Cluster, namespace: str, name: str) -> JobFacts | None:
    """A Job with what its newest pod says, or None where there is none."""
    job = cluster.get("Job", namespace, name)
    return _seen(job, cluster.items("Pod", namespace, f"batch.kubernetes.io/job-name={name}")) if job is not None else None


def training_jobs(cluster: Cluster, owner: Owner) -> tuple[tuple[TrainingJob, ...], bool]:
    """The training Jobs of a FineTuneJob, oldest first; and whether a pod of theirs, or of one that is gone, still holds its place."""
    selector = ",".join(f"{key}={value}" for key, value in {**owner_label(owner.kind, owner.name), **TRAINING}.items())
    pods = cluster.items("Pod", owner.namespace, selector)
    jobs = [job for job in cluster.items("Job", owner.namespace, selector) if is_owned(job, owner)]
    jobs.sort(key=lambda job: (job["metadata"]["creationTimestamp"], job["metadata"]["name"]))
    return tuple(_training_job(job, pods) for job in jobs), any(holds_place(pod) for pod in pods)


def _training_job(job: Object, pods: list[Object]) -> TrainingJob:
    meta, status = job["metadata"], job.get("status", {})
    ends, before = read(meta.get("annotations", {}))
    own = [pod for pod in pods if any(ref.get("uid") == meta["uid"] for ref in pod["metadata"].get("ownerReferences", []))]
    over = [item["lastTransitionTime"] for item in status.get("conditions", []) if item["type"] in ENDS_OF_JOB and item["status"] == "True"]
    return TrainingJob(
        job=_seen(job, own), ends=ends, before=before,
        started=seconds(status["startTime"]) if "startTime" in status else None,
        ended=min((seconds(at) for at in over), default=None),
        pods=max(len(own), int(status.get("active", 0)) + int(status.get("succeeded", 0)) + int(status.get("failed", 0))),
    )  # fmt: skip


def is_owned(obj: Object, owner: Owner) -> bool:
    return any(ref.get("uid") == owner.uid for ref in obj["metadata"].get("ownerReferences", []))


def _seen(job: Object, its_pods: list[Object]) -> JobFacts:
    status = job.get("status", {})
    conditions = {item["type"]: item for item in status.get("conditions", []) if item.get("status") == "True"}
    failed = conditions.get("Failed") or conditions.get("FailureTarget")
    pods = sorted(its_pods, key=lambda pod: pod["metadata"]["creationTimestamp"])
    code, message = _last_termination(pods)
    return JobFacts(
        name=job["metadata"]["name"], active=bool(status.get("active")), succeeded="Complete" in conditions, failed=failed is not None,
        reason=str(failed.get("reason", "")) if failed else "", message=message, exit_code=code,
        pod_phase=str(pods[-1].get("status", {}).get("phase", "")) if pods else "",
        pod_message=_pending(pods[-1]) if pods else "",
    )  # fmt: skip


def _last_termination(pods: list[Object]) -> tuple[int | None, str]:
    for pod in reversed(pods):
        for container in pod.get("status", {}).get("containerStatuses", []):
            ended: dict[str, Any] = container.get("state", {}).get("terminated") or {}
            if ended.get("exitCode"):
                return int(ended["exitCode"]), str(ended.get("message") or ended.get("reason") or "").strip()[:1000]
    return None, ""


def _pending(pod: Object) -> str:
    """Why a pod does not run yet, in words; empty where it runs."""
    status = pod.get("status", {})
    if status.get("phase") != "Pending":
        return ""
    for condition in status.get("conditions", []):
        if condition.get("type") == "PodScheduled" and condition.get("status") == "False":
            return f"waiting for a node: {condition.get('message', '')}"[:500]
    for container in status.get("containerStatuses", []):
        waiting = container.get("state", {}).get("waiting") or {}
        if waiting.get("reason") in {"ErrImagePull", "ImagePullBackOff", "CreateContainerConfigError", "InvalidImageName"}:
            return f"{waiting['reason']}: {waiting.get('message', '')}"[:500]
    return "the pod is starting"


def pod_facts(pod: Object, cordoned: frozenset[str] = frozenset()) -> PodFacts:
    """A serving pod; `cordoned` are names of nodes that take no new pods."""
    meta, node = pod["metadata"], pod.get("spec", {}).get("nodeName", "")
    conditions = {item["type"]: item for item in pod.get("status", {}).get("conditions", []) if item["status"] == "True"}
    ready = conditions.get("Ready", {}).get("lastTransitionTime")
    servers = [item for item in pod.get("status", {}).get("containerStatuses", []) if item.get("name") == "server"]
    started = next((item["state"]["running"].get("startedAt") for item in servers if item.get("state", {}).get("running")), None)
    return PodFacts(
        name=meta["name"], node=node, ready="Ready" in conditions, terminating="deletionTimestamp" in meta,
        doomed=DELETION_COST in meta.get("annotations", {}), cordoned=node in cordoned,
        load_seconds=max(0.0, seconds(ready) - seconds(started)) if started and ready else None,
    )  # fmt: skip


def is_settled(deployment: Object, pods: list[Object]) -> bool:
    """Whether every pod is of the Deployment's present template, and the controller has seen that template."""
    generation = deployment["metadata"].get("generation", 1)
    seen = deployment.get("status", {}).get("observedGeneration", generation)
    templates = {pod["metadata"].get("labels", {}).get("pod-template-hash") for pod in pods if holds_place(pod)}
    return int(seen) >= int(generation) and len(templates) <= 1


def holds_place(pod: Object) -> bool:
    """Whether a pod still holds what it asked for."""
    return pod.get("status", {}).get("phase") not in {"Succeeded", "Failed"}


def asked_for(pod: Object, resource: str) -> int:
    containers = pod.get("spec", {}).get("containers", [])
    return sum(int(container.get("resources", {}).get("requests", {}).get(resource, 0)) for container in containers)
