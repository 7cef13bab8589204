"""Names told by who bears them: beside a relative ("Glen, her husband of"), as whom somebody pages, sees or misses, before a suffix, in lists.

Such a name may be a plain word or one that nothing knows. Tried after `people`, for what that leaves.
"""

import re

from regimen_trainer.deid.grounds import GENERIC, clinical
from regimen_trainer.deid.lexicon import family_names, given_names, is_known, medical_words
from regimen_trainer.deid.medical import DRUGS, EPONYMS, FUNCTION_WORDS, NOUNS, PROTECTED
from regimen_trainer.deid.names import DOSED
from regimen_trainer.deid.people import KIN_PATTERN, NO_NAMES, SUBJECTS
from regimen_trainer.deid.recognizer import BEFORE, after_lead, recognizer, tag, word_set

NICKNAMES = word_set("""
bubba junior skeeter peaches mimi nana pop papaw mamaw meemaw pawpaw tito chuy nacho beto doc slim tex bunny kitty cookie sissy gus ozzie fritz dutch mickey scooter punkin boo teddy
babu lola buddy bud buck chip chuck skip trip ace hank rusty red sonny butch spike tank moose bear duke champ dub mack pepper ginger kiki coco gigi lulu tootie pookie
peanut pumpkin bug bee birdie dot dottie lefty shorty stretch smitty sully fitz mac jojo deedee cece bebe tata lala nene
""")
"""What people are called at home, most of them words of English."""
_ALSO = word_set(
    "christian israel jordan asia india china chelsea paris london dallas austin houston georgia virginia carolina dakota montana savannah sydney van art rob may june april august mark rich will grant chase pat drew gene dean major"
)
"""First names that `lexicon` keeps for what else they mean."""
_NOBODY = NO_NAMES | SUBJECTS | FUNCTION_WORDS
_CAP = r"(?=[A-Z][^\W\d_a-z]*[a-z])[A-Z][^\W\d_]*+(?:[-'’][^\W\d_]++)*"
_CALLED = rf"(?:{_CAP}|[A-Z]{{3,}})"


def given(word: str) -> bool:
    lower = word.lower().removesuffix("'s").removesuffix("’s")
    return (lower in given_names() and lower not in PROTECTED and lower not in _NOBODY) or lower in NICKNAMES or lower in _ALSO


def anybody(word: str) -> bool:
    """Whether a capitalised word may be called so: a first or last name, or a word that nothing knows."""
    lower = word.lower().removesuffix("'s").removesuffix("’s")
    if (
        lower in _NOBODY - {"king", "drew"}
        or lower in GENERIC
        or lower in PROTECTED - _ALSO
        or lower in NOUNS
        or lower in medical_words()
        or lower in DRUGS
    ):
        return False
    if lower in EPONYMS or any(part in PROTECTED for part in lower.split("-") if len(part) > 2):
        return False
    return lower in family_names() or given(lower) or (len(lower) > 4 and not is_known(lower))


def _apposed(match: re.Match[str]) -> str:
    words = re.findall(r"[^\W\d_]{2,}", match["name"])
    named = (
        words
        and (given(words[0]) or (anybody(words[0]) and not words[0].isupper()))
        and len(words[0]) > 2 + words[0].isupper()
        and not clinical([words[0].lower()])
    )
    return match["lead"] + tag("NAME") if named else match[0]


def _dealt(match: re.Match[str]) -> str:
    """Whom somebody sees, pages, misses: in capitals amid a sentence, where no department or drug follows from the word."""
    words = re.findall(r"[^\W\d_]{2,}", match["name"])
    after = match.string[match.end() : match.end() + 24]
    follows = re.match(r"[\s-]([A-Za-z]+)", after)
    if match["lead"].strip() in _WEAK and not given(words[0] if words else ""):
        return match[0]
    if not words or not all(map(anybody, words)) or DOSED.match(match.string, match.end()):
        return match[0]
    if clinical([words[-1].lower()]) or (words[-1].lower() in EPONYMS and follows and follows[1].lower() in NOUNS):
        return match[0]
    if follows and (
        follows[1].lower() in GENERIC - FUNCTION_WORDS - {"main", "same"} or follows[1].lower() in NOUNS or follows[1][0].isupper()
    ):
        return match[0]
    return match["lead"] + tag("NAME")


