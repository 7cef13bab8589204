"""Names of people and organizations in running text, by adding up what speaks for them.

Each word brings its weight from the gazetteers; the words before and after add theirs: a title, "his wife", "spoke with", "reports", a
degree. Words of one name are judged together. What follows a name may take all away: a disease, a sign, a catheter. A name that is in no
gazetteer is found only where its neighbours point at it; a name that is a common word, only after a title, a label or a first name.
"""

import re
from collections.abc import Sequence
from functools import lru_cache
from typing import NamedTuple

from regimen_trainer.deid.lexicon import (
    LIKELY,
    POSSIBLE,
    SURE,
    english,
    family_names,
    given_names,
    is_known,
    is_misspelt,
    medical_words,
    name_weights,
    sure_names,
    word_counts,
)
from regimen_trainer.deid.medical import DRUGS, EPONYMS, NOUNS, PROTECTED
from regimen_trainer.deid.recognizer import Found, after_lead, recognizer, tag, word_set

ENOUGH = 3
ENOUGH_SMALL = 5
"""What a name in lower case needs, as dictations write it."""
LONG = 6
"""Letters in capitals alone from which on they are no abbreviation."""
_TOKEN = re.compile(r"[^\W\d_]+(?:['’-][^\W\d_]+)*\.?")
_BREAK = re.compile(r"^(?:[ \t]+|\s?,\s?|-|\n(?! *\n))$")
CAPITALS = re.compile(r"[^\W\d_a-z][^\W\d_]+(?:['’-][^\W\d_]+)*")

INNER = re.compile(r"(?:La|Le|De|Da|Di|Du|Van|Von|Mc|Mac|Fitz|Ja|Ka|Ta|O)[A-Z][a-z]+$")
"""LaKeisha; other capitals inside a word are a product's: CyberKnife."""
_JOINED = re.compile(r"[A-Z][a-z]*['’-][A-Z]")

