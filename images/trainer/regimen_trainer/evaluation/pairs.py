"""A rollout's paired evidence: both versions answer the cases labelled since training, and are compared case by case.

Cases are rows of a newer revision that no revision had which a version was trained on, neither to train nor to hold out: the gates have
chosen the candidate by the rows that were held out then. What a file has answered before is not asked again, so a monthly revision costs
its new rows only. Killed at any moment it goes on where it was; the record is written last.
"""

from collections.abc import Sequence
from pathlib import Path

from regimen.spec.artifacts import PairedEvidence
from regimen.spec.tasks import CompareTask, Contender
from regimen.store import Store
from regimen_trainer.evaluation.answers import Asking, served
from regimen_trainer.evaluation.cases import Case, chosen, read_cases
from regimen_trainer.logs import log
from regimen_trainer.stage import StageRun

PAIRS = "pairs.json"


def run(task: CompareTask, store: Store, scratch: Path) -> None:
    """Compare and publish the counts, unless that is done already. Raises InputError, ToolError."""
    stage = StageRun(store, task, "evaluation")
    if stage.is_done():
        log("done already", stage="compare")
        return
    stage.say("fetching rows")
    rows, known = read_all(store, task.rows, scratch / "rows"), read_all(store, task.known, scratch / "known")
    cases = chosen(unseen(rows, known), task.max_cases)
    log("cases", new=len(cases), rows=len(rows), known=len(known))
    asking = Asking(stage, task, cases, scratch)
    ours, theirs = (agrees(asking, entry) for entry in (task.candidate, task.stable)) if cases else ([], [])
    evidence = PairedEvidence(
        candidate=task.candidate.version, stable=task.stable.version, revision=task.revision, groups=by_group(cases, ours, theirs)
    )
    (folder := scratch / "pairs").mkdir(parents=True, exist_ok=True)
    (folder / PAIRS).write_text(evidence.model_dump_json(by_alias=True))
    stage.finish(stage.upload(folder, [PAIRS]), {"cases": len(cases), "groups": len(evidence.groups)})


def read_all(store: Store, uris: Sequence[str], folder: Path) -> list[Case]:
    """The rows of several files."""
    cases = []
    for number, uri in enumerate(uris):
        store.download(uri, folder / f"{number}.jsonl")
        cases += read_cases(folder / f"{number}.jsonl")
    return cases


def unseen(rows: Sequence[Case], known: Sequence[Case]) -> list[Case]:
    """Rows that are not among the known ones, by id or by what they ask and expect; each once."""
    ids, keys = {case.id for case in known}, {case.key for case in known}
    return list({case.key: case for case in rows if case.id not in ids and case.key not in keys}.values())


def agrees(asking: Asking, entry: Contender) -> list[bool]:
    """Whether a file's answer to each case is the experts'; an answer that names no label is wrong."""
    with served(asking, entry.name, entry.gguf) as file:
        return [answer.label == case.expected for answer, case in zip(file.answers(asking.cases), asking.cases, strict=True)]


def by_group(cases: Sequence[Case], ours: Sequence[bool], theirs: Sequence[bool]) -> list[tuple[int, int, int]]:
    """Cases, those that ours alone has right, those that theirs alone has, of each group; which group it was is not kept."""
    counts: dict[str, list[int]] = {}
    for case, a, b in zip(cases, ours, theirs, strict=True):
        count = counts.setdefault(case.group, [0, 0, 0])
        count[0] += 1
        count[1] += a and not b
        count[2] += b and not a
    return sorted((cases, wins, losses) for cases, wins, losses in counts.values())
