"""Near-duplicates: which texts share most of their word 3-grams. Exact, not sampled, and made for a million texts in little memory.

Two texts whose sets of 3-grams have a Jaccard similarity of t or more share at least one of the first |x| - ceil(t|x|) + 1 grams of each, in
any order of all grams that is the same for both (prefix filtering; Chaudhuri et al., ICDE 2006, Bayardo et al., WWW 2007). Ordered from
rare to common, those few grams have short lists, so that the sentences every review repeats cost nothing. How common a gram is, is a table of
logarithms that the first revision makes and later ones keep: any table gives the same pairs, a good one gives them sooner.

Knows arrays and words; nothing of files, rows or splits.
"""

import re
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from functools import lru_cache
from hashlib import blake2b

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
"""Pairs that are looked at together."""
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


def counted(values: Grams, table: NDArray[np.int64] | None = None) -> NDArray[np.int64]:
    """How often the grams of each bucket occur, added to `table`."""
    more = np.bincount(values & np.uint32(BUCKETS - 1), minlength=BUCKETS)
    return more if table is None else table + more


def commonness(table: NDArray[np.int64]) -> NDArray[np.uint8]:
    """Logarithm of the counts in sixteenths: small for rare grams."""
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
    in a window only, and `skipped` says how many comparisons that left out.
    """
    if not texts.prefix.size:
        return Found(np.zeros((0, 2), dtype=np.int64), np.zeros(0), 0)
    who, heads, lengths = _lists(texts, fresh)
    longest = _longest(lengths, fresh.size)
    whole = lengths <= longest
    skipped = int((lengths[~whole] * (lengths[~whole] - 1) // 2 - lengths[~whole] * WINDOW).clip(0).sum())
    spans = np.where(whole, lengths, np.minimum(lengths, WINDOW + 1))
    hopeful = [np.zeros(0, dtype=np.int64)]
    for pairs in _candidates(who, heads, lengths, spans):
        close = (fresh[pairs[:, 0]] | fresh[pairs[:, 1]]) & _may_match(pairs, texts, threshold)
        hopeful.append(np.unique((pairs[close, 0] << 32) | pairs[close, 1]))
    packed = np.unique(np.concatenate(hopeful))
    found, scores = [np.zeros((0, 2), dtype=np.int64)], [np.zeros(0)]
    for start in range(0, packed.size, BLOCK // 10):
        part = packed[start : start + BLOCK // 10]
        pairs = np.stack((part >> 32, part & 0xFFFFFFFF), axis=1)
        score = similarity(pairs, sets)
        found.append(pairs[score >= threshold - 1e-9])
        scores.append(score[score >= threshold - 1e-9])
    return Found(np.concatenate(found), np.concatenate(scores), skipped)


def _lists(texts: Sketches, fresh: NDArray[np.bool_]) -> tuple[NDArray[np.int64], NDArray[np.int64], NDArray[np.int64]]:
    """For each rare gram of two texts or more, one of them fresh, its texts: all lists one after the other, where each begins, its length.

    In a list, texts with the same rarest grams are neighbours, for the sake of lists that are looked at through a window.
    """
    counts = np.diff(texts.offsets)
    first, second = (
        np.where(counts > step, texts.prefix[np.minimum(texts.offsets[:-1] + step, texts.prefix.size - 1)], 0) for step in (0, 1)
    )
    rank = np.empty(counts.size, dtype=np.uint64)
    order = np.argsort((first.astype(np.uint64) << np.uint64(32)) | second, kind="stable")
    rank[order] = np.arange(counts.size, dtype=np.uint64)
    postings = np.sort((texts.prefix.astype(np.uint64) << np.uint64(32)) | rank.repeat(counts))
    keys, who = (postings >> np.uint64(32)).astype(np.uint32), order[(postings & np.uint64(0xFFFFFFFF)).astype(np.int64)]
    heads = np.flatnonzero(np.concatenate(([True], keys[1:] != keys[:-1]))) if keys.size else np.zeros(0, dtype=np.int64)
    lengths = np.diff(np.concatenate((heads, [keys.size])))
    news = np.add.reduceat(fresh[who].astype(np.int64), heads) if heads.size else lengths
    useful = (lengths > 1) & (news > 0)
    return who, heads[useful], lengths[useful]


def _longest(lengths: NDArray[np.int64], texts: int) -> int:
    """Up to what length lists are compared whole: all of them, while that is no more comparisons than can be afforded."""
    ordered = np.sort(lengths)
    afforded = np.cumsum(ordered * (ordered - 1) // 2) <= max(FEW, AFFORDED * texts)
    return int(ordered[afforded][-1]) if afforded.any() else 0


def _candidates(who: NDArray[np.int64], heads: NDArray[np.int64], lengths: NDArray[np.int64], spans: NDArray[np.int64]) -> Iterator[Pairs]:
    """Pairs that stand in one list, less than its span apart: neighbours first. The lower index first."""
    waiting: list[Pairs] = []
    size = 0
    for apart in range(1, int(spans.max(initial=0))):
        lists = spans > apart
        starts, reach = heads[lists], lengths[lists] - apart
        left = _ranges(starts, reach)
        pairs = np.sort(np.stack((who[left], who[left + apart]), axis=1), axis=1)
        waiting.append(pairs)
        size += len(pairs)
        if size >= BLOCK:
            yield np.concatenate(waiting)
            waiting, size = [], 0
    if waiting:
        yield np.concatenate(waiting)


def _may_match(pairs: Pairs, texts: Sketches, threshold: float) -> NDArray[np.bool_]:
    """Whether sizes and bitmaps leave it possible. A pair of that similarity differs in so many grams at most, and so in so many bits."""
    both = texts.sizes[pairs[:, 0]] + texts.sizes[pairs[:, 1]]
    most = np.floor(both * (1 - threshold) / (1 + threshold) + 1e-9)
    differing = np.zeros(len(pairs), dtype=np.int64)
    for word in range(WORDS):
        differing += np.bitwise_count(texts.bits[pairs[:, 0], word] ^ texts.bits[pairs[:, 1], word])
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
