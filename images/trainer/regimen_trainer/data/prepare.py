"""From exports to the files of a revision, on local disk. Publication is `publish`; the command line stops here.

    read ─ validate ─ dedupe ─ de-identify ─ scan ─ split ─ write

Rows are counted at each step by a reason that names a column or a rule, never a value.
"""

import csv
import json
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from regimen.spec.artifacts import TaskFigures
from regimen.spec.dataset import ClaimsSource, DatasetTask, DocumentsSource, TrainingDatasetSpec
from regimen_trainer.data import rows
from regimen_trainer.data.deidentify import Scrubber
from regimen_trainer.data.rows import PENDING, Row, fingerprint, read_records, validate
from regimen_trainer.data.split import Item, held_out
from regimen_trainer.data.surrogates import SurrogateTable
from regimen_trainer.errors import InputError
from regimen_trainer.tasks import COMPLETIONS, PLACES, exchange

SOURCES = {"medicalAnalysis": "claims", "adjudication": "claims", "clinicalDocs": "documents"}
IDENTIFYING = ("claim_id", "policy_id", "claim_number")
"""Columns of claims that hold identifiers themselves."""
TEXTS = {
    "claims": ("medical_analysis", "diagnosis_codes", "procedure_codes"),
    "documents": ("dictation", "final_document", "document_type"),
}
LEFT_OUT = frozenset({"pending", "low quality"})
"""Reasons that are choices and not faults: they do not count against maxRejectedPercent."""


@dataclass(frozen=True)
class Kept:
    """A row that is used: its surrogate, what it is grouped by, and its de-identified values."""

    id: str
    group: str
    values: Mapping[str, object]


@dataclass
class Outcome:
    """What preparation did; numbers only."""

    read: int = 0
    used: int = 0
    rejected: Counter[str] = field(default_factory=Counter)
    removed: Counter[str] = field(default_factory=Counter)
    residual: Counter[str] = field(default_factory=Counter)
    tasks: list[TaskFigures] = field(default_factory=list)
    splits: dict[str, dict[str, dict[str, int]]] = field(default_factory=dict)
    warnings: list[str] = field(default_factory=list)
    content: list[str] = field(default_factory=list)


class Rejects:
    """Writes source, row number and reason of rejected rows as they are met, and counts the reasons."""

    def __init__(self, path: Path, counts: Counter[str]) -> None:
        self._file = path.open("w", newline="", encoding="utf-8")
        self._writer = csv.writer(self._file)
        self._writer.writerow(("source", "row", "reason"))
        self.counts = counts

    def add(self, source: str, number: int, reason: str) -> None:
        self._writer.writerow((source, number, reason))
        self.counts[reason] += 1

    def close(self) -> None:
        self._file.close()


def prepare(
    spec: TrainingDatasetSpec, files: Mapping[str, Sequence[Path]], table: SurrogateTable, folder: Path, split: bool = True
) -> Outcome:
    """Write the tasks' JSONL files and rejects.csv into `folder`.

    `files` gives the local CSV files of each source. Raises InputError for a missing column, for too many rejected rows, for a split
    without held-out rows and, with residualScan Fail, for identifiers that remain.
    """
    folder.mkdir(parents=True, exist_ok=True)
    outcome = Outcome()
    scrubber = Scrubber(table)
    rejects = Rejects(folder / "rejects.csv", outcome.rejected)
    try:
        kept = {name: list(_kept(name, spec, files[name], scrubber, rejects, outcome)) for name in sorted(files)}
    finally:
        rejects.close()
    _check_rejected(spec, outcome)
    _scan(spec, scrubber, kept, outcome)
    for name, records in kept.items():
        test = _held_out(spec, name, records) if split else None
        for task in (task for task in spec.tasks if SOURCES[task.name] == name):
            outcome.tasks.append(_write_task(task, records, test, folder, outcome))
    return outcome


