"""The rows of a source that are new to the dataset: de-identified, given surrogates, and put behind those that the memory keeps."""

from collections.abc import Callable

import numpy as np
import pyarrow.parquet as pq

from regimen.spec.dataset import SourceName, TrainingDatasetSpec
from regimen_trainer.data import similar, surrogates
from regimen_trainer.data.cleaning import clean, number
from regimen_trainer.data.columns import CODES, SIMILAR, Shape, held, quoted
from regimen_trainer.data.memory import Memory
from regimen_trainer.data.outcome import SourceOutcome
from regimen_trainer.data.sides import prefixes
from regimen_trainer.data.table import PARQUET, Workbench, parquet
from regimen_trainer.data.texts import Recipe, mark
from regimen_trainer.errors import TrainerError


def deidentify(
    bench: Workbench, spec: TrainingDatasetSpec, source: SourceOutcome, memory: Memory, processes: int, told: Callable[[str], None]
) -> None:
    """Fresh rows de-identified, with surrogates, behind those of earlier revisions: kept_<source> and all_<source>."""
    shape = source.shape
    name = shape.source
    recipe = Recipe(
        name, memory.key, shape.known, shape.texts, SIMILAR[name], shape.group, "claim_id" if name == "claims" else None,
        CODES[name], spec.deidentify.method == "SafeHarbor",
    )  # fmt: skip
    fresh = int(bench.one(f"SELECT count(*) FROM judged_{name} WHERE reason IS NULL AND fresh"))
    told(f"de-identifying {name}: 0 of {fresh} rows")
    texts = clean(bench, shape, recipe, processes, lambda done: told(f"de-identifying {name}: {done} of {fresh} rows"))
    source.texts = texts
    if texts.offsets.size - 1 != fresh:
        raise TrainerError(f"{texts.offsets.size - 1} of {fresh} rows of {name} came back from the work on them; report this")
    if fresh:
        _draw(bench, shape)
        _fresh_rows(bench, spec, source, memory)
    _all_rows(bench, name, memory)


def _all_rows(bench: Workbench, name: SourceName, memory: Memory) -> None:
    bench.run(f"CREATE VIEW kept_{name} AS FROM {parquet(memory.rows(name), union_by_name=True)}")
    # What this revision says of a row is newer than what the memory says. seq counts all rows that ever were, without a gap.
    bench.run(
        f"CREATE TABLE all_{name} AS SELECT k.seq, k.core, k.ident, k.grp, k.label, k.id, coalesce(j.golden, false) AS golden, "
        "coalesce(j.file, k.file) AS file, coalesce(j.row, k.place) AS place, j.print IS NOT NULL AS present "
        f"FROM kept_{name} k LEFT JOIN (FROM judged_{name} WHERE reason IS NULL) j ON j.print = k.print ORDER BY k.seq"
    )
    if bench.one(f"SELECT count(*) FROM (SELECT seq FROM kept_{name}) k POSITIONAL JOIN all_{name} a WHERE k.seq IS DISTINCT FROM a.seq"):
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
    assert texts is not None
    name = shape.source
    common = memory.generation.common.get(name)
    table_ = np.load(memory.folder / common) if common else similar.commonness(texts.values())
    if not common:
        np.save(memory.new_file("common", "npy", name), table_)
    path = bench.folder / f"prefixes-{name}.parquet"
    pq.write_table(prefixes(texts.values(), texts.offsets, table_, spec.split.near_duplicates), path)
    known = range(len(shape.known))
    joins = "".join(
        f" LEFT JOIN surrogates s{index} ON s{index}.kind = {quoted(shape.known[index])} AND s{index}.hash = w.known_{index}"
        for index in known
    )
    kind = "claim_id" if name == "claims" else name
    bench.run(
        f"CREATE TABLE drawn_{name} AS SELECT w.file_row_number AS number, i.surrogate AS id{''.join(f', s{index}.surrogate AS known_{index}' for index in known)} "
        f"FROM work_{name} w{joins} JOIN surrogates i ON i.kind = {quoted(kind)} AND i.hash = w.ident ORDER BY w.file_row_number"
    )
    named = ", ".join(f"{_unmarked(column, shape)} AS {held(column)}" for column in shape.texts)
    numbers = "".join(f", w.{number(column)} AS {held(column)}" for column in shape.numbers)
    first = int(bench.one(f"SELECT coalesce(max(seq), -1) + 1 FROM state_{name}")) if bench.has(f"state_{name}") else 0
    bench.run(
        f"COPY (SELECT w.print, w.core, w.ident, w.grp, w.golden, w.label, w.file, w.row AS place, d.number + {first} AS seq, d.id, "
        f"{named}{numbers}, p.* FROM work_{name} w POSITIONAL JOIN drawn_{name} d POSITIONAL JOIN {parquet([path])} p) "
        f"TO {quoted(str(memory.new_file('rows', source=name)))} ({PARQUET}, COMPRESSION zstd)"
    )
    bench.run(f"DROP TABLE drawn_{name}")


def _unmarked(column: str, shape: Shape) -> str:
    """SQL of a text with surrogates in place of marks."""
    sql = f"w.{held(column)}"
    for index, known in enumerate(shape.known):
        tag = f"coalesce({quoted('[' + known + ' ')} || d.known_{index} || ']', '')"
        sql = f"replace({sql}, {quoted(mark(index))}, {tag})"
    return sql
