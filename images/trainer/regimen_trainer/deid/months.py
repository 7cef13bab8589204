"""Written dates: a month's name with the day, the year, the weekday or the word that stands next to it.

The month is found first and its neighbours are read from there. `may` and `march` are rather verbs: in lower case they need a day, a
year, or a word before them that no verb follows.
"""

import re

from regimen_trainer.deid.recognizer import Found, Recognizer, recognizer, tag, word_set

_WORDS = word_set("""
jan january feb february mar march apr april may jun june jul july aug august sep sept september oct october nov november dec december
""")
_MONTH = re.compile(
    r"(?<![A-Za-z])(?:[Jj]an(?:uary)?|[Ff]eb(?:ruary)?|[Mm]ar(?:ch)?|[Aa]pr(?:il)?|[Mm]ay|[Jj]une?|[Jj]uly?|[Aa]ug(?:ust)?|[Ss]ept?(?:ember)?|[Oo]ct(?:ober)?|[Nn]ov(?:ember)?|[Dd]ec(?:ember)?"
    r"|JAN(?:UARY)?|FEB(?:RUARY)?|MAR(?:CH)?|APR(?:IL)?|MAY|JUNE?|JULY?|AUG(?:UST)?|SEPT?(?:EMBER)?|OCT(?:OBER)?|NOV(?:EMBER)?|DEC(?:EMBER)?)(?![A-Za-z])\.?"
)
_VERBS = word_set("may march mar dec sep oct jan")
_MODALS = word_set("may march")
_ONES = "one|two|three|four|five|six|seven|eight|nine"
_ORDINAL = (
    r"(?:(?:twenty|thirty)[\s-]+)?(?:first|second|third|fourth|fifth|sixth|seventh|eighth|ninth|nineth)|(?:ten|eleven|twelf|thirteen|fourteen|fifteen|sixteen|seventeen|eighteen|"
    rf"nineteen|twentie|thirtie)th|(?:twenty|thirty)[\s-]+(?:{_ONES})"
)
_DAY = r"(?:0?[1-9]|[12]\d|3[01])"
_SPOKEN = (
    rf"two\s+thousand(?:\s+and)?(?:\s+(?:\w+teen|{_ONES}|ten|eleven|twelve|twenty(?:[\s-](?:{_ONES}))?))?"
    rf"|(?:nineteen|twenty)[\s-]+(?:oh[\s-](?:{_ONES})|ten|eleven|twelve|\w+teen|(?:twenty|thirty|forty|fifty|sixty|seventy|eighty|ninety)(?:[\s-](?:{_ONES}))?)"
)
_NOT_A_DAY = r"(?!\s*(?:mg|mcg|ml|%|times|tablets?|tabs?|days?|weeks?|months?|hours?|minutes?|years?|feet|steps|units?|x\b)|[./:]\d|\d|-(?:day|week|month|year))"
_YEAR = rf"(?P<year>(?:19|20)\d\d\b|(?:{_SPOKEN})\b)"
_TIME = r"(?:[T ]+(?:at\s+)?\d{1,2}:\d\d(?::\d\d(?:\.\d+)?)?)?"
_AFTER = re.compile(
    rf"(?P<day>(?:\.?[\s-]*|,\s|/)(?:the\s+)?(?:(?:{_DAY}(?:\s?(?:st|nd|rd|th))\b|{_DAY}\b{_NOT_A_DAY}|(?:{_ORDINAL})\b)(?:\s*(?:-|–|to|through|thru|and|&)\s*{_DAY}(?:st|nd|rd|th)?\b{_NOT_A_DAY})?))?"
    rf"(?:(?:[\s,'/-]+(?:of\s+)?(?:the\s+year\s+)?){_YEAR}{_TIME}|,?\s*-?['’](?P<short>\d\d)\b|[-/](?P<dashed>\d\d)\b|(?P<bare>\s\d\d)(?=\s*(?:[,.;:)\]](?!\d)|\n|$|\d\d:\d\d|(?:at|and|to|for)\s))|(?P<run>\d\d)(?!\w|[./-]\d))?",
    re.IGNORECASE,
)
_BEFORE = re.compile(
    rf"(?:(?:\b(?:Mon|Tues?|Wed(?:nes)?|Thur?s?|Fri|Sat(?:ur)?|Sun)(?:day)?\b[.,]?\s+)(?:the\s+)?)?"
    rf"(?P<day>\b(?:the\s+)?(?<![\d./$-])(?:{_DAY}(?:\s?(?:st|nd|rd|th))?|(?:{_ORDINAL}))(?:\s+day)?[\s/.-]*(?:of\s+)?)?$",
    re.IGNORECASE,
)
_LEAD = re.compile(
    r"\b(?P<lead>in|since|until|till|last|this|next|every|each|early|late|mid|through|during|before|after|by|from|to|of|around|about|between|and)[\s-]+$",
    re.IGNORECASE,
)
_FIRM = word_set("in since until till last next early late mid during every each")
_OF_A_YEAR = re.compile(r"\s+of\s+(?:last|this|next|that)\s+year\b", re.IGNORECASE)
_DATING = re.compile(
    r"\b(?:on|since|until|before|after|from|to|by|is|was|dated?|born|dob|birthday|due|seen|visit|starting|ending|through|and)[\s:,]+$",
    re.IGNORECASE,
)
_CLOSED = re.compile(r"\s*(?:[,.;)]|$|\s(?:and|at|for|with|he|she|visit|labs?|appt)\b)")
_NEAR = 34


