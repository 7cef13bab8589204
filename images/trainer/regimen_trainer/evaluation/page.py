"""The page of an evaluation, made from its document.

    Report ─ summary, attention (sentences) ─ plots (geometry) ─ templates/evaluation_report.html.jinja

The page is one file without network or scripts, written for whoever answers for the claims: what changed, how sure that is, what the
gates said, and that a person decides every denial.
"""

import json
from collections.abc import Iterable, Mapping
from pathlib import Path

from jinja2 import Environment, PackageLoader

from regimen_trainer.evaluation.document import Pairing, Report, Version
from regimen_trainer.evaluation.plots import difference_axis, spread_of, whisker
from regimen_trainer.evaluation.quantization import PLACES, TOP
from regimen_trainer.plots import stacked
from regimen_trainer.words import number, percent, plural

FILES = ["evaluation.json", "report.html"]
METRICS = {
    "agreement": "answers that agree with the experts",
    "precision": "of the answers {positive}, those that experts gave too",
    "recall": "of the experts' {positive}, those found",
    "f1": "precision and recall in one figure (F1)",
    "falseDenialRate": "answered {positive} where experts did not",
    "falseApprovalRate": "not answered {positive} where experts did",
    "unparseableRate": "answers that name no label or several",
    "rouge1": "words in common with the final document (ROUGE-1)",
    "rouge2": "pairs of words in common (ROUGE-2)",
    "rougeL": "words in common in the same order (ROUGE-L)",
    "editDistance": "words to be changed to get the final document",
}
"""Metrics in the page's order, in plain words."""


def write_report(report: Report, figures: Mapping[str, object], folder: Path) -> list[str]:
    """Write evaluation.json and report.html; returns their names."""
    folder.mkdir(parents=True, exist_ok=True)
    document = {**report.model_dump(mode="json", by_alias=True), "figures": dict(figures)}
    (folder / FILES[0]).write_text(json.dumps(document, indent=2, sort_keys=True))
    (folder / FILES[1]).write_text(render(report))
    return FILES


def render(report: Report) -> str:
    """The page."""
    environment = Environment(loader=PackageLoader("regimen_trainer"), autoescape=True, trim_blocks=True, lstrip_blocks=True)
    environment.filters |= {"number": number, "plural": plural, "share": share, "points": points, "chance": chance, "nats": nats}
    return environment.get_template("evaluation_report.html.jinja").render(
        report=report, summary=summary(report), attention=attention(report), shown=shown(report), titled=titled, percent=percent,
        whisker=whisker, spread_of=spread_of, axis=difference_axis(report.pairings), stacked=stacked, top=TOP,
        most_places=PLACES,
    )  # fmt: skip


def shown(report: Report) -> dict[str, str]:
    """The metrics that the task has, in plain words."""
    return {
        metric: words.format(positive=report.positive) for metric, words in METRICS.items() if metric in report.candidate.metrics
    }  # fmt: skip


def titled(version: Version | Pairing) -> str:
    """A version as the page names it, e.g. openins-v1.0 (Serving)."""
    return version.version if version.name == "candidate" else f"{version.version} ({version.name})" if version.version else version.name


def summary(report: Report) -> list[str]:
    """What was asked and what came of it."""
    groups = f" of {plural(report.groups, 'policy or patient', 'policies or patients')}" if report.groups < report.rows else ""
    told = [
        f"{report.version} answered {plural(report.rows, 'row')}{groups} that it was not trained on, as the {report.quantization} file that "
        "would serve, with the engine that would serve it."
    ]
    headline = report.candidate.metrics.get("agreement") or report.candidate.metrics.get("rougeL")
    if headline is not None and headline.value is not None:
        what = "It agrees with the experts on" if report.output == "Label" else "Its ROUGE-L against the final documents is"
        sure = f" (with 95 % confidence at least {share(headline.lower)})" if headline.lower is not None else ""
        told.append(f"{what} {share(headline.value)}{sure}.")
    told += [_compared(pairing) for pairing in report.pairings]
    told += [f"{name} is left out: no such version exists yet." for name in report.absent]
    return told


def _compared(pairing: Pairing) -> str:
    gain, low, high = pairing.difference.value, pairing.difference.lower, pairing.difference.upper
    if gain is None:
        return f"Against {titled(pairing)} nothing could be compared."
    said = "the same as" if abs(gain) < 5e-5 else f"{points(abs(gain))} {'better' if gain > 0 else 'worse'} than"
    if low is None or high is None:
        return f"That is {said} {titled(pairing)}; there are too few rows to say how sure that is."
    sure = "shown to be better" if low > 0 else "shown to be worse" if high < 0 else "within what chance can do"
    return f"That is {said} {titled(pairing)}: {sure} (between {points(low, sign=True)} and {points(high, sign=True)})."


def attention(report: Report) -> list[str]:
    """What somebody should look at, most pressing first."""
    return [*(f"Gate failed: {gate.message}." for gate in report.gates if not gate.passed), *_doubts(report)]


def _doubts(report: Report) -> Iterable[str]:
    if report.template_matches is False:
        yield "The served chat template makes other tokens than training saw; the model was asked otherwise than it was taught."
    if report.template_matches is None:
        who = "The tool that trained the adapter" if "adapterSource" in report.lineage else "Its training"
        yield (
            f"{who} left no record of the tokens that it saw, so it is not known whether the served chat template makes the same; compare the "
            "chat template that it was trained with to that of the base."
        )
    for version in report.versions:
        silent = sum(answers.get("", 0) for answers in version.confusion.values())
        if silent:
            yield f"{titled(version)} gave {plural(silent, 'answer that names', 'answers that name')} no label or several; they count as wrong."
        if version.pace.cut and report.output == "Text":
            yield f"{titled(version)}: {plural(version.pace.cut, 'answer was', 'answers were')} cut at the limit of tokens."


def share(value: float | None) -> str:
    """A share in percent.

    >>> share(0.8712), share(None)
    ('87.1 %', '–')
    """
    return "–" if value is None else f"{100 * value:.1f} %"


def chance(value: float) -> str:
    """A probability for people who do not read exponents.

    >>> chance(0.0312), chance(1e-20), chance(1.0)
    ('0.031', 'under 0.0001', '1')
    """
    return "under 0.0001" if value < 1e-4 else f"{value:.2g}"


def nats(value: float | None) -> str:
    """A divergence.

    >>> nats(0.01234), nats(1.5e-5), nats(0.0), nats(None)
    ('0.0123', 'under 0.0001', '0', '–')
    """
    return "–" if value is None else "0" if not value else "under 0.0001" if value < 1e-4 else f"{value:.4f}"


def points(value: float | None, sign: bool = False) -> str:
    """A difference of shares in points.

    >>> points(0.031), points(-0.031, sign=True), points(0.01), points(0.0, sign=True)
    ('3.1 points', '−3.1 points', '1 point', '0 points')
    """
    if value is None:
        return "–"
    rounded = round(100 * value, 1) + 0.0  # no minus before a zero
    text = f"{rounded:+g}" if sign and rounded else f"{rounded:g}"
    text = text.replace("-", "−")
    return f"{text} {'point' if text.lstrip('+−') == '1' else 'points'}"
