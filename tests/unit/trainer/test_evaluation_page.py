"""The page of an evaluation: what it says, that it is one sound file, and that no text of a row is on it."""

import json
import random
from pathlib import Path
from typing import Any

import pytest
from trainer_pages import Page

from regimen.spec.finetune import Gate
from regimen.spec.tasks import EvaluateTask
from regimen.stats.gates import judge_gates
from regimen_trainer.evaluation.answers import Answer
from regimen_trainer.evaluation.cases import Case
from regimen_trainer.evaluation.compare import Judged, judged
from regimen_trainer.evaluation.document import Report, report_of
from regimen_trainer.evaluation.page import attention, points, render, summary, write_report
from regimen_trainer.evaluation.plots import difference_axis, whisker
from regimen_trainer.evaluation.quantization import Changed
from regimen_trainer.evaluation.run import compared

A, D = "APPROVED", "DENIED"
SECRET = "hypertension since spring"
DIGEST = "ab" * 32


def made(
    output: str = "Label", rows: int = 200, gates: tuple[dict[str, Any], ...] = (), template: int | None = 1, **changes: Any
) -> tuple[Report, dict[str, Any]]:
    """A report of made answers: the candidate a little better than Serving, much better than Baseline."""
    draw = random.Random(5)
    label = output == "Label"
    file = {"path": "x.gguf", "uri": "s3://b/x.gguf", "sha256": DIGEST, "bytes": 1}
    document = {
        "namespace": "claims", "job": "claims/j", "uid": "u", "model": "openins", "version": "v1.1", "quantization": "Q5_K_M",
        "testUri": "s3://b/test.jsonl", "output": output, "labels": [A, D] if label else [], "positive": D if label else None,
        "against": [{"name": name, "version": version, "gguf": file} for name, version in (("Serving", "openins-v1.0"), ("Baseline", "openins-baseline"))],
        "evaluation": {"compareWith": ["Serving", "First", "Baseline"], "gates": list(gates)},
        "lineage": {"baseRef": "openins-baseline", "task": "adjudication", "datasetRevision": f"sha256:{DIGEST}"},
    } | changes  # fmt: skip
    task = EvaluateTask.model_validate(document)
    cases = [
        Case(f"case-{i}", [{"role": "user", "content": SECRET}], (D if i % 3 == 0 else A) if label else SECRET, f"g{i // 2}")
        for i in range(rows)
    ]

    def version(name: str, of: str, right: float, silent: float = 0.0) -> Judged:
        answers = []
        for case in cases:
            said: str | None = case.expected if draw.random() < right else (A if case.expected == D else D)
            scores = {metric: min(1.0, max(0.0, draw.gauss(right, 0.1))) for metric in ("rouge1", "rouge2", "rougeL", "editDistance")}
            known = (
                case.key,
                draw.randint(2, 5) if label else draw.randint(80, 512),
                round(draw.uniform(0.1, 0.6), 2),
                draw.random() < 0.02,
            )
            answers.append(Answer(*known, None if draw.random() < silent else said) if label else Answer(*known, None, scores))
        return judged(task, cases, name, of, answers)

    ours = version("candidate", "openins-v1.1", 0.9, 0.01)
    others = [version("Serving", "openins-v1.0", 0.86), version("Baseline", "openins-baseline", 0.55, 0.2)] if task.against else []
    changed = Changed(
        [0.004] * 50 + [0.03] * 13 + [0.3], 0.0002, 64 * (1 if label else 8), 1 if label else None, [str(i) for i in range(64)]
    )
    figures = compared(cases, ours, others) | changed.figures() | ({} if template is None else {"templateMatchesTraining": template})
    results = judge_gates([Gate.model_validate(gate) for gate in gates], figures, [other.name for other in others])
    return report_of(task, cases, ours, others, figures, results, changed if gates else None), figures


GATES: tuple[dict[str, Any], ...] = (
    {"metric": "agreement", "margin": 0.02}, {"metric": "agreement", "criterion": "Better", "bound": "Lower"},
    {"metric": "falseDenialRate", "margin": 0.01}, {"metric": "quantizationDivergence", "max": 0.05}, {"metric": "flippedAnswers", "max": 0.01},
)  # fmt: skip


@pytest.fixture(scope="module")
def report() -> Report:
    return made(gates=GATES)[0]


@pytest.fixture(scope="module")
def page(report: Report) -> Page:
    return Page(render(report))


def test_headings(page: Page) -> None:
    assert [heading for heading in page.headings if not heading.startswith(("openins", "agreement", "precision", "recall", "f1", "false", "unp"))] == [
        "Evaluation of openins-v1.1", "Needs attention", "What had to pass", "Versions side by side", "The same rows, answered by both",
        "What was answered, and what experts decided", "Label by label", "What quantising changed",
        "How long answers are, and how long they take", "How this was measured",
    ]  # fmt: skip


