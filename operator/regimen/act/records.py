"""What serves and what served, as it is recorded: ControllerRevisions in the cluster, pointers and outcomes in the bucket (law 1)."""

import logging
from dataclasses import dataclass

from regimen.act.cluster import Cluster, Object
from regimen.act.parts import document, seconds
from regimen.plan.common import Owner
from regimen.spec.artifacts import RolloutOutcome, ServingRecord, outcome_key, serving_key
from regimen.spec.meta import GROUP
from regimen.spec.service import ModelServiceSpec
from regimen.store import Store, StoreError

log = logging.getLogger(__name__)


@dataclass(frozen=True)
class Recorded:
    """What serves, and how it is known."""

    record: ServingRecord | None = None
    in_cluster: bool = False
    unknown: bool = False
    """The bucket has to be asked, and cannot be."""
    since: float | None = None
    """When it was recorded in the cluster."""


class Records:
    """Reads them."""

    def __init__(self, cluster: Cluster, store: Store) -> None:
        self.cluster = cluster
        self.store = store

    def serving(self, owner: Owner) -> Recorded:
        """The newest ControllerRevision of a service, else the bucket's pointer."""
        if revisions := self._revisions(owner):
            since = seconds(revisions[-1]["metadata"]["creationTimestamp"])
            return Recorded(ServingRecord.model_validate(revisions[-1]["data"]), True, False, since)
        try:
            return Recorded(document(self.store, serving_key(owner.namespace, owner.name), ServingRecord))
        except StoreError:
            return Recorded(unknown=True)

    def served(self, owner: Owner, service: ModelServiceSpec) -> tuple[str, ...]:
        """Versions that served, newest first; the baseline last."""
        records = [ServingRecord.model_validate(item["data"]) for item in self._revisions(owner)]
        names = [name for record in reversed(records) for name in (record.version_ref, record.previous_ref) if name]
        return tuple(dict.fromkeys([*names, service.baseline_ref.name]))

    def outcome(self, owner: Owner, service: str) -> tuple[RolloutOutcome | None, bool]:
        """How a rollout of this name ended by the bucket, and whether that cannot be asked."""
        try:
            return document(self.store, outcome_key(owner.namespace, service, owner.name), RolloutOutcome), False
        except StoreError as error:
            log.warning("how %s ended cannot be asked: %s", owner.path, error)
            return None, True

    def _revisions(self, owner: Owner) -> list[Object]:
        found = self.cluster.items("ControllerRevision", owner.namespace, f"{GROUP}/service={owner.name}")
        return sorted(found, key=lambda item: int(item["revision"]))
