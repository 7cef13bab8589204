"""Click commands of the trainer: generate, generate-model, prepare_data, run-task. Wired into `regimen` by entry points.

Options are accepted in both spellings, `--claims_csv` and `--claims-csv`. Nothing heavy is imported before a command runs.
"""

import os
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any, get_args

import click

from regimen.spec.dataset import SourceName
from regimen.spec.meta import Quantization
from regimen_trainer.errors import InputError, TrainerError

FOLDER = click.Path(file_okay=False, path_type=Path)
PEOPLE = ["patient_name", "member_id"]
"""Columns that name people in the exports that the business has now."""
FILE = click.Path(exists=True, dir_okay=False, path_type=Path)


def option(name: str, **settings: Any) -> Callable[[Any], Any]:
    """An option in both spellings."""
    return click.option(f"--{name.replace('_', '-')}", *([f"--{name}"] if "_" in name else []), name, **settings)


class SentenceError(click.ClickException):
    """An error of ours as click shows it: one sentence, and the exit code of the contract."""

    def __init__(self, error: TrainerError) -> None:
        super().__init__(str(error))
        self._code = error.exit_code

    @property
    def exit_code(self) -> int:  # type: ignore[override]
        """What click exits with."""
        return self._code


@click.command()
@option("claims", default=4000, show_default=True, type=click.IntRange(0), help="Rows of historical_claims.csv.")
@option("documents", default=400, show_default=True, type=click.IntRange(0), help="Rows of clinical_documents.csv.")
@option("seed", default=7, show_default=True, help="The same seed gives the same rows.")
@option("out", required=True, type=FOLDER, help="Folder to write to.")
@option("shuffle_labels", is_flag=True, help="Permute final_decision, for a candidate that must fail.")
@option("detailed", is_flag=True, help="Longer reviews, no two of them alike.")
def generate(claims: int, documents: int, seed: int, out: Path, shuffle_labels: bool, detailed: bool) -> None:
    """Write synthetic claims and clinical documents: plausible, full of invented identifiers, of nobody."""
    from regimen_trainer.generator.write import write_all

    for path in write_all(out, claims, documents, seed, shuffle_labels, detailed):
        click.echo(path)


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


@click.command("prepare_data")
@option("claims_csv", type=FILE, multiple=True, help="Export of historical claims; several times for several files. gzip or not.")
@option("documents_csv", type=FILE, multiple=True, help="Export of clinical documents, likewise.")
@option("output_dir", required=True, type=FOLDER, help="Folder for the JSONL files and the report.")
@option("split", is_flag=True, help="Hold out rows for evaluation (*_test.jsonl). Without it all rows are for training.")
@option(
    "test_fraction",
    default=0.1,
    show_default=True,
    type=click.FloatRange(0, 0.5, min_open=True, max_open=True),
    help="Share of rows held out.",
)
@option("seed", default=42, show_default=True, help="Seed of the split.")
@option(
    "known_values",
    help="Columns whose values are scrubbed from the texts of their row.  [default: patient_name,member_id where an export has them]",
)
@option("spec", type=FILE, help="Manifest of a TrainingDataset, for column mappings, tasks and all else; options above then do not count.")
@option(
    "tokenizer", type=click.Path(exists=True, file_okay=False, path_type=Path), help="Folder with a model's tokenizer, to measure lengths."
)
@option("workers", default=0, help="Processes that clean texts.  [default: one for each core]")
@option(
    "memory",
    type=FOLDER,
    help="What is kept between runs: surrogates, sides, rows. As restricted as the export.  [default: OUTPUT_DIR/restricted]",
)
def prepare_data(
    claims_csv: tuple[Path, ...],
    documents_csv: tuple[Path, ...],
    output_dir: Path,
    split: bool,
    test_fraction: float,
    seed: int,
    known_values: str | None,
    spec: Path | None,
    tokenizer: Path | None,
    workers: int,
    memory: Path | None,
) -> None:
    """Turn exports into de-identified training files, as a TrainingDataset does."""
    from regimen_trainer.data.local import Request, default_spec, prepare_local, spec_from

    csvs: dict[SourceName, tuple[Path, ...]] = {"claims": claims_csv, "documents": documents_csv}
    try:
        known = [name for name in known_values.split(",") if name] if known_values is not None else PEOPLE
        shares = {"testFraction": test_fraction, "seed": seed}
        if not any(csvs.values()):
            raise InputError("give --claims_csv, --documents_csv or both")
        asked = spec_from(spec) if spec else default_spec([name for name, paths in csvs.items() if paths], shares, known)
        request = Request(
            csvs,
            output_dir,
            memory or output_dir / "restricted",
            split,
            asked,
            tokenizer,
            workers,
            known_values is None and spec is None,
            _progress,
        )
        outcome = prepare_local(request)
    except TrainerError as error:
        raise SentenceError(error) from error
    for warning in outcome.warnings:
        click.echo(f"warning: {warning}", err=True)
    click.echo(f"{outcome.used} of {outcome.read} rows used; report: {output_dir / 'report.html'}")
    for name in outcome.content:
        click.echo(output_dir / name)


def _progress(message: str) -> None:
    """One line that is written over on a terminal; a line each elsewhere."""
    click.echo(f"\r\033[K{message}" if sys.stderr.isatty() else message, err=True, nl=not sys.stderr.isatty())


@click.command("run-task", hidden=True)
def run_task() -> None:
    """Run the task in REGIMEN_TASK: the entry of trainer pods."""
    from regimen_trainer.run import main

    # Interpreter shutdown with torch loaded takes a second; everything is uploaded and flushed by now.
    code = main()
    sys.stdout.flush()
    sys.stderr.flush()
    os._exit(code)
