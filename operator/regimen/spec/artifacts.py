"""The bucket's layout and the documents in it: the one contract between operator and images about artifacts.

    datasets/<namespace>/<dataset>/<digest12>/…            a dataset revision; manifest.json last
    datasets/<namespace>/<dataset>/prepared/<spec hash>.json   the revision that a spec gave; written last
    restricted/<namespace>/<dataset>/…                     what a dataset remembers between revisions: surrogates, sides, rows (restricted)
    models/<namespace>/<model>/<version>/claim.json        who may publish this version (written once)
    models/<namespace>/<model>/<version>/<stage>/<digest12>/…   files of a stage; never overwritten with other content. An F16 GGUF that only
                                                           evaluation needed is removed when its job ends
    models/<namespace>/<model>/<version>/jobs/<uid>/<stage>.json    what the stage made (written once)
    models/<namespace>/<model>/<version>/jobs/<uid>/progress-<stage>.json   overwritten while the stage runs
    models/<namespace>/<model>/<version>/jobs/<uid>/checkpoints/<attempt>/<step>/…   a checkpoint of training; checkpoint.json last
    models/<namespace>/<model>/<version>/manifest.json     the version exists from here on (written once, last)
    models/<namespace>/<model>/<version>/README.md         model card, written before the manifest
    base/<namespace>/<ModelVersion>/<digest12>/…           weights copied from a hub or a volume; whole once their import has its record
    evaluations/<file digest12>/<asked digest12>/<digest12>.jsonl   what a GGUF answered so far: row ids, labels and scores, no texts
    services/<namespace>/<service>/serving.json            what serves (law 1)

`<digest12>` is the first 12 hex digits of the sha256 over the sorted "path sha256" lines of the files below it.
"""

from collections.abc import Iterable
from datetime import datetime
from hashlib import sha256
from typing import Any, Literal

from pydantic import Field

from regimen.spec.meta import Status

MANIFEST = "manifest.json"
CARD = "README.md"
Stage = Literal["adapter", "weights", "gguf", "evaluation"]


class Artifact(Status):
    """One object in the bucket."""

    path: str = Field(description="File name relative to the stage or revision.")
    uri: str = Field(description="s3:// address.")
    sha256: str = Field(description="Hex digest of the content.")
    bytes: int = Field(description="Size in bytes.")


class ModelShape(Status):
    """What memory and time of a model depend on, read from config.json and the weights themselves."""

    architecture: str = Field(description="As config.json names it, e.g. LlamaForCausalLM.")
    parameters: int = Field(description="Weights in all.")
    layers: int = Field(description="Transformer blocks.")
    hidden_size: int = Field(description="Width of the model.")
    intermediate_size: int = Field(description="Width inside the feed-forward layers.")
    vocabulary: int = Field(description="Rows of the embedding.")
    heads: int = Field(description="Attention heads.")
    kv_heads: int = Field(description="Key and value heads.")
    head_dim: int = Field(description="Width of an attention head.")
    tied: bool = Field(False, description="Whether the output layer is the embedding.")


class CheckpointManifest(Status):
    """A checkpoint of training. Its existence says that all its files are there; the digests say whether they are whole."""

    step: int = Field(description="Optimiser steps done.")
    total_steps: int
    attempt: str = Field(description="Pod that wrote it. Each attempt writes below its own prefix, so a lost old trainer spoils nothing.")
    micro_batch: int = Field(
        description="Rows of the longest length that fit the memory at once; with packing, as many rows as have their tokens."
    )
    activation_checkpointing: bool = Field(False, description="Whether activations are computed again, because they did not fit.")
    recipe: str = Field("", description="Digest of method, base and rows: what the training follows from.")
    files: list[Artifact]
    at: datetime


class StageRecord(Status):
    """What one stage of a job made. Its existence says that all its files are complete."""

    stage: Stage
    job: str = Field(description="namespace/name of the resource the stage ran for.")
    uid: str
    files: list[Artifact]
    figures: dict[str, float | int | str | None] = Field(default_factory=dict, description="Numbers for status and reports.")
    shape: ModelShape | None = Field(None, description="Of weights.")
    image: str | None = Field(None, description="Image that made it, as the operator started it.")
    finished_at: datetime


class Progress(Status):
    """How far a running stage is; overwritten every few seconds."""

    step: int = 0
    total_steps: int = 0
    loss: float | None = None
    tokens_per_second: float | None = None
    eta_seconds: float | None = None
    checkpoint_step: int | None = Field(None, description="Step of the newest checkpoint in the bucket.")
    bytes: int | None = Field(None, description="Bytes fetched and verified, of an import.")
    total_bytes: int | None = None
    message: str = ""
    at: datetime


class Lineage(Status):
    """Where a version comes from."""

    base_ref: str | None = Field(None, description="ModelVersion whose 16-bit weights were trained from.")
    base_digest: str | None = Field(None, description="Digest of those weights.")
    base_source: str | None = Field(None, description="Where the weights came from, e.g. <owner>/<name>@<commit> of the hub.")
    base_license: str | None = Field(None, description="Licence that the hub states for them.")
    dataset: str | None = Field(None, description="TrainingDataset trained on.")
    dataset_revision: str | None = Field(None, description="Digest of its revision.")
    split_seed: int | None = Field(None, description="Seed by which that revision was split.")
    task: str | None = Field(None, description="Task trained on.")
    fine_tune_job: str | None = Field(None, description="FineTuneJob that made it.")
    job_spec: dict[str, Any] = Field(default_factory=dict, description="Its spec, as it was then.")
    adapter_source: str | None = Field(None, description="Where the adapter was taken from, if it was trained elsewhere.")
    images: dict[str, str] = Field(default_factory=dict, description="Image of each stage; a digest where the chart's values name one.")
    libraries: dict[str, str] = Field(default_factory=dict, description="Versions of the libraries used.")


