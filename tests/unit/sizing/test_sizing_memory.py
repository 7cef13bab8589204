"""The estimate's worked examples for Llama 3 8B, and what must hold for any shape."""

from dataclasses import fields

import pytest
from hypothesis import given
from hypothesis import strategies as st

from regimen.sizing.memory import (
    MIB,
    Fit,
    adapter_parameters,
    fits,
    linear_layers,
    serving_memory,
    training_memory,
    training_seconds,
)
from regimen.spec.artifacts import ModelShape
from regimen.spec.finetune import Method

GB = 1e9
RTX3060, RTX3090 = 12288 * MIB, 24576 * MIB


def shape_of(layers: int, hidden: int, inner: int, vocabulary: int, heads: int, kv_heads: int, head_dim: int, tied: bool) -> ModelShape:
    empty = ModelShape(
        architecture="LlamaForCausalLM", parameters=0, layers=layers, hidden_size=hidden, intermediate_size=inner, vocabulary=vocabulary,
        heads=heads, kv_heads=kv_heads, head_dim=head_dim, tied=tied,
    )  # fmt: skip
    linear = layers * sum(inputs * outputs for inputs, outputs in linear_layers(empty).values())
    return empty.model_copy(update={"parameters": linear + vocabulary * hidden * (1 if tied else 2) + (2 * layers + 1) * hidden})


LLAMA_8B = shape_of(32, 4096, 14336, 128256, 32, 8, 128, False)
MISTRAL_7B = shape_of(32, 4096, 14336, 32000, 32, 8, 128, False)
shapes = st.builds(
    shape_of, st.integers(1, 80), st.integers(64, 8192), st.integers(64, 28672), st.integers(256, 200_000), st.integers(1, 64),
    st.integers(1, 16), st.integers(16, 256), st.booleans(),
)  # fmt: skip
methods = st.builds(
    Method, type=st.sampled_from(["LoRA", "QLoRA"]), rank=st.integers(1, 256), max_length=st.integers(16, 16384),
    batch_size=st.integers(1, 64),
)  # fmt: skip


def method(**changes: object) -> Method:
    return Method().model_copy(update=changes)


def test_llama_8b_has_the_parameters_that_it_is_known_for() -> None:
    assert LLAMA_8B.parameters == 8_030_261_248
    assert adapter_parameters(LLAMA_8B, method()) == 41_943_040
    assert adapter_parameters(LLAMA_8B, method(target_modules=["q_proj", "v_proj"])) == 6_815_744


def test_terms_of_the_8b_example() -> None:
    lora, qlora = (training_memory(LLAMA_8B, method(type=kind), 1, True) for kind in ("LoRA", "QLoRA"))
    assert lora.weights == pytest.approx(16.1 * GB, rel=0.01)
    assert qlora.weights == pytest.approx(5.7 * GB, rel=0.01)
    assert (lora.adapters, lora.gradients, lora.optimizer) == pytest.approx((0.168 * GB, 0.168 * GB, 0.336 * GB), rel=0.01)
    assert lora.activations == pytest.approx(0.91 * GB, rel=0.01)
    assert lora.logits == pytest.approx(3.68 * GB, rel=0.01)
    assert lora.total == pytest.approx(22.4 * GB, rel=0.01)
    assert qlora.total == pytest.approx(12.1 * GB, rel=0.01)
    assert training_memory(LLAMA_8B, method(), 1, False).activations == pytest.approx(12.1 * GB, rel=0.01)


def test_8b_lora_does_not_fit_12_gb_and_is_told_qlora() -> None:
    fit = fits(LLAMA_8B, method(), RTX3060)
    assert not fit.fits
    assert fit.hint == "method.type QLoRA would fit"


def test_8b_lora_fits_24_gb_with_checkpointing() -> None:
    fit = fits(LLAMA_8B, method(), RTX3090)
    assert (fit.fits, fit.micro_batch, fit.activation_checkpointing) == (True, 1, True)


def test_8b_qlora_fits_12_gb_with_checkpointing() -> None:
    fit = fits(LLAMA_8B, method(type="QLoRA"), RTX3060)
    assert (fit.fits, fit.micro_batch, fit.activation_checkpointing) == (True, 1, True)
    assert fits(MISTRAL_7B, method(type="QLoRA"), RTX3060).micro_batch == 2, "a small vocabulary leaves room for more"


