"""The command `merge_and_convert`: what a conversion pod does, with folders instead of a bucket."""

import re
import sys
from collections.abc import Callable
from pathlib import Path
from typing import get_args

import click

from regimen.spec.artifacts import Lineage
from regimen.spec.meta import Quantization
from regimen_trainer.commands import SentenceError, option
from regimen_trainer.errors import InputError, TrainerError

MODEL = click.Path(exists=True, file_okay=False, path_type=Path)
_VERSIONED = re.compile(r"(?P<model>.+)-(?P<version>v\d+\.\d+)")


@click.command("merge_and_convert")
@option("base_model", required=True, type=MODEL, help="Folder with the base's 16-bit weights (Hugging Face layout).")
@option("lora_adapter", required=True, type=MODEL, help="Folder with the adapter, as peft writes it.")
@option("output_dir", required=True, type=click.Path(path_type=Path), help="Name of the files without quantization: folder/model-v1.0.")
@option("quantize", default="q6_k", show_default=True, help=f"One or several, comma-separated: {', '.join(get_args(Quantization))}.")
def merge_and_convert(base_model: Path, lora_adapter: Path, output_dir: Path, quantize: str) -> None:
    """Merge an adapter into its base and write GGUF files: OUTPUT_DIR-Q6_K.gguf beside OUTPUT_DIR."""
    from regimen_trainer.conversion import About, write_ggufs
    from regimen_trainer.train import cpu_limit

    try:
        outputs = {name: output_dir.with_name(f"{output_dir.name}-{name}.gguf") for name in quantizations(quantize)}
        versioned = _VERSIONED.fullmatch(output_dir.name)
        model, version = (versioned["model"], versioned["version"]) if versioned else (output_dir.name, None)
        about = About(model, version, Lineage(base_ref=base_model.resolve().name))
        write_ggufs(base_model, lora_adapter, outputs, about, cpu_limit(), shown())
    except TrainerError as error:
        raise SentenceError(error) from error
    for path in outputs.values():
        click.echo(path)


def quantizations(text: str) -> list[Quantization]:
    """The quantizations that a comma-separated list names, in any case. Raises InputError."""
    known = {name.casefold(): name for name in get_args(Quantization)}
    asked = [name.strip().replace("-", "_") for name in text.split(",") if name.strip()]
    if unknown := [name for name in asked if name.casefold() not in known]:
        raise InputError(f"--quantize: {unknown[0]!r} is none of {', '.join(known.values())}")
    if not asked:
        raise InputError(f"--quantize: name at least one of {', '.join(known.values())}")
    return [known[name.casefold()] for name in dict.fromkeys(asked)]


def shown() -> Callable[[int, int], None]:
    """Shows percent: one line that is written over on a terminal, a line for each tenth elsewhere."""
    terminal, last = sys.stderr.isatty(), -1

    def show(done: int, total: int) -> None:
        nonlocal last
        percent = 100 * done // total
        if percent >= last + (1 if terminal else 10) or (percent == 100 and percent != last):
            last = percent
            line = f"merging and quantizing: {percent} % of {total / 1e6:.0f} million weights"
            click.echo(f"\r\033[K{line}" if terminal else line, err=True, nl=not terminal or percent == 100)

    return show
