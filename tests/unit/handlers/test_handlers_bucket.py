"""The operator begins without its bucket: what it may not do before the bucket is proven, and what becomes of a bucket that is not fit."""

import asyncio
import threading

import pytest

from regimen.handlers.main import _beside
from regimen.store import ConditionalWritesUnsupportedError, Store, StoreUnavailableError
from regimen.store.proof import ProvenStore, prove


class Bucket(Store):
    """Unreachable for so many attempts, then as fit as it is."""

    def __init__(self, away: int = 0, fit: bool = True) -> None:
        super().__init__(None, "regimen")  # type: ignore[arg-type]
        self.away, self.fit = away, fit

    def ensure_bucket(self) -> None:
        self.away -= 1
        if self.away >= 0:
            raise StoreUnavailableError("nobody there")

    def verify_conditional_writes(self) -> None:
        if not self.fit:
            raise ConditionalWritesUnsupportedError("it overwrites")


def test_nothing_is_written_once_before_the_proof() -> None:
    proven, bucket = threading.Event(), Bucket(away=3)
    with pytest.raises(StoreUnavailableError, match=r"claim\.json: the bucket was not proven"):
        ProvenStore(bucket, proven).put_once("claim.json", b"{}")
    waited: list[float] = []
    prove(bucket, proven, waited.append)
    assert len(waited) == 3
    assert proven.is_set()


def test_a_bucket_that_is_not_fit_ends_the_operator_whatever_else_it_does() -> None:
    async def run() -> None:
        failed = _beside(lambda: prove(Bucket(fit=False), threading.Event()))
        await asyncio.wait_for(failed, 5)

    with pytest.raises(ConditionalWritesUnsupportedError):
        asyncio.run(run())


def test_a_bucket_that_does_not_come_keeps_nobody_from_ending() -> None:
    comes, proven = threading.Event(), threading.Event()

    def sleep(_: float) -> None:
        comes.wait(30)

    async def run() -> None:
        failed = _beside(lambda: prove(Bucket(away=1), proven, sleep))
        await asyncio.sleep(0.05)
        assert not failed.done()

    asyncio.run(run())
    assert not proven.is_set()
    comes.set()
    assert proven.wait(5)
