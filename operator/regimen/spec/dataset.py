"""TrainingDataset: turn business exports into an immutable revision of training data."""

from typing import Annotated, Literal

from pydantic import Field, model_validator

from regimen.spec.artifacts import TaskFigures
from regimen.spec.meta import KindStatus, Label, Name, Ref, S3Uri, SecretKeyRef, Spec, Status, Text
from regimen.spec.phases import DatasetPhase

TaskName = Annotated[str, Field(min_length=1, max_length=40, pattern=r"^[a-z][A-Za-z0-9]*$")]
ColumnName = Annotated[str, Field(min_length=1, max_length=128)]
SourceName = Literal["claims", "documents"]
OnFault = Literal["Fail", "Warn"]

OWN_TASKS: dict[str, tuple[SourceName, str]] = {
    "medicalAnalysis": ("claims", "medical_analysis"),
    "adjudication": ("claims", "final_decision"),
    "clinicalDocs": ("documents", "final_document"),
}
"""Tasks that need no more than their name: the source they read, and the column that the model learns to write."""


class CsvFile(Spec):
    """CSV files in the bucket."""

    uri: S3Uri = Field(
        description="s3://bucket/key of a CSV file with a header row, gzip or not; * and ? stand for several files: s3://business/raw/claims-*.csv."
    )


class SecretUrl(Spec):
    """A URL that nobody should read in a manifest."""

    secret_key_ref: SecretKeyRef = Field(description="Secret of this namespace, and its key that holds the URL.")


class SqlQuery(Spec):
    """A query against a database, read as a stream."""

    url_from: SecretUrl = Field(description="Where the SQLAlchemy URL is, e.g. postgresql+psycopg://user:password@host/database.")
    query: str = Field(min_length=8, max_length=8192, description="One SELECT whose columns are the export's.")


class ColumnMapping(Spec):
    """A column under another name in the export."""

    name: ColumnName = Field(description="Column as Regimen names it, e.g. claim_amount.")
    from_: ColumnName = Field(alias="from", description="Column as the export names it, e.g. BilledAmt.")


class SourceSplit(Spec):
    """What rows of a source must stay together, and by what their shares are kept."""

    group_by: list[ColumnName] = Field(
        default_factory=list, max_length=8, description="Rows with the same values here stay on one side: a policy, a patient."
    )
    stratify_by: ColumnName | None = Field(
        None, description="Column whose values are held out to the same share. Default: final_decision, or document_type."
    )


class ClaimsSplit(SourceSplit):
    """The same, by policy unless something else is said."""

    group_by: list[ColumnName] = Field(
        default_factory=lambda: ["policy_id"],
        max_length=8,
        description="Rows with the same values here stay on one side: a policy, a patient.",
    )


class Source(Spec):
    """An export: CSV files or one query."""

    csv: list[CsvFile] = Field(default_factory=list, max_length=64, description="Files to read, in order. Either csv or sql.")
    sql: SqlQuery | None = Field(None, description="A query to read. Either csv or sql.")
    golden: list[CsvFile] = Field(
        default_factory=list, max_length=16, description="Files whose rows are always held out, in every revision; the same columns."
    )
    columns: list[ColumnMapping] = Field(default_factory=list, max_length=64, description="Columns whose names differ.")
    on_few_rows: OnFault = Field("Warn", description="What fewer rows than the stated minimum do: a warning condition, or no revision.")

    @model_validator(mode="after")
    def _one_origin(self) -> "Source":
        if bool(self.csv) == (self.sql is not None):
            raise ValueError("exactly one of csv and sql says where the rows come from; write one, remove the other")
        return self


class ClaimsSource(Source):
    """Historical claims with their experts' decisions."""

    min_rows: int = Field(1000, ge=1, le=100_000_000, description="Usable claims that there should be.")
    split: ClaimsSplit = Field(default_factory=lambda: ClaimsSplit(), description="What stays together when rows are held out.")


class TypeMinimum(Spec):
    """How many documents of a type there should be."""

    type: Text = Field(description="A value of document_type.")
    rows: int = Field(ge=1, le=100_000_000, description="Usable rows of it.")


class DocumentsSource(Source):
    """Clinical dictations with the final documents."""

    min_quality: float = Field(
        0.7, ge=0, le=1, description="Rows whose quality_score is below this are left out; 0: no such column is needed."
    )
    min_rows_by_type: list[TypeMinimum] = Field(
        default_factory=list, max_length=32, description="Usable documents of each type that there should be."
    )
    split: SourceSplit = Field(
        default_factory=lambda: SourceSplit(),
        description="What stays together when rows are held out. Without groupBy only near-duplicates do, with a warning.",
    )


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


class Prompt(Spec):
    """What the model is asked. `{{ column }}` stands for a column's value, and for nothing more."""

    system: str = Field("", max_length=8192, description="The system message; {{ labels }} lists the labels of a Label task.")
    user: str = Field(min_length=1, max_length=16384, description="The user's message, e.g. Write a {{ document_type }}: {{ dictation }}")