TITLES = word_set("dr drs mr mister mrs ms mx prof professor rev fr hon sgt capt lt col")
"""After these, any capitalised word is a name."""
CALLINGS = word_set("""
doctor nurse miss sister brother uncle aunt auntie grandma grandpa officer father pastor rabbi sir madam cousin detective judge coach chaplain
""")
"""After these, a word that is no common word is a name."""
RELATIONS = word_set("""
wife husband son daughter mother father sister brother spouse partner girlfriend boyfriend fiance fiancee friend neighbor neighbour aunt
uncle niece nephew cousin grandson granddaughter grandmother grandfather caregiver guardian roommate coworker colleague boss supervisor
named name called patient pt client claimant insured member subscriber provider physician surgeon attending resident therapist pharmacist
adjuster reviewer examiner employer specialist cardiologist neurologist oncologist dermatologist psychiatrist psychologist pcp nurse
dentist urologist radiologist anesthesiologist pathologist hospitalist internist pediatrician gynecologist manager signed dictated
reviewed transcribed authored electronically attn cc baby mom dad twin stepson stepdaughter beneficiary dependent lawyer attorney
practitioner assistant
""")
LEADS = word_set("""
with by saw called told per from to and for contacted spoke met asked meet see seeing contact notified informed paged via of i'm
""")
SPEAKS = word_set("""
tells says said told states stated reports reported denies denied calls called asks asked agrees agreed complains complained endorses voiced insists admits
""")
"""What only people do."""
DOES = word_set("""
reports reported states stated says said denies denied presents presented complains complained notes noted tells told called calls asks
asked agrees agreed wants wanted was is has had came comes went lives works underwent returned returns returns will requests requested
understands believes thinks feels felt describes described confirmed signed reviewed approved dictated performed examined recommended
ordered prescribed referred explained discussed advised saw who arrived
""")
DEGREES = word_set("md do rn np pa dds dmd phd dpm lpn cnp aprn crna pt ot od pharmd lcsw psyd facs cpc fnp msw bsn dc")
_SAINTS = word_set("st saint san santa")
NOT_FAMILIES = word_set("""
md do rn np pa dds dmd phd dpm pt ot od dc may will can is was has had and or the of in on at to for with by from as an no not he she his her who
""") | PROTECTED - word_set("""
le li lo lu ma wu xu yu su christian jordan israel london paris english french german holland ireland china france england palmer koch lord god camel davidson ford day august april june
may january friday sunday monday easter christmas tess valentine guest mayo kaiser dear son sir
""")
"""After a first name too, these are rather the next word of the sentence."""
_OWNED = word_set("""
chart exam examination test tests operation procedure position fever diet bladder ulcer fracture repair hernia drain catheter brace boot cast graft lens inhaler tumor lesion cyst pneumonia
monitor splint collar bandage dressing pin tube stent wound disorder
""")
"""What a patient has, too: nobody but an eponym has a sign or a disease."""
ABBREVIATED = word_set("jr sr st wm chas geo jos")
PARTICLES = word_set("de la del van von der den da dos das di le el al bin ibn ben st san y e")
FAMILIES = word_set("van von der den bin ibn della")
"""Of these, such as are no words of English."""
_NICKNAME = re.compile(
    r"\[NAME\]\s*[\"“‘']\s?[^\W\d_]+(?:\s[^\W\d_]+)?\s?[\"”’'](?:\s*\[NAME\])?|\[NAME\]\s*\(\s?[^\W\d_]+(?:\s[^\W\d_]+)?\s?\)\s*\[NAME\]"
)
"""After a first name."""
DOSED = re.compile(
    r"\s?(?:\d|tablets?|tabs?|capsules?|caps|cream|lotion|ointment|gel|drops|spray|inhaler|patch|injections?|shots?|therapy|treatments?|pack|pens?|pump|system|implant|vaccine|infusions?|XR|ER|SR|CR|XL|LA|HCT|DM|PM)\b"
)
_TAKEN = word_set(
    "taking takes took tried prescribed started using uses used allergic allergy drinking drinks tolerates refill refills medication medications meds generic brand"
)
_LABEL = (
    r"(?P<label>\b(?:(?:patient|pt|member|insured|subscriber|claimant|provider|physician|full|first|last|maiden|contact|guardian|spouse|employer)(?:'s)?\s+name|name|"
    r"(?:electronically\s+)?(?:signed|dictated|reviewed|transcribed|prepared|authored|verified)\s+by|signed|attending(?:\s+physician)?|surgeon|(?:first\s+)?assistant|anesthesiologist|"
    r"referring(?:\s+(?:physician|provider|doctor))?|(?:primary\s+care\s+)?(?:physician|provider)|pcp|emergency\s+contact|next\s+of\s+kin|adjuster|reviewer|examiner|insured|claimant|subscriber|"
    r"patient|cc|attn|spouse|guardian|employer|radiologist|pathologist)\s*(?:\([^)]{1,20}\))?\s*[:=]\s*)"
)
_NAMED = r"(?P<name>(?:(?:Dr|Mr|Mrs|Ms)\.?\s+)?[A-Z][\w'’-]*\.?(?:,?[ \t]+(?:(?:de|la|del|van|von|der|al|bin)\s+)*[A-Z][\w'’-]*\.?){0,3})"
_ORGANIZATION = (
    r"Hospital|Medical\s+Cent(?:er|re)|Health(?:care)?(?:\s+(?:System|Center|Partners))?|Clinic|Medical\s+Group|Associates|Inc|LLC|L\.L\.C|Corp(?:oration)?|Company|Ltd|University|College|"
    r"(?:High|Elementary|Middle)\s+School|Pharmacy|Nursing\s+Home|Rehab(?:ilitation)?(?:\s+Center)?|Hospice|Church|Insurance|Laborator(?:y|ies)|Foundation|Institute|Industries|Manufacturing|Logistics"
)


