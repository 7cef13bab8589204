"""The bucket's promises against a real S3: conditional writes, digests, errors in our words."""

from hashlib import sha256
from pathlib import Path
from uuid import uuid4

import pytest

from regimen.store import AlreadyExistsError, DigestMismatchError, NotFoundError, Store, StoreError, StoreUnavailableError

pytestmark = pytest.mark.wire


@pytest.fixture
def store(bucket: dict[str, str]) -> Store:
    return Store.from_env(bucket)


@pytest.fixture
def key() -> str:
    return f"store/{uuid4().hex}"


def test_written_once_is_written_once(store: Store, key: str) -> None:
    store.put_once(key, b"first")
    store.put_once(key, b"first")  # a retry
    with pytest.raises(AlreadyExistsError, match="exists already"):
        store.put_once(key, b"second")
    assert store.get(key) == b"first"


def test_a_pointer_may_move_and_its_tag_with_it(store: Store, key: str) -> None:
    assert store.tag(store.uri(key)) is None
    store.put(key, b"one")
    first = store.tag(store.uri(key))
    store.put(key, b"two")
    assert first is not None
    assert store.tag(store.uri(key)) != first


def test_what_is_missing_is_not_found(store: Store, key: str) -> None:
    with pytest.raises(NotFoundError):
        store.get(key)
    assert (store.exists(key), store.size(store.uri(key)), store.keys(key)) == (False, None, [])


def test_a_bucket_that_is_gone_says_nothing_about_what_was_in_it(store: Store) -> None:
    """A service asks the bucket what serves; "not found" would be taken for "nothing yet"."""
    with pytest.raises(StoreUnavailableError):
        store.get_uri("s3://no-such-bucket/x")


def test_keys_come_sorted_and_below_the_prefix(store: Store, key: str) -> None:
    for name in ("b", "a/c", "a/b"):
        store.put(f"{key}/{name}", b"x")
    assert store.keys(f"{key}/a/") == [f"{key}/a/b", f"{key}/a/c"]


def test_what_is_deleted_is_gone_and_may_be_deleted_again(store: Store, key: str) -> None:
    store.put(key, b"x")
    store.delete(key)
    store.delete(key)
    assert not store.exists(key)


def test_a_file_goes_up_and_comes_down_verified(store: Store, key: str, tmp_path: Path) -> None:
    source, target = tmp_path / "up", tmp_path / "folder/down"
    source.write_bytes(b"weights" * 1000)
    sent = store.upload(source, key, "weights.bin")
    assert (sent.sha256, sent.bytes, sent.path) == (sha256(source.read_bytes()).hexdigest(), 7000, "weights.bin")
    assert store.download(sent.uri, target, f"sha256:{sent.sha256}") == sent.sha256
    assert target.read_bytes() == source.read_bytes()


def test_other_bytes_than_promised_leave_nothing_behind(store: Store, key: str, tmp_path: Path) -> None:
    store.put(key, b"other")
    with pytest.raises(DigestMismatchError, match="expected"):
        store.download(store.uri(key), tmp_path / "down", "0" * 64)
    assert list(tmp_path.iterdir()) == []


def test_a_store_that_is_not_there_is_unavailable(bucket: dict[str, str]) -> None:
    gone = Store.from_env({**bucket, "REGIMEN_S3_ENDPOINT": "http://127.0.0.1:1"})
    with pytest.raises(StoreUnavailableError):
        gone.get("x")


def test_a_wrong_secret_is_unavailable_not_missing(bucket: dict[str, str], key: str) -> None:
    """Taken for missing, a service would fall back to its baseline (law 1)."""
    stranger = Store.from_env({**bucket, "AWS_SECRET_ACCESS_KEY": "wrong"})
    with pytest.raises(StoreUnavailableError):
        stranger.get(key)
    with pytest.raises(StoreError):
        stranger.tag(stranger.uri(key))


def test_a_variable_that_is_missing_is_named(bucket: dict[str, str]) -> None:
    with pytest.raises(StoreError, match="REGIMEN_S3_BUCKET is not set"):
        Store.from_env({name: value for name, value in bucket.items() if name != "REGIMEN_S3_BUCKET"})