@pytest.mark.parametrize(
    ("changes", "card", "hint"),
    [
        ({"max_length": 8192}, RTX3060, "method.type QLoRA and method.maxLength 2048 would fit"),
        ({"type": "QLoRA", "max_length": 4096}, RTX3060, "method.maxLength 2048 would fit"),
        ({"type": "QLoRA", "max_length": 256, "rank": 256}, RTX3060, "method.rank 128 would fit"),
        ({"type": "QLoRA", "max_length": 512}, 6 * 1024 * MIB, "with method.type QLoRA it takes a card of 8 GiB"),
    ],
)
def test_hints(changes: dict[str, object], card: int, hint: str) -> None:
    fit = fits(LLAMA_8B, method(**changes), card)
    assert not fit.fits
    assert fit.hint.startswith(hint)


def test_small_models_need_no_checkpointing() -> None:
    small = shape_of(4, 256, 1024, 32000, 4, 4, 64, False)
    assert fits(small, method(), RTX3060) == Fit(training_memory(small, method(), 4, False), 4, False, True)


@given(shapes, methods, st.integers(1, 8), st.booleans())
def test_memory_grows_with_length_rank_and_batch(shape: ModelShape, method: Method, batch: int, checkpointing: bool) -> None:
    less = training_memory(shape, method, batch, checkpointing)
    assert all(getattr(less, item.name) >= 0 for item in fields(less))
    longer = method.model_copy(update={"max_length": method.max_length + 1})
    higher = method.model_copy(update={"rank": method.rank + 1})
    assert less.total < training_memory(shape, longer, batch, checkpointing).total
    assert less.total < training_memory(shape, higher, batch, checkpointing).total
    assert less.total < training_memory(shape, method, batch + 1, checkpointing).total


@given(shapes, methods, st.integers(1, 8), st.booleans())
def test_four_bits_take_less_than_sixteen(shape: ModelShape, method: Method, batch: int, checkpointing: bool) -> None:
    lora, qlora = (method.model_copy(update={"type": kind}) for kind in ("LoRA", "QLoRA"))
    assert training_memory(shape, qlora, batch, checkpointing).total < training_memory(shape, lora, batch, checkpointing).total


@given(shapes, methods, st.integers(1, 8))
def test_checkpointing_never_takes_more_of_a_deep_model(shape: ModelShape, method: Method, batch: int) -> None:
    if shape.layers > 1:
        assert training_memory(shape, method, batch, True).activations <= training_memory(shape, method, batch, False).activations


@given(shapes, methods, st.integers(1, 200).map(lambda gib: gib * 1024 * MIB))
def test_what_is_said_to_fit_does_and_a_larger_card_fits_too(shape: ModelShape, method: Method, card: int) -> None:
    fit = fits(shape, method, card)
    assert fit.fits == (fit.memory.total <= card) == (fit.hint == "")
    assert 1 <= fit.micro_batch <= method.batch_size
    if fit.fits:
        assert fits(shape, method, 2 * card).fits


def test_serving_counts_the_cache_once_for_all_slots() -> None:
    one = serving_memory(LLAMA_8B, 6_600_000_000, 8192, 1)
    assert serving_memory(LLAMA_8B, 6_600_000_000, 8192, 4) == one
    assert one == 6_600_000_000 + 2**30 + int(258.5 * MIB) + 768 * MIB
    assert serving_memory(LLAMA_8B, 6_600_000_000, 16384, 4) - one == 2**30
    assert serving_memory(LLAMA_8B, 0, 1000, 4) == serving_memory(LLAMA_8B, 0, 1024, 4), "a slot is a multiple of 256"


def test_time_at_best_is_what_was_reckoned_for_the_two_cards() -> None:
    assert 1 / training_seconds(LLAMA_8B, 1, 71e12, True) == pytest.approx(1580, rel=0.01)
    assert 1 / training_seconds(LLAMA_8B, 1, 25.6e12, True) == pytest.approx(570, rel=0.01)
