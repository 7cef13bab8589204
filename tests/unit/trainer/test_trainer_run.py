"""The entry of trainer pods: exit codes and the sentence they leave; what a stage does when its record exists."""

from pathlib import Path

import pytest

from regimen.spec.tasks import TrainTask
from regimen.store import AlreadyExistsError, NotFoundError
from regimen_trainer import run as entry
from regimen_trainer import train
from regimen_trainer.errors import InputError, TrainerError
from regimen_trainer.stage import StageRun, check_layout
from regimen_trainer.train import cpu_limit

TASK = TrainTask.model_validate(
    {
        "namespace": "n",
        "job": "j",
        "uid": "u",
        "model": "m",
        "version": "v1.0",
        "baseUri": "s3://b/base",
        "trainUri": "s3://b/t.jsonl",
        "method": {},
    }
)


class MemoryStore:
    """A bucket in memory, as far as stages use one."""

    def __init__(self) -> None:
        self.objects: dict[str, bytes] = {}

    def put(self, key: str, data: bytes) -> None:
        self.objects[key] = data

    def put_once(self, key: str, data: bytes) -> None:
        if self.objects.setdefault(key, data) != data:
            raise AlreadyExistsError(key)

    def get(self, key: str) -> bytes:
        if key not in self.objects:
            raise NotFoundError(key)
        return self.objects[key]

    def exists(self, key: str) -> bool:
        return key in self.objects

    def keys(self, prefix: str) -> list[str]:
        return sorted(key for key in self.objects if key.startswith(prefix))

    def delete(self, key: str) -> None:
        self.objects.pop(key, None)


def stage() -> StageRun:
    return StageRun(MemoryStore(), TASK, "adapter")  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("error", "code", "sentence"),
    [
        (InputError("split.testFraction: too small; raise it"), 2, "split.testFraction"),
        (TrainerError("broken"), 1, "broken"),
        (NotFoundError("key: not found"), 1, "the bucket failed"),
        (ValueError("Maria Gonzalez"), 1, "unexpected ValueError at test_trainer_run.py"),
    ],
)
def test_errors_become_codes_and_one_sentence(
    error: Exception, code: int, sentence: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    def fail(*_: object) -> None:
        raise error

    monkeypatch.setattr(entry, "run", fail)
    environ = {"TERMINATION_LOG": str(tmp_path / "log"), "REGIMEN_TASK": TASK.model_dump_json(by_alias=True)}
    assert entry.main(environ) == code
    said = (tmp_path / "log").read_text()
    assert sentence in said
    assert "Gonzalez" not in said + capsys.readouterr().err


@pytest.mark.parametrize("environ", [{}, {"REGIMEN_TASK": "{}"}, {"REGIMEN_TASK": '{"kind": "train", "job": 1}'}])
def test_unreadable_tasks_are_input_faults(environ: dict[str, str]) -> None:
    with pytest.raises(InputError, match="REGIMEN_TASK"):
        entry.parse(environ)


def test_a_finished_stage_is_not_run_again_and_leaves_no_checkpoints(tmp_path: Path) -> None:
    done = stage()
    done.finish([], {"steps": 1})
    done.store.put("models/n/m/v1.0/jobs/u/checkpoints/pod/3/state.json", b"{}")
    train.run(TASK, done.store, tmp_path)
    assert list(tmp_path.iterdir()) == []
    assert done.store.keys("models/n/m/v1.0/jobs/u/checkpoints/") == []


def test_the_first_record_stands() -> None:
    first = stage()
    first.finish([], {"steps": 1})
    first.finish([], {"steps": 2})
    assert first.record_of("adapter").figures == {"steps": 1}


@pytest.mark.parametrize(("text", "cpus"), [("max 100000", None), ("50000 100000", 1), ("100000 100000", 1)])
def test_cpu_limit_follows_the_cgroup(tmp_path: Path, text: str, cpus: int | None) -> None:
    (tmp_path / "cpu.max").write_text(text)
    assert cpu_limit(tmp_path) == (cpus or cpu_limit(tmp_path / "none"))


@pytest.mark.parametrize(
    ("names", "says"),
    [(["config.json", "pytorch_model.bin"], "pickle"), (["config.json"], "safetensors"), (["model.safetensors"], "config.json")],
)
def test_only_safetensors_are_taken(names: list[str], says: str) -> None:
    with pytest.raises(InputError, match=says):
        check_layout(names, "s3://b/base/")
