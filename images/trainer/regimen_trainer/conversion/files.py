"""GGUF files whose header is written first and whose tensors are filled in any order, from several threads."""

import os
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Self

from regimen_trainer.conversion.ggml import row_bytes
from regimen_trainer.conversion.layout import Target
from regimen_trainer.errors import ToolError

Raw = bytes | bytearray | memoryview


@dataclass(frozen=True)
class GgufFile:
    """A file under way, at `<path>.partial` until it is finished."""

    path: Path
    types: Mapping[str, Any]
    offsets: Mapping[str, int]
    size: int
    _descriptor: int

    @classmethod
    def create(
        cls,
        path: Path,
        architecture: str,
        metadata: Mapping[str, Any],
        targets: Sequence[Target],
        types: Mapping[str, Any],
        hollow: bool = False,
    ) -> Self:
        """Write the header and take the space for all tensors at once. `hollow`: take none; such a file is for its header only.

        Raises ToolError where the disk is too small, before any work is done.
        """
        partial = _partial(path)
        partial.parent.mkdir(parents=True, exist_ok=True)
        start, offsets, size = _write_header(partial, architecture, metadata, targets, types)
        descriptor = os.open(partial, os.O_WRONLY)
        try:
            (os.ftruncate if hollow else _allocate)(descriptor, size)
        except OSError as error:
            os.close(descriptor)
            partial.unlink()
            raise ToolError(
                f"{path.name} needs {size / 1e9:.1f} GB of disk: {error.strerror}; give the trainer more scratch space"
            ) from error
        return cls(path, types, {name: start + offset for name, offset in offsets.items()}, size, descriptor)

    def write(self, target: Target, first: int, rows: Raw) -> None:
        """Fill in rows of a tensor from row `first` on."""
        offset = self.offsets[target.name] + first * row_bytes(self.types[target.name], _columns(target))
        left = memoryview(rows)
        while left:
            written = os.pwrite(self._descriptor, left, offset)
            left, offset = left[written:], offset + written

    def finish(self) -> None:
        """Give the file its name, once it is on the disk."""
        os.fsync(self._descriptor)
        os.close(self._descriptor)
        _partial(self.path).rename(self.path)

    def abandon(self) -> None:
        """Remove what was written."""
        os.close(self._descriptor)
        _partial(self.path).unlink(missing_ok=True)


def _partial(path: Path) -> Path:
    return path.with_name(f"{path.name}.partial")


def _allocate(descriptor: int, size: int) -> None:
    os.posix_fallocate(descriptor, 0, size)


def _columns(target: Target) -> int:
    """Weights in a row as GGUF counts them: a vector is one row for its type, but filled in weight by weight."""
    return target.shape[-1] if len(target.shape) > 1 else 1


def _write_header(
    path: Path, architecture: str, metadata: Mapping[str, Any], targets: Sequence[Target], types: Mapping[str, Any]
) -> tuple[int, dict[str, int], int]:
    """Write all but the tensors. Returns where they begin, their offsets from there, and the file's size in the end."""
    import gguf

    writer = gguf.GGUFWriter(None, architecture)
    writer.kv_data = [dict(metadata)]
    offsets, end = {}, 0
    for target in targets:
        size = target.shape[0] * row_bytes(types[target.name], _columns(target))
        writer.add_tensor_info(target.name, target.shape, None, size, raw_dtype=types[target.name])
        offsets[target.name] = end
        end += writer.ggml_pad(size, writer.data_alignment)
    writer.write_header_to_file(path)
    writer.write_kv_data_to_file()
    writer.write_ti_data_to_file()
    writer.close()
    start = int(writer.ggml_pad(path.stat().st_size, writer.data_alignment))
    return start, offsets, start + end
