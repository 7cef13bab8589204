"""What the stages of a version share: where their files lie, their record, their progress.

A stage uploads its files under a prefix named after their digest and writes its record last; a record that exists means that the stage is
done, whoever did it.
"""

import os
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import NoReturn

from regimen.spec.artifacts import (
    Artifact,
    ModelShape,
    Progress,
    Stage,
    StageRecord,
    content_digest,
    progress_key,
    short,
    stage_record_key,
    version_prefix,
)
from regimen.spec.tasks import AdoptTask, CompareTask, ConvertTask, EvaluateTask, ImportTask, TrainTask
from regimen.store import AlreadyExistsError, NotFoundError, Store, StoreError
from regimen_trainer.errors import InputError
from regimen_trainer.kept import cached
from regimen_trainer.kept import sha256_of as sha256_of
from regimen_trainer.logs import log
from regimen_trainer.weights import Tensor, check_layout, header, members

Figures = Mapping[str, float | int | str | None]
VersionTask = TrainTask | AdoptTask | ConvertTask | EvaluateTask | CompareTask | ImportTask
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

    def finish(self, files: Sequence[Artifact], figures: Figures, shape: ModelShape | None = None) -> None:
        """Write the record. Where another attempt was faster, its record stands."""
        record = StageRecord(
            stage=self.stage, job=self.owner, uid=self.task.uid, files=list(files), figures=dict(figures), shape=shape,
            image=os.environ.get("REGIMEN_IMAGE"), finished_at=datetime.now(UTC),
        )  # fmt: skip
        try:
            self.store.put_once(self.key_of(self.stage), record.model_dump_json(by_alias=True).encode())
        except AlreadyExistsError:
            log("another attempt finished first", stage=self.stage)
        log("finished", stage=self.stage, figures=dict(figures), files=[artifact.path for artifact in files])


def fetch_model(store: Store, uri: str, folder: Path, digest: str | None = None, cache: Path | None = None) -> Path:
    """A model in Hugging Face layout, to be read and never written to. Returns its folder: `folder`, or the node's cache.

    With a `digest` (as the import recorded it) the files are those or none. They come from `cache`, by default REGIMEN_CACHE_DIR, where the
    pod has one: fetched once for all pods of the node. Raises InputError.
    """
    prefix = uri if uri.endswith("/") else f"{uri}/"
    cache = cache or (Path(os.environ["REGIMEN_CACHE_DIR"]) if os.environ.get("REGIMEN_CACHE_DIR") else None)

    def names() -> list[str]:
        root = prefix.split("/", 3)[3]
        found = [key.removeprefix(root) for key in store.keys_at(prefix)]
        check_layout(found, prefix, "baseRef")
        return members(found)

    def fetch(name: str, path: Path) -> str:
        return store.download(prefix + name, path)

    if cache is not None and digest is not None:
        try:
            kept = cached(cache, digest, names, fetch)
        except OSError as error:
            log(
                "the cache cannot be used; fetching into scratch space",
                level="warning",
                cache=str(cache),
                fault=os.strerror(error.errno or 0),
            )
        else:
            return kept or _changed(prefix, digest)
    digests = {name: fetch(name, folder / name) for name in names()}
    if digest is not None and content_digest(digests.items()) != digest:
        _changed(prefix, digest)
    return folder


def _changed(prefix: str, digest: str) -> NoReturn:
    raise InputError(
        f"baseRef: the files under {prefix} are not those that were imported ({short(digest)}); restore them, or create another ModelVersion"
    )


def header_in_bucket(store: Store, uri: str) -> dict[str, Tensor]:
    """Tensors of a safetensors file in the bucket; its header alone is fetched."""
    return header(lambda start, length: store.get_range(uri, start, length), store.size(uri) or 0, uri.rsplit("/", 1)[1])


def libraries(*names: str) -> dict[str, str]:
    """Installed versions, for lineage: figures `library.<name>`."""
    found = {}
    for name in names:
        try:
            found[f"library.{name}"] = version(name)
        except PackageNotFoundError:
            continue
    return found
