"""Tokens a second and memory of our training, beside TRL as it comes: the same base, rows, epochs, batch, rate and length, one run.

    python benchmarks/training_throughput.py --base FOLDER --dataset FILE.jsonl [--rows 400] [--epochs 1]
    python benchmarks/training_throughput.py --shape llama-8b --device cuda --cap-gib 12 --kinds qlora --length 2048 --rows 64 --turns 1

The peer is SFTTrainer with a default SFTConfig (told to use the CPU where there is no card) and the same adapters. Tokens are those of the rows, padding not counted; seconds are those of
training alone. Each runs in a process of its own, several times in turns, and the median counts. Run inside the trainer image.

With --shape the base has random weights in such a shape (16 GB on the disk for llama-8b) and every row is one long answer of --length tokens: the most
memory that a step of that length can take. --cap-gib makes a large card look like a smaller one: the allocator gets no more than that less what CUDA
keeps for itself, and our training is told of no more, so it takes the way it would take there. Use an otherwise idle card. On a CPU nothing is held to
the cap: training only chooses its way by it.
"""

import argparse
import json
import os
import subprocess
import sys
import tempfile
import time
from itertools import islice
from pathlib import Path
from random import Random
from statistics import median
from typing import Any

KINDS = {"trl": "TRL's defaults, LoRA", "unpacked": "regimen, LoRA, packing: false", "lora": "regimen, LoRA", "qlora": "regimen, QLoRA"}
RATE = 2e-4
MIB, GIB = 1 << 20, 1 << 30


