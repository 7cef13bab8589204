"""Removes identifiers of the eighteen classes of HIPAA's Safe Harbor from texts, without a language model.

    known values → forms and labels → dates and ages → addresses and places → numbers and codes that nothing explains → names

Nothing here reads files, knows of rows or keeps state. What is found is counted, never kept; no count is a certificate.
"""

from collections.abc import Sequence
from typing import NamedTuple

from regimen_trainer.deid import codes, dates, days, geography, grounds, labels, months, names, numbers, people, spoken
from regimen_trainer.deid.classes import CLASSES, IdentifierClass
from regimen_trainer.deid.known import Known, scrub
from regimen_trainer.deid.recognizer import Cues, words_of
from regimen_trainer.deid.scan import residual
from regimen_trainer.deid.tags import hidden, shown

__all__ = ["CLASSES", "Cleaned", "IdentifierClass", "Known", "deidentify", "residual"]
EARLY = (
    *numbers.FORMS, spoken.SPOKEN, *dates.BIRTHS, labels.LABELLED, months.MONTHS, months.MISSPELT, *dates.DATES, *days.DAYS, *dates.AGES, *names.LABELLED, *grounds.FIRST, *geography.GEOGRAPHY, *grounds.GROUNDS, *numbers.UNLABELLED, *codes.CODES,
)  # fmt: skip
"""In the order in which they are tried: what has a form of its own first, guesses from neighbours last."""

LATER = (*grounds.TOWARDS, *people.PEOPLE)
"""After the names that words tell by themselves: these would lose the neighbours that speak for them."""
RECOGNIZERS = Cues((*EARLY, *LATER))


class Cleaned(NamedTuple):
    """A text without the identifiers that were found, and how many of each class, or of each column for known values."""

    text: str
    found: dict[str, int]


def deidentify(text: str, known: Sequence[Known] = ()) -> Cleaned:
    """Remove what is known of the row, then what looks like an identifier. Deterministic; raises nothing."""
    found: dict[str, int] = {}
    text, tags = hidden(text)
    if known:
        text, tags = hidden(shown(scrub(text, known, found), tags))
    lower = text.lower()
    words = words_of(lower)
    early, later = RECOGNIZERS.parted(words, lower, len(EARLY))
    for entry in (*early, *geography.towns(words, lower)):
        text = entry.clean(text, found)
    if names.mentions(words, text):
        text, tags = hidden(shown(text, tags))
        text = names.clean(text, found)
    for entry in later:
        text = entry.clean(text, found)
    if "NAME" in found or "PLACE" in found:
        for entry in people.BESIDE:
            text = entry.clean(text, found)
    return Cleaned(shown(text, tags), found)
