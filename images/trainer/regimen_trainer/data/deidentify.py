"""Removes identifiers from texts: what is known of the row first, then what patterns find, then a scan of what remains.

The classes are those of HIPAA's Safe Harbor (45 CFR 164.514(b)(2)) as far as patterns can find them. There is no language model
here: a name that is in no column, has no title before it and stands in free text is not found. The numbers are counts, never values,
and no count is a certificate.
"""

import re
from collections import Counter
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field

from regimen_trainer.data.surrogates import SurrogateTable

MONTH = r"(?:Jan(?:uary)?|Feb(?:ruary)?|Mar(?:ch)?|Apr(?:il)?|May|June?|July?|Aug(?:ust)?|Sept?(?:ember)?|Oct(?:ober)?|Nov(?:ember)?|Dec(?:ember)?)"
STATE = r"(?:A[KLRZ]|C[AOT]|D[CE]|FL|GA|HI|I[ADLN]|K[SY]|LA|M[ADEINOST]|N[CDEHJMVY]|O[HKR]|PA|RI|S[CD]|T[NX]|UT|V[AT]|W[AIVY])"
YEAR = r"(?:19|20)\d\d"


@dataclass(frozen=True)
class Pattern:
    """A class of identifier: what it looks like and what it becomes. `\\g<year>` keeps a date's year."""

    name: str
    looks: re.Pattern[str]
    becomes: str | Callable[[re.Match[str]], str]


def _pattern(name: str, looks: str, becomes: str | Callable[[re.Match[str]], str] | None = None, flags: int = re.IGNORECASE) -> Pattern:
    return Pattern(name, re.compile(looks, flags), becomes or f"[{name}]")


PATTERNS = (
    _pattern("URL", r"\b(?:https?://|www\.)[^\s<>\"']*[\w/]"),
    _pattern("EMAIL", r"[\w.+-]+@[\w-]+(?:\.[\w-]+)+"),
    _pattern("IP", r"\b(?:\d{1,3}\.){3}\d{1,3}\b|\b(?:[0-9a-f]{1,4}:){3,7}(?::?[0-9a-f]{1,4})+\b"),
    _pattern("SSN", r"\b\d{3}[- ]\d{2}[- ]\d{4}\b|\b(?:SSN|social security (?:number|no\.?))\D{0,12}\d{9}\b"),
    _pattern("MRN", r"\b(?:MRN|medical record (?:number|no\.?))[\s:#]*[A-Z]{0,3}-?\d[\w-]*"),
    _pattern("PHONE", r"(?<![\w.])(?:\+?1[-. ]?)?(?:\(\d{3}\)\s?|\d{3}[-. ])\d{3}[-. ]\d{4}(?:\s?(?:x|ext\.?)\s?\d+)?\b"),
    _pattern("DATE", rf"\b(?P<year>{YEAR})[-/.]\d{{1,2}}[-/.]\d{{1,2}}(?:T[\d:.]+Z?)?\b", r"\g<year>"),
    _pattern("DATE", rf"\b\d{{1,2}}[-/.]\d{{1,2}}[-/.](?P<year>{YEAR})\b", r"\g<year>"),
    _pattern("DATE", rf"\b{MONTH}\.?\s+\d{{1,2}}(?:st|nd|rd|th)?,?\s+(?P<year>{YEAR})\b", r"\g<year>"),
    _pattern("DATE", rf"\b\d{{1,2}}(?:st|nd|rd|th)?\s+(?:of\s+)?{MONTH}\.?,?\s+(?P<year>{YEAR})\b", r"\g<year>"),
    _pattern("DATE", rf"\b{MONTH}\.?\s+(?P<year>{YEAR})\b", r"\g<year>"),
    _pattern("DATE", r"\b\d{1,2}/\d{1,2}/\d{2}\b"),
    _pattern("DATE", rf"\b{MONTH}\.?\s+\d{{1,2}}(?:st|nd|rd|th)?\b|\b\d{{1,2}}(?:st|nd|rd|th)\s+(?:of\s+)?{MONTH}\b"),
    _pattern("AGE", r"\b(?:9\d|1[01]\d)(?=[\s-]*(?:years?[\s-]old|year-old|y/?o\b|yrs?\b))", "90+"),
    _pattern("AGE", r"\b(?P<word>aged?)(?P<gap>[\s:]+(?:of\s+)?)(?:9\d|1[01]\d)\b(?!\+)", r"\g<word>\g<gap>90+"),
    _pattern(
        "ADDRESS",
        r"\b\d{1,6}\s+(?:[NSEW]\.?\s+)?(?:[A-Z][\w']+\s+){1,3}(?:Street|St|Avenue|Ave|Road|Rd|Lane|Ln|Drive|Dr|Boulevard|Blvd|Court|Ct|Way)\b",
        flags=0,
    ),
    _pattern("ZIP", r"\b\d{5}-\d{4}\b"),
    _pattern("ZIP", rf"\b(?P<state>{STATE})\s+\d{{5}}\b", r"\g<state> [ZIP]", flags=0),
    _pattern("ZIP", r"\bzip(?:\s?code)?[\s:]*\d{5}\b"),
    _pattern("VEHICLE", r"\b(?=[A-HJ-NPR-Z]*\d)(?=\d*[A-HJ-NPR-Z])[A-HJ-NPR-Z0-9]{17}\b", flags=0),
    _pattern(
        "ACCOUNT",
        r"\b(?:account|acct|policy|member|beneficiary|certificate|license|licence|device|serial|plate)(?:\s(?:id|number|no\.?))?[\s:#]+"
        r"(?=[\w-]*\d{3})[\w-]{4,}",
    ),
    _pattern("NAME", r"\b(?:Dr|Mr|Mrs|Ms|Prof)\.?\s+[A-Z][\w'’-]+(?:\s+[A-Z][\w'’-]+)?", flags=0),
    _pattern("NAME", r"\b(?:[Pp]atient(?:\sname)?|[Nn]ame|[Ss]igned(?:\sby)?):\s*[A-Z][\w'’-]+(?:\s+[A-Z][\w'’.-]+){1,2}", flags=0),
)
RESIDUAL = (
    _pattern("EMAIL", r"\S@\S"),
    _pattern("URL", r"://|\bwww\."),
    _pattern("LONG_NUMBER", r"(?<![\w.])\d(?:[- ]?\d){6,}(?!\w)"),
    _pattern("DATE", rf"\b\d{{1,2}}[-/]\d{{1,2}}[-/](?:\d\d|{YEAR})\b|\b{YEAR}[-/]\d{{1,2}}[-/]\d{{1,2}}\b"),
    _pattern("MRN", r"\b(?:MRN|SSN)\W{0,3}\d"),
)
"""Looser than PATTERNS on purpose: what these find after scrubbing stops a revision."""
_WORD = re.compile(r"\w+")
_NAME_PART = re.compile(r"[^\W\d_][^\W\d_'’-]{2,}")


