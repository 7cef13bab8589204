"""A row's own identifying values, wherever they stand in its texts.

Values are compared by their letters and digits alone, so that `555-0148`, `5550148` and `555 0148` are one; names also by their parts.
"""

import re
from collections.abc import Sequence
from functools import lru_cache
from typing import NamedTuple

from regimen_trainer.deid.lexicon import name_weights, word_counts

_TOKEN = re.compile(r"[^\W_]+")
_PART = re.compile(r"[^\W\d_][^\W\d_'’-]{2,}")
_GAP = re.compile(r"\s*[-–./,#_'’]?\s*")
_MARKS = "-–./,#_'’"
SHORTEST = 2


class Known(NamedTuple):
    """One of the row's own identifying values and what to put instead."""

    column: str
    value: str
    replacement: str


class _Hit(NamedTuple):
    start: int
    end: int
    known: Known


def scrub(text: str, known: Sequence[Known], found: dict[str, int]) -> str:
    """The text with every known value replaced: whole values, the longest first, then parts of names as written."""
    if not _likely(text, known):
        return text
    tokens = list(_TOKEN.finditer(text))
    folded = [match[0].casefold() for match in tokens]
    joined, hits = "".join(folded), list[_Hit]()
    values = sorted(known, key=lambda entry: -len(entry.value))
    for entry in values:
        target = squeezed(entry.value)
        if len(target) >= SHORTEST and target in joined:
            hits += [_Hit(start, end, entry) for start, end in _wholes(text, tokens, folded, target)]
    for entry in values:
        if not (parts := _parts(entry.value)):
            continue
        hits += [_Hit(match.start(), match.end(), entry) for match in tokens if match[0] in parts]
    return _replaced(text, hits, found) if hits else text


def _likely(text: str, known: Sequence[Known]) -> bool:
    """Whether any value may be in the text: true of nearly none, and cheap to say."""
    bare = "".join(text.casefold().split())
    for mark in _MARKS:
        bare = bare.replace(mark, "")
    return not text.isascii() or any(squeezed(entry.value) in bare or any(part in text for part in _parts(entry.value)) for entry in known)


@lru_cache(maxsize=4096)
def squeezed(value: str) -> str:
    """Its letters and digits in lower case."""
    return "".join(_TOKEN.findall(value)).casefold()


@lru_cache(maxsize=4096)
def _parts(value: str) -> frozenset[str]:
    """The parts of a name of several words, as written and in capitals. Words that nobody is called, such as Hospital, are none."""
    words = _PART.findall(value) if len(value.split()) > 1 and not any(letter.isdigit() for letter in value) else []
    names, english = name_weights(), word_counts()
    kept = {
        word
        for word in words
        if word[0].isupper() and (word.lower() in names or english.get(word.lower(), 0) < 1_000_000 or len(words) < 3)
    }
    return frozenset(kept | {word.upper() for word in kept})


def _wholes(text: str, tokens: Sequence[re.Match[str]], folded: Sequence[str], target: str) -> list[tuple[int, int]]:
    """Spans of tokens next to each other whose letters and digits are those of the value."""
    found = []
    for first, token in enumerate(folded):
        if not target.startswith(token):
            continue
        last, length = first, len(token)
        while length < len(target) and last + 1 < len(tokens) and target.startswith(folded[last + 1], length):
            if not _GAP.fullmatch(text, tokens[last].end(), tokens[last + 1].start()):
                break
            last += 1
            length += len(folded[last])
        if length == len(target):
            found.append((tokens[first].start(), tokens[last].end()))
    return found


def _replaced(text: str, hits: Sequence[_Hit], found: dict[str, int]) -> str:
    """Earlier hits win over later ones that overlap."""
    kept, taken = list[_Hit](), set[int]()
    for hit in hits:
        span = range(hit.start, hit.end)
        if taken.isdisjoint(span):
            taken.update(span)
            kept.append(hit)
            found[hit.known.column] = found.get(hit.known.column, 0) + 1
    kept.sort()
    ends = [0, *(hit.end for hit in kept)]
    starts = [*(hit.start for hit in kept), len(text)]
    pieces = [text[end:start] for end, start in zip(ends, starts, strict=True)]
    return pieces[0] + "".join(hit.known.replacement + piece for hit, piece in zip(kept, pieces[1:], strict=True))
