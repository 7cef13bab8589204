"""From exports to the files of a revision, on local disk. Publication is `publish`; the command line stops here.

    read ─ judge ─ clean fresh rows ─ draw surrogates ─ find near-duplicates ─ split ─ write

Each stage leaves tables that the next one reads. Rows are counted by a reason that names a column or a rule, never a value. The dataset's
memory grows by a generation, whose document the caller makes valid once all is well.
"""

import os
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from difflib import get_close_matches
from hashlib import sha256
from importlib.metadata import version
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from regimen.spec.artifacts import TaskFigures
from regimen.spec.dataset import ClaimsSource, DatasetTask, DocumentsSource, Source, SourceName, TrainingDatasetSpec
from regimen_trainer.data import files, similar, surrogates, table
from regimen_trainer.data.cleaning import Texts, clean, number
from regimen_trainer.data.columns import AMOUNT, DAY, IDENTIFYING, MODELS, SIMILAR, STRATA, Shape, faults, held, quoted, require, shape_of
from regimen_trainer.data.intake import Export
from regimen_trainer.data.memory import Memory
from regimen_trainer.data.sides import Fresh, Placed, place, prefixes
from regimen_trainer.data.table import Workbench
from regimen_trainer.data.texts import Recipe, mark
from regimen_trainer.errors import InputError, TrainerError

LEFT_OUT = frozenset({"pending", "low quality"})
"""Reasons that are choices and not faults: they do not count against maxRejectedPercent."""
REJECTS = "rejects.csv"
UNREADABLE = "not readable as a row"
MEMORY_MB = 640
"""What DuckDB may hold before it spills to disk."""

Headers = dict[SourceName, dict[str, list[str]]]
"""Columns of each file of each source, under Regimen's names."""


@dataclass
class SourceOutcome:
    """What became of a source's rows."""

    shape: Shape
    read: int = 0
    used: int = 0
    reasons: Counter[str] = field(default_factory=Counter)
    quarantined: int = 0
    golden: int = 0
    by_type: dict[str, int] = field(default_factory=dict)
    texts: Texts | None = None
    placed: Placed | None = None

    def shares(self, left_out: bool) -> dict[str, int]:
        """Reasons that are choices, or those that are faults, most frequent first."""
        return {reason: count for reason, count in self.reasons.most_common() if (reason in LEFT_OUT) == left_out}


@dataclass
class Outcome:
    """What preparation did; `bench` still holds the tables until it is closed."""

    bench: Workbench
    sources: dict[SourceName, SourceOutcome] = field(default_factory=dict)
    tasks: list[TaskFigures] = field(default_factory=list)
    mixes: dict[str, dict[str, dict[str, int]]] = field(default_factory=dict)
    warnings: list[str] = field(default_factory=list)
    content: list[str] = field(default_factory=list)
    removed: Counter[str] = field(default_factory=Counter)
    residual: Counter[str] = field(default_factory=Counter)
    changed: int = 0

    @property
    def read(self) -> int:
        return sum(source.read for source in self.sources.values())

    @property
    def used(self) -> int:
        return sum(source.used for source in self.sources.values())

    @property
    def rejected(self) -> Counter[str]:
        return sum((source.reasons for source in self.sources.values()), Counter[str]())


@dataclass(frozen=True)
class Means:
    """With what a preparation is done; none of it shows in the revision."""

    scratch: Path
    workers: int = 0
    told: Callable[[str], None] = lambda _: None

    @property
    def processes(self) -> int:
        return self.workers or len(os.sched_getaffinity(0))


def prepare(
    spec: TrainingDatasetSpec,
    exports: Mapping[SourceName, Sequence[Export]],
    memory: Memory,
    folder: Path,
    means: Means,
    split: bool = True,
) -> Outcome:
    """Write the tasks' JSONL files and rejects.csv into `folder`.

    Raises InputError for a missing column, too many rejected rows, too few rows where that is a failure, a split without held-out rows and,
    with residualScan Fail, identifiers that may remain. `memory` is then as it was: its new files are valid only with their document.
    """
    folder.mkdir(parents=True, exist_ok=True)
    outcome = Outcome(Workbench(means.scratch, means.processes, MEMORY_MB))
    try:
        _stages(spec, exports, memory, folder, means, split, outcome)
    except BaseException:
        outcome.bench.close()
        raise
    return outcome


