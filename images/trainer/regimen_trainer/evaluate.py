"""Judges the quantized file that will be served, with the engine that will serve it, on rows that were held out.

The candidate and every contender answer the same rows with the same settings. Answers to label tasks are cached in the bucket by the
digests of file and rows, as row id and label alone, so that a contender is asked once.

Figures of the record: `rows`, `<metric>`, `<metric>@<contender>`, `mcnemarP@<contender>`, with the names of `regimen.spec.finetune.Metric`.
"""

import json
import time
from collections.abc import Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from datetime import UTC, datetime
from hashlib import sha256
from pathlib import Path
from typing import Any

from jinja2 import Environment, PackageLoader

from regimen.spec.artifacts import Artifact, Progress
from regimen.spec.tasks import EvaluateTask
from regimen.store import NotFoundError, Store
from regimen_trainer.engine import Engine, serving
from regimen_trainer.errors import InputError
from regimen_trainer.logs import log
from regimen_trainer.metrics import label_metrics, mcnemar, rouge_l
from regimen_trainer.stage import StageRun
from regimen_trainer.tasks import Message, parse_label
from regimen_trainer.train import PROBE, cpu_limit, digest_of_ids

LABEL_TOKENS, TEXT_TOKENS = 16, 512
CONTEXT_MARGIN = 64
SLOTS = 4
Answers = dict[str, str | None]


@dataclass(frozen=True)
class Case:
    """A held-out row."""

    id: str
    prompt: Sequence[Message]
    expected: str


@dataclass(frozen=True)
class Judged:
    """What a file scored: its figures, and for each case whether it was right (label tasks)."""

    figures: dict[str, float | None]
    right: list[bool]


def run(task: EvaluateTask, store: Store, scratch: Path) -> None:
    """Evaluate and publish the figures, unless that is done already. Raises InputError, ToolError."""
    stage = StageRun(store, task, "evaluation")
    if stage.is_done():
        log("done already", stage="evaluation")
        return
    began = time.monotonic()
    stage.say("fetching held-out rows")
    test_digest = store.download(task.test_uri, scratch / "test.jsonl")
    cases = chosen(read_cases(scratch / "test.jsonl"), task.evaluation.max_rows)
    judge = Judge(stage, task, cases, sha256("\n".join([test_digest, *(case.id for case in cases)]).encode()).hexdigest(), scratch)
    candidate = judge.judged("candidate", candidate_file(stage, task))
    others = {contender.name: judge.judged(contender.name, contender.gguf) for contender in task.against}
    figures: dict[str, float | int | str | None] = {"rows": len(cases), **candidate.figures}
    for name, other in others.items():
        figures |= {f"{metric}@{name}": value for metric, value in other.figures.items()}
        if task.output == "Label":
            figures[f"mcnemarP@{name}"] = mcnemar(candidate.right, other.right)
    figures |= {**judge.template_figures(), "seconds": round(time.monotonic() - began, 1)}
    files = stage.upload(scratch / "report", write_report(task, figures, scratch / "report"))
    stage.finish(files, figures)


def candidate_file(stage: StageRun, task: EvaluateTask) -> Artifact:
    """The GGUF of the quantization to be judged. Raises InputError where conversion did not make it."""
    for file in stage.record_of("gguf").files:
        if file.path.endswith(f"-{task.quantization}.gguf"):
            return file
    raise InputError(f"output.quantizations: no {task.quantization} file was converted; add it")


def read_cases(path: Path) -> list[Case]:
    """Held-out rows. Raises InputError for an empty file or a row that is not in the expected form."""
    cases = []
    with path.open(encoding="utf-8") as file:
        for number, line in enumerate(file, start=1):
            try:
                row = json.loads(line)
                cases.append(Case(str(row["id"]), row["prompt"], str(row["completion"][-1]["content"])))
            except (ValueError, KeyError, TypeError, IndexError) as error:
                raise InputError(
                    f"datasetRef: line {number} of the held-out file has no prompt and completion; prepare it again"
                ) from error
    if not cases:
        raise InputError("datasetRef: no rows are held out; raise split.testFraction or give more rows")
    return cases


def chosen(cases: Sequence[Case], limit: int) -> list[Case]:
    """The first `limit` cases by hash of their id: the same ones for every version, whatever the file's order."""
    return sorted(cases, key=lambda case: sha256(case.id.encode()).hexdigest())[:limit]


