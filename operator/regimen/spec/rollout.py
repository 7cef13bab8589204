"""ModelRollout: move a service to another version by steps and evidence."""

from typing import Literal

from pydantic import Field, model_validator

from regimen.spec.dataset import DatasetRef
from regimen.spec.meta import Duration, KindStatus, Label, Name, Ref, Spec, Status, parse_duration
from regimen.spec.phases import RolloutPhase

PrimaryMetric = Literal[
    "agreement", "precision", "recall", "falseDenialRate", "falseApprovalRate", "unparseableRate", "acceptance", "editRate"
]
Metric = Literal[
    "agreement", "precision", "recall", "falseDenialRate", "falseApprovalRate", "unparseableRate", "acceptance", "editRate", "satisfaction",
    "errorRate", "latencyP50", "latencyP95", "latencyP99", "timeToFirstTokenP95",
]  # fmt: skip
MORE_IS_BETTER: tuple[str, ...] = ("agreement", "precision", "recall", "acceptance", "satisfaction")
PAIRED_METRICS: tuple[str, ...] = ("agreement",)
"""What can be compared case by case: both versions' answers to a case are right or wrong."""


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

    metric: PrimaryMetric = Field(
        "agreement",
        description="agreement, precision, recall, falseDenialRate, falseApprovalRate, unparseableRate of label tasks; "
        "acceptance and editRate of text tasks. Of rates and editRate, less is better.",
    )
    evidence: Literal["Paired", "Live"] = Field(
        "Live",
        description="Live: experts' labels of a random sample of live answers. Paired: cases labelled since training, answered by both "
        "versions and compared case by case; decides with far fewer labels (agreement only).",
    )
    dataset_ref: DatasetRef | None = Field(None, description="Paired only: dataset and task whose newer revisions have the cases.")

    @model_validator(mode="after")
    def _paired(self) -> "Primary":
        if (self.evidence == "Paired") != (self.dataset_ref is not None):
            raise ValueError("primary.datasetRef belongs to evidence Paired, which needs it; add it or change the evidence")
        if self.evidence == "Paired" and self.metric not in PAIRED_METRICS:
            raise ValueError(f"primary.metric: Paired evidence compares {', '.join(PAIRED_METRICS)}, not {self.metric}; use evidence Live")
        return self


LIMITS = f"maxDecrease belongs to {', '.join(MORE_IS_BETTER)}, of which more is better; the others take max or maxIncrease"


class Prometheus(Spec):
    """A figure from the Prometheus server that the chart names."""

    query: str = Field(min_length=1, max_length=2048, description="PromQL that gives one number: a scalar, or a vector of one series.")


class Guardrail(Spec):
    """What must not get worse: a metric of the arms with exactly one of max, maxIncrease and maxDecrease, or a Prometheus query with max."""

    name: Name | None = Field(None, description="What a Prometheus query is called in messages.")
    metric: Metric | None = Field(None, description="What is watched.")
    prometheus: Prometheus | None = Field(None, description="Watch this instead of a metric of the arms.")
    max: float | None = Field(
        None, ge=0, description="Highest value allowed on the candidate, of latencies in milliseconds; or that the query may give."
    )
    max_increase: float | None = Field(
        None, ge=0, description="Highest increase over the stable arm; of latencies relative (0.10: 10 %), else absolute."
    )
    max_decrease: float | None = Field(
        None, ge=0, description="Highest decrease from the stable arm, of what is better when higher: agreement, acceptance, satisfaction."
    )
    bound: Literal["Point", "Harm"] | None = Field(
        None,
        description="Point: an estimate beyond the limit rolls back. Harm: only a sequential bound that shows it does, and until then an "
        "estimate beyond the limit holds promotion back. By default Harm for what people say of answers, Point for the rest.",
    )
    min_samples: int = Field(50, ge=1, description="Samples per arm below which the guardrail does not speak.")

    @property
    def label(self) -> str:
        """What it is called in messages."""
        return self.metric or self.name or "guardrail"

    @model_validator(mode="after")
    def _one_source_one_limit(self) -> "Guardrail":
        if sum(value is not None for value in (self.max, self.max_increase, self.max_decrease)) != 1:
            raise ValueError("a guardrail has exactly one of max, maxIncrease, maxDecrease")
        if self.metric is not None and (self.metric in MORE_IS_BETTER) != (self.max_decrease is not None):
            raise ValueError(LIMITS)
        if (self.metric is None) == (self.prometheus is None):
            raise ValueError("a guardrail has exactly one of metric and prometheus")
        if (self.name is None) != (self.prometheus is None):
            raise ValueError("a guardrail with prometheus needs a name, and only it takes one")
        if self.prometheus is not None and (self.max is None or self.bound == "Harm"):
            raise ValueError("a guardrail with prometheus takes max and bound Point only: a query has no arms and no sample size")
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
    min_labelled_per_arm: int = Field(
        400, ge=10, description="Live: answers of the smaller arm that the metric is measured on at which the last look is due."
    )
    min_pairs: int = Field(700, ge=20, description="Paired: cases answered by both versions at which the last look is due.")
    positive: Label = Field("DENIED", description="Label of which precision, recall, false denials and false approvals speak.")
    guardrails: list[Guardrail] = Field(default_factory=list, max_length=16, description="What must not get worse.")

    @model_validator(mode="after")
    def _consistent(self) -> "Analysis":
        if self.margin and self.criterion == "Better":
            raise ValueError("analysis.margin belongs to criterion NotWorse; remove it or change the criterion")
        if parse_duration(self.min_duration) > parse_duration(self.max_duration):
            raise ValueError("analysis.minDuration is longer than maxDuration")
        return self

    @property
    def planned(self) -> int:
        """Samples at which the last look is due."""
        return self.min_pairs if self.primary.evidence == "Paired" else self.min_labelled_per_arm


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
    latency_p50_ms: float | None = Field(None, description="Median of the answer time in milliseconds.")
    latency_p95_ms: float | None = Field(None, description="95th percentile of the answer time in milliseconds.")
    latency_p99_ms: float | None = Field(None, description="99th percentile of the answer time in milliseconds.")
    time_to_first_token_p95_ms: float | None = Field(None, description="95th percentile of the time to the first token in milliseconds.")
    labelled: int = Field(0, description="Answers of the audit sample with an expert's label.")
    label_coverage: float | None = Field(None, description="Share of the answers drawn for audit that experts labelled.")
    agreement: float | None = Field(None, description="Share of them that agree.")
    precision: float | None = Field(None, description="Of the positive label.")
    recall: float | None = Field(None, description="Of the positive label.")
    false_denial_rate: float | None = Field(
        None, description="Of what experts gave another label, the share answered with the positive one."
    )
    false_approval_rate: float | None = Field(None, description="Of what experts gave the positive label, the share answered otherwise.")
    unparseable_rate: float | None = Field(None, description="Share of labelled answers that name no label.")
    acceptance: float | None = Field(None, description="Share of drafts that reviewers accepted.")
    edit_rate: float | None = Field(None, description="Mean share of a draft that reviewers changed.")
    satisfaction: float | None = Field(None, description="Mean satisfaction, 1 to 5.")


