"""From exports to the files of a revision, on local disk. Publication is `publish`; the command line stops here.

    read ─ judge ─ clean fresh rows ─ draw surrogates ─ find near-duplicates ─ split ─ write

Each stage leaves tables that the next one reads. Rows are counted by a reason that names a column or a rule, never a value. The dataset's
memory grows by a generation, whose document the caller makes valid once all is well.
"""

import os
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from hashlib import sha256
from importlib.metadata import version
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from regimen.spec.artifacts import TaskFigures
from regimen.spec.dataset import DatasetTask, Source, SourceName, TrainingDatasetSpec
from regimen_trainer.data import checks, files, table
from regimen_trainer.data.columns import MODELS, SIMILAR, STRATA, Shape, faults, held, quoted, require, shape_of
from regimen_trainer.data.fresh import deidentify
from regimen_trainer.data.intake import Export
from regimen_trainer.data.memory import Memory
from regimen_trainer.data.outcome import Outcome, SourceOutcome
from regimen_trainer.data.sides import Fresh, Placed, place
from regimen_trainer.data.table import Asked, Workbench
from regimen_trainer.errors import InputError

REJECTS = "rejects.csv"
UNREADABLE = "not readable as a row"
MEMORY_MB = 384
"""What DuckDB may hold before it spills to disk."""


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
    checks.known_values(spec, headers, outcome)
    checks.encodings(exports, outcome)
    for name in sorted(exports):
        means.told(f"reading {name}")
        outcome.sources[name] = _read(bench, spec, name, exports[name], headers[name])
    _write_rejects(bench, outcome, folder / REJECTS)
    checks.rejected(spec, outcome)
    for name, source in outcome.sources.items():
        checks.minimum(spec, name, source, outcome)
        deidentify(bench, spec, source, memory, means.processes, means.told)
    _count(outcome, memory)
    checks.residual(spec, outcome)
    for name, source in outcome.sources.items():
        _place(bench, spec, source, memory, split, means.told)
        checks.held_out(name, source, split, outcome)
    _remember(bench, memory)
    means.told(f"writing {', '.join(task.name for task in spec.tasks)}")
    sides = ["train", "test"] if split else ["train"]
    outcome.mixes = files.write_all(bench, spec.tasks, sides, folder, means.processes)
    outcome.content += [files.file_of(task, side) for task in spec.tasks for side in sides]
    outcome.tasks += [_figures(task, outcome.mixes[task.name]) for task in spec.tasks]


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
            bench.run(f"CREATE VIEW state_{source} AS FROM {table.parquet(memory.paths(paths))}")
        if paths := memory.generation.pairs.get(source, []):
            bench.run(f"INSERT INTO pairs SELECT {quoted(source)}, * FROM read_parquet(?)", [memory.paths(paths)])


def _headers(spec: TrainingDatasetSpec, exports: Mapping[SourceName, Sequence[Export]]) -> checks.Headers:
    """The columns of each file, under Regimen's names."""
    headers: checks.Headers = {}
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
    outcome = SourceOutcome(shape)
    golden_first = sorted(exports, key=lambda export: not export.golden)
    outcome.reasons[UNREADABLE] = table.read(bench, golden_first, Asked(name, wanted, MODELS[name], faults(shape, spec), field_))
    table.judge(bench, name)
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


def _write_rejects(bench: Workbench, outcome: Outcome, path: Path) -> None:
    """source, file, row (counted over its readable rows) or line, reason; no values."""
    parts = [
        f"SELECT {quoted(name)} AS source, file, 'row ' || row AS place, reason, n FROM judged_{name} WHERE reason IS NOT NULL"
        for name in outcome.sources
    ]
    if bench.has("unread"):
        parts.append(f"SELECT source, file, 'line ' || line AS place, {quoted(UNREADABLE)} AS reason, line - 1000000000 AS n FROM unread")
    bench.run(
        f"COPY (SELECT source, file, place AS row, reason FROM ({' UNION ALL '.join(parts)}) ORDER BY source, n, place) TO {quoted(str(path))} (HEADER)"
    )


def _count(outcome: Outcome, memory: Memory) -> None:
    """Identifiers over all rows, those of earlier revisions too."""
    texts = [source.texts for source in outcome.sources.values() if source.texts]
    outcome.removed = memory.count("removed", sum((text.removed for text in texts), Counter[str]()))
    outcome.residual = memory.count("residual", sum((text.residual for text in texts), Counter[str]()))
    outcome.changed = memory.count("changed", {"rows": sum(text.changed for text in texts)})["rows"]


def _place(
    bench: Workbench, spec: TrainingDatasetSpec, source: SourceOutcome, memory: Memory, split: bool, told: Callable[[str], None]
) -> None:
    """rows_<source>: what is used, in order, each with its side."""
    name, texts = source.shape.source, source.texts
    assert texts is not None
    first = int(bench.one(f"SELECT count(*) FROM all_{name}")) - (texts.offsets.size - 1)
    fresh = Fresh(texts.values(), texts.offsets, first, lambda ids: _comparable(bench, source.shape, ids))
    source.placed = place(
        bench, source.shape, spec.split.near_duplicates, spec.split.test_fraction if split else None, spec.split.seed, fresh, told
    )
    _keep_pairs(bench, name, source.placed, memory)
    bench.run(
        f"CREATE VIEW rows_{name} AS SELECT k.* EXCLUDE (golden, file, place, size, prefix, bits_0, bits_1, bits_2, bits_3), "
        f"a.golden, a.file, a.place, s.side FROM kept_{name} k POSITIONAL JOIN all_{name} a POSITIONAL JOIN sides_{name} s WHERE a.present"
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
        return [text for (text,) in bench.run(f"SELECT {joined} FROM kept_{shape.source} JOIN asked USING (seq) ORDER BY seq")]


def _remember(bench: Workbench, memory: Memory) -> None:
    """Write what the memory has learned: sides and surrogates."""
    for name in ("new_surrogates", "new_ledger"):
        kind = name.removeprefix("new_")
        if bench.one(f"SELECT count(*) FROM {name}"):
            bench.run(f"COPY {name} TO {quoted(str(memory.new_file(kind)))} (FORMAT parquet, COMPRESSION zstd)")


def _figures(task: DatasetTask, mixes: Mapping[str, Mapping[str, int]]) -> TaskFigures:
    counts = {side: sum(mix.values()) for side, mix in mixes.items()}
    if not counts["train"]:
        raise InputError(f"tasks {task.name}: no row is left to train on; check {task.writes} and the labels")
    labels = sum((Counter(mix) for mix in mixes.values()), Counter[str]()) if task.output.labels else Counter[str]()
    return TaskFigures(
        name=task.name, train=counts["train"], test=counts.get("test", 0), labels=dict(sorted(labels.items())),
        train_path=files.file_of(task, "train"), test_path=files.file_of(task, "test"),
    )  # fmt: skip
