"""Prompts and answers."""

import pytest

from regimen_trainer.errors import InputError
from regimen_trainer.tasks import exchange, parse_label, render

LABELS = ["APPROVED", "DENIED"]
CLAIM = {
    "diagnosis_codes": "M54.50",
    "procedure_codes": "72148",
    "claim_amount": 6120.5,
    "service_date": "2024-03-14",
    "medical_analysis": "Fine.",
    "adjudication_decision": "SECRET-NOTE",
    "final_decision": "DENIED",
}


@pytest.mark.parametrize(
    ("text", "label"),
    [
        ("APPROVED", "APPROVED"),
        (" Denied.", "DENIED"),
        ("The claim is approved", "APPROVED"),
        ("**DENIED**", "DENIED"),
        ("", None),
        ("APPROVED or DENIED", None),
        ("DISAPPROVED", None),
        ("perhaps", None),
        ("denied, DENIED", "DENIED"),
        ("Decision:DENIED\n", "DENIED"),
    ],
)
def test_parse_label(text: str, label: str | None) -> None:
    assert parse_label(text, LABELS) == label


def test_parse_label_prefers_the_longer_of_nested_labels() -> None:
    assert parse_label("not full", ["FULL", "NOT FULL"]) == "NOT FULL"


def test_answer_is_never_in_the_prompt() -> None:
    asked = " ".join(message["content"] for message in render("adjudication", CLAIM, ["YES", "NO"]))
    assert "SECRET-NOTE" not in asked
    assert "DENIED" not in asked
    assert "2024-03-14" not in asked
    assert "Cost tier 6" in asked


def test_exchange_is_a_conversation_with_one_answer() -> None:
    turn = exchange("adjudication", CLAIM)
    assert [message["role"] for message in turn.prompt] == ["system", "user"]
    assert turn.completion == [{"role": "assistant", "content": "DENIED"}]


def test_medical_analysis_does_not_see_itself() -> None:
    assert "Fine." not in " ".join(message["content"] for message in render("medicalAnalysis", CLAIM))


def test_missing_column_is_named() -> None:
    with pytest.raises(InputError, match="diagnosis_codes"):
        render("adjudication", {name: value for name, value in CLAIM.items() if name != "diagnosis_codes"})
