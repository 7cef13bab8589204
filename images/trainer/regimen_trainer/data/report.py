"""The report of a dataset revision: one document of numbers and de-identified texts, and the page that people read.

    Report ─ summary, attention (sentences) ─ plots (geometry) ─ templates/dataset_report.html.jinja

Knows the classes of identifiers by their descriptions and nothing of how data is prepared. The page is one file without network or scripts. It says what de-identification looked for and
never that the data is free of identifiers: no program can know that.
"""

import re
from collections import Counter
from collections.abc import Iterable, Mapping
from typing import Literal

from jinja2 import Environment, PackageLoader
from markupsafe import Markup, escape
from pydantic import BaseModel, ConfigDict, Field
from pydantic.alias_generators import to_camel

from regimen_trainer.data.plots import Histogram, histogram, stacked
from regimen_trainer.deid import CLASSES

Side = Literal["train", "test", "golden"]
SIDES: dict[Side, str] = {"train": "training", "test": "held out", "golden": "golden"}
MOST_LABELS, MOST_PAIRS = 12, 50
"""More labels than this share one bar, more pairs are only in report.json: a page of thousands is not read."""
TRUNCATED_WORTH_SAYING, SHARE_WORTH_SAYING = 1.0, 10.0
"""Percent of truncated rows, and points between the shares of a label in training and held out, from which people should look."""

REASONS = {
    "duplicate": "the same row stands earlier in the export",
    "repeated claim_id": "an earlier row has this claim_id with other content",
    "pending": "the claim is not decided yet, so there is no decision to learn",
    "low quality": "its quality score is below the minimum asked for",
}
TAG = re.compile(r"\[[A-Z][A-Za-z0-9 _:/-]{0,40}\]")
"""What stands where an identifier was; `[INST]` and the like are marked too, which harms nobody."""


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


def render(report: Report) -> str:
    """The page."""
    environment = Environment(loader=PackageLoader("regimen_trainer"), autoescape=True, trim_blocks=True, lstrip_blocks=True)
    environment.filters |= {"number": number, "tagged": tagged, "plural": plural}
    page = environment.get_template("dataset_report.html.jinja")
    return page.render(
        report=report, summary=summary(report), attention=attention(report), classes_of=classes_of, sides=SIDES, most_pairs=MOST_PAIRS,
        percent=percent, explained=explained, stacked=stacked, rows_of=rows_of, labels_of=labels_of, histogram_of=histogram_of,
    )  # fmt: skip


def summary(report: Report) -> list[str]:
    """What came in, what is used, what was left out and why."""
    if not report.read:
        return ["No rows came in."]
    each = " and ".join(f"{number(source.read)} from {source.name}" for source in report.sources)
    told = [
        f"{plural(report.read, 'row')} came in: {each}.",
        f"{number(report.used)} of them ({percent(report.used, report.read)}) are used.",
        *_not_used(report),
        *_tasks(report),
        *_repeats(report),
    ]
    removed = sum(report.deidentification.removed.values())
    if removed:
        changed = plural(report.deidentification.rows_changed, "row")
        told.append(f"{plural(removed, 'identifier was', 'identifiers were')} found in {changed} and replaced by tags.")
    return told


def _not_used(report: Report) -> Iterable[str]:
    """Sentences on rows that came in and are not used."""
    left, rejected = (sum(_total(getattr(source, kind) for source in report.sources).values()) for kind in ("left_out", "rejected"))
    kept_back = sum(source.quarantined for source in report.sources)
    if left or rejected:
        reasons = _total(table for source in report.sources for table in (source.left_out, source.rejected))
        often = ", ".join(f"{reason} ({number(count)})" for reason, count in reasons.most_common(3))
        yield f"{plural(left, 'row was', 'rows were')} left out by choice and {number(rejected)} rejected as unusable. Most often: {often}."
    if kept_back:
        yield f"{plural(kept_back, 'row is', 'rows are')} kept back because an identifier may remain."


def _tasks(report: Report) -> Iterable[str]:
    for task in report.tasks:
        golden = f", {number(task.golden)} more are the golden set" if task.golden else ""
        yield f"{task.name}: {plural(task.train, 'row')} to train on, {number(task.test)} held out to judge models by{golden}."


def _repeats(report: Report) -> Iterable[str]:
    found = report.duplicates
    if found.exact:
        yield f"{plural(found.exact, 'row repeats', 'rows repeat')} another one exactly; each text is used once."
    if found.near_pairs:
        pairs = plural(found.near_pairs, "pair of rows is", "pairs of rows are")
        yield f"{pairs} nearly the same; the largest group of such rows has {number(found.largest)}."


def attention(report: Report) -> list[str]:
    """What somebody should look at, most pressing first. Also fit for a status: plain sentences without values of rows."""
    residual = sum(report.deidentification.residual.values())
    kept_back = sum(source.quarantined for source in report.sources)
    return [
        *([f"{plural(residual, 'passage')} may still hold an identifier. Look into this before the data is used."] if residual else []),
        *([f"{plural(kept_back, 'row is', 'rows are')} quarantined. Correct them in the export or drop them there."] if kept_back else []),
        *(
            f"{source.name}: {number(entry.asked)} {entry.what} were asked for, {number(entry.found)} were found."
            for source in report.sources
            for entry in source.minimum
            if entry.found < entry.asked
        ),
        *(
            f"{source.name}: the rows read differ by {number(abs(source.unexplained))} from those used, left out, rejected and quarantined."
            for source in report.sources
            if source.unexplained
        ),
        *_leaks(report),
        *(sentence for task in report.tasks for sentence in _task_attention(task, report.split is not None)),
        *report.warnings,
    ]


