"""The GGUF, verified, in the node's cache.

A file that is there is verified anew at every start: reading 5 GB takes 5 to 20 seconds from a local disk, less from the page cache,
and warms that cache for llama-server, which reads the same bytes next. Files go only where the disk is too full for another, and only those that
the operator, which knows what serves and what served before, does not name as needed.
"""

import fcntl
import logging
import os
import shutil
from collections.abc import Callable, Collection, Iterator
from contextlib import contextmanager, suppress
from hashlib import file_digest
from pathlib import Path

from regimen.store import DigestMismatchError, NotFoundError, Store

LOG = logging.getLogger("regimen.server.fetch")
HEADROOM = 64 * 1024 * 1024


class FetchError(Exception):
    """The GGUF is not in the cache and cannot be brought there."""


class BusyError(Exception):
    """Another process has the lock."""


@contextmanager
def locked(path: Path, wait: bool = True) -> Iterator[None]:
    """One process at a time for one digest, over all pods that share the volume; a process that dies lets go. Raises BusyError, unless it waits."""
    path.parent.mkdir(parents=True, exist_ok=True)
    handle = os.open(path.with_suffix(".lock"), os.O_RDWR | os.O_CREAT, 0o644)
    try:
        try:
            fcntl.flock(handle, fcntl.LOCK_EX if wait else fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError as error:
            raise BusyError(path.name) from error
        yield
    finally:
        os.close(handle)


def sha256_of(path: Path) -> str:
    """Hex digest of a file."""
    with path.open("rb") as file:
        return file_digest(file, "sha256").hexdigest()


def is_verified(path: Path, digest: str) -> bool:
    """Whether the file is there and is what its name says. One that is not is removed: it can only do harm."""
    if not path.exists():
        return False
    if sha256_of(path) == digest:
        path.touch()  # when it was last of use
        return True
    LOG.warning("the cached file is damaged and is fetched again", extra={"fields": {"digest": digest}})
    path.unlink()
    return False


def remove_leftovers(path: Path) -> None:
    """Parts of downloads of this digest that died: whoever holds the lock is the only one to download it."""
    for leftover in path.parent.glob(f".{path.name}.*.partial*"):
        leftover.unlink(missing_ok=True)


def lacks(path: Path, size: int) -> bool:
    """Whether the volume is too full for a file of that size."""
    return shutil.disk_usage(path.parent).free < size + HEADROOM


def make_room(path: Path, size: int, needed: Collection[str]) -> None:
    """Remove files that are not needed, those that were of no use for longest first, until there is room or none is left."""
    others = [other for other in path.parent.glob("*.gguf") if other.stem not in needed and other != path]
    for other in sorted(others, key=lambda other: other.stat().st_mtime):
        if not lacks(path, size):
            return
        with suppress(BusyError), locked(other, wait=False):
            other.unlink(missing_ok=True)
            LOG.info("removed to make room", extra={"fields": {"digest": other.stem}})


def check_space(path: Path, size: int, spared: bool) -> None:
    """Raises FetchError where the volume is too full, before anything is written."""
    if lacks(path, size):
        free = shutil.disk_usage(path.parent).free
        remedy = "enlarge the volume" if spared else "remove versions that neither serve nor served before, or enlarge the volume"
        raise FetchError(f"the cache has {free / 2**30:.1f} GiB free and the GGUF needs {size / 2**30:.1f} GiB: {remedy}")


def fetch(uri: str, digest: str, path: Path, store: Callable[[], Store], needed: Collection[str] | None = None) -> bool:
    """Bring the file to `path`. True if it had to be downloaded; the store is asked for only then. Raises FetchError, StoreError.

    Where the volume is too full, files that are not `needed` make room; None: all are.
    """
    with locked(path):
        if is_verified(path, digest):
            LOG.info("verified in the cache; the bucket is not needed", extra={"fields": {"digest": digest}})
            return False
        remove_leftovers(path)
        bucket = store()
        size = bucket.size(uri)
        if size is None:
            raise NotFoundError(f"{uri}: not found")
        if needed is not None:
            make_room(path, size, needed)
        check_space(path, size, needed is not None)
        try:
            bucket.download(uri, path, digest)
        except DigestMismatchError as error:
            raise FetchError(f"{error}; the object in the bucket is not what was judged") from error
        except OSError as error:
            raise FetchError(f"the cache cannot be written: {error.strerror or error}") from error
        LOG.info("fetched", extra={"fields": {"digest": digest, "bytes": size}})
        return True
