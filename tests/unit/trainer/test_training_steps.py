"""Order of rows, grouping, learning rate, memory and time of a training: what needs no torch."""

import itertools
import json
import math
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from regimen.spec.artifacts import Progress
from regimen.spec.finetune import Method
from regimen_trainer.errors import InputError, NonFiniteLossError
from regimen_trainer.training import curve
from regimen_trainer.training.course import Course, Point
from regimen_trainer.training.memory import AtOnce, estimated, most_at_once, within_memory
from regimen_trainer.training.pace import Pace
from regimen_trainer.training.rows import encode, read, rows_digest
from regimen_trainer.training.steps import Steps, packed, padded

METHOD = Method()


@given(rows=st.integers(1, 60), batch=st.integers(1, 16), epochs=st.sampled_from([0.5, 1, 2, 2.25]))
def test_every_epoch_reads_every_row_once(rows: int, batch: int, epochs: float) -> None:
    steps = Steps(rows, batch, epochs, seed=3)
    order = [steps.rows_of(step) for step in range(steps.total)]
    for epoch in range(int(epochs)):
        read = order[epoch * steps.per_epoch : (epoch + 1) * steps.per_epoch]
        assert sorted(row for step in read for row in step) == list(range(rows))


def test_a_step_has_the_same_rows_whichever_step_was_asked_before() -> None:
    first, second = Steps(50, 4, 3, 7), Steps(50, 4, 3, 7)
    forward = [first.rows_of(step) for step in range(first.total)]
    assert [second.rows_of(step) for step in reversed(range(second.total))] == forward[::-1]
    assert Steps(50, 4, 3, 8).rows_of(0) != forward[0]
    assert sorted(forward[0]) != sorted(forward[first.per_epoch])


@given(st.lists(st.integers(1, 50), min_size=1, max_size=40), st.integers(1, 120))
def test_packed_groups_hold_every_row_once_within_the_capacity(lengths: list[int], capacity: int) -> None:
    groups = packed(lengths, capacity)
    assert sorted(place for group in groups for place in group) == list(range(len(lengths)))
    assert all(len(group) == 1 or sum(lengths[place] for place in group) <= capacity for group in groups)


@given(st.lists(st.integers(1, 50), min_size=1, max_size=40), st.integers(1, 10))
def test_padded_groups_hold_every_row_once(lengths: list[int], rows: int) -> None:
    groups = padded(lengths, rows)
    assert sorted(place for group in groups for place in group) == list(range(len(lengths)))
    assert max(map(len, groups)) <= rows


@pytest.mark.parametrize("total", [1, 2, 19, 20, 400])
def test_the_rate_rises_to_its_peak_and_falls_but_never_to_nothing(total: int) -> None:
    steps = Steps(total, 1, 1, 0)
    rates = [steps.rate(step) for step in range(total)]
    assert max(rates) == 1.0
    assert min(rates) > 0
    assert rates[rates.index(1.0) :] == sorted(rates[rates.index(1.0) :], reverse=True)


def test_the_whole_step_is_tried_at_once_unless_it_is_too_much() -> None:
    assert [most_at_once(4, 200, "cuda"), most_at_once(64, 2048, "cuda"), most_at_once(4, 20_000, "cpu")] == [4, 8, 1]


@pytest.mark.parametrize(
    ("available", "way"),
    [
        (800, AtOnce(8)),
        (799, AtOnce(4)),
        (100, AtOnce(1)),
        (99, AtOnce(8, True)),
        (20, AtOnce(2, True)),
        (9, AtOnce(1, True)),
    ],
)
def test_checkpointing_is_for_what_does_not_fit_without(available: int, way: AtOnce) -> None:
    assert estimated(lambda micro_batch, again: micro_batch * (10 if again else 100), available, 8) == way


def attempts(fits: AtOnce | None, error: Exception) -> list[AtOnce]:
    """The ways that are tried, where only `fits` has room; raises what is raised at last."""
    tried: list[AtOnce] = []
    changes: list[tuple[AtOnce, AtOnce]] = []

    def attempt(way: AtOnce) -> str:
        tried.append(way)
        if way != fits:
            raise error
        return "done"

    assert within_memory(attempt, AtOnce(4), lambda *ways: changes.append(ways), METHOD, 900) == "done"
    assert changes == list(itertools.pairwise(tried))
    return tried


def test_out_of_memory_halves_what_is_computed_at_once_and_keeps_activations_as_long_as_it_can() -> None:
    full = RuntimeError("CUDA out of memory. Tried to allocate 2 GiB")
    assert attempts(AtOnce(1), full) == [AtOnce(4), AtOnce(2), AtOnce(1)]
    assert attempts(AtOnce(1, True), full)[-1] == AtOnce(1, True)


@pytest.mark.parametrize("error", [MemoryError(), RuntimeError("DefaultCPUAllocator: can't allocate memory")])
def test_what_fits_in_no_way_is_told_with_the_remedy(error: Exception) -> None:
    with pytest.raises(InputError, match=r"method\.maxLength: a row of 900 tokens .* QLoRA") as told:
        attempts(None, error)
    assert told.value.exit_code == 2


def test_other_errors_are_not_taken_for_lack_of_memory() -> None:
    with pytest.raises(RuntimeError, match="shape"):
        attempts(None, RuntimeError("shape mismatch"))


