"""Manifests of a service's routers, and the one document that says what they route."""

import hmac
from hashlib import sha256

from regimen.plan.actions import Manifest
from regimen.plan.common import MANAGED, Owner, Settings, container_security, encoded, pod_security
from regimen.spec.meta import GROUP, parse_duration
from regimen.spec.routing import Routing
from regimen.spec.service import ModelServiceSpec


def router_name(service: str) -> str:
    return f"{service}-router"


def routing_name(service: str) -> str:
    return f"{service}-routing"


def service_key(settings: Settings, owner: Owner) -> str:
    """The service's signing key in hex, derived from the master key, so that the feedback service can derive it too."""
    return hmac.new(bytes.fromhex(settings.signing_key), owner.path.encode(), sha256).hexdigest()


def subject_salt(settings: Settings, owner: Owner, epoch: str) -> str:
    """Key part of the subjects' hash under one rollout: nobody can choose an arm, and no two rollouts split alike."""
    return hmac.new(bytes.fromhex(settings.signing_key), f"{owner.path}/{epoch}".encode(), sha256).hexdigest()[:32]


def routing_map(owner: Owner, routing: Routing) -> Manifest:
    return {
        "apiVersion": "v1", "kind": "ConfigMap", "metadata": _meta(owner, routing_name(owner.name)),
        "data": {"routing.json": routing.model_dump_json(by_alias=True)},
    }  # fmt: skip


def router_manifests(owner: Owner, spec: ModelServiceSpec, settings: Settings) -> list[Manifest]:
    """Everything that a service's routers need, but the routing itself."""
    name = router_name(owner.name)
    labels = {f"{GROUP}/router": owner.name}
    data = encoded({"signing-key": service_key(settings, owner)})
    secret = {"apiVersion": "v1", "kind": "Secret", "metadata": _meta(owner, name), "data": data}
    service = {
        "apiVersion": "v1", "kind": "Service", "metadata": _meta(owner, owner.name),
        "spec": {"selector": labels, "ports": [{"name": "http", "port": 80, "targetPort": 8080}]},
    }  # fmt: skip
    budget = {
        "apiVersion": "policy/v1", "kind": "PodDisruptionBudget", "metadata": _meta(owner, name),
        "spec": {"maxUnavailable": 1, "unhealthyPodEvictionPolicy": "AlwaysAllow", "selector": {"matchLabels": labels}},
    }  # fmt: skip
    return [
        secret,
        *_access(owner, name),
        service,
        budget,
        _deployment(owner, spec, settings, name, labels),
        server_budget(owner, spec),
    ]


def server_budget(owner: Owner, spec: ModelServiceSpec) -> Manifest:
    """minAvailable over both arms, for evictions; exchanges keep it by themselves. Never the last of several; a single one may go."""
    least = max(spec.min_available, 1 if spec.replicas > 1 else 0)
    selector = {f"{GROUP}/service": owner.name, "app.kubernetes.io/component": "server"}
    return {
        "apiVersion": "policy/v1", "kind": "PodDisruptionBudget", "metadata": _meta(owner, f"{owner.name}-servers"),
        # One that does not answer keeps nobody from draining its node.
        "spec": {"minAvailable": least, "unhealthyPodEvictionPolicy": "AlwaysAllow", "selector": {"matchLabels": selector}},
    }  # fmt: skip


def _access(owner: Owner, name: str) -> list[Manifest]:
    rules = [
        {"apiGroups": [""], "resources": ["configmaps"], "verbs": ["get", "list", "watch"]},
        {"apiGroups": ["discovery.k8s.io"], "resources": ["endpointslices"], "verbs": ["get", "list", "watch"]},
    ]
    role_ref = {"apiGroup": "rbac.authorization.k8s.io", "kind": "Role", "name": name}
    subject = {"kind": "ServiceAccount", "name": name, "namespace": owner.namespace}
    return [
        {"apiVersion": "v1", "kind": "ServiceAccount", "metadata": _meta(owner, name)},
        {"apiVersion": "rbac.authorization.k8s.io/v1", "kind": "Role", "metadata": _meta(owner, name), "rules": rules},
        {
            "apiVersion": "rbac.authorization.k8s.io/v1", "kind": "RoleBinding", "metadata": _meta(owner, name),
            "roleRef": role_ref, "subjects": [subject],
        },
    ]  # fmt: skip


