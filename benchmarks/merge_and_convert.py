"""Merging an adapter and writing three GGUF files in one pass, beside the usual way; then every tensor compared.

    python benchmarks/merge_and_convert.py --folder FOLDER [--layers 16] [--quantizations Q6_K,Q5_K_M,Q8_0]

A random Llama of about a billion weights (bfloat16, several files) with an adapter on all linear layers is made in FOLDER. The usual way
(`stock_conversion.py`) is peft's merge in 32 bit, llama.cpp's conversion script, and llama-quantize once for each file. Also measured: peft's
merge in 16 bit, which most scripts do, for its memory and for what its rounding changes. Memory is the proportional set size of a run's processes
together, four times a second; bytes are what the processes wrote, and the disk is what lay in the run's folder at its fullest.
Runs where the trainer's tools are (the trainer image), for about five minutes.
"""

import argparse
import os
import shutil
import subprocess
import sys
import threading
import time
from dataclasses import dataclass, field, replace
from itertools import pairwise
from pathlib import Path
from typing import Any

from prepare_claims import _share, _tree
from random_models import LLAMA_1B, make_adapter, make_model
from stock_conversion import differences

HERE = Path(__file__).parent
MIB = 1 << 20
STAGES = {"merging": "merge", "converting": "convert", "quantizing": "quantize"}


@dataclass
class Measured:
    """Seconds of each stage, of the whole and of processors; peak memory and disk in MiB, bytes written by process."""

    stages: dict[str, float] = field(default_factory=dict)
    wall: float = 0
    processor: float = 0
    memory: float = 0
    disk: float = 0
    written: dict[int, int] = field(default_factory=dict)


def main() -> None:
    """Make the model, run all, compare, print the table."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--folder", type=Path, required=True, help="Scratch; 12 GB. The model stays in it.")
    parser.add_argument("--layers", type=int, default=20)
    parser.add_argument("--quantizations", default="Q6_K,Q5_K_M,Q8_0")
    arguments = parser.parse_args()
    base, adapter = make(arguments.folder, arguments.layers)
    names = arguments.quantizations.split(",")
    stock = [HERE / "stock_conversion.py", "--base", base, "--adapter", adapter, "--quantizations", arguments.quantizations, "--out"]
    ours, usual, halved = (fresh(arguments.folder / name) for name in ("ours", "usual", "halved"))
    command = ["-c", "from regimen_trainer.commands.conversion import merge_and_convert; merge_and_convert()", "--base_model", base]
    runs = {
        "regimen, one pass": measured(
            [*command, "--lora_adapter", adapter, "--output_dir", ours / "m", "--quantize", arguments.quantizations], ours
        ),
        "peft in 32 bit, script, llama-quantize": measured([*stock, usual], usual),
        "peft in 16 bit (merge only)": measured([*stock, halved, "--merge", "bfloat16", "--only-merge"], halved),
    }
    report(runs)
    for name in names:
        said = differences(ours / f"m-{name}.gguf", usual / f"{name}.gguf")
        print(f"{name}: {len(said)} tensors differ" + "".join(f"\n  {tensor}: {what}" for tensor, what in sorted(said.items())[:5]))
    one, other = runs["regimen, one pass"], runs["peft in 32 bit, script, llama-quantize"]
    print(
        f"\nregimen / usual: time {one.wall / other.wall:.2f}, processor time {one.processor / other.processor:.2f}, memory {one.memory / other.memory:.3f}, disk {one.disk / other.disk:.2f}"
    )
    for folder in (ours, usual, halved):
        shutil.rmtree(folder)


def make(folder: Path, layers: int) -> tuple[Path, Path]:
    """The model and its adapter, made once."""
    shape = replace(LLAMA_1B, layers=layers)
    base, adapter = folder / f"base-{layers}", folder / f"adapter-{layers}"
    if not adapter.exists():
        make_model(base, "Llama", shape, layers_per_shard=5)
        make_adapter(adapter, shape)
    return base, adapter


def fresh(folder: Path) -> Path:
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir(parents=True)
    return folder


def report(runs: dict[str, Measured]) -> None:
    stages = list(STAGES.values())
    print(
        "| | "
        + " | ".join(f"{stage}, s" for stage in stages)
        + " | wall, s | processor, s | peak memory, MiB | written, MiB | fullest disk, MiB |"
    )
    print("|---" * (len(stages) + 6) + "|")
    for name, run in runs.items():
        cells = [f"{run.stages[stage]:.1f}" if stage in run.stages else "–" for stage in stages]
        written = sum(run.written.values()) / MIB
        print(
            f"| {name} | "
            + " | ".join(cells)
            + f" | {run.wall:.1f} | {run.processor:.1f} | {run.memory:.0f} | {written:.0f} | {run.disk:.0f} |"
        )
    print()


def measured(command: list[Any], folder: Path) -> Measured:
    """Run a Python command that may say on standard error when a stage begins; `folder` is what it writes to."""
    result, ended, started = Measured(), threading.Event(), time.monotonic()
    process = subprocess.Popen([sys.executable, *map(str, command)], stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True)
    sampler = threading.Thread(target=sample, args=(process.pid, folder, result, ended))
    sampler.start()
    begun: list[tuple[str, float]] = []
    assert process.stderr is not None
    for line in process.stderr:
        if line.strip() in STAGES:
            begun.append((STAGES[line.strip()], time.monotonic()))
        elif "merging and quantizing" not in line:
            sys.stderr.write(line)
    _, status, usage = os.wait4(process.pid, 0)
    result.processor = usage.ru_utime + usage.ru_stime
    ended.set()
    sampler.join()
    result.wall = time.monotonic() - started
    if status:
        raise SystemExit(f"{command} ended with status {status}")
    for (stage, start), (_, end) in pairwise([*begun, ("end", time.monotonic())]):
        result.stages[stage] = result.stages.get(stage, 0) + end - start
    return result


def sample(pid: int, folder: Path, result: Measured, ended: threading.Event) -> None:
    """Four times a second: memory of the process tree, what each process has written, what lies in the folder."""
    while not ended.wait(0.25):
        members = _tree(pid)
        result.memory = max(result.memory, sum(_share(member) for member in members) / MIB)
        result.disk = max(result.disk, sum(size_of(path) for path in folder.rglob("*")) / MIB)
        for member in members:
            result.written[member] = max(result.written.get(member, 0), written_by(member))


def size_of(path: Path) -> int:
    """Bytes that a file takes on the disk."""
    try:
        return path.stat().st_blocks * 512 if path.is_file() else 0
    except OSError:  # it was renamed meanwhile
        return 0


def written_by(pid: int) -> int:
    """Bytes that a process has passed to write calls."""
    try:
        lines = Path(f"/proc/{pid}/io").read_text().splitlines()
    except OSError:  # it ended meanwhile
        return 0
    return next((int(line.split()[1]) for line in lines if line.startswith("wchar:")), 0)


if __name__ == "__main__":
    main()
