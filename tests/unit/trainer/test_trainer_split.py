"""Held-out rows: groups stay whole, near-duplicates stay together, labels keep their share."""

from collections import Counter

from hypothesis import given, settings
from hypothesis import strategies as st

from regimen_trainer.data.split import Clusters, Item, held_out, join_near_duplicates

WORDS = [f"word{index}" for index in range(40)]


@st.composite
def items(draw: st.DrawFn) -> list[Item]:
    rows = draw(
        st.lists(
            st.tuples(st.integers(0, 12), st.sampled_from("AD"), st.lists(st.sampled_from(WORDS), min_size=1, max_size=6)), max_size=40
        )
    )
    return [Item(f"{index:04d}", group, label, " ".join(text)) for index, (group, label, text) in enumerate(rows)]


@settings(max_examples=60, deadline=None)
@given(items(), st.floats(0.05, 0.45), st.integers(0, 5))
def test_no_group_is_on_both_sides(rows: list[Item], fraction: float, seed: int) -> None:
    test = held_out(rows, fraction, 0.8, seed)
    groups = {rows[index].group for index in test}
    assert all(index in test for index, row in enumerate(rows) if row.group in groups)
    assert held_out(rows, fraction, 0.8, seed) == test


@settings(max_examples=40, deadline=None)
@given(items(), st.floats(0.05, 0.45))
def test_no_text_is_on_both_sides_and_no_label_exceeds_its_share(rows: list[Item], fraction: float) -> None:
    test = held_out(rows, fraction, 0.8, 1)
    texts = {rows[index].text for index in test}
    assert all(index in test for index, row in enumerate(rows) if row.text in texts)
    share = Counter(row.label for row in rows)
    for label, count in Counter(rows[index].label for index in test).items():
        assert count <= fraction * share[label] + 0.5 + 1e-9


def test_near_duplicates_are_found_and_others_are_not() -> None:
    base = [f"w{index}" for index in range(60)]
    texts = [" ".join(base), " ".join([*base[:-1], "other"]), " ".join(reversed(base))]
    clusters = Clusters(3)
    assert join_near_duplicates([Item(str(index), index, "A", text) for index, text in enumerate(texts)], 0.8, clusters) == 1
    assert clusters.find(0) == clusters.find(1) != clusters.find(2)


def test_held_out_rows_stay_held_out_when_rows_are_added() -> None:
    rows = [Item(f"{index:05d}", index, "AD"[index % 2], f"unique{index} text{index * 7} of{index * 13}") for index in range(400)]
    before, after = held_out(rows[:300], 0.1, 0.8, 3), held_out(rows, 0.1, 0.8, 3)
    assert len(before) == 30
    assert len(after) == 40
    assert len({rows[index].id for index in before} & {rows[index].id for index in after}) >= 20
