"""Trains an adapter in a pod: LoRA or QLoRA on frozen base weights, loss on the answers only.

Fetch, train, upload. Training itself is `training`, which needs no bucket; the command without a cluster is its other user. A pod that is
told to stop, or whose time is up, keeps a checkpoint and ends without a record: its successor goes on from there.
"""

import math
import os
import signal
import socket
import time
from pathlib import Path

from regimen.spec.artifacts import checkpoints_prefix
from regimen.spec.meta import parse_duration
from regimen.spec.tasks import TrainTask
from regimen.store import Store
from regimen_trainer.errors import InterruptedByClusterError
from regimen_trainer.logs import log
from regimen_trainer.stage import StageRun, fetch_model
from regimen_trainer.training.stop import Stop


def run(task: TrainTask, store: Store, scratch: Path) -> None:
    """Train and publish the adapter, unless that is done already. Raises InputError, NonFiniteLossError."""
    stage = StageRun(store, task, "adapter")
    if stage.is_done():
        log("done already", stage="adapter")
        remove_checkpoints(task, store)
        return
    stop = Stop()
    with stop.listening(signal.SIGTERM):
        try:
            train(task, stage, stop, scratch)
        except InterruptedByClusterError:
            log("paused before training began", stage="adapter")


def train(task: TrainTask, stage: StageRun, stop: Stop, scratch: Path) -> None:
    """Train from the newest checkpoint on. Publishes the adapter, or returns without a record where it had to stop."""
    began = time.monotonic()
    stage.say("fetching base model")
    base = fetch_model(stage.store, task.base_uri, scratch / "base", task.base_digest)
    stage.store.download(task.train_uri, scratch / "train.jsonl")
    stage.say("loading libraries")
    set_threads()
    from regimen_trainer.training import job

    place = job.Place(
        depot=stage.store,
        prefix=checkpoints_prefix(task.namespace, task.model, task.version, task.uid),
        attempt=os.environ.get("REGIMEN_ATTEMPT") or socket.gethostname(),
        interval=parse_duration(task.checkpoint.interval),
        keep=task.checkpoint.keep,
        stop_at=task.stop_at.timestamp() if task.stop_at else None,
    )
    training, lengths = job.begin(task.method, job.Sources(base, scratch / "train.jsonl", "datasetRef"), place, stage, stop, scratch)
    with stop.deferred():
        if not training.run():
            kept = f"checkpoint kept at step {training.kept}" if training.kept else "no step was done"
            training.note(f"{kept}; goes on in the next window")
            return
        names = job.save(training, scratch / "adapter")
        files = stage.upload(scratch / "adapter", names)
        stage.finish(files, {**job.figures(training, lengths), "seconds": round(time.monotonic() - began, 1)})
        training.checkpoints.remove()


def remove_checkpoints(task: TrainTask, store: Store) -> None:
    """Remove what a pod left that was killed between its record and the end."""
    for key in store.keys(checkpoints_prefix(task.namespace, task.model, task.version, task.uid)):
        store.delete(key)


def set_threads() -> None:
    """One thread per CPU that the pod may use: the kernel shows the node's count, which oversubscribes a limited pod."""
    import torch

    torch.set_num_threads(cpu_limit())


def cpu_limit(cgroup: Path = Path("/sys/fs/cgroup")) -> int:
    """CPUs of the pod's limit (cgroup v2 or v1), rounded up; else of the process's affinity."""
    available = len(os.sched_getaffinity(0))
    for quota, period in (("cpu.max", None), ("cpu/cpu.cfs_quota_us", "cpu/cpu.cfs_period_us")):
        try:
            words = (cgroup / quota).read_text().split() + ((cgroup / period).read_text().split() if period else [])
        except OSError:
            continue
        if words[0] not in {"max", "-1"}:
            return max(1, min(available, math.ceil(int(words[0]) / int(words[1]))))
    return available
