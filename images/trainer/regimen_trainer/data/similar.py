"""Near-duplicates: which texts share most of their word 3-grams. Exact, not sampled, and made for a million texts in little memory.

Two texts whose sets of 3-grams have a Jaccard similarity of t or more share at least one of the first |x| - ceil(t|x|) + 1 grams of each, in
any order of all grams that is the same for both (prefix filtering; Chaudhuri et al., ICDE 2006, Bayardo et al., WWW 2007). Ordered from
rare to common, those few grams have short lists, so that the sentences every review repeats cost nothing. How common a gram is, is a table of
logarithms that the first revision makes and later ones keep: any table gives the same pairs, a good one gives them sooner.

Knows arrays and words; nothing of files, rows or splits.
"""

import re
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from functools import lru_cache
from hashlib import blake2b
from itertools import chain

import numpy as np
from numpy.typing import NDArray

Grams = NDArray[np.uint32]
"""Sorted 32-bit hashes of a text's distinct word 3-grams."""
Pairs = NDArray[np.int64]
"""Shape (n, 2): the indexes of two texts each, the lower first."""

GRAM = 3
BUCKETS = 1 << 20
"""Size of the table of how common grams are; grams that share a bucket count as equally common."""
WORDS = 4
"""64-bit words of a text's bitmap."""
FEW, AFFORDED = 20_000_000, 64
"""Comparisons that are always made, and those for each text: bitmaps settle nearly all of them, in nanoseconds."""
WINDOW = 16
"""How far apart two texts may stand in a list that is too long: a gram this common among the rarest of a text means boilerplate."""
BLOCK = 1_000_000
"""Pairs, about, that are looked at together."""
PART = 4_000_000
"""Grams, about, that are looked at together."""
_WORD = re.compile(r"\w+")
_SURROGATE = re.compile(r"\[([^\[\]]{1,128}) [a-f][0-9a-f]{7}\]")


@lru_cache(maxsize=1 << 18)
def _word(word: str) -> int:
    """A 64-bit hash that is the same on every machine, unlike Python's own."""
    return int.from_bytes(blake2b(word.encode(), digest_size=8).digest(), "big")


def comparable(text: str) -> str:
    """A text without what differs between people: surrogates go, their columns' names stay."""
    return _SURROGATE.sub(r" \1 ", text).casefold()


def grams(texts: Sequence[str]) -> tuple[Grams, NDArray[np.int64]]:
    """The grams of many texts one after the other, and where each text's begin: offsets of shape (len(texts) + 1,).

    A text of fewer than three words has one gram of the words it has.
    """
    words = [[_word(word) for word in _WORD.findall(comparable(text))] or [0] for text in texts]
    lengths = np.array([len(entry) for entry in words], dtype=np.int64)
    flat = np.array([value for entry in words for value in entry], dtype=np.uint64)
    starts = np.concatenate(([0], np.cumsum(lengths)))
    owner = np.repeat(np.arange(len(texts), dtype=np.uint64), lengths)
    place = np.arange(flat.size) - starts[:-1].repeat(lengths)
    short = np.minimum(lengths, GRAM).repeat(lengths)
    kept = place + short <= lengths.repeat(lengths)
    mixed = np.zeros(flat.size, dtype=np.uint64)
    for step, odd in enumerate((0x9E3779B97F4A7C15, 0xC2B2AE3D27D4EB4F, 0x165667B19E3779F9)):
        there = np.arange(flat.size) + step
        inside = (step < short) & (there < flat.size)
        mixed = np.where(inside, _stir(mixed ^ (flat[np.minimum(there, flat.size - 1)] * np.uint64(odd))), mixed)
    keyed = np.unique((owner[kept] << np.uint64(32)) | (mixed[kept] >> np.uint64(32)))
    counts = np.bincount((keyed >> np.uint64(32)).astype(np.int64), minlength=len(texts))
    return (keyed & np.uint64(0xFFFFFFFF)).astype(np.uint32), np.concatenate(([0], np.cumsum(counts)))


