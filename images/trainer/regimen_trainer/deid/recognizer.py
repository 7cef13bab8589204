"""A recognizer: what a class of identifier looks like, what it becomes, and the cues without which it need not be tried.

Most texts hold few identifiers, so that nearly all time would go into patterns that find nothing. A text's words are therefore looked
up once, and its digits once turned into zeros: a recognizer runs only where one of its words, or one of its shapes, is there.
"""

import re
from collections.abc import Callable, Iterable
from typing import NamedTuple

_WORD = re.compile(r"[a-z]+")
_LETTERS = b"abcdefghijklmnopqrstuvwxyz"
_ZEROS = bytes.maketrans(b"123456789", b"000000000")
MANY_COLONS, MANY_HYPHENS = "\x00::", "\x00--"
"""Shapes of texts with more than two colons, or more than three hyphens."""
_DIGIT = "\x00digit"
"""What a text has that holds any digit, for recognizers that need one."""
PARTS = tuple(map(re.compile, (r"\.[a-z]", "xx", r"0000 |[ x]0000", "00000", "0000", r"0[a-z]", r"0 0", "")))
"""What many shapes have in common, so that one look rules all of these out."""
_PLAIN = frozenset("abcdefghijklmnopqrstuvwxyz0 ")
Becomes = Callable[[re.Match[str]], str]
Found = dict[str, int]
"""Removed identifiers counted by class."""


class Reading(NamedTuple):
    """What all recognizers ask of a text, found once: its lower-case words, itself in lower case, and that with its digits as 0."""

    words: set[str]
    lower: str
    zeros: str
    bones: str
    """The latter without its letters a to z: what has none stands in it too."""
    signs: frozenset[str]
    """The characters of the latter."""


class Recognizer(NamedTuple):
    """`clean` gives the text without what it found, and counts that. Of `needs`, where there are any, one must be in the text as well."""

    clean: Callable[[str, Found], str]
    words: frozenset[str]
    shapes: tuple[str, ...]
    needs: tuple[str, ...]
    gate: Callable[[Reading], bool] | None = None
    """What else must be so of the text as it was."""
    amid: bool = False
    """Whether a capital after a word that ends no sentence must be there."""


AMID = re.compile(r"[^.!?\s]\s+[\"“'‘]?[A-Z]|[:=(][A-Z]|\s[-~–]\s?[A-Z]|\b(?:[Dd]rs?|Mrs?|Ms)\.\s")


def reading(text: str) -> Reading:
    lower = text.lower()
    encoded = lower.encode("utf-8", "surrogatepass")
    zeros = encoded.translate(_ZEROS).decode("utf-8", "surrogatepass")
    bones = encoded.translate(_ZEROS, _LETTERS).decode("utf-8", "surrogatepass")
    digit = _DIGIT if "0" in zeros else ""
    many = MANY_COLONS * (zeros.count(":") > 2) + MANY_HYPHENS * (zeros.count("-") > 3)
    zeros, bones = zeros + many, bones + many
    return Reading(words_of(lower), lower + digit, zeros, bones, frozenset(zeros))


def word_set(text: str) -> frozenset[str]:
    return frozenset(text.split())


def tag(name: str) -> str:
    return f"[{name}]"


def after_lead(name: str, test: Callable[[re.Match[str]], object] | None = None) -> Becomes:
    """What follows the group `lead` becomes a tag, where a match passes the test."""
    kept = tag(name)
    return lambda match: match["lead"] + kept if test is None or test(match) else match[0]


def recognizer(
    name: str,
    looks: str,
    becomes: Becomes | None = None,
    words: str = "",
    shapes: Iterable[str] = (),
    flags: int = re.IGNORECASE,
    needs: Iterable[str] = (),
    first: str | Callable[[str], object] = "",
    amid: bool = False,
    gate: Callable[[Reading], bool] | None = None,
) -> Recognizer:
    """What looks like `looks` becomes a tag, or what `becomes` says: the match itself where it is none after all.

    `first`: a cheaper pattern or question, without which the whole is not tried. `words`: lower-case cues. `shapes`: pieces of text in lower case, digits as 0. `needs`: pieces of text in lower case.
    """
    pattern, kept = re.compile(looks, flags), tag(name)
    hint = (re.compile(first, flags).search if isinstance(first, str) else first) if first else None

    def clean(text: str, found: Found) -> str:
        def replaced(match: re.Match[str]) -> str:
            result = becomes(match) if becomes else kept
            if result != match[0]:
                found[name] = found.get(name, 0) + 1
            return result

        return text if hint and not hint(text) else pattern.sub(replaced, text)

    return Recognizer(
        clean, frozenset(words.split()), tuple(shapes), (_DIGIT,) if set("0123456789") <= set(needs) else tuple(needs), gate, amid
    )


