"""Folders of verified files: the cache on a node, and the models that `download_base_models` keeps.

    <cache>/weights/<digest12>/…           the files, each renamed into place once its digest is right
    <cache>/weights/<digest12>/.complete   written last: digest, size and time of change of every file
    <cache>/weights/<digest12>.lock        held while files are fetched, so that two pods fetch once; the kernel lets go of a dead pod's

Nothing is ever evicted: a cache holds as many bases as the business trains from, and a person may remove a folder at any time.
"""

import fcntl
import json
import os
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from hashlib import file_digest
from pathlib import Path

from regimen.spec.artifacts import content_digest
from regimen_trainer.logs import log

COMPLETE = ".complete"


@dataclass(frozen=True)
class Kept:
    """What is remembered of a verified file."""

    sha256: str
    bytes: int
    changed: int
    """Nanoseconds since the epoch; a file changed since is read again before it is believed."""


def sha256_of(path: Path) -> str:
    """Hex digest of a file, read in pieces."""
    with path.open("rb") as file:
        return file_digest(file, "sha256").hexdigest()


def remembered(folder: Path) -> dict[str, Kept] | None:
    """What the folder's marker says, or None where it is not complete (or where a person wrote into the marker)."""
    try:
        return {name: Kept(**entry) for name, entry in json.loads((folder / COMPLETE).read_text()).items()}
    except (FileNotFoundError, ValueError, TypeError, AttributeError):
        return None


def keep(folder: Path, digests: Mapping[str, str]) -> None:
    """Write the marker, last and at once."""
    stats = {name: (folder / name).stat() for name in digests}
    entries = {name: asdict(Kept(digest, stats[name].st_size, stats[name].st_mtime_ns)) for name, digest in digests.items()}
    partial = folder / f"{COMPLETE}.partial"
    with partial.open("w") as file:
        json.dump(entries, file)
        file.flush()
        os.fsync(file.fileno())
    partial.rename(folder / COMPLETE)


def damaged(folder: Path, marker: Mapping[str, Kept]) -> list[str]:
    """Files that are no longer what was verified. Only those whose size or time of change differs are read."""
    return [name for name, kept in marker.items() if not _unchanged(folder / name, kept)]


def _unchanged(path: Path, kept: Kept) -> bool:
    if not path.is_file():
        return False
    seen = path.stat()
    return seen.st_size == kept.bytes and (seen.st_mtime_ns == kept.changed or sha256_of(path) == kept.sha256)


@contextmanager
def locked(path: Path) -> Iterator[None]:
    """Only one holder at a time, over all pods of the node; waits. Raises OSError where the file system knows no locks."""
    with path.open("a") as file:
        fcntl.flock(file, fcntl.LOCK_EX)
        yield


def cached(cache: Path, digest: str, names: Callable[[], Sequence[str]], fetch: Callable[[str, Path], str]) -> Path | None:
    """The folder with the files of that digest, fetched unless they are there whole. None where what is fetched has another digest.

    `names` says which files there are; `fetch(name, path)` puts one there, whole, and returns its hex digest. Both are called only where
    something is missing. Raises OSError where the cache cannot be used.
    """
    entry = cache / "weights" / digest.removeprefix("sha256:")[:12]
    entry.parent.mkdir(parents=True, exist_ok=True)
    if _intact(entry, digest):
        return entry
    with locked(entry.with_name(f"{entry.name}.lock")):
        if _intact(entry, digest):
            return entry  # another pod was faster
        entry.mkdir(exist_ok=True)
        _drop_damaged(entry)
        for again in (False, True):
            digests = {name: _have(entry / name) or fetch(name, entry / name) for name in names()}
            if content_digest(digests.items()) == digest:
                keep(entry, digests)
                return entry
            for name in digests:  # left over by a pod that was killed, and not what it should be; or the source has changed
                (entry / name).unlink()
            log("cached files have another digest", level="warning", digest=digest, fetched_again=not again)
        return None


def _intact(entry: Path, digest: str) -> bool:
    marker = remembered(entry)
    if marker is None or content_digest((name, kept.sha256) for name, kept in marker.items()) != digest:
        return False
    return not damaged(entry, marker)


def _drop_damaged(entry: Path) -> None:
    """Remove what is known to be wrong, so that only that is fetched again."""
    marker = remembered(entry)
    if marker is None:
        return
    lost = damaged(entry, marker)
    (entry / COMPLETE).unlink()
    for name in lost:
        (entry / name).unlink(missing_ok=True)
    if lost:
        log("cache is damaged", level="warning", entry=entry.name, files=lost)


def _have(path: Path) -> str | None:
    """Digest of a file that is there already."""
    return sha256_of(path) if path.is_file() else None
