"""A second look at texts already cleaned, for whoever stops on anything found.

It looks with other eyes than the recognizers. These ask what a thing is; this asks of each number and each word whether anything explains
it, and knows no grammar: a number has a unit, a vital sign or a code before it, or it is suspect; a word in capitals amid a sentence is
medicine, a department or a nation, or it is suspect; so is whatever is left of words that come with identifiers (street, plate, dot com,
a month). It is silent on our own tags. A name that is a plain word in lower case stays unseen here too.
"""

import re
from functools import lru_cache

from regimen_trainer.deid.lexicon import (
    LIKELY,
    english,
    given_names,
    is_known,
    is_misspelt,
    medical_words,
    name_weights,
    places,
    word_counts,
)
from regimen_trainer.deid.medical import DRUGS, EPONYMS, FUNCTION_WORDS, NOUNS, PROTECTED
from regimen_trainer.deid.names import DOSED, INNER
from regimen_trainer.deid.recognizer import Cues, reading, recognizer, tag, word_set
from regimen_trainer.deid.tags import TAG

_LABELS = "account acct member subscriber policy license licence plate plates serial passport badge inmate accession npi dea fingerprint chart wristband card ending social pin extension pager locker"
_SAID = "zero|oh|one|two|three|four|five|six|seven|eight|nine|ten|eleven|twelve|thirteen|fourteen|fifteen|sixteen|seventeen|eighteen|nineteen|twenty|thirty|forty|fifty|sixty|seventy|eighty|ninety|double|triple"
_MONTHS = "january|february|april|june|july|august|september|october|november|december|jan|feb|apr|jun|jul|aug|sept|oct|nov"
_OUT_OF = frozenset((2, 3, 4, 5, 6, 8, 10, 12, 15, 16, 20, 24, 27, 30))


def _maybe_day(match: re.Match[str]) -> str:
    """Two numbers that may be a month and a day, and are hardly a score or a fraction."""
    month, day = (int(part) for part in match[0].split("/"))
    odd = day not in _OUT_OF or month > day
    return tag("DATE") if odd and 0 < month <= 12 and 0 < day <= 31 and not (month == 10 and day < 10) else match[0]


