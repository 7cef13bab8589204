"""ModelRollout: move a service to another version by steps and evidence."""

from typing import Literal

from pydantic import Field, model_validator

from regimen.spec.meta import Duration, KindStatus, Ref, Spec, Status, parse_duration
from regimen.spec.phases import RolloutPhase

GuardrailMetric = Literal["errorRate", "latencyP95", "falseDenialRate", "unparseableRate", "satisfaction"]


class Pause(Spec):
    """Wait."""

    duration: Duration = Field(description="How long.")


class Decide(Spec):
    """Wait for the analysis to decide."""


class Step(Spec):
    """One step; exactly one of its fields."""

    set_replicas: int | None = Field(None, ge=0, le=32, description="Candidate replicas; exchanged one at a time.")
    set_weight: float | None = Field(
        None, ge=0, le=100, description="Percent of subjects on the candidate; at most its share of the replicas."
    )
    pause: Pause | None = Field(None, description="Wait.")
    analysis: Decide | None = Field(None, description="Wait until the analysis decides: go on, or roll back.")

    @model_validator(mode="after")
    def _exactly_one(self) -> "Step":
        if sum(value is not None for value in (self.set_replicas, self.set_weight, self.pause, self.analysis)) != 1:
            raise ValueError("a step is exactly one of setReplicas, setWeight, pause, analysis")
        return self


class Strategy(Spec):
    """How replicas and traffic move."""

    capacity: Literal["Exchange", "Surge"] = Field(
        "Exchange",
        description="Exchange: free a stable replica, reuse its place. Surge: first add one where a place is free, else exchange.",
    )
    allow_outage: bool = Field(
        False,
        description="true: where minAvailable cannot be kept (one card, one replica), exchange all the same; requests wait meanwhile.",
    )
    steps: list[Step] = Field(min_length=1, max_length=64, description="Done in order; the last setReplicas must be all replicas.")


class Primary(Spec):
    """What decides."""

    metric: Literal["agreement"] = Field("agreement", description="Share of answers that agree with the experts.")
    evidence: Literal["Live"] = Field("Live", description="Live: labels of live answers of both arms.")


class Guardrail(Spec):
    """What must not get worse. Exactly one of max and maxIncrease (for satisfaction: maxDecrease)."""

    metric: GuardrailMetric = Field(description="What is watched.")
    max: float | None = Field(None, ge=0, description="Highest value allowed on the candidate (latencyP95 in milliseconds).")
    max_increase: float | None = Field(
        None, ge=0, description="Highest increase over the stable arm; of latencyP95 relative (0.10: 10 %), else absolute."
    )
    max_decrease: float | None = Field(None, ge=0, description="Highest decrease from the stable arm, for satisfaction.")
    min_samples: int = Field(50, ge=1, description="Samples per arm below which the guardrail does not speak.")

    @model_validator(mode="after")
    def _exactly_one_limit(self) -> "Guardrail":
        if sum(value is not None for value in (self.max, self.max_increase, self.max_decrease)) != 1:
            raise ValueError("a guardrail has exactly one of max, maxIncrease, maxDecrease")
        return self


class Analysis(Spec):
    """How the evidence is judged. Fixed before the test starts."""

    criterion: Literal["Better", "NotWorse"] = Field("Better", description="Better: more than stable. NotWorse: not less by margin.")
    primary: Primary = Field(default_factory=lambda: Primary(), description="What decides.")
    margin: float = Field(0, ge=0, le=1, description="NotWorse only: how much less still counts as not worse.")
    alpha: float = Field(0.05, gt=0, le=0.2, description="One-sided probability of promoting a version that is not better.")
    looks: int = Field(4, ge=1, le=20, description="How often the evidence is looked at, evenly spaced in information.")
    min_duration: Duration = Field("168h", description="No promotion before this.")
    max_duration: Duration = Field("336h", description="Undecided then: roll back, keep the evidence.")
    min_labelled_per_arm: int = Field(400, ge=10, description="Labelled answers of the smaller arm at which the last look is due.")
    guardrails: list[Guardrail] = Field(default_factory=list, max_length=16, description="What must not get worse.")

    @model_validator(mode="after")
    def _consistent(self) -> "Analysis":
        if self.margin and self.criterion == "Better":
            raise ValueError("analysis.margin belongs to criterion NotWorse; remove it or change the criterion")
        if parse_duration(self.min_duration) > parse_duration(self.max_duration):
            raise ValueError("analysis.minDuration is longer than maxDuration")
        return self