def _stir(values: NDArray[np.uint64]) -> NDArray[np.uint64]:
    """Spread every bit over all bits (the finaliser of splitmix64)."""
    values = (values ^ (values >> np.uint64(30))) * np.uint64(0xBF58476D1CE4E5B9)
    values = (values ^ (values >> np.uint64(27))) * np.uint64(0x94D049BB133111EB)
    return values ^ (values >> np.uint64(31))


def commonness(values: Grams) -> NDArray[np.uint8]:
    """How often the grams of each bucket occur: the logarithm in sixteenths, small for rare grams."""
    table = np.zeros(BUCKETS, dtype=np.int64)
    for start in range(0, values.size, PART):
        table += np.bincount(values[start : start + PART] & np.uint32(BUCKETS - 1), minlength=BUCKETS)
    logarithms: NDArray[np.uint8] = np.minimum(16 * np.log2(table + 1), 255).astype(np.uint8)
    return logarithms


def prefix_sizes(sizes: NDArray[np.int64], threshold: float) -> NDArray[np.int64]:
    """How many of its rarest grams a text must show to be found."""
    needed: NDArray[np.int64] = sizes - np.ceil(sizes * threshold - 1e-9).astype(np.int64) + 1
    return needed


def prefixes(values: Grams, offsets: NDArray[np.int64], common: NDArray[np.uint8], threshold: float) -> tuple[Grams, NDArray[np.int64]]:
    """The rarest grams of each text, as many as `threshold` asks for, and where each text's begin."""
    sizes = np.diff(offsets)
    owner = np.repeat(np.arange(sizes.size, dtype=np.uint64), sizes)
    rarity = common[values & np.uint32(BUCKETS - 1)].astype(np.uint64)
    order = np.sort((owner << np.uint64(40)) | (rarity << np.uint64(32)) | values)
    place = np.arange(values.size) - offsets[:-1].repeat(sizes)
    needed = prefix_sizes(sizes, threshold)
    chosen = order[place < needed.repeat(sizes)]
    return (chosen & np.uint64(0xFFFFFFFF)).astype(np.uint32), np.concatenate(([0], np.cumsum(needed)))


@dataclass(frozen=True)
class Sketches:
    """What is kept of n texts to find the alike ones: their rarest grams, one text after the other, where each text's begin (n + 1), how many
    grams it has (n), and a bitmap of them (n, WORDS)."""

    prefix: Grams
    offsets: NDArray[np.int64]
    sizes: NDArray[np.int64]
    bits: NDArray[np.uint64]


@dataclass(frozen=True)
class Found:
    """Near-duplicates: pairs with their similarity, and how many comparisons were left out as boilerplate."""

    pairs: Pairs
    similarity: NDArray[np.float64]
    skipped: int


