"""Commands that need no model library: generate, prepare_data."""

import sys
from pathlib import Path

import click

from regimen.spec.dataset import SourceName
from regimen_trainer.commands import EXISTING_FOLDER, FILE, FOLDER, SentenceError, option
from regimen_trainer.errors import InputError, TrainerError

PEOPLE = ["patient_name", "member_id"]
"""Columns that name people in the exports that the business has now."""


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
@option("tokenizer", type=EXISTING_FOLDER, help="Folder with a model's tokenizer, to measure lengths.")
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