class VersionManifest(Status):
    """A published model version; immutable."""

    name: str
    model: str
    version: str
    lineage: Lineage
    adapter: list[Artifact] = Field(default_factory=list)
    gguf: list[Artifact] = Field(default_factory=list)
    evaluation: list[Artifact] = Field(default_factory=list)
    card: Artifact | None = None
    figures: dict[str, float | int | str | None] = Field(default_factory=dict)
    published_at: datetime


class TaskFigures(Status):
    """What a revision holds for one task."""

    name: str = Field(description="Name of the task.")
    train: int = Field(description="Rows to train on.")
    test: int = Field(description="Held-out rows.")
    labels: dict[str, int] = Field(default_factory=dict, description="Rows by label, for label tasks.")
    train_path: str = Field(description="Training file, relative to the revision.")
    test_path: str = Field(description="Held-out file, relative to the revision.")
    tokens_p95: int | None = Field(None, description="Tokens of 95 of 100 training rows at most; with spec.tokens.")
    truncated_percent: float | None = Field(None, description="Training rows longer than spec.tokens.maxLength.")


class DatasetManifest(Status):
    """A published dataset revision; immutable."""

    dataset: str
    digest: str = Field(description="sha256:… over the sorted 'path sha256' lines of the content files.")
    files: list[Artifact]
    tasks: list[TaskFigures]
    rows_read: int
    rows_used: int
    split_seed: int | None = Field(None, description="Seed of the split.")
    rejected: dict[str, int] = Field(default_factory=dict, description="Rejected rows by reason.")
    warnings: list[str] = Field(default_factory=list, description="What a person should look at, a sentence each.")
    published_at: datetime


class Claim(Status):
    """Who may publish a version, and from what: pinned here, because a status can be lost."""

    job: str = Field(description="namespace/name of the FineTuneJob.")
    uid: str
    dataset_revision: str = Field(description="Revision pinned when the job began.")


class ServingRecord(Status):
    """What a service serves; kept in a ControllerRevision and, as a pointer, in the bucket."""

    version_ref: str = Field(description="ModelVersion that serves.")
    previous_ref: str | None = Field(None, description="ModelVersion that served before.")
    revision: int
    by: str = Field(description="What decided it: baseline, or a rollout's name.")


def content_digest(files: Iterable[tuple[str, str]]) -> str:
    """Digest of a set of files from their (path, sha256 hex) pairs, whatever their order. Returns `sha256:<hex>`."""
    lines = "".join(f"{path} {digest}\n" for path, digest in sorted(files))
    return f"sha256:{sha256(lines.encode()).hexdigest()}"


def short(digest: str) -> str:
    """The 12 hex digits that name a digest in object keys."""
    return digest.removeprefix("sha256:")[:12]


def dataset_prefix(namespace: str, dataset: str, digest: str) -> str:
    return f"datasets/{namespace}/{dataset}/{short(digest)}/"


def memory_prefix(namespace: str, dataset: str) -> str:
    return f"restricted/{namespace}/{dataset}/"


def prepared_key(namespace: str, dataset: str, spec_hash: str) -> str:
    return f"datasets/{namespace}/{dataset}/prepared/{spec_hash}.json"


def version_prefix(namespace: str, model: str, version: str) -> str:
    return f"models/{namespace}/{model}/{version}/"


def claim_key(namespace: str, model: str, version: str) -> str:
    return f"{version_prefix(namespace, model, version)}claim.json"


def manifest_key(namespace: str, model: str, version: str) -> str:
    return f"{version_prefix(namespace, model, version)}{MANIFEST}"


def card_key(namespace: str, model: str, version: str) -> str:
    return f"{version_prefix(namespace, model, version)}{CARD}"


def base_prefix(namespace: str, name: str, digest: str) -> str:
    """Weights that the import of ModelVersion `name` copied, by the digest over all their files."""
    return f"base/{namespace}/{name}/{short(digest)}/"


def stage_record_key(namespace: str, model: str, version: str, uid: str, stage: Stage) -> str:
    return f"{version_prefix(namespace, model, version)}jobs/{uid}/{stage}.json"


def progress_key(namespace: str, model: str, version: str, uid: str, stage: Stage) -> str:
    return f"{version_prefix(namespace, model, version)}jobs/{uid}/progress-{stage}.json"


def checkpoints_prefix(namespace: str, model: str, version: str, uid: str) -> str:
    return f"{version_prefix(namespace, model, version)}jobs/{uid}/checkpoints/"


def answers_prefix(file_digest: str, asked_digest: str) -> str:
    return f"evaluations/{short(file_digest)}/{short(asked_digest)}/"


def serving_key(namespace: str, service: str) -> str:
    return f"services/{namespace}/{service}/serving.json"
