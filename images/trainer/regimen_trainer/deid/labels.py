"""Codes that are identifiers because of the label before them: "MRN 0012345", "policy number is HX-22871".

Each code is found first, then the words to its left are read backwards, then those to its right ("48213 is the chart number"). Labels that
are common words count only with a word such as "number", or before many digits. Labels of medicine and billing codes (ICD, CPT, NDC, LOINC)
are none, so that these stay.
"""

import re
from typing import NamedTuple

from regimen_trainer.deid.recognizer import Found, Recognizer, tag, word_set

_CODE = re.compile(r"(?!(?<=\s)\d\d?(?:[,;%]|\.\s|\s(?!\d)))\d[\w/-]*(?:\.\w+)*(?:[ -]\d{2,}(?![\w.%/]))*")
"""From its first digit on; one or two digits by themselves are none."""
_LEFT = re.compile(r"[a-z]+(?:['/&][a-z]+)?|[#:;.,()=!?]")
_LOOK_BACK = 64
_PREFIX = re.compile(r"(?<![\w-])[A-Z]{1,4}[ -]$")
"""Letters of a code that stand apart from its digits."""
_MORE = re.compile(r"(?:[ -](?:[A-Z]{0,3}\d[A-Z\d]*)(?![\w.%/]))*")
_LAST = re.compile(r"[ -]?[A-Z]{1,3}(?![\w./-])")
_AFTERWARDS = re.compile(
    r"\W{0,2}\s?(?:is|was|are|were|being|as|,|\(|=)\s?(?:(?:the|his|her|their|my|our|its|a|an|last|four|4|digits?|of|on|for|patient's|pt's)\s+)*"
    r"(?P<label>[a-z/']+(?:\s[a-z/']+){0,3})",
    re.IGNORECASE,
)
_MAY_FOLLOW = re.compile(r"\W{1,3}(?:is|was|a|were|being|the|his|her|last|\()|[,(=]", re.IGNORECASE)
_LAST_FOUR = re.compile(r"(?:last (?:four|4)|end(?:s|ing)|digits|ext\.?|extension|pager|pin)\b[^.;]{0,12}$", re.IGNORECASE)
_DAY = re.compile(r"\d{1,2}([-/.])\d{1,2}\1(?:\d\d|\d{4})|(?:19|20)\d\d[-/.]\d\d?[-/.]\d\d?")
SHORTEST = 3

STRONG = {
    "SSN": "ssn,ss,social,social security,soc sec,itin",
    "PHONE": "pager,beeper,extension,ext,cellphone",
    "MRN": "mrn,medical record,health record,med rec,mr",
    "MEMBER": "mbi,hicn,subscriber,beneficiary,enrollee,medicaid,medicare,member,policyholder",
    "ACCOUNT": "account,acct,iban,csn,har,a/c,visa,mastercard,amex,american express,discover,paypal,venmo,debit card,credit card",
    "LICENSE": "npi,dea,lic,license,licence,driver's license,driver license,driver's licence,certificate,cert,passport,credential,oln,green card",
    "VEHICLE": "vin,plate,plates,license plate,licence plate,license tag,placard,tail number,hull,boat",
    "DEVICE": "udi,imei,serial,s/n",
    "BIOMETRIC": "fingerprint,voiceprint,voice print,retina,retinal scan,iris,iris scan,faceprint,face print,biometric,palm print,fingerprint template,"
    "fingerprint scan,biometric template,biometric record",
    "CODE": "accession,claim,barcode,wristband,locker,inmate,bar code,badge,guid,uuid,ticket,confirmation,authorization,authorisation,auth,invoice,employee,requisition,icn,dcn,tracking",
}
"""Labels after which a code with four digits is an identifier by itself; claims and the like need six."""
CLAIMED = word_set("claim confirmation authorization authorisation auth invoice requisition")
"""Procedures are claimed and authorized too, by codes of five digits."""
WEAK = {
    "MRN": "chart,patient,pt,hospital,record,unit",
    "MEMBER": "policy,plan,group,insurance,insured,coverage,payer,health plan,contract,card holder,cardholder",
    "ACCOUNT": "card,bank,routing,billing,checking,savings,statement",
    "LICENSE": "registration,permit,certification,state,provider,driver's,dl,cdl,bar,notary,nurse,military,tax,ein,tin,prescriber,pharmacy",
    "VEHICLE": "vehicle,tag,car",
    "DEVICE": "device,lot,model,pacemaker,implant,pump,generator,lead,sn,defibrillator,stimulator,stent,hearing aid",
    "BIOMETRIC": "scan,template",
    "CODE": "subject,participant,case,order,reference,ref,encounter,visit,specimen,sample,study,prescription,rx,referral,trace,batch,receipt,check,file,report,staff,student,document,"
    "image,request,control,job,locker,transaction,admission,appointment,slide,exam,user,room key,docket,worker,payroll,personnel,id,identification,identifier,unique",
}
"""Labels that need a word such as "number" after them."""
QUALIFIERS = word_set("id identifier number numbers num no nbr code # ids ending ends last digits")
_FILLERS = word_set(
    "is was : = ( of , as reads in the . shows showing listed on recorded read four with are reading to his her their for file this"
)
_SHORTENED = word_set("no lic acct cert reg num rec ins pol ser mem auth ref conf")
"""Before a stop that ends no sentence."""
_FIRM = word_set("is was : = reads ending ends shows reading are")
"""Words after which a label may stand a little further to the left."""


