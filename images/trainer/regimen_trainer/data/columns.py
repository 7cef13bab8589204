"""The typed model of an export's rows: what each column must hold, and what it becomes. Said once, as DuckDB's SQL, and carried out there.

Knows columns and their types; nothing of files. Reasons name columns, never values: they go into reports and status.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from difflib import get_close_matches

from regimen.spec.dataset import DatasetTask, DocumentsSource, Source, SourceName, TrainingDatasetSpec
from regimen_trainer.errors import InputError
from regimen_trainer.tasks import DERIVED, LABELS, template_of

PENDING = "PENDING"
SHOWN = 40
"""Columns that a message lists: it must fit a pod's termination log."""
SPACES = " \t\r\n\u00a0"
"""What is trimmed off every cell."""


@dataclass(frozen=True)
class Kind:
    """What a cell must satisfy, and the value it has; `{}` stands for the trimmed text, `{whole}` for the text as it came."""

    valid: str
    value: str


# Much faster than trimming a long text to see that something is left of it.
TEXT = Kind(f"regexp_matches({{whole}}, '[^{SPACES}]')", "{}")
OPTIONAL = Kind("true", "{}")
AMOUNT = Kind("coalesce(try_cast({} AS DOUBLE) BETWEEN 0 AND 1e15, false)", "try_cast({} AS DOUBLE)")
DAY = Kind(
    "regexp_matches({}, '^[0-9]{{4}}-[0-9]{{2}}-[0-9]{{2}}([T ].*)?$') AND try_cast(left({}, 10) AS DATE) IS NOT NULL", "left({}, 10)"
)
SHARE = Kind("coalesce(try_cast({} AS DOUBLE) BETWEEN 0 AND 1, false)", "try_cast({} AS DOUBLE)")
DECISION = Kind("{} <> ''", "upper({})")

MODELS: dict[SourceName, dict[str, Kind]] = {
    "claims": {
        "claim_id": TEXT,
        "policy_id": TEXT,
        "claim_number": TEXT,
        "diagnosis_codes": TEXT,
        "procedure_codes": TEXT,
        "claim_amount": AMOUNT,
        "service_date": DAY,
        "medical_analysis": TEXT,
        "final_decision": DECISION,
    },
    "documents": {"dictation": TEXT, "document_type": TEXT, "final_document": TEXT},
}
"""Columns that an export must have; documents also `quality_score`, where the spec asks for a quality. `adjudication_decision` may be there and is never used: it gives the answer away."""
FORBIDDEN = frozenset({"adjudication_decision"})
IDENTIFYING: dict[SourceName, tuple[str, ...]] = {"claims": ("claim_id", "policy_id", "claim_number"), "documents": ()}
"""Columns that hold identifiers themselves: never in a text, a surrogate in their place."""
CODES: dict[SourceName, tuple[str, ...]] = {"claims": ("diagnosis_codes", "procedure_codes"), "documents": ()}
"""Columns that hold codes alone."""
SIMILAR: dict[SourceName, tuple[str, ...]] = {
    "claims": ("diagnosis_codes", "procedure_codes", "medical_analysis"),
    "documents": ("dictation",),
}
"""Columns by which rows are near-duplicates: a model that has seen the one answers the other from memory."""
STRATA: dict[SourceName, str] = {"claims": "final_decision", "documents": "document_type"}


@dataclass(frozen=True)
class Shape:
    """The columns of one source, as the spec needs them."""

    source: SourceName
    kinds: dict[str, Kind]
    """Columns that every row must have valid, in order."""
    known: tuple[str, ...]
    """Columns whose values are identifiers."""
    texts: tuple[str, ...]
    """Columns that are de-identified and may be shown to a model."""
    group: tuple[str, ...]
    stratum: str

    @property
    def numbers(self) -> tuple[str, ...]:
        """Columns that are no text: they go to the model as they are, or as what is derived from them."""
        return tuple(name for name, kind in self.kinds.items() if kind in (AMOUNT, DAY, SHARE, DECISION))


def shape_of(spec: TrainingDatasetSpec, name: SourceName, present: Sequence[str]) -> Shape:
    """The columns that a source's tasks, groups and strata need. `present` are the export's, under Regimen's names."""
    source: Source = getattr(spec.sources, name)
    split = source.split  # type: ignore[attr-defined]
    model = dict(MODELS[name])
    if isinstance(source, DocumentsSource) and source.min_quality > 0:
        model["quality_score"] = SHARE
    known = (*IDENTIFYING[name], *(column for column in spec.deidentify.known_values if column in present))
    wanted = [column for task in spec.tasks if task.reads == name for column in asked(task, spec)]
    extra = dict.fromkeys((*wanted, *split.group_by, *([split.stratify_by] if split.stratify_by else [])), OPTIONAL)
    kinds = {**model, **{column: kind for column, kind in extra.items() if column not in model}}
    shown = (*(column for column, kind in model.items() if kind is TEXT), *wanted)
    texts = tuple(dict.fromkeys(column for column in shown if column not in known and kinds[column] in (TEXT, OPTIONAL)))
    return Shape(name, kinds, tuple(dict.fromkeys(known)), texts, tuple(split.group_by), split.stratify_by or STRATA[name])


