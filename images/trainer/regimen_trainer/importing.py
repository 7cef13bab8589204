"""Takes in a baseline that production runs already: checks that the files are what the user says, and records them where they are."""

import time
from pathlib import Path

from regimen.spec.artifacts import Artifact, content_digest
from regimen.spec.tasks import ImportTask
from regimen.store import NotFoundError, Store
from regimen_trainer.errors import InputError
from regimen_trainer.logs import log
from regimen_trainer.stage import StageRun, check_layout


def run(task: ImportTask, store: Store, scratch: Path) -> None:
    """Verify GGUFs and weights and write the record, unless that is done already. Raises InputError."""
    stage = StageRun(store, task, "weights")
    if stage.is_done():
        log("done already", stage="weights")
        return
    began = time.monotonic()
    ggufs = []
    for index, stated in enumerate(task.gguf):
        stage.say(f"verifying {stated.path}")
        ggufs.append(verified(stated, f"gguf[{index}]", store, scratch))
    weights: list[Artifact] = []
    if task.weights_uri is not None:
        stage.say("verifying weights")
        weights = measure_weights(task.weights_uri, store, scratch)
    digest = content_digest((file.path, file.sha256) for file in weights) if weights else None
    stage.finish([*weights, *ggufs], {"weightsDigest": digest, "seconds": round(time.monotonic() - began, 1)})


def verified(stated: Artifact, field: str, store: Store, scratch: Path) -> Artifact:
    """A GGUF with its size, once its bytes have the stated digest. Raises InputError naming the field."""
    found, size, head = measured(stated.uri, field, store, scratch)
    if found != stated.sha256.removeprefix("sha256:"):
        raise InputError(f"{field}.sha256: {stated.uri} has digest {found}; correct the field, or upload the file again")
    if stated.bytes and stated.bytes != size:
        raise InputError(f"{field}.bytes: {stated.uri} has {size} bytes; correct the field")
    if head != b"GGUF":
        raise InputError(f"{field}.uri: {stated.uri} is not a GGUF file; name one")
    return stated.model_copy(update={"sha256": found, "bytes": size})


def measure_weights(uri: str, store: Store, scratch: Path) -> list[Artifact]:
    """Every file of a model in Hugging Face layout with digest and size. Raises InputError for pickles and missing files."""
    prefix = uri if uri.endswith("/") else f"{uri}/"
    root = prefix.split("/", 3)[3]
    names = [key.removeprefix(root) for key in store.keys_at(prefix)]
    check_layout(names, prefix)
    files = []
    for name in names:
        if "/" not in name and not name.endswith(".gguf"):
            digest, size, _ = measured(prefix + name, "weights.uri", store, scratch)
            files.append(Artifact(path=name, uri=prefix + name, sha256=digest, bytes=size))
    return files


def measured(uri: str, field: str, store: Store, scratch: Path) -> tuple[str, int, bytes]:
    """Digest, size and first four bytes of an object. It passes through scratch space, in pieces, and is removed again."""
    path = scratch / "measured"
    try:
        digest = store.download(uri, path)
    except NotFoundError as error:
        raise InputError(f"{field}.uri: {uri} does not exist; upload it or correct the address") from error
    try:
        with path.open("rb") as file:
            return digest, path.stat().st_size, file.read(4)
    finally:
        path.unlink()
