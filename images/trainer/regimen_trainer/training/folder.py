"""A folder with the bucket's promises, for checkpoints at a desk: written once, complete or absent, verified when read."""

import os
import shutil
from hashlib import file_digest
from pathlib import Path
from uuid import uuid4

from regimen.spec.artifacts import Artifact
from regimen.store import AlreadyExistsError, DigestMismatchError, NotFoundError


class Folder:
    """Keys are paths below the folder, and addresses are keys: the folder may be moved. Raises StoreError as the bucket does."""

    def __init__(self, root: Path) -> None:
        self._root = root.absolute()

    def keys(self, prefix: str) -> list[str]:
        """Keys that begin with prefix, sorted."""
        found = (path.relative_to(self._root).as_posix() for path in self._root.rglob("*") if path.is_file())
        return sorted(key for key in found if key.startswith(prefix) and not key.endswith(".partial"))

    def get(self, key: str) -> bytes:
        try:
            return (self._root / key).read_bytes()
        except FileNotFoundError as error:
            raise NotFoundError(f"{key}: not found") from error

    def put_once(self, key: str, data: bytes) -> None:
        """Write an object that must not exist. Raises AlreadyExistsError."""
        path = self._root / key
        partial = self._partial(path)
        try:
            with partial.open("wb") as file:
                file.write(data)
                os.fsync(file.fileno())
            os.link(partial, path)
        except FileExistsError as error:
            raise AlreadyExistsError(f"{key}: exists already") from error
        finally:
            partial.unlink(missing_ok=True)

    def upload(self, path: Path, key: str, name: str) -> Artifact:
        """Copy a file here; returns it as an Artifact with its digest."""
        target = self._root / key
        self._copy(path, target)
        return Artifact(path=name, uri=key, sha256=_digest(target), bytes=target.stat().st_size)

    def download(self, uri: str, path: Path, digest: str | None = None) -> str:
        """Copy a file from here, verify it, give it its name. Returns the hex digest. Raises DigestMismatchError."""
        source = self._root / uri
        if not source.is_file():
            raise NotFoundError(f"{uri}: not found")
        found = _digest(source)
        if digest is not None and found != digest.removeprefix("sha256:"):
            raise DigestMismatchError(f"{uri}: sha256 is {found}, expected {digest}")
        self._copy(source, path)
        return found

    def delete(self, key: str) -> None:
        """Remove an object, and folders that are empty then."""
        path = self._root / key
        path.unlink(missing_ok=True)
        for folder in path.parents:
            if folder == self._root or any(folder.iterdir()):
                break
            folder.rmdir()

    def _copy(self, source: Path, target: Path) -> None:
        partial = self._partial(target)
        try:
            shutil.copyfile(source, partial)
            with partial.open("rb") as file:
                os.fsync(file.fileno())
            partial.rename(target)
        finally:
            partial.unlink(missing_ok=True)

    def _partial(self, path: Path) -> Path:
        path.parent.mkdir(parents=True, exist_ok=True)
        return path.with_name(f".{path.name}.{uuid4().hex}.partial")


def _digest(path: Path) -> str:
    with path.open("rb") as file:
        return file_digest(file, "sha256").hexdigest()
