"""What must go: one table of sentences for each kind of identifier, with what must not remain of them."""

import pytest

from regimen_trainer.deid import CLASSES, Known, deidentify

ROWS = {
    "NAME": [
        ("I called Aoife back.", "Aoife"),
        ("Thank you for referring Thaddeus to our clinic.", "Thaddeus"),
        ("Foster mother is Will Small.", "Small"),
        ("Seen with PA Delacroix.", "Delacroix"),
        ('Bronwyn "Tiny" Lindqvist agreed.', "Tiny"),
        ("Patient Maria Gonzalez was seen today.", "Gonzalez"),
        ("Spoke with Dr. Whitfield about it.", "Whitfield"),
        ("spoke with okafor's wife linda about the claim", "linda"),
        ("the patient is maria gonzalez and she is stable", "gonzalez"),
        ("Gonzalez, Maria was admitted.", "Maria"),
        ("SMITH, JOHN A. was discharged.", "SMITH"),
        ("O'Brien called about the bill.", "O'Brien"),
        ("McDonald agreed to the plan.", "McDonald"),
        ("Juan de la Cruz signed the form.", "Cruz"),
        ("Anne Smith-Jones returned.", "Jones"),
        ("Seen by J. Whitfield, MD in clinic.", "Whitfield"),
        ("Raj Patel, MD reviewed the film.", "Patel"),
        ("Wei Zhang presented with cough.", "Zhang"),
        ("Chukwuemeka Okonkwo reports pain.", "Okonkwo"),
        ("Reviewed with Nguyen today.", "Nguyen"),
        ("Lives with his daughter Karen.", "Karen"),
        ("Ms. May was told.", "May"),
        ("Mr. Brown will return.", "Brown"),
        ("Gonzalez's wife was present.", "Gonzalez"),
        ("Signed by: Maria Gonzalez", "Gonzalez"),
        ("Adjuster: T. Whitaker", "Whitaker"),
        ("Nurse Patricia gave the dose.", "Patricia"),
    ],
    "ORGANIZATION": [("He works at Caterpillar Logistics.", "Caterpillar"), ("Admitted to St. Mary's Hospital.", "Mary")],
    "ADDRESS": [
        ("At 12 Maple Street.", "Maple"),
        ("Lives at 4410 N. Oak Ave Apt 3B.", "Oak"),
        ("he lives at 12 maple street", "maple"),
        ("123 MAIN ST", "MAIN"),
        ("P.O. Box 1182", "1182"),
    ],
    "PLACE": [
        ("He grew up in Yellowknife.", "Yellowknife"),
        ("with his partner in tucson", "tucson"),
        ("Springfield, IL is home.", "Springfield"),
        ("She lives in Boston with family.", "Boston"),
        ("moved from springfield last year", "springfield"),
        ("Resident of Cook County.", "Cook"),
        ("in Peoria, Illinois", "Peoria"),
    ],
    "ZIP": [("Lives in IL 60614 now", "60614"), ("60614-1234", "60614"), ("zip code 60614", "60614"), ("Zip 03601", "036")],
    "DATE": [
        ("Seen on 3/14/24.", "3/14"),
        ("on the third of March", "March"),
        ("seen march 3rd in clinic", "march"),
        ("Seen on 3/14.", "3/14"),
        ("on 14-Mar-24", "Mar"),
        ("Tuesday, March 5", "Tuesday"),
        ("Since last October.", "October"),
        ("3/14 visit", "3/14"),
        ("It began on Christmas Eve.", "Christmas"),
        ("DOB 03/14/1931", "1931"),
        ("She was born in 1929.", "1929"),
        ("03.14.24", "03.14"),
    ],
    "AGE": [
        ("A 93-year-old man", "93"),
        ("a ninety-three-year-old man", "three"),
        ("age 93", "93"),
        ("93 y/o female", "93"),
        ("93M with CHF", "93"),
        ("She turned 95.", "95"),
        ("aged one hundred and one", "hundred"),
        ("in his 90s", "90s"),
    ],
    "PHONE": [
        ("Call (312) 555-0148.", "0148"),
        ("Call 312-555-0148 ext 12.", "12"),
        ("Call 312.555.0148", "0148"),
        ("at 555-0148", "0148"),
        ("phone +44 20 7946 0958", "0958"),
        ("call five five five one two three four", "three"),
    ],
    "FAX": [("Fax: 312-555-0199", "0199"), ("faxed to 312 555 0199", "0199")],
    "EMAIL": [
        ("Write to a.b+c@example.org.", "example"),
        ("write to lee underscore park9 at mail dot example dot net", "park9"),
        ("jo (at) example (dot) org", "example"),
    ],
    "SSN": [("SSN 912-34-5678.", "5678"), ("social security number 912345678", "5678"), ("XXX-XX-5678", "5678"), ("912.34.5678", "5678")],
    "MRN": [("MRN 0012345.", "12345"), ("MRN: A-12345 noted", "12345"), ("medical record number is 88-12-33", "88")],
    "MEMBER": [("Member ID: XGH882771", "882771"), ("policy number HX-22871", "22871"), ("group no. 88213", "88213")],
    "ACCOUNT": [
        ("Account no: 99887766", "99887766"),
        ("acct 99887766", "99887766"),
        ("card reads KLM4 7781 2203", "7781"),
        ("card ending in 4412", "4412"),
    ],
    "LICENSE": [("NPI 1234567893", "123"), ("DEA AB1234563", "AB1"), ("driver's license number D123-4567", "4567")],
    "VEHICLE": [
        ("VIN 1HGCM82633A004352 towed", "1HGC"),
        ("license plate 7ABC123", "7ABC"),
        ("a van with tag QRS 418", "418"),
        ("hull ZZP70321K418", "70321"),
    ],
    "DEVICE": [("serial number SN-99182", "99182"), ("pacemaker serial 8827361", "8827361"), ("UDI (01)00844588003288", "00844588003288")],
    "URL": [("See https://portal.example.org/0012345.", "portal"), ("at portal.example.com/x", "portal")],
    "IP": [("From 192.0.2.17 today", "192"), ("mac 00:1A:2B:3C:4D:5E", "1A"), ("from 2001:db8::ff00:42:8329", "8329")],
    "BIOMETRIC": [("fingerprint id FP-88213", "88213")],
    "PHOTO": [("see face_maria.jpg", "maria"), ("IMG_2231 attached", "2231")],
    "CODE": [
        ("Kept under 40417-83 since then.", "40417"),
        ("Inmate 771208 was seen.", "771208"),
        ("Asset 88-QX-20417 in room 4.", "20417"),
        ("sample 9f3b77ac0d12 thawed", "9f3b77"),
        ("saved as gait_22817.mp4x and gait_22818.wav", "22818"),
        ("posts as @tallpine_runner", "tallpine"),
        ("Claim #: 2024-118823", "118823"),
        ("accession A24-11822", "11822"),
        ("employee id 48213", "48213"),
        ("123e4567-e89b-12d3-a456-426614174000", "426614174000"),
        ("see CLM20240001 again", "20240001"),
    ],
}


