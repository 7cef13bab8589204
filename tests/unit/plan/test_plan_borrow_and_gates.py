"""May training take the card; does a version pass its gates."""

import pytest

from regimen.plan.borrow import CardFacts, LenderFacts, RivalFacts, may_start, shortfall
from regimen.plan.gates import evaluation_figures, failed_gates, told
from regimen.spec.finetune import Borrow, Gate, Placement, Window

PREEMPT, OUTAGE, NONE = Borrow(mode="Preempt"), Borrow(mode="Preempt", allow_outage=True), Borrow()


def card(taken: int, node: str = "a", slices: int = 4) -> CardFacts:
    return CardFacts(node, slices, taken)


def lender(ready: int, least: int, on_cards: int, rolling: str | None = None) -> LenderFacts:
    return LenderFacts("openins", ready, least, on_cards, rolling)


ROWS = {
    "cpu needs no card": (False, NONE, (), (), 0, ""),
    "no node": (True, NONE, (), (), 0, "NoNode"),
    "no such resource": (True, NONE, (card(0, slices=0),), (), 0, "NoCard"),
    "a free card": (True, NONE, (card(0),), (lender(4, 4, 0),), 4, ""),
    "one of two is free": (True, NONE, (card(2), card(0, "b")), (), 4, ""),
    "only the smaller one is free": (True, NONE, (card(2), card(0, "b", slices=2)), (), 0, "CardBusy"),
    "busy, no borrowing": (True, NONE, (card(2),), (lender(4, 0, 2),), 0, "CardBusy"),
    "borrowing keeps minAvailable": (True, PREEMPT, (card(2),), (lender(4, 2, 2),), 4, ""),
    "one more would break it": (True, PREEMPT, (card(2),), (lender(4, 3, 2),), 0, "BorrowingWouldBreakMinAvailable"),
    "an outage that is allowed": (True, OUTAGE, (card(2),), (lender(4, 3, 2),), 4, ""),
    "a rollout moves replicas there": (True, OUTAGE, (card(2),), (lender(4, 0, 2, "v1"),), 0, "RolloutInProgress"),
    "a rollout elsewhere": (True, PREEMPT, (card(2),), (lender(4, 0, 0, "v1"),), 4, ""),
    "the second lender minds": (True, PREEMPT, (card(2),), (lender(4, 2, 2), lender(1, 1, 1)), 0, "BorrowingWouldBreakMinAvailable"),
    "a free card, though a rollout is on": (True, PREEMPT, (card(0),), (lender(4, 3, 2, "v1"),), 4, ""),
}
REMEDY = {
    "NoNode": "placement.nodeSelector", "NoCard": "placement.gpuResource", "CardBusy": "borrow.mode: Preempt",
    "BorrowingWouldBreakMinAvailable": "borrow.allowOutage: true", "RolloutInProgress": "training waits for it",
}  # fmt: skip


@pytest.mark.parametrize("row", ROWS)
def test_may_start(row: str) -> None:
    whole, borrow, cards, lenders, slices, reason = ROWS[row]
    answer = may_start(Placement(whole_card=whole), borrow, cards, lenders)
    assert (answer.slices, answer.reason, answer.go) == (slices, reason, not reason)
    assert REMEDY.get(reason, "") in answer.message


OPEN, CLOSED = Window(schedule="0 0 * * *", duration="8h"), Window(schedule="0 12 * * *", duration="4h")
NOW = 4 * 3600.0


def rival(name: str, older: bool = True, node: str = "", reason: str = "CardBusy", window: Window | None = None) -> RivalFacts:
    return RivalFacts(name, older, bool(node) or reason == "Training", node, reason, window)


RIVALS: dict[str, tuple[tuple[CardFacts, ...], tuple[RivalFacts, ...], str | None]] = {
    "nobody else": ((card(0),), (), None),
    "an older one waits for the card": ((card(0),), (rival("x"),), "x comes first on"),
    "an older one that has said nothing yet": ((card(0),), (rival("x", reason=""),), "x comes first on"),
    "an older one waits for its dataset": ((card(0),), (rival("x", reason="DatasetNotReady"),), None),
    "an older one may not borrow": ((card(0),), (rival("x", reason="BorrowingWouldBreakMinAvailable"),), None),
    "a younger one waits": ((card(0),), (rival("x", older=False),), None),
    "a younger one trains": ((card(0),), (rival("x", older=False, node="a", reason="Training"),), "x trains on"),
    "a younger one has a Job but no pod yet": ((card(0),), (rival("x", older=False, reason="Training"),), "x trains on"),
    "an older one whose window is open": ((card(0),), (rival("x", reason="WindowClosed", window=OPEN),), "x comes first on"),
    "an older one whose window is closed": ((card(0),), (rival("x", reason="WindowClosed", window=CLOSED),), None),
    "one of two cards is left": ((card(0), card(0, "b")), (rival("x"),), None),
    "two for two cards": ((card(0), card(0, "b")), (rival("x"), rival("y")), "x comes first on"),
    "one trains, one is ahead, on two cards": ((card(0), card(0, "b")), (rival("x", node="a"), rival("y")), "y comes first on"),
    "one trains on a smaller card": ((card(0), card(0, "b", slices=2)), (rival("x", node="b", reason="Training"),), None),
}


