"""Do an evaluation's figures pass a job's gates? And how the figures read in a status."""

from collections.abc import Mapping

from regimen.spec.finetune import ComparedWith, EvaluationFigures, Gate

Figures = Mapping[str, float | int | str | None]
LOWER_IS_BETTER = frozenset({"falseDenialRate", "falseApprovalRate", "unparseableRate"})


def failed_gates(gates: list[Gate], figures: Figures, contenders: list[str]) -> list[str]:
    """One sentence for each gate that does not pass; a figure that is missing does not pass (law 4).

    >>> failed_gates([Gate(metric="agreement", margin=0.05)], {"agreement": 0.7, "agreement@Baseline": 0.8}, ["Baseline"])
    ['agreement 0.700 is worse than Baseline 0.800 by more than 0.05']
    """
    return [text for gate in gates for contender in contenders if (text := _failure(gate, figures, contender))]


def _failure(gate: Gate, figures: Figures, contender: str) -> str | None:
    ours, theirs = figures.get(gate.metric), figures.get(f"{gate.metric}@{contender}")
    if not isinstance(ours, int | float) or not isinstance(theirs, int | float):
        return f"{gate.metric} was not measured against {contender}: the task's output type does not have it"
    gain = theirs - ours if gate.metric in LOWER_IS_BETTER else ours - theirs
    if gate.criterion == "Better":
        return None if gain > 0 else f"{gate.metric} {ours:.3f} is not better than {contender} {theirs:.3f}"
    if gain >= -gate.margin:
        return None
    return f"{gate.metric} {ours:.3f} is worse than {contender} {theirs:.3f} by more than {gate.margin:g}"


def evaluation_figures(figures: Figures, contenders: Mapping[str, str]) -> EvaluationFigures:
    """Figures of a stage record as the status shows them. `contenders`: name to ModelVersion."""

    def number(key: str) -> float | None:
        value = figures.get(key)
        return float(value) if isinstance(value, int | float) else None

    ours = number("agreement")
    compared = []
    for name, version in contenders.items():
        theirs = number(f"agreement@{name}")
        gain = ours - theirs if ours is not None and theirs is not None else None
        compared.append(ComparedWith(name=name, version=version, agreement=theirs, difference=gain, mcnemar_p=number(f"mcnemarP@{name}")))
    return EvaluationFigures(
        rows=int(number("rows") or 0), agreement=ours, precision=number("precision"), recall=number("recall"),
        rouge_l=number("rougeL"), compared=compared,
    )  # fmt: skip
