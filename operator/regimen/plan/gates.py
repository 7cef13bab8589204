"""How an evaluation reads in a status: its figures, what each gate said, and the sentences of those that failed."""

from collections.abc import Mapping, Sequence

from regimen.spec.artifacts import Artifact
from regimen.spec.finetune import ComparedWith, EvaluationFigures, Gate, GateResult
from regimen.stats.gates import Figures, judge_gates

SENTENCES = 4
"""Failed gates told in the message, which has an end; status.evaluation.gates has all."""


def evaluated_against(figures: Figures, now: Sequence[tuple[str, str, Artifact | None]]) -> dict[str, str]:
    """Name to ModelVersion of what was compared with: as the record says, since what serves may be another by now.

    >>> evaluated_against({"version@Serving": "openins-v1.0"}, [("Serving", "openins-v1.1", None)])
    {'Serving': 'openins-v1.0'}
    """
    recorded = {key.partition("@")[2]: str(value) for key, value in figures.items() if key.startswith("version@")}
    return recorded or {name: version for name, version, _ in now}


def failed_gates(gates: Sequence[Gate], figures: Figures, contenders: Sequence[str]) -> list[str]:
    """One sentence for each gate that does not pass; a figure that is missing does not pass (law 4).

    >>> failed_gates([Gate(metric="agreement", margin=0.05)], {"agreement": 0.7, "agreement@Baseline": 0.8}, ["Baseline"])
    ['agreement 0.700 is worse than Baseline 0.800 by more than 0.05 (difference -0.100, too few rows to say how sure)']
    """
    return [result.message for result in judge_gates(gates, figures, contenders) if not result.passed]


def told(failed: Sequence[str]) -> str:
    """The failures in one message."""
    rest = len(failed) - SENTENCES
    return "; ".join(failed[:SENTENCES]) + (f"; and {rest} more, see status.evaluation.gates" if rest > 0 else "")


def evaluation_figures(figures: Figures, contenders: Mapping[str, str], gates: Sequence[Gate] = ()) -> EvaluationFigures:
    """Figures of a stage record as the status shows them. `contenders`: name to ModelVersion."""
    same = figures.get("templateMatchesTraining")
    return EvaluationFigures(
        rows=_whole(figures, "rows") or 0, groups=_whole(figures, "groups"), agreement=_share(figures, "agreement"),
        precision=_number(figures, "precision"), recall=_number(figures, "recall"), false_denials=_whole(figures, "falseDenials"),
        false_approvals=_whole(figures, "falseApprovals"), unparseable=_whole(figures, "unparseable"), rouge_l=_number(figures, "rougeL"),
        edit_distance=_number(figures, "editDistance"), quantization_divergence=_number(figures, "quantizationDivergence"),
        flipped_answers=_number(figures, "flippedAnswers"), template_matches_training=bool(same) if isinstance(same, int) else None,
        compared=[_compared(figures, name, version) for name, version in contenders.items()],
        gates=[_rounded(result) for result in judge_gates(gates, figures, list(contenders))],
    )  # fmt: skip


def _compared(figures: Figures, name: str, version: str) -> ComparedWith:
    metric = "agreement" if "agreement" in figures else "rougeL"
    key = f"{metric}@{name}"
    ours, theirs = _number(figures, metric), _number(figures, key)
    ends = [end for side in ("lower", "upper") if (end := _number(figures, f"{key}:{side}")) is not None]
    return ComparedWith(
        name=name, version=version, agreement=_share(figures, f"agreement@{name}"), rouge_l=_number(figures, f"rougeL@{name}"),
        difference=round(ours - theirs, 6) if ours is not None and theirs is not None else None, interval=ends if len(ends) == 2 else [],
        mcnemar_p=_number(figures, f"mcnemarP@{name}"),
    )  # fmt: skip


def _rounded(result: GateResult) -> GateResult:
    """Six digits behind the point are enough to read, and do not hide what passed."""
    shown = {name: round(value, 6) for name in ("estimate", "bound", "detectable") if (value := getattr(result, name)) is not None}
    return result.model_copy(update=shown)


def _number(figures: Figures, key: str) -> float | None:
    value = figures.get(key)
    return float(value) if isinstance(value, int | float) else None


def _share(figures: Figures, key: str) -> float | None:
    """Four digits behind the point: `kubectl get` prints what the status has."""
    value = _number(figures, key)
    return None if value is None else round(value, 4)


def _whole(figures: Figures, key: str) -> int | None:
    value = figures.get(key)
    return int(value) if isinstance(value, int | float) else None
