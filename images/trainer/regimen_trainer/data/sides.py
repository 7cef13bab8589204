"""From tables to the split and back: finds near-duplicates among a source's rows, old and new, and puts every row on its side.

Knows the tables `kept_<source>`, `all_<source>` (rows of every revision and of this one) and `ledger`; what a side follows from is `split`'s.
"""

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from regimen_trainer.data import similar
from regimen_trainer.data.columns import Shape, quoted
from regimen_trainer.data.split import Rows, Side, assign
from regimen_trainer.data.table import Workbench

Offsets = NDArray[np.int64]
PIECE = 50_000
"""Rows whose grams are put in order at once."""


@dataclass(frozen=True)
class Placed:
    """What was found on the way: near-duplicates by seq, with their similarity, and how many comparisons were left out."""

    pairs: similar.Pairs
    similarity: NDArray[np.float64]
    skipped: int


def prefixes(values: similar.Grams, offsets: Offsets, common: NDArray[np.uint8], threshold: float) -> pa.Table:
    """Columns size, prefix and bits of each row, in order."""
    parts, starts = [np.zeros(0, dtype=np.uint32)], [np.zeros(1, dtype=np.int64)]
    bits = [np.zeros((0, similar.WORDS), dtype=np.uint64)]
    total = 0
    for first in range(0, offsets.size - 1, PIECE):
        piece = offsets[first : first + PIECE + 1]
        grams, places = np.asarray(values[piece[0] : piece[-1]]), piece - piece[0]
        chosen, begins = similar.prefixes(grams, places, common, threshold)
        bits.append(similar.bitmaps(grams, places))
        parts.append(chosen)
        starts.append(begins[1:] + total)
        total += chosen.size
    lists = pa.ListArray.from_arrays(pa.array(np.concatenate(starts).astype(np.int32)), pa.array(np.concatenate(parts)))
    words = {f"bits_{word}": pa.array(column) for word, column in enumerate(np.concatenate(bits).T)}
    return pa.table({"size": pa.array(np.diff(offsets).astype(np.int32)), "prefix": lists, **words})


def place(
    bench: Workbench,
    shape: Shape,
    threshold: float,
    test_fraction: float | None,
    seed: int,
    fresh: "Fresh",
    told: Callable[[str], None],
) -> Placed:
    """Make sides_<source> (seq, side); rows that are new on a side are in `new_ledger`. Without a fraction all rows train."""
    told(f"comparing {shape.source}")
    found = _near(bench, shape, threshold, fresh)
    told(f"splitting {shape.source}")
    rows = _rows(bench, shape, found.pairs, seed)
    everything = np.where(rows.side == Side.NEW, Side.TRAIN, rows.side).astype(np.int8)
    side = everything if test_fraction is None else assign(rows, test_fraction)
    with bench.lent("assigned", pa.table({"side": side})):
        bench.run(
            f"CREATE TABLE sides_{shape.source} AS SELECT o.seq, o.old, a.side AS side FROM "
            f"(SELECT seq, old FROM order_{shape.source}) o POSITIONAL JOIN assigned a"
        )
    if test_fraction is not None:
        bench.run(
            f"INSERT INTO new_ledger SELECT {quoted(shape.source)}, r.core, r.ident, r.grp, s.side "
            f"FROM all_{shape.source} r JOIN sides_{shape.source} s USING (seq) WHERE s.old = {int(Side.NEW)} ORDER BY r.seq"
        )
    return Placed(found.pairs, found.similarity, found.skipped)


@dataclass(frozen=True)
class Fresh:
    """The grams of this run's fresh rows, which stand at the end of all rows; older ones' are made again from their texts."""

    values: similar.Grams
    offsets: Offsets
    first: int
    """Index of the first fresh row among all."""
    texts: Callable[[NDArray[np.int64]], list[str]]
    """Comparable texts of older rows, by index."""

    def sets(self, ids: NDArray[np.int64]) -> list[similar.Grams]:
        """The grams of the rows with these indexes, in their order."""
        old = ids[ids < self.first]
        again, starts = similar.grams(self.texts(old)) if old.size else (np.zeros(0, dtype=np.uint32), np.zeros(1, dtype=np.int64))
        fresh = ids[old.size :] - self.first
        return [
            *(again[starts[index] : starts[index + 1]] for index in range(old.size)),
            *(np.asarray(self.values[self.offsets[index] : self.offsets[index + 1]]) for index in fresh.tolist()),
        ]


def _near(bench: Workbench, shape: Shape, threshold: float, fresh: Fresh) -> similar.Found:
    """Near-duplicates among all rows, at least one of each pair fresh."""
    texts = _sketches(bench, shape)
    return similar.near_duplicates(texts, threshold, fresh.sets, np.arange(texts.sizes.size) >= fresh.first)


def _sketches(bench: Workbench, shape: Shape) -> similar.Sketches:
    words = [f"bits_{word}" for word in range(similar.WORDS)]
    wanted = f"SELECT size, prefix, {', '.join(words)} FROM kept_{shape.source}"
    table = pa.Table.from_batches(list(bench.batches(wanted, 1 << 16))).combine_chunks()
    lists = table.column("prefix").chunk(0)
    offsets = lists.offsets.to_numpy().astype(np.int64)
    return similar.Sketches(
        prefix=lists.flatten().to_numpy(),
        offsets=offsets - offsets[0],
        sizes=table.column("size").to_numpy().astype(np.int64),
        bits=np.stack([table.column(word).to_numpy() for word in words], axis=1),
    )


def _rows(bench: Workbench, shape: Shape, pairs: similar.Pairs, seed: int) -> Rows:
    """What the split needs, in the order of seq."""
    bits = "bit_or(CASE side WHEN 0 THEN 1 WHEN 1 THEN 2 ELSE 0 END)"
    of = f"FROM ledger WHERE source = {quoted(shape.source)}"
    bench.run(
        f"CREATE TABLE order_{shape.source} AS WITH own AS (SELECT core, max(side) AS side {of} GROUP BY core), "
        f"idents AS (SELECT ident, {bits} AS bits {of} GROUP BY ident), groups AS (SELECT grp, {bits} AS bits {of} GROUP BY grp) "
        f"SELECT r.seq, coalesce(own.side, CASE WHEN r.golden THEN {int(Side.TEST)} ELSE {int(Side.NEW)} END) AS side, "
        f"coalesce(own.side, {int(Side.NEW)}) AS old, "
        "coalesce(idents.bits, 0) | coalesce(groups.bits, 0) AS touches, r.grp, dense_rank() OVER (ORDER BY r.label) - 1 AS label, "
        f"md5_number_lower('{seed} ' || r.id) AS rank, r.present AND NOT r.golden AS counts "
        f"FROM all_{shape.source} r LEFT JOIN own USING (core) LEFT JOIN idents USING (ident) LEFT JOIN groups USING (grp) ORDER BY r.seq"
    )
    found = bench.arrays(f"SELECT side, touches, grp, label, rank, counts FROM order_{shape.source}")
    return Rows(
        side=np.asarray(found["side"], dtype=np.int8),
        touches=np.asarray(found["touches"], dtype=np.uint8),
        group=np.asarray(found["grp"], dtype=np.int64),
        label=np.asarray(found["label"], dtype=np.int64),
        rank=np.asarray(found["rank"], dtype=np.uint64),
        pairs=pairs,
        counts=np.asarray(found["counts"], dtype=np.bool_),
    )
