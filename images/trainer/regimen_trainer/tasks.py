"""The tasks: how a row becomes a prompt, and how an answer becomes a label.

Prompts are jinja2 files beside this module, so that what a model is asked is text to read and not code. The same functions render
training rows, held-out rows and the requests of anyone who wants to ask a model served after training. No model library is needed.
"""

import re
from bisect import bisect_right
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cache
from typing import TypedDict

from jinja2 import Environment, PackageLoader, StrictUndefined, Template, UndefinedError

from regimen_trainer.errors import InputError

PLACES = {"medicalAnalysis": "bimedix_medical_analysis", "adjudication": "openins_adjudication", "clinicalDocs": "scribe_clinical_docs"}
"""Stem of each task's files, as the business named them."""
COMPLETIONS = {"medicalAnalysis": "medical_analysis", "adjudication": "final_decision", "clinicalDocs": "final_document"}
"""Column that the model learns to write, per task."""
NEVER_ASKED = frozenset({"adjudication_decision", "final_decision", "final_document"})
"""Columns that no prompt may see: they are the answer or give it away."""
DEFAULT_LABELS = ("APPROVED", "DENIED")

TIERS = (100, 200, 500, 1_000, 2_000, 5_000, 10_000, 20_000, 50_000)
"""Lower bounds of the cost tiers 1 to 9: a digit that small models read more easily than a number's length."""


class Message(TypedDict):
    """A turn of a conversation."""

    role: str
    content: str


@dataclass(frozen=True)
class Exchange:
    """What the model is asked, and what it should answer."""

    prompt: list[Message]
    completion: list[Message]


@cache
def _template(name: str) -> Template:
    environment = Environment(loader=PackageLoader("regimen_trainer"), undefined=StrictUndefined, autoescape=False)
    return environment.get_template(name)


def render(task: str, row: Mapping[str, object], labels: Sequence[str] = DEFAULT_LABELS) -> list[Message]:
    """The messages that ask a model for a task's answer on a row. Raises InputError naming a column that the row lacks."""
    seen = {name: value for name, value in row.items() if name not in NEVER_ASKED} | derived(row)
    try:
        system, user = (_template(f"{task}.{role}.jinja").render(seen, labels=labels) for role in ("system", "user"))
    except UndefinedError as error:
        raise InputError(f"task {task} needs a column that the row lacks: {error.message}; add it") from error
    return [{"role": "system", "content": system}, {"role": "user", "content": user}]


def derived(row: Mapping[str, object]) -> dict[str, object]:
    """What prompts show instead of a row's exact values: the year alone, whole dollars, a cost tier.

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


def exchange(task: str, row: Mapping[str, object], labels: Sequence[str] = DEFAULT_LABELS) -> Exchange:
    """A row as prompt and completion, in TRL's conversational form."""
    answer = str(row[COMPLETIONS[task]])
    return Exchange(render(task, row, labels), [{"role": "assistant", "content": answer}])


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
