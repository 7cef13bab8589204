"""Takes an adapter that was trained elsewhere (a cloud, another tool), once it is clear that it can be merged into the base.

It looks at adapter_config.json and at the headers of the adapter and of the base, so neither torch nor the base's weights are needed. From here
on the adapter is like one of our own: converted, evaluated, judged by the same gates, published.
"""

import re
import time
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from regimen.spec.tasks import AdoptTask
from regimen.store import NotFoundError, Store
from regimen_trainer.errors import InputError
from regimen_trainer.logs import log
from regimen_trainer.stage import StageRun, header_in_bucket
from regimen_trainer.weights import DTYPES, PICKLES, Tensors, document, header_of, members

CONFIG, TENSORS = "adapter_config.json", "adapter_model.safetensors"
FIELD = "adapter.s3.uri"
PLAIN = {
    "use_dora": "DoRA also rescales the base's weights",
    "modules_to_save": "whole modules were trained beside it",
    "trainable_token_indices": "embeddings were trained beside it",
    "layer_replication": "it belongs to a model with replicated layers",
    "target_parameters": "it changes parameters that are no linear layers",
    "lora_bias": "its layers have biases",
    "alora_invocation_tokens": "it is active after certain tokens only",
}
"""Settings of peft that must be off, because merging cannot carry them out, and why."""
BASE_CHANGED = ("pissa", "olora", "corda", "loftq")
"""Starts of init_lora_weights after which the base is another one than before."""
_HALF = re.compile(r"base_model\.model\.(?P<module>.+)\.lora_(?P<side>[AB])\.weight")


def run(task: AdoptTask, store: Store, scratch: Path) -> None:
    """Check the adapter and publish it as this version's, unless that is done already. Raises InputError."""
    stage = StageRun(store, task, "adapter")
    if stage.is_done():
        log("done already", stage="adapter")
        return
    began = time.monotonic()
    stage.say("checking the adapter")
    folder = fetch(task.adapter_uri, store, scratch / "adapter")
    config = document((folder / CONFIG).read_bytes(), CONFIG)
    check_config(config)
    modules = modules_of(header_of(folder / TENSORS))
    check_fit(modules, base_tensors(task, store), config)
    files = stage.upload(folder, [CONFIG, TENSORS])
    figures = {
        "source": task.adapter_uri, "rank": config["r"], "alpha": config["lora_alpha"], "modules": len(modules),
        "trainedWithPeft": str(config.get("peft_version") or "") or None, "seconds": round(time.monotonic() - began, 1),
    }  # fmt: skip
    stage.finish(files, figures)


def fetch(prefix: str, store: Store, folder: Path) -> Path:
    """The two files that make an adapter, and nothing else of what lies there. Raises InputError."""
    for name in (CONFIG, TENSORS):
        try:
            store.download(prefix + name, folder / name)
        except NotFoundError as error:
            root = prefix.split("/", 3)[3]
            pickle = next((key for key in store.keys_at(prefix) if key.endswith(PICKLES)), None)
            why = f"{pickle.removeprefix(root)} is a pickle, which can run code; save it anew" if pickle else "upload it as peft saves it"
            raise InputError(f"{FIELD}: {prefix} has no {name}: {why} (safe_serialization=True)") from error
    return folder


def check_config(config: Mapping[str, Any]) -> None:
    """Raise InputError for an adapter that is no plain LoRA."""
    if config.get("peft_type") != "LORA":
        raise InputError(f"{FIELD}: {CONFIG} says peft_type {config.get('peft_type')}; only LORA can be merged")
    for setting, why in PLAIN.items():
        if config.get(setting):
            raise InputError(f"{FIELD}: {CONFIG} has {setting}: {why}, which cannot be merged; train without it")
    if config.get("bias", "none") != "none":
        raise InputError(f"{FIELD}: {CONFIG} has bias {config['bias']}: biases of the base were trained; train with bias none")
    start = config.get("init_lora_weights")
    if isinstance(start, str) and start.lower().startswith(BASE_CHANGED):
        raise InputError(
            f"{FIELD}: {CONFIG} has init_lora_weights {start}, which changes the base; save the adapter converted to plain LoRA"
        )
    for setting in ("r", "lora_alpha"):
        if not isinstance(config.get(setting), int | float) or config[setting] <= 0:
            raise InputError(f"{FIELD}: {CONFIG} has no {setting}; save the adapter again")


def modules_of(tensors: Tensors) -> dict[str, tuple[tuple[int, ...], tuple[int, ...]]]:
    """Shapes of A (rank, columns) and B (rows, rank) by the module they change. Raises InputError for anything else in the file."""
    halves: dict[str, dict[str, tuple[int, ...]]] = {}
    for name, tensor in tensors.items():
        match = _HALF.fullmatch(name)
        if match is None or len(tensor.shape) != 2 or tensor.dtype not in DTYPES:
            raise InputError(f"{FIELD}: {TENSORS} holds {name} ({tensor.dtype}), which is no LoRA of a linear layer; train without it")
        halves.setdefault(match["module"], {})[match["side"]] = tensor.shape
    if not halves or (single := [module for module, sides in halves.items() if len(sides) < 2]):
        what = f"only one half of {single[0]}" if halves else "nothing"
        raise InputError(f"{FIELD}: {TENSORS} holds {what}; save the adapter again")
    return {module: (sides["A"], sides["B"]) for module, sides in halves.items()}


def base_tensors(task: AdoptTask, store: Store) -> Tensors:
    """Tensors of the base by the headers of its shards in the bucket."""
    root = task.base_uri.split("/", 3)[3]
    tensors = {}
    for name in members(key.removeprefix(root) for key in store.keys_at(task.base_uri)):
        if name.endswith(".safetensors"):
            tensors.update(header_in_bucket(store, task.base_uri + name))
    return tensors


def check_fit(modules: Mapping[str, tuple[tuple[int, ...], tuple[int, ...]]], base: Tensors, config: Mapping[str, Any]) -> None:
    """Raise InputError where a module is not in the base, or has other dimensions there."""
    for module, (a, b) in modules.items():
        weight = base.get(f"{module}.weight")
        if weight is None:
            raise InputError(f"{FIELD}: the adapter changes {module}, which the base does not have; name the base that it was trained from")
        if a[0] != b[1] or (b[0], a[1]) != weight.shape:
            raise InputError(
                f"{FIELD}: the adapter's {module} is {b[0]} x {a[1]}, the base's {' x '.join(map(str, weight.shape))}; "
                "name the base that it was trained from"
            )
        if a[0] != config["r"] and not config.get("rank_pattern"):
            raise InputError(f"{FIELD}: {module} has rank {a[0]}, and {CONFIG} says {config['r']}; both must be of one adapter")