def _leaks(report: Report) -> Iterable[str]:
    across = sum(len(set(pair.sides)) > 1 for pair in report.duplicates.pairs)
    if across:
        pairs = plural(across, "pair of near-duplicates lies", "pairs of near-duplicates lie")
        yield f"{pairs} on different sides of the split, so that figures on held-out rows may flatter a model."


def _task_attention(task: TaskReport, is_split: bool) -> Iterable[str]:
    """Sentences on a task whose sides are empty or unlike each other, or whose rows are cut."""
    if is_split and not task.test:
        yield f"{task.name}: no row is held out, so models of it cannot be judged."
    if task.tokens and task.tokens.truncated_percent >= TRUNCATED_WORTH_SAYING:
        yield (
            f"{task.name}: {task.tokens.truncated_percent:.1f} % of the rows are longer than {number(task.tokens.limit)} tokens and are cut."
        )
    train, test = (task.mix.get(side, {}) for side in ("train", "test"))
    if not train or not test:
        return
    for label in test:
        if label not in train:
            yield f"{task.name}: {label} is held out but never trained on."
    for label in train:
        shares = [100 * side.get(label, 0) / max(1, sum(side.values())) for side in (train, test)]
        if abs(shares[0] - shares[1]) >= SHARE_WORTH_SAYING:
            yield f"{task.name}: {label} is {shares[0]:.0f} % of the training rows but {shares[1]:.0f} % of the held-out ones."


def explained(reason: str) -> str:
    """A reason in plain words; nothing where the reason says it all."""
    if reason.startswith("invalid "):
        return f"{reason.removeprefix('invalid ')} is empty or cannot be read"
    return REASONS.get(reason, "")


def classes_of(found: Deidentification) -> list[tuple[str, str, str]]:
    """Letter of the rule, name and plain description of each class that was found, in the rule's order; columns' own names come last."""
    names = found.removed.keys() | found.residual.keys()
    known = sorted((CLASSES[name].letter, name, CLASSES[name].description) for name in names if name in CLASSES)
    return [*known, *(("", name, "values of this column of the row") for name in sorted(names - CLASSES.keys()))]


def rows_of(source: SourceReport) -> dict[str, int]:
    """What a source's bar shows, in order."""
    return {
        "used": source.used,
        "left out": sum(source.left_out.values()),
        "rejected": sum(source.rejected.values()),
        "quarantined": source.quarantined,
        "unexplained": max(0, source.unexplained),
    }


def labels_of(task: TaskReport) -> dict[str, dict[Side, int]]:
    """Rows per label and side, most frequent label first; the rare ones of many together."""
    every = _total(task.mix.values())
    names = [name for name, _ in every.most_common()]
    shown = names if len(names) <= MOST_LABELS else names[: MOST_LABELS - 1]
    table = {name: {side: mix.get(name, 0) for side, mix in task.mix.items()} for name in shown}
    if rest := names[len(shown) :]:
        table[f"{number(len(rest))} others"] = {side: sum(mix.get(name, 0) for name in rest) for side, mix in task.mix.items()}
    return table


def histogram_of(tokens: TokenLengths) -> Histogram:
    return histogram([(entry.low, entry.high, entry.rows) for entry in tokens.histogram], tokens.limit)


def number(value: float) -> str:
    """Thousands set apart.

    >>> number(12480)
    '12,480'
    """
    return f"{value:,}"


def percent(part: float, whole: float) -> str:
    """A share with one decimal that never rounds something to nothing, or nearly all to all.

    >>> percent(1, 8), percent(1, 100_000), percent(99_999, 100_000), percent(5, 5)
    ('12.5 %', 'under 0.1 %', 'over 99.9 %', '100 %')
    """
    if part == whole:
        return "100 %" if whole else "0 %"
    share = 100 * part / max(1, whole)
    if 0 < share < 0.1:
        return "under 0.1 %"
    return "over 99.9 %" if 99.9 < share < 100 else f"{share:.1f} %"


def plural(count: int, one: str, many: str = "") -> str:
    """A number with its noun, and with its verb where `many` says how that changes.

    >>> plural(1, "row"), plural(1200, "row"), plural(2, "row is", "rows are")
    ('1 row', '1,200 rows', '2 rows are')
    """
    return f"{number(count)} {one if count == 1 else many or one + 's'}"


def tagged(text: str) -> Markup:
    """Text, escaped, with the tags that stand for identifiers marked."""
    end, pieces = 0, []
    for found in TAG.finditer(text):
        pieces += [escape(text[end : found.start()]), Markup("<mark>{}</mark>").format(found.group())]
        end = found.end()
    return Markup("").join([*pieces, escape(text[end:])])


def _total(tables: Iterable[Mapping[str, int]]) -> Counter[str]:
    total: Counter[str] = Counter()
    for table in tables:
        total.update(table)
    return total
