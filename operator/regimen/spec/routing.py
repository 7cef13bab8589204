"""What operator, router and feedback service tell each other about traffic. See docs/architecture.md.

Knows the documents, not how they travel.
"""

from datetime import datetime

from pydantic import Field

from regimen.spec.meta import Status

LATENCY_BUCKETS_MS: tuple[float, ...] = tuple(round(5 * 1.15**i, 1) for i in range(72))
"""Upper bounds in milliseconds, each 15 % above the one before: 5 ms to about 100 s. A last, open bucket follows."""


class ArmRoute(Status):
    """One arm's share of the subjects."""

    version: str = Field(description="ModelVersion served by this arm.")
    weight: float = Field(ge=0, le=100, description="Percent of subjects; the arms' weights sum to 100.")
    draining: list[str] = Field(default_factory=list, description="Names of pods that get no new requests.")


class Routing(Status):
    """What a service's routers shall do; the operator writes it, the agents carry it out."""

    generation: int = Field(description="Grows with every change.")
    epoch: str = Field("-", description="uid of the rollout under way and its weight, or -.")
    salt: str = Field(description="Key part of the subjects' hash, one per rollout.")
    stable: ArmRoute
    candidate: ArmRoute | None = None
    audit_fraction: float = Field(0, ge=0, le=1)


class ArmState(Status):
    """What a router has applied for one arm."""

    version: str
    weight: float
    servers: list[str] = Field(description="Pods that take new requests, by name.")
    draining: list[str] = Field(description="Pods that only finish what they have.")
    in_flight: int = 0


class RouterState(Status):
    """What a router really does, read back from HAProxy."""

    pod: str
    generation: int = Field(description="Generation of the Routing that is in force; 0 before the first.")
    stable: ArmState | None = None
    candidate: ArmState | None = None


class ArmTraffic(Status):
    """Requests of one version under one epoch since the last report."""

    version: str
    epoch: str
    requests: int
    errors: int = Field(description="Answers of 5xx, and attempts that failed, retried or not.")
    cut: int = Field(0, description="Answers that ended early because their replica or the router stopped; errors count them too.")
    latency: list[int] = Field(description="Requests by latency: one count per bound of LATENCY_BUCKETS_MS and one beyond.")
    first_token: list[int] = Field(default_factory=list, description="Requests by time until the answer began, in the same buckets.")
    audited: int = Field(0, description="Requests drawn for audit.")
    subjects: dict[str, int] = Field(default_factory=dict, description="New requests by subject hash.")
    audited_subjects: dict[str, int] = Field(default_factory=dict, description="Of these, requests drawn for audit; none: left out.")


class TrafficReport(Status):
    """Increments of one router since its last report."""

    namespace: str
    service: str
    instance: str = Field(description="Unique per start of the agent.")
    sequence: int
    arms: list[ArmTraffic]
    references: dict[str, bool] = Field(
        default_factory=dict,
        description="Records that were answered about, by keyed hash. True: an answer was not marked for audit, so a label may be influenced.",
    )


class RecordLabel(Status):
    """What is known of one record of the business, by the keyed hash of its reference."""

    reference: str
    influenced: bool = Field(description="An answer that was not drawn for audit was given: the record's own label may follow it.")
    version: str | None = Field(None, description="ModelVersion whose answer was labelled.")
    audit: bool | None = Field(None, description="The labelled answer was drawn for audit: labelled before it was shown.")
    predicted: str | None = None
    expert: str | None = None
    accepted: bool | None = None
    edit_rate: float | None = None
    satisfaction: float | None = None
    received_at: datetime | None = None

    @property
    def trainable(self) -> bool:
        """Whether a label of this record is free of the model's influence."""
        return not self.influenced or bool(self.audit and self.expert is not None)


class ArmEvidence(Status):
    """What is known of one version under one epoch."""

    version: str
    requests: int = 0
    errors: int = 0
    cut: int = 0
    subjects: int = 0
    audited: int | None = Field(None, description="Requests drawn for audit; None: not counted.")
    latency: list[int] = Field(default_factory=list)
    first_token: list[int] = Field(default_factory=list, description="Requests by time to first token, in the buckets of latency.")
    audits: list[tuple[int, int]] = Field(
        default_factory=list, description="(drawn for audit, of these labelled) per subject with any drawn."
    )
    labelled: int = Field(0, description="Answers with both predicted and expert label.")
    labelled_subjects: int = 0
    agreed: int = 0
    clusters: list[tuple[int, int]] = Field(default_factory=list, description="(labelled, agreed) per subject.")
    true_positive: dict[str, int] = Field(default_factory=dict, description="By label.")
    predicted: dict[str, int] = Field(default_factory=dict, description="Labelled answers by predicted label.")
    expert: dict[str, int] = Field(default_factory=dict, description="Labelled answers by expert label.")
    unparseable: int = Field(0, description="Labelled answers whose prediction is none of the experts' labels.")
    accepted: int = 0
    accepted_of: int = 0
    acceptance_clusters: list[tuple[int, int]] = Field(default_factory=list, description="(rated, accepted) per subject.")
    edit_clusters: list[tuple[int, float]] = Field(default_factory=list, description="(rated, sum of edit rates) per subject.")
    satisfaction_sum: float = 0
    satisfaction_of: int = 0


class Evidence(Status):
    """All that is known of a rollout."""

    namespace: str
    service: str
    epoch: str
    arms: list[ArmEvidence]
    at: datetime
