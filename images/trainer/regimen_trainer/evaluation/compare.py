"""From answers to figures: each version's metrics with bounds, and the candidate against each contender on the same rows.

Pure: answers in, numbers out. The figures' names are those of `regimen.stats.gates`.
"""

from collections.abc import Sequence
from dataclasses import dataclass

from regimen.spec.tasks import EvaluateTask
from regimen.stats.paired import Bootstrap, Ratio, mcnemar
from regimen_trainer.evaluation.answers import Answer
from regimen_trainer.evaluation.cases import Case
from regimen_trainer.evaluation.metrics import label_ratios, text_ratios

Figures = dict[str, float | int | str | None]


@dataclass(frozen=True)
class Judged:
    """What a version scored. `answers` in the order of the cases; `right`: whether each agrees with the experts (label tasks)."""

    name: str
    version: str
    answers: Sequence[Answer]
    metrics: dict[str, Ratio]
    right: Sequence[bool] = ()

    @property
    def labels(self) -> list[str | None]:
        return [answer.label for answer in self.answers]


def judged(task: EvaluateTask, cases: Sequence[Case], name: str, version: str, answers: Sequence[Answer]) -> Judged:
    """A version's metrics from its answers."""
    if task.output == "Text":
        return Judged(name, version, answers, text_ratios([answer.scores for answer in answers]))
    expert, labels = [case.expected for case in cases], [answer.label for answer in answers]
    metrics = label_ratios(expert, labels, task.labels, positive_of(task))
    return Judged(name, version, answers, metrics, [wanted == said for wanted, said in zip(expert, labels, strict=True)])


def positive_of(task: EvaluateTask) -> str:
    """The label that a denial has."""
    return task.positive or task.labels[-1]


def own_figures(bootstrap: Bootstrap, version: Judged) -> Figures:
    """The candidate's metrics with bounds, and the counts behind its rates."""
    figures: Figures = {}
    for metric, ratio in version.metrics.items():
        figures[metric] = ratio.value
        if "[" not in metric and (found := bootstrap.estimate(ratio)) is not None and found.lower is not None:
            figures |= {f"{metric}:lower": found.lower, f"{metric}:upper": found.upper}
    return figures | counts(version)


def counts(version: Judged) -> Figures:
    """Rows behind the rates of a label task."""
    names = {"falseDenials": "falseDenialRate", "falseApprovals": "falseApprovalRate", "unparseable": "unparseableRate"}
    return {count: int(version.metrics[rate].numerator.sum()) for count, rate in names.items() if rate in version.metrics}


def paired_figures(bootstrap: Bootstrap, ours: Judged, theirs: Judged) -> Figures:
    """The candidate against a contender."""
    at = f"@{theirs.name}"
    figures: Figures = {f"version{at}": theirs.version, **{f"{name}{at}": value for name, value in counts(theirs).items()}}
    for metric, ratio in theirs.metrics.items():
        if "[" in metric:
            continue
        figures[f"{metric}{at}"] = ratio.value
        found = bootstrap.difference(ours.metrics[metric], ratio)
        if found is not None:
            figures[f"{metric}{at}:difference"] = found.value
            bounds = {"lower": found.lower, "upper": found.upper, "detectable": found.detectable}
            figures |= {f"{metric}{at}:{name}": value for name, value in bounds.items() if value is not None}
    if ours.right:
        pairs = list(zip(ours.right, theirs.right, strict=True))
        figures |= {
            f"wins{at}": pairs.count((True, False)), f"losses{at}": pairs.count((False, True)),
            f"mcnemarP{at}": mcnemar(ours.right, theirs.right),
        }  # fmt: skip
    return figures
