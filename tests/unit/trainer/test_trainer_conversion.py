"""What conversion decides without a model: which adapters can be merged, which files a model has, what llama-quantize said."""

import json
from pathlib import Path
from typing import Any

import pytest

from regimen_trainer.commands.conversion import quantizations
from regimen_trainer.conversion.adapter import Adapter
from regimen_trainer.conversion.layout import About, check_base, general_metadata, own_metadata
from regimen_trainer.conversion.mixture import check_complete, parse
from regimen_trainer.conversion.weights import Stored, model_files, stored_tensors
from regimen_trainer.errors import InputError, ToolError
from regimen_trainer.lora import check_config as check_adapter
from regimen_trainer.lora import check_fit, pairs
from regimen_trainer.weights import INDEX

LORA = {"peft_type": "LORA", "r": 16, "lora_alpha": 32, "bias": "none", "init_lora_weights": True}
WEIGHT = "base_model.model.model.layers.0.self_attn.q_proj"


def safetensors(path: Path, **shapes: tuple[int, ...]) -> Path:
    """A file with a header and, for these tests, no data."""
    header = json.dumps({name: {"dtype": "BF16", "shape": shape, "data_offsets": [0, 0]} for name, shape in shapes.items()}).encode()
    path.write_bytes(len(header).to_bytes(8, "little") + header)
    return path


def without_a_field() -> list[bytes]:
    """Headers in which something that a tensor needs is missing."""
    whole = {"dtype": "BF16", "shape": [1], "data_offsets": [0, 0]}
    texts = [json.dumps({"a": {key: value for key, value in whole.items() if key != gone}}).encode() for gone in whole]
    return [len(text).to_bytes(8, "little") + text for text in texts]


def stored(*shape: int) -> Stored:
    return Stored(Path("adapter_model.safetensors"), "F32", shape, 0)


@pytest.mark.parametrize(
    ("settings", "said"),
    [
        ({"use_dora": True}, "use_dora"),
        ({"modules_to_save": ["lm_head"]}, "modules_to_save"),
        ({"trainable_token_indices": [1]}, "trainable_token_indices"),
        ({"layer_replication": [[0, 4], [2, 5]]}, "layer_replication"),
        ({"target_parameters": ["experts"]}, "target_parameters"),
        ({"lora_bias": True}, "lora_bias"),
        ({"bias": "lora_only"}, "bias"),
        ({"init_lora_weights": "pissa_niter_4"}, "init_lora_weights"),
        ({"init_lora_weights": "loftq"}, "init_lora_weights"),
        ({"peft_type": "IA3"}, "peft_type"),
        ({"alora_invocation_tokens": [5]}, "alora_invocation_tokens"),
        ({"lora_alpha": None}, "lora_alpha"),
        ({"r": 0}, "has no r"),
    ],
)
def test_an_adapter_that_would_be_merged_in_part_is_refused_by_field(settings: dict[str, Any], said: str) -> None:
    with pytest.raises(InputError, match=said):
        check_adapter({**LORA, **settings})


@pytest.mark.parametrize("settings", [{}, {"use_rslora": True}, {"init_lora_weights": "gaussian"}, {"modules_to_save": None}])
def test_a_plain_adapter_passes(settings: dict[str, Any]) -> None:
    check_adapter({**LORA, **settings})


@pytest.mark.parametrize(
    "names",
    [
        {f"{WEIGHT}.lora_A.weight": (16, 8)},  # a half
        {f"{WEIGHT}.lora_A.weight": (16, 8), f"{WEIGHT}.lora_B.weight": (8, 16), f"{WEIGHT}.lora_magnitude_vector": (8,)},
        {"base_model.model.model.embed_tokens.lora_embedding_A": (16, 8)},
        {"base_model.model.lm_head.modules_to_save.weight": (8, 8)},
        {},
    ],
)
def test_anything_but_pairs_of_linear_layers_is_refused(names: dict[str, tuple[int, ...]]) -> None:
    with pytest.raises(InputError, match=r"adapter_model\.safetensors"):
        pairs({name: stored(*shape) for name, shape in names.items()})


@pytest.mark.parametrize(
    ("settings", "module", "rank", "scaling"),
    [
        ({}, "model.layers.0.mlp.up_proj", 16, 2.0),
        ({"use_rslora": True}, "model.layers.0.mlp.up_proj", 16, 8.0),
        ({"alpha_pattern": {"q_proj": 8}}, "model.layers.0.self_attn.q_proj", 16, 0.5),
        ({"alpha_pattern": {"q_proj": 8}}, "model.layers.0.self_attn.k_proj", 16, 2.0),
        ({"alpha_pattern": {"layers.1.mlp.up_proj": 8}}, "model.layers.11.mlp.up_proj", 16, 2.0),
        ({"rank_pattern": {"up_proj": 4}}, "model.layers.0.mlp.up_proj", 4, 8.0),
    ],
)
def test_scaling_is_that_of_peft(settings: dict[str, Any], module: str, rank: int, scaling: float) -> None:
    assert Adapter({**LORA, **settings}, {}, "").scaling(module, rank) == scaling


