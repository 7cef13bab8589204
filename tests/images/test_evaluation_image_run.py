"""Evaluation in the trainer image: a small model taught here, its GGUFs, and the real llama-server. Only the bucket is a folder."""

import json
import multiprocessing
import os
import signal
import time
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path
from random import Random
from shutil import copyfile
from typing import Any

import pytest

from regimen.spec.artifacts import Artifact, Lineage, StageRecord, stage_record_key
from regimen.spec.meta import Quantization
from regimen.spec.tasks import EvaluateTask
from regimen.store import AlreadyExistsError, NotFoundError, Store
from regimen_trainer.evaluation import ledger
from regimen_trainer.evaluation.run import run
from regimen_trainer.stage import sha256_of

pytestmark = pytest.mark.trainer_image

ROWS = 30
MODEL, VERSION, UID = "openins", "v1.0", "u1"
TIMES = ("seconds",)
"""Figures that no two runs share."""


class Folder(Store):
    """A bucket that is a folder."""

    def __init__(self, root: Path) -> None:
        self.root, self.bucket = root, "folder"

    def _at(self, uri: str) -> Path:
        path = self.root / uri.removeprefix("s3://folder/")
        if not path.is_file():
            raise NotFoundError(uri)
        return path

    def put(self, key: str, data: bytes) -> None:
        path = self.root / key
        path.parent.mkdir(parents=True, exist_ok=True)
        partial = path.with_name(f".{os.getpid()}-{path.name}")
        partial.write_bytes(data)
        partial.rename(path)

    def put_once(self, key: str, data: bytes) -> None:
        if (self.root / key).exists():
            raise AlreadyExistsError(key)
        self.put(key, data)

    def get(self, key: str) -> bytes:
        return self._at(key).read_bytes()

    def exists(self, key: str) -> bool:
        return (self.root / key).is_file()

    def keys(self, prefix: str) -> list[str]:
        found = (str(path.relative_to(self.root)) for path in (self.root / prefix).rglob("*") if path.is_file())
        return sorted(key for key in found if not Path(key).name.startswith("."))

    def upload(self, path: Path, key: str, name: str) -> Artifact:
        self.put(key, path.read_bytes())
        return Artifact(path=name, uri=self.uri(key), sha256=sha256_of(path), bytes=path.stat().st_size)

    def download(self, uri: str, path: Path, digest: str | None = None) -> str:
        path.parent.mkdir(parents=True, exist_ok=True)
        copyfile(self._at(uri), path)
        return sha256_of(path)


