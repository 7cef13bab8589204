"""The document of a dataset revision: numbers and de-identified texts, as report.json has them.

    Report ─ sentences (summary, attention) ─ page (plots, templates/dataset_report.html.jinja)

Knows nothing of how data is prepared nor of how it is shown.
"""

from collections import Counter
from collections.abc import Iterable, Mapping
from typing import Literal

from pydantic import BaseModel, ConfigDict, Field
from pydantic.alias_generators import to_camel

Side = Literal["train", "test", "golden"]


class Model(BaseModel):
    """A part of the report. Frozen, camelCase outside, no silent conversions, unknown fields refused."""

    model_config = ConfigDict(alias_generator=to_camel, populate_by_name=True, extra="forbid", frozen=True, strict=True)


class Minimum(Model):
    """A number of rows that was asked for."""

    what: str = Field(description="What there should be enough of, e.g. usable claims.")
    asked: int
    found: int


class SourceReport(Model):
    """What became of a source's rows: read = used + left out + rejected + quarantined."""

    name: str
    read: int
    used: int
    left_out: dict[str, int] = Field(default_factory=dict, description="Sound rows that are not used by choice, by reason.")
    rejected: dict[str, int] = Field(default_factory=dict, description="Rows that cannot be used, by reason.")
    quarantined: int = Field(0, description="Rows kept back because an identifier may remain in them.")
    by_type: dict[str, int] = Field(default_factory=dict, description="Used rows by what they are: decision, document type.")
    minimum: list[Minimum] = Field(default_factory=list)

    @property
    def unexplained(self) -> int:
        return self.read - self.used - sum(self.left_out.values()) - sum(self.rejected.values()) - self.quarantined


class Bin(Model):
    """Rows of `low` tokens or more and fewer than `high`."""

    low: int
    high: int
    rows: int


class TokenLengths(Model):
    """How long a task's rows are, prompt and completion together."""

    tokenizer: str = Field(description="What counted the tokens.")
    p50: int
    p95: int
    max: int
    limit: int = Field(description="Tokens that a model is trained on; what is longer is cut.")
    truncated_percent: float
    histogram: list[Bin] = Field(default_factory=list)


class TaskReport(Model):
    """What a revision holds for a task."""

    name: str
    train: int
    test: int = 0
    golden: int = Field(0, description="Rows of the fixed set that every revision keeps apart.")
    mix: dict[Side, dict[str, int]] = Field(default_factory=dict, description="Rows by label or document type, per side.")
    tokens: TokenLengths | None = None


class ClusterSize(Model):
    """How many clusters of near-duplicates have this many rows."""

    size: int
    count: int


class Pair(Model):
    """Two rows that are nearly the same, each named `file:row`, and the sides that they are on."""

    source: str
    left: str
    right: str
    similarity: float
    sides: list[Side] = Field(default_factory=list)


class Duplicates(Model):
    """Rows that repeat other rows."""

    exact: int = 0
    near_pairs: int = 0
    clusters: list[ClusterSize] = Field(default_factory=list)
    largest: int = Field(0, description="Rows of the largest cluster.")
    pairs: list[Pair] = Field(default_factory=list)


class Deidentification(Model):
    """What was found and replaced, by class; counts and never values."""

    removed: dict[str, int] = Field(default_factory=dict)
    residual: dict[str, int] = Field(default_factory=dict, description="What the scan afterwards still took for an identifier.")
    rows_changed: int = 0


class SplitReport(Model):
    """How rows were held out."""

    seed: int
    test_fraction: float
    near_duplicates: float = Field(description="Similarity from which two rows stay on one side.")


class QuarantinedRow(Model):
    """A row that is kept back, without its text."""

    source: str
    row: str = Field(description="file:row, to find it in the export.")
    reason: str


class Sample(Model):
    """A row as a model is taught it."""

    task: str
    id: str
    prompt: str
    completion: str


class ReviewText(Model):
    """A de-identified text for a person to read."""

    source: str
    id: str
    column: str
    text: str


class Report(Model):
    """All that is said of a revision."""

    title: str
    digest: str
    previous_digest: str | None = None
    sources: list[SourceReport] = Field(default_factory=list)
    tasks: list[TaskReport] = Field(default_factory=list)
    duplicates: Duplicates = Field(default_factory=Duplicates)
    deidentification: Deidentification = Field(default_factory=Deidentification)
    split: SplitReport | None = None
    quarantine: list[QuarantinedRow] = Field(default_factory=list)
    warnings: list[str] = Field(default_factory=list, description="What the numbers of this document do not tell by themselves.")
    samples: list[Sample] = Field(default_factory=list)
    review: list[ReviewText] = Field(default_factory=list)

    @property
    def read(self) -> int:
        return sum(source.read for source in self.sources)

    @property
    def used(self) -> int:
        return sum(source.used for source in self.sources)


def total(tables: Iterable[Mapping[str, int]]) -> Counter[str]:
    added: Counter[str] = Counter()
    for table in tables:
        added.update(table)
    return added
