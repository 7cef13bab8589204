"""The services' own peers: router agents and the feedback service, by httpx. What cannot be asked is None, and logged."""

import json
import logging
from collections.abc import Mapping
from concurrent.futures import ThreadPoolExecutor
from http import HTTPStatus
from math import isfinite

import httpx
from pydantic import ValidationError

from regimen.spec.routing import Evidence, RouterState
from regimen.stats.guardrails import Measured

log = logging.getLogger(__name__)
AGENT_PORT = 9100
TIMEOUT = httpx.Timeout(2.0)


class Peers:
    """Asks routers and the feedback service."""

    def __init__(self, feedback_url: str, prometheus_url: str = "") -> None:
        self.feedback_url = feedback_url
        self.prometheus_url = prometheus_url.rstrip("/")
        self._http = httpx.Client(timeout=TIMEOUT)

    def router_state(self, address: str) -> RouterState | None:
        """What one router has applied. None: it does not answer."""
        try:
            answer = self._http.get(f"http://{address}:{AGENT_PORT}/state")
            answer.raise_for_status()
            return RouterState.model_validate_json(answer.content)
        except (httpx.HTTPError, ValidationError) as error:
            log.info("router at %s does not answer: %s", address, error)
            return None

    def evidence(self, namespace: str, service: str, epoch: str, key: str) -> Evidence | None:
        """What is known under an epoch, of labels those of the random audit sample. None: the feedback service does not answer, and
        nothing may be promoted on it (law 4)."""
        try:
            answer = self._http.get(
                f"{self.feedback_url}/v1/evidence/{namespace}/{service}/{epoch}", params={"audited_only": "true"},
                headers={"Authorization": f"Bearer {key}"},
            )  # fmt: skip
            answer.raise_for_status()
            return Evidence.model_validate_json(answer.content)
        except (httpx.HTTPError, ValidationError) as error:
            log.warning("feedback service does not answer: %s", error)
            return None

    def measured(self, queries: Mapping[str, str]) -> dict[str, Measured]:
        """What each PromQL query gives: a scalar, or a vector of one series; else why there is no number, also logged. Asked at the same
        time: a Prometheus that hangs costs one timeout, however many there are."""
        if not queries:
            return {}
        with ThreadPoolExecutor(len(queries)) as pool:
            return dict(zip(queries, pool.map(self._measured, queries.values()), strict=True))

    def _measured(self, query: str) -> Measured:
        try:
            answer = self._http.get(f"{self.prometheus_url}/api/v1/query", params={"query": query})
            found = read_answer(answer.status_code, answer.content)
        except httpx.HTTPError as error:
            remedy = "bring it back, or correct the chart's prometheus.url"
            found = Measured(None, f"Prometheus at {self.prometheus_url} does not answer ({type(error).__name__}); {remedy}")
        if found.value is None:
            log.warning("guardrail %s: %s", query, found.lack)
        return found


def read_answer(status: int, content: bytes) -> Measured:
    """The number in Prometheus' answer to an instant query, or why there is none.

    >>> read_answer(200, b'{"data": {"resultType": "vector", "result": [{"metric": {}, "value": [0, "71"]}]}}')
    Measured(value=71.0, lack='', refused=False)
    >>> read_answer(200, b'{"data": {"resultType": "vector", "result": []}}').lack
    'the query gives no value; see that what it asks for is scraped'
    >>> read_answer(502, b"<html>Bad Gateway</html>").lack.partition(";")[0]
    'what answers with status 502 is no Prometheus'
    """
    try:
        answer = json.loads(content)
    except ValueError:
        answer = None
    if not isinstance(answer, dict):
        return Measured(
            None, f"what answers with status {status} is no Prometheus; see what stands before it, or correct the chart's prometheus.url"
        )
    if status != HTTPStatus.OK:
        said = str(answer.get("error", ""))[:120]
        if answer.get("errorType") == "bad_data":
            return Measured(
                None, f"Prometheus refuses the query ({said}); abort, and begin another rollout with it corrected", refused=True
            )
        return Measured(None, f"Prometheus answers with status {status} ({said or 'no reason'}); see its log")
    try:
        kind, result = answer["data"]["resultType"], answer["data"]["result"]
        if kind == "vector" and len(result) != 1:
            return Measured(None, _not_one(len(result)))
        value = float((result if kind == "scalar" else result[0]["value"])[1])
    except (KeyError, TypeError, ValueError, IndexError):
        return Measured(None, "the query gives no number; abort, and begin another rollout with one that gives a scalar or one series")
    return Measured(value) if isfinite(value) else Measured(None, f"the query gives {value}, which is no figure to compare")


def _not_one(series: int) -> str:
    if series == 0:
        return "the query gives no value; see that what it asks for is scraped"
    return f"the query gives {series} series; abort, and begin another rollout with one figure, for example max(…)"
