"""What a LoRA adapter must be to be merged into a base: the one place that says so, for adapters trained here and elsewhere.

Knows adapter_config.json and the headers of adapter_model.safetensors as peft writes them, never a tensor. Whatever could only be merged
approximately, or changes more than weights of linear layers, is refused: an adapter that is merged in part answers, and answers wrongly.
"""

import re
from collections.abc import Mapping
from typing import Any, Protocol, TypeVar

from regimen_trainer.errors import InputError
from regimen_trainer.weights import DTYPES

CONFIG, TENSORS = "adapter_config.json", "adapter_model.safetensors"
FILES = (CONFIG, TENSORS)
UNMERGEABLE = {
    "use_dora": "DoRA also rescales the base's weights",
    "modules_to_save": "whole modules were trained beside it",
    "trainable_token_indices": "embeddings were trained beside it",
    "layer_replication": "it belongs to a model with replicated layers",
    "target_parameters": "it changes parameters that are no linear layers",
    "lora_bias": "its layers have biases",
    "alora_invocation_tokens": "it is active after certain tokens only",
}
"""Settings of peft that must be off, and why merging cannot carry them out."""
BASE_CHANGED = ("pissa", "olora", "corda", "loftq")
"""Starts of init_lora_weights with which training begins from other weights than the base's, so that the update does not fit the base."""
_HALF = re.compile(r"base_model\.model\.(?P<module>.+)\.lora_(?P<side>[AB])\.weight")


class Header(Protocol):
    """What a safetensors header says of a tensor."""

    @property
    def dtype(self) -> str: ...

    @property
    def shape(self) -> tuple[int, ...]: ...


Tensor = TypeVar("Tensor", bound=Header)
Pairs = dict[str, dict[str, Tensor]]
"""A (rank, columns) and B (rows, rank) by the module that they change."""


def check_config(config: Mapping[str, Any]) -> None:
    """Raise InputError for an adapter that is no plain LoRA.

    fan_in_fan_out needs nothing: the layers of Llama and Mistral are stored as (out, in), and peft itself ignores it for those.
    """
    if config.get("peft_type") != "LORA":
        raise InputError(f"{CONFIG} says peft_type {config.get('peft_type')}; only LORA can be merged")
    for setting, why in UNMERGEABLE.items():
        if config.get(setting):
            raise InputError(f"{CONFIG} has {setting}: {why}, which cannot be merged; train without it")
    if config.get("bias", "none") != "none":
        raise InputError(f"{CONFIG} has bias {config['bias']}: biases of the base were trained; train with bias none")
    start = config.get("init_lora_weights")
    if isinstance(start, str) and start.lower().startswith(BASE_CHANGED):
        raise InputError(f"{CONFIG} has init_lora_weights {start}, which changes the base; save the adapter converted to plain LoRA")
    for setting in ("r", "lora_alpha"):
        if not isinstance(config.get(setting), int | float) or config[setting] <= 0:
            raise InputError(f"{CONFIG} has no {setting}; save the adapter again")


def pairs(tensors: Mapping[str, Tensor]) -> Pairs[Tensor]:
    """The two halves of every module. Raises InputError for anything else in the file, for a half alone, and for nothing."""
    found: Pairs[Tensor] = {}
    for name, tensor in tensors.items():
        match = _HALF.fullmatch(name)
        if match is None or len(tensor.shape) != 2 or tensor.dtype not in DTYPES:
            raise InputError(f"{TENSORS} holds {name} ({tensor.dtype}), which is no LoRA of a linear layer; train without it")
        found.setdefault(match["module"], {})[match["side"]] = tensor
    if not found or (single := [module for module, sides in found.items() if len(sides) < 2]):
        what = f"only one half of {single[0]}" if found else "nothing"
        raise InputError(f"{TENSORS} holds {what}; save the adapter again")
    return found


def check_fit(halves: Pairs[Tensor], base: Mapping[str, Header], config: Mapping[str, Any]) -> None:
    """Raise InputError where the adapter was trained from another model than `base`, or is not of one piece. Tensors by name."""
    for module, sides in halves.items():
        a, b, weight = sides["A"].shape, sides["B"].shape, base.get(f"{module}.weight")
        if weight is None:
            where = "which is the embedding itself here (tied)" if module == "lm_head" else "which the base does not have"
            raise InputError(f"the adapter changes {module}, {where}; name the base that it was trained from")
        if a[0] != b[1] or (b[0], a[1]) != weight.shape:
            raise InputError(
                f"the adapter's {module} is {b[0]} x {a[1]}, the base's {' x '.join(map(str, weight.shape))}; "
                "name the base that it was trained from"
            )
        if a[0] != config["r"] and not config.get("rank_pattern"):
            raise InputError(f"{module} has rank {a[0]}, and {CONFIG} says {config['r']}; both must be of one adapter")
