"""Synthetic claims, one at a time: any number of rows in constant memory, the same for the same seed.

They carry what real exports carry: people with several claims, identifiers inside texts, duplicates, invalid rows and decisions
that are still pending. Nobody in them exists.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import date, timedelta
from random import Random

from regimen_trainer.generator import vocabulary as words
from regimen_trainer.generator.policy import Circumstances, expert_decision

CLAIM_COLUMNS = (
    "claim_id",
    "policy_id",
    "claim_number",
    "diagnosis_codes",
    "procedure_codes",
    "claim_amount",
    "service_date",
    "medical_analysis",
    "adjudication_decision",
    "final_decision",
    "patient_name",
    "member_id",
)
UNSUPPORTED_SHARE = 0.25
UNAUTHORIZED_SHARE = 0.5
DUPLICATES = 0.03
INVALID = 0.015
Row = dict[str, str]


@dataclass(frozen=True)
class Person:
    """A policy holder who does not exist."""

    name: str
    member_id: str
    policy_id: str
    age: int


@dataclass(frozen=True)
class Claim:
    """A claim with the facts that its decision follows from."""

    row: Row
    facts: Circumstances


def people(rng: Random) -> Iterator[Person]:
    """Policy holders without end, each with a policy of its own."""
    while True:
        name = f"{rng.choice(words.FIRST_NAMES)} {rng.choice(words.LAST_NAMES)}"
        yield Person(name, f"MBR{rng.randrange(10**8):08d}", f"POL-{rng.randrange(10**7):07d}", rng.choice((*range(19, 90), 93, 95)))


def claims(rng: Random) -> Iterator[Claim]:
    """Valid claims without end, one to three for each person, numbered from 1."""
    number = 0
    for person in people(rng):
        for _ in range(rng.choice((1, 1, 2, 3))):
            number += 1
            yield claim(rng, person, number)


def claim(rng: Random, person: Person, number: int) -> Claim:
    """One claim of a person. The text tells the reviewer's view in words; the policy reads only the facts behind it."""
    specialty = rng.choice(words.SPECIALTIES)
    supported = rng.random() >= UNSUPPORTED_SHARE
    other = rng.choice([entry for entry in words.SPECIALTIES if entry is not specialty])
    code, diagnosis = rng.choice(specialty.diagnoses)
    procedure = rng.choice((specialty if supported else other).procedures)
    facts = Circumstances(supported, rng.random() >= UNAUTHORIZED_SHARE, round(procedure.price * rng.lognormvariate(0, 0.5), 2))
    day = date(2023, 1, 1) + timedelta(days=rng.randrange(900))
    identity = {"claim_number": f"CLM{number:07d}-{rng.randrange(1000):03d}", **identifiers(rng)}
    text = analysis(rng, facts, person, identity, {"diagnosis": diagnosis, "procedure": procedure.words, "date": written_date(rng, day)})
    decision = expert_decision(facts, rng)
    return Claim(
        {
            "claim_id": f"C{number:08d}",
            "policy_id": person.policy_id,
            "claim_number": identity["claim_number"],
            "diagnosis_codes": code,
            "procedure_codes": procedure.code,
            "claim_amount": f"{facts.amount:.2f}",
            "service_date": day.isoformat(),
            "medical_analysis": text,
            "adjudication_decision": adjudicator_note(decision),
            "final_decision": decision,
            "patient_name": person.name,
            "member_id": person.member_id,
        },
        facts,
    )


def identifiers(rng: Random) -> dict[str, str]:
    """Identifiers that leak into texts: invented, with the exchanges and domains reserved for examples."""
    return {
        "phone": f"{rng.randrange(212, 980)}-555-01{rng.randrange(100):02d}",
        "email": f"reviewer{rng.randrange(900)}@example.org",
        "mrn": f"{rng.randrange(10**7):07d}",
        "ssn": f"{rng.randrange(900, 999)}-{rng.randrange(10, 99)}-{rng.randrange(1000, 9999)}",
        "house": str(rng.randrange(1, 999)),
        "street": rng.choice(words.STREETS),
        "doctor": rng.choice(words.LAST_NAMES),
    }


def analysis(rng: Random, facts: Circumstances, person: Person, identity: Row, words_: Row) -> str:
    """The medical review: an opening, sometimes a contact, the reviewer's view, the authorization."""
    sentences = [
        rng.choice(words.OPENINGS),
        rng.choice(words.CONTACTS),
        rng.choice(words.SUPPORTED if facts.supported else words.UNSUPPORTED),
        rng.choice(words.AUTHORIZED if facts.authorized else words.UNAUTHORIZED),
    ]
    text = " ".join(sentence for sentence in sentences if sentence)
    return text.format(who=person.name, age=person.age, member=person.member_id, **identity, **words_)


def written_date(rng: Random, day: date) -> str:
    """A date as people write it."""
    return rng.choice((day.isoformat(), day.strftime("%m/%d/%Y"), day.strftime("%B %d, %Y").replace(" 0", " ")))


def adjudicator_note(decision: str) -> str:
    """The first adjudicator's note: it gives the decision away, so it must never be in a prompt."""
    return {"APPROVED": "approve", "DENIED": "deny", "PENDING": "hold for records"}[decision]


def findings(rng: Random) -> str:
    """What was measured and tried, in numbers of its own: no two claims say the same, as in reviews that people write."""
    return (
        f" Blood pressure {rng.randrange(98, 182)}/{rng.randrange(56, 108)}, heart rate {rng.randrange(52, 118)}, pain {rng.randrange(11)}/10 for "
        f"{rng.randrange(2, 52)} weeks. {rng.choice(words.COURSES)}. {rng.choice(words.DRUGS)} taken for {rng.randrange(3, 90)} days; "
        f"to {rng.choice(words.PLANS)}. Hemoglobin {rng.randrange(90, 170) / 10:.1f}, creatinine {rng.randrange(5, 22) / 10:.1f}."
    )


def claim_rows(count: int, seed: int, detailed: bool = False) -> Iterator[Row]:
    """`count` rows as an export has them: some twice, some broken; with `detailed`, longer reviews of which no two are alike."""
    rng = Random(f"claims {seed}")
    previous: Row | None = None
    source = claims(Random(f"people {seed}"))
    for _ in range(count):
        if previous is not None and rng.random() < DUPLICATES:
            yield previous
            continue
        previous = next(source).row
        if detailed:
            previous = {**previous, "medical_analysis": previous["medical_analysis"] + findings(rng)}
        yield broken(rng, previous) if rng.random() < INVALID else previous


def broken(rng: Random, row: Row) -> Row:
    """A row with one thing wrong."""
    column, value = rng.choice(
        (
            ("claim_amount", "n/a"),
            ("claim_amount", "-20.00"),
            ("service_date", "unknown"),
            ("final_decision", "MAYBE"),
            ("medical_analysis", ""),
        )
    )
    return {**row, column: value}