def clean(text: str, found: Found) -> str:
    """The text with its written dates reduced to years, which `found` counts."""
    pieces, last = list[str](), 0
    for month in _MONTH.finditer(text):
        if month.start() < last:
            continue
        span = _date(text, month, last)
        if span is None:
            continue
        start, end, becomes = span
        pieces += (text[last:start], becomes)
        last = end
        found["DATE"] = found.get("DATE", 0) + 1
    return "".join((*pieces, text[last:])) if pieces else text


def _date(text: str, month: re.Match[str], since: int) -> tuple[int, int, str] | None:
    """Start, end and what becomes of the date around a month; None where it is none."""
    word = month[0].rstrip(".")
    near = text[max(since, month.start() - _NEAR) : month.start()]
    ended = month[0] != word and (len(word) > 4 or word.lower() in ("may", "june", "july"))
    after = _AFTER.match(text, len(text) if ended else month.end())
    before = _BEFORE.search(near)
    assert after is not None
    assert before is not None
    day = before["day"] if before["day"] and _is_day(before["day"], word, text[month.end() :]) else None
    year, end = after["year"], after.end() if after[0] else month.start() + len(word)
    if not (day or after["day"]) and (after["bare"] or after["run"]):
        end = month.start() + len(word)
    if after["day"] and word.islower() and word in _MODALS and not year and not re.search(r"[a-z]", after["day"].lower()):
        return (month.start(), end, tag("DATE")) if _dates(near, text[end : end + 12]) else None
    start = month.start() - (len(before[0]) if day or after["day"] else 0)
    if day or after["day"] or year:
        return start, end, year or tag("DATE")
    if after["short"] or _bare(text, near, word, month.end()):
        return start, end, tag("DATE")
    return None


def _dates(near: str, after: str) -> bool:
    """Whether `may 9` and `march 2` are days: after a word that dates, or by themselves between stops."""
    return _CLOSED.match(after) is not None and (not near.strip() or near.rstrip()[-1] in ".:;(,\n" or _DATING.search(near) is not None)


def _is_day(day: str, word: str, after: str) -> bool:
    """Whether what stands before the month is its day: `patient 2 may go` and `the second may be` are none."""
    if not (word.islower() and word in _VERBS):
        return True
    return bool(re.search(r"\bof\s+$", day)) or bool(re.match(r"\s*(?:[,.;]|$|(?:19|20)\d\d)", after))


def _bare(text: str, near: str, word: str, end: int) -> bool:
    """A month by itself after a word such as `since`."""
    lead = _LEAD.search(near)
    if text[end : end + 1] in ("-", "/", "–") and _MONTH.match(text, end + 1):
        return True
    if word not in _MODALS and _OF_A_YEAR.match(text, end):
        return True
    if word.lower() not in _VERBS and (not word.isupper() or len(word) > 3):
        return True
    if word in ("March", "January", "October", "Jan", "Oct") and re.search(r"[a-z,] $", near):
        return True
    if lead is None or re.match(r"\s+(?:be|have|also|not|need|cause|help)\b", text[end : end + 8]):
        return False
    return (lead["lead"].lower() in _FIRM and (word[0].isupper() or word not in _VERBS or word == "march")) or (
        (word[0].isupper() and word != "May") or word not in _VERBS
    )


MONTHS = Recognizer(clean, _WORDS, (), ())
_FULL = ("january", "february", "april", "august", "september", "october", "november", "december")
_LETTERS = "abcdefghijklmnopqrstuvwxyz"
SLIPS = frozenset(
    slip
    for month in _FULL
    for at in range(1, len(month) + 1)
    for slip in (
        month[:at] + month[at + 1 :],
        month[:at] + month[at + 1 : at + 2] + month[at : at + 1] + month[at + 2 :],
        *(month[:at] + letter + month[at + skip :] for letter in _LETTERS for skip in (0, 1)),
    )
) - {*_FULL, "augusta", "augustan", "augusts"}  # fmt: skip
"""Months with one slip of the pen after their first letter: `Febuary`, `Novemeber`."""


def _slip(match: re.Match[str]) -> str:
    return (match["year"] or tag("DATE")) if match["slip"].lower() in SLIPS else match[0]


JOINED = recognizer(
    "DATE",
    rf"\b(?:jan|feb|mar|apr|may|june?|july?|aug|sept?|oct|nov|dec)[a-z]{{0,6}}([/.]){_DAY}\1(?P<year>(?:19|20)\d\d|\d\d)\b",
    lambda match: match["year"] if len(match["year"]) == 4 else tag("DATE"),
    words=" ".join(_WORDS),
    needs=("/", "."),
    first=r"[a-z][/.]\d",
)
"""Jul/27/59."""
MISSPELT = recognizer(
    "DATE",
    rf"(?:\b{_DAY}(?:st|nd|rd|th)?\s(?:of\s)?)?\b(?P<slip>[ADFJNOS][a-z]{{3,9}})\b(?:\.?\s{_DAY}(?:st|nd|rd|th)?\b{_NOT_A_DAY})?(?:,?\s(?P<year>(?:19|20)\d\d)\b)?",
    _slip,
    words=" ".join(SLIPS),
)