Rule = tuple[re.Pattern[str], str, str]
"""What a known value looks like, what it becomes, and the column it comes from."""


@dataclass
class Scrubber:
    """Removes identifiers from the texts of one row after another, and counts by class what it removed and what remains.

    `known` columns hold identifiers: their values are scrubbed from every text of the row, and full values of other rows count as
    residual. Raises nothing: whether a residual stops the revision is the caller's decision.
    """

    table: SurrogateTable
    removed: Counter[str] = field(default_factory=Counter)
    residual: Counter[str] = field(default_factory=Counter)
    _phrases: dict[tuple[str, ...], str] = field(default_factory=dict)
    _lengths: set[int] = field(default_factory=set)

    def scrub(self, text: str, rules: Iterable[Rule]) -> str:
        """The text without the identifiers that are known (`rules`) or look like one."""
        for looks, replacement, kind in rules:
            text, count = looks.subn(replacement, text)
            self.removed[kind] += count
        for pattern in PATTERNS:
            text, count = pattern.looks.subn(pattern.becomes, text)
            self.removed[pattern.name] += count
        return text

    def rules(self, known: Mapping[str, str]) -> list[Rule]:
        """What to look for of a row's own values: whole values first, longest first, then the parts of names as written."""
        wholes, parts = [], []
        for column, value in sorted(known.items(), key=lambda item: -len(item[1])):
            if len(value.strip()) < 2:
                continue
            self._remember(column, value)
            tag = f"[{column} {self.table.of(column, value)}]"
            wholes.append((re.compile(rf"(?<!\w){_spaced(value)}(?!\w)", re.IGNORECASE), tag, column))
            if len(value.split()) > 1:
                parts += [(re.compile(rf"(?<!\w){re.escape(part)}(?!\w)"), tag, column) for part in _NAME_PART.findall(value)]
        return wholes + parts

    def _remember(self, column: str, value: str) -> None:
        words = tuple(word.casefold() for word in _WORD.findall(value))
        if len("".join(words)) >= 6:
            self._phrases[words] = column
            self._lengths.add(len(words))

    def scan(self, texts: Iterable[str]) -> None:
        """Count what still looks like an identifier, or is the known value of any row. Call once all rows are scrubbed."""
        for text in texts:
            for pattern in RESIDUAL:
                self.residual[pattern.name] += len(pattern.looks.findall(text))
            words = [word.casefold() for word in _WORD.findall(text)]
            for length in self._lengths:
                grams = zip(*(words[offset:] for offset in range(length)), strict=False)
                self.residual.update(self._phrases[gram] for gram in grams if gram in self._phrases)
        self.residual = +self.residual


def _spaced(value: str) -> str:
    """A value as a pattern in which any white space matches any other."""
    return r"\s+".join(re.escape(part) for part in value.split())