class Arms(Status):
    """Both arms side by side."""

    stable: ArmFigures | None = Field(None, description="The version that serves.")
    candidate: ArmFigures | None = Field(None, description="The version to move to.")


class Power(Status):
    """What the test can show, and whether the time allowed is enough."""

    detectable: float | None = Field(None, description="Smallest true difference that the planned evidence shows with 80 % power.")
    by: str | None = Field(None, description="When the planned evidence will be there at the rate at which labels came so far, RFC 3339.")
    enough: bool | None = Field(None, description="Whether that is before maxDuration ends; absent where the rate is not known yet.")
    note: str = Field("", max_length=1024, description="The same in a sentence, with what would be enough.")


class GuardrailReading(Status):
    """What a guardrail says."""

    name: str = Field(description="Its metric, or the name of its Prometheus query.")
    state: Literal["Within", "Beyond", "Broken", "Silent"] = Field(
        description="Beyond: the estimate holds promotion back. Broken: rolls back. Silent: too few samples, which holds promotion back."
    )
    message: str = Field(max_length=256, description="The figures.")


class Verdict(Status):
    """What the evidence says."""

    decision: Literal["Continue", "Promote", "RollBack"] = Field(description="What follows from the evidence.")
    effect: float | None = Field(None, description="The primary metric of the candidate minus that of stable.")
    interval: list[float] = Field(default_factory=list, max_length=2, description="Repeated confidence interval of the effect.")
    look: int = Field(0, description="Looks taken.")
    information_fraction: float = Field(0, description="Share of the planned information, 0 to 1.")
    sample_ratio: Literal["Ok", "Mismatch", "Unknown"] = Field("Unknown", description="Whether subjects split as asked.")
    labels: Literal["Ok", "Uneven", "Unknown"] = Field(
        "Unknown", description="Whether both arms' answers get labels alike; Uneven holds promotion back."
    )
    guardrails: list[GuardrailReading] = Field(default_factory=list, max_length=16, description="What each guardrail says.")
    reason: str = Field("", max_length=1024, description="Why, in one sentence.")


class CommandResult(Status):
    """What became of a person's command (an annotation that carries a nonce)."""

    nonce: str = Field(max_length=64, description="As the command said.")
    do: str = Field(max_length=32, description="What was asked for.")
    at: str = Field(description="When it was taken up, RFC 3339.")
    accepted: bool = Field(description="Whether it was carried out.")
    message: str = Field(max_length=512, description="What was done, or why not.")


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
    power: Power | None = Field(None, description="What the test can show in the time allowed.")
    arms: Arms | None = Field(None, description="Both arms side by side.")
    verdict: Verdict | None = Field(None, description="What the evidence says.")
    command: CommandResult | None = Field(None, description="The last command by annotation.")
    report_uri: str | None = Field(None, description="s3:// address of the HTML report, once the rollout has ended.")
    history: list[HistoryEntry] = Field(default_factory=list, max_length=64, description="What happened, newest last.")
