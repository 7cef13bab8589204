"""Facts and manifests that several kinds share."""

import json
import re
from base64 import b64encode
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from hashlib import sha256
from typing import Any

from regimen.plan.actions import Manifest
from regimen.spec.meta import API_VERSION, GROUP, Cache, SecretKeyRef

FINALIZER = f"{GROUP}/finish"
MANAGED = {"app.kubernetes.io/managed-by": "regimen"}
BUCKET_SECRET = "regimen-bucket"
CACHE_DIR = "/cache"
"""Where trainer pods find the node's disk."""


@dataclass(frozen=True)
class Owner:
    """The resource that a pass is for."""

    kind: str
    namespace: str
    name: str
    uid: str
    generation: int
    created: float
    """Seconds since the epoch."""
    deleting: bool = False
    finalizers: tuple[str, ...] = ()
    annotations: Mapping[str, str] | None = None

    @property
    def path(self) -> str:
        return f"{self.namespace}/{self.name}"

    def reference(self) -> Manifest:
        """An ownerReference, so that Kubernetes removes what was made for it."""
        return {
            "apiVersion": API_VERSION, "kind": self.kind, "name": self.name, "uid": self.uid,
            "controller": True, "blockOwnerDeletion": True,
        }  # fmt: skip


@dataclass(frozen=True)
class Settings:
    """What the chart decides for the whole operator."""

    trainer_image: str
    server_image: str
    router_image: str
    pull_policy: str
    feedback_url: str
    signing_key: str
    """Hex; services' keys are derived from it."""
    training_node_selector: Mapping[str, str]
    serving_priority_class: str
    training_priority_class: str
    trainer_resources: Mapping[str, Any]
    server_resources: Mapping[str, Any]
    bucket: str
    bucket_env: Mapping[str, str]
    """What pods need to reach the bucket."""
    prometheus_url: str = ""
    """Where guardrails' queries are asked; empty where there is none."""


@dataclass(frozen=True)
class JobFacts:
    """A Kubernetes Job as seen now."""

    name: str
    active: bool
    succeeded: bool
    failed: bool
    reason: str = ""
    message: str = ""
    """Of the last failed container, from its termination log."""
    exit_code: int | None = None
    pod_phase: str = ""
    pod_message: str = ""
    """Why the pod is Pending, where it is."""


@dataclass(frozen=True)
class PodFacts:
    """A serving pod as seen now."""

    name: str
    node: str
    ready: bool
    terminating: bool
    doomed: bool = False
    """Chosen to go when its Deployment shrinks next."""
    cordoned: bool = False
    """Its node takes no new pods, so nobody could use its place."""
    load_seconds: float | None = None
    """From its server's start until it last became ready: without fetching the file. What made it unready in between counts, too."""


def dns_name(*parts: str, limit: int = 63) -> str:
    """Join parts into a DNS label; a digest keeps long ones apart.

    >>> dns_name("openins", "openins-v1.0")
    'openins-openins-v1-0'
    """
    name = re.sub(r"[^a-z0-9-]", "-", "-".join(parts).lower()).strip("-")
    if len(name) <= limit:
        return name
    return f"{name[: limit - 9].rstrip('-')}-{sha256(name.encode()).hexdigest()[:8]}"


def owner_label(kind: str, name: str) -> dict[str, str]:
    """Whose trainer a Job or a pod is. The kind and the name say it, not the uid: a pod of a job that is gone still holds its card."""
    return {f"{GROUP}/owner": dns_name(kind, name)}


def canonical_hash(value: Any) -> str:
    """16 hex digits that name a JSON value."""
    return sha256(json.dumps(value, sort_keys=True, separators=(",", ":")).encode()).hexdigest()[:16]


def bucket_secret(namespace: str, settings: Settings) -> Manifest:
    """The bucket's address and credentials, where trainer and server pods run."""
    return {
        "apiVersion": "v1", "kind": "Secret", "metadata": {"name": BUCKET_SECRET, "namespace": namespace, "labels": MANAGED},
        "data": encoded(settings.bucket_env),
    }  # fmt: skip


def encoded(values: Mapping[str, str]) -> dict[str, str]:
    """A Secret's data."""
    return {key: b64encode(value.encode()).decode() for key, value in values.items()}


def container_security() -> Manifest:
    """What Pod Security `restricted` asks of a container."""
    return {
        "allowPrivilegeEscalation": False, "capabilities": {"drop": ["ALL"]}, "readOnlyRootFilesystem": True,
        "runAsNonRoot": True, "seccompProfile": {"type": "RuntimeDefault"},
    }  # fmt: skip