def _stages(
    spec: TrainingDatasetSpec, exports: Mapping[SourceName, Sequence[Export]], memory: Memory, folder: Path, means: Means, split: bool,
    outcome: Outcome,
) -> None:  # fmt: skip
    bench = outcome.bench
    recipe = recipe_of(spec)
    if memory.generation.recipe != recipe:
        memory.forget_rows(recipe)
    _recall(bench, memory)
    headers = _headers(spec, exports)
    _check_known_values(spec, headers, outcome)
    outcome.warnings += [
        f"sources.{name}: {export.name} is not UTF-8 and was read as {export.encoding}; look whether names in the report are right"
        for name, files_ in exports.items()
        for export in files_
        if not export.encoding.startswith("utf")
    ]
    for name in sorted(exports):
        means.told(f"reading {name}")
        outcome.sources[name] = _read(bench, spec, name, exports[name], headers[name])
    _write_rejects(bench, outcome, folder / REJECTS)
    _check_rejected(spec, outcome)
    for name, source in outcome.sources.items():
        _check_minimum(spec, name, source, outcome)
        _clean(bench, spec, source, memory, means)
    _count(outcome, memory)
    _check_residual(spec, outcome)
    for name, source in outcome.sources.items():
        means.told(f"splitting {name}")
        _place(bench, spec, source, memory, split)
        _check_held_out(name, source, split, outcome)
    _remember(bench, memory)
    for task in spec.tasks:
        means.told(f"writing {task.name}")
        outcome.tasks.append(_write_task(outcome, task, folder, split))


def recipe_of(spec: TrainingDatasetSpec) -> str:
    """Names what a de-identified row depends on beside itself; rows of another recipe are worked on again."""
    tasks = sorted(name for task in spec.tasks if task.prompt for name in (task.prompt.system, task.prompt.user))
    what = [
        version("regimen-operator"),
        spec.deidentify.model_dump_json(exclude={"residual_scan", "review_sample"}),
        spec.split.near_duplicates,
        tasks,
    ]
    what += [source.split.model_dump_json() for source in (spec.sources.claims, spec.sources.documents) if source]
    return sha256(repr(what).encode()).hexdigest()[:16]


def _recall(bench: Workbench, memory: Memory) -> None:
    """The memory's tables."""
    shapes = {
        "surrogates": ("kind VARCHAR, hash BLOB, surrogate VARCHAR", memory.generation.surrogates),
        "ledger": ("source VARCHAR, core BLOB, ident BLOB, grp BIGINT, side TINYINT", memory.generation.ledger),
    }
    for name, (columns, paths) in shapes.items():
        bench.run(f"CREATE TABLE {name} ({columns})")
        if paths:
            bench.run(f"INSERT INTO {name} SELECT * FROM read_parquet(?)", [memory.paths(paths)])
    bench.run("CREATE TABLE pairs (source VARCHAR, l BIGINT, r BIGINT, similarity DOUBLE)")
    bench.run("CREATE TABLE new_ledger AS FROM ledger LIMIT 0")
    bench.run("CREATE TABLE wanted (kind VARCHAR, hash BLOB)")
    bench.run("CREATE TABLE new_surrogates AS FROM surrogates LIMIT 0")
    for source in ("claims", "documents"):
        if paths := memory.generation.rows.get(source, []):
            bench.run(f"CREATE VIEW state_{source} AS FROM read_parquet([{', '.join(map(quoted, memory.paths(paths)))}])")
        if paths := memory.generation.pairs.get(source, []):
            bench.run(f"INSERT INTO pairs SELECT {quoted(source)}, * FROM read_parquet(?)", [memory.paths(paths)])


def _check_known_values(spec: TrainingDatasetSpec, headers: Headers, outcome: Outcome) -> None:
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


def _headers(spec: TrainingDatasetSpec, exports: Mapping[SourceName, Sequence[Export]]) -> Headers:
    """The columns of each file, under Regimen's names."""
    headers: Headers = {}
    for name in sorted(exports):
        source: Source = getattr(spec.sources, name)
        ours = {column.from_: column.name for column in source.columns}
        named = {export.name: table.header_of(export, f"sources.{name}")[0] for export in exports[name]}
        headers[name] = {file: [ours.get(column, column) for column in columns] for file, columns in named.items()}
    return headers