def bitmaps(values: Grams, offsets: NDArray[np.int64]) -> NDArray[np.uint64]:
    """One bit for each gram of a text; texts whose bitmaps differ in many bits differ in as many grams at least."""
    owner = np.repeat(np.arange(offsets.size - 1), np.diff(offsets))
    place = (values >> np.uint32(20)).astype(np.int64) % (64 * WORDS)
    bits = np.zeros((offsets.size - 1, WORDS), dtype=np.uint64)
    np.bitwise_or.at(bits, (owner, place // 64), np.uint64(1) << (place % 64).astype(np.uint64))
    return bits


def near_duplicates(texts: Sketches, threshold: float, sets: Callable[[NDArray[np.int64]], list[Grams]], fresh: NDArray[np.bool_]) -> Found:
    """Pairs of texts with a similarity of `threshold` or more, at least one of them `fresh`.

    `sets` gives the grams of the texts it is asked for. Where the lists of rare grams would ask for too many comparisons, the longest are compared
    in a window only, and `skipped` says how many comparisons that left out. Lists are made for a part of all grams at a time, to save memory.
    """
    hopeful, skipped = [np.zeros(0, dtype=np.int64)], 0
    order, ranks = _ranks(texts)
    places = _wanted(texts, fresh)
    parts = 1 + places.size // PART
    for part in range(parts):
        lists = _lists(texts, order, ranks, fresh, places[texts.prefix[places] % np.uint32(parts) == part])
        whole = lists.lengths <= _longest(lists, max(FEW, AFFORDED * fresh.size) // parts)
        skipped += int((lists.asked[~whole] - lists.lengths[~whole] * WINDOW).clip(0).sum())
        for pairs in _in_blocks(chain(_everyone(lists.chosen(whole), fresh), _neighbours(lists.chosen(~whole)))):
            close = (fresh[pairs[:, 0]] | fresh[pairs[:, 1]]) & _may_match(pairs, texts, threshold)
            hopeful.append(np.unique((pairs[close, 0] << 32) | pairs[close, 1]))
    packed = np.unique(np.concatenate(hopeful))
    found, scores = [np.zeros((0, 2), dtype=np.int64)], [np.zeros(0)]
    for start in range(0, packed.size, BLOCK // 10):
        piece = packed[start : start + BLOCK // 10]
        pairs = np.stack((piece >> 32, piece & 0xFFFFFFFF), axis=1)
        score = similarity(pairs, sets)
        found.append(pairs[score >= threshold - 1e-9])
        scores.append(score[score >= threshold - 1e-9])
    return Found(np.concatenate(found), np.concatenate(scores), skipped)


@dataclass(frozen=True)
class _Lists:
    """The texts of each rare gram that two texts or more have, one of them fresh: all lists one after the other (`who`), where each begins, its
    length, and how many of its texts are fresh."""

    who: NDArray[np.int64]
    heads: NDArray[np.int64]
    lengths: NDArray[np.int64]
    news: NDArray[np.int64]

    @property
    def asked(self) -> NDArray[np.int64]:
        """Comparisons in each: of fresh texts with all others."""
        return self.news * self.lengths - self.news * (self.news + 1) // 2

    def chosen(self, which: NDArray[np.bool_]) -> "_Lists":
        return _Lists(self.who, self.heads[which], self.lengths[which], self.news[which])


def _ranks(texts: Sketches) -> tuple[NDArray[np.int64], NDArray[np.uint64]]:
    """The texts in the order of their rarest grams, in which those with the same ones are neighbours; and the place of each text in it."""
    counts = np.diff(texts.offsets)
    order, ranks = np.arange(counts.size), np.arange(counts.size, dtype=np.uint64)
    if texts.prefix.size:
        first, second = (
            np.where(counts > step, texts.prefix[np.minimum(texts.offsets[:-1] + step, texts.prefix.size - 1)], 0) for step in (0, 1)
        )
        order = np.argsort((first.astype(np.uint64) << np.uint64(32)) | second, kind="stable")
        ranks[order] = np.arange(counts.size, dtype=np.uint64)
    return order, ranks


def _wanted(texts: Sketches, fresh: NDArray[np.bool_]) -> NDArray[np.int64]:
    """Places of the rare grams that may be of use: those a fresh text has. A table of their last bits leaves nearly all others out."""
    if fresh.all():
        return np.arange(texts.prefix.size)
    met = np.zeros(BUCKETS, dtype=np.bool_)
    met[texts.prefix[fresh.repeat(np.diff(texts.offsets))] & np.uint32(BUCKETS - 1)] = True
    return np.flatnonzero(met[texts.prefix & np.uint32(BUCKETS - 1)])


def _lists(
    texts: Sketches, order: NDArray[np.int64], ranks: NDArray[np.uint64], fresh: NDArray[np.bool_], places: NDArray[np.int64]
) -> _Lists:
    """The lists of the rare grams at `places`, each in the order of the ranks."""
    owners = np.searchsorted(texts.offsets, places, side="right") - 1
    postings = np.sort((texts.prefix[places].astype(np.uint64) << np.uint64(32)) | ranks[owners])
    keys, who = (postings >> np.uint64(32)).astype(np.uint32), order[(postings & np.uint64(0xFFFFFFFF)).astype(np.int64)]
    heads = np.flatnonzero(np.concatenate(([True], keys[1:] != keys[:-1]))) if keys.size else np.zeros(0, dtype=np.int64)
    lengths = np.diff(np.concatenate((heads, [keys.size])))
    news = np.add.reduceat(fresh[who].astype(np.int64), heads) if heads.size else lengths
    useful = (lengths > 1) & (news > 0)
    return _Lists(who, heads[useful], lengths[useful], news[useful])


def _longest(lists: _Lists, afforded: int) -> int:
    """Up to what length lists are compared whole: all of them, while that is no more comparisons than can be afforded."""
    order = np.argsort(lists.lengths, kind="stable")
    whole = np.cumsum(lists.asked[order]) <= afforded
    return int(lists.lengths[order][whole][-1]) if whole.any() else 0


def _everyone(lists: _Lists, fresh: NDArray[np.bool_]) -> Iterator[Pairs]:
    """In each list, its fresh texts with all others."""
    places = _ranges(lists.heads, lists.lengths)
    number = np.arange(lists.heads.size).repeat(lists.lengths)
    who = lists.who[places]
    if not fresh.all():
        who = who[np.argsort(2 * number + ~fresh[who], kind="stable")]  # fresh ones first
    heads = np.cumsum(lists.lengths) - lists.lengths
    for step in range(int(lists.news.max(initial=0))):
        some = (lists.news > step) & (lists.lengths > step + 1)
        starts, reach = heads[some] + step, lists.lengths[some] - step - 1
        yield np.stack((who[starts.repeat(reach)], who[_ranges(starts + 1, reach)]), axis=1)


def _neighbours(lists: _Lists) -> Iterator[Pairs]:
    """In each list, texts that stand at most WINDOW apart."""
    for apart in range(1, WINDOW + 1):
        left = _ranges(lists.heads, (lists.lengths - apart).clip(0))
        yield np.stack((lists.who[left], lists.who[left + apart]), axis=1)


def _in_blocks(pieces: Iterable[Pairs]) -> Iterator[Pairs]:
    """BLOCK pairs or some more at once; the lower index of each pair first."""
    waiting: list[Pairs] = []
    size = 0
    for piece in pieces:
        for start in range(0, len(piece), BLOCK):
            waiting.append(np.sort(piece[start : start + BLOCK], axis=1))
            size += len(waiting[-1])
            if size >= BLOCK:
                yield np.concatenate(waiting)
                waiting, size = [], 0
    if waiting:
        yield np.concatenate(waiting)


def _may_match(pairs: Pairs, texts: Sketches, threshold: float) -> NDArray[np.bool_]:
    """Whether sizes and bitmaps leave it possible. A pair of that similarity differs in so many grams at most, and so in so many bits."""
    left, right = np.ascontiguousarray(pairs.T)
    most = np.floor((texts.sizes.take(left) + texts.sizes.take(right)) * (1 - threshold) / (1 + threshold) + 1e-9)
    words = np.bitwise_count(texts.bits.take(left, axis=0) ^ texts.bits.take(right, axis=0))
    # numpy adds up rows of four much more slowly than four columns.
    differing = sum((words[:, word] for word in range(1, WORDS)), words[:, 0].astype(np.uint16))
    matches: NDArray[np.bool_] = differing <= most
    return matches


def similarity(pairs: Pairs, sets: Callable[[NDArray[np.int64]], list[Grams]]) -> NDArray[np.float64]:
    """Jaccard similarity of each pair's grams."""
    if not len(pairs):
        return np.zeros(0)
    ids = np.unique(pairs)
    of = sets(ids)
    place = np.searchsorted(ids, pairs)
    sizes = np.array([entry.size for entry in of], dtype=np.int64)
    flat, starts = np.concatenate(of), np.concatenate(([0], np.cumsum(sizes)))
    both = sizes[place].sum(axis=1)
    number = np.arange(len(pairs), dtype=np.uint64) << np.uint64(32)
    keyed = [(number.repeat(sizes[side]) | flat[_ranges(starts[side], sizes[side])]) for side in (place[:, 0], place[:, 1])]
    merged = np.sort(np.concatenate(keyed))
    twice = merged[1:][merged[1:] == merged[:-1]]
    shared = np.bincount((twice >> np.uint64(32)).astype(np.int64), minlength=len(pairs))
    scores: NDArray[np.float64] = shared / (both - shared)
    return scores


def _ranges(starts: NDArray[np.int64], sizes: NDArray[np.int64]) -> NDArray[np.int64]:
    """start, start + 1, …, one range after the other."""
    total = int(sizes.sum())
    places: NDArray[np.int64] = starts.repeat(sizes) + np.arange(total) - (np.cumsum(sizes) - sizes).repeat(sizes)
    return places
