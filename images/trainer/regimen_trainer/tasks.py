"""The tasks: how a row becomes a prompt, and how an answer becomes a label.

Prompts are text files in `templates/` that a user may replace: `{{ column }}` stands for a column's value, and there is nothing else to them,
so that a prompt can be read by whoever signs for it, runs no code, and is filled in for a million rows at once. The same templates render
training rows, held-out rows and the requests of anyone who wants to ask a model served after training. No model library is needed.
"""

import re
from bisect import bisect_right
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cache
from importlib.resources import files
from typing import Self, TypedDict

from regimen.spec.dataset import DatasetTask
from regimen_trainer.errors import InputError

STEMS = {"medicalAnalysis": "bimedix_medical_analysis", "adjudication": "openins_adjudication", "clinicalDocs": "scribe_clinical_docs"}
"""Stem of each task's files, as the business named them; other tasks' files have the task's own name."""
DEFAULT_LABELS = ("APPROVED", "DENIED")
LABELS = "labels"
"""What a template calls the labels of its task."""

TIERS = (100, 200, 500, 1_000, 2_000, 5_000, 10_000, 20_000, 50_000)
"""Lower bounds of the cost tiers 1 to 9: a digit that small models read more easily than a number's length."""
DERIVED = {
    "service_year": ("service_date", "left({}, 4)"),
    "amount": ("claim_amount", "CAST(trunc({}) AS BIGINT)"),
    "cost_tier": ("claim_amount", "(" + " + ".join(f"CAST({{}} >= {bound} AS INT)" for bound in TIERS) + ")"),
}
"""What prompts show instead of a row's exact values, from which column, and how SQL says it: the year alone, whole dollars, a cost tier."""
_FIELD = re.compile(r"\{\{\s*(\w+)\s*\}\}")


class Message(TypedDict):
    """A turn of a conversation."""

    role: str
    content: str


@dataclass(frozen=True)
class Template:
    """Text with places for columns: literal, column, literal, column, …, literal."""

    parts: tuple[str, ...]

    @classmethod
    def parse(cls, text: str, where: str) -> Self:
        """Raises InputError for braces that are not `{{ column }}`."""
        parts = tuple(_FIELD.split(text.strip()))
        for literal in parts[::2]:
            if "{{" in literal or "{%" in literal:
                raise InputError(f"{where}: only {{{{ column }}}} is understood, no other braces; see docs/prompts.md")
        return cls(parts)

    @property
    def columns(self) -> tuple[str, ...]:
        """Columns that it shows, in order."""
        return self.parts[1::2]

    def render(self, values: Mapping[str, object]) -> str:
        """The text with values in the columns' places. Raises InputError naming a column that is missing."""
        try:
            return "".join(str(values[part]) if index % 2 else part for index, part in enumerate(self.parts))
        except KeyError as error:
            raise InputError(f"the prompt needs column {error.args[0]}, which the row lacks; add it") from error


@dataclass(frozen=True)
class Question:
    """What a task asks: the system's message, the user's."""

    system: Template
    user: Template

    @property
    def fields(self) -> tuple[str, ...]:
        """All that it shows, in order."""
        return (*self.system.columns, *self.user.columns)

    @property
    def columns(self) -> tuple[str, ...]:
        """Columns that it shows, in order."""
        return tuple(name for name in self.fields if name != LABELS)


def template_of(task: DatasetTask) -> Question:
    """A task's prompt: its own, or the file of that name."""
    if task.prompt is None:
        return shipped(task.name)
    return Question(
        Template.parse(task.prompt.system, f"tasks {task.name}: prompt.system"),
        Template.parse(task.prompt.user, f"tasks {task.name}: prompt.user"),
    )


@cache
def shipped(task: str) -> Question:
    """The prompt that comes with the trainer."""
    folder = files("regimen_trainer") / "templates"
    system, user = (
        Template.parse((folder / f"{task}.{role}.txt").read_text(encoding="utf-8"), f"{task}.{role}.txt") for role in ("system", "user")
    )
    return Question(system, user)


def render(task: str, row: Mapping[str, object], labels: Sequence[str] = DEFAULT_LABELS) -> list[Message]:
    """The messages that ask a model for the answer on a row, for a task whose prompt comes with the trainer. Raises InputError."""
    values = {**row, **derived(row), LABELS: label_list(labels)}
    question = shipped(task)
    return [
        Message(role=role, content=template.render(values)) for role, template in (("system", question.system), ("user", question.user))
    ]


def label_list(labels: Sequence[str]) -> str:
    """The labels as a prompt names them."""
    return " or ".join(labels)


def derived(row: Mapping[str, object]) -> dict[str, object]:
    """The values of DERIVED for one row.

    >>> derived({"service_date": "2024-03-14", "claim_amount": "6120.50"})
    {'service_year': '2024', 'amount': 6120, 'cost_tier': 6}
    """
    shown: dict[str, object] = {}
    if "service_date" in row:
        shown["service_year"] = str(row["service_date"])[:4]
    if "claim_amount" in row:
        amount = float(str(row["claim_amount"]))
        shown |= {"amount": int(amount), "cost_tier": bisect_right(TIERS, amount)}
    return shown


def parse_label(text: str, labels: Sequence[str]) -> str | None:
    """The one label that an answer names, or None where it names none or several. Case and surroundings do not matter.

    >>> parse_label(" Denied.", ["APPROVED", "DENIED"])
    'DENIED'
    >>> parse_label("APPROVED or DENIED", ["APPROVED", "DENIED"]) is None
    True
    """
    named = {label for label in labels if re.search(rf"(?<!\w){re.escape(label)}(?!\w)", text, re.IGNORECASE)}
    # A label inside a longer one that is named too (FULL in NOT FULL) is not meant.
    named = {label for label in named if not any(label != other and label.lower() in other.lower() for other in named)}
    return named.pop() if len(named) == 1 else None
