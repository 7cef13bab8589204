"""How long a task's rows are under a model's own tokenizer, prompt and completion together. A sample, evenly spread over the file."""

import json
from collections.abc import Iterator
from itertools import islice
from pathlib import Path

import numpy as np

from regimen_trainer.data.report import Bin, TokenLengths
from regimen_trainer.errors import InputError

SAMPLE = 5_000
BINS = 24


def measure(path: Path, tokenizer: Path, limit: int) -> TokenLengths:
    """Token lengths of a JSONL file. Raises InputError where the folder has no tokenizer."""
    lengths = np.array(list(_lengths(path, tokenizer)), dtype=np.int64)
    top = max(int(lengths.max()), limit)
    edges = np.unique(np.linspace(0, top + 1, BINS + 1).astype(np.int64))
    counts, _ = np.histogram(lengths, bins=edges)
    return TokenLengths(
        tokenizer=f"{tokenizer.name}, {lengths.size} rows",
        p50=int(np.percentile(lengths, 50)),
        p95=int(np.percentile(lengths, 95)),
        max=int(lengths.max()),
        limit=limit,
        truncated_percent=round(100 * float((lengths > limit).mean()), 2),
        histogram=[
            Bin(low=int(low), high=int(high), rows=int(count)) for low, high, count in zip(edges[:-1], edges[1:], counts, strict=True)
        ],
    )


def _lengths(path: Path, folder: Path) -> Iterator[int]:
    from transformers import AutoTokenizer

    try:
        tokenizer = AutoTokenizer.from_pretrained(folder, local_files_only=True, trust_remote_code=False)
    except (OSError, ValueError) as error:
        raise InputError(
            "tokens.baseRef: its weights bring no tokenizer that transformers can load; upload tokenizer.json beside them"
        ) from error
    with path.open(encoding="utf-8") as file:
        rows = sum(1 for _ in file)
        file.seek(0)
        for line in islice(file, 0, None, max(1, rows // SAMPLE)):
            row = json.loads(line)
            messages = [*row["prompt"], *row["completion"]]
            if tokenizer.chat_template:
                yield len(tokenizer.apply_chat_template(messages, tokenize=True, return_dict=False))
            else:
                yield len(tokenizer("\n".join(message["content"] for message in messages))["input_ids"])