def test_an_adapter_on_a_tied_output_layer_is_refused() -> None:
    adapter = Adapter(LORA, {"lm_head": {"A": stored(16, 8), "B": stored(100, 16)}}, "")
    with pytest.raises(InputError, match=r"lm_head, which is the embedding itself here \(tied\)"):
        adapter.check_against({"model.embed_tokens.weight": stored(100, 8)})
    adapter.check_against({"lm_head.weight": stored(100, 8)})


def test_an_adapter_of_two_ranks_needs_a_pattern_that_says_so() -> None:
    halves = pairs({f"{WEIGHT}.lora_A.weight": stored(8, 4), f"{WEIGHT}.lora_B.weight": stored(6, 8)})
    base = {"model.layers.0.self_attn.q_proj.weight": stored(6, 4)}
    check_fit(halves, base, {**LORA, "rank_pattern": {"q_proj": 8}})
    with pytest.raises(InputError, match=r"has rank 8, and adapter_config\.json says 16"):
        check_fit(halves, base, LORA)


def test_an_adapter_in_other_numbers_than_floats_is_refused() -> None:
    quantized = Stored(Path("adapter_model.safetensors"), "I8", (16, 8), 0)
    with pytest.raises(InputError, match=r"lora_A\.weight \(I8\)"):
        pairs({f"{WEIGHT}.lora_A.weight": quantized})


def test_an_adapter_without_its_tensors_is_refused(tmp_path: Path) -> None:
    (tmp_path / "adapter_config.json").write_text(json.dumps(LORA))
    (tmp_path / "adapter_model.bin").write_bytes(b"pickle")
    with pytest.raises(InputError, match=r"lacks adapter_model\.safetensors"):
        Adapter.open(tmp_path)


def test_the_files_of_a_model_are_those_of_its_index(tmp_path: Path) -> None:
    for name in ("consolidated.safetensors", "model-1.safetensors", "model-old.safetensors"):
        safetensors(tmp_path / name, x=(1,))
    (tmp_path / INDEX).write_text(json.dumps({"weight_map": {"x": "model-1.safetensors"}}))
    assert [path.name for path in model_files(tmp_path)] == ["model-1.safetensors"]
    (tmp_path / INDEX).write_text(json.dumps({"weight_map": {"x": "model-2.safetensors"}}))
    with pytest.raises(InputError, match=r"lacks model-2\.safetensors"):
        model_files(tmp_path)
    (tmp_path / INDEX).unlink()
    assert [path.name for path in model_files(tmp_path)] == ["model-1.safetensors", "model-old.safetensors"]


def test_headers_of_safetensors_are_read_and_others_refused(tmp_path: Path) -> None:
    found = stored_tensors([safetensors(tmp_path / "model.safetensors", a=(3, 4))])
    assert (found["a"].shape, found["a"].dtype) == ((3, 4), "BF16")
    for content in (b"", b"PK\x03\x04 a pickle in a zip file", (5).to_bytes(8, "little") + b"[1,2]", *without_a_field()):
        (tmp_path / "model.safetensors").write_bytes(content)
        with pytest.raises(InputError, match="is not a safetensors file"):
            stored_tensors([tmp_path / "model.safetensors"])


@pytest.mark.parametrize(
    ("config", "said"),
    [
        ({"architectures": ["MixtralForCausalLM"]}, "MixtralForCausalLM"),
        ({}, "no architecture"),
        ({"architectures": ["LlamaForCausalLM"], "quantization_config": {"quant_method": "awq"}}, "are quantised"),
        ({"architectures": ["LlamaForCausalLM"], "auto_map": {"AutoModel": "modeling.Own"}}, "Python code from its repository"),
    ],
)
def test_models_that_are_not_converted_here_are_refused(tmp_path: Path, config: dict[str, Any], said: str) -> None:
    (tmp_path / "config.json").write_text(json.dumps(config))
    with pytest.raises(InputError, match=said):
        check_base(tmp_path)


def test_what_is_not_known_is_not_said() -> None:
    assert general_metadata(About("bimedix")) == {"general.name": "bimedix", "general.basename": "bimedix"}
    assert own_metadata(About("bimedix", adapter_digest="sha256:cc")) == {"adapter_digest": "sha256:cc"}


def test_llama_quantize_is_understood() -> None:
    said = """llama_model_loader: - type  f16:   29 tensors
[   1/  38] output.weight                        - [  256, 32000,     1,     1], type =    f16, size =    15.62 MiB ->     6.41 MiB (q6_K)
[   2/  38] output_norm.weight                   - [  256,     1,     1,     1], type =    f32, size =    0.001 MiB
[   3/  38] blk.0.attn_k.weight                  - [  256,   128,     1,     1], type =    f16, size =     0.06 MiB ->     0.02 MiB (q5_K)
"""
    types = parse(said)
    assert types == {"output.weight": "q6_K", "output_norm.weight": "f32", "blk.0.attn_k.weight": "q5_K"}
    with pytest.raises(ToolError, match=r"no type for blk\.1\.attn_k\.weight in Q5_K_M"):
        check_complete(types, ["output.weight", "blk.1.attn_k.weight"], "Q5_K_M")


def test_quantizations_are_read_in_any_case() -> None:
    assert quantizations("q6_k, Q5_K_M,q8-0,q6_k") == ["Q6_K", "Q5_K_M", "Q8_0"]
    for wrong in ("q3_k", " , "):
        with pytest.raises(InputError, match="--quantize"):
            quantizations(wrong)
