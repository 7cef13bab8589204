"""From events to passes. Every event, of ours or of what we own, asks for the same pass; the resync asks for all of them."""

import logging
import threading
from collections.abc import Mapping
from typing import Any

import kopf

from regimen.act.cluster import KINDS, OUR_KINDS, Cluster
from regimen.act.reconcile import Reconciler
from regimen.errors import ClusterError
from regimen.handlers.metrics import JobMetrics
from regimen.handlers.queue import Key, WorkQueue
from regimen.handlers.watched import Hearing
from regimen.spec.meta import GROUP, VERSION

log = logging.getLogger(__name__)
DEPENDENTS: Mapping[str, tuple[str, ...]] = {
    "TrainingDataset": ("FineTuneJob", "RetrainSchedule"),
    "ModelVersion": ("FineTuneJob", "ModelService", "ModelRollout"),
    "FineTuneJob": ("RetrainSchedule", "ModelService"),
    "ModelService": ("ModelRollout", "FineTuneJob"),
    "ModelRollout": ("ModelService", "RetrainSchedule", "FineTuneJob"),
    "RetrainSchedule": (),
}
"""Kinds whose passes look at a kind: they get one, too, when it changes."""
MANAGED = {"app.kubernetes.io/managed-by": "regimen"}


class Operator:
    """Owns the queue; `watch` registers kopf's handlers."""

    def __init__(self, cluster: Cluster, reconciler: Reconciler, resync_seconds: float) -> None:
        self.cluster = cluster
        self.hearing = Hearing()
        self.metrics = JobMetrics()
        self._resync_seconds = resync_seconds
        self._services: dict[Key, str] = {}
        self._known: dict[Key, str] = {}
        self.queue = WorkQueue(lambda key: reconciler.reconcile(*key), self._group)

    def start(self) -> None:
        """Begin to work: only once this operator is in charge."""
        self.queue.start(workers=4)
        threading.Thread(target=self._resync_forever, name="resync", daemon=True).start()

    def _resync_forever(self) -> None:
        pause = threading.Event()
        while True:
            try:
                self.resync()
            except ClusterError as error:
                log.warning("resync: %s", error)
            pause.wait(self._resync_seconds)

    def resync(self) -> None:
        """List every kind, ask for a pass of each resource that is new to us, compare with what the watches brought.

        Those that we know have their next pass in the queue already.
        """
        for kind in OUR_KINDS:
            objects = self.cluster.items(kind)
            self.hearing.compare(kind, [(obj["metadata"]["uid"], obj["metadata"]["resourceVersion"]) for obj in objects])
            if kind == "FineTuneJob":
                self.metrics.all(objects)
            for obj in objects:
                meta = obj["metadata"]
                key = Key(kind, meta["namespace"], meta["name"])
                if self._known.get(key) != meta["resourceVersion"]:
                    self._remember(key, obj)
                    self.queue.add(key)

    def changed(self, kind: str, obj: Mapping[str, Any], deleted: bool) -> None:
        """A resource of ours changed."""
        meta = obj["metadata"]
        key = Key(kind, meta["namespace"], meta["name"])
        self.hearing.hear(meta["uid"], meta["resourceVersion"])
        self._remember(key, obj)
        if deleted:
            self._known.pop(key, None)
        if kind == "FineTuneJob" and deleted:
            self.metrics.gone(key.namespace, key.name)
        elif kind == "FineTuneJob":
            self.metrics.seen(obj)
        self.queue.add(key)
        for other in [known for known in list(self._known) if known.namespace == key.namespace and known.kind in DEPENDENTS[kind]]:
            self.queue.add(other, after=0.05)

    def owned_changed(self, obj: Mapping[str, Any]) -> None:
        """Something that we made changed: its owner gets a pass; pods say by their labels whose they are."""
        meta = obj["metadata"]
        for ref in meta.get("ownerReferences", []):
            if ref.get("kind") in OUR_KINDS:
                self.queue.add(Key(ref["kind"], meta["namespace"], ref["name"]))
        service = meta.get("labels", {}).get(f"{GROUP}/service")
        if service:
            self.queue.add(Key("ModelService", meta["namespace"], service), after=0.05)
            for key in [known for known, name in list(self._services.items()) if name == service and known.namespace == meta["namespace"]]:
                self.queue.add(key, after=0.05)
        owner = meta.get("labels", {}).get(f"{GROUP}/owner")
        if owner:
            for key in [known for known in list(self._known) if known.kind in {"FineTuneJob", "TrainingDataset", "ModelVersion"}]:
                if key.namespace == meta["namespace"]:
                    self.queue.add(key, after=0.1)

    def _remember(self, key: Key, obj: Mapping[str, Any]) -> None:
        self._known[key] = obj["metadata"]["resourceVersion"]
        if key.kind == "ModelRollout":
            self._services[key] = str(obj.get("spec", {}).get("serviceRef", {}).get("name", ""))

    def _group(self, key: Key) -> str:
        """A service and its rollouts take turns; anything else is alone."""
        if key.kind == "ModelRollout" and key in self._services:
            return f"{key.namespace}/{self._services[key]}"
        return f"{key.namespace}/{key.name}" if key.kind == "ModelService" else "/".join(key)

    def watch(self, registry: kopf.OperatorRegistry) -> None:
        """kopf watches; nothing of its own is written into any resource."""
        for kind in OUR_KINDS:
            self._watch_ours(registry, kind)
        for group, version, plural in (("batch", "v1", "jobs"), ("apps", "v1", "deployments"), ("", "v1", "pods")):
            self._watch_owned(registry, group, version, plural)

    def _watch_ours(self, registry: kopf.OperatorRegistry, kind: str) -> None:
        @kopf.on.event(GROUP, VERSION, KINDS[kind].plural, registry=registry, id=f"watch-{kind}")
        def on_change(type: str | None, body: kopf.Body, **_: Any) -> None:
            self.changed(kind, dict(body), deleted=type == "DELETED")

    def _watch_owned(self, registry: kopf.OperatorRegistry, group: str, version: str, plural: str) -> None:
        @kopf.on.event(group, version, plural, labels=MANAGED, registry=registry, id=f"watch-{plural}")
        def on_owned_change(body: kopf.Body, **_: Any) -> None:
            self.owned_changed(dict(body))
