"""What Prometheus sees of FineTuneJobs: the figures of their status, for as long as they exist."""

import threading
from collections.abc import Mapping, Sequence
from typing import Any

from prometheus_client import Gauge

from regimen.spec.phases import JobPhase

LABELS = ("namespace", "name")
FIGURES: Mapping[str, Gauge] = {
    "step": Gauge("regimen_finetune_step", "Optimiser steps done, or rows answered, of the running stage.", LABELS),
    "totalSteps": Gauge("regimen_finetune_steps", "Steps of the running stage in all.", LABELS),
    "loss": Gauge("regimen_finetune_loss", "Training loss, last logged.", LABELS),
    "tokensPerSecond": Gauge("regimen_finetune_tokens_per_second", "Training throughput.", LABELS),
}
"""By the name in status.progress."""
PHASE = Gauge("regimen_finetune_phase", "1 for the phase that a FineTuneJob is in.", (*LABELS, "phase"))


class JobMetrics:
    """Follows the FineTuneJobs that the watch and the resync bring, from either's thread."""

    def __init__(self) -> None:
        self._known: set[tuple[str, str]] = set()
        self._lock = threading.Lock()

    def seen(self, obj: Mapping[str, Any]) -> None:
        """A job as it is now. A figure that its status does not have (any more) is not shown."""
        key = (str(obj["metadata"]["namespace"]), str(obj["metadata"]["name"]))
        status = obj.get("status") or {}
        progress = status.get("progress") or {}
        with self._lock:
            self._known.add(key)
            for name, gauge in FIGURES.items():
                if progress.get(name) is None:
                    gauge.remove(*key)
                else:
                    gauge.labels(*key).set(float(progress[name]))
            for phase in JobPhase:
                if phase == status.get("phase"):
                    PHASE.labels(*key, phase).set(1)
                else:
                    PHASE.remove(*key, phase)

    def gone(self, namespace: str, name: str) -> None:
        """A job was deleted."""
        with self._lock:
            self._known.discard((namespace, name))
            for gauge in FIGURES.values():
                gauge.remove(namespace, name)
            for phase in JobPhase:
                PHASE.remove(namespace, name, phase)

    def all(self, objects: Sequence[Mapping[str, Any]]) -> None:
        """Every job there is: makes up for what the watch missed, deletions among it."""
        for obj in objects:
            self.seen(obj)
        existing = {(str(obj["metadata"]["namespace"]), str(obj["metadata"]["name"])) for obj in objects}
        with self._lock:
            missing = self._known - existing
        for key in missing:
            self.gone(*key)
