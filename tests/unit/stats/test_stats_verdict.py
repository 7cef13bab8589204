"""The chain of rules, row by row, and what no evidence may ever do."""

from typing import Any

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from regimen.spec.rollout import Analysis, Guardrail
from regimen.spec.routing import LATENCY_BUCKETS_MS, ArmEvidence
from regimen.stats.guardrails import read
from regimen.stats.metrics import measure
from regimen.stats.verdict import Judgement, judge, watch

DAY = 86_400.0
DEFAULTS = Analysis.model_validate({})
ERRORS = Guardrail.model_validate({"metric": "errorRate", "max": 0.01})
CONTENT = Guardrail.model_validate({"metric": "satisfaction", "maxDecrease": 0.2})


def arm(labelled: int = 0, share: float = 0.8, **more: Any) -> ArmEvidence:
    agreed = round(labelled * share)
    clusters = [(1, 1)] * agreed + [(1, 0)] * (labelled - agreed)
    return ArmEvidence(version="v", labelled=labelled, agreed=agreed, clusters=clusters, **more)


def verdict(candidate: ArmEvidence, stable: ArmEvidence, *, taken: int = 0, days: float = 8, **more: Any) -> Judgement:
    analysis = Analysis.model_validate(more.pop("analysis", {}))
    return judge(candidate, stable, analysis, looks_taken=taken, elapsed=days * DAY, candidate_share=more.pop("share", 0.2), **more)


ROWS = [
    # name, candidate labels and share, stable labels and share, looks taken, days, decision, look after, words
    ("nothing", (0, 0), (0, 0), 0, 1, "Continue", 0, "Look 1 of 4 needs 100"),
    ("too few", (99, 1.0), (400, 0.5), 0, 8, "Continue", 0, "Look 1 of 4 needs 100"),
    ("superior at look 2", (200, 0.95), (800, 0.8), 1, 8, "Promote", 2, "shown to be better than stable"),
    ("superior, look taken", (210, 0.95), (800, 0.8), 2, 8, "Continue", 2, "Look 3 of 4 needs 300"),
    ("superior, too early", (200, 0.95), (800, 0.8), 1, 3, "Continue", 1, "Look 2 of 4 is due and waits: minDuration 168h"),
    ("early, several due", (400, 0.95), (1600, 0.8), 0, 3, "Continue", 0, "Look 4 of 4 is due and waits"),
    ("skips looks", (400, 0.86), (1600, 0.8), 0, 8, "Promote", 4, "Look 4 of 4"),
    ("same", (200, 0.8), (800, 0.8), 1, 8, "Continue", 2, "not yet decided"),
    ("better, not enough", (200, 0.84), (800, 0.8), 1, 8, "Continue", 2, "not yet decided"),
    ("last look, same", (400, 0.8), (1600, 0.8), 3, 8, "RollBack", 4, "not shown to be better"),
    ("overrun counts as full", (4000, 0.9), (16000, 0.8), 3, 8, "Promote", 4, "Look 4 of 4"),
    ("all looks taken", (500, 0.95), (1600, 0.8), 4, 8, "RollBack", 4, "All 4 looks were taken"),
    ("undecided at the end", (150, 0.9), (600, 0.8), 1, 14, "RollBack", 1, "Undecided after maxDuration 336h"),
    ("a due look is read at the end", (200, 0.95), (800, 0.8), 1, 14, "Promote", 2, "shown to be better"),
    ("harm, early and between looks", (150, 0.4), (600, 0.8), 1, 1, "RollBack", 1, "The candidate is worse"),
    ("a little worse is not harm yet", (100, 0.75), (400, 0.8), 0, 8, "Continue", 1, "not yet decided"),
]


@pytest.mark.parametrize(("name", "ours", "theirs", "taken", "days", "decision", "look", "words"), ROWS, ids=[r[0] for r in ROWS])
def test_rows(name: str, ours: Any, theirs: Any, taken: int, days: float, decision: str, look: int, words: str) -> None:
    judgement = verdict(arm(*ours), arm(*theirs), taken=taken, days=days)
    assert (judgement.decision, judgement.look) == (decision, look), judgement.reason
    assert words in judgement.reason
    assert judgement.harmed == ("harm, early" in name)
    assert judgement.as_verdict().decision == decision


def test_a_waiting_look_is_still_there_when_minduration_ends() -> None:
    """Superior on day 3, asked at every pass, and promoted on day 7: by the newest look due then, with the evidence of then."""
    taken = 0
    for day in range(3, 7):
        judgement = verdict(arm(100 + 20 * day, 0.95), arm(400 + 80 * day, 0.8), taken=taken, days=day)
        assert judgement.decision == "Continue"
        taken = judgement.look
    assert taken == 0
    judgement = verdict(arm(240, 0.95), arm(960, 0.8), taken=taken, days=7)
    assert (judgement.decision, judgement.look) == ("Promote", 2)


