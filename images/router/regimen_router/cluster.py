"""What Kubernetes says: the Routing of a ConfigMap and the replicas of EndpointSlices.

Each is listed anew every ten seconds and watched in between, so a watch that dies in silence costs ten seconds and nothing else.
"""

import logging
import threading
from collections.abc import Callable
from pathlib import Path
from typing import Any

from kubernetes import client, watch
from kubernetes.client.exceptions import ApiException
from prometheus_client import Gauge
from pydantic import ValidationError
from urllib3.exceptions import HTTPError

from regimen.spec.routing import Routing
from regimen_router.plan import Desired, Pod
from regimen_router.route import RouteError, assign_slots, route_of

LOG = logging.getLogger("regimen.router.cluster")
RELIST_SECONDS = 10
SERVICE_LABEL = "regimen.dev/service"
VERSION_LABEL = "regimen.dev/version"
UNREADABLE = Gauge(
    "regimen_router_routing_unreadable", "1: the Routing in Kubernetes cannot be carried out, the last good one is in force."
)


def pods_of(endpoint_slice: client.V1EndpointSlice) -> list[Pod]:
    """The replicas of one slice that are ready, or that are leaving and still answer. One that has no version is no replica."""
    version = ((endpoint_slice.metadata and endpoint_slice.metadata.labels) or {}).get(VERSION_LABEL)
    ports = [port.port for port in endpoint_slice.ports or [] if port.port]
    if not version or not ports:
        return []
    found = []
    for endpoint in endpoint_slice.endpoints or []:
        conditions = endpoint.conditions
        leaving = bool(conditions and conditions.terminating)
        ready = not conditions or conditions.ready is not False
        serving = bool(conditions and conditions.serving)
        name = endpoint.target_ref.name if endpoint.target_ref else None
        if name and endpoint.addresses and (serving if leaving else ready):
            found.append(Pod(name, version, f"{endpoint.addresses[0]}:{ports[0]}", leaving))
    return found


def routing_of(config_map: client.V1ConfigMap) -> Routing | None:
    """The Routing in a ConfigMap, or None where it cannot be read or carried out: then the last good one stays in force."""
    return readable((config_map.data or {}).get("routing.json", ""))


def readable(text: str) -> Routing | None:
    """A Routing that HAProxy can be brought to, from its document."""
    try:
        routing = Routing.model_validate_json(text)
        route_of(routing, assign_slots(routing, None))
    except ValidationError as error:
        fields = sorted({".".join(map(str, item["loc"])) or "document" for item in error.errors(include_input=False)})
        LOG.error("routing.json cannot be read", extra={"fields": {"at_fault": fields[:8]}})
    except RouteError as error:
        LOG.error("routing.json cannot be carried out", extra={"fields": {"error": str(error)}})
    else:
        return routing
    return None


class Cluster:
    """Follows both in threads of its own, and calls `changed` whenever something did."""

    def __init__(self, namespace: str, service: str, changed: Callable[[], None], last_good: Path) -> None:
        self._namespace, self._service, self._changed, self._last_good = namespace, service, changed, last_good
        self._lock = threading.Lock()
        self._routing: Routing | None = None
        self._uid: str | None = None
        self._slices: dict[str, client.V1EndpointSlice] | None = None

    def start(self) -> None:
        """Start both threads."""
        core, discovery = client.CoreV1Api(), client.DiscoveryV1Api()
        maps: dict[str, Any] = {"namespace": self._namespace, "field_selector": f"metadata.name={self._service}-routing"}
        slices: dict[str, Any] = {"namespace": self._namespace, "label_selector": f"{SERVICE_LABEL}={self._service}"}
        for call, arguments, keep in (
            (core.list_namespaced_config_map, maps, self.keep_config_maps),
            (discovery.list_namespaced_endpoint_slice, slices, self.keep_slices),
        ):
            threading.Thread(target=self._follow, args=(call, arguments, keep), daemon=True).start()

    def desired(self) -> Desired | None:
        """What shall be, or None before both were read once."""
        with self._lock:
            if self._routing is None or self._slices is None:
                return None
            pods = {pod.name: pod for item in self._slices.values() for pod in pods_of(item)}
            return Desired(self._routing, tuple(pods.values()))

    def keep_config_maps(self, objects: dict[str, client.V1ConfigMap]) -> None:
        """Take the Routing from the one ConfigMap. Without one that is readable, what is known stays; an agent that has just started
        knows what the last one left. A lower generation is old news, unless the ConfigMap was made anew."""
        item = next(iter(objects.values()), None)
        routing, uid = (routing_of(item), item.metadata.uid if item.metadata else None) if item else (None, None)
        UNREADABLE.set(routing is None)
        with self._lock:
            known = self._routing
            if routing and (known is None or uid != self._uid or routing.generation >= known.generation):
                self._routing, self._uid = routing, uid
            elif known is None and self._last_good.exists():
                self._routing = readable(self._last_good.read_text())

    def keep_slices(self, objects: dict[str, client.V1EndpointSlice]) -> None:
        with self._lock:
            self._slices = dict(objects)

    def _follow(self, call: Callable[..., Any], arguments: dict[str, Any], keep: Callable[[dict[str, Any]], None]) -> None:
        """List, watch for ten seconds, and again, for ever."""
        pause = threading.Event()
        while True:
            try:
                self._pass(call, arguments, keep)
            except (ApiException, HTTPError, OSError) as error:
                LOG.warning("Kubernetes cannot be asked", extra={"fields": {"call": call.__name__, "error": type(error).__name__}})
                pause.wait(1)
            except Exception:  # a thread that ended here would leave the router at what it knew last, in silence
                LOG.exception("following failed")
                pause.wait(1)

    def _pass(self, call: Callable[..., Any], arguments: dict[str, Any], keep: Callable[[dict[str, Any]], None]) -> None:
        listed = call(**arguments, _request_timeout=(3, 10))
        objects = {item.metadata.name: item for item in listed.items}
        self._tell(objects, keep)
        events = watch.Watch().stream(
            call,
            **arguments,
            resource_version=listed.metadata.resource_version,
            timeout_seconds=RELIST_SECONDS,
            _request_timeout=(3, RELIST_SECONDS + 5),
        )
        for event in events:
            item = event["object"]
            if event["type"] == "DELETED":
                objects.pop(item.metadata.name, None)
            elif event["type"] in {"ADDED", "MODIFIED"}:
                objects[item.metadata.name] = item
            self._tell(objects, keep)

    def _tell(self, objects: dict[str, Any], keep: Callable[[dict[str, Any]], None]) -> None:
        keep(objects)
        self._changed()
