"""Publishes what `prepare` wrote as an immutable revision. Knows the bucket; the rules of preparation are elsewhere.

The digest covers the tasks' files alone, so that the same rows give the same revision however often they are prepared.
"""

import json
from datetime import UTC, datetime
from hashlib import file_digest
from pathlib import Path

from jinja2 import Environment, PackageLoader

from regimen.spec.artifacts import (
    MANIFEST,
    DatasetManifest,
    content_digest,
    dataset_prefix,
    prepared_key,
)
from regimen.spec.dataset import TrainingDatasetSpec
from regimen.spec.tasks import PrepareTask
from regimen.store import AlreadyExistsError, NotFoundError, Store
from regimen_trainer.data.prepare import Outcome, prepare
from regimen_trainer.data.surrogates import SurrogateTable
from regimen_trainer.errors import InputError, TrainerError
from regimen_trainer.logs import log

REPORTS = ("report.json", "report.html", "rejects.csv")


def run(task: PrepareTask, store: Store, scratch: Path) -> None:
    """Prepare a dataset and publish the revision, unless it is published already. Raises InputError."""
    files = fetch(task.spec, store, scratch / "raw")
    table = load_table(store, table_key(task))
    known = SurrogateTable.from_json(table.to_json())
    outcome = prepare(task.spec, files, table, scratch / "revision")
    if table.grown:
        save_table(store, table_key(task), known, table)
    digest = write_reports(scratch / "revision", outcome, f"Dataset {task.namespace}/{task.dataset}")
    manifest = publish(task, store, scratch / "revision", digest, outcome)
    store.put(prepared_key(task.namespace, task.dataset, task.spec_hash), manifest.model_dump_json(by_alias=True).encode())
    log("prepared", digest=digest, read=outcome.read, used=outcome.used, rejected=dict(outcome.rejected))


def fetch(spec: TrainingDatasetSpec, store: Store, folder: Path) -> dict[str, list[Path]]:
    """Download each source's files. Raises InputError naming the field of a file that is not there."""
    files: dict[str, list[Path]] = {}
    for name in ("claims", "documents"):
        source = getattr(spec.sources, name)
        for index, entry in enumerate(source.csv if source else ()):
            path = folder / f"{name}-{index}.csv"
            try:
                store.download(entry.uri, path)
            except NotFoundError as error:
                raise InputError(
                    f"sources.{name}.csv[{index}].uri: {entry.uri} does not exist; upload it or correct the address"
                ) from error
            files.setdefault(name, []).append(path)
    return files


def table_key(task: PrepareTask) -> str:
    return f"surrogates/{task.namespace}/{task.dataset}.json"


def load_table(store: Store, key: str) -> SurrogateTable:
    try:
        return SurrogateTable.from_json(store.get(key))
    except NotFoundError:
        fresh = SurrogateTable.empty()
        try:
            store.put_once(key, fresh.to_json())
        except AlreadyExistsError:
            return SurrogateTable.from_json(store.get(key))
        return fresh


def save_table(store: Store, key: str, known: SurrogateTable, grown: SurrogateTable) -> None:
    """Write the grown table, before anything is published under it. Raises TrainerError where another run changed it meanwhile."""
    now = SurrogateTable.from_json(store.get(key))
    if not now.merged(known):
        raise TrainerError("another preparation of this dataset changed the surrogate table; try again")
    store.put(key, grown.to_json())


def write_reports(folder: Path, outcome: Outcome, title: str) -> str:
    """Write report.json and report.html beside the files; returns the revision's digest."""
    digest = content_digest((name, _sha256(folder / name)) for name in outcome.content)
    document = {**vars(outcome), "tasks": [task.model_dump(by_alias=True) for task in outcome.tasks], "digest": digest}
    (folder / "report.json").write_text(json.dumps(document, indent=2, sort_keys=True))
    page = Environment(loader=PackageLoader("regimen_trainer"), autoescape=True).get_template("dataset_report.html.jinja")
    (folder / "report.html").write_text(page.render(title=title, digest=digest, outcome=outcome))
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
        rejected=dict(outcome.rejected),
        published_at=datetime.now(UTC),
    )
    try:
        store.put_once(prefix + MANIFEST, manifest.model_dump_json(by_alias=True).encode())
    except AlreadyExistsError:
        return DatasetManifest.model_validate_json(store.get(prefix + MANIFEST))
    return manifest