def _kept(
    name: str, spec: TrainingDatasetSpec, paths: Sequence[Path], scrubber: Scrubber, rejects: Rejects, outcome: Outcome
) -> Iterator[Kept]:
    """The usable rows of a source, de-identified; all others go to `rejects`."""
    source: ClaimsSource | DocumentsSource | None = getattr(spec.sources, name)
    assert source is not None
    mapping = {column.name: column.from_ for column in source.columns}
    claims = isinstance(source, ClaimsSource)
    required = (*(rows.CLAIM_COLUMNS if claims else rows.DOCUMENT_COLUMNS), *(spec.deidentify.known_values if claims else ()))
    before, seen = outcome.used, set[str]()
    for entry in read_records(paths, required, mapping, f"sources.{name}"):
        outcome.read += 1
        row = validate(entry.record, rows.ClaimRow if claims else rows.DocumentRow)
        reason = row if isinstance(row, str) else _reason(row, spec, seen)
        if reason is not None or isinstance(row, str):
            rejects.add(name, entry.number, str(reason))
            continue
        outcome.used += 1
        yield _scrubbed(name, row, entry.record, spec, scrubber)
    if isinstance(source, ClaimsSource) and outcome.used - before < source.min_rows:
        outcome.warnings.append(f"sources.claims.minRows asks for {source.min_rows} usable claims, the export has {outcome.used - before}")


def _reason(row: Row, spec: TrainingDatasetSpec, seen: set[str]) -> str | None:
    """Why a valid row is not used, or None. Rows are compared with those before them."""
    if isinstance(row, rows.DocumentRow):
        keys, quality = [fingerprint(row)], row.quality_score
        if spec.sources.documents and quality < spec.sources.documents.min_quality:
            return "low quality"
    else:
        assert isinstance(row, rows.ClaimRow)
        keys = [fingerprint(row), f"claim {row.claim_id}"]
        if (reason := _decision_reason(row.final_decision, spec)) is not None:
            return reason
    again = [key in seen for key in keys]
    seen.update(keys)
    return "duplicate" if again[0] else "repeated claim_id" if any(again) else None


def _decision_reason(decision: str, spec: TrainingDatasetSpec) -> str | None:
    """Whether a claim's decision makes it useless for every task: pending ones still have a medical analysis to learn from."""
    labels = {label.upper() for task in spec.tasks if task.output.type == "Label" for label in task.output.labels}
    if decision != PENDING:
        return None if decision in labels or not labels else "invalid final_decision"
    return None if any(task.name == "medicalAnalysis" for task in spec.tasks) else "pending"


def _scrubbed(name: str, row: Row, record: Mapping[str, str], spec: TrainingDatasetSpec, scrubber: Scrubber) -> Kept:
    """A row with its texts de-identified and its identifiers turned into surrogates."""
    values = row.model_dump(mode="json")
    identifying = (*(IDENTIFYING if name == "claims" else ()), *spec.deidentify.known_values)
    known = {column: record[column] for column in identifying if record.get(column, "").strip()}
    rules = scrubber.rules(known)
    texts = {column: scrubber.scrub(values[column], rules) for column in TEXTS[name]}
    table, own = scrubber.table, fingerprint(row)
    identity = table.of("claim_id", values["claim_id"]) if name == "claims" else table.of("document", own)
    group = table.of("policy_id", values["policy_id"]) if name == "claims" else identity
    return Kept(identity, group, {key: value for key, value in values.items() if key not in IDENTIFYING} | texts)


def _check_rejected(spec: TrainingDatasetSpec, outcome: Outcome) -> None:
    faults = {reason: count for reason, count in outcome.rejected.items() if reason not in LEFT_OUT}
    percent = 100 * sum(faults.values()) / max(1, outcome.read)
    if percent > spec.max_rejected_percent:
        told = ", ".join(f"{count} {reason}" for reason, count in sorted(faults.items()))
        raise InputError(
            f"maxRejectedPercent is {spec.max_rejected_percent:g} but {percent:.1f} % of the rows are unusable ({told}); correct the export or raise it"
        )
    if not outcome.used:
        raise InputError("sources: no usable row was found; check the files and their columns")


