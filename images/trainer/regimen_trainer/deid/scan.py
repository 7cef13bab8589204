"""A second look at texts already cleaned, for whoever stops on anything found.

Looser than the recognizers where they are strict about form, and silent on our own tags. It finds no names: what could tell them from
other words has already been used.
"""

from regimen_trainer.deid.recognizer import Cues, recognizer, words_of
from regimen_trainer.deid.tags import TAG

RESIDUAL = Cues(
    (
        recognizer("EMAIL", r"\w@\w+\.\w", shapes=("@",)),
        recognizer("URL", r"\w://\w|\bwww\.\w", shapes=("://", "www.")),
        recognizer("SSN", r"(?<![\w.-])\d{3}[- ]\d{2}[- ]\d{4}(?![\w-])", shapes=("-00-", " 00 ")),
        recognizer("PHONE", r"\(\d{3}\)\s?\d{3}[-. ]?\d{4}\b", shapes=("(000)",)),
        recognizer(
            "DATE", r"(?<![\w./-])(?:0?[1-9]|1[0-2])([-/])(?:0?[1-9]|[12]\d|3[01])\1(?:\d\d|(?:19|20)\d\d)(?![\w/-])", shapes=("0/0", "0-0")
        ),
        recognizer(
            "DATE", r"(?<![\w./-])(?:19|20)\d\d([-/])(?:0?[1-9]|1[0-2])\1(?:0?[1-9]|[12]\d|3[01])(?!\d)", shapes=("0000-0", "0000/0")
        ),
        recognizer("MRN", r"\b(?:MRN|SSN)\W{0,3}\d{4}", words="mrn ssn"),
    )
)


def residual(text: str) -> dict[str, int]:
    """How many identifiers of each class may remain."""
    bare = TAG.sub("\ufffd", text) if "[" in text else text
    lower = bare.lower()
    counts: dict[str, int] = {}
    for entry in RESIDUAL.of(words_of(lower), lower):
        entry.clean(bare, counts)
    return counts
