"""Where weights come from: the bucket itself, a hub, a volume. Each gives files in the bucket with digests, and the model's shape.

What is copied lies under the digest over all its files, so an import that was stopped finds what it has copied already, and the record of the
import, written last, is what makes the copy exist (law 7).
"""

import os
import shutil
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime
from pathlib import Path
from threading import Lock

from regimen.spec.artifacts import Artifact, ModelShape, Progress, base_prefix, content_digest
from regimen.spec.tasks import CLAIM_MOUNT, ImportTask
from regimen.spec.version import ClaimWeights, HuggingFaceWeights, Weights
from regimen.store import NotFoundError, Store
from regimen_trainer.errors import InputError, TrainerError
from regimen_trainer.hub import WORKERS, Hub
from regimen_trainer.kept import sha256_of
from regimen_trainer.language import is_inside, take_out
from regimen_trainer.stage import StageRun, header_in_bucket
from regimen_trainer.weights import CONFIG, INDEX, TOKENIZER_CONFIG, check_layout, members, read_config, read_model, shape_of

CLAIM = Path(CLAIM_MOUNT)
SPARE = 256 << 20
"""Bytes of scratch space that are left free."""


class Meter:
    """Counts bytes that were fetched and verified, and reports them every few seconds. Called from several threads."""

    def __init__(self, run: StageRun) -> None:
        self._run = run
        self._lock = Lock()
        self.done = self.total = 0

    def expect(self, count: int) -> None:
        self.total += count

    def __call__(self, count: int) -> None:
        with self._lock:
            self.done += count
            at = datetime.now(UTC)
            self._run.progress(Progress(bytes=self.done, total_bytes=self.total, message="fetching and verifying", at=at))


@dataclass(frozen=True)
class Taken:
    """Weights that are in the bucket and verified."""

    files: list[Artifact] = field(default_factory=list)
    shape: ModelShape | None = None
    source: str | None = None
    license: str | None = None


def take(task: ImportTask, weights: Weights, store: Store, scratch: Path, meter: Meter) -> Taken:
    """From whichever source the user names. Raises InputError, TrainerError."""
    if weights.hugging_face is not None:
        return from_hub(task, weights.hugging_face, store, scratch, meter)
    if weights.persistent_volume_claim is not None:
        return from_claim(task, weights.persistent_volume_claim, store, scratch, meter)
    if weights.s3 is not None:
        return from_bucket(weights.s3.uri, store, scratch, meter)
    raise AssertionError("weights have exactly one source")


def from_bucket(prefix: str, store: Store, scratch: Path, meter: Meter) -> Taken:
    """Weights that stay where they are: every file passes through scratch space once, to be measured."""
    root = prefix.split("/", 3)[3]
    there = [key.removeprefix(root) for key in store.keys_at(prefix)]
    check_layout(there, prefix)
    names = members(there)
    if is_inside(read_config(lambda name: store.get_uri(prefix + name))):
        raise InputError(
            f"weights.s3.uri: {prefix} is a vision-language model; import it by huggingFace or persistentVolumeClaim, which take its language model out"
        )
    config = read_model(lambda name: store.get_uri(prefix + name), names)
    meter.expect(sum(store.size(prefix + name) or 0 for name in names))
    files = []
    for name in names:
        digest, size, _ = measured(prefix + name, "weights.s3", store, scratch, meter)
        files.append(Artifact(path=name, uri=prefix + name, sha256=digest, bytes=size))
    return Taken(files, shape_in_bucket(config, files, store), prefix)


def measured(uri: str, field: str, store: Store, scratch: Path, meter: Meter) -> tuple[str, int, bytes]:
    """Digest, size and first four bytes of an object. It passes through scratch space, in pieces, and is removed again."""
    path = scratch / "measured"
    try:
        digest = store.download(uri, path, seen=meter)
    except NotFoundError as error:
        raise InputError(f"{field}.uri: {uri} does not exist; upload it or correct the address") from error
    try:
        with path.open("rb") as file:
            return digest, path.stat().st_size, file.read(4)
    finally:
        path.unlink()


def shape_in_bucket(config: Mapping[str, object], files: Sequence[Artifact], store: Store) -> ModelShape:
    """The shape, from the headers of the shards alone."""
    tensors = {}
    for file in files:
        if file.path.endswith(".safetensors"):
            tensors.update(header_in_bucket(store, file.uri))
    return shape_of(config, tensors)


@dataclass(frozen=True)
class Copy:
    """Weights on their way into the bucket, under the digest over all of them."""

    store: Store
    prefix: str
    digests: Mapping[str, str]

    @classmethod
    def of(cls, task: ImportTask, store: Store, digests: Mapping[str, str]) -> "Copy":
        return cls(store, base_prefix(task.namespace, task.name, content_digest(digests.items())), digests)

    def has(self, name: str, size: int) -> bool:
        """Whether an earlier try copied the file: objects appear whole or not at all."""
        return self.store.size(self.store.uri(self.prefix + name)) == size

    def put(self, path: Path, name: str) -> None:
        """Raises TrainerError where the file is no longer the one whose digest was taken."""
        if self.has(name, path.stat().st_size):
            return
        if self.store.upload(path, self.prefix + name, name).sha256 != self.digests[name]:
            raise TrainerError(f"{name} changed while it was copied; leave it alone until the import is done")

    def files(self, sizes: Mapping[str, int]) -> list[Artifact]:
        return [
            Artifact(path=name, uri=self.store.uri(self.prefix + name), sha256=digest, bytes=sizes[name])
            for name, digest in self.digests.items()
        ]


