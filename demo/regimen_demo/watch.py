"""What the cluster says while the demo runs: phases as they change, and where each pod ran."""

import threading
import time
from dataclasses import dataclass, field
from typing import Any

from regimen.act.cluster import OUR_KINDS, Cluster
from regimen.act.parts import asked_for
from regimen.errors import ClusterError
from regimen_demo.install import NAMESPACE
from regimen_demo.target import DemoError

Object = dict[str, Any]


@dataclass
class Seen:
    """The latest state, and the story so far."""

    objects: dict[tuple[str, str], Object] = field(default_factory=dict)
    story: list[tuple[float, str, str, str]] = field(default_factory=list)
    """(seconds since the start, kind, name, phase)"""
    places: dict[str, tuple[str, int]] = field(default_factory=dict)
    """Pod: (node, slices of the card)."""


class Watch:
    """Looks every second, from a thread of its own."""

    def __init__(self, cluster: Cluster, started: float) -> None:
        self.seen = Seen()
        self._cluster = cluster
        self._started = started
        self._phases: dict[tuple[str, str], str] = {}
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._work, name="watch", daemon=True)

    def start(self) -> None:
        self._thread.start()

    def close(self) -> None:
        self._stop.set()
        if self._thread.ident is not None:
            self._thread.join(timeout=30)

    def _work(self) -> None:
        while not self._stop.wait(1.0):
            try:
                self._look()
            except ClusterError as error:
                self.seen.story.append((self._since(), "watch", "API server", str(error)[:80]))

    def _look(self) -> None:
        for kind in OUR_KINDS:
            for obj in self._cluster.items(kind, NAMESPACE):
                key = (kind, obj["metadata"]["name"])
                self.seen.objects[key] = obj
                phase = str(obj.get("status", {}).get("phase", ""))
                if phase and self._phases.get(key) != phase:
                    self._phases[key] = phase
                    self.seen.story.append((self._since(), kind, key[1], phase))
        for pod in self._cluster.items("Pod", NAMESPACE):
            if node := pod["spec"].get("nodeName"):
                self.seen.places[pod["metadata"]["name"]] = (node, asked_for(pod, "nvidia.com/gpu"))

    def _since(self) -> float:
        return time.monotonic() - self._started

    def status(self, kind: str, name: str) -> Object:
        status: Object = self.seen.objects.get((kind, name), {}).get("status", {})
        return status

    def until(self, kind: str, name: str, good: set[str], bad: set[str], seconds: float) -> str:
        """Wait for one of `good`. Raises DemoError with the resource's own message for one of `bad`, or after `seconds`."""
        deadline = time.monotonic() + seconds
        while time.monotonic() < deadline:
            status = self.status(kind, name)
            phase = str(status.get("phase", ""))
            if phase in good:
                return phase
            if phase in bad:
                raise DemoError(f"{kind} {name} is {phase}: {status.get('message', '')}")
            time.sleep(0.3)
        status = self.status(kind, name)
        raise DemoError(f"{kind} {name} is {status.get('phase')} after {seconds:.0f} s: {status.get('message', '')}")
