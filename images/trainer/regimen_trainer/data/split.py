"""Which rows are held out. Rows that belong together (same policy, near-duplicate texts) stay on one side, in this revision and in all later ones.

Pure: arrays in, sides out; no files and no clock. A row that is on a side stays there. New rows follow those they belong to; a new row that
belongs to both sides would leak and is put in quarantine. Only groups that touch neither side are free, and fill what each label lacks of
its share, in an order that a seeded hash gives.
"""

from dataclasses import dataclass
from enum import IntEnum

import numpy as np
from numpy.typing import NDArray
from scipy.sparse import coo_array
from scipy.sparse.csgraph import connected_components

Sides = NDArray[np.int8]


class Side(IntEnum):
    """Where a row is. NEW rows are on no side yet."""

    NEW = -1
    TRAIN = 0
    TEST = 1
    QUARANTINE = 2


TOUCHES_TRAIN, TOUCHES_TEST = 1, 2


@dataclass(frozen=True)
class Rows:
    """What the split sees of n rows, old and new; every array has length n but `pairs`, of shape (m, 2)."""

    side: Sides
    touches: NDArray[np.uint8]
    """Sides that the record already says of a row's claim or group, as bits; rows that are gone from the export count too."""
    group: NDArray[np.int64]
    label: NDArray[np.int64]
    """Codes from 0; rows of a label are held out to the same share."""
    rank: NDArray[np.uint64]
    """Seeded hash of each row's identity."""
    pairs: NDArray[np.int64]
    """Near-duplicates, as indexes."""
    counts: NDArray[np.bool_]
    """Rows of this revision; others are known from earlier ones and only keep their neighbours on their side."""


def assign(rows: Rows, test_fraction: float) -> Sides:
    """A side for every row; those that have one keep it."""
    side = rows.side.copy()
    new = side == Side.NEW
    touches = np.where(new, rows.touches | _neighbours(rows, side), 0).astype(np.uint8)
    bridging = new & (touches == TOUCHES_TRAIN | TOUCHES_TEST)
    side[bridging] = Side.QUARANTINE
    # What is left of the new rows can still bridge as a group: one of them near a held-out row, another near a training row.
    free = np.flatnonzero(new & ~bridging)
    if free.size:
        side[free] = _settle(rows, side, free, touches[free], test_fraction)
    return side


def _neighbours(rows: Rows, side: Sides) -> NDArray[np.uint8]:
    """The sides of the rows that each row is near to or shares a group with, as bits."""
    bits = np.zeros(side.size, dtype=np.uint8)
    for value, bit in ((Side.TRAIN, TOUCHES_TRAIN), (Side.TEST, TOUCHES_TEST)):
        on = side == value
        near = np.concatenate((rows.pairs[on[rows.pairs[:, 0]], 1], rows.pairs[on[rows.pairs[:, 1]], 0]))
        bits[near] |= bit
        bits[np.isin(rows.group, np.unique(rows.group[on]))] |= bit
    return bits


def _settle(rows: Rows, side: Sides, free: NDArray[np.int64], touches: NDArray[np.uint8], test_fraction: float) -> Sides:
    """Sides of the new rows `free`, component by component."""
    component = components(rows, free)
    size = int(component.max()) + 1
    bits = np.zeros(size, dtype=np.uint8)
    np.bitwise_or.at(bits, component, touches)
    chosen = np.array([Side.NEW, Side.TRAIN, Side.TEST, Side.QUARANTINE], dtype=np.int8)[bits]
    open_ = chosen[component] == Side.NEW
    if open_.any():
        room = _room(rows, side, free, chosen[component], test_fraction)
        held = _fill(component[open_], rows.label[free][open_], rows.rank[free][open_], room)
        chosen[(chosen == Side.NEW) & np.isin(np.arange(size), held)] = Side.TEST
        chosen[chosen == Side.NEW] = Side.TRAIN
    return chosen[component]


def components(rows: Rows, free: NDArray[np.int64]) -> NDArray[np.int64]:
    """Codes of the connected components among the rows `free`; edges are shared groups and near-duplicates."""
    place = np.full(rows.side.size, -1, dtype=np.int64)
    place[free] = np.arange(free.size)
    near = place[rows.pairs]
    near = near[(near >= 0).all(axis=1)]
    order = np.argsort(rows.group[free], kind="stable")
    same = rows.group[free][order][1:] == rows.group[free][order][:-1]
    chain = np.stack((order[1:][same], order[:-1][same]), axis=1)
    edges = np.concatenate((near, chain))
    graph = coo_array((np.ones(len(edges), dtype=np.int8), (edges[:, 0], edges[:, 1])), shape=(free.size, free.size))
    codes: NDArray[np.int64] = connected_components(graph, directed=False)[1].astype(np.int64)
    return codes


def _room(rows: Rows, side: Sides, free: NDArray[np.int64], chosen: Sides, test_fraction: float) -> NDArray[np.float64]:
    """How many rows of each label may still be held out."""
    labels = int(rows.label.max()) + 1
    now = side.copy()
    now[free] = chosen
    usable = rows.counts & (now != Side.QUARANTINE)
    total = np.bincount(rows.label[usable], minlength=labels)
    held = np.bincount(rows.label[usable & (now == Side.TEST)], minlength=labels)
    room: NDArray[np.float64] = total * np.float64(test_fraction) - held
    return room


def _fill(component: NDArray[np.int64], label: NDArray[np.int64], rank: NDArray[np.uint64], room: NDArray[np.float64]) -> NDArray[np.int64]:
    """Components to hold out: in order of their lowest rank, each that no label lacks room for, until there is none."""
    lowest = np.full(int(component.max()) + 1, np.iinfo(np.uint64).max, dtype=np.uint64)
    np.minimum.at(lowest, component, rank)
    order = np.lexsort((label, component, lowest[component]))
    component, label = component[order], label[order]
    starts = np.flatnonzero(np.concatenate(([True], component[1:] != component[:-1])))
    ends = np.append(starts[1:], component.size)
    held, left = [], room.copy()
    for start, end in zip(starts.tolist(), ends.tolist(), strict=True):
        needs = np.bincount(label[start:end], minlength=left.size) if end - start > 1 else None
        if needs is None:
            if left[label[start]] + 0.5 < 1:
                continue
            left[label[start]] -= 1
        elif ((left + 0.5 >= needs) | (needs == 0)).all():
            left -= needs
        else:
            continue
        held.append(int(component[start]))
        if (left < 0.5).all():
            break
    return np.array(held, dtype=np.int64)
