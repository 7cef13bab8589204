"""Synthetic dictations and the documents that clinicians made of them; see `claims` for the promises."""

from collections.abc import Iterator
from datetime import date, timedelta
from random import Random

from regimen_trainer.generator import vocabulary as words
from regimen_trainer.generator.claims import Person, Row, identifiers, people, written_date

DOCUMENT_COLUMNS = ("dictation", "document_type", "final_document", "quality_score", "patient_name", "member_id")
DUPLICATES = 0.03
INVALID = 0.015


def document_rows(count: int, seed: int) -> Iterator[Row]:
    """`count` rows as an export has them: some twice, some broken, some of low quality."""
    rng = Random(f"documents {seed}")
    previous: Row | None = None
    for person, _ in zip(people(rng), range(count), strict=False):
        if previous is not None and rng.random() < DUPLICATES:
            yield previous
            continue
        previous = document(rng, person)
        yield {**previous, "quality_score": "good"} if rng.random() < INVALID else previous


def document(rng: Random, person: Person) -> Row:
    """One dictation with its document."""
    kind = rng.choice(words.DOCUMENT_TYPES)
    course = rng.sample(words.COURSES, 3)
    plan = rng.sample(words.PLANS, 2)
    diagnosis = rng.choice(rng.choice(words.SPECIALTIES).diagnoses)[1]
    day = written_date(rng, date(2024, 1, 1) + timedelta(days=rng.randrange(500)))
    contact = rng.choice(words.CONTACTS).format(**identifiers(rng), claim_number="pending")
    drug = rng.choice(words.DRUGS)
    spoken = (
        f"this is a {kind.replace('_', ' ')} for {person.name} aged {person.age} seen on {day} with {diagnosis} "
        f"{'. '.join(sentence.lower() for sentence in course)}. we will {plan[0]} and {plan[1]}. {drug} daily. {contact}"
    )
    return {
        "dictation": spoken.strip(),
        "document_type": kind,
        "final_document": final(kind, person, diagnosis, course, plan, drug, day),
        "quality_score": f"{min(1.0, rng.betavariate(9, 1.6)):.2f}",
        "patient_name": person.name,
        "member_id": person.member_id,
    }


def final(kind: str, person: Person, diagnosis: str, course: list[str], plan: list[str], drug: str, day: str) -> str:
    """The document in its type's usual shape."""
    heading = f"{kind.replace('_', ' ').title()}\nPatient: {person.name}\nDate: {day}\n"
    findings, plans = ". ".join(course), f"{plan[0].capitalize()}; {plan[1]}"
    if kind == "prescription":
        return f"{heading}Indication: {diagnosis}\nRx: {drug}, once daily\nNotes: {plans}."
    if kind == "soap_note":
        return f"{heading}S: {course[0]}.\nO: {course[1]}. {course[2]}.\nA: {diagnosis}.\nP: {plans}. {drug} daily."
    if kind == "discharge_summary":
        return f"{heading}Diagnosis: {diagnosis}\nCourse: {findings}.\nMedication: {drug} daily\nFollow-up: {plans}."
    return f"{heading}Indication: {diagnosis}\nFindings: {findings}.\nAftercare: {plans}. {drug} daily."