def _scan(spec: TrainingDatasetSpec, scrubber: Scrubber, kept: Mapping[str, Sequence[Kept]], outcome: Outcome) -> None:
    """Look once more at every text, whatever put it there; fails closed."""
    scrubber.scan(str(entry.values[column]) for name, entries in kept.items() for entry in entries for column in TEXTS[name])
    outcome.removed, outcome.residual = +scrubber.removed, scrubber.residual
    if not outcome.residual:
        return
    told = ", ".join(f"{count} {kind}" for kind, count in sorted(outcome.residual.items()))
    if spec.deidentify.residual_scan == "Fail":
        raise InputError(
            f"deidentify.residualScan: identifiers may remain ({told}); add their columns to knownValues, or set Warn after a review"
        )
    outcome.warnings.append(f"deidentify.residualScan: identifiers may remain ({told})")


def _held_out(spec: TrainingDatasetSpec, name: str, records: Sequence[Kept]) -> set[int]:
    """Indexes to hold out: one split per source, so that no row is trained on in one task and held out in another."""
    stratum = "final_decision" if name == "claims" else "document_type"
    items = [
        Item(entry.id, entry.group, str(entry.values[stratum]), " ".join(str(entry.values[column]) for column in TEXTS[name]))
        for entry in records
    ]
    chosen = held_out(items, spec.split.test_fraction, spec.split.near_duplicates, spec.split.seed)
    if not chosen:
        raise InputError(f"split.testFraction: no {name} could be held out; raise it, raise nearDuplicates, or give more rows")
    return chosen


def _write_task(task: DatasetTask, records: Sequence[Kept], test: set[int] | None, folder: Path, outcome: Outcome) -> TaskFigures:
    """Write a task's training and held-out files; without a split, the training file alone."""
    labels = {label.upper(): label for label in task.output.labels}
    sides: dict[str, list[Kept]] = {"train": [], "test": []}
    for index, entry in enumerate(records):
        if not labels or entry.values[COMPLETIONS[task.name]] in labels:
            sides["test" if test is not None and index in test else "train"].append(entry)
    paths = {side: f"{PLACES[task.name]}_{side}.jsonl" for side in sides}
    counts = {
        side: _write(folder / paths[side], task, entries, labels) for side, entries in sides.items() if side == "train" or test is not None
    }
    outcome.content += [paths[side] for side in counts]
    outcome.splits[task.name] = {side: dict(sorted(mix.items())) for side, mix in counts.items()}
    if not sides["train"]:
        raise InputError(f"tasks {task.name}: no row is left to train on; check final_decision and the labels")
    return TaskFigures(
        name=task.name,
        train=len(sides["train"]),
        test=len(sides["test"]),
        train_path=paths["train"],
        test_path=paths["test"],
        labels=dict(sorted((counts["train"] + counts.get("test", Counter())).items())) if labels else {},
    )


def _write(path: Path, task: DatasetTask, entries: Sequence[Kept], labels: Mapping[str, str]) -> Counter[str]:
    """Write rows in TRL's conversational prompt and completion form; returns the mix of labels, or of document types."""
    mix: Counter[str] = Counter()
    answer = COMPLETIONS[task.name]
    with path.open("w", encoding="utf-8") as file:
        for entry in entries:
            values = {**entry.values, answer: labels[str(entry.values[answer])]} if labels else entry.values
            turn = exchange(task.name, values, tuple(labels.values()))
            file.write(json.dumps({"id": entry.id, "prompt": turn.prompt, "completion": turn.completion}, ensure_ascii=False) + "\n")
            mix[str(values[answer]) if labels else str(values.get("document_type", "rows"))] += 1
    return mix
