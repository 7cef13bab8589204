"""S3 with digests and conditional writes, by boto3.

StoreError                          anything that went wrong with the bucket
├── NotFoundError                   no such object
├── AlreadyExistsError              a conditional write lost: the object exists
├── DigestMismatchError             the bytes are not those that were promised
├── ConditionalWritesUnsupportedError   the bucket ignores If-None-Match; such a bucket is refused
└── StoreUnavailableError           cannot be reached, or answers with an error
"""

import os
import re
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from hashlib import file_digest, sha256
from pathlib import Path
from typing import TYPE_CHECKING, Self
from uuid import uuid4

import boto3
from boto3.exceptions import Boto3Error
from botocore.config import Config
from botocore.exceptions import BotoCoreError, ClientError

from regimen.spec.artifacts import Artifact

if TYPE_CHECKING:
    from mypy_boto3_s3 import S3Client


class StoreError(Exception):
    """Anything that went wrong with the bucket."""


class NotFoundError(StoreError):
    """No such object."""


class AlreadyExistsError(StoreError):
    """A conditional write lost: the object exists."""


class DigestMismatchError(StoreError):
    """The bytes are not those that were promised."""


class ConditionalWritesUnsupportedError(StoreError):
    """The bucket ignores If-None-Match."""


class StoreUnavailableError(StoreError):
    """The object store cannot be reached, or answers with an error."""


def split_uri(uri: str) -> tuple[str, str]:
    """Bucket and key of an s3:// address.

    >>> split_uri("s3://business/raw/claims.csv")
    ('business', 'raw/claims.csv')
    """
    scheme, _, rest = uri.partition("://")
    bucket, _, key = rest.partition("/")
    if scheme != "s3" or not bucket:
        raise StoreError(f"{uri!r} is not an address of the form s3://bucket/key")
    return bucket, key.lstrip("/")


@contextmanager
def _translated(what: str) -> Iterator[None]:
    """Turn boto's errors into ours, once."""
    try:
        yield
    except ClientError as error:
        code = str(error.response.get("Error", {}).get("Code", ""))
        if code in {"NoSuchKey", "404", "NotFound"}:
            raise NotFoundError(f"{what}: not found") from error
        if code in {"PreconditionFailed", "412", "ConditionalRequestConflict"}:
            raise AlreadyExistsError(f"{what}: exists already") from error
        raise StoreUnavailableError(f"{what}: {code}") from error
    except (BotoCoreError, Boto3Error) as error:
        raise StoreUnavailableError(f"{what}: {type(error).__name__}") from error


