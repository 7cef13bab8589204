"""The document of an evaluation: all that its page and evaluation.json say, in numbers. No text of a row or of an answer."""

from collections.abc import Sequence
from itertools import pairwise

import numpy as np
from pydantic import Field

from regimen.spec.finetune import GateResult
from regimen.spec.meta import Status
from regimen.spec.tasks import EvaluateTask
from regimen_trainer.evaluation.cases import Case
from regimen_trainer.evaluation.compare import Figures, Judged, positive_of
from regimen_trainer.evaluation.metrics import confusion
from regimen_trainer.evaluation.quantization import Changed

STEPS = (0.001, 0.01, 0.05, 0.1, 0.5)
"""Bounds of the divergences that are counted together, in nats."""


class Measured(Status):
    """A metric of a version; bounds of the candidate only."""

    value: float | None
    lower: float | None = None
    upper: float | None = None


class Pace(Status):
    """Lengths in tokens and seconds per answer: half of the answers, and 95 of 100, have at most so many."""

    tokens_p50: float
    tokens_p95: float
    seconds_p50: float
    seconds_p95: float
    cut: int = Field(description="Answers that reached the limit of tokens.")


class Version(Status):
    """What a version scored."""

    name: str = Field(description="candidate, Serving, First or Baseline.")
    version: str
    metrics: dict[str, Measured]
    confusion: dict[str, dict[str, int]] = Field(default_factory=dict, description="Rows by expert's label and by answer.")
    pace: Pace


class Pairing(Status):
    """The candidate and a contender on the same rows."""

    name: str
    version: str
    metric: str = Field(description="What the difference is of: agreement or rougeL.")
    difference: Measured
    detectable: float | None
    wins: int | None = Field(None, description="Rows that only the new version has right.")
    losses: int | None = Field(None, description="Rows that only the other one has right.")
    both: int | None = None
    neither: int | None = None
    mcnemar_p: float | None = None


class Quantizing(Status):
    """What quantising changed."""

    rows: int
    places: int
    divergence: Measured
    outside: float
    flips: int | None
    rows_by_divergence: dict[str, int]


class Report(Status):
    """All that is said of an evaluation."""

    version: str
    quantization: str
    output: str
    labels: list[str]
    positive: str | None
    rows: int
    groups: int
    versions: list[Version]
    pairings: list[Pairing]
    gates: list[GateResult]
    quantizing: Quantizing | None
    absent: list[str] = Field(default_factory=list, description="Of compareWith, what does not exist yet.")
    template_matches: bool | None = Field(None, description="Whether it makes the tokens that training saw; None: not known.")
    lineage: dict[str, str]

    @property
    def candidate(self) -> Version:
        return self.versions[0]


def report_of(
    task: EvaluateTask, cases: Sequence[Case], ours: Judged, others: Sequence[Judged], figures: Figures, gates: Sequence[GateResult],
    changed: Changed | None,
) -> Report:  # fmt: skip
    """The document of an evaluation."""
    lineage = task.lineage.model_dump(by_alias=True, exclude_none=True)
    matches = figures.get("templateMatchesTraining")
    return Report(
        version=ours.version, quantization=task.quantization, output=task.output, labels=task.labels,
        positive=positive_of(task) if task.output == "Label" else None, rows=len(cases), groups=int(figures.get("groups") or 0),
        versions=[_version(task, cases, judged, figures) for judged in (ours, *others)],
        pairings=[_pairing(other, figures, len(cases)) for other in others], gates=list(gates),
        quantizing=_quantizing(changed) if changed else None,
        absent=[name for name in task.evaluation.compare_with if name not in {other.name for other in others}],
        template_matches=None if matches is None else bool(matches),
        lineage={name: value for name, value in lineage.items() if isinstance(value, str)},
    )  # fmt: skip


def _version(task: EvaluateTask, cases: Sequence[Case], judged: Judged, figures: Figures) -> Version:
    own = judged.name == "candidate"
    metrics = {
        metric: Measured(value=ratio.value, **({side: figures.get(f"{metric}:{side}") for side in ("lower", "upper")} if own else {}))
        for metric, ratio in judged.metrics.items()
    }
    answered = confusion([case.expected for case in cases], judged.labels, task.labels) if task.output == "Label" else {}
    paces = np.array([(answer.tokens, answer.seconds) for answer in judged.answers], dtype=np.float64)
    half, most = (np.quantile(paces, share, axis=0).round(2).tolist() for share in (0.5, 0.95))
    pace = Pace(
        tokens_p50=half[0], tokens_p95=most[0], seconds_p50=half[1], seconds_p95=most[1], cut=sum(answer.cut for answer in judged.answers)
    )
    return Version(name=judged.name, version=judged.version, metrics=metrics, confusion=answered, pace=pace)


def _pairing(other: Judged, figures: Figures, rows: int) -> Pairing:
    metric = "agreement" if "agreement" in figures else "rougeL"
    key = f"{metric}@{other.name}"
    found = {name: figures.get(f"{key}:{name}") for name in ("difference", "lower", "upper", "detectable")}
    counted: dict[str, object] = {}
    if other.right:
        wins, losses = figures[f"wins@{other.name}"], figures[f"losses@{other.name}"]
        both = sum(other.right) - int(losses or 0)
        counted = {
            "wins": wins, "losses": losses, "both": both, "neither": rows - both - int(wins or 0) - int(losses or 0),
            "mcnemar_p": figures[f"mcnemarP@{other.name}"],
        }  # fmt: skip
    return Pairing.model_validate(
        {
            "name": other.name, "version": other.version, "metric": metric, "detectable": found["detectable"],
            "difference": {"value": found["difference"], "lower": found["lower"], "upper": found["upper"]}, **counted,
        }
    )  # fmt: skip


def _quantizing(changed: Changed) -> Quantizing:
    mean = changed.divergence
    counts = np.bincount(np.digitize(changed.divergences, STEPS), minlength=len(STEPS) + 1).tolist()
    names = [f"under {STEPS[0]:g}", *(f"{low:g} to {high:g}" for low, high in pairwise(STEPS)), f"{STEPS[-1]:g} or more"]
    return Quantizing(
        rows=len(changed.divergences), places=changed.places, divergence=Measured(value=mean.value, lower=mean.lower, upper=mean.upper),
        outside=changed.outside, flips=changed.flips, rows_by_divergence=dict(zip(names, counts, strict=True)),
    )  # fmt: skip
