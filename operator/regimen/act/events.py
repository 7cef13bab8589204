"""Kubernetes Events, one for each thing worth saying: the same words again only raise the count."""

import logging
from hashlib import sha256

from regimen.act.cluster import Cluster
from regimen.errors import ClusterError
from regimen.plan.actions import Event
from regimen.plan.common import Owner
from regimen.spec.meta import API_VERSION

log = logging.getLogger(__name__)


def emit(cluster: Cluster, owner: Owner, events: tuple[Event, ...], now_iso: str) -> None:
    """Write events. An event that cannot be written is logged: it never holds the work up."""
    for event in events:
        try:
            _emit(cluster, owner, event, now_iso)
        except ClusterError as error:
            log.warning("event %s of %s %s was not written: %s", event.reason, owner.kind, owner.path, error)


def _emit(cluster: Cluster, owner: Owner, event: Event, now_iso: str) -> None:
    key = sha256(f"{owner.uid}{event.reason}{event.message}".encode()).hexdigest()[:16]
    name = f"{owner.name}.{key}"
    found = cluster.get("Event", owner.namespace, name)
    if found is not None:
        return
    cluster.create(
        {
            "apiVersion": "v1", "kind": "Event", "metadata": {"name": name, "namespace": owner.namespace},
            "involvedObject": {
                "apiVersion": API_VERSION, "kind": owner.kind, "name": owner.name, "namespace": owner.namespace, "uid": owner.uid,
            },
            "reason": event.reason, "message": event.message[:1024], "type": "Warning" if event.warning else "Normal",
            "source": {"component": "regimen"}, "firstTimestamp": now_iso, "lastTimestamp": now_iso, "count": 1,
        }
    )  # fmt: skip
