"""Codes that are identifiers because of the label before them: "MRN 0012345", "policy number is HX-22871".

Each code is found first, then the words to its left are read backwards. Labels that are common words count only with a word such as
"number". Labels of medicine and billing codes (ICD, CPT, NDC, LOINC) are none, so that these stay.
"""

import re
from typing import NamedTuple

from regimen_trainer.deid.recognizer import Found, Recognizer, tag, word_set

_CODE = re.compile(r"\d[\w/-]*(?:\.\w+)*(?:[ -]\d{2,}(?![\w.%/]))*")
"""From its first digit on."""
_LEFT = re.compile(r"[a-z]+(?:['/&][a-z]+)?|[#:;.,()=!?]")
_LOOK_BACK = 56
SHORTEST = 3

STRONG = {
    "MRN": "mrn,medical record,health record",
    "MEMBER": "mbi,hicn,subscriber,beneficiary,enrollee,medicaid,medicare,member,policyholder",
    "ACCOUNT": "account,acct,iban,csn,har,a/c",
    "LICENSE": "npi,dea,lic,license,licence,certificate,passport,credential",
    "VEHICLE": "vin,plate,plates,license plate,licence plate,license tag",
    "DEVICE": "udi,imei,serial,s/n",
    "BIOMETRIC": "fingerprint,voiceprint,voice print,retina,retinal scan,iris,iris scan,faceprint,face print,biometric,palm print,fingerprint template,"
    "fingerprint scan,biometric template,biometric record",
    "CODE": "accession,claim,barcode,bar code,badge,guid,uuid,ticket,confirmation,authorization,authorisation,auth,invoice,employee,requisition,icn,dcn,tracking",
}
"""Labels after which a code with four digits is an identifier by itself; claims and the like need six."""
CLAIMED = word_set("claim confirmation authorization authorisation auth invoice requisition")
"""Procedures are claimed and authorized too, by codes of five digits."""
WEAK = {
    "MRN": "chart,patient,pt,hospital,record,unit",
    "MEMBER": "policy,plan,group,insurance,insured,coverage,payer,health plan,contract,card holder,cardholder",
    "ACCOUNT": "card,bank,routing,billing,credit card,debit card,checking,savings",
    "LICENSE": "registration,permit,certification,state,provider,driver's,driver's license,dl,tax,ein,tin,prescriber,pharmacy",
    "VEHICLE": "vehicle,tag,car",
    "DEVICE": "device,lot,model,pacemaker,implant,pump,generator,lead,sn,defibrillator,stimulator,stent,hearing aid",
    "BIOMETRIC": "scan,template",
    "CODE": "case,order,reference,ref,encounter,visit,specimen,sample,study,prescription,rx,referral,trace,batch,receipt,check,file,report,staff,student,document,"
    "image,request,control,job,locker,transaction,admission,appointment,slide,exam,user,worker,payroll,personnel,id,identification,identifier,unique",
}
"""Labels that need a word such as "number" after them."""
QUALIFIERS = word_set("id identifier number numbers num no nbr code # ids")
_FILLERS = word_set("is was : = ( of , as reads ending ends in the . shows showing listed on recorded read")


class _Label(NamedTuple):
    name: str
    least: int
    """Digits that a code must have after it without and"""
    qualified: int
    """with a qualifier; 0 where it is no label then."""


def _table() -> dict[str, _Label]:
    strong = {label: _Label(name, 6 if label in CLAIMED else 4, 2) for name, labels in STRONG.items() for label in labels.split(",")}
    return {label: _Label(name, 0, 2) for name, labels in WEAK.items() for label in labels.split(",")} | strong


LABELS = _table()
_LAST_WORDS = frozenset(label.split()[-1] for label in LABELS) | QUALIFIERS | _FILLERS | {"no"}


def clean(text: str, found: Found) -> str:
    """The text with its labelled codes replaced, which `found` counts."""
    pieces, last = list[str](), 0
    for match in _CODE.finditer(text):
        start, code = match.start(), match[0]
        while start > last and (text[start - 1].isalnum() or text[start - 1] in "-/_"):
            start -= 1
        if match.end() - start < SHORTEST or _is_year(code) or text[start - 1 : start] in ("$", ".", "+"):
            continue
        left = text[max(last, start - _LOOK_BACK) : start].lower()
        digits = sum(letter.isdigit() for letter in code)
        if left.rstrip(" #:(=-.,\t\n").rpartition(" ")[2].lstrip("(").rpartition("\n")[2] in _LAST_WORDS and (
            name := _labelled(left, digits)
        ):
            pieces += (text[last:start], tag(name))
            last = match.end()
            found[name] = found.get(name, 0) + 1
    return "".join((*pieces, text[last:])) if pieces else text


def _is_year(code: str) -> bool:
    return len(code) == 4 and code.isdigit() and code[:2] in ("19", "20")


def _labelled(left: str, digits: int) -> str | None:
    """The class of a code with so many digits after these words, or None."""
    words = _LEFT.findall(left)
    qualified, at = False, len(words) - 1
    while at >= 0 and (words[at] in _FILLERS or words[at] in QUALIFIERS) and len(words) - at < 7:
        if words[at] == "." and (at == 0 or words[at - 1] != "no"):
            return None
        qualified |= words[at] in QUALIFIERS
        at -= 1
    if at < 0:
        return None
    label = LABELS.get(" ".join(words[max(0, at - 1) : at + 1])) or LABELS.get(words[at])
    label = label or (LABELS["id"] if qualified and words[-1] in ("id", "#") and words[at] in LABELS else None)
    if label is None:
        return None
    least = label.qualified if qualified else label.least
    return label.name if least and digits >= least else None


LABELLED = Recognizer(clean, frozenset(word for label in LABELS for word in re.findall("[a-z]+", label)), (), tuple("0123456789"))
