"""Numbers said as words, as dictation leaves them: "three one two, five five five", "kilo lima mike four eight two", "double oh seven".

A run of such words is weighed by the digits and letters that it stands for. Six digits or more are nobody's measurement; fewer are an
identifier right after its label ("badge number four four one two"). Years, ages and doses are shorter, or have a word between.
"""

import re

from regimen_trainer.deid.labels import labelled
from regimen_trainer.deid.recognizer import Found, Reading, Recognizer, tag, word_set

_ONES = word_set("zero oh one two three four five six seven eight nine")
_TEENS = word_set("ten eleven twelve thirteen fourteen fifteen sixteen seventeen eighteen nineteen")
_TENS = word_set("twenty thirty forty fifty sixty seventy eighty ninety")
_SPELLED = word_set("""
alpha bravo charlie delta echo foxtrot golf hotel india juliet kilo lima mike november oscar papa quebec romeo sierra tango uniform victor whiskey
xray yankee zulu
""")
_SAID = _ONES | _TEENS | _TENS | _SPELLED
_JOINTS = word_set("dash hyphen slash double triple hundred thousand and area code then space dot point as in")
_WORDS = _ONES | _TEENS | _TENS
_ANY = "|".join(sorted(_WORDS | _SPELLED, key=len, reverse=True))
_RUN = re.compile(
    rf"\b(?:{_ANY}|double|triple|[a-z](?=(?:\s[a-z]){{0,6}}\s(?:as\sin\b|{_ANY}\b))|\d{{1,4}}(?=[\s,-]+(?:{_ANY})\b))"
    rf"(?:[\s,.-]+(?:{_ANY}|{'|'.join(sorted(_JOINTS - {'as', 'in', 'and'}))}|as\sin\s\w+|[a-z]|\d{{1,4}})\b)*(?<![\s,.-])",
    re.IGNORECASE,
)
_PIECE = re.compile(r"[a-z]+|\d+")
_ZIP = re.compile(r"\b(?:zip|zipcode|postal)\W(?:code\W)?(?:is\W)?\s*$")
ENOUGH, ENOUGH_LABELLED = 6, 3
_LOOK_BACK = 64


def clean(text: str, found: Found) -> str:
    """The text with its said numbers replaced, which `found` counts."""
    if sum(word.rstrip(",.") in _SAID for word in text.lower().replace("-", " ").split()) < 2:
        return text
    pieces, last = list[str](), 0
    for match in _RUN.finditer(text):
        words = _PIECE.findall(match[0].lower())
        said, weight = sum(word in _WORDS or word in _SPELLED for word in words), _weight(words)
        if said < 2 or weight < ENOUGH_LABELLED:
            continue
        left = text[max(last, match.start() - _LOOK_BACK) : match.start()].lower()
        name = (("ZIP" if _ZIP.search(left) else None) or labelled(left, weight)) or ("PHONE" if weight >= ENOUGH and said > 3 else None)
        if name:
            pieces += (text[last : match.start()], tag(name))
            last = match.end()
            found[name] = found.get(name, 0) + 1
    return "".join((*pieces, text[last:])) if pieces else text


def _weight(words: list[str]) -> int:
    """How many digits the words stand for; spelled letters count once there is a digit."""
    digits = letters = 0
    before = ""
    for word in words:
        if word.isdigit():
            digits += len(word)
        elif word in _ONES:
            digits += {"double": 2, "triple": 3}.get(before, 0 if before in _TENS and word != "oh" and word != "zero" else 1)
        elif word in _TEENS or word in _TENS:
            digits += 2
        elif word in _SPELLED:
            letters += 1
        before = word
    return digits + letters if digits else 0


def _several(seen: Reading) -> bool:
    """Whether a text may hold two such words."""
    said = seen.words & _SAID
    return len(said) > 1 or any(seen.lower.count(word) > 1 for word in said)


SPOKEN = Recognizer(clean, _ONES - {"one"} | {"ten", "eleven", "twelve"}, (), (), _several)
"""Tried where a figure other than `one`, which is rather a pronoun, is there."""