def _led(match: re.Match[str]) -> str:
    word = match["rest"].split()[0]
    lower = word.lower()
    begins = not re.search(r"[a-z],?\s$", match["lead"])
    fits = (
        given(lower)
        if begins
        else (given(lower) or (lower in family_names() and lower not in _NOBODY | PROTECTED | GENERIC and not clinical([lower])))
    )
    return match["lead"] + tag("NAME") if fits and not (begins and lower in _CALLING) else match[0]


def _listed(match: re.Match[str]) -> str:
    word = match["rest"]
    fits = anybody(word) if word[0].isupper() else given(word)
    return match["lead"] + tag("NAME") if fits else match[0]


_CALLING = word_set("will may mark called saw met seeing told see can could did does is was has had should would bill pat rob grant")
_ABBREVIATED = word_set(
    "npo nad wnl tid bid prn icu nicu picu er ed or md rn pt ot dnr dni cpr iv po im sq htn dm chf copd mi cva tia uti gi gu id ent ct mri us emr ehr vss aox ros hpi cc"
)
_WEAK = word_set("and of to for as but because that when while if or")
_DEALS = (
    r"anesthesia\sby|by|sees|seeing|saw|page|paged|paging|misses|missed|missing|met|told|asked|ask|asks|called|calling|about|if|plaintiff|defendant|decedent|witness|claimant|applicant|insured|driver|passenger|as|for|with|"
    r"from|per|d/w|w/|without|but|because|that|when|while|and|of|to|see|tell|let|remind|notify|contact|consult|helps|helped|raising|adopted|babysits|visits|visited|married|divorced|dating|loves|named"
)
_DEALERS = frozenset(re.findall(r"[a-z/]+", _DEALS.replace("\\s", " "))) | word_set(
    "brought accompanied dropped picked off up raised prescribed ordered managed treated examined reassured counseled counselled greeted in today here with from to of consults consulted consultant dr drs"
)
"""The last words of what deals with somebody."""
_RAISED = re.compile(r"[\s:][A-Z]")


def _dealing(text: str) -> bool:
    """Whether one of these stands right before a capital."""
    for match in _RAISED.finditer(text):
        left = text[max(0, match.start() - 16) : match.start()].rstrip(" :.\n\t\r\f\v").lower()
        if re.split(r"[\s:]", left)[-1].lstrip("(,;\"'“‘-") in _DEALERS:
            return True
    return False


