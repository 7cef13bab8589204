"""Packed rows never see each other: a row's loss is the same packed as alone."""

from pathlib import Path
from typing import Any

import pytest
import torch

from regimen.spec.finetune import Method
from regimen_trainer.training import model as models
from regimen_trainer.training.batches import Batch, packed_batch, padded_batch
from regimen_trainer.training.model import load_base, load_tokenizer
from regimen_trainer.training.rows import Row, encode, read

pytestmark = pytest.mark.trainer_image
TOLERANCE = 1e-4


@pytest.fixture(params=["llama", "mistral"])
def base(request: pytest.FixtureRequest) -> Path:
    found: Path = request.getfixturevalue(request.param)
    return found


@pytest.fixture(autouse=True)
def all_in_32_bit(monkeypatch: pytest.MonkeyPatch) -> None:
    """In bfloat16 the order of additions alone changes a loss by more than the tolerance."""
    monkeypatch.setattr(models, "multiplies_bfloat16", lambda: False)


def losses(model: Any, batch: Batch, rows: list[Row], packed: bool) -> list[float]:
    """Mean loss of the answer of each row in a batch."""
    with torch.no_grad():
        logits = model(**{name: value for name, value in batch.items() if name != "labels"}, use_cache=False).logits
    each = torch.nn.functional.cross_entropy(
        logits[:, :-1].flatten(0, 1).float(), batch["labels"][:, 1:].flatten(), ignore_index=-100, reduction="none"
    ).view(logits.shape[0], -1)
    if not packed:
        return [float(each[at].sum() / (len(row) - row.answer)) for at, row in enumerate(rows)]
    found, start = [], 0
    for row in rows:
        found.append(float(each[0, start : start + len(row) - 1].sum() / (len(row) - row.answer)))
        start += len(row)
    return found


@pytest.mark.parametrize("kind", ["LoRA", "QLoRA"])
def test_a_rows_loss_is_the_same_packed_and_alone(base: Path, rows: Path, kind: str) -> None:
    tokenizer = load_tokenizer(base)
    encoded, _ = encode(tokenizer, read(rows, "rows"), 512, print)
    apart = load_base(Method.model_validate({"type": kind, "packing": False}), base).eval()
    together = load_base(Method.model_validate({"type": kind, "packing": True}), base).eval()
    alone = [losses(apart, padded_batch([row], 0), [row], False)[0] for row in encoded]
    assert losses(together, packed_batch(encoded), encoded, True) == pytest.approx(alone, abs=TOLERANCE)
    if kind == "LoRA":  # bitsandbytes has another CPU kernel for several rows, which rounds by more
        assert losses(apart, padded_batch(encoded, 0), encoded, False) == pytest.approx(alone, abs=TOLERANCE)


def test_the_comparison_would_notice(base: Path, rows: Path) -> None:
    """The same rows in one plain sequence, as packing is done where nothing keeps them apart."""
    encoded, _ = encode(load_tokenizer(base), read(rows, "rows"), 512, print)
    apart = load_base(Method.model_validate({"packing": False}), base).eval()
    mixed = packed_batch(encoded)
    del mixed["row_lengths"], mixed["position_ids"]
    alone = [losses(apart, padded_batch([row], 0), [row], False)[0] for row in encoded]
    assert max(abs(one - other) for one, other in zip(losses(apart, mixed, encoded, True), alone, strict=True)) > 100 * TOLERANCE


def test_a_batch_without_its_rows_lengths_is_refused(llama: Path, rows: Path) -> None:
    """Rather than computed as one long row."""
    encoded, _ = encode(load_tokenizer(llama), read(rows, "rows"), 512, print)
    batch = packed_batch(encoded)
    del batch["row_lengths"]
    with pytest.raises(TypeError, match="row_lengths"):
        losses(load_base(Method(), llama), batch, encoded, True)
