"""LoRA adapters as peft writes them, and what they add to the base's weights.

Knows adapter_config.json and adapter_model.safetensors. Whatever could only be merged approximately, or changes more than weights of linear
layers, is refused with the field's name: an adapter that is merged in part answers, and answers wrongly.
"""

import json
import math
import re
from collections.abc import Mapping
from dataclasses import dataclass
from hashlib import file_digest
from pathlib import Path
from typing import TYPE_CHECKING, Any, Self

from regimen.spec.artifacts import content_digest
from regimen_trainer.conversion.weights import Stored, stored_tensors
from regimen_trainer.errors import InputError

if TYPE_CHECKING:
    import torch

CONFIG, TENSORS = "adapter_config.json", "adapter_model.safetensors"
PREFIX = "base_model.model."
_PART = re.compile(rf"{re.escape(PREFIX)}(?P<module>.+)\.lora_(?P<side>[AB])\.weight")

UNMERGEABLE = {
    "use_dora": "DoRA rescales the base's weights, too; train without it",
    "modules_to_save": "whole modules trained beside the adapter are not merged; train without them",
    "trainable_token_indices": "trained embeddings are not merged; train without them",
    "layer_replication": "replicated layers make another model; train without them",
    "target_parameters": "adapters on parameters that are no linear layers are not merged; use target_modules",
    "lora_bias": "biases of adapters are not merged; train with lora_bias: false",
    "alora_invocation_tokens": "an activated adapter works from a token on, which merged weights cannot; train a plain LoRA",
}
"""Settings of peft that must be empty or false, and what to do instead."""
CHANGING_STARTS = ("pissa", "olora", "corda", "loftq")
"""Values of init_lora_weights with which training begins from changed base weights, so that the update does not fit the base."""


@dataclass(frozen=True)
class Update:
    """What is added to one weight: `scaling * B @ A`, with A of shape (rank, columns) and B of shape (rows, rank), both in 32 bit."""

    a: "torch.Tensor"
    b: "torch.Tensor"
    scaling: float

    def rows(self, chosen: "torch.Tensor | slice") -> "torch.Tensor":
        """The chosen rows of the update, in 32 bit. The order of operations is peft's, so that the sums are, too."""
        return (self.b[chosen] @ self.a) * self.scaling


@dataclass(frozen=True)
class Adapter:
    """An adapter whose weights are read when they are needed."""

    config: Mapping[str, Any]
    parts: Mapping[str, Mapping[str, Stored]]
    digest: str

    @classmethod
    def open(cls, folder: Path) -> Self:
        """Raises InputError for what is missing or cannot be merged."""
        for name in (CONFIG, TENSORS):
            if not (folder / name).is_file():
                raise InputError(f"the adapter in {folder.name} lacks {name}; save it with peft as safetensors")
        try:
            config = json.loads((folder / CONFIG).read_text())
        except ValueError as error:
            raise InputError(f"{CONFIG} is not JSON; save the adapter again") from error
        check(config)
        return cls(config, pairs(stored_tensors([folder / TENSORS])), _digest(folder))

    def check_against(self, base: Mapping[str, Stored]) -> None:
        """Raises InputError where the adapter was trained from another model than `base`, tensors by name."""
        for module, sides in self.parts.items():
            weight = base.get(f"{module}.weight")
            if weight is None:
                where = "which is the embedding itself here (tied)" if module == "lm_head" else "which the base model does not have"
                raise InputError(f"the adapter changes {module}, {where}; train it from this base, on its linear layers")
            shape = (sides["B"].shape[0], sides["A"].shape[1])
            if shape != weight.shape or sides["A"].shape[0] != sides["B"].shape[1]:
                raise InputError(
                    f"the adapter's {module} has shape {shape}, the base's {weight.shape}; name the base that it was trained from"
                )

    def update(self, weight: str) -> Update | None:
        """What is added to a weight of the base, or None."""
        import torch

        module = weight.removesuffix(".weight")
        sides = self.parts.get(module)
        if sides is None or not weight.endswith(".weight"):
            return None
        a, b = (sides[side].read(0, sides[side].rows).to(torch.float32) for side in "AB")
        return Update(a, b, self.scaling(module, rank=a.shape[0]))

    def scaling(self, module: str, rank: int) -> float:
        """alpha / rank, or alpha / sqrt(rank) for rank-stabilised adapters; alpha may differ by module."""
        patterns = self.config.get("alpha_pattern") or {}
        own = next((alpha for name, alpha in patterns.items() if re.match(rf"(.*\.)?({name})$", module)), self.config["lora_alpha"])
        return float(own / math.sqrt(rank) if self.config.get("use_rslora") else own / rank)


def check(config: Mapping[str, Any]) -> None:
    """Raise InputError for an adapter that is no plain LoRA.

    fan_in_fan_out needs nothing: the layers of Llama and Mistral are stored as (out, in), and peft itself ignores it for those.
    """
    if config.get("peft_type") != "LORA" or "lora_alpha" not in config:
        raise InputError(f"{CONFIG}: peft_type is {config.get('peft_type')!r}; only LORA adapters can be merged")
    for field, remedy in UNMERGEABLE.items():
        if config.get(field):
            raise InputError(f"{CONFIG}: {field} is set; {remedy}")
    if config.get("bias", "none") != "none":
        raise InputError(f"{CONFIG}: bias is {config['bias']!r}; biases of the base are not merged; train with bias: none")
    start = config.get("init_lora_weights")
    if isinstance(start, str) and start.lower().startswith(CHANGING_STARTS):
        raise InputError(
            f"{CONFIG}: init_lora_weights is {start!r}, which changes the base; convert the adapter to plain LoRA when saving it"
        )


def pairs(tensors: Mapping[str, Stored]) -> dict[str, dict[str, Stored]]:
    """A and B of every module. Raises InputError for anything else in the file, and for a half pair."""
    found: dict[str, dict[str, Stored]] = {}
    for name, stored in tensors.items():
        match = _PART.fullmatch(name)
        if match is None or len(stored.shape) != 2:
            raise InputError(f"{TENSORS} holds {name}, which is no LoRA of a linear layer and cannot be merged; train without it")
        found.setdefault(match["module"], {})[match["side"]] = stored
    if half := [module for module, sides in found.items() if len(sides) != 2]:
        raise InputError(f"{TENSORS} holds one half of {half[0]} only; save the adapter again")
    if not found:
        raise InputError(f"{TENSORS} is empty; save the adapter again")
    return found


def _digest(folder: Path) -> str:
    """Digest of the two files that make the adapter."""
    digests = []
    for name in (CONFIG, TENSORS):
        with (folder / name).open("rb") as file:
            digests.append((name, file_digest(file, "sha256").hexdigest()))
    return content_digest(digests)
