"""What is known of each row already, kept in the bucket as it comes: an evaluation that is killed goes on where it was.

Lines of JSON by row id, in objects that are named after their content and never overwritten: two attempts at once spoil nothing.
"""

import json
import time
from collections.abc import Callable, Mapping
from hashlib import sha256
from typing import Any

from regimen.store import Store

SECONDS = 10.0
"""What a kill costs at most."""


class Ledger:
    """Entries under one prefix of the bucket. No texts of rows or answers belong here (law 8)."""

    def __init__(self, store: Store, prefix: str, now: Callable[[], float] = time.monotonic) -> None:
        self._store, self._prefix, self._now = store, prefix, now
        self._new: list[str] = []
        self._written = now()
        self.entries: dict[str, dict[str, Any]] = {}
        for key in store.keys(prefix):
            for line in store.get(key).decode().splitlines():
                entry = json.loads(line)
                self.entries.setdefault(entry["id"], entry)

    def add(self, entry: Mapping[str, Any]) -> None:
        """Take in what was found of a row; written with others every few seconds."""
        self.entries[entry["id"]] = dict(entry)
        self._new.append(json.dumps(entry, sort_keys=True))
        if self._now() - self._written >= SECONDS:
            self.flush()

    def flush(self) -> None:
        """Write what is not written yet."""
        if self._new:
            data = "".join(f"{line}\n" for line in self._new).encode()
            self._store.put(f"{self._prefix}{sha256(data).hexdigest()[:12]}.jsonl", data)
        self._new, self._written = [], self._now()