def _labelled(match: re.Match[str]) -> str:
    """After a label, words that are no plain English; after `name` and `by`, any but headings."""
    words = re.findall(r"[^\W\d_]{2,}", match["name"]) or [match["name"]]
    strong = re.search(r"name|by\s*[:=]|contact|kin", match["label"], re.IGNORECASE)
    least = POSSIBLE if strong or len(words) > 1 else SURE
    named = [word for word in words if _weight(word) >= least or (strong and _unknown(word) and len(word) > 3)]
    if len(named) < (1 if strong or len(words) == 1 else 2) or words[0].lower() in PROTECTED:
        return match[0]
    return match["label"] + tag("NAME")


def _organization(match: re.Match[str]) -> str:
    """Only with a word that is a name or no English: `General Hospital` is no organization's own name."""
    words = [word for word in re.findall(r"[A-Z][\w'’]*", match["own"]) if word.lower() not in {"the", "st", "saint"}]
    counts = word_counts()
    special = any(_weight(word) >= LIKELY or word.lower().removesuffix("'s") not in counts for word in words) or match["own"].startswith(
        ("St", "Saint")
    )
    return tag("ORGANIZATION") if special and not all(word.lower() in PROTECTED for word in words) else match[0]


LABELLED = (
    recognizer(
        "NAME",
        rf"(?i:{_LABEL}){_NAMED}(?!\s*:)",
        _labelled,
        words="name signed by attending surgeon assistant anesthesiologist referring physician provider pcp contact kin "
        "adjuster reviewer examiner insured claimant subscriber patient cc attn spouse guardian employer radiologist pathologist",
        flags=0,
        needs=(":", "="),
        first=r"[:=]\s*[A-Z]",
    ),
    recognizer(
        "ORGANIZATION",
        rf"\b(?P<own>(?:St\.?\s+|Saint\s+|The\s+)?[A-Z][\w'’&.-]*(?:\s+(?:of\s+|and\s+|&\s+)?[A-Z][\w'’&.-]*){{0,3}}?)\s+(?:{_ORGANIZATION})\b\.?",
        _organization,
        words="hospital center centre health healthcare clinic group associates inc llc corp corporation company ltd university college school pharmacy home rehab rehabilitation "
        "hospice church insurance laboratory laboratories foundation institute industries manufacturing logistics",
        flags=0,
    ),
    recognizer(
        "ORGANIZATION",
        r"(?P<lead>\b(?i:works?|worked|working|employed|employment|jobs?|position|retired|laid\s+off|fired|shifts?)\s+(?:\w+\s+)?(?:for|at|by|with|from)\s+(?:the\s+)?"
        r"|\b(?i:employer)(?:\s+is|\s+was|:|,)?\s+(?:the\s+)?)(?!(?:The|A|An|ABCD|XYZ|I|His|Her|My|Our|This)\b)"
        r"(?P<own>[A-Z][\w'’&-]+(?:\s+(?:&\s+|and\s+|of\s+)?[A-Z][\w'’&-]+){0,3}(?:\s+(?:mill|quarry|plant|factory|farms?|mine|warehouse|bakery|yard|shop|store|foundry|school|restaurant|company))?)",
        after_lead("ORGANIZATION", lambda match: match["own"].lower() not in PROTECTED),
        words="works work worked working employed employer employment job jobs position retired laid fired shift shifts",
        flags=0,
    ),
)


class _Word(NamedTuple):
    text: str
    start: int
    end: int
    lower: str
    weight: int
    """Its own, or -1 for a word that is no name."""


_NEW = tuple.__new__
"""Of a named tuple's ways the quickest: there is one for each word of each text."""


def _words(text: str) -> list[_Word]:
    words, end = list[_Word](), 0
    for token in _TOKEN.findall(text):
        # No letter lies between two tokens, so that the next place of its letters is its own.
        start = text.find(token, end)
        end = start + len(token)
        bare, lower, weight = _seen(token)
        words.append(_NEW(_Word, (bare, start, start + len(bare), lower, weight)))
    return words


def mentions(words: set[str], text: str) -> bool:
    """Whether a text may hold a name at all; cheap, for most texts hold none."""
    if not words.isdisjoint(sure_names()) or not words.isdisjoint(TITLES) or not words.isdisjoint(CALLINGS):
        return True
    return any(map(_rouses, words)) or any(_seen(word)[2] > 0 for word in CAPITALS.findall(text)) or _JOINED.search(text) is not None


