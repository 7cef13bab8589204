"""The services' own peers: router agents and the feedback service, by httpx. What cannot be asked is None, and logged."""

import logging
from math import isfinite
from typing import Any

import httpx
from pydantic import ValidationError

from regimen.spec.routing import Evidence, RouterState

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

    def measured(self, query: str) -> float | None:
        """What a PromQL query gives: a scalar, or a vector of one series. None: no answer, no number, or several; logged."""
        try:
            answer = self._http.get(f"{self.prometheus_url}/api/v1/query", params={"query": query})
            answer.raise_for_status()
            return one_number(answer.json())
        except (httpx.HTTPError, ValueError) as error:
            log.warning("Prometheus gives no number: %s", error)
            return None


def one_number(answer: Any) -> float:
    """The number in Prometheus' answer to an instant query. Raises ValueError where it is not just one.

    >>> one_number({"data": {"resultType": "vector", "result": [{"metric": {}, "value": [0, "71"]}]}})
    71.0
    """
    try:
        data = answer["data"]
        results = [data["result"]] if data["resultType"] == "scalar" else [series["value"] for series in data["result"]]
        (number,) = (float(value) for _, value in results)
    except (KeyError, TypeError, ValueError) as error:
        raise ValueError(f"the query gives no single number ({type(error).__name__}); aggregate it, for example with max(…)") from error
    if not isfinite(number):
        raise ValueError(f"the query gives {number}")
    return number