class ModelRolloutSpec(Spec):
    """Move service S to version Y. Immutable but for paused."""

    service_ref: Ref = Field(description="ModelService to move.")
    from_ref: Ref | None = Field(None, description="Precondition: the ModelVersion that must serve when it starts.")
    to_ref: Ref = Field(description="ModelVersion to move to.")
    strategy: Strategy = Field(description="How replicas and traffic move.")
    analysis: Analysis = Field(default_factory=lambda: Analysis(), description="How the evidence is judged.")
    rollback_budget: Duration = Field("5m", description="Longest time that a rollback may take; a step that would need more is not taken.")
    progress_deadline: Duration = Field("30m", description="Longest time for one replica to be exchanged; then roll back.")
    undo: bool = Field(
        False,
        description="true: return to a version that served before, at once and without analysis. `kubectl regimen rollout undo` makes it.",
    )
    paused: bool = Field(False, description="true: hold at the current step; guardrails still roll back.")


class Weight(Status):
    """The candidate's share of subjects, in percent."""

    requested: float = Field(0, description="As the steps ask.")
    actual: float = Field(0, description="As all routers have applied it.")
    measured: float | None = Field(None, description="Share of the requests so far under this rollout.")


class RollbackSeconds(Status):
    """How long a rollback takes, in seconds: one figure for the traffic, one for the capacity."""

    traffic_off: float = Field(description="Until no router sends the candidate anything new.")
    capacity_restored: float | None = Field(None, description="Until every replica is of the stable version, and ready.")


class ArmFigures(Status):
    """What is known of one arm."""

    version: str = Field(description="ModelVersion of the arm.")
    requests: int = Field(0, description="Requests answered.")
    errors: int = Field(0, description="Failed requests or attempts.")
    latency_p95_ms: float | None = Field(None, description="95th percentile of the answer time in milliseconds.")
    labelled: int = Field(0, description="Answers with an expert's label.")
    agreement: float | None = Field(None, description="Share of them that agree.")
    precision: float | None = Field(None, description="Of the label DENIED.")
    recall: float | None = Field(None, description="Of the label DENIED.")
    false_denial_rate: float | None = Field(None, description="Share of the experts' approvals that were denied.")
    satisfaction: float | None = Field(None, description="Mean satisfaction, 1 to 5.")


class Arms(Status):
    """Both arms side by side."""

    stable: ArmFigures | None = Field(None, description="The version that serves.")
    candidate: ArmFigures | None = Field(None, description="The version to move to.")


class Verdict(Status):
    """What the evidence says."""

    decision: Literal["Continue", "Promote", "RollBack"] = Field(description="What follows from the evidence.")
    effect: float | None = Field(None, description="Agreement of the candidate minus stable.")
    interval: list[float] = Field(default_factory=list, max_length=2, description="Repeated confidence interval of the effect.")
    look: int = Field(0, description="Looks taken.")
    information_fraction: float = Field(0, description="Share of the planned information, 0 to 1.")
    sample_ratio: Literal["Ok", "Mismatch", "Unknown"] = Field("Unknown", description="Whether subjects split as asked.")
    reason: str = Field("", max_length=1024, description="Why, in one sentence.")


class HistoryEntry(Status):
    """Something that happened."""

    step: int = Field(description="Index of the step.")
    at: str = Field(description="When, RFC 3339.")
    what: str = Field(max_length=512, description="What, in a few words.")


class ModelRolloutStatus(KindStatus):
    """How far the rollout is."""

    phase: RolloutPhase | None = Field(None, description="Where the rollout is in its life.")
    current_step: int | None = Field(None, description="Index of the step under way.")
    weight: Weight | None = Field(None, description="The candidate's share of subjects.")
    candidate_replicas: int | None = Field(None, description="Candidate replicas that are ready.")
    estimated_rollback_seconds: RollbackSeconds | None = Field(
        None, description="What a rollback would take from where the step under way leads, by drainTimeout and measured load times."
    )
    rollback_seconds: RollbackSeconds | None = Field(None, description="What the rollback took.")
    arms: Arms | None = Field(None, description="Both arms side by side.")
    verdict: Verdict | None = Field(None, description="What the evidence says.")
    history: list[HistoryEntry] = Field(default_factory=list, max_length=64, description="What happened, newest last.")
