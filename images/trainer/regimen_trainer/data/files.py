"""Writes a task's rows as JSON lines, in TRL's conversational prompt and completion form, by SQL: a million rows in seconds.

Knows prompts and rows_<source> (seq, id, side, grp, the columns). Held-out rows also say which of them belong together, by a number that
means nothing elsewhere: evaluation counts the rows of one policy or patient as one.
"""

from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

from regimen.spec.dataset import DatasetTask
from regimen_trainer.data.columns import derived_of, held, quoted
from regimen_trainer.data.split import Side
from regimen_trainer.data.table import Workbench
from regimen_trainer.tasks import LABELS, STEMS, Template, label_list, template_of

SIDES = {"train": Side.TRAIN, "test": Side.TEST}
GROUP = "group_number"
"""Column for the number of a held-out row's group."""


def file_of(task: DatasetTask, side: str) -> str:
    """Name of a task's file."""
    return f"{STEMS.get(task.name, task.name)}_{side}.jsonl"


def write_all(
    bench: Workbench, tasks: Sequence[DatasetTask], sides: Sequence[str], folder: Path, threads: int
) -> dict[str, dict[str, dict[str, int]]]:
    """Write these sides of every task, side by side: what keeps the order of rows uses one thread. Returns what `write` does, by task and side."""
    made = [(task, side) for task in tasks for side in sides]
    with ThreadPoolExecutor(threads) as pool:
        mixes = iter(list(pool.map(lambda one: write(bench.beside(), one[0], one[1], folder), made)))
    return {task.name: {side: next(mixes) for side in sides} for task in tasks}


def write(bench: Workbench, task: DatasetTask, side: str, folder: Path) -> dict[str, int]:
    """Write one side of a task; returns its rows by label, or by document type."""
    path = folder / file_of(task, side)
    chosen = f"FROM rows_{task.reads} WHERE side = {int(SIDES[side])} AND {usable(task)}"
    rows = chosen if side == "train" else numbered(chosen)
    # As bytes: what writes text looks through every line for what it might have to quote.
    bench.run(f"COPY (SELECT encode({line(task, side)} || chr(10)) {rows}) TO {quoted(str(path))} (FORMAT blob)")
    mix = answer(task) if task.output.labels else (held("document_type") if task.reads == "documents" else "'rows'")
    return {str(label): int(count) for label, count in bench.run(f"SELECT {mix} AS label, count(*) {chosen} GROUP BY 1 ORDER BY 1")}


def numbered(chosen: str) -> str:
    """SQL of rows with the numbers of their groups, which are numbered as they first appear: new rows leave the numbers of old ones alone."""
    first = f"(SELECT *, min(seq) OVER (PARTITION BY grp) AS first_of_group {chosen})"
    return f"FROM (SELECT *, dense_rank() OVER (ORDER BY first_of_group) AS {GROUP} FROM {first}) ORDER BY seq"


def usable(task: DatasetTask) -> str:
    """SQL of whether a row is one of the task's."""
    labels = ", ".join(quoted(label.upper()) for label in task.output.labels)
    return f"upper({_written(task)}) IN ({labels})" if labels else f"{_written(task)} <> ''"


def answer(task: DatasetTask) -> str:
    """SQL of what the model should write."""
    cases = " ".join(f"WHEN {quoted(label.upper())} THEN {quoted(label)}" for label in task.output.labels)
    return f"CASE upper({_written(task)}) {cases} END" if cases else _written(task)


def line(task: DatasetTask, side: str) -> str:
    """SQL of a row as JSON."""
    question = template_of(task)
    parts = [
        quoted('{"id": '), "to_json(id)",
        *([] if side == "train" else [quoted(', "group": '), f"to_json({GROUP})"]),
        quoted(', "prompt": [{"role": "system", "content": '), f"to_json({_text(question.system, task)})",
        quoted('}, {"role": "user", "content": '), f"to_json({_text(question.user, task)})",
        quoted('}], "completion": [{"role": "assistant", "content": '), f"to_json({answer(task)})",
        quoted("}]}"),
    ]  # fmt: skip
    return " || ".join(parts)


def _text(template: Template, task: DatasetTask) -> str:
    """SQL of a template filled in."""
    parts = [_column(part, task) if index % 2 else quoted(part) for index, part in enumerate(template.parts)]
    return f"concat({', '.join(parts)})"


def _column(name: str, task: DatasetTask) -> str:
    if name == LABELS:
        return quoted(label_list(task.output.labels))
    derived = derived_of(task.reads)
    if name in derived:
        column, sql = derived[name]
        return sql.format(*[held(column)] * sql.count("{}"))
    return held(name)


def _written(task: DatasetTask) -> str:
    return f"CAST({held(task.writes)} AS VARCHAR)"
