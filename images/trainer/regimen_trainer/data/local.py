"""Preparation without a cluster: files of this machine in, a folder out, by the same rules as a TrainingDataset."""

import os
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from regimen.spec.dataset import TrainingDatasetSpec
from regimen_trainer.data.prepare import SOURCES, Outcome, prepare
from regimen_trainer.data.publish import write_reports
from regimen_trainer.data.surrogates import SurrogateTable
from regimen_trainer.errors import InputError
from regimen_trainer.tasks import DEFAULT_LABELS


def prepare_local(
    csvs: Mapping[str, Path | None],
    folder: Path,
    split: bool,
    test_fraction: float,
    seed: int,
    known_values: Sequence[str],
    surrogates: Path,
) -> Outcome:
    """Prepare what there is. Raises InputError."""
    files = {name: [path] for name, path in csvs.items() if path is not None}
    if not files:
        raise InputError("give --claims_csv, --documents_csv or both")
    spec = default_spec(list(files), test_fraction, seed, known_values if "claims" in files else [])
    folder.mkdir(parents=True, exist_ok=True)
    table = SurrogateTable.from_json(surrogates.read_bytes()) if surrogates.exists() else SurrogateTable.empty()
    outcome = prepare(spec, files, table, folder, split)
    write_private(surrogates, table.to_json())
    write_reports(folder, outcome, "Training data")
    return outcome


def default_spec(sources: Sequence[str], test_fraction: float, seed: int, known_values: Sequence[str]) -> TrainingDatasetSpec:
    """The seed document's three tasks over the sources that are given."""
    label = {"type": "Label", "labels": list(DEFAULT_LABELS), "positive": "DENIED"}
    csv: dict[str, Any] = {"csv": [{"uri": "s3://local/file.csv"}]}
    return TrainingDatasetSpec.model_validate(
        {
            "sources": dict.fromkeys(sources, csv),
            "tasks": [
                {"name": task, "output": label if task == "adjudication" else {"type": "Text"}}
                for task, source in SOURCES.items()
                if source in sources
            ],
            "deidentify": {"knownValues": list(known_values)},
            "split": {"testFraction": test_fraction, "seed": seed},
        }
    )


def write_private(path: Path, data: bytes) -> None:
    """Write a file that only its owner may read, whole or not at all."""
    partial = path.with_name(f".{path.name}.partial")
    partial.unlink(missing_ok=True)
    with os.fdopen(os.open(partial, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "wb") as file:
        file.write(data)
        os.fsync(file.fileno())
    partial.replace(path)
