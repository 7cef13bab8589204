"""Takes an adapter that was trained elsewhere (a cloud, another tool), once it is clear that it can be merged into the base.

It looks at adapter_config.json and at the headers of the adapter and of the base, so neither torch nor the base's weights are needed. From here
on the adapter is like one of our own: converted, evaluated, judged by the same gates, published.
"""

import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from regimen.spec.tasks import AdoptTask
from regimen.store import NotFoundError, Store
from regimen_trainer.errors import InputError
from regimen_trainer.logs import log
from regimen_trainer.lora import CONFIG, FILES, TENSORS, check_config, check_fit, pairs
from regimen_trainer.stage import StageRun, header_in_bucket
from regimen_trainer.weights import PICKLES, Tensors, document, header_of, members

FIELD = "adapter.s3.uri"


def run(task: AdoptTask, store: Store, scratch: Path) -> None:
    """Check the adapter and publish it as this version's, unless that is done already. Raises InputError."""
    stage = StageRun(store, task, "adapter")
    if stage.is_done():
        log("done already", stage="adapter")
        return
    began = time.monotonic()
    stage.say("checking the adapter")
    with of_the_field():
        folder = fetch(task.adapter_uri, store, scratch / "adapter")
        config = document((folder / CONFIG).read_bytes(), CONFIG)
        check_config(config)
        halves = pairs(header_of(folder / TENSORS))
        check_fit(halves, base_tensors(task, store), config)
    files = stage.upload(folder, FILES)
    figures = {
        "source": task.adapter_uri, "rank": config["r"], "alpha": config["lora_alpha"], "modules": len(halves),
        "trainedWithPeft": str(config.get("peft_version") or "") or None, "seconds": round(time.monotonic() - began, 1),
    }  # fmt: skip
    stage.finish(files, figures)


def fetch(prefix: str, store: Store, folder: Path) -> Path:
    """The two files that make an adapter, and nothing else of what lies there. Raises InputError."""
    for name in FILES:
        try:
            store.download(prefix + name, folder / name)
        except NotFoundError as error:
            root = prefix.split("/", 3)[3]
            pickle = next((key for key in store.keys_at(prefix) if key.endswith(PICKLES)), None)
            why = f"{pickle.removeprefix(root)} is a pickle, which can run code; save it anew" if pickle else "upload it as peft saves it"
            raise InputError(f"{prefix} has no {name}: {why} (safe_serialization=True)") from error
    return folder


@contextmanager
def of_the_field() -> Iterator[None]:
    """Name the field of the job's spec in what is refused."""
    try:
        yield
    except InputError as error:
        raise InputError(f"{FIELD}: {error}") from error


def base_tensors(task: AdoptTask, store: Store) -> Tensors:
    """Tensors of the base by the headers of its shards in the bucket."""
    root = task.base_uri.split("/", 3)[3]
    tensors = {}
    for name in members(key.removeprefix(root) for key in store.keys_at(task.base_uri)):
        if name.endswith(".safetensors"):
            tensors.update(header_in_bucket(store, task.base_uri + name))
    return tensors