class DatasetTask(Spec):
    """One task that models are trained for."""

    name: TaskName = Field(
        description="medicalAnalysis, adjudication, clinicalDocs, or a name of your own with source, completion and prompt."
    )
    output: TaskOutput = Field(description="What kind of answer the task has.")
    source: SourceName | None = Field(None, description="Where its rows come from: claims or documents. The three tasks above know it.")
    completion: ColumnName | None = Field(None, description="Column that the model learns to write. The three tasks above know it.")
    prompt: Prompt | None = Field(None, description="What the model is asked, in place of the prompt that the trainer has for the task.")

    @model_validator(mode="after")
    def _own_or_whole(self) -> "DatasetTask":
        given = (self.source, self.completion)
        if self.name in OWN_TASKS and any(given):
            raise ValueError(f"{self.name} has its source and completion; remove them, or give the task another name")
        if self.name not in OWN_TASKS and not (all(given) and self.prompt):
            raise ValueError(f"{self.name} is none of {', '.join(OWN_TASKS)}; a task of your own needs source, completion and prompt")
        return self

    @property
    def reads(self) -> SourceName:
        """The source whose rows it is made from."""
        return self.source or OWN_TASKS[self.name][0]

    @property
    def writes(self) -> str:
        """The column that the model learns to write."""
        return self.completion or OWN_TASKS[self.name][1]


class Deidentify(Spec):
    """How identifiers are removed."""

    method: Literal["SafeHarbor", "None"] = Field(
        "SafeHarbor", description="SafeHarbor: the rule's identifier classes, which is no certificate. None: the texts as they are."
    )
    attestation: Text | None = Field(
        None,
        description="With method None: who says, and on what ground, that these texts need no de-identification. Goes into the report.",
    )
    known_values: list[Text] = Field(
        default_factory=list,
        max_length=32,
        description="Extra columns whose values are scrubbed from every text of the same row; a source without the column is left as it is.",
    )
    residual_scan: OnFault = Field("Fail", description="What an identifier that may remain does to the revision.")
    review_sample: int = Field(50, ge=0, le=1000, description="De-identified texts in the report, for people to read.")

    @model_validator(mode="after")
    def _attested(self) -> "Deidentify":
        if (self.method == "None") != (self.attestation is not None):
            raise ValueError("method None needs an attestation of who says that the texts are de-identified, and only None takes one")
        return self


class Split(Spec):
    """How rows are held out."""

    test_fraction: float = Field(0.1, gt=0, lt=0.5, description="Share of rows held out for evaluation.")
    near_duplicates: float = Field(
        0.8, ge=0.5, le=1, description="Jaccard similarity of word 3-grams from which two rows are near-duplicates and stay on one side."
    )
    seed: int = Field(42, ge=0, le=2**31 - 1, description="Seed of the split.")


class Tokens(Spec):
    """By what the rows' lengths are measured."""

    base_ref: Ref = Field(description="ModelVersion whose weights bring the tokenizer.")
    max_length: int = Field(2048, ge=16, le=131072, description="Tokens that training keeps; the report says how many rows are longer.")


class Refresh(Spec):
    """When the sources are read again. Without it: whenever a file changes."""

    schedule: str = Field(min_length=9, max_length=128, description="Cron expression of five fields, e.g. 0 1 * * *.")
    time_zone: str = Field("UTC", max_length=64, description="IANA time zone of the schedule, e.g. America/Chicago.")


class TrainingDatasetSpec(Spec):
    """Where claims and documents come from, how to de-identify and split them."""

    sources: Sources = Field(description="At least one of claims and documents.")
    tasks: list[DatasetTask] = Field(min_length=1, max_length=8, description="Tasks to prepare, each from its source.")
    deidentify: Deidentify = Field(default_factory=lambda: Deidentify(), description="How identifiers are removed.")
    split: Split = Field(default_factory=lambda: Split(), description="How rows are held out.")
    max_rejected_percent: float = Field(20, ge=0, le=100, description="More rejected rows than this fail the revision.")
    tokens: Tokens | None = Field(None, description="Measure token lengths; without it the report has none.")
    refresh: Refresh | None = Field(None, description="When to read the sources again; a new revision only if something changed.")

    @model_validator(mode="after")
    def _each_task_has_its_source(self) -> "TrainingDatasetSpec":
        for index, task in enumerate(self.tasks):
            if getattr(self.sources, task.reads) is None:
                raise ValueError(f"tasks[{index}].name {task.name} needs sources.{task.reads}; add it or remove the task")
        return self

    @model_validator(mode="after")
    def _sql_is_refreshed(self) -> "TrainingDatasetSpec":
        for name in ("claims", "documents"):
            source: Source | None = getattr(self.sources, name)
            if source is not None and source.sql is not None and self.refresh is None:
                raise ValueError(f"sources.{name}.sql needs refresh: a database does not say when its rows changed; write a schedule")
        return self


class RowCounts(Status):
    """Rows of all sources together."""

    read: int = Field(description="Rows read.")
    used: int = Field(description="Rows used in at least one task.")
    rejected: int = Field(description="Rows rejected or left out, for any reason.")


class TrainingDatasetStatus(KindStatus):
    """What became of the dataset."""

    phase: DatasetPhase | None = Field(None, description="Where the dataset is in its life.")
    revision: str | None = Field(None, description="Digest of the newest published revision.")
    previous_revision: str | None = Field(None, description="Digest of the one before it.")
    tasks: list[TaskFigures] = Field(default_factory=list, max_length=8, description="Rows per task.")
    rows: RowCounts | None = Field(None, description="Rows in and out.")
    report_uri: str | None = Field(None, alias="reportURI", description="Where the report lies.")
    next_refresh: str | None = Field(None, description="When the sources are read again, RFC 3339.")


class DatasetRef(Spec):
    """A task of a dataset."""

    name: Name = Field(description="TrainingDataset in this namespace.")
    task: TaskName = Field(description="Task of that dataset.")
