"""Carry out a plan's actions, in order. Each may be repeated; the first that fails ends the pass, and the next pass looks again."""

import logging

from regimen.act.cluster import Cluster, Object
from regimen.plan.actions import Action, Apply, Create, Delete, Manifest, Put, PutOnce, Remove, Scale, SetFinalizer
from regimen.plan.common import FINALIZER, Owner
from regimen.store import Store

log = logging.getLogger(__name__)
DELETION_COST = "controller.kubernetes.io/pod-deletion-cost"


class Performer:
    """Does what plans say."""

    def __init__(self, cluster: Cluster, store: Store) -> None:
        self.cluster = cluster
        self.store = store

    def perform(self, owner: Owner, actions: tuple[Action, ...]) -> None:
        """All actions, in order. Raises ClusterError or StoreError."""
        for action in actions:
            self._perform(owner, action)

    def _perform(self, owner: Owner, action: Action) -> None:
        match action:
            case Apply(manifest):
                self._apply(manifest)
            case Create(manifest):
                if self.cluster.create(manifest):
                    self._log("created", manifest["kind"], manifest["metadata"]["name"], owner)
            case Scale():
                self._scale(owner, action)
            case Delete(kind, namespace, name):
                self.cluster.delete(kind, namespace, name)
                self._log("deleted", kind, name, owner)
            case PutOnce(key, data):
                self.store.put_once(key, data)
            case Put(key, data):
                self.store.put(key, data)
            case Remove(key):
                self.store.delete(key)
                self._log("removed", "object", key, owner)
            case SetFinalizer(present):
                self._finalizer(owner, present)

    def _apply(self, manifest: Manifest) -> None:
        meta = manifest["metadata"]
        if not _replicas_are_ours(manifest):
            self.cluster.apply(manifest)
            return
        live = self.cluster.get(manifest["kind"], meta["namespace"], meta["name"])
        if live is None:
            self.cluster.apply(manifest)
            return
        # Never another number than the live one; the resourceVersion makes a scaling in between win over us.
        seen = {**meta, "resourceVersion": live["metadata"]["resourceVersion"]}
        self.cluster.apply({**manifest, "metadata": seen, "spec": {**manifest["spec"], "replicas": live["spec"].get("replicas", 1)}})

    def _scale(self, owner: Owner, action: Scale) -> None:
        for victim in action.victims:
            self.cluster.patch("Pod", action.namespace, victim, {"metadata": {"annotations": {DELETION_COST: "-1000"}}})
        self.cluster.patch("Deployment", action.namespace, action.deployment, {"spec": {"replicas": action.replicas}}, "scale")
        self._log(f"scaled to {action.replicas}", "Deployment", action.deployment, owner)

    def _finalizer(self, owner: Owner, present: bool) -> None:
        others = [name for name in owner.finalizers if name != FINALIZER]
        patch: Object = {"metadata": {"finalizers": [*others, FINALIZER] if present else others}}
        self.cluster.patch(owner.kind, owner.namespace, owner.name, patch)

    @staticmethod
    def _log(what: str, kind: str, name: str, owner: Owner) -> None:
        log.info("%s %s %s for %s %s", what, kind, name, owner.kind, owner.path)


def _replicas_are_ours(manifest: Manifest) -> bool:
    """A server Deployment's replicas count only when it is created: `Scale` sets them afterwards."""
    labels = manifest["metadata"].get("labels", {})
    return bool(manifest["kind"] == "Deployment" and labels.get("app.kubernetes.io/component") == "server")