def from_hub(task: ImportTask, source: HuggingFaceWeights, store: Store, scratch: Path, meter: Meter) -> Taken:
    """A repository at a commit. What is small comes first, so that a model which cannot be used is refused before gigabytes of it are fetched."""
    with Hub(source.endpoint, os.environ.get("HF_TOKEN")) as hub:
        revision = hub.revision(source.repo, source.revision)
        if revision.commit != source.revision:
            raise InputError(f"weights.huggingFace.revision: {source.endpoint} answers with commit {revision.commit}; write that one")
        there = [file.path for file in revision.files]
        check_layout(there, f"{source.repo}@{source.revision[:12]}", "weights.huggingFace.revision")
        names = members(there)
        files = sorted((file for file in revision.files if file.path in names), key=lambda file: file.path)
        meter.expect(sum(file.bytes for file in files))
        folder = scratch / "weights"
        first = [file for file in files if file.sha256 is None or file.path in {CONFIG, TOKENIZER_CONFIG, INDEX}]
        hub.fetch_all(revision, first, folder, meter)
        origin = f"{source.repo}@{source.revision}"
        if is_inside(read_config(lambda name: (folder / name).read_bytes())):
            hub.fetch_all(revision, [file for file in files if file not in first], folder, meter)
            return _taken_out(task, {name: folder / name for name in names}, store, scratch, origin, revision.license)
        config = read_model(lambda name: (folder / name).read_bytes(), names)
        copy = Copy.of(task, store, {file.path: sha256_of(folder / file.path) if file in first else str(file.sha256) for file in files})
        for file in first:
            copy.put(folder / file.path, file.path)
        here = [file for file in files if file not in first and copy.has(file.path, file.bytes)]
        meter(sum(file.bytes for file in here))
        missing = [file for file in files if file not in first and file not in here]
        workers = side_by_side([file.bytes for file in missing], shutil.disk_usage(folder).free)

        def forward(path: Path, name: str) -> None:
            copy.put(path, name)
            path.unlink()

        hub.fetch_all(revision, missing, folder, meter, lambda file, path: forward(path, file.path), workers)
    artifacts = copy.files({file.path: file.bytes or (folder / file.path).stat().st_size for file in files})
    return Taken(artifacts, shape_in_bucket(config, artifacts, store), origin, revision.license)


def side_by_side(sizes: Sequence[int], free: int) -> int:
    """How many files may be in scratch space at once. Raises TrainerError where not one fits.

    >>> side_by_side([5 << 30, 5 << 30, 1 << 30], free=11 << 30)
    2
    """
    largest = sorted(sizes, reverse=True)
    fitting = [count for count in range(1, WORKERS + 1) if sum(largest[:count]) + SPARE <= free]
    if largest and not fitting:
        raise TrainerError(
            f"weights: a shard has {largest[0] / 1e9:.1f} GB, and the node's disk has {free / 1e9:.1f} GB free for scratch space; free some"
        )
    return max(fitting, default=1)


def from_claim(task: ImportTask, source: ClaimWeights, store: Store, scratch: Path, meter: Meter) -> Taken:
    """A folder of a volume, which is mounted read-only."""
    try:
        return _from_folder(task, source, store, scratch, meter)
    except PermissionError as error:
        raise InputError(f"weights.persistentVolumeClaim.path: user {os.getuid()} may not read {source.path}; chmod -R a+rX it") from error


def _from_folder(task: ImportTask, source: ClaimWeights, store: Store, scratch: Path, meter: Meter) -> Taken:
    field, folder = "weights.persistentVolumeClaim.path", (CLAIM / source.path).resolve()
    if not folder.is_relative_to(CLAIM.resolve()):
        raise InputError(f"{field}: {source.path} leads out of the volume by a link; name the folder itself")
    if not folder.is_dir():
        raise InputError(f"{field}: {source.claim_name} has no folder {source.path}; correct it")
    there = {path.name: path.resolve() for path in folder.iterdir() if path.is_file()}
    if outside := [name for name, path in there.items() if not path.is_relative_to(CLAIM.resolve())]:
        raise InputError(f"{field}: {outside[0]} leads out of the volume by a link; copy the file itself")
    check_layout(list(there), f"{source.claim_name}/{source.path}", field)
    files = {name: there[name] for name in members(there)}
    origin = f"persistentVolumeClaim {source.claim_name}/{source.path}"
    if is_inside(read_config(lambda name: files[name].read_bytes())):
        return _taken_out(task, files, store, scratch, origin, None)
    meter.expect(sum(path.stat().st_size for path in files.values()))
    return _copied(task, files, store, meter, origin)


def _taken_out(task: ImportTask, files: Mapping[str, Path], store: Store, scratch: Path, origin: str, license: str | None) -> Taken:
    """The language model inside a vision-language model. It is written to scratch space first, since its digests are known only then."""
    folder = scratch / "language"
    names = take_out(files, folder)
    found = _copied(task, {name: folder / name for name in names}, store, lambda _: None, f"{origin}, its language model")
    return replace(found, license=license)


def _copied(task: ImportTask, files: Mapping[str, Path], store: Store, meter: Callable[[int], None], origin: str) -> Taken:
    """Files on a disk, copied into the bucket under the digest over all of them."""
    config = read_model(lambda name: files[name].read_bytes(), list(files))
    sizes = {name: path.stat().st_size for name, path in files.items()}
    digests = {}
    for name, path in files.items():
        digests[name] = sha256_of(path)
        meter(sizes[name])
    copy = Copy.of(task, store, digests)
    for name, path in files.items():
        copy.put(path, name)
    artifacts = copy.files(sizes)
    return Taken(artifacts, shape_in_bucket(config, artifacts, store), origin)