@pytest.fixture(scope="module")
def ggufs(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    """F16 and Q4_K_M of a model that was taught, and of one that knows nothing. The demo's baseline is taken where the cache has it;
    teaching one takes a minute."""
    from regimen_trainer.conversion import About, write_ggufs
    from regimen_trainer.generator.base_model import Phase, make
    from regimen_trainer.train import cpu_limit, set_threads

    set_threads()
    folder = tmp_path_factory.mktemp("model")
    made: dict[str, Path] = {}
    kept = next(Path(os.environ.get("REGIMEN_CACHE", "/var/cache/regimen")).glob("model-*/weights"), None)
    for name, steps in (("ours", 80), ("other", 1)):
        weights = kept if kept and name == "ours" else folder / name
        if not weights.exists():
            make(weights, 1, (Phase(steps, 16, True, 0.6),))
        files: dict[Quantization, Path] = {kind: folder / f"{name}-{kind}.gguf" for kind in ("F16", "Q4_K_M")}
        write_ggufs(weights, None, files, About(MODEL, VERSION), cpu_limit())
        made |= {f"{name} {kind}": path for kind, path in files.items()}
    return made


def rows(output: str) -> str:
    """Held-out rows of made claims, three of a policy."""
    from regimen_trainer.generator.claims import claims
    from regimen_trainer.tasks import render

    task, column = ("adjudication", "final_decision") if output == "Label" else ("medicalAnalysis", "medical_analysis")
    lines = []
    source = claims(Random("held out"))
    while len(lines) < ROWS:
        row = next(source).row
        if row[column] in {"APPROVED", "DENIED"} or output == "Text":
            completion = [{"role": "assistant", "content": row[column]}]
            lines.append({"id": f"r{len(lines)}", "group": len(lines) // 3, "prompt": render(task, row), "completion": completion})
    return "".join(json.dumps(line) + "\n" for line in lines)


@pytest.fixture
def bucket(tmp_path: Path, ggufs: dict[str, Path]) -> Folder:
    """What evaluation finds: the converted files, the adapter's record, a contender, rows of both kinds of task."""
    store = Folder(tmp_path / "bucket")
    files = [
        store.upload(ggufs[f"ours {name}"], f"gguf/{MODEL}-{VERSION}-{name}.gguf", f"{MODEL}-{VERSION}-{name}.gguf")
        for name in ("F16", "Q4_K_M")
    ]
    store.upload(ggufs["other Q4_K_M"], "other.gguf", "other.gguf")
    for output in ("Label", "Text"):
        store.put(f"{output}.jsonl", rows(output).encode())
    for stage, made, figures in (("gguf", files, {}), ("adapter", [], {"probeTokens": "other"})):
        found = StageRecord.model_validate(
            {"stage": stage, "job": "claims/j", "uid": UID, "files": made, "figures": figures, "finished_at": datetime.now(UTC)}
        )
        store.put(stage_record_key("claims", MODEL, VERSION, UID, found.stage), found.model_dump_json(by_alias=True).encode())
    return store


def evaluate_task(store: Folder, output: str = "Label", quantization: str = "Q4_K_M", gates: Any = ()) -> EvaluateTask:
    label = output == "Label"
    other = {"path": "other.gguf", "uri": store.uri("other.gguf"), "sha256": sha256_of(store.root / "other.gguf"), "bytes": 1}
    return EvaluateTask.model_validate(
        {
            "namespace": "claims", "job": "claims/j", "uid": UID, "model": MODEL, "version": VERSION, "quantization": quantization,
            "testUri": store.uri(f"{output}.jsonl"), "output": output, "labels": ["APPROVED", "DENIED"] if label else [],
            "positive": "DENIED" if label else None, "against": [{"name": "Baseline", "version": "openins-baseline", "gguf": other}],
            "evaluation": {"quantizationRows": 12, "maxRows": ROWS if label else 3, "gates": list(gates)}, "lineage": {},
        }
    )  # fmt: skip


DIVERGENCE = {"metric": "quantizationDivergence", "max": 10}


def figures_of(store: Folder) -> dict[str, Any]:
    record = json.loads(store.get(stage_record_key("claims", MODEL, VERSION, UID, "evaluation")))
    return {name: value for name, value in record["figures"].items() if name not in TIMES}


def in_a_pod(store: Folder, task: EvaluateTask, scratch: Path) -> None:
    """The stage in a process group of its own, as a pod's processes are; writes what it knows at once."""
    os.setsid()
    signal.signal(signal.SIGTERM, signal.default_int_handler)
    ledger.SECONDS = 0.0
    run(task, store, scratch)


@pytest.fixture
def pod() -> Iterator[Any]:
    started = []

    def start(*arguments: Any) -> multiprocessing.process.BaseProcess:
        process = multiprocessing.get_context("fork").Process(target=in_a_pod, args=arguments)
        process.start()
        started.append(process)
        return process

    yield start
    for process in started:
        if process.is_alive():
            os.killpg(process.pid, signal.SIGKILL)
        process.join(10)


def answered(store: Folder) -> int:
    return sum(len(store.get(key).splitlines()) for key in store.keys("evaluations/") if key.endswith(".jsonl"))


@pytest.mark.parametrize("number", [signal.SIGKILL, signal.SIGTERM])
def test_killed_in_the_middle_it_goes_on_and_finds_the_same(number: int, bucket: Folder, tmp_path: Path, pod: Any) -> None:
    task = evaluate_task(bucket, gates=[DIVERGENCE, {"metric": "flippedAnswers", "max": 1}])
    for attempt, share in enumerate((0.3, 0.9, 1.8)):
        process = pod(bucket, task, tmp_path / f"attempt-{attempt}")
        while process.is_alive() and answered(bucket) < share * ROWS:
            time.sleep(0.05)
        if number == signal.SIGKILL:
            os.killpg(process.pid, number)
        else:
            os.kill(process.pid, number)
        process.join(30)
        assert not process.is_alive()
        assert not bucket.exists(stage_record_key("claims", MODEL, VERSION, UID, "evaluation"))
    before = answered(bucket)
    assert before >= 1.8 * ROWS
    run(task, bucket, tmp_path / "last")
    assert answered(bucket) <= 2 * ROWS + 12 + 12 + 1 + 4 * 3, "only what was not written yet is asked again"
    resumed = figures_of(bucket)

    whole = Folder(tmp_path / "whole")
    for key in [*bucket.keys("gguf/"), *bucket.keys("models/"), "Label.jsonl", "other.gguf"]:
        if not key.endswith("evaluation.json") and "/evaluation/" not in key:
            whole.put(key, bucket.get(key))
    run(task, whole, tmp_path / "at-once")
    assert resumed == {
        name: pytest.approx(value, abs=1e-4) if isinstance(value, float) else value for name, value in figures_of(whole).items()
    }


def test_16_bit_does_not_differ_from_itself(bucket: Folder, tmp_path: Path) -> None:
    run(evaluate_task(bucket, quantization="F16", gates=[DIVERGENCE]), bucket, tmp_path / "scratch")
    figures = figures_of(bucket)
    assert figures["quantizationDivergence"] == pytest.approx(0, abs=1e-6)
    assert (figures["flippedAnswers"], figures["quantizationRows"]) == (0, 12)


@pytest.mark.parametrize("output", ["Label", "Text"])
def test_four_bits_differ_from_16(output: str, bucket: Folder, tmp_path: Path) -> None:
    run(evaluate_task(bucket, output, gates=[DIVERGENCE]), bucket, tmp_path / "scratch")
    figures = figures_of(bucket)
    assert 1e-5 < figures["quantizationDivergence"] < 2
    assert figures["quantizationOutside"] < 0.2
    assert ("flippedAnswers" in figures) is (output == "Label")
    assert figures["quantizationPlaces"] == (12 if output == "Label" else 3 * 8)
    assert {"agreement@Baseline", "mcnemarP@Baseline"} <= set(figures) if output == "Label" else {"rougeL@Baseline"} <= set(figures)
    assert figures["templateMatchesTraining"] == 0, "the record says that training saw other tokens"
    holds_no_text(bucket)


def test_of_an_adapter_that_another_tool_trained_the_template_is_not_known(bucket: Folder, tmp_path: Path) -> None:
    key = stage_record_key("claims", MODEL, VERSION, UID, "adapter")
    record = json.loads(bucket.get(key)) | {"figures": {"source": "s3://b/colab/"}}
    bucket.put(key, json.dumps(record).encode())
    task = evaluate_task(bucket)
    run(task.model_copy(update={"lineage": Lineage(adapter_source="s3://b/colab/")}), bucket, tmp_path / "scratch")
    assert "templateMatchesTraining" not in figures_of(bucket)
    pages = [bucket.get(key).decode() for key in bucket.keys("models/") if key.endswith("report.html")]
    assert "The tool that trained the adapter left no record of the tokens that it saw" in pages[0]


def holds_no_text(bucket: Folder) -> None:
    """Neither what is kept nor the report has words of rows (law 8)."""
    words = {word for line in rows("Text").splitlines() for word in json.loads(line)["completion"][0]["content"].split() if len(word) > 7}
    kept = b"".join(bucket.get(key) for key in bucket.keys("evaluations/") if key.endswith(".jsonl")).decode()
    report = b"".join(bucket.get(key) for key in bucket.keys("models/") if "/evaluation/" in key).decode()
    assert len(words) > 50
    assert not [word for word in words if word in kept]
    assert not [word for word in words if word in report and word.isalpha() and word[0].isupper()]


def test_a_contender_is_asked_once(bucket: Folder, tmp_path: Path) -> None:
    run(evaluate_task(bucket), bucket, tmp_path / "scratch")
    known = answered(bucket)
    again = evaluate_task(bucket).model_copy(update={"uid": "u2"})
    for stage in ("gguf", "adapter"):
        bucket.put(
            stage_record_key("claims", MODEL, VERSION, "u2", stage), bucket.get(stage_record_key("claims", MODEL, VERSION, UID, stage))
        )
    began = time.monotonic()
    run(again, bucket, tmp_path / "again")
    assert answered(bucket) == known
    assert time.monotonic() - began < 20
    assert not (tmp_path / "again" / "gguf").exists(), "not even fetched"
