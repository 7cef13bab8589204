"""Manifests of a served version: its Deployment of llama-server and the headless Service that the routers follow."""

import json
from dataclasses import dataclass

from regimen.plan.actions import Manifest
from regimen.plan.admission import VRAM, ModelSize, serving_bytes
from regimen.plan.common import BUCKET_SECRET, MANAGED, Owner, Settings, canonical_hash, container_security, dns_name, pod_security
from regimen.spec.meta import GROUP, parse_duration
from regimen.spec.service import ModelServiceSpec
from regimen.spec.version import Gguf, ModelVersionSpec

SETTLE_SECONDS = 3
"""How long a stopping pod goes on taking requests, until every router has heard of it."""

TEMPLATE = f"{GROUP}/template"
"""Annotation of a version's Deployment: names its pod template as we wrote it."""

KEYS = f"{GROUP}/api-keys"
"""Annotation of its pods: names the API keys they started with, since llama-server reads them only then."""
KEYS_DIR = "/keys"


@dataclass(frozen=True)
class Known:
    """What was looked up for a version's Deployment."""

    size: ModelSize | None = None
    keys: str | None = None
    """Names the content of the Secret with API keys."""


def deployment_name(service: str, version_ref: str) -> str:
    return dns_name(service, version_ref)


def gguf_for(spec: ModelServiceSpec, version: ModelVersionSpec) -> Gguf | None:
    """The version's file of the service's quantisation."""
    return next((file for file in version.gguf if file.quantization == spec.quantization), None)


def arm_labels(service: str, version_ref: str) -> dict[str, str]:
    return {f"{GROUP}/service": service, f"{GROUP}/version": version_ref, "app.kubernetes.io/component": "server"}


def arm_service(owner: Owner, version_ref: str) -> Manifest:
    """Headless: its EndpointSlices tell the routers which pods of this version are ready."""
    labels = arm_labels(owner.name, version_ref)
    return {
        "apiVersion": "v1", "kind": "Service",
        "metadata": _meta(owner, deployment_name(owner.name, version_ref), labels),
        "spec": {"clusterIP": "None", "selector": labels, "ports": [{"name": "http", "port": 8080, "targetPort": 8080}]},
    }  # fmt: skip


def arm_deployment(
    owner: Owner, spec: ModelServiceSpec, version_ref: str, gguf: Gguf, replicas: int, settings: Settings, known: Known | None = None,
    surge: bool = False,
) -> Manifest:  # fmt: skip
    """llama-server on one version's GGUF. `replicas` counts when it is created; `Scale` alone sets them afterwards.

    A changed template is rolled out by Kubernetes, one replica at a time, each drained by its preStop hook: a new pod needs the old one's
    place first, unless `surge` says that one is free.
    """
    labels = arm_labels(owner.name, version_ref)
    known = known or Known()
    marks = {KEYS: known.keys} if known.keys else {}
    about: Manifest = {"labels": {**MANAGED, **labels}, **({"annotations": marks} if marks else {})}
    template = {"metadata": about, "spec": _pod(owner, spec, version_ref, gguf, settings)}
    each = serving_bytes(spec, known.size)
    notes = {TEMPLATE: canonical_hash(template), **({VRAM: str(each)} if each else {})}
    return {
        "apiVersion": "apps/v1", "kind": "Deployment",
        "metadata": {**_meta(owner, deployment_name(owner.name, version_ref), labels), "annotations": notes},
        "spec": {
            "replicas": replicas,
            "selector": {"matchLabels": labels},
            "revisionHistoryLimit": 2,
            "strategy": {"type": "RollingUpdate", "rollingUpdate": {"maxSurge": int(surge), "maxUnavailable": 1 - int(surge)}},
            "template": template,
        },
    }  # fmt: skip


def cache_volumes(spec: ModelServiceSpec) -> tuple[list[Manifest], list[Manifest]]:
    """Volumes and mounts of a pod that needs the node's files: the cache, and a /tmp, since its own root cannot be written to."""
    claim = spec.cache.claim
    cache: Manifest = {"persistentVolumeClaim": {"claimName": claim}} if claim else {"emptyDir": {}}
    volumes: list[Manifest] = [{"name": "cache", **cache}, {"name": "tmp", "emptyDir": {}}]
    return volumes, [{"name": "cache", "mountPath": "/cache"}, {"name": "tmp", "mountPath": "/tmp"}]


