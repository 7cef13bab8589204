"""The evaluation stage, top to bottom: fetch the rows, let every file answer, compare, measure what quantising changed, report.

The candidate and every contender answer the same rows with the same settings. Killed at any moment it goes on where it was: answers
are in the bucket (see `ledger`), and the record is written last. Figures of the record: see `regimen.stats.gates`.
"""

import time
from collections.abc import Sequence
from pathlib import Path

from regimen.spec.artifacts import Artifact
from regimen.spec.tasks import EvaluateTask
from regimen.stats.gates import judge_gates
from regimen.stats.paired import Bootstrap
from regimen.store import Store
from regimen_trainer.errors import InputError
from regimen_trainer.evaluation.answers import Asking, Served, served
from regimen_trainer.evaluation.cases import Case, chosen, read_cases
from regimen_trainer.evaluation.compare import Figures, Judged, judged, own_figures, paired_figures
from regimen_trainer.evaluation.document import report_of
from regimen_trainer.evaluation.page import write_report
from regimen_trainer.evaluation.quantization import Beside
from regimen_trainer.logs import log
from regimen_trainer.probe import PROBE, digest_of_ids
from regimen_trainer.stage import StageRun
from regimen_trainer.tasks import Message

CANDIDATE = "candidate"


def run(task: EvaluateTask, store: Store, scratch: Path) -> None:
    """Evaluate and publish the figures, unless that is done already. Raises InputError, ToolError."""
    stage = StageRun(store, task, "evaluation")
    if stage.is_done():
        log("done already", stage="evaluation")
        return
    began = time.monotonic()
    stage.say("fetching held-out rows")
    store.download(task.test_uri, scratch / "test.jsonl")
    cases = chosen(read_cases(scratch / "test.jsonl"), task.evaluation.max_rows)
    asking = Asking(stage, task, cases, scratch)
    file, sample = made(stage, task.quantization), cases[: task.evaluation.quantization_rows]
    beside = Beside(asking, file, made(stage, "F16"), sample) if task.evaluation.needs_16_bit else None
    with served(asking, CANDIDATE, file) as candidate:
        answers = candidate.answers(cases)
        template = template_figure(candidate)
        if beside:
            beside.ask(candidate)
    changed = beside.changed(answers[: len(sample)]) if beside else None
    ours = judged(task, cases, CANDIDATE, f"{task.model}-{task.version}", answers)
    others = [contender(asking, entry.name, entry.version, entry.gguf) for entry in task.against]
    figures = compared(cases, ours, others) | (changed.figures() if changed else {}) | template
    gates = judge_gates(task.evaluation.gates, figures, [other.name for other in others])
    for failed in (gate for gate in gates if not gate.passed):
        log("gate failed", level="warning", metric=failed.metric, against=failed.against, message=failed.message)
    report = report_of(task, cases, ours, others, figures, gates, changed)
    files = stage.upload(scratch / "report", write_report(report, figures, scratch / "report"))
    stage.finish(files, figures | {"seconds": round(time.monotonic() - began, 1)})


def made(stage: StageRun, quantization: str) -> Artifact:
    """The GGUF of a quantisation that conversion made. Raises InputError where it did not."""
    for file in stage.record_of("gguf").files:
        if file.path.endswith(f"-{quantization}.gguf"):
            return file
    raise InputError(f"output.quantizations: no {quantization} file was converted; delete the job and create it again")


def contender(asking: Asking, name: str, version: str, file: Artifact) -> Judged:
    """What a file to beat scored; asked only where the bucket does not know."""
    with served(asking, name, file) as other:
        return judged(asking.task, asking.cases, name, version, other.answers(asking.cases))


def compared(cases: Sequence[Case], ours: Judged, others: Sequence[Judged]) -> Figures:
    """All figures of answers."""
    bootstrap = Bootstrap([case.group for case in cases])
    figures: Figures = {"rows": len(cases), "groups": bootstrap.groups, **own_figures(bootstrap, ours)}
    for other in others:
        figures |= paired_figures(bootstrap, ours, other)
    return figures


def template_figure(candidate: Served) -> Figures:
    """Whether the served chat template makes the tokens that training saw, 0 or 1. No figure where training did not say: neither answer
    would be true of an adapter that another tool trained, and the report says that it is not known."""
    seen = candidate.asking.stage.record_of("adapter").figures.get("probeTokens")
    if seen is None:
        log("training left no record of its tokens; whether the served chat template makes the same is not known")
        return {}
    ledger = candidate.asking.ledger(candidate.file, "template")
    if "probe" not in ledger.entries:
        ids = candidate.engine.template_ids([Message(role=turn["role"], content=turn["content"]) for turn in PROBE])
        ledger.add({"id": "probe", "tokens": digest_of_ids(ids)})
        ledger.flush()
    same: bool = ledger.entries["probe"]["tokens"] == seen
    if not same:
        log("the served chat template makes other tokens than training saw", level="warning")
    return {"templateMatchesTraining": int(same)}
