"""Numbers and codes that stand for one person, thing or file, by their form.

What has neither a label nor a form of its own is judged in `codes`, after these.
"""

import re

from regimen_trainer.deid.lexicon import english
from regimen_trainer.deid.recognizer import MANY_COLONS, MANY_HYPHENS, after_lead, recognizer, tag

_PHONE = (
    r"(?:\+?1[-. ]?)?(?:\(\d{3}\)\s?[-.–]?\s?|\d{3}(?:\s?[-.–/]\s?| ))\d{3}(?:\s?[-.–]\s?| )\d{4}(?:,?\s?(?:x|ext\.?|extension)\s?\d+)?\b"
)
_LOOSE = r"(?:\+?\d[\d ().-]{5,18}\d)"
_SPOKEN_SIGN = r"(?:dot|point|period|underscore|dash|hyphen|minus|plus)"
_SPELT = rf"(?:(?<![\w'’])\w[\s-]+){{0,24}}(?:\b[\w-]+\s{_SPOKEN_SIGN}\s)*"
"""Letters said one by one, and pieces with a sign between, before the rest of an address."""
_DOT = r"(?:\s?\.\s?|[\s,_-]+(?:dot|point|period)[\s_-]|\sd\so\st\s|\s?[(\[{<]\s?(?:dot|\.)\s?[)\]}>]\s?)"
_DOMAINS = "com org net edu gov io health info us uk ca de mil biz co med care clinic"


_MARK = "[\ue000-\uf8ff]"
"""What stands for a value that was known of the row: a part of an address may have been one."""
_TLD = "com|org|net|edu|gov|io|health|info|us|uk|ca|de|mil|biz|co|me"
_PROVIDERS = "gmail|yahoo|hotmail|aol|icloud|protonmail|comcast|verizon|msn|ymail|googlemail"


def _mail_at(match: re.Match[str]) -> str:
    """A local part is no word of English: `enrolled at example.org` has none."""
    return match[0] if match["local"].lower() in english() else tag("EMAIL")


