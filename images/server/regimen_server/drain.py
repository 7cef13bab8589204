"""preStop: wait until nobody is served any more.

llama-server drops what it does on SIGTERM, so the signal must not come before it is idle. First the routers need a moment to hear
that this pod leaves; then the last requests, streams among them, need theirs.
"""

import logging
import re
import time
from collections.abc import Callable
from dataclasses import dataclass

import httpx

LOG = logging.getLogger("regimen.server.drain")
POLL_SECONDS = 0.5
BUSY = re.compile(r"^llamacpp:requests_(?:processing|deferred)(?:\{[^}]*\})?\s+(\S+)", re.MULTILINE)


class MetricsError(Exception):
    """The answer has none of the figures."""


@dataclass(frozen=True)
class Drained:
    """How it ended."""

    idle: bool
    seconds: float
    busy: float | None
    """Requests that were left, or None where llama-server did not say."""


def busy_requests(metrics: str) -> float:
    """Requests processed and deferred, from /metrics. Raises MetricsError.

    >>> busy_requests("llamacpp:requests_processing 2\\nllamacpp:requests_deferred 1\\n")
    3.0
    """
    found = BUSY.findall(metrics)
    if not found:
        raise MetricsError("requests_processing is not among the metrics")
    return sum(map(float, found))


def ask(url: str, headers: dict[str, str] | None = None) -> float | None:
    """Busy requests; None where llama-server does not say, which while it is busy may happen.

    One that does not listen yet or is still loading its model (503) serves nobody: a pod need not wait for that.
    """
    try:
        answer = httpx.get(url, headers=headers, timeout=2)
        if answer.status_code == httpx.codes.SERVICE_UNAVAILABLE:
            return 0
        answer.raise_for_status()
        return busy_requests(answer.text)
    except httpx.ConnectError:
        return 0
    except (httpx.HTTPError, MetricsError) as error:
        LOG.info("no figures", extra={"fields": {"error": type(error).__name__}})
        return None


def drain(
    url: str,
    settle: float,
    timeout: float,
    ask: Callable[[str], float | None] = ask,
    clock: Callable[[], float] = time.monotonic,
    sleep: Callable[[float], None] = time.sleep,
) -> Drained:
    """Wait for the routers, then until two looks in a row find it idle: between them a request might have been on its way."""
    start, idle_looks, busy = clock(), 0, None
    sleep(min(settle, timeout))
    while True:
        busy = ask(url)
        idle_looks = idle_looks + 1 if busy == 0 else 0
        if idle_looks == 2:
            return Drained(True, clock() - start, 0)
        if clock() - start >= timeout:
            return Drained(False, clock() - start, busy)
        sleep(POLL_SECONDS)
