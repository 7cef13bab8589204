"""Numbers and codes that stand for one person, thing or file, by their form.

What has neither a label nor a form of its own is judged in `codes`, after these.
"""

import re

from regimen_trainer.deid.recognizer import MANY_COLONS, MANY_HYPHENS, recognizer, tag

_PHONE = r"(?:\+?1[-. ]?)?(?:\(\d{3}\)[-. ]?|\d{3}[-. /])\d{3}[-. ]\d{4}(?:,?\s?(?:x|ext\.?|extension)\s?\d+)?\b"
_DIGIT_CUES = "zero oh four five six seven eight nine double triple"
_DIGIT_WORD = r"(?:zero|oh|one|two|three|four|five|six|seven|eight|nine|double|triple|\d)"
_LOOSE = r"(?:\+?\d[\d ().-]{5,18}\d)"
_SPOKEN_SIGN = r"(?:dot|point|period|underscore|dash|hyphen|minus|plus)"
_DOMAINS = "com org net edu gov io health info us uk ca de mil biz co med care clinic"


def _spoken_number(match: re.Match[str]) -> str:
    """Six digits or more, most of them said as words: a list of single figures is a series of measurements."""
    return match[0] if sum(map(str.isdigit, match[0])) > 2 else tag("PHONE")


FORMS = (
    recognizer("URL", r"\b(?:https?://|ftp://|www\.)[^\s<>\"'\]]*[\w/]", shapes=("://", "www.")),
    recognizer("EMAIL", r"[\w.+%-]+\s?@\s?[\w-]+(?:\.[\w-]+)+", shapes=("@",)),
    recognizer(
        "EMAIL",
        rf"\b[\w.-]+(?:\s{_SPOKEN_SIGN}\s[\w-]+)*\s?(?:\sat|\sat\s(?:the\s)?sign|[(\[]at[)\]]|@)\s?\s?[\w-]+(?:(?:\s(?:dot|point|period)\s|\s?[(\[]dot[)\]]\s?|\s?\.\s?)[\w-]+)*?"
        rf"(?:\s(?:dot|point|period)\s|\s?[(\[]dot[)\]]\s?)(?:{_DOMAINS.replace(' ', '|')})\b",
        words="dot point period",
    ),
    recognizer(
        "PHOTO",
        r"(?:[\w.~-]*[\\/])*[\w()~-]+(?:\.[\w-]+)*\.(?:jpe?g|png|gif|bmp|tiff?|heic|webp|dcm|raw|mp4|mov)\b",
        words="jpg jpeg png gif bmp tif tiff heic webp dcm raw mp mov",
    ),
    recognizer("PHOTO", r"\b(?:IMG|DSCN?|PXL|photo)[_-]?\d{3,}\w*\b", words="img dsc dscn pxl photo"),
    recognizer(
        "URL",
        r"\b(?:[a-z0-9-]+\.)+(?:com|org|net|edu|gov|io|health|info)\b(?:/[^\s<>\"'\]]*[\w/])?",
        words="com org net edu gov io health info",
    ),
    recognizer("IP", r"\b(?:[0-9a-f]{2}[:-]){5}[0-9a-f]{2}\b", shapes=(MANY_COLONS, MANY_HYPHENS)),
    recognizer("IP", r"\d(?<![\w.]\d)\d{0,2}\.(?:\d{1,3}\.){2}\d{1,3}(?![\w.]*\d)", shapes=("0.0.", "0.00.", "0.000.")),
    recognizer(
        "IP",
        r"(?<![\w:])(?!\d\d?(?::\d\d){2,3}(?![\w:]))(?:[0-9a-f]{1,4}:){2,7}(?::?[0-9a-f]{1,4})+(?:::)?(?<=[:0-9a-f]{7})\b(?!:)",
        shapes=(MANY_COLONS,),
    ),
    recognizer("CODE", r"\b[0-9a-f]{8}-(?:[0-9a-f]{4}-){3}[0-9a-f]{12}\b", shapes=(MANY_HYPHENS,)),
    recognizer(
        "FAX",
        rf"(?P<label>\bfax(?:ed)?\b\W{{0,4}}(?:(?:number|no\.?|to|at|is|it)\W+){{0,3}})(?:{_PHONE}|{_LOOSE})",
        lambda match: match["label"] + tag("FAX"),
        words="fax faxed",
    ),
    recognizer(
        "SSN",
        r"(?<![\w.-])(?:\d{3}([-. ])\d{2}\1\d{4}|[xX*]{3}[-. ]?[xX*]{2}[-. ]?\d{4})(?![\w-])",
        shapes=("-00-", " 00 ", ".00.", "-xx-", "xxxxx", "***", "xx."),
    ),
    recognizer(
        "SSN",
        r"(?P<label>\b(?:SSN?|social(?:\s+security)?)(?:\s+(?:number|no\.?|#))?\D{0,14}?)\b\d[\d -]{2,10}\d\b",
        lambda match: match["label"] + tag("SSN"),
        words="ssn ss social",
    ),
    recognizer(
        "SSN",
        rf"(?P<label>\b(?:SSN|social(?:\s+security)?)(?:\s+(?:number|is|was|of))*[\s:]+){_DIGIT_WORD}(?:[\s,-]+{_DIGIT_WORD}){{3,}}\b",
        lambda match: match["label"] + tag("SSN"),
        words="ssn social",
    ),
    recognizer("PHONE", rf"(?<![\w.-]){_PHONE}", shapes=("000-0000", "000.0000", "000 0000")),
    recognizer("PHONE", r"(?<![\w.-])\+(?=(?:[ .()-]*\d){8})\d{1,3}(?:[ .-]?\(?\d{1,4}\)?){2,5}\b(?<=\d)", shapes=("+0",)),
    recognizer(
        "PHONE",
        r"\d(?<![\w./-]\d)\d\d[-.]\d{4}(?:\s?(?:x|ext\.?)\s?\d+)?(?![\w%/-]|\.\d|\s?(?:mg|mcg|ml|units?|IU|cal)\b)",
        shapes=("000-0000", "000.0000"),
    ),
    recognizer(
        "PHONE",
        rf"(?P<label>\b(?:phone|tel|telephone|cell|mobile|pager|beeper|call(?:ed)?|text(?:ed)?|dial|reach(?:ed)?|(?:his|her|my|our|their|callback|contact|best)\s+number)\b[\s:#.]*(?:(?:number|no\.?|is|at|to|on|him|her|them|me|us|back)\s+){{0,3}}:?\s*){_LOOSE}(?!\w)",
        lambda match: match[0] if len(re.sub(r"\D", "", match[0])) < 7 else match["label"] + tag("PHONE"),
        words="phone tel telephone cell mobile pager beeper call called text texted dial reach reached number",
    ),
    recognizer("PHONE", rf"\b{_DIGIT_WORD}(?:[\s,-]+{_DIGIT_WORD}){{5,}}\b", _spoken_number, words=_DIGIT_CUES),
    recognizer(
        "VEHICLE",
        r"[A-HJ-NPR-Z0-9](?<!\w.)[A-HJ-NPR-Z0-9]{16}\b",
        lambda match: match[0] if match[0].isdigit() or match[0].isalpha() else tag("VEHICLE"),
        shapes=("0000",),
        flags=0,
    ),
)
"""Identifiers with a form of their own."""
UNLABELLED = (
    recognizer(
        "MEMBER",
        r"\b[1-9][AC-HJKMNP-RT-Y][AC-HJKMNP-RT-Y0-9]\d-?[AC-HJKMNP-RT-Y][AC-HJKMNP-RT-Y0-9]\d-?[AC-HJKMNP-RT-Y]{2}\d{2}\b",
        words="mbi medicare member beneficiary hicn",
        flags=0,
    ),
    recognizer("DEVICE", r"\(01\)\d{14}(?:\(\d{2}\)[\w-]+)*", shapes=("(00)",)),
)
"""Identifiers known by their form alone, once labels had their say."""