@lru_cache(maxsize=100_000)
def _rouses(word: str) -> bool:
    """Whether a word in lower case is reason enough to look closer."""
    weight = _weight(word)
    return weight == SURE or (weight == LIKELY and word not in english())


def spans(text: str) -> list[tuple[int, int]]:
    """Where names stand in a text, in order and apart."""
    words = _words(text)
    found, last, given = list[tuple[int, int]](), 0, given_names()
    for index in [at for at, word in enumerate(words) if word[4] > 0 or not word[0].islower()]:
        word = words[index]
        if index < last or (
            word.weight < 0 and len(word.text) > 1 and word.lower not in given and not (index and words[index - 1].lower in TITLES)
        ):
            continue
        end = _run(words, index, text)
        if end > index and _judge(words, index, end, text):
            first = index - 1 if index and _belongs(words[index - 1], words[index], text) else index
            while first and words[first - 1].text in FAMILIES and text[words[first - 1].end : words[first].start] == " ":
                first -= 1
            end += end < len(words) and _belongs(words[end - 1], words[end], text)
            found.append((words[first].start, words[end - 1].end))
        last = max(end, index + 1)
    return found


def _belongs(left: _Word, right: _Word, text: str) -> bool:
    """Whether of two neighbours, one of them a name, the other is one too: nothing knows it, and it is written alike."""
    return (
        text[left.end : right.start] == " "
        and text[left.start].islower() == text[right.start].islower()
        and all(len(word.text) > 2 and not word.text.isupper() and not is_known(word.lower.split("-")[0]) for word in (left, right))
    )


@lru_cache(maxsize=50_000)
def _seen(text: str) -> tuple[str, str, int]:
    """A token without its stop and its possessive; in lower case; its weight."""
    bare = text.rstrip(".")
    lower = bare.lower().replace("’", "'")
    if lower.endswith("'s"):
        bare, lower = bare[:-2], lower[:-2]
    return bare, lower, _weight(bare)


def _weight(word: str) -> int:
    lower = word.lower().replace("’", "'").removesuffix("'s")
    if lower in PROTECTED:
        return -1
    if re.match(r"(?:[OD]['’]|Mc|Mac)[A-Z]", word):
        return SURE
    if (weight := name_weights().get(lower)) is not None:
        return weight
    if "-" in lower or "'" in lower:
        return _joined(word)
    return _stranger(word, lower)


def _joined(word: str) -> int:
    """Smith-Jones; also with a part that nothing knows."""
    parts = re.split("[-'’]", word)
    if parts[0] in PARTICLES and len(parts) == 2 and parts[1][:1].isupper():
        return _weight(parts[1])
    weights = [_weight(part) for part in parts]
    if word[0].isupper() and all(part[1:].islower() for part in parts) and len(parts) == 2 and "-" in word and min(map(len, parts)) > 1:
        strange = [len(part) > 2 and not is_known(part.lower()) and part.lower() not in word_counts() for part in parts]
        if any(strange) and not any(part.lower() in english() and len(part) > 3 for part in parts):
            return SURE
    if "-" not in word or min(map(len, parts)) < 3:
        return -1
    return max(weights) if min(weights) > 0 else -1


def _stranger(word: str, lower: str) -> int:
    """A word in no list of names: one that no vocabulary knows either is a name; capitals alone may be an abbreviation."""
    if is_known(lower):
        return -1
    plain = lower.encode("ascii", "ignore").decode()
    if word[0].islower():
        foreign = not lower.isascii() and len(lower) > 3
        return SURE if foreign else LIKELY if len(lower) > 4 and lower not in word_counts() and not is_misspelt(lower) else -1
    if word[:-1].isupper() and word[-1] == "s" and len(word) < LONG:
        return -1
    if word.isupper() and len(word) > 1:
        return 0 if len(word) < LONG else LIKELY if lower in word_counts() or is_misspelt(plain) else SURE
    if lower in word_counts() or len(lower) < 4:
        return LIKELY if len(lower) > 3 else POSSIBLE if len(lower) == 3 else 0
    if not (word[1:].islower() or INNER.match(word)):
        return 0
    return SURE