def pod_security() -> Manifest:
    """What Pod Security `restricted` asks of a pod."""
    return {
        "runAsNonRoot": True,
        "runAsUser": 65532,
        "runAsGroup": 65532,
        "fsGroup": 65532,
        "seccompProfile": {"type": "RuntimeDefault"},
    }


def trainer_job(
    owner: Owner,
    name: str,
    task_json: str,
    settings: Settings,
    *,
    node_selector: Mapping[str, str],
    extended: Mapping[str, str] | None = None,
    priority_class: str | None = None,
    deadline_seconds: int | None = None,
    backoff_limit: int = 3,
    env: Sequence[Manifest] = (),
    cache: Cache | None = None,
    grace_seconds: int = 30,
    labels: Mapping[str, str] | None = None,
    annotations: Mapping[str, str] | None = None,
) -> Manifest:
    """A Job of one trainer pod. Exit code 2 says that the input is at fault: it fails the Job at once.

    `extended` are extended resources such as {"nvidia.com/gpu": "4"}. The deadline counts from the Job's start; `grace_seconds` is what
    a pod has from SIGTERM to its end. A pod that is evicted or preempted is replaced, and does not count against `backoff_limit`.
    """
    resources: dict[str, Any] = json.loads(json.dumps(settings.trainer_resources))
    for section in ("requests", "limits"):
        resources.setdefault(section, {}).update(extended or {})
    labels = {**MANAGED, **owner_label(owner.kind, owner.name), "app.kubernetes.io/component": "trainer", **(labels or {})}
    attempt = {"name": "REGIMEN_ATTEMPT", "valueFrom": {"fieldRef": {"fieldPath": "metadata.name"}}}
    volumes: list[Manifest] = [{"name": "scratch", "emptyDir": {}}, {"name": "tmp", "emptyDir": {}}]
    mounts = [{"name": "scratch", "mountPath": "/scratch"}, {"name": "tmp", "mountPath": "/tmp"}]
    if cache is not None:
        volumes.append({"name": "cache", "persistentVolumeClaim": {"claimName": cache.persistent_volume_claim.claim_name}})
        mounts.append({"name": "cache", "mountPath": CACHE_DIR})
        env = [*env, {"name": "REGIMEN_CACHE_DIR", "value": CACHE_DIR}]
    pod: Manifest = {
        "restartPolicy": "Never",
        "automountServiceAccountToken": False,
        "enableServiceLinks": False,
        "securityContext": pod_security(),
        "nodeSelector": dict(node_selector),
        "terminationGracePeriodSeconds": grace_seconds,
        "volumes": volumes,
        "containers": [
            {
                "name": "trainer",
                "image": settings.trainer_image,
                "imagePullPolicy": settings.pull_policy,
                "args": ["run-task"],
                "env": [{"name": "REGIMEN_TASK", "value": task_json}, {"name": "HOME", "value": "/scratch"}, attempt, *env],
                "envFrom": [{"secretRef": {"name": BUCKET_SECRET}}],
                "resources": resources,
                "securityContext": container_security(),
                "volumeMounts": mounts,
                "terminationMessagePolicy": "File",
            }
        ],
    }
    pod["containers"][0]["env"].append({"name": "REGIMEN_IMAGE", "value": settings.trainer_image})
    if priority_class:
        pod["priorityClassName"] = priority_class
    spec: Manifest = {
        "backoffLimit": backoff_limit,
        "podFailurePolicy": {
            "rules": [
                {"action": "Ignore", "onPodConditions": [{"type": "DisruptionTarget", "status": "True"}]},
                {"action": "FailJob", "onExitCodes": {"containerName": "trainer", "operator": "In", "values": [2]}},
            ]
        },
        "template": {"metadata": {"labels": labels}, "spec": pod},
    }
    if deadline_seconds is not None:
        spec["activeDeadlineSeconds"] = deadline_seconds
    metadata: Manifest = {"name": name, "namespace": owner.namespace, "labels": labels, "ownerReferences": [owner.reference()]}
    if annotations:
        metadata["annotations"] = dict(annotations)
    return {"apiVersion": "batch/v1", "kind": "Job", "metadata": metadata, "spec": spec}


def secret_env(name: str, ref: SecretKeyRef) -> Manifest:
    """An environment variable whose value a Secret holds."""
    return {"name": name, "valueFrom": {"secretKeyRef": {"name": ref.name, "key": ref.key}}}


def failure(job: JobFacts) -> str:
    """Why a Job failed, in one sentence."""
    if job.reason == "DeadlineExceeded":
        return "the pod ran longer than maxDuration"
    return job.message or job.reason or "the pod failed without a message"
