"""The page of a dataset revision: what it says, that it is one sound file, and that texts of rows stay texts."""

import re
from pathlib import Path
from typing import Any

import pytest
from pydantic import ValidationError
from trainer_pages import Page

from regimen_trainer.data.page import render, tagged
from regimen_trainer.data.report import (
    Bin,
    Deidentification,
    Duplicates,
    Minimum,
    Pair,
    QuarantinedRow,
    Report,
    ReviewText,
    Sample,
    SourceReport,
    TaskReport,
    TokenLengths,
)
from regimen_trainer.data.sentences import attention, summary
from regimen_trainer.plots import histogram, stacked, ticks
from regimen_trainer.words import percent, plural

EXAMPLE = Path(__file__).parent / "data" / "dataset_report.json"
HOSTILE = "<script>alert(1)</script>\"'&<img src=x onerror=alert(1)>"


@pytest.fixture(scope="module")
def example() -> Report:
    return Report.model_validate_json(EXAMPLE.read_text())


@pytest.fixture(scope="module")
def page(example: Report) -> Page:
    return Page(render(example))


def source(**kwargs: Any) -> SourceReport:
    return SourceReport.model_validate({"name": "claims", "read": 10, "used": 10, **kwargs})


def lengths(**kwargs: Any) -> TokenLengths:
    document = {"tokenizer": "t", "p50": 10, "p95": 20, "max": 30, "limit": 40, "truncated_percent": 0.0, **kwargs}
    return TokenLengths.model_validate(document)


def test_example_round_trips(example: Report) -> None:
    assert Report.model_validate_json(example.model_dump_json(by_alias=True)) == example


def test_headings_lead_from_sentences_to_texts(page: Page) -> None:
    sections = [heading for heading in page.headings if not re.match(r"claims:|documents:", heading)]
    assert sections == [
        "Dataset claims-team/business",
        "Needs attention",
        "What became of the rows",
        "Why rows are not used",
        "How much was asked for",
        "What models learn from",
        "medicalAnalysis",
        "adjudication",
        "clinicalDocs",
        "De-identification",
        "Rows in quarantine",
        "Rows that repeat others",
        "Texts for a person to read",
        "Rows as models are taught them",
    ]


@pytest.mark.parametrize(
    "told",
    [
        "13,763 rows came in: 12,480 from claims and 1,283 from documents.",
        "12,338 of them (89.6 %) are used.",
        "1,048 rows were left out by choice and 363 rejected as unusable. Most often: pending (512), low quality (301), duplicate (235).",
        "adjudication: 10,180 rows to train on, 1,122 held out to judge models by, 100 more are the golden set.",
        "77,384 identifiers were found in 12,338 rows and replaced by tags.",
        "documents: 1,000 usable documents were asked for, 936 were found.",
        "1 pair of near-duplicates lies on different sides",
        "claim_amount is empty or cannot be read",
        "quarantined 11 (under 0.1 %)",
        "dates; the year stays",
        "historical_claims.csv:8817",
        "96.1 %",
        "held out and training",
        "limit 2,048",
    ],
)
def test_what_the_example_says(page: Page, told: str) -> None:
    assert told in page.text.replace("training and held out", "held out and training")


def test_page_needs_no_network_and_no_script(page: Page, example: Report) -> None:
    assert not {"script", "link", "img", "iframe", "object"} & {tag for tag, _ in page.elements}
    assert not any(name in attributes for _, attributes in page.elements for name in ("src", "href", "onload", "onclick"))
    assert "url(" not in render(example) and "@import" not in render(example)


def test_page_promises_nothing(page: Page) -> None:
    assert "complian" not in page.text.lower()
    assert "This is not proof that none remain" in page.text


def test_plots_are_described_and_inside_their_frame(page: Page) -> None:
    plots = [attributes for tag, attributes in page.elements if tag == "svg"]
    assert len(plots) > 10 and all(plot.get("role") == "img" and plot.get("aria-label") for plot in plots)
    for attributes in (attributes for tag, attributes in page.elements if tag == "rect" and "x" in attributes):
        x, width = (float(str(attributes[name]).removesuffix("%")) for name in ("x", "width"))
        assert x >= 0 and x + width <= 100.01


def test_tags_are_marked(page: Page) -> None:
    assert sum(tag == "mark" for tag, _ in page.elements) > 5
    assert tagged("Seen by [NAME] <b>") == "Seen by <mark>[NAME]</mark> &lt;b&gt;"
    assert tagged("") == ""


def test_empty_report_is_a_page() -> None:
    page = Page(render(Report(title="Training data", digest="")))
    assert "No rows came in." in page.text and "Nothing that was checked needs attention" in page.text
    assert "What models learn from" not in page.headings


