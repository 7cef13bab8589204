"""Tensors of a step's rows, and the attention that keeps packed rows apart.

Packed rows lie one after another in one sequence. Each attends to itself alone: attention is computed row by row, so there is no mask that
could be lost on the way, nothing grows with the square of the sequence, and no special kernel is needed. All else in a decoder works
on one token at a time. `tests/images/test_trainer_image_packing.py` shows that a row's loss is the same packed and alone.
"""

from collections.abc import Sequence
from typing import Any

import torch
from torch.nn.functional import pad
from transformers import AttentionInterface
from transformers.integrations.sdpa_attention import sdpa_attention_forward

from regimen_trainer.training.rows import Row

IGNORED = -100
ROW_BY_ROW = "regimen_rows"
"""Name of our attention among transformers' implementations."""
Batch = dict[str, Any]


def attend_row_by_row(
    module: torch.nn.Module,
    query: torch.Tensor,
    key: torch.Tensor,
    value: torch.Tensor,
    _mask: torch.Tensor | None,
    *,
    row_lengths: Sequence[int],
    sliding_window: int | None = None,
    **settings: Any,
) -> tuple[torch.Tensor, None]:
    """Causal attention within each row. Query, key, value: (1, heads, tokens, size); returns (1, tokens, heads, size)."""
    parts = []
    for q, k, v in zip(*(part.split(list(row_lengths), dim=2) for part in (query, key, value)), strict=True):
        parts.append(sdpa_attention_forward(module, q, k, v, _window(q, sliding_window), **settings)[0])
    return torch.cat(parts, dim=1), None


def _window(query: torch.Tensor, width: int | None) -> torch.Tensor | None:
    """The mask of a row that is longer than the model's sliding window; None where plain causality does."""
    length = query.shape[2]
    if width is None or length <= width:
        return None
    places = torch.arange(length, device=query.device)
    back = places[:, None] - places[None, :]
    return ((back >= 0) & (back < width))[None, None]


AttentionInterface.register(ROW_BY_ROW, attend_row_by_row)


def packed_batch(rows: Sequence[Row]) -> Batch:
    """Rows one after another as one sequence, without padding: tensors of shape (1, tokens)."""
    return {
        "input_ids": torch.cat([_ids(row) for row in rows])[None],
        "labels": torch.cat([_labels(row) for row in rows])[None],
        "position_ids": torch.cat([torch.arange(len(row)) for row in rows])[None],
        "row_lengths": tuple(len(row) for row in rows),
    }


def padded_batch(rows: Sequence[Row], pad_id: int) -> Batch:
    """Rows below one another, filled up to the longest: tensors of shape (rows, longest)."""
    longest = max(len(row) for row in rows)
    return {
        "input_ids": torch.stack([pad(_ids(row), (0, longest - len(row)), value=pad_id) for row in rows]),
        "labels": torch.stack([pad(_labels(row), (0, longest - len(row)), value=IGNORED) for row in rows]),
        "attention_mask": torch.stack([pad(torch.ones(len(row), dtype=torch.long), (0, longest - len(row))) for row in rows]),
    }


def _ids(row: Row) -> torch.Tensor:
    return torch.from_numpy(row.ids).long()


def _labels(row: Row) -> torch.Tensor:
    """The tokens to be predicted. Never a row's first one: what stands before it belongs to another row."""
    labels = _ids(row)
    labels[: max(1, row.answer)] = IGNORED
    return labels
