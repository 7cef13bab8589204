"""What a model in Hugging Face layout must be before anything is trained from it: which files belong to it, and what shape it has.

Reads config.json and the headers of safetensors files, never a tensor; knows nothing of where they lie and needs no torch.
"""

import json
import re
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from math import prod
from pathlib import Path
from typing import Any, BinaryIO

from regimen.spec.artifacts import ModelShape
from regimen_trainer.errors import InputError

ARCHITECTURES = ("LlamaForCausalLM", "MistralForCausalLM")
"""Those that training, merging and conversion were proven with."""
CONFIG, TOKENIZER_CONFIG, INDEX = "config.json", "tokenizer_config.json", "model.safetensors.index.json"
PICKLES = (".bin", ".pt", ".pth", ".pkl", ".ckpt")
BESIDE = (".json", ".model", ".txt", ".jinja", "README.md")
"""Endings of what belongs to a model besides its weights: configuration, tokenizer, chat template, and its card, where the licence is."""
DTYPES = ("F16", "BF16", "F32")
_SHARD = re.compile(r"model(-\d+-of-\d+)?\.safetensors")
_LONGEST_HEADER = 100_000_000


@dataclass(frozen=True)
class Tensor:
    """What a safetensors header says of a tensor."""

    dtype: str
    shape: tuple[int, ...]


Tensors = Mapping[str, Tensor]
Read = Callable[[int, int], bytes]
"""Bytes of a file: (start, length)."""


def members(names: Iterable[str]) -> list[str]:
    """The files that make up a model, sorted. Pickles, code, GGUFs, images and whatever lies in subfolders do not.

    >>> members(["config.json", "model.safetensors", "consolidated.safetensors", "pytorch_model.bin.index.json", "modeling.py", "a/b.json"])
    ['config.json', 'model.safetensors']
    """
    return sorted(
        name
        for name in names
        if "/" not in name and (_SHARD.fullmatch(name) or (name.endswith(BESIDE) and not name.endswith(".bin.index.json")))
    )


def check_layout(names: Sequence[str], where: str, field: str = "weights.s3.uri") -> None:
    """Raise InputError unless the files are a model that can be loaded without running code from it."""
    if CONFIG in names and any(_SHARD.fullmatch(name) for name in names):
        return
    if pickles := [name for name in names if name.endswith(PICKLES)]:
        raise InputError(
            f"{field}: {where} has its weights only as pickles ({pickles[0]}), which can run code; name a revision with safetensors "
            "(on the hub often a pull request, refs/pr/N, whose commit will do) or convert them and name the copy"
        )
    raise InputError(f"{field}: {where} must hold {CONFIG} and model.safetensors, or its shards (Hugging Face layout); name such a place")


def raw_header(read: Read, size: int, name: str) -> tuple[int, dict[str, Any]]:
    """Where the data of a safetensors file begin, and its header's entries. Raises InputError for a file that is cut off or something else."""
    length = int.from_bytes(read(0, 8), "little")
    try:
        if not 2 <= length <= min(size, _LONGEST_HEADER):
            raise ValueError
        entries = json.loads(read(8, length))
        entries.pop("__metadata__", None)
        end = max((_end(entry) for entry in entries.values()), default=0)
    except (ValueError, KeyError, TypeError, AttributeError) as error:
        raise InputError(f"weights: {name} is not a safetensors file; upload it again") from error
    if 8 + length + end != size:
        raise InputError(f"weights: {name} has {size} bytes, and its header speaks of {8 + length + end}; upload it again")
    return 8 + length, entries


def _end(entry: Mapping[str, Any]) -> int:
    """Where a tensor's data end. Raises KeyError or the like for an entry that lacks something."""
    _, _, (_, end) = str(entry["dtype"]), tuple(entry["shape"]), entry["data_offsets"]
    return int(end)


def header(read: Read, size: int, name: str) -> dict[str, Tensor]:
    """Tensors of a safetensors file by its header. Raises InputError likewise."""
    _, entries = raw_header(read, size, name)
    return {key: Tensor(entry["dtype"], tuple(entry["shape"])) for key, entry in entries.items()}


def header_of(path: Path) -> dict[str, Tensor]:
    """The same of a file on disk."""
    with path.open("rb") as file:
        return header(reader_of(file), path.stat().st_size, path.name)