def _read(
    bench: Workbench, spec: TrainingDatasetSpec, name: SourceName, exports: Sequence[Export], headers: Mapping[str, Sequence[str]]
) -> SourceOutcome:
    """raw_ and judged_ of a source."""
    field_ = f"sources.{name}"
    source: Source = getattr(spec.sources, name)
    shape = shape_of(spec, name, [column for present in headers.values() for column in present])
    mapping = {column.name: column.from_ for column in source.columns}
    wanted = {column: mapping.get(column, column) for column in dict.fromkeys((*shape.kinds, *shape.known))}
    for export in exports:
        require(table.header_of(export, field_)[0], wanted, field_, export.name)
    columns = "".join(f", {held(column)} VARCHAR" for column in wanted)
    bench.run(f"CREATE TABLE raw_{name} (file VARCHAR, golden BOOLEAN{columns})")
    outcome = SourceOutcome(shape)
    for export in sorted(exports, key=lambda export: not export.golden):
        outcome.reasons[UNREADABLE] += table.read(bench, export, list(wanted.items()), name, field_)
    table.judge(bench, shape, faults(shape, spec))
    seen = f"EXISTS (FROM state_{name} s WHERE s.print = judged_{name}.print)" if _has(bench, f"state_{name}") else "false"
    bench.run(f"ALTER TABLE judged_{name} ADD COLUMN fresh BOOLEAN")
    bench.run(f"UPDATE judged_{name} SET fresh = NOT {seen}")
    _count_rows(bench, outcome)
    return outcome


def _count_rows(bench: Workbench, outcome: SourceOutcome) -> None:
    judged, usable = f"judged_{outcome.shape.source}", "reason IS NULL"
    reasons = bench.run(f"SELECT reason, count(*) FROM {judged} WHERE NOT {usable} GROUP BY 1")
    outcome.reasons.update({str(reason): int(count) for reason, count in reasons})
    outcome.reasons = +outcome.reasons
    outcome.used = int(bench.one(f"SELECT count(*) FROM {judged} WHERE {usable}"))
    outcome.golden = int(bench.one(f"SELECT count(*) FROM {judged} WHERE {usable} AND golden"))
    outcome.read = outcome.used + outcome.reasons.total()
    kind = f"trim({held(STRATA[outcome.shape.source])})"
    types = (
        f"SELECT {kind}, count(*) FROM raw_{outcome.shape.source} POSITIONAL JOIN {judged} j WHERE j.{usable} GROUP BY 1 ORDER BY 2 DESC, 1"
    )
    outcome.by_type = {str(value): int(count) for value, count in bench.run(types)}


def _has(bench: Workbench, name: str) -> bool:
    return bool(bench.one("SELECT count(*) FROM information_schema.tables WHERE table_name = ?", [name]))


def _write_rejects(bench: Workbench, outcome: Outcome, path: Path) -> None:
    """source, file, row (counted over its readable rows) or line, reason; no values."""
    parts = [
        f"SELECT {quoted(name)} AS source, file, 'row ' || row AS place, reason, n FROM judged_{name} WHERE reason IS NOT NULL"
        for name in outcome.sources
    ]
    if _has(bench, "unread"):
        parts.append(f"SELECT source, file, 'line ' || line AS place, {quoted(UNREADABLE)} AS reason, line - 1000000000 AS n FROM unread")
    bench.run(
        f"COPY (SELECT source, file, place AS row, reason FROM ({' UNION ALL '.join(parts)}) ORDER BY source, n, place) TO {quoted(str(path))} (HEADER)"
    )


def _check_rejected(spec: TrainingDatasetSpec, outcome: Outcome) -> None:
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


def _check_minimum(spec: TrainingDatasetSpec, name: SourceName, source: SourceOutcome, outcome: Outcome) -> None:
    asked: Source = getattr(spec.sources, name)
    field_ = f"sources.{name}.{'minRows' if name == 'claims' else 'minRowsByType'}"
    few = [f"{found} {what} of {least} asked for" for what, least, found in minimums(asked, source) if found < least]
    if few and asked.on_few_rows == "Fail":
        raise InputError(f"{field_}: {'; '.join(few)}; give more rows, lower it, or set onFewRows to Warn")
    outcome.warnings += [f"{field_}: {sentence}" for sentence in few]


