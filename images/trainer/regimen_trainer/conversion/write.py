"""The pass: rows of the base are read once, the adapter's update is added, and every file asked for gets them in its own type.

Precision: base and update are added in 32 bit and rounded once to the base's own 16-bit type. Each quantisation is made from that, as if the merged
model had been saved, converted without loss and quantised; so what is judged against "16 bit" is judged against these weights.

Memory: each worker holds one slab of rows (SLAB_WEIGHTS) and what is made of it, and at most two slabs a worker wait, so the model's size does
not matter. Disk: the files themselves, no merged copy and no 16-bit file in between.
"""

import time
from collections.abc import Callable, Iterator, Mapping
from concurrent.futures import FIRST_COMPLETED, Future, ThreadPoolExecutor, wait
from dataclasses import dataclass
from math import prod
from pathlib import Path
from typing import Any

from regimen.spec.meta import Quantization
from regimen_trainer.conversion.adapter import Adapter, Update
from regimen_trainer.conversion.files import GgufFile
from regimen_trainer.conversion.ggml import encode, library
from regimen_trainer.conversion.layout import About, Layout, Target, layout_of
from regimen_trainer.conversion.mixture import check_complete, types_of
from regimen_trainer.conversion.weights import torch_type
from regimen_trainer.errors import InputError

SLAB_WEIGHTS = 1 << 20
"""Weights that a worker merges and quantises at a time: 4 MiB in 32 bit, small enough for the processor's cache."""
Progress = Callable[[int, int], None]
"""Told how many weights are done, of how many."""


@dataclass(frozen=True)
class Slab:
    """Rows `first` to `last` of a tensor of the GGUF."""

    target: Target
    update: Update | None
    first: int
    last: int

    @property
    def weights(self) -> int:
        return (self.last - self.first) * prod(self.target.shape[1:])


def silent(done: int, total: int) -> None:
    """Tell nobody."""


def write_ggufs(
    base: Path, adapter: Path | None, outputs: Mapping[Quantization, Path], about: About, workers: int, progress: Progress = silent
) -> dict[str, float | int | str | None]:
    """Write a GGUF of base + adapter for each quantisation. Files get their names when all are whole.

    Returns figures: weights, bytes written, seconds of the pass. Raises InputError for a base or an adapter that cannot be merged, ToolError
    where a part of llama.cpp or disk space is missing.
    """
    import torch

    library()
    opened = Adapter.open(adapter) if adapter else None
    about = About(about.model, about.version, about.lineage, opened.digest if opened else None)
    layout = layout_of(base, about)
    if opened:
        opened.check_against({target.source: target.stored for target in layout.targets if target.source and target.stored})
    began, threads = time.monotonic(), torch.get_num_threads()
    torch.set_num_threads(1)  # the workers are the threads
    files = create_files(layout, outputs)
    try:
        run_pass(slabs(layout, opened), files, workers, progress, sum(prod(target.shape) for target in layout.targets))
    except BaseException:
        for file in files:
            file.abandon()
        raise
    finally:
        torch.set_num_threads(threads)
    for file in files:
        file.finish()
    return {
        "weights": sum(prod(target.shape) for target in layout.targets),
        "bytesWritten": sum(file.size for file in files),
        "passSeconds": round(time.monotonic() - began, 1),
    }


def create_files(layout: Layout, outputs: Mapping[Quantization, Path]) -> list[GgufFile]:
    """The files with their headers, types as llama-quantize would choose them. Where one does not fit, none is left."""
    files: list[GgufFile] = []
    try:
        for quantization, path in outputs.items():
            metadata = with_file_type(layout.metadata, quantization)
            types = choose_types(layout, quantization, path)
            files.append(GgufFile.create(path, layout.architecture, metadata, layout.targets, types))
    except BaseException:
        for file in files:
            file.abandon()
        raise
    return files


def choose_types(layout: Layout, quantization: Quantization, path: Path) -> dict[str, Any]:
    """gguf types by tensor. F16 is what the converter writes; any other is asked of llama-quantize."""
    import gguf

    kinds = gguf.GGMLQuantizationType
    types = {target.name: kinds.F32 if target.full else kinds.F16 for target in layout.targets}
    if quantization == "F16":
        return types
    hollow = GgufFile.create(path.with_suffix(".hollow"), layout.architecture, layout.metadata, layout.targets, types, hollow=True)
    hollow.finish()
    try:
        chosen = types_of(hollow.path, quantization)
    finally:
        hollow.path.unlink()
    check_complete(chosen, list(types), quantization)
    return chosen


def with_file_type(metadata: Mapping[str, Any], quantization: Quantization) -> dict[str, Any]:
    """The metadata with the key that names the quantisation."""
    import gguf

    key = gguf.Keys.General.FILE_TYPE
    kind = gguf.LlamaFileType[f"MOSTLY_{quantization}"]
    return {**metadata, key: gguf.gguf_writer.GGUFValue(int(kind), gguf.GGUFValueType.UINT32)}


def slabs(layout: Layout, adapter: Adapter | None) -> Iterator[Slab]:
    """Every tensor in slabs. The adapter's part of a tensor is read when its first slab is."""
    for target in layout.targets:
        update = adapter.update(target.source) if adapter and target.source else None
        rows = max(1, SLAB_WEIGHTS // prod(target.shape[1:]))
        for first in range(0, target.shape[0], rows):
            yield Slab(target, update, first, min(first + rows, target.shape[0]))


def run_pass(work: Iterator[Slab], files: list[GgufFile], workers: int, progress: Progress, total: int) -> None:
    """Let workers fill the files, slab by slab. The first error ends it."""
    done = 0
    waiting: dict[Future[None], int] = {}
    with ThreadPoolExecutor(workers) as pool:
        for slab in work:
            if len(waiting) >= 3 * workers:  # one under way and two in line for each worker
                done += _collect(waiting)
                progress(done, total)
            waiting[pool.submit(fill, slab, files)] = slab.weights
        while waiting:
            done += _collect(waiting)
            progress(done, total)


def _collect(waiting: dict[Future[None], int]) -> int:
    """Wait for at least one slab; how many weights are done with it. Raises what a worker raised."""
    finished, _ = wait(waiting, return_when=FIRST_COMPLETED)
    for future in finished:
        future.result()
    return sum(waiting.pop(future) for future in finished)


def fill(slab: Slab, files: list[GgufFile]) -> None:
    """Merge a slab and write it into every file; a type that several files share is made once."""
    values = merged(slab)
    made: dict[Any, bytes | bytearray | memoryview] = {}
    for file in files:
        kind = file.types[slab.target.name]
        if kind not in made:
            made[kind] = encode(values, kind)
        file.write(slab.target, slab.first, made[kind])


def merged(slab: Slab) -> Any:
    """The slab's rows of base + adapter, as a tensor in the base's own type. Raises InputError where a weight is not finite."""
    import torch

    target = slab.target
    if target.values is not None:
        return target.values[slab.first : slab.last]
    assert target.stored is not None
    if target.order is None:
        chosen: Any = slice(slab.first, slab.last)
        values = target.stored.read(slab.first, slab.last)
    else:
        chosen = target.order[slab.first : slab.last]
        low = int(chosen.min())
        values = target.stored.read(low, int(chosen.max()) + 1)[chosen - low]
    if slab.update is not None:
        values = (values.to(torch.float32) + slab.update.rows(chosen)).to(torch_type(target.stored))
    if not bool(torch.isfinite(values).all()):
        raise InputError(f"{target.source} has weights that are not finite after merging; train again with a lower learning rate")
    return values