def main() -> None:
    """Run all kinds in turns and print the table; or, in a child, one of them."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--base", type=Path, help="16-bit weights in Hugging Face layout.")
    parser.add_argument("--dataset", type=Path, help="JSON lines with prompt and completion.")
    parser.add_argument("--shape", help="Instead of --base and --dataset: tiny, llama-1b or llama-8b, with random weights.")
    parser.add_argument(
        "--folder", type=Path, help="With --shape: where the model is made, and found again. A temporary folder without it."
    )
    parser.add_argument("--rows", type=int, default=400)
    parser.add_argument("--epochs", type=float, default=1)
    parser.add_argument("--batch_size", type=int, default=4)
    parser.add_argument("--length", type=int, default=1024, help="maxLength, in tokens.")
    parser.add_argument("--turns", type=int, default=2)
    parser.add_argument("--kinds", default=",".join(KINDS), help=f"Some of {','.join(KINDS)}.")
    parser.add_argument("--device", choices=("cuda", "cpu"), help="The card where there is one, without it.")
    parser.add_argument("--cap-gib", type=float, help="Memory of the card to pretend, e.g. 12 or 24.")
    parser.add_argument("--kind", choices=KINDS, help=argparse.SUPPRESS)
    asked = parser.parse_args()
    if asked.kind:
        print(json.dumps(child(asked)))
        return
    kinds = asked.kinds.split(",")
    if unknown := [kind for kind in kinds if kind not in KINDS]:
        parser.error(f"--kinds: {unknown[0]} is none of {', '.join(KINDS)}")
    if bool(asked.shape) == bool(asked.base and asked.dataset):
        parser.error("give --shape, or --base and --dataset")
    with tempfile.TemporaryDirectory() as scratch:
        if asked.shape:
            asked.base, asked.dataset = made(asked.shape, asked.folder or Path(scratch), asked.rows, asked.length)
        runs: dict[str, list[dict[str, Any]]] = {kind: [] for kind in kinds}
        for _ in range(asked.turns):
            for kind in kinds:
                runs[kind].append(in_child(asked, kind))
    table(runs, asked.cap_gib)


def made(shape: str, folder: Path, rows: int, length: int) -> tuple[Path, Path]:
    """A model of that shape with random weights, made once for a folder, and rows that are answers from end to end."""
    from random_models import SHAPES, make_model

    if shape not in SHAPES:
        sys.exit(f"--shape: {shape} is none of {', '.join(SHAPES)}")
    base, data = folder / shape, folder / "rows.jsonl"
    if not (base / "model.safetensors.index.json").exists():  # written last
        print(f"making {shape} in {base}", file=sys.stderr)
        make_model(base, "Llama", SHAPES[shape])
    random = Random(7)
    with data.open("w") as file:
        for _ in range(rows):
            answer = " ".join(str(random.randrange(10)) for _ in range(length))
            turns = {"prompt": [{"role": "user", "content": "Count."}], "completion": [{"role": "assistant", "content": answer}]}
            file.write(json.dumps(turns) + "\n")
    return base, data


def in_child(asked: argparse.Namespace, kind: str) -> dict[str, Any]:
    """What a child measured."""
    argv = [sys.executable, __file__, *sys.argv[1:], "--base", str(asked.base), "--dataset", str(asked.dataset), "--kind", kind]
    quiet = {**os.environ, "TRANSFORMERS_VERBOSITY": "error", "HF_HUB_OFFLINE": "1", "TRL_EXPERIMENTAL_SILENCE": "1"}
    if asked.device == "cpu":
        quiet["CUDA_VISIBLE_DEVICES"] = ""
    done = subprocess.run(argv, env=quiet, stdout=subprocess.PIPE, check=True, text=True)
    found: dict[str, Any] = json.loads(done.stdout.splitlines()[-1])
    return found


def child(asked: argparse.Namespace) -> dict[str, Any]:
    """One of the kinds, measured; or why it does not fit."""
    from regimen_trainer.errors import InputError
    from regimen_trainer.training.memory import is_out_of_memory
    from regimen_trainer.training.model import device

    if asked.device == "cuda" and device() != "cuda":
        sys.exit("--device cuda: torch sees no card")
    kept = capped(asked.cap_gib) if asked.cap_gib else 0
    try:
        found = peer(asked) if asked.kind == "trl" else ours(asked)
    except InputError as error:
        return {"error": str(error)}
    except (MemoryError, RuntimeError) as error:
        if not is_out_of_memory(error):
            raise
        return {"error": "out of memory"}
    return {**found, "peak": found["peak"] + kept}


def capped(gib: float) -> int:
    """Let this process have, and training know of, a card of so much memory; returns what CUDA itself keeps of it."""
    import torch

    from regimen_trainer.training import job, model

    kept = 0
    if model.device() == "cuda":
        free, whole = torch.cuda.mem_get_info()
        kept = whole - free
        torch.cuda.set_per_process_memory_fraction(max(0.0, gib * GIB - kept) / whole)
    job.memory_bytes = model.memory_bytes = lambda: int(gib * GIB)
    return kept


def table(runs: dict[str, list[dict[str, Any]]], cap: float | None) -> None:
    """The medians as a table."""
    fitting = {kind: them for kind, them in runs.items() if not any("error" in run for run in them)}
    if fitting:
        first = next(iter(fitting.values()))[0]
        print(
            f"{first['rows']} rows, {first['tokens']:.0f} tokens, median {first['median']} tokens a row, median of {len(next(iter(runs.values())))} turns; "
            f"{first['device']}" + (f", as a card of {cap:g} GiB" if cap else "")
        )
    print(
        "\n| | tokens a second | against TRL's defaults | seconds | peak memory, MiB | estimate for a card, MiB | loss, last steps | way |"
    )
    print("|---|---|---|---|---|---|---|---|")
    speeds = {kind: median(run["tokens"] / run["seconds"] for run in them) for kind, them in fitting.items()}
    for kind, them in runs.items():
        if kind not in fitting:
            print(f"| {KINDS[kind]} | {next(run['error'] for run in them if 'error' in run)} | | | | | | |")
            continue
        seconds, peak = median(run["seconds"] for run in them), median(run["peak"] for run in them) / MIB
        against = f"{speeds[kind] / speeds['trl']:.2f}" if "trl" in speeds else ""
        estimate = f"{them[0]['estimate'] / MIB:.0f}" if them[0]["estimate"] else ""
        print(
            f"| {KINDS[kind]} | {speeds[kind]:.0f} | {against} | {seconds:.1f} | {peak:.0f} | {estimate} | {them[0]['loss']:.3f} | {them[0]['way']} |"
        )


def records(asked: argparse.Namespace, folder: Path) -> Path:
    """The first rows of the dataset as a file."""
    path = folder / "rows.jsonl"
    with asked.dataset.open() as file:
        path.write_text("".join(islice(file, asked.rows)))
    return path


def measured(rows: list[Any], epochs: float, seconds: float, losses: list[float], way: str, estimate: int) -> dict[str, Any]:
    from regimen_trainer.training.model import device, peak_bytes

    lengths = sorted(len(row) for row in rows)
    return {
        "rows": len(rows), "tokens": epochs * sum(lengths), "median": lengths[len(lengths) // 2], "seconds": seconds, "peak": peak_bytes(),
        "loss": sum(losses[-10:]) / len(losses[-10:]), "way": way, "estimate": estimate, "device": device(),
    }  # fmt: skip


def ours(asked: argparse.Namespace) -> dict[str, Any]:
    """The training of pods and of `regimen finetune_lora`."""
    from regimen.sizing.memory import training_memory
    from regimen.spec.finetune import Method
    from regimen_trainer.train import set_threads
    from regimen_trainer.training.desk import Terminal
    from regimen_trainer.training.folder import Folder
    from regimen_trainer.training.job import Place, Sources, begin
    from regimen_trainer.training.model import optimizer_name, shape_of
    from regimen_trainer.training.stop import Stop

    set_threads()
    method = Method(
        type="QLoRA" if asked.kind == "qlora" else "LoRA", epochs=asked.epochs, batch_size=asked.batch_size, learning_rate=RATE,
        max_length=asked.length, packing=asked.kind != "unpacked",
    )  # fmt: skip
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        place = Place(Folder(folder), "checkpoints/", "benchmark", 1e9, 1)
        training, _ = begin(method, Sources(asked.base, records(asked, folder), "--dataset"), place, Terminal(), Stop(), folder / "scratch")
        began = time.monotonic()
        training.run()
        seconds = time.monotonic() - began
    shape, way = shape_of(training.model, asked.base), training.way
    sized = method.model_copy(update={"max_length": training.longest})
    estimate = training_memory(shape, sized, way.micro_batch, way.activation_checkpointing).total if shape else 0
    losses = [point.loss for point in training.course.points]
    return measured(training.rows, asked.epochs, seconds, losses, f"{way}, {optimizer_name()}", estimate)


def peer(asked: argparse.Namespace) -> dict[str, Any]:
    """SFTTrainer as it comes."""
    from datasets import Dataset
    from peft import LoraConfig
    from transformers import AutoTokenizer
    from trl import SFTConfig, SFTTrainer

    from regimen_trainer.train import set_threads
    from regimen_trainer.training.model import device
    from regimen_trainer.training.rows import encode, read

    set_threads()
    with tempfile.TemporaryDirectory() as name:
        rows = read(records(asked, Path(name)), "--dataset")
        settings = SFTConfig(
            output_dir=name, num_train_epochs=asked.epochs, per_device_train_batch_size=asked.batch_size, learning_rate=RATE,
            max_length=asked.length, report_to="none", disable_tqdm=True, use_cpu=device() == "cpu",
        )  # fmt: skip
        adapters = LoraConfig(r=16, lora_alpha=32, target_modules="all-linear", task_type="CAUSAL_LM")
        trainer = SFTTrainer(model=str(asked.base), args=settings, train_dataset=Dataset.from_list(rows), peft_config=adapters)
        began = time.monotonic()
        trainer.train()
        seconds = time.monotonic() - began
    losses = [line["loss"] for line in trainer.state.log_history if "loss" in line]
    encoded, _ = encode(AutoTokenizer.from_pretrained(asked.base), rows, asked.length, print)
    return measured(encoded, asked.epochs, seconds, losses[-1:], "as it comes", 0)


if __name__ == "__main__":
    main()
