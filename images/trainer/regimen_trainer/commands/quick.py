"""test_finetune and quickstart_finetune: the first command to run, and the one that does all models."""

from pathlib import Path

import click

from regimen.spec.finetune import Method
from regimen_trainer.commands import FOLDER, SentenceError, option
from regimen_trainer.errors import TrainerError
from regimen_trainer.quick import MODELS


@click.command("test_finetune")
def test_finetune() -> None:
    """Prove in about two minutes that training, conversion and serving work on this machine."""
    from regimen_trainer.quick import smoke_test

    try:
        smoke_test(click.echo)
    except TrainerError as error:
        raise SentenceError(error) from error
    click.echo("everything works together here")


@click.command("quickstart_finetune")
@option("models_dir", default="models/hf", show_default=True, type=FOLDER, help="Where download_base_models put the base models.")
@option("data_dir", default="data/business/training", show_default=True, type=FOLDER, help="Where prepare_data put the training files.")
@option("output_dir", default="models/business", show_default=True, type=FOLDER, help="For adapters; GGUF files go to merged/ below it.")
@option("version", default="v1.0", show_default=True, help="Version in the names of what is made.")
@option("only", multiple=True, type=click.Choice([model.name for model in MODELS]), help="Only this model; may be given several times.")
@option("epochs", default=3.0, show_default=True, type=click.FloatRange(0, 100, min_open=True), help="Passes over the data.")
@click.option(
    "--use-4bit/--no-4bit", "use_4bit", default=True, show_default=True, help="QLoRA, which fits 12 GB; or LoRA on 16-bit weights."
)
def quickstart_finetune(
    models_dir: Path, data_dir: Path, output_dir: Path, version: str, only: tuple[str, ...], epochs: float, use_4bit: bool
) -> None:
    """Fine-tune all models on the prepared data and convert them to GGUF. The same command again goes on where it stopped."""
    from regimen_trainer.quick import quickstart

    method = Method(type="QLoRA" if use_4bit else "LoRA", epochs=epochs)
    names = list(only) or [model.name for model in MODELS]
    try:
        made = quickstart(models_dir, data_dir, output_dir, version, method, names, lambda text: click.echo(text, err=True))
    except TrainerError as error:
        raise SentenceError(error) from error
    for path in made:
        click.echo(path)
