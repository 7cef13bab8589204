"""What must stay: clinical and billing text, and words that are names elsewhere."""

import pytest

from regimen_trainer.deid import deidentify, residual

KEPT = """
BP 120/80, HR 88, SpO2 98%, temp 98.6 F, RR 18.
Strength 3/5, pain 10/10, vision 20/20, 2/6 murmur.
Disc bulge at L4-L5 and C5-6.
ICD M54.50, E11.9, I10 and S72.001A
CPT 99213 was billed with modifier 25.
HCPCS J1885 and A0428
NDC 00002-8215-01
NDC 00002821501
LOINC 4548-4
metformin 500 mg twice daily, heparin 5000 units
platelet count 250000, WBC 11.2, INR 2-3, EF 55-60%
HbA1c 7.2, CA 19-9 35, COVID-19, SARS-CoV-2, T2N0M0
Titer 1:40, GCS 15, 12/30 on the MMSE
A 45-year-old man, aged 67, and his 89-year-old mother
in 2024
three weeks ago, POD 2, twice a day for 10 days
Parkinson's disease and Crohn disease
Babinski sign negative
A Foley catheter was placed.
Hodgkin lymphoma, Bell's palsy, Wilson disease, Graves disease
Will follow up.
May return to work.
Mark the site.
Brown discoloration of the skin.
Grant approval is pending.
Hope remains.
Young male in no distress.
she may take 2 tablets
you may 2 times a day march in place
HISTORY OF PRESENT ILLNESS: Chest pain.
ASSESSMENT: Stable. PLAN: Continue Lasix, Coumadin, Lipitor.
Patient: Good morning, doctor.
Doctor: How are you?
NECK: Supple and symmetric.
CT of Head and Neck.
Claim denied. Authorization was not on file.
Allowed amount $1,234.56 of $45000.00.
100 F fever
in Trendelenburg position
Lives in Illinois with family.
"""


@pytest.mark.parametrize("text", KEPT.strip().splitlines())
def test_clinical_text_stays(text: str) -> None:
    cleaned = deidentify(text)
    assert cleaned.text == text
    assert not residual(cleaned.text)


@pytest.mark.parametrize(
    ("text", "kind"),
    [
        ("x@y.org", "EMAIL"),
        ("see www.x", "URL"),
        ("on 3/14/24", "DATE"),
        ("912-34-5678", "SSN"),
        ("MRN 88123", "MRN"),
        ("(312) 5550148", "PHONE"),
    ],
)
def test_second_look_finds_what_remains(text: str, kind: str) -> None:
    assert residual(text)[kind] == 1


def test_second_look_passes_own_tags() -> None:
    assert not residual("[NAME], [policy_id 3f9a1c2e], [ZIP 606], aged 90+, MRN [MRN], 2024")