class Store:
    """One S3 endpoint and Regimen's own bucket in it. Keys are relative to that bucket; uris may name any."""

    def __init__(self, client: "S3Client", bucket: str) -> None:
        self._s3 = client
        self.bucket = bucket

    @classmethod
    def from_env(cls, environ: Mapping[str, str] = os.environ) -> Self:
        """From REGIMEN_S3_ENDPOINT, REGIMEN_S3_BUCKET, AWS_*. Raises StoreError naming a variable that is missing."""
        try:
            endpoint, bucket = environ["REGIMEN_S3_ENDPOINT"], environ["REGIMEN_S3_BUCKET"]
            key, secret = environ["AWS_ACCESS_KEY_ID"], environ["AWS_SECRET_ACCESS_KEY"]
        except KeyError as error:
            raise StoreError(f"environment variable {error.args[0]} is not set") from error
        config = Config(
            connect_timeout=5, read_timeout=60, retries={"max_attempts": 3, "mode": "standard"}, s3={"addressing_style": "path"}
        )
        client = boto3.client(
            "s3",
            endpoint_url=endpoint,
            aws_access_key_id=key,
            aws_secret_access_key=secret,
            region_name=environ.get("AWS_REGION", "us-east-1"),
            config=config,
        )
        return cls(client, bucket)

    def uri(self, key: str) -> str:
        """The s3:// address of a key of our bucket."""
        return f"s3://{self.bucket}/{key}"

    def put(self, key: str, data: bytes) -> None:
        """Write, whatever is there."""
        with _translated(key):
            self._s3.put_object(Bucket=self.bucket, Key=key, Body=data)

    def put_once(self, key: str, data: bytes) -> None:
        """Write only if nothing is there. Raises AlreadyExistsError, unless the same bytes are there already (a retry)."""
        try:
            with _translated(key):
                self._s3.put_object(Bucket=self.bucket, Key=key, Body=data, IfNoneMatch="*")
        except AlreadyExistsError:
            if self.get(key) != data:
                raise

    def get(self, key: str) -> bytes:
        """The whole object; for documents, not for models."""
        return self.get_uri(self.uri(key))

    def get_uri(self, uri: str) -> bytes:
        """The whole object at an address in any bucket."""
        bucket, key = split_uri(uri)
        with _translated(uri):
            return self._s3.get_object(Bucket=bucket, Key=key)["Body"].read()

    def get_range(self, uri: str, start: int, length: int) -> bytes:
        """Some bytes of an object: `length` from `start`, fewer where it ends before."""
        bucket, key = split_uri(uri)
        with _translated(uri):
            return self._s3.get_object(Bucket=bucket, Key=key, Range=f"bytes={start}-{start + length - 1}")["Body"].read()

    def exists(self, key: str) -> bool:
        return self.size(self.uri(key)) is not None

    def size(self, uri: str) -> int | None:
        """Bytes of the object, or None where there is none."""
        bucket, key = split_uri(uri)
        try:
            with _translated(uri):
                return int(self._s3.head_object(Bucket=bucket, Key=key)["ContentLength"])
        except NotFoundError:
            return None

    def tag(self, uri: str) -> str | None:
        """The entity tag, which changes with the content; None where there is no object."""
        bucket, key = split_uri(uri)
        try:
            with _translated(uri):
                return self._s3.head_object(Bucket=bucket, Key=key)["ETag"]
        except NotFoundError:
            return None

    def matching(self, uri: str) -> dict[str, str]:
        """Objects that an address names, with their entity tags: one, or with * and ? in it (never across a /) any number, sorted."""
        if not any(char in uri for char in "*?"):
            tag = self.tag(uri)
            return {} if tag is None else {uri: tag}
        bucket, pattern = split_uri(uri)
        start = re.split(r"[*?]", pattern, maxsplit=1)[0]
        parts = (r"[^/]*" if char == "*" else "[^/]" if char == "?" else re.escape(char) for char in pattern)
        looks = re.compile("".join(parts))
        with _translated(uri):
            pages = self._s3.get_paginator("list_objects_v2").paginate(Bucket=bucket, Prefix=start)
            found = {item["Key"]: item["ETag"] for page in pages for item in page.get("Contents", [])}
        return {f"s3://{bucket}/{key}": tag for key, tag in sorted(found.items()) if looks.fullmatch(key)}

    def keys(self, prefix: str) -> list[str]:
        """Keys of our bucket that begin with prefix, sorted."""
        return self.keys_at(self.uri(prefix))

    def keys_at(self, uri: str) -> list[str]:
        """Keys that begin with an address's key, in that address's bucket, sorted."""
        bucket, prefix = split_uri(uri)
        with _translated(uri):
            pages = self._s3.get_paginator("list_objects_v2").paginate(Bucket=bucket, Prefix=prefix)
            return sorted(item["Key"] for page in pages for item in page.get("Contents", []))

    def upload(self, path: Path, key: str, name: str) -> Artifact:
        """Upload a file of any size; returns it as an Artifact with its digest."""
        with path.open("rb") as file:
            digest = file_digest(file, "sha256").hexdigest()
        with _translated(key):
            self._s3.upload_file(str(path), self.bucket, key)
        return Artifact(path=name, uri=self.uri(key), sha256=digest, bytes=path.stat().st_size)

    def download(self, uri: str, path: Path, digest: str | None = None, seen: Callable[[int], None] | None = None) -> str:
        """Download to a temporary name, verify, rename. Returns the hex digest. `seen` hears of bytes as they come, from any thread.

        Raises DigestMismatchError.
        """
        bucket, key = split_uri(uri)
        path.parent.mkdir(parents=True, exist_ok=True)
        partial = path.with_name(f".{path.name}.{uuid4().hex}.partial")
        try:
            with _translated(uri):
                self._s3.download_file(bucket, key, str(partial), Callback=seen)
            with partial.open("rb") as file:
                found = file_digest(file, "sha256").hexdigest()
                os.fsync(file.fileno())
            if digest is not None and found != digest.removeprefix("sha256:"):
                raise DigestMismatchError(f"{uri}: sha256 is {found}, expected {digest}")
            partial.rename(path)
            return found
        finally:
            partial.unlink(missing_ok=True)

    def delete(self, key: str) -> None:
        """Remove an object of our bucket; one that is not there is gone already."""
        with _translated(key):
            self._s3.delete_object(Bucket=self.bucket, Key=key)

    def ensure_bucket(self) -> None:
        """Create our bucket where it is missing."""
        try:
            with _translated(self.bucket):
                self._s3.head_bucket(Bucket=self.bucket)
        except NotFoundError:
            with _translated(self.bucket):
                self._s3.create_bucket(Bucket=self.bucket)

    def verify_conditional_writes(self) -> None:
        """Prove that the bucket honours If-None-Match (law 7). Raises ConditionalWritesUnsupportedError."""
        key = f".regimen/probe-{uuid4().hex}"
        with _translated(key):
            self._s3.put_object(Bucket=self.bucket, Key=key, Body=sha256(b"1").digest(), IfNoneMatch="*")
        try:
            with _translated(key):
                self._s3.put_object(Bucket=self.bucket, Key=key, Body=sha256(b"2").digest(), IfNoneMatch="*")
        except AlreadyExistsError:
            return
        finally:
            with _translated(key):
                self._s3.delete_object(Bucket=self.bucket, Key=key)
        raise ConditionalWritesUnsupportedError(
            f"bucket {self.bucket} overwrites despite If-None-Match; use an object store that honours it"
        )
