"""What a rollout must remember besides what can be seen: kept in a ConfigMap, since a status can be lost (law 1)."""

from typing import Literal

from pydantic import Field

from regimen.plan.actions import Manifest
from regimen.plan.common import MANAGED, Owner
from regimen.spec.meta import Status
from regimen.spec.rollout import Arms, CommandResult, HistoryEntry, Power
from regimen.spec.rollout import Verdict as EvidenceVerdict
from regimen.spec.service import ModelServiceSpec

HISTORY_LIMIT = 64
POINTS_LIMIT = 240
"""Points of a rollout's curves; where there would be more, every other one is forgotten."""


class EvidencePoint(Status):
    """What the evidence said at one moment."""

    at: str
    look: int | None = Field(None, description="Number of the look that was taken; None: between looks.")
    fraction: float = Field(description="Share of the planned information.")
    effect: float
    low: float
    high: float
    z: float
    boundary: float | None = Field(None, description="What z is compared with; None: out of reach.")


class TimelinePoint(Status):
    """How many replicas were ready and how traffic was split, from this moment on."""

    at: str
    stable: int
    candidate: int
    weight: float


class Memory(Status):
    """A rollout that has begun."""

    stable_ref: str = Field(description="ModelVersion that served when it began: what a rollback returns to.")
    begun_at: float
    service: ModelServiceSpec | None = Field(
        None, description="The service as it was then, image included: later changes wait for the end."
    )
    nodes: list[str] = Field(default_factory=list, description="Where its replicas ran then: both files are brought there first.")
    prepared: bool = Field(False, description="Both files are on every one of those nodes, verified.")
    step: int = 0
    step_since: float
    moved_at: float = Field(description="When a replica or the step last moved, for progressDeadline.")
    requested_weight: float = 0
    evidence_since: float | None = Field(None, description="When the candidate first had traffic.")
    looks_taken: int = 0
    lent_since: float | None = Field(None, description="Since when training has borrowed a card of the service: clocks stand still.")
    returned_at: float | None = Field(None, description="When training gave it back; the replicas that stepped aside are coming back.")
    passed: bool = Field(False, description="The analysis has said Promote.")
    growing_since: float | None = Field(None, description="When an arm last began to grow; None once it is ready.")
    load_seconds: float | None = Field(None, description="The longest that a replica took from the order to start until it was ready.")
    routed_at: float | None = Field(None, description="When the routing last changed; None once every router has it.")
    switch_seconds: float = Field(0, description="The longest that the routers took.")
    outcome: Literal["Promote", "RollBack"] | None = None
    reason: str = ""
    why: str = ""
    at_once: bool = Field(False, description="Traffic leaves the candidate before capacity is back.")
    rolling_since: float | None = Field(None, description="When the rollback was decided.")
    traffic_off: float | None = Field(None, description="Seconds from there until no router sent the candidate anything new.")
    capacity_restored: float | None = Field(None, description="Seconds from there until every replica was stable and ready.")
    kept: bool = Field(False, description="How it ended is in the bucket.")
    held: bool = Field(False, description="Paused by a person's command; spec.paused is another way to say so.")
    by_hand: bool = Field(False, description="A person has decided to promote.")
    command: CommandResult | None = Field(None, description="The last command and what became of it.")
    ended: bool = False
    report_uri: str | None = Field(None, description="Where the report is, once it is there.")
    epoch: str = Field("-", description="Epoch that evidence is counted under now.")
    epoch_since: float | None = Field(None, description="Since when.")
    power: Power | None = Field(None, description="What the test can show in its time, as last said.")
    power_at: float | None = Field(None, description="When it was said.")
    point_at: float | None = Field(None, description="When the last point of evidence was kept.")
    points: list[EvidencePoint] = Field(default_factory=list, description="The evidence over time, for the report.")
    timeline: list[TimelinePoint] = Field(default_factory=list, description="Replicas and weights over time, for the report.")
    verdict: EvidenceVerdict | None = None
    arms: Arms | None = Field(None, description="Both arms as they were when the analysis decided.")
    history: list[HistoryEntry] = Field(default_factory=list)

    def noting(self, at: str, what: str, **changes: object) -> "Memory":
        """A copy with one more line of history."""
        entry = HistoryEntry(step=self.step, at=at, what=what[:512])
        return self.model_copy(update={**changes, "history": [*self.history, entry][-HISTORY_LIMIT:]})

    def rolling_back(self, at: str, now: float, reason: str, why: str, at_once: bool = False) -> "Memory":
        """A copy that goes back."""
        return self.noting(
            at, f"rolling back: {why}", outcome="RollBack", reason=reason, why=why, at_once=at_once, requested_weight=0.0, rolling_since=now,
            traffic_off=None,
        )  # fmt: skip

    def seeing(self, point: EvidencePoint) -> "Memory":
        """A copy with one more point of evidence; looks are never forgotten."""
        points = [*self.points, point]
        if len(points) > POINTS_LIMIT:
            points = [item for index, item in enumerate(points) if item.look is not None or index % 2 == 0]
        return self.model_copy(update={"points": points})

    def showing(self, point: TimelinePoint) -> "Memory":
        """A copy with one more point of replicas and weight, where they changed."""
        before = self.timeline[-1] if self.timeline else None
        if before is not None and before.model_copy(update={"at": point.at}) == point:
            return self
        timeline = [*self.timeline, point]
        return self.model_copy(update={"timeline": timeline if len(timeline) <= POINTS_LIMIT else [timeline[0], *timeline[2:]]})


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
