"""What an evaluation remembers, what quantising changed, and the figures of comparisons; no engine."""

import json
import math
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from regimen.spec.tasks import EvaluateTask
from regimen.stats.paired import Bootstrap
from regimen_trainer.errors import InputError
from regimen_trainer.evaluation.answers import Answer
from regimen_trainer.evaluation.cases import Case, read_cases
from regimen_trainer.evaluation.compare import judged, own_figures, paired_figures
from regimen_trainer.evaluation.ledger import Ledger
from regimen_trainer.evaluation.quantization import Changed, Spread, divergence, spread_over
from regimen_trainer.evaluation.run import template_figure
from regimen_trainer.probe import digest_of_ids

A, D = "APPROVED", "DENIED"


class Bucket:
    """As much of a bucket as a ledger uses."""

    def __init__(self) -> None:
        self.objects: dict[str, bytes] = {}

    def put(self, key: str, data: bytes) -> None:
        self.objects[key] = data

    def get(self, key: str) -> bytes:
        return self.objects[key]

    def keys(self, prefix: str) -> list[str]:
        return sorted(key for key in self.objects if key.startswith(prefix))


def test_what_was_written_is_known_to_the_next_attempt() -> None:
    bucket, clock = Bucket(), SimpleNamespace(now=0.0)

    def ledger() -> Ledger:
        return Ledger(bucket, "evaluations/a/b/", lambda: clock.now)  # type: ignore[arg-type]

    first = ledger()
    for row in range(5):
        clock.now += 4
        first.add({"id": f"r{row}", "label": A})
    assert list(ledger().entries) == ["r0", "r1", "r2"], "written every ten seconds; the rest dies with the pod"
    first.flush()
    first.flush()
    assert sorted(ledger().entries) == [f"r{row}" for row in range(5)]
    assert len(bucket.objects) == 2, "nothing new, nothing written"
    other = Ledger(bucket, "evaluations/a/c/")  # type: ignore[arg-type]
    assert other.entries == {}, "other settings know nothing of it"


def test_two_attempts_at_once_agree_on_a_row() -> None:
    bucket = Bucket()
    for label in (A, D):
        attempt = Ledger(bucket, "p/")  # type: ignore[arg-type]
        attempt.entries.clear()
        attempt.add({"id": "r", "label": label})
        attempt.flush()
    assert len({Ledger(bucket, "p/").entries["r"]["label"] for _ in range(3)}) == 1  # type: ignore[arg-type]


@given(st.lists(st.floats(0.01, 1), min_size=3, max_size=40), st.integers(2, 30))
def test_divergence_of_what_is_seen_is_a_lower_bound(weights: list[float], top: int) -> None:
    p = np.array(weights) / sum(weights)
    q = np.roll(p, 1)
    whole = float((p * np.log(p / q)).sum())

    def first(values: np.ndarray) -> Spread:
        order = np.argsort(-values)[:top]
        return Spread.of([(int(i), math.log(values[i])) for i in order])

    seen, outside = divergence(first(p), first(q))
    assert -1e-9 <= seen <= whole + 1e-9
    assert 0 <= outside <= 1
    if top >= len(p):
        assert seen == pytest.approx(whole, abs=1e-6)
        assert outside == pytest.approx(0, abs=1e-9)


def test_the_same_probabilities_do_not_diverge() -> None:
    spread = Spread.of([(7, math.log(0.6)), (3, math.log(0.3))])
    assert divergence(spread, spread) == (0.0, pytest.approx(0.1))


@given(st.integers(0, 500))
def test_places_lie_within_a_text(length: int) -> None:
    places = spread_over(length)
    assert places[0] == 0
    assert len(places) <= 8
    assert all(place < max(1, length) for place in places)


def test_figures_of_what_quantising_changed() -> None:
    figures = Changed([0.0] * 30 + [0.1] * 10, 0.001, 40, 1, [str(row) for row in range(40)]).figures()
    assert figures["quantizationDivergence"] == pytest.approx(0.025)
    assert figures["quantizationDivergence:upper"] == pytest.approx(0.036, abs=0.003)
    assert (figures["flippedAnswers"], figures["flippedRows"], figures["quantizationRows"]) == (1 / 40, 1, 40)
    assert "flippedAnswers" not in Changed([0.1], 0.0, 8, None, ["1"]).figures()


