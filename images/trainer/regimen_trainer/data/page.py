"""The page of a dataset revision that people read: one file without network or scripts.

Knows the classes of identifiers by their descriptions. It says what de-identification looked for and never that the data is free of identifiers:
no program can know that.
"""

import re

from jinja2 import Environment, PackageLoader
from markupsafe import Markup, escape

from regimen_trainer.data.report import Deidentification, Report, Side, SourceReport, TaskReport, TokenLengths, total
from regimen_trainer.data.sentences import attention, explained, summary
from regimen_trainer.deid import CLASSES
from regimen_trainer.plots import Histogram, histogram, stacked
from regimen_trainer.words import number, percent, plural

SIDES: dict[Side, str] = {"train": "training", "test": "held out", "golden": "golden"}
MOST_LABELS, MOST_PAIRS = 12, 50
"""More labels than this share one bar, more pairs are only in report.json: a page of thousands is not read."""
TAG = re.compile(r"\[[A-Z][A-Za-z0-9 _:/-]{0,40}\]")
"""What stands where an identifier was; `[INST]` and the like are marked too, which harms nobody."""


def render(report: Report) -> str:
    """The page."""
    environment = Environment(loader=PackageLoader("regimen_trainer"), autoescape=True, trim_blocks=True, lstrip_blocks=True)
    environment.filters |= {"number": number, "tagged": tagged, "plural": plural}
    page = environment.get_template("dataset_report.html.jinja")
    return page.render(
        report=report, summary=summary(report), attention=attention(report), classes_of=classes_of, sides=SIDES, most_pairs=MOST_PAIRS,
        percent=percent, explained=explained, stacked=stacked, rows_of=rows_of, labels_of=labels_of, histogram_of=histogram_of,
    )  # fmt: skip


def classes_of(found: Deidentification) -> list[tuple[str, str, str]]:
    """Letter of the rule, name and plain description of each class that was found, in the rule's order; columns' own names come last."""
    names = found.removed.keys() | found.residual.keys()
    known = sorted((CLASSES[name].letter, name, CLASSES[name].description) for name in names if name in CLASSES)
    return [*known, *(("", name, "values of this column of the row") for name in sorted(names - CLASSES.keys()))]


def rows_of(source: SourceReport) -> dict[str, int]:
    """What a source's bar shows, in order."""
    return {
        "used": source.used,
        "left out": sum(source.left_out.values()),
        "rejected": sum(source.rejected.values()),
        "quarantined": source.quarantined,
        "unexplained": max(0, source.unexplained),
    }


def labels_of(task: TaskReport) -> dict[str, dict[Side, int]]:
    """Rows per label and side, most frequent label first; the rare ones of many together."""
    every = total(task.mix.values())
    names = [name for name, _ in every.most_common()]
    shown = names if len(names) <= MOST_LABELS else names[: MOST_LABELS - 1]
    table = {name: {side: mix.get(name, 0) for side, mix in task.mix.items()} for name in shown}
    if rest := names[len(shown) :]:
        table[f"{number(len(rest))} others"] = {side: sum(mix.get(name, 0) for name in rest) for side, mix in task.mix.items()}
    return table


def histogram_of(tokens: TokenLengths) -> Histogram:
    return histogram([(entry.low, entry.high, entry.rows) for entry in tokens.histogram], tokens.limit)


def tagged(text: str) -> Markup:
    """Text, escaped, with the tags that stand for identifiers marked."""
    end, pieces = 0, []
    for found in TAG.finditer(text):
        pieces += [escape(text[end : found.start()]), Markup("<mark>{}</mark>").format(found.group())]
        end = found.end()
    return Markup("").join([*pieces, escape(text[end:])])
