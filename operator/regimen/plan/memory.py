"""What a rollout must remember besides what can be seen: kept in a ConfigMap, since a status can be lost (law 1)."""

from typing import Literal

from pydantic import Field

from regimen.plan.actions import Manifest
from regimen.plan.common import MANAGED, Owner
from regimen.spec.meta import Status
from regimen.spec.rollout import Arms, HistoryEntry
from regimen.spec.rollout import Verdict as EvidenceVerdict

HISTORY_LIMIT = 64


class Memory(Status):
    """A rollout that has begun."""

    stable_ref: str = Field(description="ModelVersion that served when it began: what a rollback returns to.")
    begun_at: float
    step: int = 0
    step_since: float
    moved_at: float = Field(description="When a replica or the step last moved, for progressDeadline.")
    requested_weight: float = 0
    evidence_since: float | None = Field(None, description="When the candidate first had traffic.")
    looks_taken: int = 0
    lent_since: float | None = Field(None, description="Since when training has borrowed a card of the service: clocks stand still.")
    returned_at: float | None = Field(None, description="When training gave it back; the replicas that stepped aside are coming back.")
    passed: bool = Field(False, description="The analysis has said Promote.")
    outcome: Literal["Promote", "RollBack"] | None = None
    reason: str = ""
    why: str = ""
    at_once: bool = Field(False, description="Traffic leaves the candidate before capacity is back.")
    ended: bool = False
    verdict: EvidenceVerdict | None = None
    arms: Arms | None = Field(None, description="Both arms as they were when the analysis decided.")
    history: list[HistoryEntry] = Field(default_factory=list)

    def noting(self, at: str, what: str, **changes: object) -> "Memory":
        """A copy with one more line of history."""
        entry = HistoryEntry(step=self.step, at=at, what=what[:512])
        return self.model_copy(update={**changes, "history": [*self.history, entry][-HISTORY_LIMIT:]})


def memory_name(owner: Owner) -> str:
    return f"{owner.name}-rollout"


def memory_map(owner: Owner, memory: Memory) -> Manifest:
    return {
        "apiVersion": "v1", "kind": "ConfigMap",
        "metadata": {
            "name": memory_name(owner), "namespace": owner.namespace, "labels": MANAGED, "ownerReferences": [owner.reference()],
        },
        "data": {"memory.json": memory.model_dump_json(by_alias=True)},
    }  # fmt: skip