def test_equal_durations_can_promote() -> None:
    judgement = verdict(arm(400, 0.95), arm(1600, 0.8), days=7, analysis={"min_duration": "7d", "max_duration": "7d"})
    assert judgement.decision == "Promote"


def test_not_worse() -> None:
    analysis = {"criterion": "NotWorse", "margin": 0.1}
    assert verdict(arm(400, 0.79), arm(1600, 0.8), taken=3, analysis=analysis).decision == "Promote"
    judgement = verdict(arm(400, 0.72), arm(1600, 0.8), taken=3, analysis=analysis)
    assert judgement.decision == "RollBack"
    assert "at most 10 points worse" in judgement.reason
    assert not judgement.harmed


def test_mismatch_comes_first() -> None:
    judgement = verdict(arm(400, 0.95, subjects=500), arm(1600, 0.8, subjects=500))
    assert (judgement.decision, judgement.sample_ratio) == ("RollBack", "Mismatch")
    assert "Invalid: 50.0 % of 1000 subjects" in judgement.reason
    assert verdict(arm(400, 0.95, subjects=500), arm(1600, 0.8, subjects=500), share=None).sample_ratio == "Unknown"


def latency(value: float, count: int) -> list[int]:
    bucket = sum(bound < value for bound in LATENCY_BUCKETS_MS)
    return [count if i == bucket else 0 for i in range(len(LATENCY_BUCKETS_MS) + 1)]


def denials(false: int, negatives: int) -> dict[str, Any]:
    return {
        "expert": {"APPROVED": negatives, "DENIED": 50},
        "predicted": {"DENIED": 40 + false, "APPROVED": negatives + 10 - false},
        "true_positive": {"DENIED": 40, "APPROVED": negatives - false},
    }


def mean(value: float, count: int) -> dict[str, Any]:
    return {"satisfaction_sum": value * count, "satisfaction_of": count}


GUARDRAILS = [
    # name, guardrail, candidate, stable, permits, broken
    ("errors within", {"metric": "errorRate", "max": 0.01}, {"requests": 1000, "errors": 9}, {}, True, False),
    ("errors beyond", {"metric": "errorRate", "max": 0.01}, {"requests": 1000, "errors": 11}, {}, False, True),
    ("errors, few requests", {"metric": "errorRate", "max": 0.01}, {"requests": 49, "errors": 49}, {}, False, False),
    ("errors, retried", {"metric": "errorRate", "max": 0.01}, {"requests": 50, "errors": 90}, {}, False, True),
    ("errors rise", {"metric": "errorRate", "maxIncrease": 0.01}, {"requests": 99, "errors": 9}, {"requests": 99}, False, True),
    ("errors, no stable", {"metric": "errorRate", "maxIncrease": 0.01}, {"requests": 99, "errors": 9}, {}, False, False),
    (
        "slower",
        {"metric": "latencyP95", "maxIncrease": 0.1},
        {"latency": latency(900, 99)},
        {"latency": latency(700, 99)},
        False,
        True,
    ),
    (
        "as fast",
        {"metric": "latencyP95", "maxIncrease": 0.1},
        {"latency": latency(700, 99)},
        {"latency": latency(700, 99)},
        True,
        False,
    ),
    ("too slow", {"metric": "latencyP95", "max": 500}, {"latency": latency(700, 99)}, {}, False, True),
    ("unparseable", {"metric": "unparseableRate", "max": 0.02}, {"labelled": 100, "unparseable": 5}, {}, False, True),
    ("false denials shown", {"metric": "falseDenialRate", "maxIncrease": 0.02}, denials(60, 200), denials(20, 800), False, True),
    (
        "false denials perhaps",
        {"metric": "falseDenialRate", "maxIncrease": 0.02},
        denials(5, 100),
        denials(10, 400),
        False,
        False,
    ),
    (
        "false denials as before",
        {"metric": "falseDenialRate", "maxIncrease": 0.02},
        denials(4, 100),
        denials(12, 400),
        True,
        False,
    ),
    ("false denials, few", {"metric": "falseDenialRate", "maxIncrease": 0.02}, denials(40, 49), denials(12, 400), False, False),
    ("false denials, absolute", {"metric": "falseDenialRate", "max": 0.05}, denials(60, 200), denials(0, 0), False, True),
    ("unsatisfied", {"metric": "satisfaction", "maxDecrease": 0.2}, mean(2.5, 200), mean(4, 800), False, True),
    ("perhaps unsatisfied", {"metric": "satisfaction", "maxDecrease": 0.2}, mean(3.7, 60), mean(4, 240), False, False),
    ("satisfied", {"metric": "satisfaction", "maxDecrease": 0.2}, mean(3.9, 60), mean(4, 240), True, False),
    ("nobody said", {"metric": "satisfaction", "maxDecrease": 0.2}, {}, {}, False, False),
]