class Cues:
    """Which of some recognizers are worth trying on a text. Those without words and shapes always are, where what they need is there."""

    def __init__(self, recognizers: Iterable[Recognizer]) -> None:
        self._recognizers = tuple(recognizers)
        self._always = self._amid = self._digit = 0
        self._by_word, by_shape = dict[str, int](), dict[str, int]()
        for index, entry in enumerate(self._recognizers):
            bit = 1 << index
            self._always |= bit * (not entry.words and not entry.shapes)
            self._amid |= bit * entry.amid
            self._digit |= bit * (entry.needs == (_DIGIT,))
            for word in entry.words:
                self._by_word[word] = self._by_word.get(word, 0) | bit
            for shape in entry.shapes:
                by_shape[shape] = by_shape.get(shape, 0) | bit
        self._by_signs: dict[frozenset[str], dict[Callable[[str], object], list[tuple[str, int, bool]]]] = {}
        for shape, bits in by_shape.items():
            part = next(part for part in PARTS if part.search(shape))
            self._by_signs.setdefault(frozenset(shape) - _PLAIN, {}).setdefault(part.search, []).append(
                (shape, bits, re.search("[a-z]", shape) is not None)
            )

    def of(self, seen: Reading, amid: bool = True) -> list[Recognizer]:
        """In their order. `amid`: whether the text as it is now has a capital amid a sentence."""
        tried, by_word, zeros, bones = self._always, self._by_word, seen.zeros, seen.bones
        for word in by_word.keys() & seen.words:
            tried |= by_word[word]
        for signs, parts in self._by_signs.items():
            if signs <= seen.signs:
                for part, shapes in parts.items():
                    if len(shapes) == 1 or part(zeros):
                        for shape, bits, lettered in shapes:
                            if bits & ~tried and (lettered or shape in bones) and shape in zeros:
                                tried |= bits
        if not amid:
            tried &= ~self._amid
        lower = seen.lower
        if not lower.endswith(_DIGIT):
            tried &= ~self._digit
        found = []
        while tried:
            entry = self._recognizers[(tried & -tried).bit_length() - 1]
            tried &= tried - 1
            if (not entry.needs or _any_in(entry.needs, lower)) and (entry.gate is None or entry.gate(seen)):
                found.append(entry)
        return found


def _any_in(needs: tuple[str, ...], lower: str) -> bool:
    for need in needs:  # noqa: SIM110 - a loop takes a third of the time of any()
        if need in lower:
            return True
    return False


BEFORE, NUMBERED = "\x00before", "\x00numbered"
"""What a text has where a capital, or a number in figures or words, stands right before a tag."""
_TAGGED = re.compile(r"\[(?:NAME|PLACE|ORGANIZATION|ADDRESS)\]")
_CAPITAL = re.compile(r"[A-Z][\w.'’-]*\s$")
SAID = r"(?:one|two|three|four|five|six|seven|eight|nine|ten|eleven|twelve|\w+teen|twenty|thirty|forty|fifty|sixty|seventy|eighty|ninety|hundred|thousand|oh)"
"""Words of a number that is said."""
_COUNT = re.compile(
    rf"(?:\d[A-Z]?|\b{SAID})(?:\s1/2?)?\s(?:[NSEW]\.\s|Dr\.\s)?$",
    re.IGNORECASE,
)


def beside(text: str) -> str:
    """What stands before the tags of a text, for recognizers that need it."""
    lefts = [text[max(0, match.start() - 24) : match.start()] for match in _TAGGED.finditer(text)]
    return BEFORE * any(map(_CAPITAL.search, lefts)) + NUMBERED * any(map(_COUNT.search, lefts)) + _DIGIT


def words_of(lower: str) -> set[str]:
    """The words of a lower-case text."""
    return set(_WORD.findall(lower))
