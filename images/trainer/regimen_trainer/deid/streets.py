"""Streets by their ending alone, without a number, and crossings: what `addresses`, `geography` and `grounds` leave."""

import re

from regimen_trainer.deid.lexicon import family_names
from regimen_trainer.deid.medical import FUNCTION_WORDS, PROTECTED
from regimen_trainer.deid.recognizer import after_lead, recognizer, tag, word_set
from regimen_trainer.deid.venues import CAP, CARE, is_medicine

_ENDINGS = r"(?:Street|St|Avenue|Ave|Road|Rd|Lane|Ln|Drive|Dr|Boulevard|Blvd|Court|Ct|Way|Place|Pl|Terrace|Ter|Circle|Cir|Parkway|Pkwy|Highway|Hwy|Trail|Trl|Loop|Alley|Crescent|Pike|Turnpike|Row)"
_NO_COURTS = word_set(
    "family superior supreme district federal drug juvenile small basketball tennis food appeals municipal circuit criminal civil hard hockey wrong right same other only best either first second this that his her my the one no all by any some each every long easy safe healthy"
)
_CALLINGS = word_set("dr doctor mr mrs ms patient nurse")
_ORDINALS = word_set("first second third fourth fifth sixth seventh eighth ninth tenth")


def _street(match: re.Match[str]) -> str:
    words = [word.lower() for word in match["own"].split()]
    if not _NO_COURTS.isdisjoint(words) or not (FUNCTION_WORDS - _ORDINALS).isdisjoint(words[:1]) or words[0] in _CALLINGS:
        return match[0]
    return match["lead"] + tag("ADDRESS")


def _crossing(match: re.Match[str]) -> str:
    words = [word.lower().rstrip(".") for word in re.findall(r"[A-Za-z'’]{3,}", match["own"])]
    if any(
        word in CARE
        or (is_medicine(word) and word not in family_names())
        or word in PROTECTED - {"washington", "virginia", "georgia", "california", "may", "august"}
        for word in words
        if word != "and" and word not in _ORDINALS
    ):
        return match[0]
    return match["lead"] + tag("ADDRESS")


STREETS = (
    recognizer(
        "ADDRESS",
        rf"(?P<lead>\b(?i:on|off|at|along|near|down|from|to|crossing|by|of|in)\s)(?P<own>(?:(?:[NSEW]|NE|NW|SE|SW|North|South|East|West)\.?\s)?(?:(?:[A-Z][a-z'’]+|\d{{1,3}}(?:st|nd|rd|th))\s){{1,3}}?{_ENDINGS})\b\.?(?:\s[NSEW]\b|\s(?:North|South|East|West)\b)?(?!['’]s|\s[A-Z][a-z]+,?\s(?:MD|DO|RN)\b)(?<!\bDr\.)",
        _street,
        words="street st avenue ave road rd lane ln drive dr boulevard blvd court ct way place pl terrace ter circle cir parkway pkwy highway hwy trail trl loop alley crescent pike turnpike row",
        flags=0,
    ),
    recognizer(
        "ADDRESS",
        r"(?:\b\d{1,6}\s)?\b(?:Avenue|Ave)\s(?:[A-Z]\b|of\s(?:the\s)?[A-Z]\w+)",
        words="avenue ave",
        flags=0,
    ),
    recognizer(
        "ADDRESS",
        rf"\[ADDRESS\],?\s(?:(?:[NSEW]|NE|NW|SE|SW|North|South|East|West)\.?\s)?(?:[\w'’]+\s){{1,3}}?(?i:{_ENDINGS})\b",
        words="apt apartment suite unit lot",
        needs=(
            "street",
            "st",
            "ave",
            "road",
            "rd",
            "lane",
            "ln",
            "dr",
            "blvd",
            "court",
            "ct",
            "way",
            "place",
            "ter",
            "cir",
            "loop",
            "pike",
        ),
    ),
    recognizer(
        "ADDRESS",
        r"\b(?:unit|bldg|building|lot|spc)\s#?\d{1,4}[a-z]?(?=,?\s\[(?:ADDRESS|PLACE|ZIP)\b)",
        words="unit bldg building lot spc",
    ),
    recognizer(
        "ADDRESS",
        rf"(?P<lead>\b(?i:at|near|by|on|off|around|between)\s)(?P<own>(?:(?:[NSEW]|NE|NW|SE|SW|North|South|East|West)\.?\s)?(?:{CAP}|MLK|\d{{1,3}}(?:st|nd|rd|th))(?:\s(?:{CAP}|\d{{1,3}}(?:st|nd|rd|th)))?(?:\s(?:and|&|/|at)\s|/)(?:(?:[NSEW]|NE|NW|SE|SW|North|South|East|West)\.?\s)?(?:{CAP}|MLK|\d{{1,3}}(?:st|nd|rd|th))(?:\s(?:{CAP}|\d{{1,3}}(?:st|nd|rd|th)))?)(?!\s(?:rib|toe|digit|finger|metatarsal|[A-Z]))",
        _crossing,
        words="at near by on off around between",
        first=r"(?:\s(?:and|&|/|at)\s|/)(?:[A-Z]|\d{1,3}[a-z]{2}\b)",
        flags=0,
    ),
    recognizer(
        "ADDRESS",
        r"(?P<lead>\A|[.!?\n:]\s*)(?:[NSEW]{1,2}\.?\s)?\d{1,3}(?:st|nd|rd|th)\s(?:and|&)\s[A-Z][a-z]+(?=[.,;]|$)",
        after_lead("ADDRESS"),
        shapes=("0th ", "0st ", "0nd ", "0rd "),
        flags=0,
    ),
    recognizer(
        "ADDRESS",
        r"(?P<lead>\b(?:near|off|past|by|along)\s)(?:(?:[NSEW]|NE|NW|SE|SW|North|South|East|West)\.?\s)?(?:\d{1,3}(?:st|nd|rd|th)(?=[.,;]|$)|MLK\b)",
        after_lead("ADDRESS"),
        words="near off past by along",
        shapes=("0th", "0st", "0nd", "0rd", "mlk"),
        flags=0,
    ),
)
"""Before the names, which would take a part of these."""
