"""A second look at texts already cleaned, for whoever stops on anything found.

Where the first look asks for form or for neighbours, this one asks for less: a number after a word for one, a word that is nobody's
English, a first name that stands amid a sentence in capitals, a city after `in`. It is silent on our own tags. What no rule knows by any
sign, such as a name that is a plain word, stays unseen here too.
"""

import re
from functools import lru_cache

from regimen_trainer.deid.lexicon import LIKELY, english, given_names, is_known, is_misspelt, name_weights, places, word_counts
from regimen_trainer.deid.medical import DRUGS, EPONYMS, NOUNS, PROTECTED
from regimen_trainer.deid.names import DOSED, INNER
from regimen_trainer.deid.recognizer import Cues, recognizer, words_of
from regimen_trainer.deid.tags import TAG

_LABELS = (
    "account acct member subscriber policy license licence plate serial passport badge inmate accession npi dea fingerprint chart wristband"
)
RESIDUAL = Cues(
    (
        recognizer("EMAIL", r"\w@\w|\bat\s[\w ]{2,40}\sdot\s\w", shapes=("@",), words="dot"),
        recognizer(
            "URL", r"\w://\w|\bwww\.\w|\w\s?\.\s?(?:com|org|net|edu|gov)\b", shapes=("://", "www.", ".com", ".org", ".net", ".edu", ".gov")
        ),
        recognizer("SSN", r"\d(?<![\w.-].)\d\d[-. ]\d\d[-. ]\d{4}(?![\w-])", shapes=("-00-", " 00 ", ".00.")),
        recognizer(
            "PHONE", r"\(\d{3}\)\s?\d{3}[-. ]?\d{4}\b|\b\d{3}[-. ]\d{3}[-. ]\d{4}\b", shapes=("(000)", "000-000", "000.000", "000 000")
        ),
        recognizer(
            "DATE", r"(?<![\w./-])(?:0?[1-9]|1[0-2])([-/])(?:0?[1-9]|[12]\d|3[01])\1(?:\d\d|(?:19|20)\d\d)(?![\w/-])", shapes=("0/0", "0-0")
        ),
        recognizer(
            "DATE", r"(?<![\w./-])(?:19|20)\d\d([-/])(?:0?[1-9]|1[0-2])\1(?:0?[1-9]|[12]\d|3[01])(?!\d)", shapes=("0000-0", "0000/0")
        ),
        recognizer(
            "DATE",
            r"\b(?:jan|feb|mar|apr|jun|jul|aug|sept?|oct|nov|dec|january|february|march|april|june|july|august|september|october|november|december)\.?\s\d{1,2}(?:st|nd|rd|th)?\b(?!\s?(?:mg|mcg|ml|times|days))",
            words="jan feb mar apr jun jul aug sep sept oct nov dec january february march april june july august september october november december",
        ),
        recognizer(
            "CODE",
            rf"\b(?:{_LABELS.replace(' ', '|')})\b[^.;\n\w\ufffd]{{0,3}}(?:\w+[^.;\n\w\ufffd]{{1,2}}){{0,2}}(?=[a-z-]{{0,4}}\d)[\w-]{{4,}}(?<!\d\d\d\d)",
            words=_LABELS,
        ),
        recognizer("MRN", r"\b(?:MRN|SSN)\W{0,3}\d{4}", words="mrn ssn"),
    )
)
_CAPITALISED = re.compile(r"[^\W\d_a-z](?<![\w'’.-].)[^\W\d_A-Z]{2,}(?:[-'’][^\W\d_]+)*")
_STARTS = re.compile(r"(?:^|[.:;?!\n\"“”(\[*•–-]|\d\))\s*$")


def residual(text: str) -> dict[str, int]:
    """How many identifiers of each class may remain."""
    bare = TAG.sub("\ufffd", text) if "[" in text else text
    lower = bare.lower()
    counts: dict[str, int] = {}
    for entry in RESIDUAL.of(words_of(lower), lower):
        entry.clean(bare, counts)
    names = sum(_is_suspect(bare, match) for match in _CAPITALISED.finditer(bare))
    if names:
        counts["NAME"] = names
    return counts


def _is_suspect(text: str, match: re.Match[str]) -> bool:
    suspect = _suspect(match[0])
    if not suspect:
        return False
    before, after = text[max(0, match.start() - 12) : match.start()], text[match.end() : match.end() + 24]
    follows = re.match(r"(?:['’]s)?[\s/-]+([A-Za-z]+)", after)
    if DOSED.match(text, match.end()) or (follows and follows[1].lower() in NOUNS):
        return False
    previous = re.search(r"([A-Za-z]+)[\s,/]+(?:and\s|or\s)?$", before)
    if any(word and word[1].lower() in DRUGS for word in (previous, follows)):
        return False
    return suspect == "anywhere" or not _STARTS.search(before)


@lru_cache(maxsize=100_000)
def _suspect(word: str) -> str:
    """Whether a capitalised word may be a name `anywhere`, `amid` a sentence only, or nowhere."""
    lower = word.lower().replace("’", "'").removesuffix("'s")
    if lower in PROTECTED or lower in EPONYMS or not (word[1:].islower() or INNER.match(word)):
        return ""
    weight = name_weights().get(lower, 0)
    if lower in english():
        return "amid" if weight >= LIKELY and lower in given_names() else ""
    if weight or lower in places().every:
        return "anywhere"
    if len(lower) < 4:
        return ""
    parts = re.split("[-']", lower)
    if all(map(is_known, parts)):
        return ""
    return "amid" if is_misspelt(lower) or lower in word_counts() else "anywhere"
