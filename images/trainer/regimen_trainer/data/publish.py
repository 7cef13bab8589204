"""Publishes what `prepare` wrote as an immutable revision. Knows the bucket; the rules of preparation are elsewhere.

The digest covers the tasks' files alone, so that the same rows give the same revision however often they are prepared.
"""

import os
from collections.abc import Mapping
from datetime import UTC, datetime
from hashlib import file_digest
from pathlib import Path

from regimen.spec.artifacts import (
    MANIFEST,
    DatasetManifest,
    content_digest,
    dataset_prefix,
    memory_prefix,
    prepared_key,
)
from regimen.spec.dataset import Source, SourceName, TrainingDatasetSpec
from regimen.spec.tasks import PrepareTask, sql_variable
from regimen.store import AlreadyExistsError, NotFoundError, Store
from regimen_trainer.data.describe import describe
from regimen_trainer.data.intake import Export, plain, stream_query
from regimen_trainer.data.memory import Memory
from regimen_trainer.data.outcome import Outcome
from regimen_trainer.data.page import render
from regimen_trainer.data.prepare import REJECTS, Means, prepare
from regimen_trainer.data.tokens import measure
from regimen_trainer.errors import InputError, TrainerError
from regimen_trainer.logs import log

REPORTS = ("report.json", "report.html", REJECTS)


def run(task: PrepareTask, store: Store, scratch: Path) -> None:
    """Prepare a dataset and publish the revision, unless it is published already. Raises InputError."""
    exports = fetch(task.spec, store, scratch / "raw", os.environ)
    memory = recall(task, store, scratch / "memory")
    means = Means(scratch / "work", told=lambda message: log("progress", message=message))
    folder = scratch / "revision"
    outcome = prepare(task.spec, exports, memory, folder, means)
    tokenizer = fetch_tokenizer(task, store, scratch / "tokenizer")
    digest = write_reports(task.spec, folder, outcome, memory, f"Dataset {task.namespace}/{task.dataset}", tokenizer)
    remember(task, store, memory)
    manifest = publish(task, store, folder, digest, outcome)
    store.put(prepared_key(task.namespace, task.dataset, task.spec_hash), manifest.model_dump_json(by_alias=True).encode())
    log("prepared", digest=digest, read=outcome.read, used=outcome.used, rejected=dict(outcome.rejected))


def fetch(spec: TrainingDatasetSpec, store: Store, folder: Path, environ: Mapping[str, str]) -> dict[SourceName, list[Export]]:
    """Each source's rows as local files. Raises InputError naming the field of a file that is not there."""
    exports: dict[SourceName, list[Export]] = {}
    for name in ("claims", "documents"):
        source: Source | None = getattr(spec.sources, name)
        if source is None:
            continue
        exports[name] = [
            *_files(source, name, store, folder / name, golden=False),
            *_files(source, name, store, folder / name, golden=True),
        ]
        if source.sql is not None:
            exports[name].append(_query(source, name, folder / name, environ))
    return exports


def _files(source: Source, name: SourceName, store: Store, folder: Path, golden: bool) -> list[Export]:
    kind = "golden" if golden else "csv"
    found: list[Export] = []
    for index, entry in enumerate(getattr(source, kind)):
        field = f"sources.{name}.{kind}[{index}].uri"
        objects = store.matching(entry.uri)
        if not objects:
            raise InputError(f"{field}: {entry.uri} does not exist; upload it or correct the address")
        for uri in objects:
            path = folder / kind / f"{index}-{len(found)}.csv"
            store.download(uri, path)
            scratch = folder / "plain"
            scratch.mkdir(exist_ok=True)
            found.append(Export(uri.split("/", 3)[3], *plain(path, uri.rsplit("/", 1)[1], field, scratch), golden))
    return found


def _query(source: Source, name: SourceName, folder: Path, environ: Mapping[str, str]) -> Export:
    assert source.sql is not None
    field = f"sources.{name}.sql"
    url = environ.get(sql_variable(name), "")
    if not url:
        raise InputError(f"{field}.urlFrom: the Secret's key {source.sql.url_from.secret_key_ref.key} is empty; write the URL there")
    folder.mkdir(parents=True, exist_ok=True)
    path = folder / "query.parquet"
    rows = stream_query(url, source.sql.query, path, field)
    log("query read", source=name, rows=rows)
    return Export("query", path)