@pytest.mark.parametrize(("name", "rail", "ours", "theirs", "permits", "broken"), GUARDRAILS, ids=[r[0] for r in GUARDRAILS])
def test_guardrails(name: str, rail: Any, ours: Any, theirs: Any, permits: bool, broken: bool) -> None:
    reading = read(Guardrail.model_validate(rail), ArmEvidence(version="b", **ours), ArmEvidence(version="a", **theirs), 0.05, "DENIED")
    assert (reading.permits, reading.broken) == (permits, broken), reading


def test_impossible_counts_are_refused() -> None:
    with pytest.raises(ValueError, match="not a proportion"):
        measure("falseDenialRate", ArmEvidence(version="b", **denials(-60, 100)), "DENIED")


def test_a_broken_guardrail_rolls_back_and_a_silent_one_holds() -> None:
    analysis = {"guardrails": [{"metric": "errorRate", "max": 0.01}]}
    broken = verdict(arm(400, 0.95, requests=1000, errors=100), arm(1600, 0.8), days=0.1, analysis=analysis)
    assert broken.decision == "RollBack"
    assert "errorRate is 0.1 over 1000 samples, allowed is 0.01" in broken.reason
    silent = verdict(arm(400, 0.95), arm(1600, 0.8), analysis=analysis)
    assert (silent.decision, silent.look) == ("Continue", 0)
    assert "errorRate needs 50 samples per arm and has 0" in silent.reason
    late = verdict(arm(400, 0.95), arm(1600, 0.8), days=14, analysis=analysis)
    assert late.decision == "RollBack"
    assert "errorRate needs 50" in late.reason


def test_watch_stops_but_never_decides() -> None:
    assert watch(arm(400, 0.95), arm(1600, 0.8), DEFAULTS, looks_taken=4).decision == "Continue"
    assert watch(arm(400, 0.4), arm(1600, 0.8), DEFAULTS, looks_taken=4).harmed
    assert watch(arm(subjects=500), arm(subjects=500), DEFAULTS, candidate_share=0.2).sample_ratio == "Mismatch"


counts = st.integers(0, 60).flatmap(lambda n: st.tuples(st.just(n), st.integers(0, n)))
evidence = st.builds(
    ArmEvidence,
    version=st.just("v"),
    requests=st.integers(0, 1000),
    errors=st.integers(0, 20),
    subjects=st.integers(0, 300),
    clusters=st.lists(counts, max_size=25),
    satisfaction_of=st.just(0),
)
analyses: st.SearchStrategy[Analysis] = st.builds(
    Analysis,
    alpha=st.floats(0.01, 0.2),
    looks=st.integers(1, 20),
    min_duration=st.just("1d"),
    max_duration=st.just("2d"),
    min_labelled_per_arm=st.integers(10, 500),
    guardrails=st.sampled_from([[], [ERRORS], [CONTENT]]),
)


@settings(deadline=None, max_examples=100)
@given(evidence, evidence, analyses, st.integers(0, 20), st.floats(0, 3 * DAY), st.floats(0, 1))
@example(arm(), arm(10_000, 0.0), DEFAULTS, 0, 8 * DAY, 0.2)
@example(arm(10_000, 1.0), arm(), DEFAULTS, 0, 8 * DAY, 0.2)
def test_absence_of_evidence_never_promotes(
    candidate: ArmEvidence, stable: ArmEvidence, analysis: Analysis, taken: int, elapsed: float, share: float
) -> None:
    judgement = judge(candidate, stable, analysis, looks_taken=taken, elapsed=elapsed, candidate_share=share)
    assert judgement.look >= taken
    assert 0 <= judgement.information_fraction <= 1
    assert len(judgement.as_verdict().reason) <= 1024
    if judgement.decision != "Promote":
        return
    smaller = min(sum(n for n, _ in each.clusters) for each in (candidate, stable))
    assert smaller * analysis.looks >= analysis.min_labelled_per_arm
    assert judgement.look > taken
    assert elapsed >= DAY
    assert judgement.sample_ratio != "Mismatch"
    assert judgement.effect is not None
    assert judgement.effect.estimate > 0
    assert not any(rail.metric == "satisfaction" for rail in analysis.guardrails)
    assert judgement.interval is not None
    assert judgement.interval[0] >= 0 or judgement.interval[0] == pytest.approx(0)


@given(st.integers(0, 9), st.integers(0, 9), st.integers(0, 4))
def test_few_labels_never_promote(ours: int, theirs: int, taken: int) -> None:
    analysis = {"looks": 1, "min_labelled_per_arm": 10, "alpha": 0.2}
    assert verdict(arm(ours, 1.0), arm(theirs, 0.0), taken=min(taken, 1), analysis=analysis).decision != "Promote"


@given(evidence, evidence)
@settings(deadline=None, max_examples=50)
def test_the_same_evidence_gives_the_same_verdict(candidate: ArmEvidence, stable: ArmEvidence) -> None:
    assert verdict(candidate, stable) == verdict(candidate, stable)
