"""The benchmark's own measure: what counts as planted, as missed and as a false alarm. A meter that is wrong would praise anything."""

from pathlib import Path
from random import Random
from typing import Any

import pytest

BENCHMARKS = Path(__file__).parents[3] / "benchmarks"
NOTES = ["The patient is well. She denies pain.", "No known drug allergies.", "He has a cough and was seen on 07/29/2008. No fever today."]


@pytest.fixture(scope="module")
def modules() -> Any:
    with pytest.MonkeyPatch.context() as patch:
        patch.syspath_prepend(str(BENCHMARKS))
        import deidentification
        import planting

        yield deidentification, planting


@pytest.fixture(scope="module", params=["first", "held-out"])
def plant(modules: Any, request: pytest.FixtureRequest) -> Any:
    """Plants one of the sets in the notes."""
    deidentification, _ = modules
    return lambda: deidentification.SETS[request.param](NOTES, 7)


@pytest.fixture(scope="module")
def planted(plant: Any) -> Any:
    return plant()


@pytest.mark.parametrize("file", ["deidentification_phrases.txt", "deidentification_held_out.txt"])
def test_every_class_is_said_in_many_ways(modules: Any, file: str) -> None:
    _, planting = modules
    phrases = planting.read_phrases(BENCHMARKS / file)
    assert list(phrases) == list("ABCDEFGHIJKLMNOPQR")
    assert all(len({phrase.words for phrase in group}) >= 12 for group in phrases.values())


def test_enough_is_planted_and_where_it_says(planted: Any) -> None:
    plants = [(document, plant) for document in planted for plant in document.plants]
    assert len(plants) >= 3000
    for document, plant in plants:
        assert plant.core and all(plant.whole.start <= span.start < span.end <= plant.whole.end for span in plant.core)
        assert "«" not in document.text and "{" not in document.text


def test_same_seed_same_documents(plant: Any, planted: Any) -> None:
    assert [document.text for document in plant()] == [document.text for document in planted]


def test_sets_share_no_sentence_and_no_name(modules: Any) -> None:
    _, planting = modules
    first, held_out = (
        {phrase.words.lower() for group in planting.read_phrases(BENCHMARKS / file).values() for phrase in group}
        for file in ("deidentification_phrases.txt", "deidentification_held_out.txt")
    )
    assert first & held_out == set()
    assert len(held_out) >= 300
    words = planting.read_words(BENCHMARKS / "deidentification_held_out_words.txt")
    shared = {heading for heading in words if set(words[heading]) & set(planting.WORDS.get(heading, []))}
    assert shared <= {"hosts"}, "of the hosts that are reserved for documentation there are few"


def test_columns_hold_what_stands_in_the_note(modules: Any) -> None:
    """Else the columns would look worth less than they are."""
    _, planting = modules
    import held_out_forms

    for form in ("mrn_terminal", "bcbs", "fin", "claim_more"):
        person = planting.Person(Random(3), planting.names())
        assert held_out_forms.FORMS[form](person).strip("«»") in person.known.values()


def test_entry_may_go_on_in_the_next_line(modules: Any, tmp_path: Path) -> None:
    _, planting = modules
    (tmp_path / "words.txt").write_text("# Words.\n\n[days]\nsixth; twenty\nseventh;\nthirtieth\n\n[hosts]\nexample.com\n")
    assert planting.read_words(tmp_path / "words.txt") == {"days": ["sixth", "twenty seventh", "thirtieth"], "hosts": ["example.com"]}


def test_note_around_what_is_planted_is_whole(planted: Any) -> None:
    for document in planted:
        text, end = "", 0
        for plant in document.plants:
            text, end = text + document.text[end : plant.whole.start], plant.whole.end
        rest = (text + document.text[end:]).split()
        assert [word.strip(".") for word in rest if word.strip(".")] == [word.strip(".") for word in NOTES[document.note].split()]


@pytest.mark.parametrize(
    ("kind", "words", "after", "missed"),
    [
        ("A", "Seen with «Ngozi Okafor» today", "Seen with [NAME] today", False),
        ("A", "Seen with «Ngozi Okafor» today", "Seen with [NAME] Okafor today", True),
        ("A", "Seen with «N. Okafor» today", "Seen with N. [NAME] today", False),
        ("B", "ZIP «98104» on file", "ZIP 981 on file", False),
        ("B", "ZIP «98104» on file", "ZIP 98104 on file", True),
        ("C", "on «March 4», 2008 he fell", "on 2008 he fell", False),
        ("C", "on «March 4», 2008 he fell", "on March 2008 he fell", True),
        ("C", "Study date 2008«0304».", "Study date 20080304.", True),
        ("C", "Study date 2008«0304».", "Study date 2008.", False),
        ("C", "a «93» year old", "a 90+ year old", False),
        ("D", "call «(415) 555-2671» now", "call (415) [PHONE] now", False),
        ("D", "call «(415) 555-2671» now", "call [PHONE]-2671 now", True),
        ("F", "at «a.okafor»@example.com", "at [EMAIL]", False),
        ("F", "at «a.okafor»@example.com", "at [NAME]@example.com", False),
        ("F", "at «a.okafor»@example.com", "at a.okafor@[URL]", True),
        ("H", "MRN «0048213» seen", "MRN 0048213 seen", True),
    ],
)
def test_what_is_a_miss(modules: Any, kind: str, words: str, after: str, missed: bool) -> None:
    deidentification, planting = modules
    text, core = planting._unmarked(words, 0)
    plant = planting.Plant(kind, True, planting.Span(0, len(text)), core)
    assert deidentification.is_missed(plant, deidentification.compared(text, after)) is missed


def test_one_who_does_nothing_misses_all_and_one_who_takes_all_gives_false_alarms(modules: Any, planted: Any) -> None:
    deidentification, _ = modules
    decoys = ["Hoehn and Yahr stage 2.", "BP 138/84."]
    nothing = deidentification.judged("nothing", planted, NOTES, lambda document: document.text, lambda note: note, decoys)
    assert (nothing.decoy_words, nothing.decoys_changed) == (8, 0)
    assert nothing.missed == nothing.planted and nothing.false_alarms == nothing.carriers_changed == 0
    everything = deidentification.judged(
        "everything", planted, NOTES, lambda document: "[GONE]", lambda note: note.replace("Hoehn and Yahr", "[NAME]"), decoys
    )
    assert everything.decoys_changed == 3
    assert everything.missed.total() == 0 and everything.false_alarms == everything.note_words > 0


def test_decoys_are_many(modules: Any) -> None:
    deidentification, _ = modules
    decoys = deidentification.read_decoys(BENCHMARKS / "deidentification_decoys.txt")
    assert len(set(decoys)) == len(decoys) >= 120


def test_digits_said_two_by_two(modules: Any) -> None:
    import held_out_forms

    said = [held_out_forms._paired(digits) for digits in ("4005", "1900", "2671")]
    assert said == ["forty oh five", "nineteen oh oh", "twenty six seventy one"]


def test_check_digits(modules: Any) -> None:
    _, planting = modules
    assert planting.Mod.luhn("7992739871") == "3"
    assert planting.Mod.vin("1M8GDM9A0KP042788") == "1M8GDM9AXKP042788"
    assert planting.Mod.iban("DE", "370400440532013000") == "DE89370400440532013000"
    person = planting.Person(Random(1), planting.names())
    assert person.known["patient_name"] == f"{person.first} {person.last}"