def evaluate_task(**changes: object) -> EvaluateTask:
    document = {
        "namespace": "claims", "job": "claims/j", "uid": "u", "model": "openins", "version": "v1.1", "quantization": "Q6_K",
        "testUri": "s3://b/test.jsonl", "output": "Label", "labels": [A, D], "positive": D, "against": [], "evaluation": {}, "lineage": {},
    }  # fmt: skip
    return EvaluateTask.model_validate(document | changes)


def answers(labels: list[str | None]) -> list[Answer]:
    return [Answer(str(index), 3, 0.1, False, label) for index, label in enumerate(labels)]


def test_figures_of_a_comparison() -> None:
    cases = [Case(str(index), [], D if index % 4 == 0 else A, f"policy {index // 2}") for index in range(40)]
    experts: list[str | None] = [case.expected for case in cases]
    ours = judged(evaluate_task(), cases, "candidate", "openins-v1.1", answers([*experts[:36], A, D, D, None]))
    theirs = judged(evaluate_task(), cases, "Serving", "openins-v1.0", answers([*experts[:30], *[None] * 10]))
    bootstrap = Bootstrap([case.group for case in cases])
    figures = own_figures(bootstrap, ours) | paired_figures(bootstrap, ours, theirs)
    assert bootstrap.groups == 20
    assert (figures["agreement"], figures["agreement@Serving"]) == (36 / 40, 30 / 40)
    assert (figures["falseDenials"], figures["falseApprovals"], figures["unparseable"]) == (2, 1, 1)
    assert (figures["unparseable@Serving"], figures["wins@Serving"], figures["losses@Serving"]) == (10, 6, 0)
    assert figures["version@Serving"] == "openins-v1.0"
    assert figures["mcnemarP@Serving"] == pytest.approx(2 / 2**6)
    low, high = figures["agreement@Serving:lower"], figures["agreement@Serving:upper"]
    assert isinstance(low, float) and isinstance(high, float) and low < 0.15 < high
    assert "precision[DENIED]" in figures and "precision[DENIED]:lower" not in figures


@pytest.mark.parametrize("line", ["", "{}", '{"id": 1, "prompt": [], "completion": []}', "no json"])
def test_rows_of_another_form_are_named_by_line_and_not_quoted(line: str, tmp_path: Path) -> None:
    (tmp_path / "t.jsonl").write_text(f"{line}\n" if line else "")
    with pytest.raises(InputError, match=r"datasetRef: (line 1|no rows)") as error:
        read_cases(tmp_path / "t.jsonl")
    assert "no json" not in str(error.value)


def test_rows_without_a_group_stand_alone(tmp_path: Path) -> None:
    row = {"prompt": [{"role": "user", "content": "x"}], "completion": [{"role": "assistant", "content": A}]}
    lines = [{"id": "1", "group": 7, **row}, {"id": "2", "group": 7, **row}, {"id": "3", **row}]
    (tmp_path / "t.jsonl").write_text("".join(json.dumps(line) + "\n" for line in lines))
    first, second, third = read_cases(tmp_path / "t.jsonl")
    assert first.group == second.group != third.group


@pytest.mark.parametrize(
    ("record", "figure"),
    [
        ({"probeTokens": digest_of_ids([1, 2, 3])}, {"templateMatchesTraining": 1}),
        ({"probeTokens": digest_of_ids([1, 2, 4])}, {"templateMatchesTraining": 0}),
        ({"source": "s3://b/colab/"}, {}),
    ],
)
def test_the_template_is_compared_with_what_training_saw_where_that_is_known(record: dict[str, str], figure: dict[str, int]) -> None:
    bucket, asked = Bucket(), []
    engine = SimpleNamespace(template_ids=lambda messages: asked.append(messages) or [1, 2, 3])
    asking = SimpleNamespace(
        stage=SimpleNamespace(record_of=lambda _: SimpleNamespace(figures=record)),
        ledger=lambda *_: Ledger(bucket, "evaluations/a/template/", lambda: 0.0),  # type: ignore[arg-type]
    )
    candidate = SimpleNamespace(asking=asking, engine=engine, file=None)
    assert template_figure(candidate) == figure  # type: ignore[arg-type]
    assert template_figure(candidate) == figure  # type: ignore[arg-type]
    assert len(asked) == ("probeTokens" in record), "asked once, and not at all where there is nothing to compare with"