def reader_of(file: BinaryIO) -> Read:
    """Reads a file that is open."""

    def read(start: int, length: int) -> bytes:
        file.seek(start)
        return file.read(length)

    return read


def document(text: bytes, name: str) -> dict[str, Any]:
    """A JSON file of the model. Raises InputError."""
    try:
        found = json.loads(text)
    except ValueError as error:
        raise InputError(f"weights: {name} is not JSON; upload it again") from error
    if not isinstance(found, dict):
        raise InputError(f"weights: {name} is not a JSON object; upload it again")
    return found


def read_config(read: Callable[[str], bytes]) -> dict[str, Any]:
    return document(read(CONFIG), CONFIG)


def check_config(config: Mapping[str, Any], tokenizer: Mapping[str, Any]) -> None:
    """Raise InputError for a model that would need code of its own, is quantised, or has an architecture that nothing was proven with."""
    architecture = architecture_of(config)
    for name, found in ((CONFIG, config), (TOKENIZER_CONFIG, tokenizer)):
        if found.get("auto_map"):
            raise InputError(
                f"weights: {name} has an auto_map: the model ({architecture}) needs Python code from its repository, which is never run; "
                f"use a model of {' or '.join(ARCHITECTURES)}"
            )
    if "quantization_config" in config:
        raise InputError(f"weights: {CONFIG} has a quantization_config: these weights are quantised; name the 16-bit weights")
    if architecture not in ARCHITECTURES:
        raise InputError(f"weights: {CONFIG} says {architecture}; supported are {', '.join(ARCHITECTURES)}: use a model of these")


def architecture_of(config: Mapping[str, Any]) -> str:
    return str((config.get("architectures") or ["no architecture"])[0])


def check_index(index: Mapping[str, Any], names: Sequence[str]) -> None:
    """Raise InputError where a shard that the index names is not there."""
    if missing := sorted(set(index.get("weight_map", {}).values()) - set(names)):
        raise InputError(f"weights: {INDEX} names {missing[0]}, which is not there; upload it")


def shape_of(config: Mapping[str, Any], tensors: Tensors) -> ModelShape:
    """What memory and time depend on. Raises InputError where configuration and tensors do not go together."""
    if other := sorted({tensor.dtype for tensor in tensors.values()} - set(DTYPES)):
        raise InputError(f"weights: tensors are of type {other[0]}; name 16-bit weights")
    try:
        heads, hidden = int(config["num_attention_heads"]), int(config["hidden_size"])
        vocabulary, width = tensors["model.embed_tokens.weight"].shape
        shape = ModelShape(
            architecture=architecture_of(config),
            parameters=sum(prod(tensor.shape) for tensor in tensors.values()),
            layers=int(config["num_hidden_layers"]),
            hidden_size=hidden,
            intermediate_size=int(config["intermediate_size"]),
            vocabulary=vocabulary,
            heads=heads,
            kv_heads=int(config.get("num_key_value_heads") or heads),
            head_dim=int(config.get("head_dim") or hidden // heads),
            tied="lm_head.weight" not in tensors,
        )
    except (KeyError, TypeError, ValueError) as error:
        raise InputError(f"weights: {CONFIG} and the tensors do not describe one model ({error}); upload both again") from error
    last = f"model.layers.{shape.layers - 1}.self_attn.q_proj.weight"
    if width != hidden or last not in tensors or tensors[last].shape != (heads * shape.head_dim, hidden):
        raise InputError(f"weights: {CONFIG} speaks of {shape.layers} layers of {hidden}, the tensors of others; upload both again")
    if shape.tied and not config.get("tie_word_embeddings"):
        raise InputError("weights: lm_head.weight is missing, and config.json does not tie it to the embedding; upload all shards")
    return shape


def read_model(read: Callable[[str], bytes], names: Sequence[str]) -> dict[str, Any]:
    """config.json of a model, once configuration, tokenizer and index were found to be in order. `read` gives small files whole."""
    config = read_config(read)
    tokenizer = document(read(TOKENIZER_CONFIG), TOKENIZER_CONFIG) if TOKENIZER_CONFIG in names else {}
    check_config(config, tokenizer)
    if INDEX in names:
        check_index(document(read(INDEX), INDEX), names)
    return config
