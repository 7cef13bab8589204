"""A training from files to files: what a pod and a desk have in common. They differ in where checkpoints are kept and who is told."""

import json
import time
from collections.abc import Callable
from dataclasses import dataclass
from hashlib import sha256
from pathlib import Path

from regimen.sizing.memory import training_memory
from regimen.spec.artifacts import ModelShape
from regimen.spec.finetune import Method
from regimen_trainer.probe import probe_digest
from regimen_trainer.stage import Figures, libraries
from regimen_trainer.training import curve
from regimen_trainer.training.checkpoints import Checkpoints, Depot
from regimen_trainer.training.course import Course, Report
from regimen_trainer.training.loop import Training
from regimen_trainer.training.memory import AtOnce, estimated, most_at_once
from regimen_trainer.training.model import device, load_base, load_tokenizer, memory_bytes, peak_bytes, shape_of, with_adapters
from regimen_trainer.training.pace import Pace
from regimen_trainer.training.rows import Lengths, Row, encode, read, rows_digest
from regimen_trainer.training.steps import Steps
from regimen_trainer.training.stop import Stop

Sizes = Callable[[ModelShape, Method, int, bool], int]
"""Bytes that a step takes at its peak: of a shape, by a method, with so many rows of maxLength at once, with or without checkpointing."""


def bytes_of(shape: ModelShape, method: Method, micro_batch: int, activation_checkpointing: bool) -> int:
    """The operator's estimate: what it reckons a card holds, training asks of it."""
    return training_memory(shape, method, micro_batch, activation_checkpointing).total


@dataclass(frozen=True)
class Place:
    """Where checkpoints are kept and how often, and when the card must be returned."""

    depot: Depot
    prefix: str
    attempt: str
    interval: float
    """Seconds."""
    keep: int
    stop_at: float | None = None
    """Seconds since the epoch."""


@dataclass(frozen=True)
class Sources:
    """The files of a training, and what the user calls the rows."""

    base: Path
    rows: Path
    field: str


def begin(method: Method, sources: Sources, place: Place, report: Report, stop: Stop, scratch: Path) -> tuple[Training, Lengths]:
    """Load everything, and go on from the newest whole checkpoint if there is one. Raises InputError for rows that cannot be used."""
    tokenizer = load_tokenizer(sources.base)
    rows, lengths = encode(tokenizer, read(sources.rows, sources.field), method.max_length, report.say)
    steps = Steps(len(rows), method.batch_size, method.epochs, method.seed)
    checkpoints = Checkpoints(place.depot, place.prefix, place.attempt, place.keep, recipe(method, sources.base, rows), report.say)
    found = checkpoints.newest(scratch / "resumed")
    report.say(f"loading base model: {steps.total} steps of {method.batch_size} rows")
    model = with_adapters(load_base(method, sources.base), method)
    way = (
        AtOnce(found.micro_batch, found.activation_checkpointing)
        if found
        else first_way(method, shape_of(model, sources.base), rows, bytes_of)
    )
    training = Training(
        method=method, rows=rows, steps=steps, model=model, tokenizer=tokenizer, checkpoints=checkpoints,
        course=Course(report, steps.total), pace=Pace(place.interval, place.stop_at, time.time()), stop=stop, way=way, scratch=scratch,
    )  # fmt: skip
    if found:
        training.resume(scratch / "resumed", found.step)
    return training, lengths


def recipe(method: Method, base: Path, rows: list[Row]) -> str:
    """Digest of all that a training follows from: a checkpoint of another one is of no use to it."""
    digest = sha256(f"{method.model_dump_json()} {rows_digest(rows)}".encode())
    digest.update((base / "config.json").read_bytes())
    for path in sorted(base.glob("*.safetensors")):
        digest.update(f" {path.name} {path.stat().st_size}".encode())
    return digest.hexdigest()[:16]


def first_way(method: Method, shape: ModelShape | None, rows: list[Row], sizes: Sizes | None) -> AtOnce:
    """How to compute the first step. Without an estimate cards keep no activations, and running out of memory decides the rest."""
    longest = max(len(row) for row in rows)
    most = most_at_once(method.batch_size, longest, device())
    if sizes is None or shape is None:
        return AtOnce(most, activation_checkpointing=device() == "cuda")
    sized, asked = method.model_copy(update={"max_length": longest}), sizes
    # The estimate is for cards; a CPU keeps everything in 32 bit.
    wide = 1 if device() == "cuda" else 2
    return estimated(lambda micro_batch, again: wide * asked(shape, sized, micro_batch, again), memory_bytes(), most)


def save(training: Training, folder: Path) -> list[str]:
    """Write the adapter (safetensors), its configuration and the curve as numbers and as a page; returns the file names."""
    training.model.save_pretrained(folder, safe_serialization=True, save_embedding_layers=False)
    points = training.course.points
    numbers = [
        {"step": point.step, "loss": round(point.loss, 6), "tokens": point.tokens, "seconds": round(point.seconds, 4)} for point in points
    ]
    (folder / "loss.json").write_text(json.dumps(numbers))
    (folder / "curve.html").write_text(curve.render(points, training.steps.total))
    return ["adapter_config.json", "adapter_model.safetensors", "curve.html", "loss.json"]


def figures(training: Training, lengths: Lengths) -> Figures:
    """Numbers of the record."""
    return {
        **lengths.figures(),
        **training.course.figures(),
        "steps": training.step,
        "microBatch": training.way.micro_batch,
        "activationCheckpointing": int(training.way.activation_checkpointing),
        "peakMemoryBytes": peak_bytes(),
        "probeTokens": probe_digest(training.tokenizer),
        **libraries("torch", "transformers", "trl", "peft", "accelerate", "bitsandbytes", "datasets"),
    }
