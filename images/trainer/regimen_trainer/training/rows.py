"""Rows as tokens: what the model reads and where its answer begins. Knows the tokenizer's chat template and nothing of tensors."""

import json
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from hashlib import sha256
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from regimen_trainer.errors import InputError

AT_ONCE = 1_000
"""Rows that the tokenizer gets at once."""
Record = dict[str, Any]


@dataclass(frozen=True)
class Row:
    """A conversation as tokens. The model learns those from `answer` on."""

    ids: NDArray[np.int32]
    answer: int

    def __len__(self) -> int:
        return len(self.ids)


@dataclass(frozen=True)
class Lengths:
    """Tokens per row before cutting."""

    rows: int
    p50: int
    p95: int
    longest: int
    truncated_percent: float

    def figures(self) -> dict[str, float | int | str | None]:
        """As a record has them."""
        return {
            "rows": self.rows, "tokensP50": self.p50, "tokensP95": self.p95, "tokensMax": self.longest, "truncatedPercent": self.truncated_percent,
        }  # fmt: skip


def read(path: Path, field: str) -> list[Record]:
    """Prompt and completion of every row. Raises InputError, naming `field`, for an empty file or a row that is not in the expected form."""
    rows = []
    with path.open(encoding="utf-8") as file:
        for number, line in enumerate(file, start=1):
            try:
                row = json.loads(line)
                rows.append({"prompt": list(row["prompt"]), "completion": list(row["completion"])})
            except (ValueError, KeyError, TypeError) as error:
                raise InputError(f"{field}: line {number} of the training file has no prompt and completion; prepare it again") from error
    if not rows:
        raise InputError(f"{field}: the training file is empty; check the dataset's labels and split")
    return rows


def encode(tokenizer: Any, records: Sequence[Record], max_length: int, say: Callable[[str], None]) -> tuple[list[Row], Lengths]:
    """Rows cut to `max_length` tokens, without those whose answer is cut away whole. Raises InputError where none is left.

    A row is tokenized as one text, as it was for the base model, and the answer begins where that text leaves the prompt's own
    tokens. TRL would do the same row by row, and quote a prompt in its log where a prompt's end differs (law 8).
    """
    whole = list(_tokenized(tokenizer, [row["prompt"] + row["completion"] for row in records], False))
    prompts = list(_tokenized(tokenizer, [row["prompt"] for row in records], True))
    rows = [Row(ids[:max_length], _common(ids, prompt)) for ids, prompt in zip(whole, prompts, strict=True)]
    if other := sum(row.answer < len(prompt) for row, prompt in zip(rows, prompts, strict=True)):
        say(f"the chat template ends the prompt otherwise when an answer follows ({other} rows): training sees another end than serving")
    lengths = sorted(len(ids) for ids in whole)
    kept = [row for row in rows if row.answer < len(row)]
    if not kept:
        raise InputError(
            f"method.maxLength: every row is longer than {max_length} tokens, so no answer would be seen; raise it to {lengths[-1]}"
        )
    if len(kept) < len(rows):
        say(f"{len(rows) - len(kept)} rows left out: method.maxLength cuts their whole answer away")
    cut = sum(length > max_length for length in lengths)
    share = round(100 * cut / len(lengths), 3)
    return kept, Lengths(len(lengths), lengths[len(lengths) // 2], lengths[int(0.95 * (len(lengths) - 1))], lengths[-1], share)


def _tokenized(tokenizer: Any, conversations: Sequence[list[Any]], ask: bool) -> Iterator[NDArray[np.int32]]:
    """Tokens of conversations as the chat template renders them; `ask` adds what makes the model answer."""
    for start in range(0, len(conversations), AT_ONCE):
        some = conversations[start : start + AT_ONCE]
        texts = [tokenizer.apply_chat_template(turns, add_generation_prompt=ask, tokenize=False) for turns in some]
        for ids in tokenizer(texts, add_special_tokens=False)["input_ids"]:
            yield np.array(ids, np.int32)


def _common(one: NDArray[np.int32], other: NDArray[np.int32]) -> int:
    """Tokens with which both begin."""
    shorter = min(len(one), len(other))
    different = np.flatnonzero(one[:shorter] != other[:shorter])
    return int(different[0]) if len(different) else shorter


def rows_digest(rows: Sequence[Row]) -> str:
    """Hex digest of all tokens in their order."""
    digest = sha256()
    for row in rows:
        digest.update(f"{len(row)} {row.answer} ".encode())
        digest.update(row.ids.tobytes())
    return digest.hexdigest()
