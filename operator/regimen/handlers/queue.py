"""Keys of resources that want a pass: each at most once in the queue, never twice at a time, again later if it failed.

Resources of one group (a service with its rollouts) take turns, so that nobody scales the same Deployments at once.
"""

import logging
import threading
import time
from collections.abc import Callable
from typing import NamedTuple

from prometheus_client import Counter, Gauge, Histogram

from regimen.errors import RegimenError
from regimen.store import StoreError

log = logging.getLogger(__name__)
PASSES = Counter("regimen_reconcile_total", "Passes by kind and outcome.", ["kind", "outcome"])
SECONDS = Histogram("regimen_reconcile_seconds", "Duration of a pass in seconds.", ["kind"])
WAITING = Gauge("regimen_queue_length", "Resources that wait for a pass.")
FIRST_RETRY, LAST_RETRY = 1.0, 60.0
"""Seconds before a failed pass is tried again: doubled each time, up to the last."""


class Key(NamedTuple):
    """A resource."""

    kind: str
    namespace: str
    name: str


class WorkQueue:
    """Runs `work(key)`, which returns seconds until the next pass or None, in a few threads."""

    def __init__(
        self, work: Callable[[Key], float | None], group: Callable[[Key], str], clock: Callable[[], float] = time.monotonic
    ) -> None:
        self._work = work
        self._group = group
        self._clock = clock
        self._due: dict[Key, float] = {}
        self._failures: dict[Key, int] = {}
        self._busy: set[str] = set()
        self._again: set[Key] = set()
        self._running: dict[Key, str] = {}
        """With the group under which each was taken: what `group` says of a key may change meanwhile."""
        self._changed = threading.Condition()

    def start(self, workers: int) -> None:
        for index in range(workers):
            threading.Thread(target=self._serve, name=f"worker-{index}", daemon=True).start()

    def add(self, key: Key, after: float = 0.0) -> None:
        """Ask for a pass no later than `after` seconds from now."""
        with self._changed:
            if key in self._running and after == 0:
                self._again.add(key)
                return
            due = self._clock() + after
            self._due[key] = min(due, self._due.get(key, due))
            WAITING.set(len(self._due))
            self._changed.notify()

    def _serve(self) -> None:
        while True:
            key = self._take()
            after = self._pass(key)
            self._done(key, after)

    def _take(self) -> Key:
        with self._changed:
            while True:
                now = self._clock()
                ready = [(due, key) for key, due in self._due.items() if self._group(key) not in self._busy]
                due, key = min(ready, default=(now + 3600, None))
                if key is not None and due <= now:
                    del self._due[key]
                    WAITING.set(len(self._due))
                    group = self._running[key] = self._group(key)
                    self._busy.add(group)
                    return key
                self._changed.wait(timeout=max(0.01, due - now))

    def _pass(self, key: Key) -> float | None:
        started = self._clock()
        try:
            after = self._work(key)
        except (RegimenError, StoreError) as error:
            failures = self._failures[key] = self._failures.get(key, 0) + 1
            log.warning("%s %s/%s: %s", *key, error)
            PASSES.labels(key.kind, "failed").inc()
            return min(LAST_RETRY, FIRST_RETRY * 2.0 ** (failures - 1))
        except Exception:
            # A bug of ours. It must not end the worker; it is counted, shown with its trace, and tried again slowly.
            log.exception("%s %s/%s: a pass broke", *key)
            PASSES.labels(key.kind, "broken").inc()
            return LAST_RETRY
        finally:
            SECONDS.labels(key.kind).observe(self._clock() - started)
        self._failures.pop(key, None)
        PASSES.labels(key.kind, "done").inc()
        return after

    def _done(self, key: Key, after: float | None) -> None:
        with self._changed:
            self._busy.discard(self._running.pop(key))
            asked = key in self._again
            self._again.discard(key)
            self._changed.notify_all()
        if asked:
            self.add(key)
        elif after is not None:
            self.add(key, after)