RESIDUAL = Cues(
    (
        recognizer("EMAIL", r"\w@\w|\bat\s[\w ]{2,40}\sdot\s\w", shapes=("@",), words="dot"),
        recognizer(
            "URL",
            r"\w://\w|\bwww\.\w|\w\s?\.\s?(?:com|org|net|edu|gov)\b|\bdot\s(?:com|org|net)\b|\w\.\w+/\w*[a-z]{3}\w*\.?\w*\?",
            shapes=("://", "www.", ".com", ".org", ".net", ".edu", ".gov", " dot com", " dot org", " dot net"),
        ),
        recognizer("SSN", r"\d(?<![\w.-].)\d\d[-. ]\d\d[-. ]\d{4}(?![\w-])", shapes=("000-00-0000", "000 00 0000", "000.00.0000")),
        recognizer(
            "PHONE", r"\(\d{3}\)\s?\d{3}[-. ]?\d{4}\b|\b\d{3}[-. ]\d{3}[-. ]\d{4}\b", shapes=("(000)", "000-000", "000.000", "000 000")
        ),
        recognizer("PHONE", rf"\b(?:{_SAID})(?:[\s,-]+(?:{_SAID})){{3,}}\b", words=_SAID.replace("|", " ").replace("one ", ""), flags=0),
        recognizer(
            "DATE",
            r"\d(?<![\w./-].)\d?([-/])(?:0?[1-9]|[12]\d|3[01])\1(?:\d\d|(?:19|20)\d\d)(?![\w/-])|(?<![\w./-])(?:19|20)\d\d([-/])\d\d?\2\d\d?(?!\d)",
            shapes=("0/0/0", "0/00/0", "0-0-0", "0-00-0", "0000-0", "0000/0"),
        ),
        recognizer("DATE", r"\d(?<![\w./-].)\d?/\d\d?(?![\w/.-]|\s?(?:mg|mcg|ml|%|of\b))", _maybe_day, shapes=("0/0",)),
        recognizer("DATE", r"\b(?:[A-Z][\w'’.]+\s(?:Day|Eve|Sunday|Monday|Tuesday|Wednesday|Thursday|Friday|Saturday)|MLK|Q[1-4])\b", words="day eve sunday monday tuesday wednesday thursday friday saturday mlk q", flags=0),
        recognizer("NAME", r"\b[A-Z]\.?[A-Z]\.?(?=,\s(?:MD|DO|RN|NP|PA|LPN)\b|/[a-z]{2}\b)", words="md do rn np pa lpn by", flags=0),
        recognizer("EMAIL", r"\b(?:gmail|yahoo|hotmail|twitter|instagram|facebook|snapchat|username|handle)\b[^.;\n\ufffd]{0,30}", words="gmail yahoo hotmail twitter instagram snapchat username"),
        recognizer("URL", r"\w\.(?:me|ly|io|co|us|tv|app|dev)/\w", shapes=(".me/", ".ly/", ".io/", ".co/", ".us/", ".tv/", ".app/", ".dev/")),
        recognizer("ADDRESS", r"\d\.\d{4,}\b", shapes=("0.0000",)),
        recognizer("CODE", r"(?<![\w.,/-])\d\d(?:[ -]\d\d){2,}\b(?![.,/%]\d)", shapes=("00 00 00", "00-00-00")),
        recognizer("DATE", rf"\b(?:{_MONTHS})\b(?!\s?(?:19|20)\d\d)", words=_MONTHS.replace("|", " ")),
        recognizer(
            "DATE",
            r"(?<![\w-])\d{1,2}(?:st|nd|rd|th)\b(?!-|\s(?:to|and|or|&)\s\d|\s(?:\w*(?:rib|toe|digit|finger|metatarsal|week|floor|grade|percentile|ventricle|nerve|intercostal|day|metacarpal|hour|trimester|month|year|cranial|dose|cycle|time|decade|degree|child|pregnancy|edition|line)))",
            shapes=("0th", "0st", "0nd", "0rd"),
        ),
        recognizer("DATE", r"\b(?:spring|summer|winter|autumn|fall)\s(?:of\s)?(?:19|20)\d\d", words="spring summer winter autumn fall"),
        recognizer("AGE", r"(?<![\d.,/$-])(?<!at )(?:9\d|1[01]\d)[\s-]*(?:y|yr|yrs|years?)\b(?!\s(?:ago|later))", shapes=("00y", "00 y", "00-y", "000y")),
        recognizer(
            "ADDRESS",
            r"\b(?:\d+|[A-Z][a-z]+|[a-z]{3,}(?<!the)(?<!main)(?<!this)(?<!same))\s(?:street|avenue|boulevard|lane|road|parkway|turnpike|apartments|heights|ave|blvd|rd|manor|county|township|reservation)\b",
            words="street avenue boulevard lane road parkway turnpike apartments heights ave blvd rd manor county township reservation",
        ),
        recognizer("ADDRESS", r"\b(?:apt|apartment|suite|lot|box|zip|exit|route|highway|interstate)\b\.?\s?#?\d", words="apt apartment suite lot box zip exit route highway interstate"),
        recognizer("VEHICLE", r"\b(?:plates?|vin)\b[^.;\n\ufffd]{0,24}\b[A-Z0-9]*[A-Z]{3}[A-Z0-9]*\b", words="plate plates vin", flags=0),
        recognizer(
            "CODE",
            rf"\b(?:{_LABELS.replace(' ', '|')})\b[^.;\n\w\ufffd]{{0,3}}(?:\w+[^.;\n\w\ufffd]{{1,2}}){{0,3}}(?=[a-z-]{{0,4}}\d)[\w-]{{4,}}(?<!\d\d\d\d)",
            words=_LABELS,
        ),
        recognizer("CODE", rf"\b(?:{_LABELS.replace(' ', '|')})\b[^.;\n\ufffd]{{0,20}}\b(?:(?:19|20)(?<=ending ..)\d\d|(?!19|20)\d{{4}})\b", words=_LABELS),
        recognizer("MRN", r"\b(?:MRN|SSN)\W{0,3}\d{4}", words="mrn ssn"),
    )
)  # fmt: skip
_TOKEN = re.compile(r"[^\W\d_](?<![\w'’.-].)[^\W\d_]{2,}(?:[-'’][^\W\d_]+)*|\d(?<![\w.,/$#:-].)\d{3,}(?![\w,.%/-]*\d)")
_STARTS = re.compile(r"(?:^|[.:;?!\n\"“”(\[*•–-]|\d\))\s*$")
_LEADS = word_set(
    "from in at near to with by for told saw called met asked per of around outside and through toward son daughter wife husband mother father sister brother friend named off on"
)
_KIN = word_set(
    "son daughter wife husband mother father sister brother friend aunt uncle niece nephew cousin partner boyfriend girlfriend mom dad grandson granddaughter neighbor named kids mr mrs ms dr"
)
_NEIGHBOURS = {"kin": _KIN, "small": _LEADS}
"""The words of which one must stand before a name in lower case, by its kind."""
_ACTS = word_set(
    "is was has presents reports returns lives says denies states called came agrees tells complains reported denied presented"
)
_EXPLAINED = word_set("""
emergency room department unit clinic hospital medical center care primary family internal medicine physical therapy occupational speech surgery surgical general intensive pediatric
rehab rehabilitation nursing home health hospice service services doctor physician patient nurse state states united north south east west northern southern eastern western white black
hispanic latino native pacific islander army navy marine marines force air social work security worker insurance board internet english school high college university church bible
mass type stage grade class level phase group visual analog scale lab labs test results report note history review systems plan assessment impression hall life human resources squad
fire rescue police court drug administration food national institute american association society guidelines protocol study trial score index criteria classification
positive negative good fair poor normal abnormal left right bilateral upper lower day night morning evening week month year chief complaint present illness allergies medications
guest family clinician speaker mister missus madam sir ma'am everyone none yes okay god lord thank thanks please sorry hello hi outpatient inpatient psychiatry neurology cardiology
oncology radiology pathology urology nephrology gastroenterology dermatology orthopedics orthopedic gynecology obstetrics ophthalmology otolaryngology pulmonary endocrinology
infectious disease pain cancer heart eye transplant labor delivery recovery step down observation telemetry internet facebook google zoom english spanish juvenile
head neck chest abdomen pelvis brain spine back neck knee hip hand foot arm leg face ear nose throat mouth tobacco smoking drug alcohol children's mother retired attorney workers bachelor master science
middle poison control prompt status post drinking
""")
_MEASURES = re.compile(
    r"(?:\b(?:cpt|hcpcs|icd|code|codes|procedure|revenue|drg|ndc|loinc|snomed(?:\sct)?|rxcui|rxnorm|form|count|counts|level|levels|dose|weigh\w*|total|paid|charge\w*|amount|billed|allowed|platelets?|wbc|bnp|ck|cpk|ferritin|of|at|around|about|approximately|to|over|under|than|until|since|by|"
    r"year|in|from|and|x)|[$<>~=x,;/])\W{0,2}$",
    re.IGNORECASE,
)
_UNITS = re.compile(
    r"\s?-?(?:%|x\b|[a-z]{0,2}(?:mg|mcg|ml|g|kg|lbs?|units?|iu|meq|cc|cm|mm|hours?|hrs?|h|am|pm|days?|steps|calories|kcal|copies|cells|feet|dollars|grams|times|patients|people|mah?|hz|psi|cgy|gy|s|series|study|k|per)\b)",
    re.IGNORECASE,
)


