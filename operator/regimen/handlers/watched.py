"""Whether every watch still hears. A watch that died answers nothing and says nothing (kopf #1276), so silence is compared with a LIST.

Each resync lists every kind; a version of an object that the list has and the watch has not brought within a grace period
means that the watch is deaf. The passes go on meanwhile, by the resync; liveness fails, and kubelet starts us anew.
"""

import threading
import time
from collections.abc import Callable, Iterable

GRACE_SECONDS = 60.0


class Hearing:
    """What the watches brought, against what lists show."""

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        self._clock = clock
        self._heard: dict[str, str] = {}
        self._missing: dict[tuple[str, str], tuple[str, float]] = {}
        self._lock = threading.Lock()

    def hear(self, uid: str, version: str) -> None:
        """A watch brought this object's resourceVersion. That it brings anything at all says that it lives."""
        with self._lock:
            if self._heard.get(uid) != version:
                self._missing = {key: since for key, since in self._missing.items() if key[1] != uid}
            self._heard[uid] = version

    def compare(self, kind: str, listed: Iterable[tuple[str, str]]) -> None:
        """A list shows these (uid, resourceVersion) of a kind."""
        with self._lock:
            present = dict(listed)
            for uid, version in present.items():
                if self._heard.get(uid) == version:
                    self._missing.pop((kind, uid), None)
                elif self._missing.get((kind, uid), ("", 0.0))[0] != version:
                    self._missing.setdefault((kind, uid), (version, self._clock()))
            for key in [key for key in self._missing if key[0] == kind and key[1] not in present]:
                del self._missing[key]

    def deaf(self) -> list[str]:
        """Kinds whose watch has missed something for longer than the grace period."""
        with self._lock:
            late = self._clock() - GRACE_SECONDS
            return sorted({kind for (kind, _), (_, since) in self._missing.items() if since < late})
