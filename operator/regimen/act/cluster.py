"""The Kubernetes API as plain objects, by the official client: one table of kinds, one way to call, errors translated once."""

import json
import os
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import Any, NamedTuple

from kubernetes import client, config
from kubernetes.client.exceptions import ApiException
from urllib3.exceptions import HTTPError

from regimen.errors import ClusterUnavailableError, ConfigurationError, ConflictError, RefusedError
from regimen.spec.meta import API_VERSION

Object = dict[str, Any]
MANAGER = "regimen"
JSON_TYPES = frozenset({"application/json", "application/merge-patch+json"})
TIMEOUT = (5.0, 30.0)
"""Seconds to connect and to read."""


class Kind(NamedTuple):
    """Where a kind lives in the API."""

    api_version: str
    plural: str


KINDS: Mapping[str, Kind] = {
    "TrainingDataset": Kind(API_VERSION, "trainingdatasets"),
    "ModelVersion": Kind(API_VERSION, "modelversions"),
    "FineTuneJob": Kind(API_VERSION, "finetunejobs"),
    "ModelService": Kind(API_VERSION, "modelservices"),
    "ModelRollout": Kind(API_VERSION, "modelrollouts"),
    "RetrainSchedule": Kind(API_VERSION, "retrainschedules"),
    "Job": Kind("batch/v1", "jobs"),
    "Deployment": Kind("apps/v1", "deployments"),
    "ControllerRevision": Kind("apps/v1", "controllerrevisions"),
    "Pod": Kind("v1", "pods"),
    "Service": Kind("v1", "services"),
    "ConfigMap": Kind("v1", "configmaps"),
    "Secret": Kind("v1", "secrets"),
    "ServiceAccount": Kind("v1", "serviceaccounts"),
    "PersistentVolumeClaim": Kind("v1", "persistentvolumeclaims"),
    "Node": Kind("v1", "nodes"),
    "Event": Kind("v1", "events"),
    "PodDisruptionBudget": Kind("policy/v1", "poddisruptionbudgets"),
    "Role": Kind("rbac.authorization.k8s.io/v1", "roles"),
    "RoleBinding": Kind("rbac.authorization.k8s.io/v1", "rolebindings"),
}
OUR_KINDS = tuple(name for name, kind in KINDS.items() if kind.api_version == API_VERSION)


@contextmanager
def _translated(what: str) -> Iterator[None]:
    try:
        yield
    except ApiException as error:
        reason = _reason(error)
        if error.status == 409:
            raise ConflictError(f"{what}: {reason}") from error
        if error.status in {400, 403, 405, 422}:
            raise RefusedError(f"{what}: {reason}") from error
        raise ClusterUnavailableError(f"{what}: {error.status} {reason}") from error
    except (HTTPError, OSError) as error:
        raise ClusterUnavailableError(f"{what}: {type(error).__name__}") from error


def _reason(error: ApiException) -> str:
    try:
        return str(json.loads(error.body or "{}").get("message") or error.reason)
    except ValueError:
        return str(error.reason)


def load_config() -> client.ApiClient:
    """In a pod by its ServiceAccount, elsewhere by KUBECONFIG."""
    try:
        config.load_incluster_config()
    except config.ConfigException:
        config.load_kube_config()
    return client.ApiClient()


def connect(context: str | None) -> "tuple[Cluster, str]":
    """By the user's kubeconfig, with the namespace that its context names. Raises ConfigurationError."""
    # Said each time: the client reads KUBECONFIG when it is imported.
    file = os.environ.get("KUBECONFIG") or None
    try:
        contexts, active = config.list_kube_config_contexts(file)
        chosen = active if context is None else next((item for item in contexts if item["name"] == context), None)
        if chosen is None:
            names = ", ".join(sorted(str(item["name"]) for item in contexts))
            raise ConfigurationError(f"the kubeconfig has no context {context}; it has {names}")
        api = config.new_client_from_config(file, context=chosen["name"])
    except config.ConfigException as error:
        raise ConfigurationError(f"no cluster: {error}; set KUBECONFIG") from error
    return Cluster(api), str(chosen["context"].get("namespace") or "default")


class Cluster:
    """Get, list, apply, create, patch and delete; every call is bounded in time and may be repeated."""

    def __init__(self, api: client.ApiClient) -> None:
        self.api = api

    def get(self, kind: str, namespace: str | None, name: str) -> Object | None:
        """The object, or None where there is none."""
        return self._call("GET", _path(kind, namespace, name), missing_ok=True)

    def items(self, kind: str, namespace: str | None = None, selector: str = "", fields: str = "") -> list[Object]:
        """All objects of a kind, in one namespace or in all."""
        query = [("labelSelector", selector)] if selector else []
        query += [("fieldSelector", fields)] if fields else []
        answer = self._call("GET", _path(kind, namespace), query=query)
        return list((answer or {}).get("items") or [])

    def create(self, manifest: Object) -> bool:
        """Create; False where an object of that name exists."""
        try:
            self._call("POST", _path(manifest["kind"], manifest["metadata"].get("namespace")), manifest)
        except ConflictError:
            return False
        return True

    def apply(self, manifest: Object) -> None:
        """Server-side apply with our field manager, over other managers' objections."""
        meta = manifest["metadata"]
        query = [("fieldManager", MANAGER), ("force", "true")]
        self._call("PATCH", _path(manifest["kind"], meta.get("namespace"), meta["name"]), manifest, query, "application/apply-patch+yaml")

    def patch(self, kind: str, namespace: str, name: str, patch: Object, subresource: str = "") -> bool:
        """JSON merge patch; False where the object is gone."""
        path = _path(kind, namespace, name) + (f"/{subresource}" if subresource else "")
        answer = self._call("PATCH", path, patch, content_type="application/merge-patch+json", missing_ok=True)
        return answer is not None

    def delete(self, kind: str, namespace: str, name: str) -> None:
        """Delete if it is there, dependents in the background."""
        body = {"propagationPolicy": "Background"}
        self._call("DELETE", _path(kind, namespace, name), body, missing_ok=True)

    def _call(
        self,
        method: str,
        path: str,
        body: Object | None = None,
        query: list[tuple[str, str]] | None = None,
        content_type: str = "application/json",
        missing_ok: bool = False,
    ) -> Object | None:
        headers = {"Accept": "application/json", "Content-Type": content_type}
        # Other content types than JSON are sent as they are; JSON is YAML, too.
        content = body if body is None or content_type in JSON_TYPES else json.dumps(body)
        with _translated(f"{method} {path}"):
            request = self.api.param_serialize(
                method, path, query_params=query or [], header_params=headers, body=content, auth_settings=["BearerToken"]
            )
            response = self.api.call_api(*request, _request_timeout=TIMEOUT)
            data = response.read()
            if response.status == 404 and missing_ok:
                return None
            if not 200 <= response.status < 300:
                raise ApiException(status=response.status, reason=response.reason, body=data.decode(errors="replace"))
            answer: Object = json.loads(data)
            return answer


def _path(kind: str, namespace: str | None, name: str | None = None) -> str:
    where = KINDS[kind]
    root = "/api/" if "/" not in where.api_version else "/apis/"
    parts = [root.rstrip("/"), where.api_version]
    parts += ["namespaces", namespace] if namespace else []
    parts.append(where.plural)
    parts += [name] if name else []
    return "/".join(parts)
