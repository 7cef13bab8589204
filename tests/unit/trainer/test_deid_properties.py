"""What holds of every text: cleaning again changes nothing, known values do not remain, nothing raises."""

from hypothesis import given, settings
from hypothesis import strategies as st

from regimen_trainer.deid import Known, deidentify, residual
from regimen_trainer.deid.known import squeezed

PIECES = st.sampled_from(
    [
        "Maria",
        "Gonzalez",
        "Dr.",
        "Mr.",
        "MRN",
        "0012345",
        "March",
        "3rd",
        "2024",
        "3/14/24",
        "the",
        "of",
        ",",
        ".",
        ":",
        "age",
        "93",
        "years",
        "old",
        "12",
        "Maple",
        "Street",
        "IL",
        "60614",
        "in",
        "Boston",
        "Will",
        "May",
        "[NAME]",
        "90+",
        "[policy_id",
        "3f9a1c2e]",
        "patient",
        "name",
        "is",
        "claim",
        "number",
        "8812345",
        "call",
        "312-555-0148",
        "(",
        ")",
        "Patient:",
        "wife",
        "Nurse",
        "de",
        "la",
        "Hospital",
        "St.",
        "born",
        "1931",
        "fax",
        "SSN",
        "912-34-5678",
        "a@b.org",
        "www.x.org",
        "10.0.0.1",
        "F",
        "M",
        "Parkinson's",
        "disease",
        "and",
    ]
)
TEXTS = st.lists(PIECES, max_size=25).map(" ".join)
KNOWN = Known("patient_name", "Maria Gonzalez", "[patient_name 3f9a1c2e]")
POLICY = Known("policy_id", "POL-8812", "[policy_id 1f9a1c2e]")


@given(st.text())
@settings(max_examples=300, deadline=None)
def test_no_text_raises(text: str) -> None:
    residual(deidentify(text, (KNOWN, POLICY)).text)


@given(TEXTS)
@settings(max_examples=500, deadline=None)
def test_cleaned_texts_stay_as_they_are(text: str) -> None:
    once = deidentify(text).text
    assert deidentify(once).text == once


@given(TEXTS, st.sampled_from(["POL-8812", "POL8812", "pol 8812", "pol-88-12"]), TEXTS)
@settings(max_examples=200, deadline=None)
def test_known_values_never_remain(before: str, value: str, after: str) -> None:
    cleaned = deidentify(f"{before} {value} {after}", (KNOWN, POLICY)).text
    assert "gonzalez" not in cleaned.lower()
    assert "pol8812" not in squeezed(cleaned)


def test_known_values_are_replaced_wherever_they_stand() -> None:
    cleaned = deidentify("MARIA\n Gonzalez and Gonzalez's plan POL8812. GONZALEZ, MARIA", (KNOWN, POLICY))
    assert cleaned.text == (
        "[patient_name 3f9a1c2e] and [patient_name 3f9a1c2e]'s plan [policy_id 1f9a1c2e]. [patient_name 3f9a1c2e], [patient_name 3f9a1c2e]"
    )
    assert cleaned.found["policy_id"] == 1


def test_known_value_is_not_removed_from_inside_a_word() -> None:
    assert "Mayor" in deidentify("Mayor May walked", (Known("name", "Ann May", "[name 1f9a1c2e]"),)).text