def _clean(bench: Workbench, spec: TrainingDatasetSpec, source: SourceOutcome, memory: Memory, means: Means) -> None:
    """Fresh rows de-identified, with surrogates; all_<source> afterwards holds the rows of all revisions and of this one."""
    shape = source.shape
    name = shape.source
    recipe = Recipe(
        name, memory.key, shape.known, shape.texts, SIMILAR[name], shape.group, "claim_id" if name == "claims" else None,
        spec.deidentify.method == "SafeHarbor",
    )  # fmt: skip
    fresh = int(bench.one(f"SELECT count(*) FROM judged_{name} WHERE reason IS NULL AND fresh"))
    texts = clean(bench, shape, recipe, means.processes, lambda done: means.told(f"de-identifying {name}: {done} of {fresh} rows"))
    source.texts = texts
    if fresh:
        _draw(bench, shape)
        _fresh_rows(bench, spec, source, memory)
    views = [f"{view}_{name}" for view in ("state", "fresh") if _has(bench, f"{view}_{name}")]
    places = " UNION ALL ".join(f"SELECT seq, print, file, place FROM {view}" for view in views)
    # What this revision says of a row is newer than what the memory says. seq counts all rows that ever were, without a gap.
    bench.run(
        f"CREATE TABLE here_{name} AS SELECT r.seq AS own, coalesce(j.golden, false) AS golden, coalesce(j.file, r.file) AS file, "
        "coalesce(j.row, r.place) AS place, j.print IS NOT NULL AS present "
        f"FROM ({places}) r LEFT JOIN (FROM judged_{name} WHERE reason IS NULL) j ON j.print = r.print ORDER BY r.seq"
    )
    # Side by side, since both are in the order of seq: a join would have to hold the texts, or sort them.
    texts_ = " UNION ALL BY NAME ".join(f"FROM {view}" for view in views)
    bench.run(f"CREATE TABLE all_{name} AS SELECT a.* EXCLUDE (golden, file, place), h.* FROM ({texts_}) a POSITIONAL JOIN here_{name} h")
    if bench.one(f"SELECT count(*) FROM all_{name} WHERE seq IS DISTINCT FROM own"):
        raise TrainerError(f"the memory's rows of {name} are not in their order; restore it from a backup")


def _draw(bench: Workbench, shape: Shape) -> None:
    kinds = {f"known_{index}": name for index, name in enumerate(shape.known)}
    kinds["ident"] = "claim_id" if shape.source == "claims" else shape.source
    for column, kind in kinds.items():
        bench.run(f"INSERT INTO wanted SELECT {quoted(kind)}, {column} FROM work_{shape.source} WHERE {column} IS NOT NULL")
    surrogates.draw(bench)
    bench.run("DELETE FROM wanted")


def _fresh_rows(bench: Workbench, spec: TrainingDatasetSpec, source: SourceOutcome, memory: Memory) -> None:
    """Write the fresh rows where the memory keeps them: surrogates in place of marks, prefixes for near-duplicates."""
    shape, texts = source.shape, source.texts
    assert texts is not None and texts.counts is not None
    name = shape.source
    common = memory.generation.common.get(name)
    table_ = np.load(memory.folder / common) if common else similar.commonness(texts.counts)
    if not common:
        np.save(memory.new_file("common", "npy", name), table_)
    path = bench.folder / f"prefixes-{name}.parquet"
    pq.write_table(prefixes(texts.values(), texts.offsets, table_, spec.split.near_duplicates), path)
    joins = "".join(
        f" LEFT JOIN surrogates s{index} ON s{index}.kind = {quoted(column)} AND s{index}.hash = w.known_{index}"
        for index, column in enumerate(shape.known)
    )
    kind = "claim_id" if name == "claims" else name
    named = ", ".join(f"{_unmarked(column, shape)} AS {held(column)}" for column in shape.texts)
    numbers = "".join(f", w.{number(column)} AS {held(column)}" for column in shape.numbers)
    first = int(bench.one(f"SELECT coalesce(max(seq), -1) + 1 FROM state_{name}")) if _has(bench, f"state_{name}") else 0
    bench.run(
        f"CREATE TABLE fresh_{name} AS SELECT w.print, w.core, w.ident, w.grp, w.golden, w.label, w.file, w.row AS place, w.place + {first} AS seq, i.surrogate AS id, "
        f"{named}{numbers}, w.size, w.prefix, COLUMNS('bits_.*') FROM (SELECT k.*, p.*, row_number() OVER () - 1 AS place FROM work_{name} k POSITIONAL JOIN read_parquet({quoted(str(path))}) p) w"
        f"{joins} JOIN surrogates i ON i.kind = {quoted(kind)} AND i.hash = w.ident ORDER BY w.place"
    )
    bench.run(f"COPY fresh_{name} TO {quoted(str(memory.new_file('rows', source=name)))} (FORMAT parquet, COMPRESSION zstd)")


def _unmarked(column: str, shape: Shape) -> str:
    """SQL of a text with surrogates in place of marks."""
    sql = f"w.{held(column)}"
    for index, known in enumerate(shape.known):
        tag = f"coalesce({quoted('[' + known + ' ')} || s{index}.surrogate || ']', '')"
        sql = f"replace({sql}, {quoted(mark(index))}, {tag})"
    return sql


