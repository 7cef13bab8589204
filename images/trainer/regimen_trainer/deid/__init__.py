"""Removes identifiers of the eighteen classes of HIPAA's Safe Harbor from texts, without a language model.

    known values → forms and labels → dates and ages → addresses and places → numbers and codes that nothing explains → names

Nothing here reads files, knows of rows or keeps state. What is found is counted, never kept; no count is a certificate.
"""

import re
from collections.abc import Sequence
from typing import NamedTuple

from regimen_trainer.deid import (
    addresses,
    bearers,
    codes,
    dates,
    days,
    geography,
    grounds,
    labels,
    months,
    names,
    numbers,
    people,
    spoken,
    streets,
    venues,
)
from regimen_trainer.deid.classes import CLASSES, IdentifierClass
from regimen_trainer.deid.known import Known, scrub
from regimen_trainer.deid.recognizer import AMID, Cues, beside, reading
from regimen_trainer.deid.scan import residual
from regimen_trainer.deid.tags import hidden, shown

__all__ = ["CLASSES", "Cleaned", "IdentifierClass", "Known", "deidentify", "residual"]
EARLY = (
    *numbers.FORMS,
    spoken.SPOKEN,
    *dates.BIRTHS,
    labels.LABELLED,
    months.JOINED,
    months.MONTHS,
    months.MISSPELT,
    *dates.DATES,
    *days.DAYS,
    *dates.AGES,
    *names.LABELLED,
    *addresses.ADDRESSES,
    *grounds.FIRST,
    *geography.GEOGRAPHY,
    *grounds.GROUNDS,
    *streets.STREETS,
    *numbers.UNLABELLED,
    *codes.CODES,
)
"""In the order in which they are tried: what has a form of its own first, guesses from neighbours last."""

LATER = (*grounds.TOWARDS, *people.PEOPLE, *bearers.BEARERS, *venues.VENUES)
"""After the names that words tell by themselves: these would lose the neighbours that speak for them."""
_EARLY, _LATER = Cues(EARLY), Cues(LATER)
_BESIDE = Cues((*people.BESIDE, *bearers.BESIDE, *venues.BESIDE, *addresses.BESIDE))


class Cleaned(NamedTuple):
    """A text without the identifiers that were found, and how many of each class, or of each column for known values."""

    text: str
    found: dict[str, int]


_NEIGHBOURED = {"NAME", "PLACE", "ADDRESS", "ORGANIZATION"}
_SHOUTED = re.compile(r"[A-Z]{2,}[ ,'/-]+[A-Z]{2,}[ ,'/-]+[A-Z]{2,}")
_SENTENCE = re.compile(r"[^.!?\n]+[.!?\n]*")


def deidentify(text: str, known: Sequence[Known] = ()) -> Cleaned:
    """Remove what is known of the row, then what looks like an identifier. Deterministic; raises nothing."""
    found: dict[str, int] = {}
    if known:
        text, tags = hidden(text)
        text = shown(scrub(text, known, found), tags)
    text = _recognized(*hidden(text), found)
    return Cleaned(_quieted(text, found) if _SHOUTED.search(text) else text, found)


def _quieted(text: str, found: dict[str, int]) -> str:
    """Sentences in capitals read once more in small letters: there a name is told from a word as dictations are."""
    pieces, last = list[str](), 0
    for match in _SENTENCE.finditer(text):
        sentence, tags = hidden(match[0])
        if sentence.isupper() and _SHOUTED.search(sentence) and sentence.lower().upper() == sentence:
            sentence, tags = hidden(_recognized(sentence.lower(), tags, found))
            pieces += (text[last : match.start()], shown(sentence.upper(), tags))
            last = match.end()
    return "".join((*pieces, text[last:])) if pieces else text


def _recognized(text: str, tags: list[str], found: dict[str, int]) -> str:
    """A text whose tags are hidden, with these, and without what looks like an identifier, which `found` counts."""
    seen = reading(text)
    for entry in (*_EARLY.of(seen), *geography.towns(seen)):
        text = entry.clean(text, found)
    if names.mentions(seen.words, text):
        text, tags = hidden(shown(text, tags))
        text = names.clean(text, found)
    for entry in _LATER.of(seen, AMID.search(text) is not None):
        text = entry.clean(text, found)
    text = shown(text, tags)
    if not _NEIGHBOURED.isdisjoint(found):
        for entry in _BESIDE.of(seen._replace(lower=text.lower() + beside(text))):
            text = entry.clean(text, found)
    return text
