"""A trainer pod as the cluster runs it, against a real S3: told to stop it keeps a checkpoint and ends well; its successor finishes."""

import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from pathlib import Path
from uuid import uuid4

import pytest

from regimen.spec.artifacts import CheckpointManifest, Progress, StageRecord, checkpoints_prefix, progress_key, stage_record_key
from regimen.spec.tasks import TrainTask
from regimen.store import Store

pytestmark = pytest.mark.trainer_image
ADAPTER = {"adapter_config.json", "adapter_model.safetensors", "curve.html", "loss.json"}


def on_one_cpu() -> None:
    """As a pod with a limit of one CPU: models this small are done before a second thread has begun."""
    os.sched_setaffinity(0, {max(os.sched_getaffinity(0))})


class Pods:
    """Trainer pods of one job."""

    def __init__(self, bucket: dict[str, str], base: Path, rows: Path, folder: Path) -> None:
        self.bucket, self.folder, self.uid = bucket, folder, uuid4().hex
        self.store = Store.from_env(bucket)
        for path in base.iterdir():
            self.store.upload(path, f"base/{path.name}", path.name)
        self.store.upload(rows, "rows.jsonl", "rows.jsonl")
        self.where = ("claims", "openins", "v1.0", self.uid)

    def task(self, epochs: int = 20, stop_at: datetime | None = None) -> TrainTask:
        document = {
            "namespace": "claims", "job": "claims/openins", "uid": self.uid, "model": "openins", "version": "v1.0",
            "baseUri": self.store.uri("base/"), "trainUri": self.store.uri("rows.jsonl"),
            "method": {"rank": 4, "epochs": epochs, "learningRate": 2e-3, "maxLength": 128}, "checkpoint": {"interval": "5s"},
            "stopAt": stop_at.isoformat() if stop_at else None,
        }  # fmt: skip
        return TrainTask.model_validate(document)

    @contextmanager
    def started(self, name: str, task: TrainTask) -> Iterator[subprocess.Popen[bytes]]:
        environment = {
            **os.environ, **self.bucket, "REGIMEN_TASK": task.model_dump_json(by_alias=True), "REGIMEN_ATTEMPT": name,
            "REGIMEN_SCRATCH": str(self.folder / name), "TERMINATION_LOG": str(self.folder / f"{name}.said"),
        }  # fmt: skip
        argv = [sys.executable, "-c", "from regimen_trainer.commands.pod import run_task; run_task()"]
        with (
            (self.folder / f"{name}.log").open("wb") as log,
            subprocess.Popen(argv, env=environment, stderr=log, preexec_fn=on_one_cpu) as pod,
        ):
            try:
                yield pod
            finally:
                pod.kill()

    def run(self, name: str, task: TrainTask) -> int:
        with self.started(name, task) as pod:
            return pod.wait(300)

    def progress(self) -> Progress | None:
        key = progress_key(*self.where, "adapter")
        return Progress.model_validate_json(self.store.get(key)) if self.store.exists(key) else None

    def wait_for_step(self, step: int) -> None:
        for _ in range(1200):
            progress = self.progress()
            if progress and progress.step >= step:
                return
            time.sleep(0.1)
        raise AssertionError(f"step {step} was not reached")

    def record(self) -> StageRecord | None:
        key = stage_record_key(*self.where, "adapter")
        return StageRecord.model_validate_json(self.store.get(key)) if self.store.exists(key) else None

    def checkpoints(self) -> list[CheckpointManifest]:
        keys = [key for key in self.store.keys(checkpoints_prefix(*self.where)) if key.endswith("/checkpoint.json")]
        return sorted((CheckpointManifest.model_validate_json(self.store.get(key)) for key in keys), key=lambda found: found.step)

    def losses(self) -> list[float]:
        record = self.record()
        assert record is not None
        uri = next(file.uri for file in record.files if file.path == "loss.json")
        return [point["loss"] for point in json.loads(self.store.get_uri(uri))]


@pytest.fixture
def pods(bucket: dict[str, str], llama: Path, rows: Path, tmp_path: Path) -> Pods:
    return Pods(bucket, llama, rows, tmp_path)


def test_told_to_stop_it_keeps_a_checkpoint_and_the_next_one_finishes(
    pods: Pods, bucket: dict[str, str], llama: Path, rows: Path, tmp_path: Path
) -> None:
    task = pods.task()
    with pods.started("first", task) as pod:
        pods.wait_for_step(12)
        pod.send_signal(signal.SIGTERM)
        assert pod.wait(60) == 0
    assert pods.record() is None
    kept, progress = pods.checkpoints()[-1], pods.progress()
    assert progress is not None
    assert progress.checkpoint_step == kept.step >= 12
    assert progress.message == f"checkpoint kept at step {kept.step}; goes on in the next window"
    assert kept.attempt == "first"
    assert pods.run("second", task) == 0
    record = pods.record()
    assert record is not None
    assert {file.path for file in record.files} == ADAPTER
    assert record.figures["steps"] == 140
    assert pods.store.keys(checkpoints_prefix(*pods.where)) == []
    (tmp_path / "whole").mkdir()
    whole = Pods(bucket, llama, rows, tmp_path / "whole")
    assert whole.run("only", task.model_copy(update={"uid": whole.uid})) == 0
    assert pods.losses() == whole.losses()


def test_killed_it_costs_what_came_after_the_last_checkpoint(pods: Pods) -> None:
    with pods.started("first", pods.task()) as pod:
        while not pods.checkpoints() and pod.poll() is None:
            time.sleep(0.1)
        pod.kill()
    kept = pods.checkpoints()[-1].step
    assert pods.run("second", pods.task()) == 0
    assert f"going on after step {kept} of 140" in (pods.folder / "second.log").read_text()


def test_it_ends_before_its_time_is_up(pods: Pods) -> None:
    many = pods.folder / "many.jsonl"
    many.write_bytes(pods.store.get("rows.jsonl") * 100)
    pods.store.upload(many, "rows.jsonl", "rows.jsonl")
    stop_at = datetime.now(UTC) + timedelta(seconds=60)
    assert pods.run("first", pods.task(epochs=100, stop_at=stop_at)) == 0
    # Its checkpoint is kept by then; leaving takes the interpreter a moment, and the shortest margin before the window ends is 15 s (plan.window).
    assert datetime.now(UTC) < stop_at + timedelta(seconds=15)
    assert pods.record() is None
    assert pods.checkpoints()


def test_with_no_time_at_all_it_is_paused(pods: Pods) -> None:
    assert pods.run("first", pods.task(stop_at=datetime.now(UTC))) == 0
    assert (pods.record(), pods.checkpoints()) == (None, [])