def _unknown(word: str) -> bool:
    """Capitalised, and neither English nor medicine."""
    lower = word.lower()
    return word[:1].isupper() and lower not in word_counts() and not is_known(lower)


def _run(words: Sequence[_Word], first: int, text: str) -> int:
    """The end of the words from `first` on that may be one name; `first` itself where it cannot begin one."""
    if not _begins(words, first, text):
        return first
    small = words[first].text[0].islower()
    end = first + 1
    while end < len(words) and end - first < 5:
        gap, word = text[words[end - 1].end : words[end].start], words[end]
        gap = gap.removeprefix(".") if len(words[end - 1].text) == 1 or words[end - 1].lower in ABBREVIATED else gap
        if not _BREAK.match(gap) or ("," in gap and (end - first > 1 or word.weight < POSSIBLE or words[first].weight < LIKELY)):
            break
        if not _continues(words, end, small):
            break
        end += 1
    while end - 1 > first and words[end - 1].lower in PARTICLES and (words[end - 1].text.islower() or words[end - 1].lower in _SAINTS):
        end -= 1
    return end


def _begins(words: Sequence[_Word], index: int, text: str) -> bool:
    word = words[index]
    before = words[index - 1].lower if index and text[words[index - 1].end : word.start].strip() in ("", ".") else ""
    if word.lower in TITLES or (word.lower in CALLINGS and word.lower != "miss"):
        return False
    if before in TITLES:
        return (word.text[0].isupper() or word.weight > 0) and not (word.lower in NOUNS or word.lower in DEGREES)
    if word.text[0].islower():
        follows = index + 1 < len(words) and words[index + 1].weight == SURE and text[word.end : words[index + 1].start] == " "
        return len(word.text) > 2 and (word.weight >= LIKELY or (follows and word.lower in given_names() and word.lower not in PROTECTED))
    initial = (
        len(word.text) == 1
        and index + 1 < len(words)
        and words[index + 1].weight >= LIKELY
        and words[index + 1].text[0].isupper()
        and text[word.end : word.end + 1] == "."
    )
    return (word.weight >= 0 and len(word.text) > 1 and word.lower not in DEGREES) or initial or _is_pair(words[index : index + 2])


def _continues(words: Sequence[_Word], index: int, small: bool) -> bool:
    word = words[index]
    if word.lower in PARTICLES and word.text.islower():
        after = next((other for other in words[index + 1 : index + 3] if other.lower not in PARTICLES), None)
        return after is not None and after.weight > 0 and after.text[0].isupper() != small
    if small:
        initial = len(word.text) == 1 and index + 1 < len(words) and words[index + 1].weight >= LIKELY and words[index - 1].weight >= LIKELY
        return word.text.islower() and (word.weight >= LIKELY or initial)
    if word.text[0].isupper() and (word.lower in family_names() or word.lower in _SAINTS) and word.lower not in NOT_FAMILIES:
        before = words[index - 1]
        if before.weight == SURE or before.lower in given_names() or len(before.text) == 1:
            return True
    capital = word.text[0].isupper() or (word.text.split("-")[0] in PARTICLES and word.weight > 0)
    return capital and (word.weight >= 0 or (len(word.text) == 1 and word.text != "I")) and word.lower not in DEGREES


def _judge(words: Sequence[_Word], first: int, end: int, text: str) -> bool:
    """Whether a run is a name."""
    run = words[first:end]
    before = _before(words, first, text)
    score = sum(max(word.weight, 0) for word in run) + (before if len(run) == 1 else max(before, 0)) + _after(words, end, text)
    score += 2 * _is_pair(run)
    small = run[0].text[0].islower()
    if len(run) == 1 and _is_drug(words, first, end, text):
        score -= SURE
    if len(run) == 1 and run[0].text.isupper():
        shouted = first > 0 and words[first - 1].text.isupper() and words[first - 1].lower in english() and run[0].lower in given_names()
        score -= 0 if shouted else run[0].weight if len(run[0].text) < 5 else int(len(run[0].text) < 8)
    clear = run[0].weight == SURE and len(run[0].text) > 3 and run[0].lower not in english()
    enough = ENOUGH_SMALL - clear - (clear and len(run[0].text) > 4 and run[0].lower in given_names()) if small else ENOUGH
    return score >= enough


