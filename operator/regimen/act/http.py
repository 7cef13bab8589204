"""The services' own peers: router agents and the feedback service, by httpx. What cannot be asked is None, and logged."""

import logging

import httpx
from pydantic import ValidationError

from regimen.spec.routing import Evidence, RouterState

log = logging.getLogger(__name__)
AGENT_PORT = 9100
TIMEOUT = httpx.Timeout(2.0)


class Peers:
    """Asks routers and the feedback service."""

    def __init__(self, feedback_url: str) -> None:
        self.feedback_url = feedback_url
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
        """What is known under an epoch. None: the feedback service does not answer, and nothing may be promoted on it (law 4)."""
        try:
            answer = self._http.get(
                f"{self.feedback_url}/v1/evidence/{namespace}/{service}/{epoch}", headers={"Authorization": f"Bearer {key}"}
            )
            answer.raise_for_status()
            return Evidence.model_validate_json(answer.content)
        except (httpx.HTTPError, ValidationError) as error:
            log.warning("feedback service does not answer: %s", error)
            return None
