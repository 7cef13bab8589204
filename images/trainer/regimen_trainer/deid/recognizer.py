"""A recognizer: what a class of identifier looks like, what it becomes, and the cues without which it need not be tried.

Most texts hold few identifiers, so that nearly all time would go into patterns that find nothing. A text's words are therefore looked
up once, and its digits once turned into zeros: a recognizer runs only where one of its words, or one of its shapes, is there.
"""

import re
from collections.abc import Callable, Iterable
from typing import NamedTuple

_WORD = re.compile(r"[a-z]+")
_ZEROS = bytes.maketrans(b"123456789", b"000000000")
MANY_COLONS, MANY_HYPHENS = "\x00::", "\x00--"
"""Shapes of texts with more than two colons, or more than three hyphens."""
_DIGIT = "\x00digit"
"""What a text has that holds any digit, for recognizers that need one."""
PARTS = ("\x00", "0000", "/", "-0", "0.0", "")
"""What many shapes have in common, so that one look rules all of these out."""
Becomes = Callable[[re.Match[str]], str]
Found = dict[str, int]
"""Removed identifiers counted by class."""


class Recognizer(NamedTuple):
    """`clean` gives the text without what it found, and counts that. Of `needs`, where there are any, one must be in the text as well."""

    clean: Callable[[str, Found], str]
    words: frozenset[str]
    shapes: tuple[str, ...]
    needs: tuple[str, ...]


def word_set(text: str) -> frozenset[str]:
    return frozenset(text.split())


def tag(name: str) -> str:
    return f"[{name}]"


def recognizer(
    name: str,
    looks: str,
    becomes: Becomes | None = None,
    words: str = "",
    shapes: Iterable[str] = (),
    flags: int = re.IGNORECASE,
    needs: Iterable[str] = (),
    first: str = "",
) -> Recognizer:
    """What looks like `looks` becomes a tag, or what `becomes` says: the match itself where it is none after all.

    `first`: a cheaper pattern, without which the whole is not tried. `words`: lower-case cues. `shapes`: pieces of text in lower case, digits as 0. `needs`: pieces of text in lower case.
    """
    pattern, kept = re.compile(looks, flags), tag(name)
    hint = re.compile(first, flags) if first else None

    def clean(text: str, found: Found) -> str:
        def replaced(match: re.Match[str]) -> str:
            result = becomes(match) if becomes else kept
            if result != match[0]:
                found[name] = found.get(name, 0) + 1
            return result

        return text if hint and not hint.search(text) else pattern.sub(replaced, text)

    return Recognizer(clean, frozenset(words.split()), tuple(shapes), (_DIGIT,) if set("0123456789") <= set(needs) else tuple(needs))


class Cues:
    """Which of some recognizers are worth trying on a text."""

    def __init__(self, recognizers: Iterable[Recognizer]) -> None:
        self._recognizers = tuple(recognizers)
        self._by_word, self._by_shape = dict[str, list[int]](), dict[str, list[int]]()
        for index, entry in enumerate(self._recognizers):
            for word in entry.words:
                self._by_word.setdefault(word, []).append(index)
            for shape in entry.shapes:
                self._by_shape.setdefault(shape, []).append(index)
        self._by_part: dict[str, list[str]] = {}
        for shape in self._by_shape:
            part = next(part for part in PARTS if part in shape)
            self._by_part.setdefault(part, []).append(shape)

    def of(self, words: set[str], lower: str) -> list[Recognizer]:
        """`words`: the lower-case words of the text; `lower`: the text in lower case."""
        return self.parted(words, lower, 0)[1]

    def parted(self, words: set[str], lower: str, at: int) -> tuple[list[Recognizer], list[Recognizer]]:
        """Those before a place in the order, and the others."""
        zeros = lower.encode("utf-8", "surrogatepass").translate(_ZEROS).decode("utf-8", "surrogatepass")
        zeros += MANY_COLONS * (zeros.count(":") > 2) + MANY_HYPHENS * (zeros.count("-") > 3)
        tried: set[int] = set()
        for word in self._by_word.keys() & words:
            tried.update(self._by_word[word])
        for part, shapes in self._by_part.items():
            if part in zeros:
                for shape in shapes:
                    if shape in zeros:
                        tried.update(self._by_shape[shape])
        if "0" in zeros:
            lower += _DIGIT
        found: tuple[list[Recognizer], list[Recognizer]] = ([], [])
        for index in sorted(tried):
            entry = self._recognizers[index]
            if not entry.needs or _any_in(entry.needs, lower):
                found[index >= at].append(entry)
        return found


def _any_in(needs: tuple[str, ...], lower: str) -> bool:
    for need in needs:  # noqa: SIM110 - a loop takes a third of the time of any()
        if need in lower:
            return True
    return False


def words_of(lower: str) -> set[str]:
    """The words of a lower-case text."""
    return set(_WORD.findall(lower))
