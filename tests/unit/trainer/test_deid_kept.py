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
Metformin 1000 mg po bid, lisinopril 20mg, insulin glargine U-100 24 units qhs, levothyroxine 112mcg daily.
Started on vancomycin 1250mg q12h and cefepime 2g q8h; heparin drip 1200 units/hr, 25000 units in 250 mL.
D5W 1000mL at 125mL/hr, 0.9% NS 1000 cc bolus, KCl 20mEq, urine output 1450 mL, I/O 2400/1850.
WBC 12000, platelets 187000, Hgb 13.5, Na 138, K 4.2, glucose 245, BNP 1540, ferritin 12345, CK 23456, troponin 0.04.
HbA1c 7.2%, CA-125 345, CA 19-9 120, PSA 4.5, CD4 count 350, HIV RNA 125000 copies/mL, B12 450, T4 1.2, TSH 2.45.
ECG: PR 160 QRS 90 QT/QTc 380/420, rate 110-120 bpm. LVEF 55-60%.
MRI shows L3-L4, L4-L5-S1 and C5-C6 disc disease; T10-T12 compression; CN II-XII intact.
ICD-10 codes M54.50, E11.65, S72.001A, I20-I25, Z79.4, and ICD-9 250.00, V58.69.
CPT 99213, 99214-25 and 73721 were billed; HCPCS J1885, G0439, E0601-NU; CPT 0001U and 3044F; modifier 59.
Procedure code 99285 denied with CO-197 and N130; remark MA130; PR-204; DRG 470; revenue code 0450.
ICD-10-PCS 0SRD0J9 was reported. Diagnosis code M5450. Diagnosis: E119.
NDC 0002-8215-01 and NDC 50580-0449-05; LOINC 2345-7, 4548-4, 718-7; SNOMED CT 44054006; RxCUI 860975.
T2N0M0, pT1cN0, Gleason 3+4=7, EGFR L858R and T790M, BRAF V600E, BRCA1, HER2, c.1521_1523delCTT, p.Phe508del, rs1234567.
Mass 10.5x12.3x8cm, 24F Foley, 18-gauge needle, 7.5Fr, 3-0 Vicryl, 10-325 hydrocodone, 7.5/325 mg, 70/30 insulin.
COVID-19 vaccine, SARS-CoV-2, H1N1, HPV16, HLA-B27, Tc-99m, F-18 FDG, I-131, Lu-177, PSMA-617, Y-90.
In 2019-2021, FY2024, mid-2019, pre-2010, 1990s, from 1998 to 2003.
At 1430 hours, 10:30 pm, 10:15:30, 0800, 4:00PM, 12:30pm, seen 24-48h later, q4-6h, 38w5d, G3P2012, P1001.
Charge $12,345.67, allowed 1234.50, paid 45000.00, total 123456 dollars, copay $20.
Titer 1:160, 1:1280, ratio 1:10000 epinephrine, 5000 steps, 2000-calorie diet, 1500-2000 mL, 120/80, 20/200, 12/30.
Weight 185lbs, 84.5kg, height 170cm, BMI 31.25, BP120/80 HR88 SpO298% RR18 T98.6.
PHQ-9 score 12, GAD-7 15, SF-36, MMSE 28/30, CMS-1500, UB-04, HCFA-1500, Form CMS-1450.
6000cGy in 30 fractions, 180 cGy/fraction, 140 kVp, 250 mAs, 1.5T MRI, 512 Hz tuning fork.
G 20-gauge, 1/2 tab, 0.25-0.5 mg, 1.25/2.5, 500/125 mg amoxicillin, 100-unit vial, 360-degree.
Blood culture >100,000 CFU/mL, RBC 4.5x10^6, platelet 150K, viral load <20, absolute neutrophils 1500/mm3.
The 2000 study of 12500 patients.
He is 98 percent on room air, she was 95 on 2 L, and he was 99.1 degrees.
Strength improved from 3/5 to 4/5 in both legs.
Seen by Cardiology and followed by Neurology.
Admitted to Labor and Delivery, then to the Intensive Care Unit.
TRANSFERRED TO THE EMERGENCY DEPARTMENT WITH CHEST PAIN AND NAUSEA.
Pain in the 5th finger; fracture of the 4th rib.
He may 2 weeks later march in place.
Speaks English, Spanish and Creole; African-American.
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
        ("agreed with Dawn again", "NAME"),
        ("account 12AB", "CODE"),
        ("(312) 5550148", "PHONE"),
    ],
)
def test_second_look_finds_what_remains(text: str, kind: str) -> None:
    assert residual(text)[kind] == 1


def test_second_look_passes_own_tags() -> None:
    assert not residual("[NAME], [policy_id 3f9a1c2e], [ZIP 606], aged 90+, MRN [MRN], 2024")
