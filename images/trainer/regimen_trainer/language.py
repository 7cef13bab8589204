"""The language model inside a vision-language model of the LLaVA family: what a GGUF of such a model serves, and what is trained here.

BiMediX2 is one. Its weights are those of a Llama with a vision tower and a projector beside them; the Llama is taken out, byte for byte, under
the names that a Llama's tensors have, and the rest is left behind.
"""

import json
import re
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from regimen_trainer.errors import InputError
from regimen_trainer.weights import BESIDE, CONFIG, INDEX, architecture_of, check_index, raw_header, reader_of

FAMILY = ("LlavaForConditionalGeneration", "LlavaLlamaForCausalLM", "LlavaMistralForCausalLM")
LANGUAGE = {"llama": "LlamaForCausalLM", "mistral": "MistralForCausalLM"}
DEFAULTS: dict[str, dict[str, Any]] = {
    "llama": {
        "hidden_size": 4096, "intermediate_size": 11008, "num_hidden_layers": 32, "num_attention_heads": 32, "vocab_size": 32000,
        "max_position_embeddings": 2048, "rms_norm_eps": 1e-6, "hidden_act": "silu", "tie_word_embeddings": False, "bos_token_id": 1,
        "eos_token_id": 2,
    },
    "mistral": {
        "hidden_size": 4096, "intermediate_size": 14336, "num_hidden_layers": 32, "num_attention_heads": 32, "num_key_value_heads": 8,
        "vocab_size": 32000, "max_position_embeddings": 131072, "rms_norm_eps": 1e-6, "hidden_act": "silu", "tie_word_embeddings": False,
        "sliding_window": 4096, "bos_token_id": 1, "eos_token_id": 2,
    },
}  # fmt: skip
"""What a nested text_config leaves unsaid, because it is transformers' default."""
_PLAIN = re.compile(r"(model\.(embed_tokens|layers|norm)|lm_head)\.")
_VISION = re.compile(r"(mm_|vision|image|projector|tune_mm|unfreeze_mm|use_mm|freeze_mm|tokenizer_)")
_LEFT_BEHIND = ("preprocessor_config.json", "processor_config.json", "chat_template.json")
BLOCK = 16 << 20


def is_inside(config: Mapping[str, Any]) -> bool:
    """Whether a model has a language model inside that can be taken out."""
    return architecture_of(config) in FAMILY


def language_config(config: Mapping[str, Any]) -> dict[str, Any]:
    """config.json of the language model. Raises InputError where it is neither a Llama nor a Mistral."""
    inner = config.get("text_config")
    if inner is None:  # the first LLaVA kept everything on one level
        kind = "mistral" if "Mistral" in architecture_of(config) else "llama"
        found = {key: value for key, value in config.items() if not _VISION.match(key)}
    else:
        kind, found = str(inner.get("model_type", "llama")), {**DEFAULTS.get(str(inner.get("model_type", "llama")), {}), **inner}
    if kind not in LANGUAGE:
        raise InputError(f"weights: the language model inside {architecture_of(config)} is a {kind}; supported are {', '.join(LANGUAGE)}")
    dtype = config.get("dtype") or config.get("torch_dtype")
    return {**({"dtype": dtype} if dtype else {}), **found, "architectures": [LANGUAGE[kind]], "model_type": kind}


def language_tensor(name: str) -> str | None:
    """A tensor's name in the language model alone, or None for one that belongs to the eyes.

    >>> language_tensor("language_model.model.norm.weight"), language_tensor("model.language_model.norm.weight")
    ('model.norm.weight', 'model.norm.weight')
    >>> language_tensor("model.vision_tower.layers.0.weight")
    """
    if name.startswith("language_model."):
        name = name.removeprefix("language_model.")
    elif name.startswith("model.language_model."):
        name = f"model.{name.removeprefix('model.language_model.')}"
    return name if _PLAIN.match(name) else None


def take_out(files: Mapping[str, Path], folder: Path) -> list[str]:
    """Write the language model of a model in Hugging Face layout (its files by name) into `folder`; returns the names. Raises InputError."""
    folder.mkdir(parents=True, exist_ok=True)
    config = language_config(json.loads(files[CONFIG].read_bytes()))
    if INDEX in files:
        check_index(json.loads(files[INDEX].read_bytes()), list(files))
    (folder / CONFIG).write_text(json.dumps(config, indent=2, sort_keys=True))
    shards = {name: take_out_shard(path, folder / name) for name, path in sorted(files.items()) if name.endswith(".safetensors")}
    kept = {name: tensors for name, tensors in shards.items() if tensors}
    if not kept:
        raise InputError("weights: no tensor of a language model was found; name the repository of a Llama or Mistral")
    if INDEX in files:
        index = {"metadata": {}, "weight_map": {tensor: name for name, tensors in kept.items() for tensor in tensors}}
        (folder / INDEX).write_text(json.dumps(index, indent=2, sort_keys=True))
    for name, path in files.items():
        if name.endswith(BESIDE) and name not in (CONFIG, INDEX, *_LEFT_BEHIND):
            (folder / name).write_bytes(path.read_bytes())
    return sorted(path.name for path in folder.iterdir())


def take_out_shard(source: Path, out: Path) -> Sequence[str]:
    """Copy a shard's language tensors, under their new names; returns these. A shard without any is not written."""
    with source.open("rb") as file:
        start, entries = raw_header(reader_of(file), source.stat().st_size, source.name)
        named = {new: entries[old] for old in entries if (new := language_tensor(old))}
        if not named:
            return []
        header, end = {}, 0
        for name, entry in named.items():
            size = entry["data_offsets"][1] - entry["data_offsets"][0]
            header[name] = {**entry, "data_offsets": [end, end + size]}
            end += size
        text = json.dumps(header).encode()
        text += b" " * (-len(text) % 8)
        with out.open("wb") as target:
            target.write(len(text).to_bytes(8, "little") + text)
            for entry in named.values():
                _copy(file, start + entry["data_offsets"][0], entry["data_offsets"][1] - entry["data_offsets"][0], target)
    return list(named)


def _copy(file: Any, at: int, length: int, target: Any) -> None:
    file.seek(at)
    while length > 0:
        block = file.read(min(length, BLOCK))
        target.write(block)
        length -= len(block)
