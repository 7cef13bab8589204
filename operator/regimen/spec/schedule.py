"""RetrainSchedule: train and roll out again, every month."""

from typing import Literal

from pydantic import Field

from regimen.spec.dataset import DatasetRef
from regimen.spec.finetune import Borrow, Checkpoint, Evaluation, Method, Output, Placement, Window
from regimen.spec.meta import Cache, Duration, KindStatus, Ref, Spec, Status
from regimen.spec.phases import SchedulePhase
from regimen.spec.rollout import Analysis, Strategy


class Trigger(Spec):
    """When a due run is worth it."""

    min_new_rows: int = Field(200, ge=0, description="Training rows that the newest revision must have more than the last one used.")


class FineTuneTemplateSpec(Spec):
    """A FineTuneJob's spec, without what the schedule fills in: baseRef, datasetRef, version."""

    method: Method = Field(default_factory=lambda: Method(), description="How to train.")
    output: Output = Field(description="What files to make.")
    placement: Placement = Field(default_factory=lambda: Placement(), description="Where to train.")
    window: Window | None = Field(None, description="When training may run; without it, whenever the card is there.")
    borrow: Borrow = Field(default_factory=lambda: Borrow(), description="Whether to take the card from serving pods.")
    checkpoint: Checkpoint = Field(default_factory=lambda: Checkpoint(), description="How much work a lost pod may cost.")
    cache: Cache | None = Field(None, description="Where base weights are kept on the nodes; without it they are fetched for each pod.")
    evaluation: Evaluation = Field(default_factory=lambda: Evaluation(), description="How the result is judged.")
    max_duration: Duration = Field("6h", description="Longest time that one training Job may hold the card where there is no window.")
    backoff_limit: int = Field(3, ge=0, le=20, description="Retries of each stage after a failed pod.")


class FineTuneTemplate(Spec):
    """What each run trains."""

    spec: FineTuneTemplateSpec = Field(description="A FineTuneJob's spec without baseRef, datasetRef and version.")


class RolloutTemplateSpec(Spec):
    """A ModelRollout's spec, without what the schedule fills in: serviceRef, fromRef, toRef."""

    strategy: Strategy = Field(description="How replicas and traffic move.")
    analysis: Analysis = Field(default_factory=lambda: Analysis(), description="How the evidence is judged.")
    rollback_budget: Duration = Field("5m", description="Longest time that a rollback may take; a step that would need more is not taken.")
    progress_deadline: Duration = Field("30m", description="Longest time for one replica to be exchanged.")


class RolloutTemplate(Spec):
    """How each new version is rolled out."""

    spec: RolloutTemplateSpec = Field(description="A ModelRollout's spec without serviceRef, fromRef and toRef.")


class HistoryLimits(Spec):
    """How many ended runs are kept."""

    succeeded: int = Field(6, ge=0, le=100, description="FineTuneJobs that succeeded.")
    failed: int = Field(3, ge=0, le=100, description="FineTuneJobs that failed.")


class RetrainScheduleSpec(Spec):
    """Every month, with the new data, train and roll out."""

    schedule: str = Field(min_length=9, max_length=128, description="Cron expression of five fields.")
    time_zone: str = Field("UTC", max_length=64, description="IANA time zone of the schedule, e.g. America/Chicago.")
    suspend: bool = Field(False, description="true: start nothing new.")
    trigger: Trigger = Field(default_factory=lambda: Trigger(), description="When a due run is worth it.")
    base_ref: Ref = Field(description="ModelVersion whose 16-bit weights every run trains from; adapters never stack.")
    service_ref: Ref = Field(description="ModelService to roll out to.")
    dataset_ref: DatasetRef = Field(description="Dataset and task to train on.")
    fine_tune_template: FineTuneTemplate = Field(description="What each run trains.")
    rollout_policy: Literal["Automatic", "Manual"] = Field(
        "Automatic", description="Automatic: roll each new version out. Manual: train only."
    )
    rollout_template: RolloutTemplate = Field(description="How each new version is rolled out.")
    history_limits: HistoryLimits = Field(default_factory=lambda: HistoryLimits(), description="How many ended runs are kept.")


class ScheduledVersion(Status):
    """A version that a run made."""

    version: str = Field(description="Its ModelVersion.")
    at: str = Field(description="When the run started, RFC 3339.")
    outcome: str = Field(description="Phase of its rollout, or Trained where there is none.")


class RetrainScheduleStatus(KindStatus):
    """What the schedule did and will do."""

    phase: SchedulePhase | None = Field(None, description="Where the schedule is.")
    last_schedule_time: str | None = Field(None, description="Due time of the last run that was started or skipped.")
    next_schedule_time: str | None = Field(None, description="Due time of the next run.")
    active_job: str | None = Field(None, description="FineTuneJob under way.")
    active_rollout: str | None = Field(None, description="ModelRollout under way.")
    versions: list[ScheduledVersion] = Field(default_factory=list, max_length=100, description="Versions made, oldest first.")