def _is_drug(words: Sequence[_Word], first: int, end: int, text: str) -> bool:
    """A name in no list that stands where drugs and products do: beside another, or before a dose or a form."""
    if words[first].lower in name_weights():
        return False
    if DOSED.match(text, words[end - 1].end):
        return True
    near = (words[first - 1] if first else None, words[end] if end < len(words) else None)
    taken = near[0] is not None and near[0].lower in _TAKEN
    return taken or any(word is not None and (word.lower in medical_words() or word.lower in DRUGS) for word in near)


def _is_pair(run: Sequence[_Word]) -> bool:
    """Will Small: a first and a last name, even where each of them is rather a word by itself."""
    if len(run) < 2:
        return False
    first, last = run[0], run[-1]
    return (
        first.lower in given_names()
        and first.lower not in PROTECTED
        and first.text[0].isupper()
        and last.text[0].isupper()
        and (last.lower in family_names() or last.weight > 0)
        and last.lower not in NOT_FAMILIES
        and last.lower not in NOUNS
        and first.text.isupper() == last.text.isupper()
    )


def _before(words: Sequence[_Word], first: int, text: str) -> int:
    if not first:
        return -1 if words[first].weight < SURE else 0
    before = words[first - 1]
    if len(before.text) == 1 and text[before.end : words[first].start] == ". " and before.text.islower() == words[first].text.islower():
        return 2
    gap = text[before.end : words[first].start]
    if gap.strip(" .") == "" and before.lower in TITLES:
        return 6
    if "\n" in gap or "." in gap or "?" in gap or "!" in gap:
        return -1 if words[first].weight < SURE else 0
    if ":" in gap and before.lower in RELATIONS and words[first].text.islower():
        return 2
    if ":" in gap:
        return -1 if words[first].weight < SURE else 0
    if gap.strip(" ,") or (before.weight > 0 and before.text[0].isupper()):
        return 0
    if before.lower in DEGREES and before.text.isupper() and gap == " ":
        return 2
    if before.lower in FAMILIES and before.text.islower() and gap == " ":
        return 3
    if before.lower in CALLINGS:
        return 3 if words[first].weight != POSSIBLE else 1
    if before.lower in RELATIONS or (before.lower == "is" and first > 1 and words[first - 2].lower in RELATIONS | {"name"}):
        return 2
    return 1 if before.lower in LEADS else 0


def _after(words: Sequence[_Word], end: int, text: str) -> int:
    last = words[end - 1]
    if end == len(words):
        return 0
    after = words[end]
    gap = text[last.end : after.start]
    owner = gap.lower().replace("’", "'").startswith("'s")
    gap = gap[2:] if owner else gap
    if after.lower in NOUNS and gap in (" ", "-", "/") and not (owner and after.lower in _OWNED and last.lower not in EPONYMS):
        return -9
    if after.text.lower() in DEGREES and gap.strip(", ") == "" and after.text[-1].isupper():
        return 4
    if gap == " " and (after.lower in DOES or after.lower in SPEAKS) and (after.text.islower() or last.text.isupper()):
        return 2 if after.lower in SPEAKS else 1
    return 1 if owner else 0


def clean(text: str, found: Found) -> str:
    """The text with its names replaced, which `found` counts."""
    places = spans(text)
    if not places:
        return text
    found["NAME"] = found.get("NAME", 0) + len(places)
    pieces, last = list[str](), 0
    for start, end in places:
        pieces += (text[last:start], tag("NAME"))
        last = end
    return _NICKNAME.sub(tag("NAME"), "".join((*pieces, text[last:])))
