"""One operator in charge, by a Lease: the official client's leader election. Whoever loses it ends at once."""

import logging
import os
import threading

from kubernetes.leaderelection import electionconfig
from kubernetes.leaderelection.leaderelection import LeaderElection
from kubernetes.leaderelection.resourcelock.leaselock import LeaseLock

log = logging.getLogger(__name__)
NAME = "regimen-operator"
DURATION, RENEW_WITHIN, RETRY = 15, 10, 2
"""Seconds: a lease that was not renewed for 15 s may be taken; its holder gives up after 10."""


class Leadership:
    """Campaigns in a thread of its own; `elected` is set once."""

    def __init__(self, namespace: str, identity: str) -> None:
        self.elected = threading.Event()
        config = electionconfig.Config(
            LeaseLock(NAME, namespace, identity), lease_duration=DURATION, renew_deadline=RENEW_WITHIN, retry_period=RETRY,
            onstarted_leading=self._start, onstopped_leading=lambda: None,
        )  # fmt: skip
        self._election = LeaderElection(config)

    def campaign(self) -> None:
        threading.Thread(target=self._run, name="lease", daemon=True).start()

    def _run(self) -> None:
        """The client's loop ends when the lease is lost, and raises when the API server cannot be reached: end either way."""
        try:
            self._election.run()
        except Exception:
            log.exception("the lease cannot be renewed")
        self._stop()

    def _start(self) -> None:
        log.info("this operator is in charge")
        self.elected.set()

    @staticmethod
    def _stop() -> None:
        # Another operator may be in charge by now: nothing more may be done, not even tidily.
        log.error("the lease is lost; ending")
        os._exit(1)
