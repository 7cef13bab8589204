"""What decides: every primary metric in its direction, pairs with groups, and what chance makes of them."""

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from regimen.spec.rollout import Analysis, Guardrail
from regimen.spec.routing import LATENCY_BUCKETS_MS, ArmEvidence
from regimen.stats.guardrails import Measured, read
from regimen.stats.primary import live_effect, paired_effect
from regimen.stats.proportions import ArmSample
from regimen.stats.ratio import label_balance
from regimen.stats.verdict import judge


def labels(right_denied: int, denied: int, experts_denied: int, approved: int, unparseable: int = 0) -> dict[str, Any]:
    """Labelled answers: how many were denied, rightly so, how many experts denied and approved."""
    total = experts_denied + approved
    right_approved = approved - (denied - right_denied) - unparseable
    agreed = right_denied + right_approved
    return {
        "labelled": total, "agreed": agreed, "clusters": [(1, 1)] * agreed + [(1, 0)] * (total - agreed), "unparseable": unparseable,
        "expert": {"DENIED": experts_denied, "APPROVED": approved}, "predicted": {"DENIED": denied, "APPROVED": total - denied - unparseable},
        "true_positive": {"DENIED": right_denied, "APPROVED": right_approved},
    }  # fmt: skip


BETTER = labels(95, 100, 100, 300)
STABLE = labels(80, 110, 100, 300, unparseable=6)
TEXT_BETTER = {"acceptance_clusters": [(2, 2)] * 90 + [(2, 0)] * 10, "edit_clusters": [(2, 0.1)] * 100}
TEXT_STABLE = {"acceptance_clusters": [(2, 2)] * 50 + [(2, 0)] * 50, "edit_clusters": [(2, 0.5)] * 100}
METRICS = [
    ("agreement", BETTER, STABLE), ("precision", BETTER, STABLE), ("recall", BETTER, STABLE), ("falseDenialRate", BETTER, STABLE),
    ("falseApprovalRate", BETTER, STABLE), ("unparseableRate", BETTER, STABLE), ("acceptance", TEXT_BETTER, TEXT_STABLE),
    ("editRate", TEXT_BETTER, TEXT_STABLE),
]  # fmt: skip


@pytest.mark.parametrize(("metric", "better", "worse"), METRICS, ids=[row[0] for row in METRICS])
def test_more_gain_is_better_whatever_the_metric_s_direction(metric: Any, better: dict[str, Any], worse: dict[str, Any]) -> None:
    ours, theirs = ArmEvidence(version="b", **better), ArmEvidence(version="a", **worse)
    gain, loss = live_effect(metric, ours, theirs, 0.0, "DENIED"), live_effect(metric, theirs, ours, 0.0, "DENIED")
    assert gain.estimate > 0 > loss.estimate
    assert gain.estimate == pytest.approx(-loss.estimate)
    assert gain.standard_error > 0
    analysis = Analysis.model_validate(
        {"primary": {"metric": metric}, "minLabelledPerArm": 50, "looks": 1, "alpha": 0.2, "minDuration": "0s"}
    )
    found = judge(ours, theirs, analysis, looks_taken=0, elapsed=1.0, candidate_share=None)
    assert found.decision == "Promote", found.reason
    shown = found.as_verdict().effect
    assert shown is not None
    assert (shown > 0) == (metric in {"agreement", "precision", "recall", "acceptance"}), "the status shows candidate minus stable"
    assert metric in found.reason


def test_what_is_not_measured_has_no_effect() -> None:
    effect = live_effect("acceptance", ArmEvidence(version="b"), ArmEvidence(version="a", **TEXT_STABLE), 0.0, "DENIED")
    assert (effect.estimate, effect.standard_error, effect.labelled_candidate) == (0.0, float("inf"), 0)


def test_alike_groups_count_less_than_their_cases() -> None:
    alone = paired_effect([(1, 1, 0)] * 60 + [(1, 0, 1)] * 30 + [(1, 0, 0)] * 610)
    alike = paired_effect([(5, 5, 0)] * 12 + [(5, 0, 5)] * 6 + [(5, 0, 0)] * 122)
    assert alone.estimate == pytest.approx(alike.estimate)
    assert alike.standard_error > 1.8 * alone.standard_error


def test_design_document_pairs() -> None:
    """DESIGN: about 680 pairs before looks see 3 points at 10 % discordance, one-sided 5 %, 80 % power."""
    effect = paired_effect([(1, 1, 0)] * 44 + [(1, 0, 1)] * 24 + [(1, 0, 0)] * 612)
    assert effect.estimate == pytest.approx(0.0294, abs=0.0002)
    assert 2.3 < effect.estimate / effect.standard_error < 2.6


@pytest.mark.parametrize("groups", [[(1, 1, 1)], [(1, -1, 0)], [(0, 1, 0)]])
def test_impossible_groups_are_refused(groups: Any) -> None:
    with pytest.raises(ValueError, match="cannot be won"):
        paired_effect(groups)


@given(st.lists(st.integers(1, 6).flatmap(lambda n: st.tuples(st.just(n), st.integers(0, n), st.just(0))), max_size=40))
def test_no_sample_of_pairs_is_certain(groups: Any) -> None:
    assert paired_effect(groups).standard_error > 0