BEARERS = (
    recognizer(
        "NAME",
        rf"(?P<lead>\A|[.!?\n:;]\s*|\b(?:and|with|from|by|to|that)\s)(?P<name>{_CALLED}(?:\s{_CALLED})?)(?=\s?(?:,\s|\(|,?\sthe\s)(?:(?:his|her|their|my|our|the\s\w+['’]s|pt['’]s|patient['’]s)\s)?(?:late\s|older\s|younger\s|oldest\s|youngest\s|twin\s|adult\s|step)?(?i:{KIN_PATTERN})\b)",
        _apposed,
        words="wife husband son daughter mother father sister brother spouse partner girlfriend boyfriend friend neighbor aunt uncle niece nephew cousin grandson granddaughter grandmother grandfather caregiver mom dad grandma grandpa fiance roommate guardian",
        flags=0,
    ),
    recognizer(
        "NAME",
        rf"(?P<lead>(?<=[a-z]\s)(?:{_DEALS})\s|\b(?i:{'|'.join(sorted(set(_DEALS.split('|')) - {'by', 'about', 'if', 'as', 'for', 'with', 'from', 'per', 'without', 'but', 'because', 'that', 'when', 'while', 'and', 'of', 'to', 'let', 'consult'}))}|seen\sby|followed\sby|(?:brought|accompanied|dropped\soff|picked\sup|raised|prescribed|ordered|managed|treated|examined|reassured|counseled|counselled|greeted)(?:\s(?:in|today|here))?(?:\sby)?|staying\swith|lives\swith|divorced\sfrom|married\sto|widow\sof|son\sof|mother\sof|wife\sof|consult(?:s|ed|ant)?:?|assisted\sby|performed\sby)[\s:]+(?:dr\.?\s|drs\.?\s)?)(?P<name>(?:[A-Z]\.\s)?{_CAP}(?:\s{_CAP})?)(?!\w)(?!\s?:)",
        _dealt,
        words=" ".join(re.findall(r"[a-z]+", " ".join(sorted(_DEALERS)))),
        flags=0,
        amid=True,
        first=_dealing,
    ),
    recognizer(
        "NAME",
        r"(?P<lead>\b(?:as|by|for|with|from|to|of|is|was|named)\s|:\s)(?P<name>[A-Z]\.\s?(?:[A-Z]\.\s?)?[A-Z][a-z'’]{2,}(?:-[A-Z][a-z]+)?)(?!\w)",
        after_lead("NAME", lambda match: anybody(re.split(r"[\s.]+", match["name"])[-1])),
        words="as by for with from to of is was named",
        first=r"[A-Z]\.\s?[A-Z]",
        flags=0,
        amid=True,
    ),
    recognizer(
        "NAME",
        r"(?P<lead>(?i:dictated|transcribed|typed|signed|reviewed|entered|scribed)(?:\sby)?:?\s)(?P<name>[A-Z]\.?[A-Z]\.?(?:[A-Z]\.?)?)(?=/)|(?P<end>\A|\n|\.\s+)(?P<both>[A-Z]{2,3}[/:][a-z]{2,3})(?=\s*(?:\n|$))",
        lambda match: (match["lead"] + tag("NAME")) if match["name"] else match["end"] + tag("NAME"),
        shapes=("/", ":"),
        first=r"[A-Z]\.?[/:][A-Za-z]{2,3}",
        flags=0,
    ),
    recognizer(
        "NAME",
        r"(?P<lead>\b(?:[Hh]er|[Hh]is|[Tt]heir|[Mm]y|[Oo]ur)\s|\b(?i:called|named|nickname(?:d|\sis)?|goes\sby|known\sas|answers\sto|likes\sto\sbe\scalled|prefers)\s[\"“'‘]?)(?P<name>[A-Z][a-z]+(?:-[A-Z][a-z]+)?)(?=[\"”'’]?(?:\s(?:is|was|has|says|called|and|came|at|to|by|with|will)\b|[.,;\"”]|$))",
        after_lead("NAME", lambda match: given(match["name"].split("-")[0])),
        words="her his their my our called named nickname nicknamed nicknames goes known answers likes prefers",
        flags=0,
        amid=True,
    ),
    recognizer(
        "NAME",
        rf"(?P<lead>\A|[.!?\n]\s*|\b(?:siblings|and|for|with|of|seen|is)\s)(?P<name>{_CAP})(?=,\s(?:age\s|aged\s)?\d{{1,2}}\b(?!\s?(?:mg|ml|%))|\s\(\d{{1,2}}\))",
        after_lead("NAME", lambda match: given(match["name"])),
        words="age aged",
        shapes=(", 0", "(0"),
        flags=0,
        first=r"(?<=\w)(?:,\s(?:aged?\s)?\d|\s\(\d)",
    ),
    recognizer(
        "NAME",
        r"(?P<lead>\b(?i:pt|patient|patient['’]s|pt['’]s)\s)(?P<name>[A-Z](?:\.\s?)?[A-Z](?:\.?\s?[A-Z])?)(?=\.?\s(?:seen|tolerated|presents|reports|called|states|denies|came|returns)\b)|(?P<other>\b(?i:initials|initialed(?:\sby)?)[\s:(]+)[A-Z]\.?\s?[A-Z](?:\.?\s?[A-Z])?\b|(?P<title>\b(?:Dr|Mr|Mrs|Ms|Drs)\.?\s)[A-Z]{2,3}\b(?=\.?(?:\s[a-z]|[,;]|$))|(?P<dash>(?:\n|\s)[-~–]\s?)[A-Z]{2,3}(?=\.?\s*(?:\n|$))",
        lambda match: (
            match[0]
            if re.sub(r"\W", "", match["name"] or "").lower() in _ABBREVIATED
            else (match["lead"] or match["other"] or match["title"] or match["dash"]) + tag("NAME")
        ),
        words="pt patient s initials initialed dr mr mrs ms drs",
        shapes=("-", "~", "–"),
        flags=0,
        amid=True,
    ),
    recognizer(
        "NAME",
        rf"(?P<lead>\b(?:calls?|called)\s(?:him|her|them|me)\s|\b(?i:buddy|infant|little|poor|fellow|dpoa|poa|hcp|derm|cards|renal|neuro|tech|ma|rt|cna|np|pa|rn|judge|intern|resident|sister[\s-]in[\s-]law|brother[\s-]in[\s-]law|step-?dad|step-?mom|significant\sother|so|officer|trooper|deputy|sergeant|coach|chaplain|grandkids|grandson|old)[\s:(]+)(?P<name>{_CAP}(?:\s{_CAP})?)(?!\w|\s[A-Z])",
        lambda match: (
            match["lead"] + tag("NAME")
            if all(map(anybody, match["name"].split())) and not clinical([match["name"].split()[-1].lower()])
            else match[0]
        ),
        words="call calls called buddy infant little poor fellow dpoa poa hcp derm cards renal neuro tech ma rt cna np pa rn judge intern resident law dad mom stepdad stepmom significant so grandkids grandson old officer trooper deputy sergeant coach chaplain",
        flags=0,
        amid=True,
    ),
    recognizer(
        "NAME",
        rf"(?P<lead>\b[Tt]he\s)(?P<name>{_CAP})(?=\s(?:family|twins|brothers|sisters|girls|boys|kids|household|residence)\b)",
        after_lead("NAME", lambda match: anybody(match["name"])),
        words="family twins brothers sisters girls boys kids household residence",
        flags=0,
        amid=True,
    ),
    recognizer(
        "NAME",
        rf"(?P<lead>\A|[\n:;,(]\s*|\b[a-z/]+\s)(?P<name>[A-Z]\.\s?(?:[A-Z]\.\s?)?{_CAP})(?=\s(?:DOB|MRN|is|was|has|and|MD|DO|RN|PA|NP|from)\b|['’]s|[,.;)]|$)",
        after_lead("NAME", lambda match: anybody(re.split(r"[\s.]+", match["name"])[-1])),
        first=r"[A-Z]\.\s?[A-Z]",
        flags=0,
    ),
    recognizer(
        "NAME",
        rf"(?P<lead>(?:^|[.!?\n]\s*))(?P<name>{_CAP})(?=['’]s\s[a-z]+|\s(?:weighs|was\sa\sno[ -]show|called|calls|needs|refuses|refused|returns|underwent|continues|has|presents|c/o|and\sI\s|wants|cries|cried|slept|eats|ate|drank|walked|fell|vomited|tolerated|did|does|takes|took|stopped|started|would|thinks|got|went|here|to\sfollow|lives|works|sees|likes|hates)\b)",
        after_lead("NAME", lambda match: given(match["name"]) and not clinical([match["name"].lower()])),
        words="s weighs has returns underwent continues presents c and was called calls needs refuses refused wants cries cried slept eats ate drank walked fell vomited tolerated did does takes took stopped started would thinks got went here to lives works sees likes hates",
        flags=0,
    ),
    recognizer(
        "NAME",
        r"(?P<lead>\b(?:[Hh]ello|[Hh]i|[Hh]ey|[Dd]ear|[Mm]orning|[Aa]fternoon|[Ee]vening|you|[Tt]hanks|[Tt]hank\syou|[Oo]kay|[Ww]ell|[Yy]es|[Nn]o|[Ss]orry|[Rr]ight),\s|\b(?:[Hh]ello|[Hh]i|[Hh]ey|[Dd]ear)\s)(?P<name>[A-Z][a-z]+(?:-[A-Z][a-z]+)?)(?=[?!.,:]|$)",
        after_lead("NAME", lambda match: given(match["name"])),
        words="hello hi hey dear morning afternoon evening you thanks okay well yes no sorry right",
        flags=0,
        amid=True,
    ),
)
BESIDE = (
    recognizer(
        "NAME",
        rf"(?P<name>{_CAP})\s(?:[\"“(]{_CAP}[\"”)]\s)\[NAME\]|(?P<tag>\[NAME\])\s?[\"“(]\s?[A-Z][\w.-]*\s?[\"”)]",
        lambda match: tag("NAME") if match["tag"] or anybody(match["name"]) or given(match["name"]) else match[0],
        flags=0,
        needs=('"', "“", "("),
    ),
    recognizer(
        "NAME",
        r"(?P<lead>\A|[.!?\n:;,(]\s*|\b[A-Za-z]+,?\s)(?P<rest>[A-Z][a-z]+(?:\s[A-Z]\.)?)\s\[NAME\]",
        _led,
        flags=0,
        needs=(BEFORE,),
    ),
    recognizer(
        "NAME",
        r"\[NAME\]\.?,?\s(?:Jr|Sr|JR|SR|jr|sr|II|III|IV|iii?)\b\.?",
        flags=0,
        words="jr sr ii iii iv",
    ),
    recognizer(
        "NAME",
        r"\[NAME\](?:\s(?:de|la|del|van|von|bin))?\s(?:[A-Z]|[a-z])\.\s\[NAME\]|\[NAME\]\s(?:and|&)\s\[NAME\]",
        lambda match: match[0] if " and " in match[0] or "&" in match[0] else tag("NAME"),
        flags=0,
        needs=(". [name]",),
    ),
    recognizer(
        "NAME",
        r"(?P<lead>\[NAME\],?\s(?:and|&|or)\s(?:(?:his|her|their)\s(?:wife|husband|son|daughter|brother|sister|mother|father)\s)?)(?P<rest>[^\W\d_]{3,})\b",
        _listed,
        flags=0,
        needs=("[name] and", "[name], and", "[name] &", "[name], &", "[name] or", "[name], or"),
    ),
    recognizer(
        "NAME",
        r"(?P<lead>\[NAME\],\s)(?P<rest>[A-Z][a-z]+)(?=,|\sand\s\[NAME\]|[.;]|$)",
        lambda match: (
            match["lead"] + tag("NAME") if anybody(match["rest"]) and match["rest"].lower() in family_names() | given_names() else match[0]
        ),
        flags=0,
        needs=("[name], ",),
    ),
    recognizer(
        "NAME",
        r"(?P<lead>(?:\A|[:\n]\s?|\b(?:cc|RE|Re|re|Pt|PT|pt|Patient|PATIENT|NAME|Name):?\s))(?P<rest>[^\W\d_]{2,}),\s\[NAME\]",
        lambda match: (
            match["lead"] + tag("NAME")
            if match["rest"].lower() in family_names() and match["rest"].lower() not in FUNCTION_WORDS
            else match[0]
        ),
        flags=0,
        needs=(", [name]",),
    ),
)
"""Only where a name has been found."""
