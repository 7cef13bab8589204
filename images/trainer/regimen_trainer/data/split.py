"""Which rows are held out. Rows that belong together (same policy, near-duplicate texts) stay on one side.

Pure: no files and no clock. The side of a group follows from a seeded hash of its members' surrogates, so that a group that is held out
stays held out when rows are added, as far as the shares allow.
"""

import re
from collections import Counter, defaultdict
from collections.abc import Hashable, Sequence
from dataclasses import dataclass
from hashlib import sha256
from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from numpy.typing import NDArray

PERMUTATIONS = 64
SHINGLE = 3
_WORD = re.compile(r"\w+")


@dataclass(frozen=True)
class Item:
    """A row as the split sees it: its surrogate, what it must stay together with, its stratum, its text."""

    id: str
    group: Hashable
    label: str
    text: str


class Clusters:
    """Disjoint sets over 0 … size-1 (union-find with path halving)."""

    def __init__(self, size: int) -> None:
        self._parent = list(range(size))

    def find(self, index: int) -> int:
        while self._parent[index] != index:
            self._parent[index] = self._parent[self._parent[index]]
            index = self._parent[index]
        return index

    def join(self, left: int, right: int) -> None:
        self._parent[self.find(left)] = self.find(right)


def held_out(items: Sequence[Item], test_fraction: float, near_duplicates: float, seed: int) -> set[int]:
    """Indexes of the rows to hold out: about `test_fraction` of each label, whole groups only."""
    clusters = Clusters(len(items))
    join_groups(items, clusters)
    join_near_duplicates(items, near_duplicates, clusters)
    members: defaultdict[int, list[int]] = defaultdict(list)
    for index in range(len(items)):
        members[clusters.find(index)].append(index)
    groups = sorted(members.values(), key=lambda group: _rank(seed, min(items[index].id for index in group)))
    return _fill(items, groups, test_fraction)


def _rank(seed: int, identity: str) -> str:
    return sha256(f"{seed} {identity}".encode()).hexdigest()


def _fill(items: Sequence[Item], groups: Sequence[Sequence[int]], test_fraction: float) -> set[int]:
    """Take groups in order while none of their labels gets more than its share."""
    room = {label: test_fraction * count for label, count in Counter(item.label for item in items).items()}
    chosen: set[int] = set()
    for group in groups:
        needs = Counter(items[index].label for index in group)
        if all(room[label] + 0.5 >= count for label, count in needs.items()):
            chosen.update(group)
            for label, count in needs.items():
                room[label] -= count
    return chosen


def join_groups(items: Sequence[Item], clusters: Clusters) -> None:
    """Join rows of the same group."""
    first: dict[Hashable, int] = {}
    for index, item in enumerate(items):
        clusters.join(first.setdefault(item.group, index), index)


def join_near_duplicates(items: Sequence[Item], threshold: float, clusters: Clusters) -> int:
    """Join rows whose word 3-grams have a Jaccard similarity of `threshold` or more; returns how many pairs were found.

    MinHash proposes pairs (at a lower threshold, so that few are missed), the exact similarity decides.
    """
    from datasketch import MinHash, MinHashLSH

    index_of = MinHashLSH(threshold=max(0.1, threshold - 0.1), num_perm=PERMUTATIONS)
    shingles: list[NDArray[np.uint64]] = []
    blank = MinHash(PERMUTATIONS, seed=1, hashfunc=int)
    pairs = 0
    for index, item in enumerate(items):
        shingles.append(_shingles(item.text))
        sketch = blank.copy()
        sketch.update_batch(shingles[index].tolist())
        for other in index_of.query(sketch):
            if clusters.find(other) != clusters.find(index) and _jaccard(shingles[other], shingles[index]) >= threshold:
                clusters.join(other, index)
                pairs += 1
        index_of.insert(index, sketch)
    return pairs


def _shingles(text: str) -> "NDArray[np.uint64]":
    """Sorted 32-bit hashes of a text's word 3-grams; of its words where it has fewer than three."""
    words = _WORD.findall(text.casefold())
    grams = {" ".join(words[start : start + SHINGLE]) for start in range(max(1, len(words) - SHINGLE + 1))}
    hashes = [int.from_bytes(sha256(gram.encode()).digest()[:4], "big") for gram in grams]
    return np.unique(np.array(hashes, dtype=np.uint64))


def _jaccard(left: "NDArray[np.uint64]", right: "NDArray[np.uint64]") -> float:
    shared = np.intersect1d(left, right, assume_unique=True).size
    return float(shared) / (left.size + right.size - shared)
