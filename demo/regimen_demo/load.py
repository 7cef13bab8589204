"""A bounded load on a service's URL, half of it streaming, that counts what failed, what was cut in the middle, and the slowest answer.

Nothing is tried again: one request that fails is one that a caller would have lost.
"""

import asyncio
import json
import random
import threading
import time
from collections import Counter
from dataclasses import dataclass, field
from typing import Any

import httpx

TIMEOUT_SECONDS = 90
SUBJECTS = 2000


@dataclass
class Counts:
    """What was seen so far."""

    sent: int = 0
    streamed: int = 0
    failed: Counter[str] = field(default_factory=Counter)
    cut: int = 0
    """Streams that began and did not end."""
    slowest: float = 0.0
    versions: Counter[str] = field(default_factory=Counter)
    failures: list[tuple[float, str]] = field(default_factory=list)
    """(seconds since the epoch, what) of the first hundred."""
    last: dict[str, float] = field(default_factory=dict)
    """When a request to each version was last begun that this version answered."""

    @property
    def lost(self) -> int:
        return sum(self.failed.values()) + self.cut

    def lose(self, what: str) -> None:
        if len(self.failures) < 100:
            self.failures.append((time.time(), what))


class Load:
    """Asks without a break from a thread of its own, until closed or until `limit` requests were sent."""

    def __init__(self, url: str, workers: int = 8, limit: int | None = None, max_tokens: int = 4, seed: int = 1) -> None:
        self.counts = Counts()
        self._url, self._workers, self._limit, self._max_tokens = url, workers, limit, max_tokens
        self._random = random.Random(seed)
        self._stop = threading.Event()
        self._thread = threading.Thread(target=lambda: asyncio.run(self._work()), name="load", daemon=True)

    def __enter__(self) -> "Load":
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._stop.set()
        self._thread.join(timeout=TIMEOUT_SECONDS + 30)

    @property
    def done(self) -> bool:
        return not self._thread.is_alive()

    async def _work(self) -> None:
        limits = httpx.Limits(max_connections=self._workers, max_keepalive_connections=self._workers)
        async with httpx.AsyncClient(timeout=httpx.Timeout(TIMEOUT_SECONDS), limits=limits) as client:
            await asyncio.gather(*(self._ask_on(client) for _ in range(self._workers)))

    async def _ask_on(self, client: httpx.AsyncClient) -> None:
        while not self._stop.is_set() and (self._limit is None or self.counts.sent < self._limit):
            self.counts.sent += 1
            streaming = self.counts.sent % 2 == 0
            self.counts.streamed += streaming
            began = time.monotonic()
            try:
                await (self._stream(client) if streaming else self._whole(client))
            except (httpx.HTTPError, KeyError, ValueError) as error:
                refused = error.response if isinstance(error, httpx.HTTPStatusError) else None
                what = f"HTTP {refused.status_code}" if refused is not None else type(error).__name__
                self.counts.failed[what] += 1
                self.counts.lose(
                    f"{what} {refused.headers.get('X-Regimen-Version', '')} {refused.text[:200]}" if refused is not None else what
                )
            self.counts.slowest = max(self.counts.slowest, time.monotonic() - began)

    def _request(self, stream: bool) -> dict[str, Any]:
        body = {
            "messages": [{"role": "user", "content": f"Claim {self._random.randrange(10_000)}: APPROVED or DENIED?"}],
            "temperature": 0, "max_tokens": self._max_tokens, "stream": stream,
        }  # fmt: skip
        subject = {"X-Subject": f"caller-{self._random.randrange(SUBJECTS)}"}
        return {"url": f"{self._url}/v1/chat/completions", "json": body, "headers": subject}

    async def _whole(self, client: httpx.AsyncClient) -> None:
        began = time.time()
        answer = await client.post(**self._request(stream=False))
        answer.raise_for_status()
        if not answer.json()["choices"]:
            raise ValueError("no choices")
        self._answered(answer, began)

    async def _stream(self, client: httpx.AsyncClient) -> None:
        ended, began, parts = False, time.time(), 0
        async with client.stream("POST", **self._request(stream=True)) as answer:
            if answer.is_error:
                await answer.aread()
            answer.raise_for_status()
            try:
                async for line in answer.aiter_lines():
                    ended = ended or line == "data: [DONE]"
                    parts += line.startswith("data: {") and "choices" in json.loads(line.removeprefix("data: "))
            except httpx.HTTPError:
                ended = False
        if not ended or not parts:
            self.counts.cut += 1
            self.counts.lose("cut")
            return
        self._answered(answer, began)

    def _answered(self, answer: httpx.Response, began: float) -> None:
        version = answer.headers.get("X-Regimen-Version", "?")
        self.counts.versions[version] += 1
        self.counts.last[version] = max(began, self.counts.last.get(version, 0.0))
