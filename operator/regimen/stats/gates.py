"""Does a version pass its gates? The same answer for the operator, which acts on it, and for the evaluation's report, which shows it.

Knows the spec's Gate and an evaluation's figures by their names:

    rows, groups, <metric>                       of the new version; <metric>[<label>] of one label
    <metric>:lower, <metric>:upper               what it may be at worst and best, each with 95 % confidence
    version@<contender>                          ModelVersion that it was
    <metric>@<contender>                         the contender's, on the same rows
    <metric>@<contender>:difference, :lower, :upper, :detectable     new version minus the contender
    mcnemarP@<contender>, wins@<contender>, losses@<contender>       label tasks
    templateMatchesTraining                      1 or 0; left out where training did not say which tokens it saw (another tool's adapter)
    quantizationDivergence, flippedAnswers       with :upper and :detectable; quantizationRows: on how many rows

`detectable`: the smallest true difference that the rows show with 80 % power. A figure that is missing never passes (law 4).
"""

from collections.abc import Mapping, Sequence

from regimen.spec.finetune import Gate, GateResult

Figures = Mapping[str, float | int | str | None]
LOWER_IS_BETTER = frozenset({"falseDenialRate", "falseApprovalRate", "unparseableRate", "editDistance"})
SIXTEEN_BIT = "16 bit"


def judge_gates(gates: Sequence[Gate], figures: Figures, contenders: Sequence[str]) -> list[GateResult]:
    """Every gate's result, against each contender where it compares. A gate that compares with nothing does not pass.

    >>> figures = {"rows": 200, "agreement": 0.7, "agreement@Baseline": 0.8}
    >>> [result.passed for result in judge_gates([Gate(metric="agreement", margin=0.05)], figures, ["Baseline"])]
    [False]
    """
    results = []
    for gate in gates:
        if not gate.compares:
            results.append(_absolute(gate, figures))
        elif not contenders:
            text = f"{gate.metric} was compared with nothing: no version of compareWith exists; add Baseline to evaluation.compareWith"
            results.append(
                GateResult(metric=gate.metric, against="nothing", asked=asked(gate), passed=False, limit=-gate.margin, message=text)
            )
        else:
            results += [_against(gate, figures, contender) for contender in contenders]
    return results


def asked(gate: Gate) -> str:
    """What has to be, in words.

    >>> asked(Gate(metric="agreement", margin=0.02, bound="Lower")), asked(Gate(metric="agreement", criterion="Better"))
    ('shown to be at most 0.02 worse', 'better')
    """
    shown = "shown to be " if gate.bound == "Lower" else ""
    if not gate.compares:
        return f"{shown}at most {gate.max:g}"
    return shown + ("better" if gate.criterion == "Better" else f"at most {gate.margin:g} worse" if gate.margin else "not worse")


def _against(gate: Gate, figures: Figures, contender: str) -> GateResult:
    """A gate that compares with a version. `sign` turns a difference into a gain."""
    key = f"{gate.metric}@{contender}"
    sign = -1.0 if gate.metric in LOWER_IS_BETTER else 1.0
    limit = 0.0 - sign * gate.margin if gate.criterion == "NotWorse" else 0.0
    ours, theirs = _number(figures, gate.metric), _number(figures, key)
    if ours is None or theirs is None:
        text = f"{gate.metric} was not measured against {contender}: {_why_missing(gate.metric)}"
        return GateResult(metric=gate.metric, against=contender, asked=asked(gate), passed=False, limit=limit, message=text)
    difference = ours - theirs
    bound = _number(figures, f"{key}:{'upper' if sign < 0 else 'lower'}")
    detectable = _number(figures, f"{key}:detectable")
    estimate_passes = _passes(gate, sign * difference)
    bound_passes = gate.bound == "Point" or (bound is not None and _passes(gate, sign * bound))
    told = _compared(gate, ours, theirs, contender, estimate_passes, bound_passes)
    remedy = "; more rows show more: raise evaluation.maxRows or split.testFraction" if estimate_passes and not bound_passes else ""
    return GateResult(
        metric=gate.metric, against=contender, asked=asked(gate), passed=estimate_passes and bound_passes, estimate=difference, bound=bound, limit=limit,
        detectable=detectable, message=f"{told} ({_certainty(difference, bound, detectable, figures)}{remedy})",
    )  # fmt: skip


def _passes(gate: Gate, gain: float) -> bool:
    # Differences of shares are not exact in binary: 0.80 - 0.82 is a hair below -0.02.
    return gain > 1e-12 if gate.criterion == "Better" else gain >= -gate.margin - 1e-12


def _compared(gate: Gate, ours: float, theirs: float, contender: str, estimate_passes: bool, bound_passes: bool) -> str:
    here, there = f"{gate.metric} {ours:.3f}", f"{contender} {theirs:.3f}"
    if not estimate_passes and gate.criterion == "NotWorse":
        return f"{here} is worse than {there} by more than {gate.margin:g}"
    if not estimate_passes:
        return f"{here} is not better than {there}"
    return f"{here} against {there} is {'' if bound_passes else 'not '}{asked(gate)}"


def _certainty(difference: float, bound: float | None, detectable: float | None, figures: Figures) -> str:
    """What the difference may be at worst, and what the rows could have shown."""
    rows = _number(figures, "rows")
    sure = f"at worst {bound:+.3f} with 95 % confidence" if bound is not None else "too few rows to say how sure"
    power = f"; these {rows:.0f} rows show differences from {detectable:.3f} on" if detectable is not None and rows else ""
    return f"difference {difference:+.3f}, {sure}{power}"


def _absolute(gate: Gate, figures: Figures) -> GateResult:
    """A gate on what quantising changed."""
    limit = gate.max or 0.0
    value, bound = _number(figures, gate.metric), _number(figures, f"{gate.metric}:upper")
    if value is None:
        text = f"{gate.metric} was not measured: {_why_missing(gate.metric)}"
        return GateResult(metric=gate.metric, against=SIXTEEN_BIT, asked=asked(gate), passed=False, limit=limit, message=text)
    judged = value if gate.bound == "Point" else bound
    passed = judged is not None and max(value, judged) <= limit
    divergence = gate.metric == "quantizationDivergence"
    what, shown = (
        ("mean KL divergence from 16 bit", "differences") if divergence else ("share of answers that quantising changed", "shares")
    )
    verdict = "within" if passed else "above" if value > limit else "not shown to be within"
    detectable = _number(figures, f"{gate.metric}:detectable")
    sure = f"at most {bound:.4g} with 95 % confidence" if bound is not None else "too few rows to say how sure"
    power = (
        f"; these {_number(figures, 'quantizationRows') or 0:.0f} rows show {shown} from {detectable:.2g} on"
        if detectable is not None
        else ""
    )
    remedy = "" if passed else "; add a quantization with more bits as the first of output.quantizations"
    return GateResult(
        metric=gate.metric, against=SIXTEEN_BIT, asked=asked(gate), passed=passed, estimate=value, bound=bound, limit=limit, detectable=detectable,
        message=f"{gate.metric} {value:.4g} is {verdict} {limit:g} ({what}: {sure}{power}{remedy})",
    )  # fmt: skip


def _why_missing(metric: str) -> str:
    if metric == "quantizationDivergence":
        return "the evaluation has no figure of it; run it with operator and trainer of one release"
    return "the task's output type does not have it; create the job with a gate on a metric that it has"


def _number(figures: Figures, key: str) -> float | None:
    value = figures.get(key)
    return float(value) if isinstance(value, int | float) and not isinstance(value, bool) else None
