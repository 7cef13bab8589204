"""Takes in a baseline that production runs already: checks that the files are what the user says, and records them with their digests.

GGUFs stay where they are. Weights stay too where the bucket has them; from a hub or a volume they are copied (`origins`).
"""

import time
from pathlib import Path

from regimen.spec.artifacts import Artifact, content_digest
from regimen.spec.tasks import ImportTask
from regimen.store import Store
from regimen_trainer.errors import InputError
from regimen_trainer.logs import log
from regimen_trainer.origins import Meter, Taken, measured, take
from regimen_trainer.stage import StageRun


def run(task: ImportTask, store: Store, scratch: Path) -> None:
    """Verify GGUFs and weights and write the record, unless that is done already. Raises InputError."""
    stage = StageRun(store, task, "weights")
    if stage.is_done():
        log("done already", stage="weights")
        return
    began = time.monotonic()
    meter = Meter(stage)
    meter.expect(sum(store.size(file.uri) or 0 for file in task.gguf))
    ggufs = [verified(file, f"gguf[{index}]", store, scratch, meter) for index, file in enumerate(task.gguf)]
    taken = take(task, task.weights, store, scratch, meter) if task.weights is not None else Taken()
    digest = content_digest((file.path, file.sha256) for file in taken.files) if taken.files else None
    stage.finish(
        [*taken.files, *ggufs],
        {"weightsDigest": digest, "source": taken.source, "license": taken.license, "seconds": round(time.monotonic() - began, 1)},
        taken.shape,
    )


def verified(stated: Artifact, field: str, store: Store, scratch: Path, meter: Meter) -> Artifact:
    """A GGUF with its size, once its bytes have the stated digest. Raises InputError naming the field."""
    found, size, head = measured(stated.uri, field, store, scratch, meter)
    if found != stated.sha256.removeprefix("sha256:"):
        raise InputError(f"{field}.sha256: {stated.uri} has digest {found}; correct the field, or upload the file again")
    if stated.bytes and stated.bytes != size:
        raise InputError(f"{field}.bytes: {stated.uri} has {size} bytes; correct the field")
    if head != b"GGUF":
        raise InputError(f"{field}.uri: {stated.uri} is not a GGUF file; name one")
    return stated.model_copy(update={"sha256": found, "bytes": size})
