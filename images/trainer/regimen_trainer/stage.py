"""What the stages of a version share: where their files lie, their record, their progress.

A stage uploads its files under a prefix named after their digest and writes its record last; a record that exists means that the stage is
done, whoever did it.
"""

import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from hashlib import file_digest
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path

from regimen.spec.artifacts import (
    Artifact,
    Progress,
    Stage,
    StageRecord,
    content_digest,
    progress_key,
    short,
    stage_record_key,
    version_prefix,
)
from regimen.spec.tasks import ConvertTask, EvaluateTask, ImportTask, TrainTask
from regimen.store import AlreadyExistsError, NotFoundError, Store, StoreError
from regimen_trainer.errors import InputError
from regimen_trainer.logs import log

Figures = Mapping[str, float | int | str | None]
VersionTask = TrainTask | ConvertTask | EvaluateTask | ImportTask
PROGRESS_SECONDS = 3.0


@dataclass
class StageRun:
    """One stage of one version in the bucket."""

    store: Store
    task: VersionTask
    stage: Stage
    _reported: float = field(default=0.0, init=False)

    @property
    def owner(self) -> str:
        """namespace/name of the resource that the stage runs for."""
        return f"{self.task.namespace}/{self.task.name if isinstance(self.task, ImportTask) else self.task.job}"

    def key_of(self, stage: Stage) -> str:
        """Key of the record of a stage of the same job."""
        return stage_record_key(self.task.namespace, self.task.model, self.task.version, self.task.uid, stage)

    def is_done(self) -> bool:
        return self.store.exists(self.key_of(self.stage))

    def record_of(self, stage: Stage) -> StageRecord:
        """The record of an earlier stage. Raises InputError where that stage has not finished."""
        try:
            return StageRecord.model_validate_json(self.store.get(self.key_of(stage)))
        except NotFoundError as error:
            raise InputError(f"stage {stage} of {self.owner} has left no record; run it first") from error

    def progress(self, progress: Progress, now: float | None = None, force: bool = False) -> None:
        """Overwrite the progress document, every few seconds at most. A bucket that fails here is logged and does not end the stage."""
        now = time.monotonic() if now is None else now
        if not force and now - self._reported < PROGRESS_SECONDS:
            return
        self._reported = now
        key = progress_key(self.task.namespace, self.task.model, self.task.version, self.task.uid, self.stage)
        try:
            self.store.put(key, progress.model_dump_json(by_alias=True).encode())
        except StoreError as error:
            log("progress not written", level="warning", error=type(error).__name__)

    def say(self, message: str) -> None:
        """Progress of a step that has no numbers."""
        self.progress(Progress(message=message, at=datetime.now(UTC)), force=True)
        log("progress", stage=self.stage, message=message)

    def upload(self, folder: Path, names: Sequence[str]) -> list[Artifact]:
        """Upload files of a folder under the digest of them all."""
        digest = content_digest((name, sha256_of(folder / name)) for name in names)
        prefix = f"{version_prefix(self.task.namespace, self.task.model, self.task.version)}{self.stage}/{short(digest)}/"
        return [self.store.upload(folder / name, prefix + name, name) for name in sorted(names)]

    def finish(self, files: Sequence[Artifact], figures: Figures) -> None:
        """Write the record. Where another attempt was faster, its record stands."""
        record = StageRecord(
            stage=self.stage, job=self.owner, uid=self.task.uid, files=list(files), figures=dict(figures), finished_at=datetime.now(UTC)
        )
        try:
            self.store.put_once(self.key_of(self.stage), record.model_dump_json(by_alias=True).encode())
        except AlreadyExistsError:
            log("another attempt finished first", stage=self.stage)
        log("finished", stage=self.stage, figures=dict(figures), files=[artifact.path for artifact in files])


def sha256_of(path: Path) -> str:
    """Hex digest of a file, read in pieces."""
    with path.open("rb") as file:
        return file_digest(file, "sha256").hexdigest()


def fetch_model(store: Store, uri: str, folder: Path) -> Path:
    """Download a model in Hugging Face layout: everything directly under the prefix but pickles. Returns the folder."""
    prefix = uri if uri.endswith("/") else f"{uri}/"
    keys = store.keys_at(prefix)
    root = prefix.split("/", 3)[3]
    names = [key.removeprefix(root) for key in keys]
    check_layout(names, prefix)
    for name in names:
        if "/" not in name and not name.endswith(".gguf"):
            store.download(prefix + name, folder / name)
    return folder


def check_layout(names: Sequence[str], where: str) -> None:
    """Raise InputError unless the files are a model that can be loaded without running code from it."""
    if pickles := [name for name in names if name.endswith((".bin", ".pt", ".pth", ".pkl", ".ckpt"))]:
        raise InputError(f"weights.uri: {pickles[0]} under {where} is a pickle, which can run code; convert the weights to safetensors")
    if "config.json" not in names or not any(name.endswith(".safetensors") for name in names):
        raise InputError(f"weights.uri: {where} must hold config.json and *.safetensors (Hugging Face layout); upload them")


def libraries(*names: str) -> dict[str, str]:
    """Installed versions, for lineage: figures `library.<name>`."""
    found = {}
    for name in names:
        try:
            found[f"library.{name}"] = version(name)
        except PackageNotFoundError:
            continue
    return found
