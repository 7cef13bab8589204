"""Figures of an evaluation."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from regimen_trainer.evaluation.cases import Case, chosen, digest_of
from regimen_trainer.evaluation.metrics import confusion, label_ratios, text_ratios, text_scores

A, D = "APPROVED", "DENIED"


def label_metrics(expert: list[str], answers: list[str | None]) -> dict[str, float | None]:
    return {name: ratio.value for name, ratio in label_ratios(expert, answers, [A, D], D).items()}


def test_label_metrics_by_hand() -> None:
    figures = label_metrics([D, D, D, A, A, A, A, A], [D, D, A, D, A, A, A, None])
    assert {name: value for name, value in figures.items() if "[" not in name} == {
        "agreement": 5 / 8,
        "precision": 2 / 3,
        "recall": 2 / 3,
        "f1": 2 / 3,
        "falseDenialRate": 1 / 5,
        "falseApprovalRate": 1 / 3,
        "unparseableRate": 1 / 8,
    }
    assert (figures["precision[APPROVED]"], figures["recall[APPROVED]"]) == (3 / 4, 3 / 5)
    assert figures["f1[APPROVED]"] == pytest.approx(2 * 3 / (4 + 5))


def test_figures_without_cases_are_none() -> None:
    figures = label_metrics([A], [A])
    assert figures["precision"] is None
    assert figures["recall"] is None
    assert figures["f1"] is None


def test_silence_is_wrong_and_not_a_denial() -> None:
    figures = label_metrics([D, A], [None, None])
    assert (figures["agreement"], figures["recall"], figures["falseDenialRate"], figures["unparseableRate"]) == (0, 0, 0, 1)
    assert confusion([D, A], [None, D], [A, D]) == {A: {A: 0, D: 1, "": 0}, D: {A: 0, D: 0, "": 1}}


@given(st.lists(st.tuples(st.sampled_from([A, D]), st.sampled_from([A, D, None])), min_size=1))
def test_figures_are_shares(pairs: list[tuple[str, str | None]]) -> None:
    figures = label_metrics([wanted for wanted, _ in pairs], [answer for _, answer in pairs])
    assert all(value is None or 0 <= value <= 1 for value in figures.values())


@pytest.mark.parametrize(
    ("reference", "answer", "rouge1", "rouge2", "longest", "edits"),
    [
        ("a b c", "a b c", 1.0, 1.0, 1.0, 0.0),
        ("a b", "c d", 0.0, 0.0, 0.0, 1.0),
        ("", "", 1.0, 1.0, 1.0, 0.0),
        ("a", "", 0.0, 0.0, 0.0, 1.0),
        ("a b c d", "a x c", 4 / 7, 0.0, 4 / 7, 2 / 4),
        ("Pain, left knee.", "pain left knee", 1.0, 1.0, 1.0, 3 / 5),
        ("b a b a", "a b a b", 1.0, 2 / 3, 3 / 4, 2 / 4),
    ],
)
def test_text_scores(reference: str, answer: str, rouge1: float, rouge2: float, longest: float, edits: float) -> None:
    scores = text_scores(reference, answer)
    expected = {"rouge1": rouge1, "rouge2": rouge2, "rougeL": longest, "editDistance": edits}
    assert scores == {name: pytest.approx(value) for name, value in expected.items()}


def test_text_metrics_are_means() -> None:
    scores = [text_scores("a b", "a b"), text_scores("a b", "c d")]
    assert {name: ratio.value for name, ratio in text_ratios(scores).items()} == {
        "rouge1": 0.5, "rouge2": 0.5, "rougeL": 0.5, "editDistance": 0.5,
    }  # fmt: skip


def test_chosen_rows_do_not_depend_on_order() -> None:
    cases = [Case(str(index), [], A) for index in range(100)]
    assert chosen(cases, 10) == chosen(cases[::-1], 10)
    assert chosen(cases, 20)[:10] == chosen(cases, 10)


def test_what_is_known_depends_on_all_that_changes_answers() -> None:
    case = Case("1", [{"role": "user", "content": "x"}], A, "g")
    assert case.key == Case("2", [{"role": "user", "content": "x"}], A, "h").key, "the same question of a later revision"
    others = [
        Case("1", [{"role": "system", "content": "x"}], A),
        Case("1", [{"role": "user", "content": "y"}], A),
        Case("1", case.prompt, D),
    ]
    assert len({case.key, *(other.key for other in others)}) == 4
    assert len({digest_of("b1", 16), digest_of("b2", 16), digest_of("b1", 17)}) == 3