@pytest.mark.parametrize("row", RIVALS)
def test_the_older_training_first(row: str) -> None:
    cards, rivals, says = RIVALS[row]
    answer = may_start(Placement(), PREEMPT, cards, (), rivals, NOW)
    assert answer.go is (says is None)
    if says is not None:
        assert (answer.reason, answer.message) == ("CardBusy", f"FineTuneJob {says} the card; waiting for it")


def test_serving_pods_beside_another_training_are_not_asked() -> None:
    """The card that is left is busy serving, and may not be borrowed."""
    answer = may_start(Placement(), NONE, (card(4), card(2, "b")), (), (rival("x", node="a", reason="Training"),), NOW)
    assert (answer.reason, answer.message) == ("CardBusy", "2 of 4 slices are taken; wait, or set borrow.mode: Preempt")


def test_every_service_that_would_fall_short_is_named() -> None:
    lenders = (lender(4, 3, 2), LenderFacts("bimedix", 1, 1, 1, None), LenderFacts("rich", 9, 1, 1, None))
    said = shortfall(PREEMPT, lenders)
    assert said.startswith(
        "openins would keep 2 of minAvailable 3 replicas and bimedix would keep 0 of minAvailable 1 replicas; set borrow"
    )
    assert shortfall(OUTAGE, lenders).endswith("allowed by borrow.allowOutage")
    assert shortfall(NONE, lenders) == ""


FIGURES = {
    "agreement": 0.80,
    "agreement@Serving": 0.82,
    "agreement@Baseline": 0.70,
    "falseDenialRate": 0.05,
    "falseDenialRate@Serving": 0.03,
}
GATES = {
    "not worse within the margin": (Gate(metric="agreement", margin=0.02), ["Serving"], None),
    "not worse beyond the margin": (Gate(metric="agreement", margin=0.01), ["Serving"], "agreement 0.800 is worse than Serving 0.820"),
    "better": (Gate(metric="agreement", criterion="Better"), ["Baseline"], None),
    "not better": (Gate(metric="agreement", criterion="Better"), ["Serving"], "agreement 0.800 is not better than Serving 0.820"),
    "lower is better, within": (Gate(metric="falseDenialRate", margin=0.021), ["Serving"], None),
    "lower is better, beyond": (
        Gate(metric="falseDenialRate", margin=0.01),
        ["Serving"],
        "falseDenialRate 0.050 is worse than Serving 0.030",
    ),
    "missing for a contender": (Gate(metric="falseDenialRate"), ["Baseline"], "falseDenialRate was not measured against Baseline"),
    "missing altogether": (Gate(metric="rougeL"), ["Serving"], "rougeL was not measured against Serving"),
    "both are asked": (Gate(metric="agreement"), ["Baseline", "Serving"], "agreement 0.800 is worse than Serving 0.820 by more than 0"),
}


@pytest.mark.parametrize("row", GATES)
def test_gates(row: str) -> None:
    gate, contenders, failure = GATES[row]
    failed = failed_gates([gate], FIGURES, contenders)
    assert len(failed) == (failure is not None)
    assert not failure or failed[0].startswith(failure)


def test_words_for_a_figure_do_not_pass() -> None:
    assert failed_gates([Gate(metric="agreement")], {"agreement": "0.9", "agreement@Serving": 0.1}, ["Serving"])


def test_a_long_list_of_failures_is_told_in_part() -> None:
    failed = failed_gates([Gate(metric="agreement", criterion="Better")] * 6, {}, ["Serving"])
    assert told(failed).endswith("; and 2 more, see status.evaluation.gates")
    assert told(failed[:1]) == failed[0]


def test_figures_for_the_status() -> None:
    shown = evaluation_figures(
        {"rows": 200, **FIGURES, "mcnemarP@Serving": 0.04}, {"Serving": "openins-v1.0", "Baseline": "openins-baseline"}
    )
    assert (shown.rows, shown.agreement, shown.rouge_l) == (200, 0.80, None)
    serving, baseline = shown.compared
    assert (serving.version, serving.mcnemar_p, baseline.mcnemar_p) == ("openins-v1.0", 0.04, None)
    assert serving.difference == pytest.approx(-0.02)
    assert baseline.difference == pytest.approx(0.10)


@pytest.mark.parametrize(("figures", "told"), [({"templateMatchesTraining": 1}, True), ({"templateMatchesTraining": 0}, False), ({}, None)])
def test_whether_the_chat_template_is_the_training_s_is_told_or_left_out(figures: dict[str, int], told: bool | None) -> None:
    shown = evaluation_figures({"rows": 200, **figures}, {})
    assert shown.template_matches_training is told
    assert ("templateMatchesTraining" in shown.model_dump(by_alias=True, exclude_none=True)) is (told is not None)
