"""TrainingDataset: turn business exports into an immutable revision of training data."""

from typing import Literal

from pydantic import Field, model_validator

from regimen.spec.artifacts import TaskFigures
from regimen.spec.meta import KindStatus, Label, Name, S3Uri, Spec, Status, Text
from regimen.spec.phases import DatasetPhase

TaskName = Literal["medicalAnalysis", "adjudication", "clinicalDocs"]


class CsvFile(Spec):
    """One CSV file in the bucket."""

    uri: S3Uri = Field(description="s3://bucket/key of a CSV file with a header row.")


class ColumnMapping(Spec):
    """A column under another name in the export."""

    name: str = Field(min_length=1, max_length=128, description="Column as Regimen names it, e.g. claim_amount.")
    from_: str = Field(alias="from", min_length=1, max_length=128, description="Column as the export names it, e.g. BilledAmt.")


class ClaimsSource(Spec):
    """Historical claims with their experts' decisions."""

    csv: list[CsvFile] = Field(min_length=1, max_length=64, description="Files to read, in order.")
    columns: list[ColumnMapping] = Field(default_factory=list, max_length=64, description="Columns whose names differ.")
    min_rows: int = Field(1000, ge=1, le=100_000_000, description="Fewer usable claims than this give a warning condition.")


class DocumentsSource(Spec):
    """Clinical dictations with the final documents."""

    csv: list[CsvFile] = Field(min_length=1, max_length=64, description="Files to read, in order.")
    columns: list[ColumnMapping] = Field(default_factory=list, max_length=64, description="Columns whose names differ.")
    min_quality: float = Field(0.7, ge=0, le=1, description="Rows whose quality_score is below this are left out.")


class Sources(Spec):
    """Where the business's data comes from; at least one."""

    claims: ClaimsSource | None = Field(None, description="Claims export, for medicalAnalysis and adjudication.")
    documents: DocumentsSource | None = Field(None, description="Clinical documents export, for clinicalDocs.")


class TaskOutput(Spec):
    """What kind of answer a task has."""

    type: Literal["Label", "Text"] = Field(description="Label: one of a fixed set. Text: free text.")
    labels: list[Label] = Field(default_factory=list, max_length=16, description="The answers of a Label task.")
    positive: Label | None = Field(None, description="The label whose precision and recall are reported, e.g. DENIED.")

    @model_validator(mode="after")
    def _labels_fit_type(self) -> "TaskOutput":
        if self.type == "Label" and (len(self.labels) < 2 or self.positive not in self.labels):
            raise ValueError("a Label task needs at least two labels, and positive must be one of them")
        if self.type == "Text" and (self.labels or self.positive):
            raise ValueError("labels and positive belong to Label tasks; remove them or set type: Label")
        return self


class DatasetTask(Spec):
    """One task that models are trained for."""

    name: TaskName = Field(description="medicalAnalysis, adjudication or clinicalDocs.")
    output: TaskOutput = Field(description="What kind of answer the task has.")


class Deidentify(Spec):
    """How identifiers are removed."""

    method: Literal["SafeHarbor"] = Field("SafeHarbor", description="Safe Harbor's identifier classes; not a certificate.")
    known_values: list[Text] = Field(
        default_factory=list,
        max_length=32,
        description="Extra columns whose values are scrubbed from every text of the same row.",
    )
    residual_scan: Literal["Fail", "Warn"] = Field("Fail", description="What an identifier that remains does to the revision.")


class Split(Spec):
    """How rows are held out."""

    test_fraction: float = Field(0.1, gt=0, lt=0.5, description="Share of rows held out for evaluation.")
    near_duplicates: float = Field(
        0.8, gt=0, le=1, description="Jaccard similarity from which two rows are near-duplicates and stay on one side."
    )
    seed: int = Field(42, ge=0, le=2**31 - 1, description="Seed of the split.")


class TrainingDatasetSpec(Spec):
    """Where claims and documents come from, how to de-identify and split them."""

    sources: Sources = Field(description="At least one of claims and documents.")
    tasks: list[DatasetTask] = Field(min_length=1, max_length=3, description="Tasks to prepare, each from its source.")
    deidentify: Deidentify = Field(default_factory=lambda: Deidentify(), description="How identifiers are removed.")
    split: Split = Field(default_factory=lambda: Split(), description="How rows are held out.")
    max_rejected_percent: float = Field(20, ge=0, le=100, description="More rejected rows than this fail the revision.")

    @model_validator(mode="after")
    def _each_task_has_its_source(self) -> "TrainingDatasetSpec":
        needs = {"medicalAnalysis": "claims", "adjudication": "claims", "clinicalDocs": "documents"}
        for index, task in enumerate(self.tasks):
            source = needs[task.name]
            if getattr(self.sources, source) is None:
                raise ValueError(f"tasks[{index}].name {task.name} needs sources.{source}; add it or remove the task")
        return self


class RowCounts(Status):
    """Rows of all sources together."""

    read: int = Field(description="Rows read.")
    used: int = Field(description="Rows used in at least one task.")
    rejected: int = Field(description="Rows rejected, for any reason.")


class TrainingDatasetStatus(KindStatus):
    """What became of the dataset."""

    phase: DatasetPhase | None = Field(None, description="Where the dataset is in its life.")
    revision: str | None = Field(None, description="Digest of the newest published revision.")
    previous_revision: str | None = Field(None, description="Digest of the one before it.")
    tasks: list[TaskFigures] = Field(default_factory=list, max_length=3, description="Rows per task.")
    rows: RowCounts | None = Field(None, description="Rows in and out.")
    report_uri: str | None = Field(None, alias="reportURI", description="Where the report lies.")


class DatasetRef(Spec):
    """A task of a dataset."""

    name: Name = Field(description="TrainingDataset in this namespace.")
    task: TaskName = Field(description="Task of that dataset.")