@pytest.mark.parametrize(
    "told",
    [
        "openins-v1.1 answered 200 rows of 100 policies or patients that it was not trained on, as the Q5_K_M file that would serve",
        "The model recommends; a person decides every denial.",
        "First is left out: no such version exists yet.",
        "within what chance can do",
        "Gate failed: agreement",
        "could not be told from chance",
        "exact McNemar test",
        "only the other one right",
        "answers that name no label or several; they count as wrong",
        "1 answer has another label.",
        "lower bound",
        "answered DENIED where experts did not",
    ],
)
def test_what_the_page_says(page: Page, told: str) -> None:
    assert told in page.text


def test_page_needs_no_network_and_no_script(page: Page, report: Report) -> None:
    assert not {"script", "link", "img", "iframe", "object"} & {tag for tag, _ in page.elements}
    assert not any(name in attributes for _, attributes in page.elements for name in ("src", "href", "onload", "onclick"))
    assert "url(" not in render(report) and "@import" not in render(report)


def test_no_text_of_a_row_and_no_row_is_named(tmp_path: Path) -> None:
    for output in ("Label", "Text"):
        report, figures = made(output)
        for name in write_report(report, figures, tmp_path):
            text = (tmp_path / name).read_text()
            assert SECRET not in text
            assert "case-" not in text


def test_plots_are_described_and_inside_their_frame(page: Page) -> None:
    plots = [attributes for tag, attributes in page.elements if tag == "svg"]
    assert len(plots) > 20 and all(plot.get("role") == "img" and plot.get("aria-label") for plot in plots)
    for attributes in (attributes for tag, attributes in page.elements if tag == "rect" and "x" in attributes):
        x, width = (float(str(attributes[name]).removesuffix("%")) for name in ("x", "width"))
        assert x >= 0 and x + width <= 100.5


def test_a_text_task_has_its_own_page() -> None:
    report, _ = made("Text", gates=({"metric": "rougeL", "margin": 0.02}, {"metric": "quantizationDivergence", "max": 0.05}))
    page = Page(render(report))
    assert "a clinician reads, corrects and signs every document" in page.text
    assert "words to be changed to get the final document" in page.text
    assert "McNemar test" not in page.text
    assert "cut at the limit of tokens" in page.text
    assert "What was answered, and what experts decided" not in page.headings


def test_a_page_of_nothing_to_compare_with() -> None:
    report, _ = made(rows=5, against=[])
    page = Page(render(report))
    assert "No gate was set" in page.text
    assert "The same rows, answered by both" not in page.headings
    assert report.candidate.metrics["agreement"].lower is None, "five rows say nothing of how sure"


def test_numbers_for_programs(tmp_path: Path) -> None:
    report, figures = made(gates=GATES)
    write_report(report, figures, tmp_path)
    document = json.loads((tmp_path / "evaluation.json").read_text())
    assert document["figures"] == {name: pytest.approx(value) if isinstance(value, float) else value for name, value in figures.items()}
    assert Report.model_validate(document) == report
    assert sum(document["pairings"][0][name] for name in ("both", "wins", "losses", "neither")) == 200


def test_sentences() -> None:
    report, _ = made()
    assert summary(report)[1].startswith("It agrees with the experts on ")
    assert not [sentence for sentence in attention(report) if "Gate" in sentence]
    assert (points(-0.031, sign=True), points(0.01), points(None)) == ("−3.1 points", "1 point", "–")


@pytest.mark.parametrize(
    ("template", "lineage", "told"),
    [
        (0, {}, "The served chat template makes other tokens than training saw"),
        (None, {"adapterSource": "s3://b/colab/"}, "The tool that trained the adapter left no record of the tokens that it saw"),
        (None, {}, "Its training left no record of the tokens that it saw"),
        (1, {"adapterSource": "s3://b/colab/"}, None),
    ],
)
def test_a_chat_template_that_is_another_or_not_known_needs_attention(
    template: int | None, lineage: dict[str, str], told: str | None
) -> None:
    report, _ = made(template=template, lineage=lineage)
    found = [sentence for sentence in attention(report) if "chat template" in sentence]
    assert len(found) == (told is not None)
    assert not told or (found[0].startswith(told) and told in Page(render(report)).text)


def test_geometry_stays_on_its_axis() -> None:
    report, _ = made()
    axis = difference_axis(report.pairings)
    assert axis.reach in (0.5, 1.0)
    assert [value for _, value in axis.ticks][2] == 0
    for pairing in report.pairings:
        drawn = whisker(pairing.difference, -axis.reach, axis.reach)
        assert drawn is not None and drawn.x is not None and drawn.width is not None
        assert 0 <= drawn.x <= drawn.at <= drawn.x + drawn.width <= 100