def test_hostile_strings_stay_text() -> None:
    task = TaskReport(name=HOSTILE, train=1, mix={"train": {HOSTILE: 1, "b": 1}}, tokens=lengths(tokenizer=HOSTILE))
    report = Report(
        title=HOSTILE,
        digest=HOSTILE,
        previous_digest=HOSTILE,
        sources=[
            source(
                name=HOSTILE,
                left_out={HOSTILE: 1},
                rejected={f"invalid {HOSTILE}": 1},
                by_type={HOSTILE: 1, "b": 2},
                minimum=[Minimum(what=HOSTILE, asked=2, found=1)],
            )
        ],
        tasks=[task],
        duplicates=Duplicates(near_pairs=1, pairs=[Pair(source=HOSTILE, left=HOSTILE, right=HOSTILE, similarity=0.9)]),
        deidentification=Deidentification(removed={HOSTILE: 1}, residual={HOSTILE: 1}, rows_changed=1),
        quarantine=[QuarantinedRow(source=HOSTILE, row=HOSTILE, reason=HOSTILE)],
        warnings=[HOSTILE],
        samples=[Sample(task=HOSTILE, id=HOSTILE, prompt=HOSTILE, completion=HOSTILE)],
        review=[ReviewText(source=HOSTILE, id=HOSTILE, column=HOSTILE, text=HOSTILE)],
    )
    page = Page(render(report))
    assert not {"script", "img"} & {tag for tag, _ in page.elements}
    assert not any("onerror" in attributes for _, attributes in page.elements)
    assert page.text.count("<script>alert(1)</script>") > 15


@pytest.mark.parametrize(
    ("report", "told"),
    [
        (Report(title="t", digest="d", sources=[source(used=7)]), "differ by 3"),
        (Report(title="t", digest="d", sources=[source(used=8, quarantined=2)]), "2 rows are quarantined"),
        (Report(title="t", digest="d", deidentification=Deidentification(residual={"NAME": 1})), "1 passage may still hold"),
        (Report(title="t", digest="d", tasks=[TaskReport(name="x", train=9, tokens=lengths(truncated_percent=1.25))]), "1.2 % of the rows"),
        (
            Report(title="t", digest="d", tasks=[TaskReport(name="x", train=1, mix={"train": {"a": 1}, "test": {"b": 1}})]),
            "b is held out but",
        ),
        (
            Report(title="t", digest="d", tasks=[TaskReport(name="x", train=1, mix={"train": {"a": 8, "b": 2}, "test": {"a": 5, "b": 5}})]),
            "a is 80 % of the training rows but 50 %",
        ),
        (Report(title="t", digest="d", warnings=["as it is"]), "as it is"),
    ],
)
def test_attention(report: Report, told: str) -> None:
    assert any(told in sentence for sentence in attention(report))


def test_sound_report_needs_no_attention() -> None:
    task = TaskReport(name="x", train=8, test=2, mix={"train": {"a": 4, "b": 4}, "test": {"a": 1, "b": 1}}, tokens=lengths())
    report = Report(title="t", digest="d", sources=[source(minimum=[Minimum(what="claims", asked=5, found=10)])], tasks=[task])
    assert attention(report) == []
    assert summary(report)[0] == "10 rows came in: 10 from claims."


def test_documents_are_checked() -> None:
    with pytest.raises(ValidationError):
        Report.model_validate({"title": "t", "digest": "d", "adjudicationDecision": 1})
    with pytest.raises(ValidationError):
        Bin.model_validate({"low": "0", "high": 1, "rows": 1})


def test_bin_that_the_limit_cuts_is_drawn_in_two() -> None:
    plot = histogram([(0, 100, 10), (100, 200, 4)], 150)
    assert [(column.x, column.width, column.over) for column in plot.columns] == [(0, 50, False), (50, 25, False), (75, 25, True)]
    assert plot.limit == 75


def test_limit_far_away_is_not_drawn_to_scale() -> None:
    assert histogram([(0, 100, 10)], 2048).limit is None
    assert histogram([], 2048).columns == []


def test_unequal_bins_are_compared_by_rows_per_length() -> None:
    narrow, wide = histogram([(0, 10, 5), (10, 110, 50)], 200).columns
    assert narrow.height == wide.height


@pytest.mark.parametrize("end", [0.5, 1, 3, 7, 93, 240, 1200, 4096, 1_000_000])
def test_ticks_are_few_and_inside(end: float) -> None:
    values = ticks(end)
    assert 1 <= len(values) <= 7 and values[0] == 0 and values[-1] <= end


def test_shares_are_never_rounded_away() -> None:
    assert (percent(0, 0), percent(0, 5), percent(1, 5000), percent(4999, 5000)) == ("0 %", "0.0 %", "under 0.1 %", "over 99.9 %")
    assert (plural(1, "row is", "rows are"), plural(0, "row")) == ("1 row is", "0 rows")
    assert stacked({}, 0) == []