def residual(text: str) -> dict[str, int]:
    """How many identifiers of each class may remain."""
    bare = TAG.sub("\ufffd", text) if "[" in text else text
    counts: dict[str, int] = {}
    for entry in RESIDUAL.of(reading(bare)):
        entry.clean(bare, counts)
    for match in _TOKEN.finditer(bare):
        kind = _suspect(match[0])
        if kind and (_unmeasured(bare, match) if kind == "CODE" else _is_suspect(bare, match, kind)):
            name = "CODE" if kind == "CODE" else "NAME"
            counts[name] = counts.get(name, 0) + 1
    return counts


def _unmeasured(text: str, match: re.Match[str]) -> bool:
    """Whether nothing beside a number says what it measures."""
    return not (_UNITS.match(text, match.end()) or _MEASURES.search(text[max(0, match.start() - 24) : match.start()]))


def _is_suspect(text: str, match: re.Match[str], kind: str) -> bool:
    before, after = text[max(0, match.start() - 24) : match.start()], text[match.end() : match.end() + 24]
    if kind in _NEIGHBOURS and before.rstrip(" ,").rpartition(" ")[2].lower() not in _NEIGHBOURS[kind]:
        return False
    follows = re.match(r"(?:['’]s)?[\s/-]+([A-Za-z]+)", after)
    if DOSED.match(text, match.end()) or (follows and follows[1].lower() in NOUNS):
        return False
    previous = re.search(r"([A-Za-z]+)[\s,/]+(?:and\s|or\s)?$", before)
    if any(word and (word[1].lower() in DRUGS or word[1].lower() in medical_words()) for word in (previous, follows)):
        return False
    if kind == "anywhere":
        return True
    led = previous is not None and previous[1].islower()
    if kind == "amid":
        return led and not _STARTS.search(before)
    if kind == "led":
        return (
            previous is not None
            and led
            and not _STARTS.search(before)
            and (previous[1] in _LEADS or not (follows and follows[1][0].isupper()))
        )
    if kind == "subject":
        return (_STARTS.search(before) is not None and follows is not None and follows[1] in _ACTS) or (led and not _STARTS.search(before))
    return True


@lru_cache(maxsize=100_000)
def _suspect(word: str) -> str:
    """Whether a number may be a code; whether a word may be a name `anywhere`, `amid` a sentence, where it is `led` to, as a `small` one, or nowhere."""
    if word[0].isdigit():
        # Five digits are a procedure more often than anything else; `codes` has judged these by the text's words.
        return "" if len(word) == 5 or (len(word) == 4 and word[:2] in ("19", "20")) else "CODE"
    lower = word.lower().replace("’", "'").removesuffix("'s")
    if lower in PROTECTED or lower in EPONYMS or lower in _EXPLAINED or lower in medical_words():
        return ""
    weight = name_weights().get(lower, 0)
    if word[0].islower():
        if lower in english():
            return "kin" if lower in given_names() and lower not in FUNCTION_WORDS else ""
        return "small" if len(lower) > 3 and lower not in english() and (weight >= LIKELY or lower in places().distinct) else ""
    if not (word[1:].islower() or INNER.match(word)):
        return ""
    if lower in english():
        return "" if lower in FUNCTION_WORDS else "subject" if lower in given_names() else "led"
    if weight or lower in places().every:
        return "anywhere"
    if len(lower) < 4:
        return ""
    parts = re.split("[-']", lower)
    if all(map(is_known, parts)):
        return ""
    return "amid" if is_misspelt(lower) or lower in word_counts() else "anywhere"
