"""The tags that stand for removed identifiers: told apart from brackets in the text, and put out of the recognizers' way."""

import re

from regimen_trainer.deid.classes import CLASSES

TAG = re.compile(rf"\[(?:(?:{'|'.join(CLASSES)})(?: \d{{3}})?|[A-Za-z]\w* [0-9a-f]{{8}})\]|\b90\+")
_FIRST, _LAST = 0xE000, 0xF8FF
_MARKS = re.compile(f"[{chr(_FIRST)}-{chr(_LAST)}]")
"""Private characters, one for each tag while the text is worked on: no letters, digits, white space or punctuation to match."""


def hidden(text: str) -> tuple[str, list[str]]:
    """The text with its tags replaced by marks, and the tags in order. Such characters of the text itself become U+FFFD."""
    if not text.isascii():
        text = _MARKS.sub("\ufffd", text)
    if "[" not in text and "90+" not in text:
        return text, []
    tags = TAG.findall(text)[: _LAST - _FIRST]
    marks = iter(range(_FIRST, _LAST))
    return (TAG.sub(lambda _: chr(next(marks)), text, count=len(tags)) if tags else text), tags


def shown(text: str, tags: list[str]) -> str:
    """The text with its tags in place of the marks."""
    return _MARKS.sub(lambda mark: tags[ord(mark[0]) - _FIRST], text) if tags else text