class _Label(NamedTuple):
    name: str
    least: int
    """Digits that a code must have after it without and"""
    qualified: int
    """with a qualifier."""


MANY = 6
"""Digits before which a common word is a label too."""


def _table() -> dict[str, _Label]:
    strong = {label: _Label(name, 6 if label in CLAIMED else 4, 2) for name, labels in STRONG.items() for label in labels.split(",")}
    return {label: _Label(name, MANY, 2) for name, labels in WEAK.items() for label in labels.split(",")} | strong


LABELS = _table()
_LAST_WORDS = frozenset(label.split()[-1] for label in LABELS) | QUALIFIERS | _FILLERS | {"no"}


def clean(text: str, found: Found) -> str:
    """The text with its labelled codes replaced, which `found` counts."""
    pieces, last, lower = list[str](), 0, text.lower()
    lower = lower if len(lower) == len(text) else text
    for match in _CODE.finditer(text):
        start = match.start()
        while start > last and (text[start - 1].isalnum() or text[start - 1] in "-/_*"):
            start -= 1
        if (
            match.start() < last
            or match.end() - start < SHORTEST
            or (_is_year(match[0]) and not _LAST_FOUR.search(text, max(0, start - 24), start))
            or text[start - 1 : start] in ("$", ".", "+")
        ):
            continue
        span = _span(text, lower, last, start, match.end())
        if span:
            start, end, name = span
            pieces += (text[last:start], tag(name))
            last = end
            found[name] = found.get(name, 0) + 1
    return "".join((*pieces, text[last:])) if pieces else text


def _span(text: str, lower: str, since: int, start: int, end: int) -> tuple[int, int, str] | None:
    """Where a code with a label begins and ends, and its class."""
    code = text[start:end]
    starts = [start]
    if start > 1 and text[start - 2].isupper() and (prefix := _PREFIX.search(text, max(since, start - 6), start)):
        starts.append(prefix.start())
    for begins in starts:
        left = lower[max(since, begins - _LOOK_BACK) : begins]
        if left.rstrip(" #:(=-.,\t\n").rpartition(" ")[2].lstrip("(").rpartition("\n")[2] in _LAST_WORDS and (
            name := labelled(left, _digits(text, start, end), plain=_DAY.fullmatch(code) is None)
        ):
            return begins, _ends(text, end, name), name
    after = _AFTERWARDS.match(text, end) if _MAY_FOLLOW.match(text, end) else None
    if after and _digits(text, start, end) >= 4 and (name := _labelling(after["label"].lower().split())):
        return start, end, name
    return None


def _digits(text: str, start: int, end: int) -> int:
    """Digits of a code with the groups that go on after a space."""
    more = _MORE.match(text, end)
    return sum(letter.isdigit() for letter in text[start : more.end() if more else end])


def _ends(text: str, end: int, name: str) -> int:
    more = _MORE.match(text, end)
    end = more.end() if more else end
    lettered = _LAST.match(text, end) if name in ("VEHICLE", "DEVICE", "MEMBER") else None
    return lettered.end() if lettered and lettered[0].strip(" -").lower() not in LABELS else end


def _labelling(words: list[str]) -> str | None:
    """The class of the label with which some words begin; a common word needs `number` after it."""
    for length in (2, 1):
        label = LABELS.get(" ".join(words[:length]))
        if (
            label
            and len(words) >= length
            and (label.least < MANY or (len(words) > length and words[length] in ("number", "no", "id", "code")))
        ):
            return label.name
    return None


def _is_year(code: str) -> bool:
    return len(code) == 4 and code.isdigit() and code[:2] in ("19", "20")


def labelled(left: str, digits: int, plain: bool = True) -> str | None:
    """The class of a code with so many digits after these lower-case words, or None. Without `plain` it may be a date."""
    words = _LEFT.findall(left)
    qualified, firm, at = False, False, len(words) - 1
    while (
        at >= 0
        and (words[at] in _FILLERS or words[at] in QUALIFIERS)
        and len(words) - at < 9
        and " ".join(words[at - 1 : at + 1]) not in LABELS
    ):
        if words[at] == "." and (at == 0 or words[at - 1] not in _SHORTENED):
            return None
        qualified |= words[at] in QUALIFIERS
        firm |= words[at] in _FIRM
        at -= 1
    if at < 0:
        return None
    label = _at(words, at) or (LABELS["id"] if qualified and words[-1] in ("id", "#") and words[at] in LABELS else None)
    if label:
        least = label.qualified if qualified else label.least
        return label.name if digits >= least and (qualified or plain or least < MANY) else None
    return _further(words, at, digits) if firm else None


def _at(words: list[str], at: int) -> _Label | None:
    return LABELS.get(" ".join(words[max(0, at - 1) : at + 1])) or LABELS.get(words[at])


def _further(words: list[str], at: int, digits: int) -> str | None:
    """The class by a label up to four words away, in the same clause: a strong one, or one with `number` after it."""
    for place in range(at, max(-1, at - 5), -1):
        if not words[place][0].isalpha() and words[place] != "#":
            return None
        label = _at(words, place)
        if label and digits >= 4 and (label.least < MANY or words[place + 1] in ("number", "no", "id", "code", "#")):
            return label.name
    return None


LABELLED = Recognizer(clean, frozenset(word for label in LABELS for word in re.findall("[a-z]+", label)), (), ("\x00digit",))