def recall(task: PrepareTask, store: Store, folder: Path) -> Memory:
    """The dataset's memory, with the files of its newest generation."""
    prefix = memory_prefix(task.namespace, task.dataset)
    folder.mkdir(parents=True, exist_ok=True)
    documents = [key for key in store.keys(prefix) if key.rpartition("/")[2].startswith("generation-")]
    if documents:
        newest = max(documents)
        (folder / newest.removeprefix(prefix)).write_bytes(store.get(newest))
        for name in Memory.load(folder, whole=False).generation.files():
            store.download(store.uri(prefix + name), folder / name)
    return Memory.load(folder)


def remember(task: PrepareTask, store: Store, memory: Memory) -> None:
    """Keep what the memory learned, before anything is published under it. Raises TrainerError where another run was faster."""
    if not memory.grown:
        return
    prefix = memory_prefix(task.namespace, task.dataset)
    name, document = memory.document()
    try:
        if store.exists(prefix + name):
            raise AlreadyExistsError(name)
        for added in memory.added():
            store.upload(memory.staging / added, prefix + added, added)
        store.put_once(prefix + name, document)
    except AlreadyExistsError as error:
        raise TrainerError("another preparation of this dataset changed its memory; try again") from error


def fetch_tokenizer(task: PrepareTask, store: Store, folder: Path) -> Path | None:
    """The tokenizer's files of the weights that the spec names."""
    if task.tokenizer_uri is None:
        return None
    prefix = task.tokenizer_uri if task.tokenizer_uri.endswith("/") else f"{task.tokenizer_uri}/"
    root = prefix.split("/", 3)[3]
    for key in store.keys_at(prefix):
        name = key.removeprefix(root)
        if "/" not in name and name.endswith((".json", ".model", ".txt", ".jinja")):
            store.download(prefix + name, folder / name)
    return folder


def write_reports(spec: TrainingDatasetSpec, folder: Path, outcome: Outcome, memory: Memory, title: str, tokenizer: Path | None) -> str:
    """Write report.json and report.html beside the files; returns the revision's digest."""
    digest = content_digest((name, _sha256(folder / name)) for name in outcome.content)
    limit = spec.tokens.max_length if spec.tokens else 2048
    tokens = {task.name: measure(folder / task.train_path, tokenizer, limit) for task in outcome.tasks} if tokenizer else {}
    outcome.tasks = [
        task.model_copy(update={"tokens_p95": tokens[task.name].p95, "truncated_percent": tokens[task.name].truncated_percent})
        if task.name in tokens
        else task
        for task in outcome.tasks
    ]
    document = describe(spec, outcome, title, digest, memory.published(digest), tokens)
    outcome.bench.close()
    (folder / "report.json").write_text(document.model_dump_json(by_alias=True, indent=2), encoding="utf-8")
    (folder / "report.html").write_text(render(document), encoding="utf-8")
    return digest


def _sha256(path: Path) -> str:
    with path.open("rb") as file:
        return file_digest(file, "sha256").hexdigest()


def publish(task: PrepareTask, store: Store, folder: Path, digest: str, outcome: Outcome) -> DatasetManifest:
    """Upload the files, then the manifest. A revision that exists already is returned as it is."""
    prefix = dataset_prefix(task.namespace, task.dataset, digest)
    try:
        return DatasetManifest.model_validate_json(store.get(prefix + MANIFEST))
    except NotFoundError:
        log("publishing", digest=digest)
    manifest = DatasetManifest(
        dataset=task.dataset,
        digest=digest,
        tasks=outcome.tasks,
        rows_read=outcome.read,
        rows_used=outcome.used,
        files=[store.upload(folder / name, prefix + name, name) for name in (*sorted(outcome.content), *REPORTS)],
        rejected=dict(outcome.rejected.most_common()),
        warnings=outcome.warnings,
        split_seed=task.spec.split.seed,
        published_at=datetime.now(UTC),
    )
    try:
        store.put_once(prefix + MANIFEST, manifest.model_dump_json(by_alias=True).encode())
    except AlreadyExistsError:
        return DatasetManifest.model_validate_json(store.get(prefix + MANIFEST))
    return manifest
