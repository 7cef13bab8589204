"""A claims office in small: people who ask the service about claims, and experts who post what they decided.

Every answer is asked for through the service's URL, and every label goes to the real feedback endpoint.
"""

import asyncio
import csv
import random
import threading
import time
from collections import Counter
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import httpx

from regimen_trainer.tasks import parse_label, render

LABELS = ["APPROVED", "DENIED"]
SUBJECTS = 600


@dataclass
class Tally:
    """What the office saw. Read by the view while it grows."""

    sent: int = 0
    failed: int = 0
    errors: Counter[str] = field(default_factory=Counter)
    answered: Counter[str] = field(default_factory=Counter)
    agreed: Counter[str] = field(default_factory=Counter)
    failures: list[tuple[float, str]] = field(default_factory=list)
    """(seconds since the epoch, what) of the first hundred."""
    labels_refused: int = 0
    slowest: float = 0.0


class Office:
    """Asks without a break, from a thread of its own, until closed."""

    def __init__(self, service_url: str, feedback_url: str, claims: Path, workers: int, seed: int) -> None:
        self.tally = Tally()
        self.pause = 1.0
        """Seconds that a clerk takes between two claims."""
        self._service, self._feedback = service_url, feedback_url
        with claims.open(newline="") as file:
            self._rows = [row for row in csv.DictReader(file) if _is_claim(row)]
        self._workers = workers
        self._random = random.Random(seed)
        self._stop = threading.Event()
        self._thread = threading.Thread(target=lambda: asyncio.run(self._work()), name="office", daemon=True)

    def open(self) -> None:
        self._thread.start()

    def close(self) -> None:
        self._stop.set()
        self._thread.join(timeout=90)

    async def _work(self) -> None:
        limits = httpx.Limits(max_connections=self._workers * 2)
        async with httpx.AsyncClient(timeout=httpx.Timeout(60), limits=limits) as client:
            await asyncio.gather(*(self._clerk(client) for _ in range(self._workers)))

    async def _clerk(self, client: httpx.AsyncClient) -> None:
        while not self._stop.is_set():
            await self._claim(client, self._random.choice(self._rows), f"adjuster-{self._random.randrange(SUBJECTS)}")
            await asyncio.sleep(self.pause)

    async def _claim(self, client: httpx.AsyncClient, row: dict[str, str], subject: str) -> None:
        self.tally.sent += 1
        body = {"messages": render("adjudication", row), "temperature": 0, "max_tokens": 8}
        try:
            answer = await client.post(f"{self._service}/v1/chat/completions", json=body, headers={"X-Subject": subject})
            answer.raise_for_status()
            text = str(answer.json()["choices"][0]["message"]["content"])
        except (httpx.HTTPError, KeyError, ValueError) as error:
            self.tally.failed += 1
            self.tally.errors[_name(error)] += 1
            if len(self.tally.failures) < 100:
                self.tally.failures.append((time.time(), _name(error)))
            return
        version = answer.headers.get("X-Regimen-Version", "?")
        self.tally.answered[version] += 1
        self.tally.slowest = max(self.tally.slowest, answer.elapsed.total_seconds())
        predicted = parse_label(text, LABELS) or "UNPARSEABLE"
        self.tally.agreed[version] += predicted == row["final_decision"]
        await self._label(client, answer.headers.get("X-Regimen-Request-Id", ""), predicted, row["final_decision"])

    async def _label(self, client: httpx.AsyncClient, request_id: str, predicted: str, expert: str) -> None:
        outcome: dict[str, Any] = {"requestId": request_id, "predicted": predicted, "expert": expert, "reviewer": "demo"}
        try:
            answer = await client.post(f"{self._feedback}/v1/feedback", json=outcome)
            answer.raise_for_status()
        except httpx.HTTPError as error:
            self.tally.labels_refused += 1
            self.tally.errors[f"label: {_name(error)}"] += 1


def _is_claim(row: dict[str, str]) -> bool:
    """Whether an adjuster would ask about the row: exports have broken ones, too."""
    amount = row["claim_amount"].replace(".", "", 1)
    return amount.isdigit() and bool(row["medical_analysis"]) and row["final_decision"] in LABELS


def _name(error: Exception) -> str:
    if isinstance(error, httpx.HTTPStatusError):
        return f"HTTP {error.response.status_code}"
    return type(error).__name__