class Judge:
    """Lets files answer the cases, one after another with the same settings."""

    def __init__(self, stage: StageRun, task: EvaluateTask, cases: Sequence[Case], rows_digest: str, scratch: Path) -> None:
        self._stage, self._task, self._cases, self._scratch = stage, task, cases, scratch
        self._rows_digest = rows_digest
        self._threads = cpu_limit()
        self._template: str | None = None

    def judged(self, name: str, file: Artifact) -> Judged:
        """Figures of a file; from the cache where it has answered these cases before (label tasks)."""
        if self._task.output == "Text":
            return self._judged_texts(self._answers(name, file))
        labels = self._cached_labels(file)
        if labels is None:
            texts = self._answers(name, file)
            labels = {case.id: parse_label(texts[case.id], self._task.labels) for case in self._cases}
            self._stage.store.put(
                self._cache_key(file), "".join(json.dumps({"id": id_, "label": label}) + "\n" for id_, label in labels.items()).encode()
            )
        return self._judged_labels(labels)

    def _judged_labels(self, labels: Answers) -> Judged:
        expert, answers = [case.expected for case in self._cases], [labels[case.id] for case in self._cases]
        figures = label_metrics(expert, answers, self._task.positive or self._task.labels[-1])
        return Judged(figures, [wanted == answer for wanted, answer in zip(expert, answers, strict=True)])

    def _judged_texts(self, texts: Mapping[str, str]) -> Judged:
        scores = [rouge_l(case.expected, texts[case.id]) for case in self._cases]
        return Judged({"rougeL": sum(scores) / len(scores)}, [])

    def _cache_key(self, file: Artifact) -> str:
        return f"evaluations/{file.sha256.removeprefix('sha256:')[:12]}/{self._rows_digest[:12]}.jsonl"

    def _cached_labels(self, file: Artifact) -> Answers | None:
        try:
            lines = self._stage.store.get(self._cache_key(file)).decode().splitlines()
        except NotFoundError:
            return None
        entries = [json.loads(line) for line in lines]
        return {entry["id"]: entry["label"] for entry in entries}

    def _answers(self, name: str, file: Artifact) -> dict[str, str]:
        """Ask the engine every case, as many at a time as it has slots."""
        gguf = self._scratch / "gguf" / f"{file.sha256.removeprefix('sha256:')}.gguf"
        self._stage.say(f"starting {name}")
        self._stage.store.download(file.uri, gguf, file.sha256)
        tokens = LABEL_TOKENS if self._task.output == "Label" else TEXT_TOKENS
        # No tokenizer is loaded here: no token is shorter than a byte.
        longest = max(sum(len(turn["content"].encode()) for turn in case.prompt) for case in self._cases)
        with serving(gguf, SLOTS, longest + tokens + CONTEXT_MARGIN, self._threads, self._scratch / "tools.log") as engine:
            if name == "candidate":
                self._template = digest_of_ids(engine.template_ids([Message(role=turn["role"], content=turn["content"]) for turn in PROBE]))
            answers = self._ask_all(engine, name, tokens)
        gguf.unlink()
        return answers

    def _ask_all(self, engine: Engine, name: str, tokens: int) -> dict[str, str]:
        began, answers = time.monotonic(), {}
        with ThreadPoolExecutor(SLOTS) as pool:
            for case, text in zip(self._cases, pool.map(lambda case: engine.answer(case.prompt, tokens), self._cases), strict=True):
                answers[case.id] = text
                done, total = len(answers), len(self._cases)
                eta = (time.monotonic() - began) / done * (total - done)
                self._stage.progress(
                    Progress(step=done, total_steps=total, eta_seconds=eta, message=f"{name} answers", at=datetime.now(UTC))
                )
        log("answered", contender=name, rows=len(answers), seconds=round(time.monotonic() - began, 1))
        return answers

    def template_figures(self) -> dict[str, int]:
        """Whether the served template makes the tokens that training saw; nothing where the answers came from the cache."""
        if self._template is None:
            return {}
        seen = self._stage.record_of("adapter").figures.get("probeTokens")
        same = int(seen == self._template)
        if not same:
            log("the served chat template makes other tokens than training saw", level="warning")
        return {"templateMatchesTraining": same}


def write_report(task: EvaluateTask, figures: Mapping[str, Any], folder: Path) -> list[str]:
    """Write evaluation.json and report.html; returns their names."""
    folder.mkdir(parents=True, exist_ok=True)
    about = {"version": f"{task.model}-{task.version}", "quantization": task.quantization, "labels": task.labels, "positive": task.positive}
    lineage = task.lineage.model_dump(by_alias=True, exclude_none=True)
    (folder / "evaluation.json").write_text(json.dumps({**about, "figures": dict(figures), "lineage": lineage}, indent=2, sort_keys=True))
    metrics = [name for name, value in figures.items() if "@" not in name and isinstance(value, float) and name != "seconds"]
    page = Environment(loader=PackageLoader("regimen_trainer"), autoescape=True).get_template("evaluation_report.html.jinja")
    names = [contender.name for contender in task.against]
    (folder / "report.html").write_text(page.render(about=about, figures=figures, metrics=metrics, contenders=names, lineage=lineage))
    return ["evaluation.json", "report.html"]