RAILS = [
    # guardrail, candidate, stable, broken
    ({"metric": "recall", "maxDecrease": 0.05}, labels(40, 60, 100, 300), labels(80, 100, 100, 300), True),
    ({"metric": "recall", "maxDecrease": 0.05}, labels(78, 100, 100, 300), labels(80, 100, 100, 300), False),
    ({"metric": "falseApprovalRate", "maxIncrease": 0.05}, labels(40, 60, 100, 300), labels(80, 100, 100, 300), True),
    ({"metric": "acceptance", "maxDecrease": 0.05}, TEXT_STABLE, TEXT_BETTER, True),
    ({"metric": "editRate", "maxIncrease": 0.05}, TEXT_STABLE, TEXT_BETTER, True),
    ({"metric": "editRate", "maxIncrease": 0.05}, TEXT_BETTER, TEXT_STABLE, False),
    ({"metric": "errorRate", "max": 0.01, "bound": "Harm"}, {"requests": 1000, "errors": 14}, {}, False),
    ({"metric": "errorRate", "max": 0.01, "bound": "Harm"}, {"requests": 1000, "errors": 60}, {}, True),
    ({"metric": "satisfaction", "maxDecrease": 0.2, "bound": "Point"}, {"satisfaction_sum": 222.0, "satisfaction_of": 60}, {"satisfaction_sum": 960.0, "satisfaction_of": 240}, True),
]  # fmt: skip


@pytest.mark.parametrize(("rail", "ours", "theirs", "broken"), RAILS, ids=[f"{row[0]['metric']} {row[3]}" for row in RAILS])
def test_guardrails_by_metric_and_bound(rail: Any, ours: Any, theirs: Any, broken: bool) -> None:
    reading = read(Guardrail.model_validate(rail), ArmEvidence(version="b", **ours), ArmEvidence(version="a", **theirs), 0.05, "DENIED")
    assert reading.broken is broken, reading


def slow(share_above: float, count: int, above: float = 900.0) -> list[int]:
    """A histogram with a share of answers at `above` ms and the rest at 500."""
    counts = [0] * (len(LATENCY_BUCKETS_MS) + 1)
    counts[sum(bound < above for bound in LATENCY_BUCKETS_MS)] = round(share_above * count)
    counts[sum(bound < 500 for bound in LATENCY_BUCKETS_MS)] += count - round(share_above * count)
    return counts


@pytest.mark.parametrize(
    ("share", "count", "bound", "broken"),
    [(0.08, 200, "Point", True), (0.08, 200, "Harm", False), (0.3, 200, "Harm", True), (0.02, 5000, "Harm", False)],
)
def test_a_latency_s_harm_is_that_of_the_share_of_slow_answers(share: float, count: int, bound: str, broken: bool) -> None:
    rail = Guardrail.model_validate({"metric": "latencyP95", "max": 600, "bound": bound})
    reading = read(rail, ArmEvidence(version="b", latency=slow(share, count)), ArmEvidence(version="a"), 0.05, "DENIED")
    assert reading.broken is broken, reading


NOTHING = Measured(None, "the query gives no value")


@pytest.mark.parametrize(
    ("measured", "state"),
    [({"heat": Measured(71.0)}, "Within"), ({"heat": Measured(91.0)}, "Broken"), ({"heat": NOTHING}, "Silent"), ({}, "Silent")],
)
def test_a_query_holds_breaks_or_is_silent(measured: dict[str, Measured], state: str) -> None:
    rail = Guardrail.model_validate({"name": "heat", "prometheus": {"query": "max(t)"}, "max": 83})
    arm = ArmEvidence(version="v")
    reading = read(rail, arm, arm, 0.05, "DENIED", measured)
    assert reading.state == state
    assert reading.permits is (state == "Within")


Clusters = tuple[tuple[int, int], ...]
subjects = st.lists(st.integers(1, 20).flatmap(lambda n: st.tuples(st.just(n), st.integers(0, n))), max_size=300).map(tuple).map(ArmSample)


@given(subjects, subjects)
def test_labels_are_balanced_whichever_arm_is_which(ours: ArmSample, theirs: ArmSample) -> None:
    assert label_balance(ours, theirs) == label_balance(theirs, ours)


@given(subjects)
def test_where_all_is_labelled_nothing_is_uneven(drawn: ArmSample) -> None:
    labelled = ArmSample(tuple((n, n) for n, _ in drawn.clusters))
    assert label_balance(labelled, labelled) != "Uneven"


@pytest.mark.parametrize(
    ("ours", "theirs", "balance"),
    [
        (((1, 1),) * 300 + ((1, 0),) * 100, ((1, 1),) * 1200 + ((1, 0),) * 400, "Ok"),
        (((1, 1),) * 240 + ((1, 0),) * 160, ((1, 1),) * 1200 + ((1, 0),) * 400, "Uneven"),
        (((1, 0),) * 400, ((1, 1),) * 1600, "Uneven"),
        (((20, 20),) * 12 + ((20, 0),) * 8, ((20, 20),) * 60 + ((20, 0),) * 20, "Unknown"),  # 20 experts, each all or nothing
        (((20, 12),) * 20, ((20, 15),) * 80, "Uneven"),  # 20 experts, each the same share
        ((), ((1, 1),) * 1600, "Unknown"),
    ],
)
def test_labels_are_counted_by_subject(ours: Clusters, theirs: Clusters, balance: str) -> None:
    assert label_balance(ArmSample(ours), ArmSample(theirs)) == balance
