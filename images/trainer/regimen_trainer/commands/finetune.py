"""finetune_lora: training without a cluster."""

from pathlib import Path

import click
from pydantic import ValidationError

from regimen.spec.finetune import Checkpoint, Method
from regimen.spec.meta import parse_duration
from regimen_trainer.commands import EXISTING_FOLDER, FILE, FOLDER, SentenceError, option
from regimen_trainer.errors import TrainerError


def _duration(_context: click.Context, _option: click.Parameter, value: str) -> int:
    """Seconds."""
    try:
        return parse_duration(Checkpoint(interval=value).interval)
    except ValidationError as error:
        raise click.BadParameter("give a duration such as 90s, 15m or 1h") from error


@click.command("finetune_lora")
@option(
    "base_model",
    required=True,
    type=EXISTING_FOLDER,
    help="Folder with the base model's 16-bit weights (Hugging Face layout, safetensors).",
)
@option("dataset", required=True, type=FILE, help="Training file of prepare_data: JSON lines with prompt and completion.")
@option("output_dir", required=True, type=FOLDER, help="Folder for the adapter, and for checkpoints until it is done.")
@option("epochs", default=3.0, show_default=True, type=click.FloatRange(0, 100, min_open=True), help="Passes over the data.")
@option("batch_size", default=4, show_default=True, type=click.IntRange(1, 4096), help="Rows that each update learns from.")
@option("learning_rate", default=2e-4, show_default=True, type=click.FloatRange(0, 1, min_open=True), help="Peak learning rate.")
@option("use_4bit", is_flag=True, help="QLoRA: base weights in 4 bit, for cards with little memory.")
@option("rank", default=16, show_default=True, type=click.IntRange(1, 512), help="Rank of the adapters.")
@option(
    "alpha",
    default=32,
    show_default=True,
    type=click.IntRange(1, 1024),
    help="Scale of the adapters; the update is multiplied by alpha / rank.",
)
@option("max_length", default=2048, show_default=True, type=click.IntRange(16, 131072), help="Longest row in tokens; longer ones are cut.")
@option("seed", default=42, show_default=True, type=click.IntRange(0, 2**31 - 1), help="Seed of weights and order.")
@click.option(
    "--packing/--no-packing", default=True, show_default=True, help="Compute several rows as one sequence; they never see each other."
)
@option(
    "checkpoint_interval",
    default="15m",
    show_default=True,
    callback=_duration,
    help="Longest training time between two checkpoints, e.g. 90s, 15m, 1h.",
)
def finetune_lora(
    base_model: Path,
    dataset: Path,
    output_dir: Path,
    epochs: float,
    batch_size: int,
    learning_rate: float,
    use_4bit: bool,
    rank: int,
    alpha: int,
    max_length: int,
    seed: int,
    packing: bool,
    checkpoint_interval: int,
) -> None:
    """Train a LoRA or QLoRA adapter on this machine, as a FineTuneJob does.

    Ctrl-C keeps a checkpoint; the same command again goes on from it.
    """
    from regimen_trainer.training.desk import Request, StoppedAtDesk, finetune

    method = Method(
        type="QLoRA" if use_4bit else "LoRA", rank=rank, alpha=alpha, epochs=epochs, batch_size=batch_size, learning_rate=learning_rate,
        max_length=max_length, packing=packing, seed=seed,
    )  # fmt: skip
    try:
        finetune(Request(base_model, dataset, output_dir, method, checkpoint_interval))
    except StoppedAtDesk as stopped:
        click.echo(stopped, err=True)
        raise SystemExit(stopped.exit_code) from stopped
    except TrainerError as error:
        raise SentenceError(error) from error
    click.echo(output_dir / "adapter_model.safetensors")
