"""Fresh rows through the worker processes: raw_<source> in, work_<source> and the grams of its texts out, in the export's order."""

from collections import Counter, deque
from collections.abc import Callable, Iterable, Iterator, Sequence
from concurrent.futures import Future, ProcessPoolExecutor
from concurrent.futures.process import BrokenProcessPool
from dataclasses import dataclass, field
from itertools import islice
from multiprocessing import get_context
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
from numpy.typing import NDArray

from regimen_trainer.data import similar
from regimen_trainer.data.columns import Shape, held, value
from regimen_trainer.data.table import Workbench, parquet
from regimen_trainer.data.texts import Recipe, Worked, work
from regimen_trainer.errors import TrainerError

PRELOADED = "regimen_trainer.data.preloaded"
BATCH = 4_000
"""Rows that a worker takes at once: large enough for arrays, small enough for memory."""


@dataclass
class Texts:
    """What the work on a source's fresh rows gave, beside the table."""

    path: Path
    grams: Path
    sizes: list[NDArray[np.int64]] = field(default_factory=list)
    removed: Counter[str] = field(default_factory=Counter)
    residual: Counter[str] = field(default_factory=Counter)
    changed: int = 0

    @property
    def offsets(self) -> NDArray[np.int64]:
        """Where each row's grams begin in the file."""
        return np.concatenate(([0], np.cumsum(np.concatenate([np.zeros(0, dtype=np.int64), *self.sizes]))))

    def values(self) -> similar.Grams:
        """All grams; the file stays on disk."""
        return np.memmap(self.grams, dtype=np.uint32, mode="r") if self.grams.stat().st_size else np.zeros(0, dtype=np.uint32)


def clean(bench: Workbench, shape: Shape, recipe: Recipe, workers: int, told: Callable[[int], None]) -> Texts:
    """Work on the rows of judged_<source> that are fresh and usable; makes the view work_<source> over them."""
    texts = Texts(bench.folder / f"work-{shape.source}.parquet", bench.folder / f"grams-{shape.source}.u32")
    writer: pq.ParquetWriter | None = None
    done = 0
    with texts.grams.open("wb") as grams:
        for worked in _worked(bench.batches(fresh_rows(shape), BATCH), recipe, workers):
            writer = writer or pq.ParquetWriter(texts.path, worked.rows.schema, compression="lz4")
            writer.write_batch(worked.rows)
            grams.write(worked.grams.tobytes())
            _take(texts, worked)
            done += worked.rows.num_rows
            told(done)
    if writer is not None:
        writer.close()
        bench.run(f"CREATE VIEW work_{shape.source} AS FROM {parquet([texts.path], file_row_number=True)}")
    return texts


def fresh_rows(shape: Shape) -> str:
    """SQL of the usable rows that no earlier revision worked on, as `texts.work` takes them: words by their columns' names, values as `= name`."""
    words = dict.fromkeys((*shape.known, *shape.texts, *shape.group))
    cells = [f"trim(coalesce({held(name)}, '')) AS {held(name)}" for name in words]
    numbers = [f"{value(name, shape.kinds[name])} AS {number(name)}" for name in shape.numbers]
    stratum = f"trim(coalesce({held(shape.stratum)}, '')) AS label"
    return (
        f"SELECT j.print AS print, j.core AS core, j.file AS file, j.row AS row, j.golden AS golden, {', '.join((*cells, *numbers, stratum))} "
        f"FROM raw_{shape.source} POSITIONAL JOIN judged_{shape.source} j WHERE j.reason IS NULL AND j.fresh"
    )


def number(column: str) -> str:
    """SQL of a column's value beside its text: a known value may be a date that tasks need too."""
    return f'"= {column}"'


def _take(texts: Texts, worked: Worked) -> None:
    texts.sizes.append(np.diff(worked.offsets))
    texts.removed.update(worked.removed)
    texts.residual.update(worked.residual)
    texts.changed += worked.changed


def _worked(batches: Iterable[pa.RecordBatch], recipe: Recipe, workers: int) -> Iterator[Worked]:
    """Batches after the work, in order. With one worker, or few rows, in this process."""
    remaining = iter(batches)
    first = list(islice(remaining, 2))
    if workers < 2 or len(first) < 2:
        yield from (work(batch, recipe) for batch in first)
        yield from (work(batch, recipe) for batch in remaining)
        return
    try:
        yield from _in_processes(first, remaining, recipe, workers)
    except BrokenProcessPool as error:
        raise TrainerError("a process that cleans texts was killed, most likely for memory; give the pod more, or fewer CPUs") from error


def _in_processes(first: Sequence[pa.RecordBatch], remaining: Iterator[pa.RecordBatch], recipe: Recipe, workers: int) -> Iterator[Worked]:
    # forkserver: this process has threads (DuckDB's), which a plain fork would copy in an unknown state.
    context = get_context("forkserver")
    context.set_forkserver_preload([work.__module__, *([PRELOADED] if recipe.scrub else [])])
    with ProcessPoolExecutor(workers, mp_context=context) as pool:
        waiting: deque[Future[Worked]] = deque(pool.submit(work, batch, recipe) for batch in first)
        for batch in remaining:
            waiting.append(pool.submit(work, batch, recipe))
            if len(waiting) > 2 * workers:
                yield waiting.popleft().result()
        while waiting:
            yield waiting.popleft().result()
