"""Whole addresses: a number, a street's name of any words, every ending that streets have, and what follows it (side of the town, unit, floor).

`geography` and `grounds` find what these leave. What stands beside a found address, a bare number or a room, goes with it at the end.
"""

import re

from regimen_trainer.deid.geography import SUFFIX
from regimen_trainer.deid.medical import FUNCTION_WORDS, NOUNS
from regimen_trainer.deid.recognizer import NUMBERED, SAID, after_lead, recognizer, tag, word_set

ENDINGS = SUFFIX.removesuffix(")") + (
    r"|Close|Bend|Ridge|Crossing|Xing|Path|Cove|Point|Pt|Hollow|Estates|Walk|Green|Mews|Commons|Landing|Pass|Grove|View|Vista|Heights|Hills?|Manor|Meadows?|Glen|Knoll|Broadway|Spur|Bypass|Extension|Ext)"
)
_SIDE = r"(?:NE|NW|SE|SW|[NSEW]|North|South|East|West|Northeast|Northwest|Southeast|Southwest)"
_TAIL = rf"(?:\s{_SIDE}\b\.?)?(?:,?\s(?:(?i:apt|apartment|suite|ste|unit|floor|fl|room|rm|lot|bldg|building|trailer|space|spc)\b\.?\s?#?\s?|#\s?)[A-Za-z]?-?\d*(?:st|nd|rd|th)?[A-Za-z]?\b|,?\s(?i:(?:\d{{1,2}}(?:st|nd|rd|th)|first|second|third|fourth|fifth|top|ground|bottom)\sfloor))*"
_NAME = r"(?:(?:[A-Z][\w'’]*\.?|\d{1,3}(?:st|nd|rd|th)|de|la|las|los|del|of|the)\s){1,5}?"
_NO_STREETS = FUNCTION_WORDS - word_set("the first second third fourth fifth sixth seventh eighth ninth tenth of") | word_set(
    "day year patient family physical left right mg history review"
)


def _street(match: re.Match[str]) -> str:
    words = [word.lower() for word in re.findall(r"[A-Za-z]{2,}", match["name"])]
    if (
        not _NO_STREETS.isdisjoint(words)
        or (words and words[-1] in NOUNS)
        or (match["end"] in ("Green", "View", "Point", "Pass", "Run", "Path") and len(words) < 1)
    ):
        return match[0]
    return tag("ADDRESS")


ADDRESSES = (
    recognizer(
        "ADDRESS",
        rf"(?<![\w.,$/-])\d{{1,6}}(?:-\d+|-[A-Z])?[A-Z]?\s(?:US|State|County|Route|Rte|Highway|Hwy|CR|SR|FM|Farm)(?:[\s-](?:Route|Road|Rd|Highway|Hwy))*[\s-]#?\d{{1,4}}[A-Z]?\b(?:\s{_SIDE}\b)?",
        words="us state county route rte highway hwy cr sr fm farm",
        flags=0,
    ),
    recognizer(
        "ADDRESS",
        rf"(?<![\w.,$/:-])\d{{1,6}}(?:-\d+|-[A-Z])?[A-Z]?(?:\s1/2)?\s(?:{_SIDE}\b\.?\s)?(?P<name>{_NAME})(?P<end>{ENDINGS}\b\.?(?:\s{ENDINGS}\b)?){_TAIL}",
        _street,
        words=re.sub(r"[^a-z]+", " ", ENDINGS.lower()).replace(" s ", " ") + " hills meadows",
        needs=("0", *"123456789"),
        flags=0,
    ),
    recognizer(
        "ADDRESS",
        r"\b(?:P\.?\s?O\.?\s?(?:drawer|bag)|PMB|general\sdelivery)\s?#?\d*\b",
        words="drawer bag pmb delivery",
    ),
    recognizer(
        "ADDRESS",
        r"(?P<lead>\b(?:precinct|school\sdistrict|fire\sdistrict|(?:fire|police)\sstation|engine|ladder|parish\sno)\.?\s(?:number\s|no\.?\s|#)?)\d{1,4}\b",
        after_lead("ADDRESS"),
        words="precinct district station engine ladder parish",
    ),
    recognizer(
        "ZIP",
        r"(?P<lead>\b(?:postal\scode|post\s?code)(?:\sis)?[\s:]+)[A-Z]{1,2}\d[A-Z\d]?\s?\d[A-Z]{1,2}\d?\b",
        lambda match: match["lead"] + "[ZIP 000]",
        words="postal postcode post",
    ),
    recognizer(
        "ADDRESS",
        r"(?P<lead>\bc/o\s)(?:[A-Z][\w'’]+\s){1,3}(?:House|Home|Center|Shelter)\b",
        after_lead("ADDRESS"),
        words="o",
        flags=0,
    ),
)
_WHERE = r"(?:lives?\s(?:at|on|in)|living\sat|resid(?:es|ing)\sat|stay(?:s|ing)\sat|address(?:\s(?:is|of|on\sfile\sis))?:?|home:?|to|at|is)"
BESIDE = (
    recognizer(
        "ADDRESS",
        rf"(?P<lead>\b(?i:{_WHERE})\s)(?:\d{{1,6}}[A-Z]?|{SAID}(?:[\s-]{SAID}){{0,3}})(?:\s1/2?)?\s(?:[NSEW]\.\s|Dr\.\s)?\[(?:ADDRESS|PLACE|NAME|ORGANIZATION)\](?!\s(?:years|mg|times))",
        after_lead("ADDRESS"),
        flags=0,
        needs=(NUMBERED,),
    ),
    recognizer(
        "ADDRESS",
        rf"\[ADDRESS\](?:\s(?:de|del|la|of)(?:\s\w+)?)?(?:,?\s(?:{ENDINGS}|{_SIDE})\b(?!'))+\.?|\[(?:CODE|ADDRESS)\]\s(?:\d/)?\[ADDRESS\]|\b\d{{1,6}}\s1/\[ADDRESS\]|(?<![\w.,/])\d{{1,6}}\s\[ADDRESS\](?:\s{_SIDE}\b)?",
        flags=0,
        needs=("[address]",),
    ),
    recognizer(
        "ADDRESS",
        r"(?P<lead>\[(?:ADDRESS|PLACE)\],?\s(?:number|no\.?|#|house|apt|apartment|unit)\s?)\d{1,6}[A-Z]?\b",
        after_lead("ADDRESS"),
        needs=("[address]", "[place]"),
    ),
    recognizer(
        "ADDRESS",
        r"(?P<lead>\b(?:room|unit|space|dorm|ward|lot|trailer|cabin|apt)\s#?)\d{1,4}[A-Za-z]?(?:st|nd|rd|th)?(?=,?\s(?:(?:at|of|in)\s)?(?:the\s)?(?:\[(?:PLACE|ADDRESS|NAME|ORGANIZATION)\]|[A-Z]\w+\sHall))",
        after_lead("ADDRESS"),
        words="room unit space dorm ward lot trailer cabin apt",
    ),
    recognizer(
        "ADDRESS",
        r"(?P<lead>\[(?:NAME|PLACE)\]\s)Hall(?:\s\d{1,4})?\b",
        after_lead("ADDRESS"),
        flags=0,
        words="hall",
    ),
)
"""Only where a name or a place has been found."""