def _pod(owner: Owner, spec: ModelServiceSpec, version_ref: str, gguf: Gguf, settings: Settings) -> Manifest:
    image = spec.engine.image or settings.server_image
    drain = parse_duration(spec.router.drain_timeout)
    volumes, mounts = cache_volumes(spec)
    if spec.router.auth is not None:
        volumes.append({"name": "keys", "secret": {"secretName": spec.router.auth.api_keys_from.secret_ref.name, "defaultMode": 0o440}})
    common: Manifest = {
        "image": image, "imagePullPolicy": settings.pull_policy, "securityContext": container_security(),
        "volumeMounts": mounts,
        "terminationMessagePolicy": "File",
    }  # fmt: skip
    return {
        "automountServiceAccountToken": False,
        "enableServiceLinks": False,
        "securityContext": pod_security(),
        "priorityClassName": settings.serving_priority_class,
        "nodeSelector": dict(spec.placement.node_selector),
        "terminationGracePeriodSeconds": drain + SETTLE_SECONDS + 10,
        "volumes": volumes,
        "topologySpreadConstraints": [
            {
                "maxSkew": 1, "topologyKey": "kubernetes.io/hostname", "whenUnsatisfiable": "ScheduleAnyway",
                "labelSelector": {"matchLabels": {f"{GROUP}/service": owner.name}},
            }
        ],
        "initContainers": [{**common, "name": "fetch", "args": ["fetch"], "env": _env(gguf), "envFrom": _bucket()}],
        "containers": [_with_keys({**common, **_server(spec, version_ref, gguf, drain, settings)}, spec)],
    }  # fmt: skip


def _server(spec: ModelServiceSpec, version_ref: str, gguf: Gguf, drain: int, settings: Settings) -> Manifest:
    engine, placement = spec.engine, spec.placement
    resources = json.loads(json.dumps(settings.server_resources))
    if placement.gpus:
        for section in ("requests", "limits"):
            resources.setdefault(section, {})[placement.gpu_resource] = str(placement.gpus)
    values = {
        "PORT": "8080", "CONTEXT_SIZE": str(engine.context_size), "PARALLEL": str(engine.parallel),
        "GPU_LAYERS": str(engine.gpu_layers if placement.gpus else 0), "MODEL_ALIAS": version_ref,
        "EXTRA_ARGS": json.dumps(engine.extra_args), "DRAIN_TIMEOUT": str(drain), "DRAIN_SETTLE": str(SETTLE_SECONDS),
    }  # fmt: skip
    health = {"httpGet": {"path": "/health", "port": 8080}}
    # Ready only once it has answered a real completion: a file that loads may still answer nothing.
    answers = {"exec": {"command": ["regimen-server", "answers"]}, "timeoutSeconds": 60}
    return {
        "name": "server",
        "args": ["run"],
        "env": _env(gguf) + [{"name": name, "value": value} for name, value in values.items()],
        "ports": [{"name": "http", "containerPort": 8080}],
        "resources": resources,
        "startupProbe": {**answers, "periodSeconds": 2, "failureThreshold": 300},
        "readinessProbe": {**health, "periodSeconds": 2, "failureThreshold": 2},
        "livenessProbe": {**health, "periodSeconds": 10, "timeoutSeconds": 10, "failureThreshold": 6},
        "lifecycle": {"preStop": {"exec": {"command": ["regimen-server", "drain"]}}},
    }


def _with_keys(container: Manifest, spec: ModelServiceSpec) -> Manifest:
    if spec.router.auth is None:
        return container
    mounts = [*container["volumeMounts"], {"name": "keys", "mountPath": KEYS_DIR, "readOnly": True}]
    return {**container, "volumeMounts": mounts, "env": [*container["env"], {"name": "API_KEYS_DIR", "value": KEYS_DIR}]}


def _env(gguf: Gguf) -> list[dict[str, str]]:
    return [
        {"name": "GGUF_URI", "value": gguf.uri}, {"name": "GGUF_SHA256", "value": gguf.sha256}, {"name": "CACHE_DIR", "value": "/cache"},
    ]  # fmt: skip


def _bucket() -> list[Manifest]:
    # Optional: a file that is in the cache already needs no bucket (law 3).
    return [{"secretRef": {"name": BUCKET_SECRET, "optional": True}}]


def _meta(owner: Owner, name: str, labels: dict[str, str]) -> Manifest:
    return {
        "name": name, "namespace": owner.namespace, "labels": {**MANAGED, **labels}, "ownerReferences": [owner.reference()],
    }  # fmt: skip
