"""Tokens a second and memory of our training, beside TRL as it comes: the same base, rows, epochs, batch, rate and length, one run.

    python benchmarks/training_throughput.py --base FOLDER --dataset FILE.jsonl [--rows 400] [--epochs 1]

The peer is SFTTrainer with a default SFTConfig (told to use the CPU where there is no card) and the same adapters. Tokens are those of the rows, padding not counted; seconds are those of
training alone. Each runs in a process of its own, several times in turns, and the median counts. Run inside the trainer image.
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
from statistics import median
from typing import Any

KINDS = {"trl": "TRL's defaults, LoRA", "unpacked": "regimen, LoRA, packing: false", "lora": "regimen, LoRA", "qlora": "regimen, QLoRA"}
LENGTH, RATE = 1024, 2e-4
MIB = 1 << 20


def main() -> None:
    """Run all kinds in turns and print the table; or, in a child, one of them."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--base", type=Path, required=True, help="16-bit weights in Hugging Face layout.")
    parser.add_argument("--dataset", type=Path, required=True, help="JSON lines with prompt and completion.")
    parser.add_argument("--rows", type=int, default=400)
    parser.add_argument("--epochs", type=float, default=1)
    parser.add_argument("--batch_size", type=int, default=4)
    parser.add_argument("--turns", type=int, default=2)
    parser.add_argument("--kind", choices=KINDS, help=argparse.SUPPRESS)
    asked = parser.parse_args()
    if asked.kind:
        print(json.dumps(peer(asked) if asked.kind == "trl" else ours(asked)))
        return
    runs: dict[str, list[dict[str, float]]] = {kind: [] for kind in KINDS}
    for _ in range(asked.turns):
        for kind in KINDS:
            runs[kind].append(in_child(kind))
    table(runs)


def in_child(kind: str) -> dict[str, float]:
    """What a child measured."""
    argv = [sys.executable, __file__, *sys.argv[1:], "--kind", kind]
    quiet = {**os.environ, "TRANSFORMERS_VERBOSITY": "error", "HF_HUB_OFFLINE": "1", "TRL_EXPERIMENTAL_SILENCE": "1"}
    done = subprocess.run(argv, env=quiet, stdout=subprocess.PIPE, check=True, text=True)
    found: dict[str, float] = json.loads(done.stdout.splitlines()[-1])
    return found


def table(runs: dict[str, list[dict[str, float]]]) -> None:
    """The medians as a table."""
    first = runs["trl"][0]
    print(
        f"{first['rows']:.0f} rows, {first['tokens']:.0f} tokens, median {first['median']:.0f} tokens a row, median of {len(runs['trl'])} turns\n"
    )
    print("| | tokens a second | against TRL's defaults | seconds | peak memory, MiB | loss, last steps |\n|---|---|---|---|---|---|")
    speeds = {kind: median(run["tokens"] / run["seconds"] for run in them) for kind, them in runs.items()}
    for kind, them in runs.items():
        seconds, peak = median(run["seconds"] for run in them), median(run["peak"] for run in them) / MIB
        print(
            f"| {KINDS[kind]} | {speeds[kind]:.0f} | {speeds[kind] / speeds['trl']:.2f} | {seconds:.1f} | {peak:.0f} | {them[0]['loss']:.3f} |"
        )


def records(asked: argparse.Namespace, folder: Path) -> Path:
    """The first rows of the dataset as a file."""
    path = folder / "rows.jsonl"
    with asked.dataset.open() as file:
        path.write_text("".join(islice(file, asked.rows)))
    return path


def measured(rows: list[Any], epochs: float, seconds: float, peak: int, losses: list[float]) -> dict[str, float]:
    lengths = sorted(len(row) for row in rows)
    return {
        "rows": len(rows), "tokens": epochs * sum(lengths), "median": lengths[len(lengths) // 2], "seconds": seconds, "peak": peak,
        "loss": sum(losses[-10:]) / len(losses[-10:]),
    }  # fmt: skip


def ours(asked: argparse.Namespace) -> dict[str, float]:
    """The training of pods and of `regimen finetune_lora`."""
    from regimen.spec.finetune import Method
    from regimen_trainer.train import set_threads
    from regimen_trainer.training.desk import Terminal
    from regimen_trainer.training.folder import Folder
    from regimen_trainer.training.job import Place, Sources, begin
    from regimen_trainer.training.model import peak_bytes
    from regimen_trainer.training.stop import Stop

    set_threads()
    method = Method(
        type="QLoRA" if asked.kind == "qlora" else "LoRA", epochs=asked.epochs, batch_size=asked.batch_size, learning_rate=RATE,
        max_length=LENGTH, packing=asked.kind != "unpacked",
    )  # fmt: skip
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        place = Place(Folder(folder), "checkpoints/", "benchmark", 1e9, 1)
        training, _ = begin(method, Sources(asked.base, records(asked, folder), "--dataset"), place, Terminal(), Stop(), folder / "scratch")
        began = time.monotonic()
        training.run()
        seconds = time.monotonic() - began
    return measured(training.rows, asked.epochs, seconds, peak_bytes(), [point.loss for point in training.course.points])


def peer(asked: argparse.Namespace) -> dict[str, float]:
    """SFTTrainer as it comes."""
    from datasets import Dataset
    from peft import LoraConfig
    from transformers import AutoTokenizer
    from trl import SFTConfig, SFTTrainer

    from regimen_trainer.train import set_threads
    from regimen_trainer.training.model import device, peak_bytes
    from regimen_trainer.training.rows import encode, read

    set_threads()
    with tempfile.TemporaryDirectory() as name:
        rows = read(records(asked, Path(name)), "--dataset")
        settings = SFTConfig(
            output_dir=name, num_train_epochs=asked.epochs, per_device_train_batch_size=asked.batch_size, learning_rate=RATE,
            max_length=LENGTH, report_to="none", disable_tqdm=True, use_cpu=device() == "cpu",
        )  # fmt: skip
        adapters = LoraConfig(r=16, lora_alpha=32, target_modules="all-linear", task_type="CAUSAL_LM")
        trainer = SFTTrainer(model=str(asked.base), args=settings, train_dataset=Dataset.from_list(rows), peft_config=adapters)
        began = time.monotonic()
        trainer.train()
        seconds = time.monotonic() - began
    losses = [line["loss"] for line in trainer.state.log_history if "loss" in line]
    encoded, _ = encode(AutoTokenizer.from_pretrained(asked.base), rows, LENGTH, print)
    return measured(encoded, asked.epochs, seconds, peak_bytes(), losses[-1:])


if __name__ == "__main__":
    main()
