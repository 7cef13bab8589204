"""Law 7 in an operator that must not wait for it: the bucket is proven to honour If-None-Match beside all other work.

An operator that starts while the bucket is gone may have a rollback to go on with, which needs no bucket. What it may not do before the
proof is write anything once.
"""

import logging
import threading
import time
from collections.abc import Callable

from regimen.store.s3 import Store, StoreUnavailableError

log = logging.getLogger(__name__)
RETRY_SECONDS = 2.0


class ProvenStore(Store):
    """The same bucket; conditional writes are refused, to be tried again, until `proven`."""

    def __init__(self, store: Store, proven: threading.Event) -> None:
        super().__init__(store._s3, store.bucket)
        self._proven = proven

    def put_once(self, key: str, data: bytes) -> None:
        if not self._proven.is_set():
            raise StoreUnavailableError(f"{key}: the bucket was not proven to honour If-None-Match yet")
        super().put_once(key, data)


def prove(store: Store, proven: threading.Event, sleep: Callable[[float], None] = time.sleep) -> None:
    """Wait for the bucket, prove it, set `proven`. Raises ConditionalWritesUnsupportedError where it is not fit."""
    while True:
        try:
            store.ensure_bucket()
            store.verify_conditional_writes()
        except StoreUnavailableError as error:
            log.warning("waiting for the bucket: %s", error)
            sleep(RETRY_SECONDS)
        else:
            proven.set()
            return
