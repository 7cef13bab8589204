"""What a LoRA adapter, as peft writes it, adds to the base's weights. Which adapters can be merged at all is `regimen_trainer.lora`'s."""

import math
import re
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, Self

from regimen.spec.artifacts import content_digest
from regimen_trainer.conversion.weights import Stored, stored_tensors
from regimen_trainer.errors import InputError
from regimen_trainer.kept import sha256_of
from regimen_trainer.lora import CONFIG, FILES, TENSORS, Pairs, check_config, check_fit, pairs
from regimen_trainer.weights import document

if TYPE_CHECKING:
    import torch


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
    parts: Pairs[Stored]
    digest: str

    @classmethod
    def open(cls, folder: Path) -> Self:
        """Raises InputError for what is missing or cannot be merged."""
        for name in FILES:
            if not (folder / name).is_file():
                raise InputError(f"the adapter in {folder.name} lacks {name}; save it with peft as safetensors")
        config = document((folder / CONFIG).read_bytes(), CONFIG)
        check_config(config)
        return cls(config, pairs(stored_tensors([folder / TENSORS])), content_digest((name, sha256_of(folder / name)) for name in FILES))

    def check_against(self, base: Mapping[str, Stored]) -> None:
        """Raises InputError where the adapter was trained from another model than `base`, tensors by name."""
        check_fit(self.parts, base, self.config)

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