def _deployment(owner: Owner, spec: ModelServiceSpec, settings: Settings, name: str, labels: dict[str, str]) -> Manifest:
    return {
        "apiVersion": "apps/v1", "kind": "Deployment", "metadata": _meta(owner, name, {"app.kubernetes.io/component": "router"}),
        "spec": {
            "replicas": spec.router.replicas,
            "selector": {"matchLabels": labels},
            "strategy": {"type": "RollingUpdate", "rollingUpdate": {"maxSurge": 1, "maxUnavailable": 0}},
            "template": {"metadata": {"labels": {**MANAGED, **labels}}, "spec": _pod(owner, spec, settings, name)},
        },
    }  # fmt: skip


def _pod(owner: Owner, spec: ModelServiceSpec, settings: Settings, name: str) -> Manifest:
    values = {
        "SERVICE_NAMESPACE": owner.namespace, "SERVICE_NAME": owner.name, "SUBJECT_HEADER": spec.router.subject_header,
        "FEEDBACK_URL": settings.feedback_url, "DECIDES_LABEL": str(spec.decides_label).lower(),
        "DRAIN_TIMEOUT": str(parse_duration(spec.router.drain_timeout)),
        "REVIEW_URL_TEMPLATE": spec.feedback.review_url_template or "",
    }  # fmt: skip
    env: list[Manifest] = [{"name": key, "value": value} for key, value in values.items()]
    env.append({"name": "SIGNING_KEY", "valueFrom": {"secretKeyRef": {"name": name, "key": "signing-key"}}})
    env.append({"name": "POD_NAME", "valueFrom": {"fieldRef": {"fieldPath": "metadata.name"}}})
    common: Manifest = {
        "image": settings.router_image, "imagePullPolicy": settings.pull_policy, "env": env,
        "securityContext": container_security(),
        "volumeMounts": [{"name": "run", "mountPath": "/run/regimen"}, {"name": "tmp", "mountPath": "/tmp"}],
    }  # fmt: skip
    ready = {"httpGet": {"path": "/readyz", "port": 9100}, "periodSeconds": 2, "failureThreshold": 2}
    alive = {"httpGet": {"path": "/healthz", "port": 9100}, "periodSeconds": 10, "failureThreshold": 6}
    return {
        "serviceAccountName": name,
        "enableServiceLinks": False,
        "securityContext": pod_security(),
        "terminationGracePeriodSeconds": parse_duration(spec.router.drain_timeout) + 60,
        "volumes": [{"name": "run", "emptyDir": {}}, {"name": "tmp", "emptyDir": {}}],
        "containers": [
            {
                **common, "name": "haproxy", "args": ["haproxy"], "ports": [{"name": "http", "containerPort": 8080}],
                # HAProxy drops its connections on SIGTERM; this asks it to finish them first.
                "lifecycle": {"preStop": {"exec": {"command": ["regimen-router", "drain"]}}},
            },
            {
                **common, "name": "large", "args": ["large"],
                "lifecycle": {"preStop": {"exec": {"command": ["regimen-router", "drain"]}}},
            },
            {
                **common, "name": "agent", "args": ["agent"], "ports": [{"name": "agent", "containerPort": 9100}],
                "readinessProbe": ready, "livenessProbe": alive,
            },
        ],
    }  # fmt: skip


def _meta(owner: Owner, name: str, labels: dict[str, str] | None = None) -> Manifest:
    return {
        "name": name, "namespace": owner.namespace, "labels": {**MANAGED, f"{GROUP}/service": owner.name, **(labels or {})},
        "ownerReferences": [owner.reference()],
    }  # fmt: skip
