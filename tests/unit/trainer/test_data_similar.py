"""Near-duplicates: the quick search finds what comparing all pairs finds."""

import re
from itertools import combinations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray
from trainer_exports import prose

from regimen_trainer.data import similar

Pairs = dict[tuple[int, int], float]


def brute_force(texts: list[str], threshold: float, fresh: list[bool]) -> Pairs:
    """Every pair by the definition, with Python's sets."""
    sets = []
    for text in texts:
        words = re.findall(r"\w+", text.casefold())
        sets.append({tuple(words[place : place + 3]) for place in range(max(1, len(words) - 2))})
    scores = {
        (left, right): len(sets[left] & sets[right]) / len(sets[left] | sets[right])
        for left, right in combinations(range(len(texts)), 2)
        if fresh[left] or fresh[right]
    }
    return {pair: score for pair, score in scores.items() if score >= threshold - 1e-9}


def search(texts: list[str], threshold: float, fresh: list[bool]) -> similar.Found:
    values, offsets = similar.grams(texts)
    prefix, starts = similar.prefixes(values, offsets, similar.commonness(values), threshold)

    def sets(ids: NDArray[np.int64]) -> list[similar.Grams]:
        return [values[offsets[index] : offsets[index + 1]] for index in ids]

    sketches = similar.Sketches(prefix, starts, np.diff(offsets), similar.bitmaps(values, offsets))
    return similar.near_duplicates(sketches, threshold, sets, np.array(fresh, dtype=np.bool_))


def as_pairs(found: similar.Found) -> Pairs:
    return {(int(left), int(right)): score for (left, right), score in zip(found.pairs, found.similarity.tolist(), strict=True)}


@st.composite
def texts(draw: st.DrawFn) -> list[str]:
    """Some texts, and others that are made of them by a change or none."""
    words = st.sampled_from(["knee", "Back", "spine", "MRI", "50", "pain", "relief", "über", "plan"])
    made = [" ".join(draw(st.lists(words, max_size=14))) for _ in range(draw(st.integers(1, 6)))]
    for _ in range(draw(st.integers(0, 8))):
        parts = draw(st.sampled_from(made)).split()
        if parts and draw(st.booleans()):
            parts[draw(st.integers(0, len(parts) - 1))] = draw(words)
        made.append(draw(st.sampled_from([" ", ", ", "\n"])).join(parts))
    return made


@settings(max_examples=150)
@given(texts(), st.sampled_from([0.5, 0.6, 2 / 3, 0.75, 0.8, 0.9, 1.0]), st.data())
def test_search_finds_exactly_what_all_pairs_give(made: list[str], threshold: float, data: st.DataObject) -> None:
    fresh = data.draw(st.lists(st.booleans(), min_size=len(made), max_size=len(made)))
    found = as_pairs(search(made, threshold, fresh))
    assert found == pytest.approx(brute_force(made, threshold, fresh))


@pytest.mark.parametrize("part", [similar.PART, 500])
def test_many_texts_with_common_sentences_lose_no_pair(monkeypatch: pytest.MonkeyPatch, part: int) -> None:
    monkeypatch.setattr(similar, "PART", part)
    boilerplate = "The request was reviewed against the plan criteria and the records that were submitted."
    made = [f"{boilerplate} {prose(index)}" for index in range(400)]
    made += [f"{boilerplate} {prose(index)} again" for index in range(0, 400, 40)]
    found = as_pairs(search(made, 0.8, [True] * len(made)))
    assert found == pytest.approx(brute_force(made, 0.8, [True] * len(made)))
    assert len(found) >= 10


def test_a_crowd_of_equal_texts_hangs_together(monkeypatch: pytest.MonkeyPatch) -> None:
    """Where whole lists would be too many comparisons, a window over each still joins neighbours."""
    monkeypatch.setattr(similar, "FEW", 1000)
    monkeypatch.setattr(similar, "AFFORDED", 0)
    count = 10 * similar.WINDOW
    found = search(["the same text again and again"] * count, 0.8, [True] * count)
    reached = {0}
    for left, right in found.pairs.tolist():
        if left in reached:
            reached.add(right)
    assert reached == set(range(count))
    assert found.skipped > 0


def test_grams_are_the_same_on_every_machine() -> None:
    """Kept in memories of datasets: another value here makes every near-duplicate of an old row unknown."""
    values, offsets = similar.grams(["Chronic knee pain.", "chronic  KNEE pain; relief", "pain", ""])
    assert offsets.tolist() == [0, 1, 3, 4, 5]
    assert values.tolist() == GRAMS


GRAMS = [965086146, 965086146, 3155195726, 3278796364, 0]


@given(texts(), st.integers(0, 2**28 - 1), st.sampled_from(["patient_name", "member_id", "Two Words", "a-b"]))
def test_surrogates_do_not_matter_and_their_columns_do(made: list[str], code: int, column: str) -> None:
    tagged = [[f"{text} [{column} {letter}{code:07x}] plan" for text in made] for letter in "af"]
    first, second = (similar.grams(each)[0].tolist() for each in tagged)
    assert first == second
    # While texts are worked on, a mark stands there, and the search sees the column's name for it.
    assert first == similar.grams([f"{text}  {column}  plan" for text in made])[0].tolist()


def test_nothing_gives_nothing() -> None:
    assert len(search([], 0.8, []).pairs) == 0