def test_every_class_has_rows() -> None:
    assert ROWS.keys() == CLASSES.keys()
    assert {entry.letter for entry in CLASSES.values()} == set("ABCDEFGHIJKLMNOPQR")


@pytest.mark.parametrize(("name", "text", "gone"), [(name, *row) for name, rows in ROWS.items() for row in rows])
def test_identifiers_are_removed(name: str, text: str, gone: str) -> None:
    cleaned = deidentify(text)
    assert gone not in cleaned.text
    assert cleaned.found.get(name), cleaned


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("Seen on 2024-03-14.", "Seen on 2024."),
        ("at 2024-03-14T10:22:00Z", "at 2024"),
        ("Seen on 03/14/2024.", "Seen on 2024."),
        ("Seen on March 14, 2024.", "Seen on 2024."),
        ("Seen on 14 Mar 2024.", "Seen on 2024."),
        ("Since March 2024.", "Since 2024."),
        ("In July two thousand and seven.", "In two thousand and seven."),
        ("Lives in IL 60614 now", "Lives in IL [ZIP 606] now"),
        ("Zip 03601", "Zip [ZIP 000]"),
        ("A 93-year-old man", "A 90+-year-old man"),
        ("At 12 Maple Street, Springfield, IL 62704.", "At [ADDRESS], [PLACE], IL [ZIP 627]."),
        ("MRN 0012345.", "MRN [MRN]."),
        ("Seen by Dr. Whitfield.", "Seen by Dr. [NAME]."),
        ("Born March 3, 1929.", "Born [DATE]."),
    ],
)
def test_what_is_put_instead(text: str, expected: str) -> None:
    assert deidentify(text).text == expected


@pytest.mark.parametrize(
    "text",
    [
        "write to mary.gonzalez@example.org",
        "mary dot gonzalez at mail dot example dot org",
        "portal.gonzalez.example.com",
        "www.gonzalez.example/x",
    ],
)
def test_known_part_of_an_address_takes_the_address_with_it(text: str) -> None:
    known = [Known("last", "Gonzalez", "[Last 1234abcd]"), Known("first", "Mary", "[First 1234abce]")]
    assert "example" not in deidentify(text, known).text


def test_sentence_in_capitals_keeps_its_capitals() -> None:
    cleaned = deidentify("SHE IS FROM ASHTABULA AND LIVES WITH JUDITH. No fever.")
    assert cleaned.text == cleaned.text.replace("[place]", "[PLACE]")
    assert "ASHTABULA" not in cleaned.text
    assert cleaned.text.startswith("SHE IS FROM [")
    assert cleaned.text.endswith(" No fever.")