def test_time_is_kept_for_a_checkpoint_before_the_end() -> None:
    pace = Pace(interval=900, stop_at=1000.0, kept_at=0.0)
    assert not pace.must_end(960)
    assert pace.must_end(970)  # not measured yet: 20 s, and half as much again
    pace.kept(800, 804)
    pace.stepped(10)
    assert not pace.must_end_before_step(983)
    assert pace.must_end_before_step(985)
    assert not Pace(900, None, 0.0).must_end(1e12)


def test_a_checkpoint_is_kept_before_the_interval_is_over() -> None:
    pace = Pace(interval=100, stop_at=None, kept_at=0.0, checkpoint=2)
    pace.stepped(5)
    assert not pace.is_due(92)
    assert pace.is_due(93)
    pace.kept(93, 95)
    assert not pace.is_due(150)


def test_a_checkpoint_that_takes_long_is_not_kept_at_every_step() -> None:
    pace = Pace(interval=10, stop_at=None, kept_at=0.0, checkpoint=9)
    assert not pace.is_due(5)
    assert pace.is_due(10)


def test_a_checkpoint_that_failed_is_tried_again_soon() -> None:
    pace = Pace(interval=100, stop_at=None, kept_at=0.0, checkpoint=1)
    pace.failed(100)
    assert not pace.is_due(101)
    assert pace.is_due(124)


class Told:
    """Who is told."""

    def __init__(self) -> None:
        self.progressed: list[Progress] = []
        self.said: list[str] = []

    def progress(self, progress: Progress, *, force: bool = False) -> None:
        self.progressed.append(progress)

    def say(self, message: str) -> None:
        self.said.append(message)


def test_progress_says_speed_and_time_left_of_the_last_steps() -> None:
    told = Told()
    course = Course(told, 100)
    for step in range(1, 41):
        course.stepped(step, 2.0, 1000, 4.0 if step <= 20 else 2.0)
    last = told.progressed[-1]
    assert (last.step, last.tokens_per_second, last.eta_seconds) == (40, 500.0, 120.0)
    assert course.figures() == {"finalLoss": 2.0, "tokensPerSecond": 333.3, "trainSeconds": 120.0}


def test_three_losses_that_are_not_finite_stop_training() -> None:
    course = Course(Told(), 10)
    assert [course.is_usable(loss) for loss in (math.nan, math.inf, 1.0, math.nan, math.nan)] == [False, False, True, False, False]
    with pytest.raises(NonFiniteLossError, match="learningRate"):
        course.is_usable(math.nan)


def test_the_curve_is_one_page_without_network() -> None:
    points = [Point(step, 3 / step, 400, 0.5) for step in range(1, 1001)]
    page = curve.render(points, 1000)
    assert page.count("<polyline") == 4
    assert "800 at the end" in page
    assert "http" not in page
    assert "0 of 10 steps" in curve.render([], 10)


class Letters:
    """A tokenizer of letters with a chat template."""

    def apply_chat_template(self, turns: list[dict[str, str]], add_generation_prompt: bool, tokenize: bool) -> str:
        return "".join(f"[{turn['content']}]" for turn in turns) + ("[" if add_generation_prompt else "")

    def __call__(self, texts: list[str], add_special_tokens: bool) -> dict[str, list[list[int]]]:
        return {"input_ids": [[ord(char) for char in text] for text in texts]}


def record(prompt: str, answer: str) -> dict[str, list[dict[str, str]]]:
    return {"prompt": [{"role": "user", "content": prompt}], "completion": [{"role": "assistant", "content": answer}]}


def test_the_answer_begins_where_the_prompt_ends() -> None:
    said: list[str] = []
    rows, lengths = encode(Letters(), [record("ab", "yes"), record("abcdefghij", "no")], 12, said.append)
    assert [(len(row), row.answer) for row in rows] == [(9, 5)]
    assert (lengths.rows, lengths.longest, lengths.truncated_percent) == (2, 16, 50.0)
    assert said == ["1 rows left out: method.maxLength cuts their whole answer away"]
    with pytest.raises(InputError, match="raise it to 16"):
        encode(Letters(), [record("abcdefghij", "no")], 12, said.append)


def test_other_rows_have_another_digest() -> None:
    one, other = (encode(Letters(), [record("ab", answer)], 99, print)[0] for answer in ("yes", "yet"))
    assert rows_digest(one) != rows_digest(other)
    assert rows_digest(one) == rows_digest(encode(Letters(), [record("ab", "yes")], 99, print)[0])


@pytest.mark.parametrize("text", ["", "{}\n", '{"prompt": [], "completion": 3}\n', "Maria Gonzalez\n"])
def test_unusable_rows_are_told_by_line_and_never_quoted(text: str, tmp_path: Path) -> None:
    (tmp_path / "rows.jsonl").write_text(text)
    with pytest.raises(InputError, match="--dataset") as told:
        read(tmp_path / "rows.jsonl", "--dataset")
    assert "Gonzalez" not in str(told.value)


def test_rows_are_read_as_they_are(tmp_path: Path) -> None:
    (tmp_path / "rows.jsonl").write_text(json.dumps({**record("a", "b"), "id": "7"}) + "\n")
    assert read(tmp_path / "rows.jsonl", "--dataset") == [record("a", "b")]
