"""A bucket in memory with all that imports use of `regimen.store`; it remembers the order of writes."""

from collections.abc import Callable
from hashlib import sha256
from pathlib import Path
from typing import cast

from regimen.spec.artifacts import Artifact
from regimen.store import AlreadyExistsError, NotFoundError, Store


class MemoryBucket:
    """Keys are relative to bucket `b`."""

    def __init__(self, objects: dict[str, bytes] | None = None) -> None:
        self.objects, self.writes, self.downloads = dict(objects or {}), list[str](), list[str]()

    @property
    def store(self) -> Store:
        return cast(Store, self)

    def uri(self, key: str) -> str:
        return f"s3://b/{key}"

    def put(self, key: str, data: bytes) -> None:
        self.objects[key] = data
        self.writes.append(key)

    def put_once(self, key: str, data: bytes) -> None:
        if key in self.objects and self.objects[key] != data:
            raise AlreadyExistsError(key)
        self.put(key, data)

    def get(self, key: str) -> bytes:
        if key not in self.objects:
            raise NotFoundError(f"{key}: not found")
        return self.objects[key]

    def get_uri(self, uri: str) -> bytes:
        return self.get(uri.removeprefix("s3://b/"))

    def get_range(self, uri: str, start: int, length: int) -> bytes:
        return self.get_uri(uri)[start : start + length]

    def exists(self, key: str) -> bool:
        return key in self.objects

    def size(self, uri: str) -> int | None:
        found = self.objects.get(uri.removeprefix("s3://b/"))
        return None if found is None else len(found)

    def keys_at(self, uri: str) -> list[str]:
        return sorted(key for key in self.objects if key.startswith(uri.removeprefix("s3://b/")))

    def upload(self, path: Path, key: str, name: str) -> Artifact:
        data = path.read_bytes()
        self.put(key, data)
        return Artifact(path=name, uri=self.uri(key), sha256=sha256(data).hexdigest(), bytes=len(data))

    def download(self, uri: str, path: Path, digest: str | None = None, seen: Callable[[int], None] | None = None) -> str:
        data = self.get_uri(uri)
        self.downloads.append(uri)
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(data)
        if seen is not None:
            seen(len(data))
        return sha256(data).hexdigest()
