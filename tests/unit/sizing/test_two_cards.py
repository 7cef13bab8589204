"""docs/your-two-cards.md says what `regimen.sizing` says, and its manifests are accepted."""

from pathlib import Path

import pytest

from regimen.sizing.cards import KNOWN_MIB
from regimen.sizing.memory import MIB, fits, serving_memory, training_seconds
from regimen.spec.artifacts import ModelShape
from regimen.spec.finetune import Method

PAGE = (Path(__file__).parents[3] / "docs/your-two-cards.md").read_text()
WIDE = {"layers": 32, "hidden_size": 4096, "intermediate_size": 14336, "heads": 32, "kv_heads": 8, "head_dim": 128}
LLAMA_8B = ModelShape(architecture="LlamaForCausalLM", parameters=8_030_261_248, vocabulary=128256, **WIDE)
MISTRAL_7B = ModelShape(architecture="MistralForCausalLM", parameters=7_241_732_096, vocabulary=32000, **WIDE)
TINY_1B = ModelShape(
    architecture="LlamaForCausalLM", parameters=1_100_048_384, vocabulary=32000, layers=22, hidden_size=2048, intermediate_size=5632,
    heads=32, kv_heads=4, head_dim=64,
)  # fmt: skip
FLOPS = {"rtx3090": 71e12, "rtx3060": 25.6e12}
"""In 16 bit with 32-bit sums, as NVIDIA states them."""


def card(label: str) -> int:
    return KNOWN_MIB[label] * MIB


@pytest.mark.parametrize(
    ("shape", "gguf_bytes", "context", "slots", "row"),
    [
        (LLAMA_8B, 6_596_000_000, 4096, 4, "| bimedix | 1 | Q6_K, context 4096 | {} GB |"),
        (LLAMA_8B, 5_732_987_392, 4096, 4, "| openins | 2 | Q5_K_M, context 4096 | {} GB |"),
        (MISTRAL_7B, 7_695_000_000, 4096, 2, "| biomistral | 1 | Q8_0, context 4096 | {} GB |"),
        (TINY_1B, 2_201_000_000, 2048, 2, "| tinyllama | 1 | F16, context 2048 | {} GB |"),
    ],
)
def test_what_serving_takes(shape: ModelShape, gguf_bytes: int, context: int, slots: int, row: str) -> None:
    assert row.format(f"{serving_memory(shape, gguf_bytes, context, slots) / 1e9:.1f}") in PAGE


@pytest.mark.parametrize(
    ("shape", "label", "method", "row"),
    [
        (LLAMA_8B, "rtx3090", "QLoRA", "| RTX 3090 | QLoRA | {} GB | yes |"),
        (LLAMA_8B, "rtx3090", "LoRA", "| RTX 3090 | LoRA | {} GB | yes, activations computed again | 20"),
        (LLAMA_8B, "rtx3060", "QLoRA", "| RTX 3060 | QLoRA | {} GB | yes, activations computed again |"),
        (LLAMA_8B, "rtx3060", "LoRA", "| RTX 3060 | LoRA | {} GB | no: `method.type QLoRA would fit` |"),
        (MISTRAL_7B, "rtx3090", "LoRA", "| 7 B (BioMistral) | RTX 3090 | LoRA | {} GB | yes, activations computed again |"),
    ],
)
def test_what_training_takes(shape: ModelShape, label: str, method: str, row: str) -> None:
    found = fits(shape, Method(type=method, max_length=2048, batch_size=4), card(label))  # type: ignore[arg-type]
    assert row.format(f"{found.memory.total / 1e9:.1f}") in PAGE
    assert found.fits == ("| yes" in row)
    assert found.activation_checkpointing == ("activations computed again" in row or not found.fits)


def test_how_long_it_takes_at_best() -> None:
    best = {label: training_seconds(LLAMA_8B, 1_000_000, flops, True) for label, flops in FLOPS.items()}
    assert f"{best['rtx3090']:.0f} s for a million tokens on the RTX 3090, {best['rtx3060']:.0f} s on the RTX 3060" in PAGE