FORMS = (
    recognizer(
        "EMAIL",
        rf"(?:[\w+-]*[.+]|[\w-]+\s{_SPOKEN_SIGN}\s)*[\w.+-]*{_MARK}(?:\s{_SPOKEN_SIGN}\s(?:\w+|{_MARK})|[\w.+-]|{_MARK})*\s?(?:@|\sat\s|[(\[]at[)\]])\s?(?:[\w-]|{_MARK})+(?:(?:\s?(?:\.|[(\[]dot[)\]])\s?|\sdot\s)[\w-]+)+",
        shapes=("@", "(at)", "[at]"),
        words="dot",
        first=_MARK,
    ),
    recognizer(
        "URL",
        rf"(?:https?://)?(?:[\w-]+[./])*[\w-]*{_MARK}(?:[\w./-]|{_MARK})*\.(?:com|org|net|edu|gov|io|me|health|example)\b(?:/[\w/.-]*)?|(?:https?://|\bwww\.|[\w-]+\.(?:com|org|net|me)/)[\w./@-]*{_MARK}(?:[\w./?=-]|{_MARK})*",
        shapes=(".", "/"),
        first=_MARK,
    ),
    recognizer("URL", r"\b(?:https?://|ftp://|www\.)[^\s<>\"'\]]*[\w/]", shapes=("://", "www.")),
    recognizer(
        "EMAIL",
        r"[\w.+%-]+\s?(?:@|[(\[{<]\s?at?\s?[)\]}>])\s?[\w-]+(?:\s?(?:\.|[(\[{<]\s?dot\s?[)\]}>])\s?[\w-]+(?<=[a-z0-9]))+",
        shapes=("@", "(at)", "(a)", "[a]", "[at]", "{at}", "<at>", "( at", "[ at"),
    ),
    recognizer("EMAIL", r"(?<![\w.])(?=[\w.+-]*[a-z])[\w.+-]{3,}@(?=[\w-]*[a-z])[\w-]{3,}", shapes=("@",)),
    recognizer(
        "EMAIL",
        rf"\b(?P<local>[\w.+-]+)(?:\s|_)at(?:\s|_)(?:[\w-]+\.)+(?:{_TLD})\b",
        _mail_at,
        words="at com org net edu gov io health info us uk ca de mil biz co me",
        needs=("_at_", " at "),
    ),
    recognizer(
        "EMAIL",
        rf"(?P<lead>\be-?mail(?:\saddress)?(?:\s(?:is|at|to|of\srecord(?:\sis)?))?:?\s+)(?:[\w.-]+\s+){{1,9}}?(?:at|@)\s+(?:[\w-]+\s+(?:dot|point)\s+)+(?:{_TLD})\b",
        after_lead("EMAIL"),
        words="email mail",
    ),
    recognizer(
        "EMAIL",
        rf"(?P<lead>\b(?:to|is|under|via|as|use|uses|by|address|with|contact|reach|write)\s)(?:[\w.-]+\s){{1,7}}?(?:at|@)\s(?:[\w-]+\s(?:dot|point)\s)+(?:{_TLD})\b",
        after_lead("EMAIL"),
        words="dot point",
    ),
    recognizer("EMAIL", rf"(?<![\w.])[\w.+-]{{3,}}&[\w-]+(?:\.[\w-]+)*\.(?:{_TLD})\b", shapes=("&",), needs=(".",), first=r"&[\w-]+\."),
    recognizer(
        "EMAIL",
        rf"(?<![\w.])[\w.+]+(?:[-_](?:dot|dash|underscore)[-_][\w.+]+)*[-_]at[-_][\w]+(?:[-_]dot[-_]\w+)*?[-_]dot[-_](?:{_DOMAINS.replace(' ', '|')})\b",
        shapes=("-at-", "_at_"),
        words="at",
        needs=("-at-", "_at_"),
    ),
    recognizer(
        "EMAIL",
        rf"{_SPELT}[\"“]?[\w.+-]+(?:['’]\w+)?[\"”]?(?:\s?(?:@@|＠|[(\[{{<]\s?(?:at|a|@)\s?[)\]}}>])\s?|\s?[-_]at[-_]\s?|\sat[\s-]sign\s|,?\sat,?\s|\sa\st\s|(?<=[\"”])@|\s@\s)"
        rf"(?P<domain>[\w-]+(?:{_DOT}[\w-]+)*?{_DOT}(?:{_TLD}|health)\b|(?:{_PROVIDERS}|outlook|proton)\s(?:{_TLD})\b)",
        lambda match: match[0] if re.search(r"\sat\s[\w.-]+$", match[0]) else tag("EMAIL"),
        first=rf"(?:\s?(?:@@|＠|[(\[{{<]\s?(?:at|a|@)\s?[)\]}}>])\s?|\s?[-_]at[-_]\s?|\sat[\s-]sign\s|,?\sat,?\s|\sa\st\s|[\"”]@|\s@\s)(?:[\w-]+(?:{_DOT}[\w-]+)*?{_DOT}(?:{_TLD}|health)\b|(?:{_PROVIDERS}|outlook|proton)\s(?:{_TLD})\b)",
        words=_TLD.replace("|", " ") + " health",
        needs=(
            "@",
            "＠",
            "(at",
            "[at",
            "{at",
            "<at",
            "(a)",
            "[a]",
            "( at",
            "[ at",
            " at ",
            ",at ",
            "\nat ",
            "-at-",
            "_at_",
            "-at_",
            "_at-",
            "at sign",
            "at-sign",
            "a t ",
            "- at",
            "_ at",
            "\tat",
        ),
    ),
    recognizer(
        "EMAIL", rf"{_SPELT}\b[\w.-]+\s(?:at|@)\s(?:{_PROVIDERS})\b(?:\s?(?:\.|dot)\s?(?:{_TLD}))?", words=_PROVIDERS.replace("|", " ")
    ),
    recognizer(
        "EMAIL",
        rf"(?P<lead>\b(?:{_PROVIDERS})(?:\s(?:account|address|handle|username|id|name))*(?:\s(?:is|as|under)|:|=)?\s+)(?=[a-z_.-]*\d)[\w.-]{{4,}}",
        after_lead("EMAIL"),
        words=_PROVIDERS.replace("|", " "),
    ),
    recognizer(
        "CODE",
        r"(?P<lead>\b(?:twitter|instagram|insta|facebook|snapchat|tiktok|skype|whatsapp|discord|reddit|telegram|zoom|username|user\sname|screen\s?name|handle|login|user\s?id|gamertag)(?:\s(?:handle|account|name|profile|id|page))*(?:\s(?:is|as|under|was))?[\s:=]+)(?!(?:and|or|for|to|on|with|use|the|is|was|in|of|a)\b)@?(?:(?=[\w.-]*[\d_.])[\w.-]{4,}\w|[a-z]{7,}\b)",
        after_lead("CODE"),
        words="twitter instagram insta facebook snapchat tiktok skype whatsapp discord reddit telegram zoom username user screen screenname handle login gamertag",
    ),
    recognizer(
        "IP",
        r"\d(?<![\w.]\d)\d{0,2}\.\d{1,3}\.\d{1,3}\.(?:[x*]{1,3})(?!\w)|\b\d{1,3}(?:\[\.\]\d{1,3}){3}\b",
        shapes=("0.x", "0.*", "0[.]0"),
    ),
    recognizer(
        "EMAIL",
        rf"{_SPELT}\b[\w.+-]+(?:\s{_SPOKEN_SIGN}\s[\w-]+)*\s?(?:\sat|\sat\s(?:the\s)?sign|[(\[]at[)\]]|@)\s?\s?[\w-]+(?:(?:\s(?:dot|point|period)\s|\s?[(\[]dot[)\]]\s?|\s?\.\s?)[\w-]+)*?"
        rf"(?:\s(?:dot|point|period)\s|\s?[(\[]dot[)\]]\s?)(?:{_DOMAINS.replace(' ', '|')})\b",
        words="dot point period",
    ),
    recognizer("IP", r"\b\d{1,3}(?:\s(?:dot|point)\s\d{1,3}){2,3}\b", words="dot point"),
    recognizer(
        "URL",
        r"(?:\bh\s?t\s?t\s?p(?:\s?s)?\s(?:colon\s)?(?:(?:forward\s)?slash\s){0,2})?(?:\b(?:www|double\su\s?\S*|w\sw\sw)\s(?:dot|point)\s)?\b[\w-]+(?:\s(?:dot|point)\s[\w-]+)*\s(?:dot|point)\s(?:com|org|net|edu|gov|io|info)\b(?:\s(?:forward\s)?slash\s[\w-]+(?:\s(?!(?:and|for|is|to|on|in|where|but|which|with|he|she|the|has|as|at|or|that|was)\b)[\w-]+){0,4})*",
        words="dot point",
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
    recognizer(
        "URL",
        r"\b(?:[a-z0-9-]+\.)+(?:me|ly|gl|tv|us|co|app|dev|online|site|blog|uk|ca|de|link|page|xyz|be|gg|eu|biz|ai)/[^\s<>\"'\]]*[\w/]",
        shapes=("/",),
        first=r"\.(?:me|ly|gl|tv|us|co|app|dev|online|site|blog|uk|ca|de|link|page|xyz|be|gg|eu|biz|ai)/",
    ),
    recognizer(
        "URL",
        r"\b(?=[a-z0-9-]{3})[a-z0-9-]+(?:\.[a-z0-9-]+)*\.[a-z]{2,}/[^\s<>\"'\]]*[\w/]|\b[a-z0-9-]{3,}(?:\.[a-z0-9-]+)*\.(?:example|test|invalid|localhost|local|internal|lan)\b",
        shapes=("/", ".example", ".test", ".invalid", ".local", ".internal", ".lan"),
        first=r"\.[a-z]{2,}/|\.(?:example|test|invalid|local|internal|lan)\b",
    ),
    recognizer("URL", r"\b(?:https?|hxxps?|ftp)\s?:\s?/?/?\s?[^\s<>\"'\]]+", shapes=("http", "hxxp", "ftp:", "ftp :")),
    recognizer(
        "URL",
        r"\b[a-z0-9-]+(?:\.[a-z0-9-]+)*\.(?:app|dev|online|site|blog|biz|xyz|co\.uk|link|page|club|store|shop|care|clinic|hospital|family)\b(?!\.)",
        words="app dev online site blog biz xyz uk link page club store shop",
        needs=(".app", ".dev", ".online", ".site", ".blog", ".biz", ".xyz", ".co.uk", ".link", ".page", ".club", ".store", ".shop"),
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
        r"(?<![\w.-])(?:\d{3}(\s?[-.–_/]\s?| )\d{2}\1\d{4}|[xX*]{3}[-. ]?[xX*]{2}[-. ]?\d{4})(?![\w-])",
        shapes=(
            "000-00-0000",
            "000–00–0000",
            "000_00_0000",
            "000 - 00 - 0000",
            "000- 00- 0000",
            "000/00/0000",
            "000 00 0000",
            "000.00.0000",
            "-xx-",
            "xxxxx",
            "xx x",
            "xxx x",
            "***",
            "xx.",
        ),
    ),
    recognizer(
        "SSN",
        r"(?P<label>\b(?:SSN?|social(?:\s+security)?)(?:\s+(?:number|no\.?|#))?\D{0,14}?)\b\d[\d -]{2,10}\d\b",
        lambda match: match["label"] + tag("SSN"),
        words="ssn ss social",
    ),
    recognizer(
        "PHONE",
        rf"(?<![\w.-]){_PHONE}",
        shapes=("000-0000", "000.0000", "000 0000", "000–0000", "000 - 0000", "000 . 0000", "000- 0000", "000. 0000"),
    ),
    recognizer(
        "PHONE",
        r"(?<![\w-])(?:1[-. ])?8\d\d[-. ](?=[A-Z0-9-]*[A-Z]{3})[A-Z0-9]{2,}(?:-[A-Z0-9]+)*\b(?<=[A-Z0-9-]{7})",
        shapes=("000-", "000 "),
        flags=0,
        first=r"8\d\d[-. ][A-Z0-9-]*[A-Z]{3}",
    ),
    recognizer(
        "PHONE", r"(?<![\w.])(?<!\d )x\s?\d{4,5}\b(?!\s?(?:mg|ml|mcg|cm|mm|units|times)\b|[.,/]\d)", shapes=("x0000", "x 0000"), flags=0
    ),
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
    recognizer(
        "VEHICLE",
        r"[A-HJ-NPR-Z0-9](?<!\w.)(?=[A-HJ-NPR-Z -]*\d[A-HJ-NPR-Z -]*\d[A-HJ-NPR-Z -]*\d)(?=(?:[A-HJ-NPR-Z0-9][ -]?){16}[A-HJ-NPR-Z0-9]?\b)[A-HJ-NPR-Z0-9]{1,12}(?:[ -][A-HJ-NPR-Z0-9]{2,12}){1,5}\b",
        lambda match: tag("VEHICLE") if len(re.sub(r"\W", "", match[0])) == 17 and re.search(r"[A-Z]", match[0]) else match[0],
        words="vin vehicle car truck van suv",
        flags=0,
    ),
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
        r"\b[1-9][AC-HJKMNP-RT-Y][AC-HJKMNP-RT-Y0-9]\d[- ]?[AC-HJKMNP-RT-Y][AC-HJKMNP-RT-Y0-9]\d[- ]?[AC-HJKMNP-RT-Y]{2}\d{2}\b",
        words="mbi medicare member beneficiary hicn id insurance subscriber card coverage policy",
        flags=0,
    ),
    recognizer("DEVICE", r"\(01\)\d{14}(?:\(\d{2}\)[\w-]+)*", shapes=("(00)",)),
)
"""Identifiers known by their form alone, once labels had their say."""