def asked(task: DatasetTask, spec: TrainingDatasetSpec) -> list[str]:
    """Columns of the export that a task's prompt and completion need. Raises InputError for one that no model may see."""
    question = template_of(task)
    if LABELS in question.fields and not task.output.labels:
        raise InputError(
            f"tasks {task.name}: the prompt names {{{{ labels }}}}, but output has none; take it out, or set output.type: Label"
        )
    derived = derived_of(task.reads)
    columns = [column for column in question.columns if column not in derived]
    identifying = {*IDENTIFYING[task.reads], *spec.deidentify.known_values}
    for column in columns:
        if column in FORBIDDEN or column == task.writes:
            raise InputError(f"tasks {task.name}: {column} gives the answer away; take it out of the prompt")
    for column in (*columns, task.writes):
        if column in identifying:
            raise InputError(
                f"tasks {task.name}: {column} is an identifier, which no model may learn; take it out of prompt and completion"
            )
        if MODELS[task.reads].get(column) == DAY and spec.deidentify.method != "None":
            raise InputError(
                f"tasks {task.name}: {column} is a whole date, of which only the year may stay; write {{{{ service_year }}}} instead"
            )
    return [*columns, task.writes]


def derived_of(source: SourceName) -> dict[str, tuple[str, str]]:
    """What can be derived from a source's columns; the same name in another source is a column of its export."""
    return {name: entry for name, entry in DERIVED.items() if entry[0] in MODELS[source]}


def faults(shape: Shape, spec: TrainingDatasetSpec) -> str:
    """SQL of the reason for which a row cannot be used, or NULL."""
    checks = [
        f"WHEN NOT ({kind.valid.format(*[_cell(name)] * 4, whole=_whole(name))}) THEN 'invalid {name}'"
        for name, kind in shape.kinds.items()
        if kind != OPTIONAL
    ]
    source = getattr(spec.sources, shape.source)
    if isinstance(source, DocumentsSource) and source.min_quality > 0:
        checks.append(f"WHEN try_cast({_cell('quality_score')} AS DOUBLE) < {source.min_quality} THEN 'low quality'")
    if shape.source == "claims":
        checks += _decision_checks(spec)
    return f"CASE {' '.join(checks)} END"


def _decision_checks(spec: TrainingDatasetSpec) -> list[str]:
    """Whether a claim's decision makes it useless for every task: pending ones still have a medical analysis to learn from."""
    decides = [task for task in spec.tasks if task.reads == "claims" and task.writes == "final_decision" and task.output.type == "Label"]
    others = any(task.reads == "claims" and task not in decides for task in spec.tasks)
    decision = f"upper({_cell('final_decision')})"
    checks = [] if others else [f"WHEN {decision} = '{PENDING}' THEN 'pending'"]
    labels = {label.upper() for task in decides for label in task.output.labels}
    if labels:
        checks.append(f"WHEN {decision} NOT IN ({', '.join(map(quoted, sorted({*labels, PENDING})))}) THEN 'invalid final_decision'")
    return checks


def value(name: str, kind: Kind) -> str:
    """SQL of a cell's value."""
    return kind.value.format(_cell(name))


def held(column: str) -> str:
    """SQL of a column of the export. Marked, because an export may well have a column `id`, `label` or `side`, as our tables do."""
    return '"c ' + column.replace('"', '""') + '"'


def _whole(name: str) -> str:
    return f"coalesce({held(name)}, '')"


def _cell(name: str) -> str:
    return f"trim({_whole(name)}, {quoted(SPACES)})"


def quoted(text: str) -> str:
    """A string as SQL writes it."""
    return "'" + text.replace("'", "''") + "'"


def require(present: Sequence[str], wanted: dict[str, str], field: str, file: str) -> None:
    """Raise InputError for the first of the columns (Regimen's name to the export's) that a file lacks, with what comes nearest."""
    for name, theirs in wanted.items():
        if theirs not in present:
            # A column that is needed under its own name is not the one that is missing.
            free = [column.lower() for column in present if column not in wanted.values()]
            near = get_close_matches(theirs.lower(), free, n=1, cutoff=0.3)
            nearest = next((column for column in present if near and column.lower() == near[0]), None)
            hint = (
                f"nearest is {nearest}; map it with {{name: {name}, from: {nearest}}}"
                if nearest
                else f"map it with {{name: {name}, from: …}}"
            )
            there = ", ".join(present[:SHOWN]) + (f" and {len(present) - SHOWN} more" if len(present) > SHOWN else "")
            raise InputError(f"{field}.columns: column {theirs} is missing; the export has {there or 'no header'} ({file}); {hint}")
