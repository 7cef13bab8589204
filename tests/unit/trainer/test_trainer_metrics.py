"""Figures of an evaluation."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from regimen_trainer.evaluate import Case, chosen
from regimen_trainer.metrics import label_metrics, mcnemar, rouge_l

A, D = "APPROVED", "DENIED"


def test_label_metrics_by_hand() -> None:
    figures = label_metrics([D, D, D, A, A, A, A, A], [D, D, A, D, A, A, A, None], D)
    assert figures == {
        "agreement": 5 / 8,
        "precision": 2 / 3,
        "recall": 2 / 3,
        "falseDenialRate": 1 / 5,
        "falseApprovalRate": 1 / 3,
        "unparseableRate": 1 / 8,
    }


def test_figures_without_cases_are_none() -> None:
    figures = label_metrics([A], [A], D)
    assert figures["precision"] is None
    assert figures["recall"] is None


def test_silence_is_wrong_and_not_a_denial() -> None:
    figures = label_metrics([D, A], [None, None], D)
    assert (figures["agreement"], figures["recall"], figures["falseDenialRate"], figures["unparseableRate"]) == (0, 0, 0, 1)


@given(st.lists(st.tuples(st.sampled_from([A, D]), st.sampled_from([A, D, None])), min_size=1))
def test_figures_are_shares(pairs: list[tuple[str, str | None]]) -> None:
    figures = label_metrics([wanted for wanted, _ in pairs], [answer for _, answer in pairs], D)
    assert all(value is None or 0 <= value <= 1 for value in figures.values())


@pytest.mark.parametrize(("wins", "losses", "p"), [(0, 0, 1.0), (5, 5, 1.0), (10, 0, 0.001953125), (0, 10, 0.001953125), (8, 2, 0.109375)])
def test_mcnemar_is_exact(wins: int, losses: int, p: float) -> None:
    ours = [True] * wins + [False] * losses + [True] * 3
    theirs = [False] * wins + [True] * losses + [True] * 3
    assert mcnemar(ours, theirs) == pytest.approx(p)


@pytest.mark.parametrize(
    ("reference", "answer", "score"),
    [("a b c", "a b c", 1.0), ("a b", "c d", 0.0), ("", "", 1.0), ("a", "", 0.0), ("a b c d", "a x c", 4 / 7)],
)
def test_rouge_l(reference: str, answer: str, score: float) -> None:
    assert rouge_l(reference, answer) == pytest.approx(score)


def test_chosen_rows_do_not_depend_on_order() -> None:
    cases = [Case(str(index), [], A) for index in range(100)]
    assert chosen(cases, 10) == chosen(cases[::-1], 10)
    assert len(chosen(cases, 10)) == 10