def _count(outcome: Outcome, memory: Memory) -> None:
    """Identifiers over all rows, those of earlier revisions too."""
    texts = [source.texts for source in outcome.sources.values() if source.texts]
    outcome.removed = memory.count("removed", sum((text.removed for text in texts), Counter[str]()))
    outcome.residual = memory.count("residual", sum((text.residual for text in texts), Counter[str]()))
    outcome.changed = memory.count("changed", {"rows": sum(text.changed for text in texts)})["rows"]


def _check_residual(spec: TrainingDatasetSpec, outcome: Outcome) -> None:
    residual = outcome.residual
    if not residual:
        return
    told = _told(residual)
    if spec.deidentify.residual_scan == "Fail":
        raise InputError(
            f"deidentify.residualScan: identifiers may remain ({told}); add their columns to knownValues, or set Warn after a review"
        )
    outcome.warnings.append(f"deidentify.residualScan: identifiers may remain ({told})")


def _place(bench: Workbench, spec: TrainingDatasetSpec, source: SourceOutcome, memory: Memory, split: bool) -> None:
    """rows_<source>: what is used, in order, each with its side."""
    name, texts = source.shape.source, source.texts
    assert texts is not None
    first = int(bench.one(f"SELECT count(*) FROM all_{name}")) - (texts.offsets.size - 1)
    fresh = Fresh(texts.values(), texts.offsets, first, lambda ids: _comparable(bench, source.shape, ids))
    source.placed = place(
        bench, source.shape, spec.split.near_duplicates, spec.split.test_fraction if split else None, spec.split.seed, fresh
    )
    _keep_pairs(bench, name, source.placed, memory)
    bench.run(
        f"CREATE TABLE rows_{name} AS SELECT a.* EXCLUDE (own, prefix, size, bits_0, bits_1, bits_2, bits_3), s.side "
        f"FROM all_{name} a POSITIONAL JOIN sides_{name} s WHERE a.present"
    )
    source.quarantined = int(bench.one(f"SELECT count(*) FROM rows_{name} WHERE side = 2"))
    source.used -= source.quarantined


def _keep_pairs(bench: Workbench, name: SourceName, placed: Placed, memory: Memory) -> None:
    if len(placed.pairs):
        found = pa.table({"l": placed.pairs[:, 0], "r": placed.pairs[:, 1], "similarity": placed.similarity})
        pq.write_table(found, memory.new_file("pairs", source=name))
        with bench.lent("found", found):
            bench.run(f"INSERT INTO pairs SELECT {quoted(name)}, * FROM found")


def _comparable(bench: Workbench, shape: Shape, ids: "np.ndarray[tuple[int], np.dtype[np.int64]]") -> list[str]:
    joined = " || ' ' || ".join(held(column) for column in SIMILAR[shape.source])
    with bench.lent("asked", pa.table({"seq": ids})):
        return [text for (text,) in bench.run(f"SELECT {joined} FROM all_{shape.source} JOIN asked USING (seq) ORDER BY seq")]


def _check_held_out(name: SourceName, source: SourceOutcome, split: bool, outcome: Outcome) -> None:
    bench, shape = outcome.bench, source.shape
    if split and not bench.one(f"SELECT count(*) FROM rows_{name} WHERE side = 1"):
        raise InputError(
            f"split.testFraction: no {name} could be held out; raise it, raise nearDuplicates, group by a column with more values, or give more rows"
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


def _remember(bench: Workbench, memory: Memory) -> None:
    """Write what the memory has learned: sides and surrogates."""
    for name in ("new_surrogates", "new_ledger"):
        kind = name.removeprefix("new_")
        if bench.one(f"SELECT count(*) FROM {name}"):
            bench.run(f"COPY {name} TO {quoted(str(memory.new_file(kind)))} (FORMAT parquet, COMPRESSION zstd)")


def _write_task(outcome: Outcome, task: DatasetTask, folder: Path, split: bool) -> TaskFigures:
    """Write a task's training and held-out files; without a split, the training file alone."""
    sides = ["train", "test"] if split else ["train"]
    mixes = {side: files.write(outcome.bench, task, side, folder) for side in sides}
    outcome.mixes[task.name] = mixes
    outcome.content += [files.file_of(task, side) for side in sides]
    counts = {side: sum(mix.values()) for side, mix in mixes.items()}
    if not counts["train"]:
        raise InputError(f"tasks {task.name}: no row is left to train on; check {task.writes} and the labels")
    labels = sum((Counter(mix) for mix in mixes.values()), Counter[str]()) if task.output.labels else Counter[str]()
    return TaskFigures(
        name=task.name, train=counts["train"], test=counts.get("test", 0), labels=dict(sorted(labels.items())),
        train_path=files.file_of(task, "train"), test_path=files.file_of(task, "test"),
    )  # fmt: skip
