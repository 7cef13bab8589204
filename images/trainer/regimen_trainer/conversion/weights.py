"""Rows of tensors in safetensors files, read by offset: nothing is mapped, nothing is kept, so a model of any size costs no memory."""

import json
import os
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from regimen_trainer.errors import InputError
from regimen_trainer.weights import INDEX, raw_header, reader_of

if TYPE_CHECKING:
    import torch


@dataclass(frozen=True)
class Stored:
    """A tensor in a file: its type as safetensors names it, its shape, and where its bytes begin."""

    path: Path
    dtype: str
    shape: tuple[int, ...]
    offset: int

    @property
    def rows(self) -> int:
        return self.shape[0]

    def read(self, first: int, last: int) -> "torch.Tensor":
        """Rows `first` to `last` (exclusive) in their own type. Raises InputError for a file that ends too early."""
        import torch

        dtype = torch_type(self)
        row = dtype.itemsize
        for size in self.shape[1:]:
            row *= size
        wanted = bytearray((last - first) * row)
        with self.path.open("rb", buffering=0) as file:
            done, offset = 0, self.offset + first * row
            while done < len(wanted):
                count = os.preadv(file.fileno(), [memoryview(wanted)[done:]], offset + done)
                if count == 0:
                    raise InputError(f"{self.path.name} is shorter than its header says; fetch or upload it again")
                done += count
        return torch.frombuffer(wanted, dtype=dtype).reshape(last - first, *self.shape[1:])


def torch_type(stored: Stored) -> "torch.dtype":
    """Raises InputError for weights that are neither 16-bit nor 32-bit floats."""
    import torch

    found = {"BF16": torch.bfloat16, "F16": torch.float16, "F32": torch.float32}.get(stored.dtype)
    if found is None:
        raise InputError(f"{stored.path.name} holds {stored.dtype} weights; conversion needs the 16-bit ones (BF16 or F16)")
    return found


def model_files(folder: Path) -> list[Path]:
    """The files of a model: those that its index names, else model*.safetensors. Raises InputError where there are none."""
    index = folder / INDEX
    if index.is_file():
        names = sorted(set(json.loads(index.read_text())["weight_map"].values()))
    else:
        names = sorted(path.name for path in folder.glob("model*.safetensors"))
    if not names:
        raise InputError(f"{folder.name} holds no model*.safetensors; name a folder in Hugging Face layout with 16-bit weights")
    if missing := [name for name in names if not (folder / name).is_file()]:
        raise InputError(f"{folder.name} lacks {missing[0]}, which its index names; fetch or upload it again")
    return [folder / name for name in names]


def stored_tensors(paths: list[Path]) -> dict[str, Stored]:
    """Every tensor of the files by name. Raises InputError for a file that is not safetensors."""
    return {name: stored for path in paths for name, stored in _header(path).items()}


def _header(path: Path) -> dict[str, Stored]:
    with path.open("rb") as file:
        start, entries = raw_header(reader_of(file), path.stat().st_size, path.name)
    return {name: Stored(path, entry["dtype"], tuple(entry["shape"]), start + entry["data_offsets"][0]) for name, entry in entries.items()}
