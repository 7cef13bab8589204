"""When a preparation must not go on, and what people should look at: each check raises InputError or adds a warning.

Knows the spec and the outcome so far; changes nothing else.
"""

from collections import Counter
from collections.abc import Mapping, Sequence
from difflib import get_close_matches

from regimen.spec.dataset import ClaimsSource, DocumentsSource, Source, SourceName, TrainingDatasetSpec
from regimen_trainer.data.columns import AMOUNT, DAY, IDENTIFYING, MODELS
from regimen_trainer.data.intake import Export
from regimen_trainer.data.outcome import Outcome, SourceOutcome
from regimen_trainer.errors import InputError

Headers = dict[SourceName, dict[str, list[str]]]
"""Columns of each file of each source, under Regimen's names."""


def known_values(spec: TrainingDatasetSpec, headers: Headers, outcome: Outcome) -> None:
    """A column of knownValues that no source has is a mistake in its name, and would leave the values in the texts."""
    for column in spec.deidentify.known_values:
        having = [name for name, files_ in headers.items() if any(column in present for present in files_.values())]
        if not having:
            there = sorted({other for files_ in headers.values() for present in files_.values() for other in present})
            near = get_close_matches(column, there, n=1, cutoff=0.3)
            hint = f"; nearest is {near[0]}" if near else ""
            raise InputError(
                f"deidentify.knownValues: no source has a column {column}{hint}; correct the name, or take it out of knownValues"
            )
        for name in headers:
            if column in MODELS[name] and MODELS[name][column] not in (AMOUNT, DAY) and column not in IDENTIFYING[name]:
                raise InputError(
                    f"deidentify.knownValues: {column} is what models learn from, not an identifier; take it out of knownValues"
                )
            if name not in having:
                outcome.warnings.append(f"deidentify.knownValues: {name} has no column {column}, so nothing is scrubbed by it there")


def encodings(exports: Mapping[SourceName, Sequence[Export]], outcome: Outcome) -> None:
    """Say which files were not UTF-8: a wrong guess spoils names."""
    outcome.warnings += [
        f"sources.{name}: {export.name} is not UTF-8 and was read as {export.encoding}; look whether names in the report are right"
        for name, files_ in exports.items()
        for export in files_
        if not export.encoding.startswith("utf")
    ]


def rejected(spec: TrainingDatasetSpec, outcome: Outcome) -> None:
    """Not too many rows are faulty, and of no source all."""
    faults_ = sum((Counter(source.shares(left_out=False)) for source in outcome.sources.values()), Counter[str]())
    percent = 100 * faults_.total() / max(1, outcome.read)
    if percent > spec.max_rejected_percent:
        told = _told(faults_)
        raise InputError(
            f"maxRejectedPercent is {spec.max_rejected_percent:g} but {percent:.1f} % of the rows are unusable ({told}); correct the export or raise it"
        )
    for name, source in outcome.sources.items():
        if not source.used:
            told = f" ({_told(source.reasons)})" if source.reasons else ""
            raise InputError(f"sources.{name}: none of {source.read} rows is usable{told}; check the files and their columns")


def _told(counts: Mapping[str, int]) -> str:
    return ", ".join(f"{count} {reason}" for reason, count in sorted(counts.items()))


def minimums(source: Source, outcome: SourceOutcome) -> list[tuple[str, int, int]]:
    """(what, asked, found) of the numbers of rows that the spec asks for."""
    if isinstance(source, ClaimsSource):
        return [("usable claims", source.min_rows, outcome.used)]
    if isinstance(source, DocumentsSource):
        return [(f"documents of type {entry.type}", entry.rows, outcome.by_type.get(entry.type, 0)) for entry in source.min_rows_by_type]
    return []


def minimum(spec: TrainingDatasetSpec, name: SourceName, source: SourceOutcome, outcome: Outcome) -> None:
    """As many rows as the spec asks for."""
    asked: Source = getattr(spec.sources, name)
    field_ = f"sources.{name}.{'minRows' if name == 'claims' else 'minRowsByType'}"
    few = [f"{found} {what} of {least} asked for" for what, least, found in minimums(asked, source) if found < least]
    if few and asked.on_few_rows == "Fail":
        raise InputError(f"{field_}: {'; '.join(few)}; give more rows, lower it, or set onFewRows to Warn")
    outcome.warnings += [f"{field_}: {sentence}" for sentence in few]


def residual(spec: TrainingDatasetSpec, outcome: Outcome) -> None:
    """Nothing that the scan still takes for an identifier goes on, or it is said, as the spec has it."""
    if not outcome.residual:
        return
    told = _told(outcome.residual)
    if spec.deidentify.residual_scan == "Fail":
        raise InputError(
            f"deidentify.residualScan: identifiers may remain ({told}); add their columns to knownValues, or set Warn after a review"
        )
    outcome.warnings.append(f"deidentify.residualScan: identifiers may remain ({told})")


def held_out(name: SourceName, source: SourceOutcome, split: bool, outcome: Outcome) -> None:
    """Some rows are held out and some are not; what a person should know of the split is said."""
    bench, shape = outcome.bench, source.shape
    for side, empty in ((1, "could be held out; raise it"), (0, "are left to train on; lower it")) if split else ():
        if not bench.one(f"SELECT count(*) FROM rows_{name} WHERE side = {side}"):
            raise InputError(
                f"split.testFraction: no {name} {empty}, raise nearDuplicates, group by a column with more values, or give more rows"
            )
    if split and not shape.group:
        outcome.warnings.append(
            f"sources.{name}.split.groupBy is empty: rows of one patient may stand on both sides; name a column if there is one"
        )
    if source.quarantined:
        outcome.warnings.append(
            f"sources.{name}: {source.quarantined} rows belong to training and to held-out rows at once and are in quarantine"
        )
    if source.placed is not None and source.placed.skipped:
        outcome.warnings.append(f"sources.{name}: {source.placed.skipped} comparisons of boilerplate texts were left out")
    trained = int(bench.one(f"SELECT count(*) FROM rows_{name} WHERE golden AND side <> 1"))
    if trained:
        outcome.warnings.append(f"sources.{name}.golden: {trained} rows were trained on in an earlier revision and are not held out")
