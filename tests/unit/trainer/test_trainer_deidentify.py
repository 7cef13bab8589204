"""What is removed from texts, and what the scan finds when something is not."""

import pytest

from regimen_trainer.data.deidentify import Scrubber
from regimen_trainer.data.surrogates import SurrogateTable
from regimen_trainer.errors import InputError


def scrubbed(text: str, **known: str) -> str:
    scrubber = Scrubber(SurrogateTable.empty())
    return scrubber.scrub(text, scrubber.rules(known))


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("Seen on 2024-03-14.", "Seen on 2024."),
        ("Seen on 03/14/2024.", "Seen on 2024."),
        ("Seen on March 14, 2024.", "Seen on 2024."),
        ("Seen on 14 Mar 2024.", "Seen on 2024."),
        ("Seen on 3/14/24.", "Seen on [DATE]."),
        ("Seen on March 14.", "Seen on [DATE]."),
        ("Since March 2024.", "Since 2024."),
        ("Call (312) 555-0148.", "Call [PHONE]."),
        ("Call 312-555-0148 ext 12.", "Call [PHONE]."),
        ("Write to a.b+c@example.org.", "Write to [EMAIL]."),
        ("SSN 912-34-5678.", "SSN [SSN]."),
        ("MRN 0012345.", "[MRN]."),
        ("MRN: A-12345 noted", "[MRN] noted"),
        ("See https://portal.example.org/0012345.", "See [URL]."),
        ("From 192.0.2.17 today", "From [IP] today"),
        ("Lives in IL 60614 now", "Lives in IL [ZIP] now"),
        ("60614-1234", "[ZIP]"),
        ("A 93-year-old man", "A 90+-year-old man"),
        ("aged 95 years old", "aged 90+ years old"),
        ("Patient aged 101.", "Patient aged 90+."),
        ("At 12 Maple Street.", "At [ADDRESS]."),
        ("Seen by Dr. Whitfield.", "Seen by [NAME]."),
        ("Signed by: Maria Gonzalez", "[NAME]"),
        ("Account no: 99887766", "[ACCOUNT]"),
        ("VIN 1HGCM82633A004352 towed", "VIN [VEHICLE] towed"),
    ],
)
def test_patterns_remove_identifiers(text: str, expected: str) -> None:
    assert scrubbed(text) == expected


@pytest.mark.parametrize(
    "text",
    [
        "CPT 99213 was billed",
        "ICD M54.50, E11.9",
        "A 45-year-old man",
        "blood pressure 120/80",
        "metformin 500 mg",
        "in 2024",
        "grade 3 of 5",
    ],
)
def test_clinical_words_stay(text: str) -> None:
    assert scrubbed(text) == text


def test_known_values_are_replaced_wherever_they_stand() -> None:
    scrubber = Scrubber(SurrogateTable.empty())
    text = scrubber.scrub(
        "MARIA  Gonzalez came. Gonzalez left; claim CLM1-2.", scrubber.rules({"patient_name": "Maria Gonzalez", "claim_number": "CLM1-2"})
    )
    surrogate = scrubber.table.of("patient_name", "maria gonzalez")
    assert text.count(f"[patient_name {surrogate}]") == 2
    assert "Gonzalez" not in text
    assert "CLM1-2" not in text
    assert scrubber.removed["patient_name"] == 2


def test_known_value_is_not_removed_from_inside_a_word() -> None:
    assert scrubbed("Mayor May walked", patient_name="Ann May").startswith("Mayor [patient_name")


def test_surrogates_are_the_same_in_the_next_revision_and_hold_no_value() -> None:
    table = SurrogateTable.empty()
    first = table.of("member_id", "MBR00000001")
    again = SurrogateTable.from_json(table.to_json())
    assert again.of("member_id", " mbr00000001 ") == first
    assert not again.grown
    assert b"MBR00000001" not in table.to_json()
    assert table.of("policy_id", "MBR00000001") != first


def test_damaged_table_is_refused() -> None:
    with pytest.raises(InputError, match="surrogate table"):
        SurrogateTable.from_json(b"{}")


@pytest.mark.parametrize(
    ("text", "kind"),
    [
        ("id 8812345678", "LONG_NUMBER"),
        ("x@y", "EMAIL"),
        ("on 3/14/24", "DATE"),
        ("see www.x", "URL"),
        ("for Maria Gonzalez", "patient_name"),
    ],
)
def test_scan_finds_what_remains(text: str, kind: str) -> None:
    scrubber = Scrubber(SurrogateTable.empty())
    scrubber.rules({"patient_name": "Maria Gonzalez"})
    scrubber.scan([text])
    assert scrubber.residual[kind] >= 1


def test_scan_passes_clean_text() -> None:
    scrubber = Scrubber(SurrogateTable.empty())
    scrubber.scan(["A 45 year old with M54.50 was seen in 2024, CPT 99213, $4570."])
    assert not scrubber.residual
