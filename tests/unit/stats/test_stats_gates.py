"""Every gate passing and failing once, by a made case."""

import pytest

from regimen.spec.finetune import Gate, GateResult
from regimen.stats.gates import Figures, judge_gates

FIGURES: Figures = {
    "rows": 200,
    "agreement": 0.80, "agreement@Serving": 0.82, "agreement@Serving:lower": -0.06, "agreement@Serving:upper": 0.02,
    "agreement@Serving:detectable": 0.06,
    "agreement@Baseline": 0.70, "agreement@Baseline:lower": 0.05, "agreement@Baseline:upper": 0.15,
    "precision": 0.7, "precision@Serving": 0.75, "recall": 0.6, "recall@Serving": 0.7, "f1": 0.65, "f1@Serving": 0.72,
    "falseDenialRate": 0.05, "falseDenialRate@Serving": 0.04, "falseDenialRate@Serving:lower": -0.01, "falseDenialRate@Serving:upper": 0.03,
    "falseApprovalRate": 0.2, "falseApprovalRate@Serving": 0.1, "unparseableRate": 0.02, "unparseableRate@Serving": 0.0,
    "rouge1": 0.5, "rouge1@Serving": 0.6, "rouge2": 0.3, "rouge2@Serving": 0.4, "rougeL": 0.45, "rougeL@Serving": 0.5,
    "editDistance": 0.4, "editDistance@Serving": 0.3,
    "quantizationDivergence": 0.04, "quantizationDivergence:upper": 0.07, "quantizationDivergence:detectable": 0.01, "quantizationRows": 64,
    "flippedAnswers": 0.0156, "flippedAnswers:upper": 0.07, "flippedAnswers:detectable": 0.025,
}  # fmt: skip
FAILING = {
    "agreement worse": (Gate(metric="agreement", margin=0.01), "Serving", "agreement 0.800 is worse than Serving 0.820 by more than 0.01"),
    "agreement not better": (Gate(metric="agreement", criterion="Better"), "Serving", "agreement 0.800 is not better than Serving 0.820"),
    "agreement not shown to be within the margin": (
        Gate(metric="agreement", margin=0.02, bound="Lower"), "Serving", "agreement 0.800 against Serving 0.820 is not shown to be at most 0.02 worse",
    ),
    "precision": (Gate(metric="precision"), "Serving", "precision 0.700 is worse than Serving 0.750 by more than 0"),
    "recall": (Gate(metric="recall"), "Serving", "recall 0.600 is worse than Serving 0.700"),
    "f1": (Gate(metric="f1", margin=0.05), "Serving", "f1 0.650 is worse than Serving 0.720 by more than 0.05"),
    "false denials": (Gate(metric="falseDenialRate", margin=0.005), "Serving", "falseDenialRate 0.050 is worse than Serving 0.040"),
    "false denials not shown": (
        Gate(metric="falseDenialRate", margin=0.02, bound="Lower"), "Serving", "falseDenialRate 0.050 against Serving 0.040 is not shown to be",
    ),
    "false approvals": (Gate(metric="falseApprovalRate", margin=0.05), "Serving", "falseApprovalRate 0.200 is worse than Serving 0.100"),
    "unparseable": (Gate(metric="unparseableRate"), "Serving", "unparseableRate 0.020 is worse than Serving 0.000"),
    "rouge1": (Gate(metric="rouge1"), "Serving", "rouge1 0.500 is worse"),
    "rouge2": (Gate(metric="rouge2"), "Serving", "rouge2 0.300 is worse"),
    "rougeL": (Gate(metric="rougeL", criterion="Better"), "Serving", "rougeL 0.450 is not better"),
    "edit distance": (Gate(metric="editDistance", margin=0.05), "Serving", "editDistance 0.400 is worse than Serving 0.300"),
    "divergence": (Gate(metric="quantizationDivergence", max=0.03), "16 bit", "quantizationDivergence 0.04 is above 0.03"),
    "divergence not shown": (
        Gate(metric="quantizationDivergence", max=0.05, bound="Lower"), "16 bit", "quantizationDivergence 0.04 is not shown to be within 0.05",
    ),
    "flips": (Gate(metric="flippedAnswers", max=0.0), "16 bit", "flippedAnswers 0.0156 is above 0"),
    "a figure that is missing": (Gate(metric="recall"), "Baseline", "recall was not measured against Baseline"),
}  # fmt: skip
PASSING = {
    "within the margin": (Gate(metric="agreement", margin=0.02), "Serving"),
    "shown to be better": (Gate(metric="agreement", criterion="Better", bound="Lower"), "Baseline"),
    "shown to be within the margin": (Gate(metric="agreement", margin=0.06, bound="Lower"), "Serving"),
    "fewer is better": (Gate(metric="falseDenialRate", margin=0.03, bound="Lower"), "Serving"),
    "divergence": (Gate(metric="quantizationDivergence", max=0.07, bound="Lower"), "16 bit"),
    "flips": (Gate(metric="flippedAnswers", max=0.02), "16 bit"),
}


def judge(gate: Gate, against: str, figures: Figures = FIGURES) -> GateResult:
    (result,) = judge_gates([gate], figures, [against] if gate.compares else [])
    return result


@pytest.mark.parametrize("row", FAILING)
def test_failing(row: str) -> None:
    gate, against, says = FAILING[row]
    result = judge(gate, against)
    assert (result.passed, result.against) == (False, against)
    assert result.message.startswith(says)


@pytest.mark.parametrize("row", PASSING)
def test_passing(row: str) -> None:
    gate, against = PASSING[row]
    assert judge(gate, against).passed


def test_every_metric_fails_once_here() -> None:
    from typing import get_args

    from regimen.spec.finetune import Metric

    assert {gate.metric for gate, _, _ in FAILING.values()} == set(get_args(Metric))


@pytest.mark.parametrize("row", [*FAILING, *PASSING])
def test_without_its_figures_no_gate_passes(row: str) -> None:
    gate, against = (FAILING | PASSING)[row][:2]
    for figures in ({}, {"rows": 200, gate.metric: "0.9", f"{gate.metric}@{against}": None}):
        result = judge(gate, against, figures)
        assert not result.passed
        assert "was not measured" in result.message


def test_a_bound_that_is_missing_does_not_pass() -> None:
    known = {"rows": 5, "agreement": 0.9, "agreement@Serving": 0.5}
    assert judge(Gate(metric="agreement"), "Serving", known).passed
    result = judge(Gate(metric="agreement", bound="Lower"), "Serving", known)
    assert not result.passed
    assert "too few rows to say how sure" in result.message


def test_nothing_to_compare_with_does_not_pass() -> None:
    (result,) = judge_gates([Gate(metric="agreement")], FIGURES, [])
    assert not result.passed
    assert "add Baseline to evaluation.compareWith" in result.message


def test_a_result_says_estimate_bound_limit_and_power() -> None:
    result = judge(Gate(metric="falseDenialRate", margin=0.02), "Serving")
    assert result.estimate == pytest.approx(0.01)
    assert (result.bound, result.limit) == (0.03, 0.02), "of a rate, more is worse"
    told = judge(Gate(metric="agreement", margin=0.02), "Serving").message
    assert "difference -0.020, at worst -0.060 with 95 % confidence; these 200 rows show differences from 0.060 on" in told


def test_a_margin_is_met_to_the_digit() -> None:
    """0.80 - 0.82 is a hair below -0.02 in binary."""
    assert judge(Gate(metric="agreement", margin=0.02), "Serving").passed
    assert not judge(Gate(metric="agreement", margin=0.0199), "Serving").passed
