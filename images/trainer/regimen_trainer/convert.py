"""Merges the adapter into the base's 16-bit weights and writes the GGUF files that will be served.

Merging is into 16-bit weights, never into 4-bit ones, and always from the base: adapters do not stack on merged weights. Disk: base, adapter
and the files themselves; there is no merged copy and no 16-bit file in between.
"""

import time
from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path

from regimen.spec.artifacts import Progress, StageRecord
from regimen.spec.tasks import ConvertTask
from regimen.store import Store
from regimen_trainer.conversion import About, write_ggufs
from regimen_trainer.errors import InputError
from regimen_trainer.logs import log
from regimen_trainer.lora import FILES
from regimen_trainer.stage import StageRun, fetch_model, libraries
from regimen_trainer.train import cpu_limit


def run(task: ConvertTask, store: Store, scratch: Path) -> None:
    """Make one GGUF for each quantization and publish them, unless that is done already. Raises InputError, ToolError."""
    stage = StageRun(store, task, "gguf")
    if stage.is_done():
        log("done already", stage="gguf")
        return
    began = time.monotonic()
    stage.say("fetching base model and adapter")
    adapter = fetch_adapter(store, stage.record_of("adapter"), scratch / "adapter")
    base = fetch_model(store, task.base_uri, scratch / "base", task.base_digest)
    stage.say("reading the model's layout")
    outputs = {quantization: scratch / "gguf" / f"{task.model}-{task.version}-{quantization}.gguf" for quantization in task.written}
    about = About(task.model, task.version, task.lineage)
    figures = write_ggufs(base, adapter, outputs, about, cpu_limit(), reporter(stage))
    stage.say("uploading")
    files = stage.upload(scratch / "gguf", [path.name for path in outputs.values()])
    stage.finish(files, {**figures, "seconds": round(time.monotonic() - began, 1), **libraries("torch", "transformers", "gguf")})


def fetch_adapter(store: Store, record: StageRecord, folder: Path) -> Path:
    """Download the adapter's two files, each checked against its digest. Raises InputError where one was not recorded."""
    files = {file.path: file for file in record.files}
    for name in FILES:
        if name not in files:
            raise InputError(f"the adapter's record names no {name}; train or import it again")
        store.download(files[name].uri, folder / name, files[name].sha256)
    return folder


def reporter(stage: StageRun) -> Callable[[int, int], None]:
    """Turns weights done into the stage's progress, in percent."""
    began = time.monotonic()

    def report(done: int, total: int) -> None:
        eta = (time.monotonic() - began) / done * (total - done)
        stage.progress(
            Progress(step=100 * done // total, total_steps=100, eta_seconds=eta, message="merging and quantizing", at=datetime.now(UTC)),
            force=done == total,
        )

    return report
