"""generate-model: a small model to try everything with."""

from pathlib import Path
from typing import get_args

import click

from regimen.spec.meta import Quantization
from regimen_trainer.commands import FOLDER, SentenceError, option
from regimen_trainer.errors import TrainerError


@click.command("generate-model")
@option("out", required=True, type=FOLDER, help="Folder to write to: weights/ and the baseline GGUF.")
@option("seed", default=7, show_default=True, help="The same seed gives the same weights on the same machine.")
@option("name", default="baseline", show_default=True, help="Name of the model in the GGUF's file name and metadata.")
@option("quantization", default="Q6_K", show_default=True, type=click.Choice(get_args(Quantization)), help="Quantization of the GGUF.")
@option("upload", metavar="PREFIX", help="Also upload everything below this prefix of the bucket (REGIMEN_S3_… say which).")
def generate_model(out: Path, seed: int, name: str, quantization: Quantization, upload: str | None) -> None:
    """Make a small base model that decides by an outdated policy, as 16-bit weights and as GGUF."""
    from regimen_trainer.conversion import About, write_ggufs
    from regimen_trainer.generator import base_model
    from regimen_trainer.train import cpu_limit, set_threads

    try:
        set_threads()
        base_model.make(out / "weights", seed)
        path = out / f"{name}-{quantization}.gguf"
        write_ggufs(out / "weights", None, {quantization: path}, About(name, "v0.0"), cpu_limit())
        if upload is not None:
            from regimen.store import Store

            store = Store.from_env()
            for file in sorted(item for item in out.rglob("*") if item.is_file()):
                relative = str(file.relative_to(out))
                store.upload(file, f"{upload}{relative}", relative)
    except TrainerError as error:
        raise SentenceError(error) from error
    click.echo(path)
