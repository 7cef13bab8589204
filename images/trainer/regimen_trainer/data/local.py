"""Preparation without a cluster: files of this machine in, a folder out, by the same rules as a TrainingDataset."""

import shutil
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import yaml
from pydantic import ValidationError

from regimen.spec.dataset import OWN_TASKS, SourceName, TrainingDatasetSpec
from regimen_trainer.data.files import SIDES, file_of
from regimen_trainer.data.intake import Export, plain
from regimen_trainer.data.memory import Memory
from regimen_trainer.data.outcome import Outcome
from regimen_trainer.data.prepare import Means, prepare
from regimen_trainer.data.publish import write_reports
from regimen_trainer.data.table import header_of
from regimen_trainer.errors import InputError
from regimen_trainer.tasks import DEFAULT_LABELS

EVERYTHING = "s3://local/export.csv"
"""Stands in a spec where files of this machine are read."""


@dataclass(frozen=True)
class Request:
    """What the command line asks for."""

    csvs: Mapping[SourceName, Sequence[Path]]
    folder: Path
    memory: Path
    split: bool
    spec: TrainingDatasetSpec
    tokenizer: Path | None = None
    workers: int = 0
    guessed: bool = False
    """Whether spec's knownValues are a guess of ours: then those that no export has do no harm."""
    told: Callable[[str], None] = lambda _: None


def prepare_local(request: Request) -> Outcome:
    """Prepare what there is. Raises InputError; then neither the folder nor the memory has changed."""
    if not any(request.csvs.values()):
        raise InputError("give --claims_csv, --documents_csv or both")
    with _folder(request.folder), TemporaryDirectory(prefix=".preparing-", dir=request.folder) as name:
        scratch, made = Path(name), Path(name) / "revision"
        memory = Memory.load(request.memory, scratch / "memory")
        (scratch / "plain").mkdir()
        exports = {source: _exports(paths, source, scratch / "plain") for source, paths in request.csvs.items() if paths}
        spec = _without_absent(request.spec, exports) if request.guessed else request.spec
        outcome = prepare(spec, exports, memory, made, Means(scratch / "work", request.workers, request.told), request.split)
        write_reports(spec, made, outcome, memory, "Training data", request.tokenizer)
        # First the memory: files whose sides nobody remembers would be split anew by the next run.
        memory.keep()
        for file in made.iterdir():
            shutil.move(file, request.folder / file.name)
        # Held-out files of an earlier run with --split would be trained on by now.
        for name in {file_of(task, side) for task in spec.tasks for side in SIDES}.difference(outcome.content):
            (request.folder / name).unlink(missing_ok=True)
    return outcome


@contextmanager
def _folder(path: Path) -> Iterator[None]:
    """The folder, made where it is missing; what was made is gone again where the work in it fails."""
    missing = [folder for folder in (path, *path.parents) if not folder.exists()]
    path.mkdir(parents=True, exist_ok=True)
    try:
        yield
    except BaseException:
        with suppress(OSError):
            for folder in missing:
                folder.rmdir()
        raise


def _exports(paths: Sequence[Path], source: SourceName, scratch: Path) -> list[Export]:
    """Files under their names, or with their folders where two have the same name."""
    names = [path.name for path in paths]
    told = [path.name if names.count(path.name) == 1 else str(path) for path in paths]
    return [Export(name, *plain(path, name, f"--{source}_csv", scratch)) for path, name in zip(paths, told, strict=True)]


def _without_absent(spec: TrainingDatasetSpec, exports: Mapping[SourceName, Sequence[Export]]) -> TrainingDatasetSpec:
    there = {column for source, files in exports.items() for file in files for column in header_of(file, f"--{source}_csv")[0]}
    known = [column for column in spec.deidentify.known_values if column in there]
    return spec.model_copy(update={"deidentify": spec.deidentify.model_copy(update={"known_values": known})})


def default_spec(sources: Sequence[SourceName], changes: Mapping[str, Any], known_values: Sequence[str]) -> TrainingDatasetSpec:
    """The seed document's three tasks over the sources that are given."""
    label = {"type": "Label", "labels": list(DEFAULT_LABELS), "positive": "DENIED"}
    return _parsed(
        {
            "sources": {source: {"csv": [{"uri": EVERYTHING}]} for source in sources},
            "tasks": [
                {"name": task, "output": label if task == "adjudication" else {"type": "Text"}}
                for task, (source, _) in OWN_TASKS.items()
                if source in sources
            ],
            "deidentify": {"knownValues": list(known_values)},
            "split": dict(changes),
        }
    )


def spec_from(path: Path) -> TrainingDatasetSpec:
    """The spec of a TrainingDataset's manifest; its sources' files are those of the command line. Raises InputError."""
    try:
        document = yaml.safe_load(path.read_text(encoding="utf-8"))
    except yaml.YAMLError as error:
        raise InputError(f"--spec: {path.name} is not YAML; give a TrainingDataset's manifest") from error
    if not isinstance(document, dict) or document.get("kind") != "TrainingDataset":
        raise InputError(f"--spec: {path.name} is no TrainingDataset; give its manifest")
    return _parsed(document.get("spec") or {})


def _parsed(spec: Mapping[str, Any]) -> TrainingDatasetSpec:
    try:
        return TrainingDatasetSpec.model_validate(spec)
    except ValidationError as error:
        first = error.errors(include_input=False)[0]
        raise InputError(f"spec.{'.'.join(map(str, first['loc']))}: {first['msg'].removeprefix('Value error, ')}") from error
