"""Prompts and answers."""

import duckdb
import pytest
from hypothesis import given
from hypothesis import strategies as st

from regimen.spec.dataset import DatasetTask
from regimen_trainer.errors import InputError
from regimen_trainer.tasks import DERIVED, TIERS, Template, derived, label_list, parse_label, render, shipped, template_of

LABELS = ["APPROVED", "DENIED"]
CLAIM = {
    "diagnosis_codes": "M54.50",
    "procedure_codes": "72148",
    "claim_amount": 6120.5,
    "service_date": "2024-03-14",
    "medical_analysis": "Fine.",
    "adjudication_decision": "SECRET-NOTE",
    "final_decision": "DENIED",
}


@pytest.mark.parametrize(
    ("text", "label"),
    [
        ("APPROVED", "APPROVED"),
        (" Denied.", "DENIED"),
        ("The claim is approved", "APPROVED"),
        ("**DENIED**", "DENIED"),
        ("", None),
        ("APPROVED or DENIED", None),
        ("DISAPPROVED", None),
        ("perhaps", None),
        ("denied, DENIED", "DENIED"),
        ("Decision:DENIED\n", "DENIED"),
    ],
)
def test_parse_label(text: str, label: str | None) -> None:
    assert parse_label(text, LABELS) == label


def test_parse_label_prefers_the_longer_of_nested_labels() -> None:
    assert parse_label("not full", ["FULL", "NOT FULL"]) == "NOT FULL"


def test_answer_is_never_in_the_prompt() -> None:
    asked = " ".join(message["content"] for message in render("adjudication", CLAIM, ["YES", "NO"]))
    assert "SECRET-NOTE" not in asked
    assert "DENIED" not in asked
    assert "2024-03-14" not in asked
    assert "Cost tier 6" in asked
    assert "YES or NO" in asked


def test_a_conversation_begins_with_the_system_and_ends_with_the_question() -> None:
    assert [message["role"] for message in render("clinicalDocs", {"document_type": "Letter", "dictation": "Dear"})] == ["system", "user"]


def test_medical_analysis_does_not_see_itself() -> None:
    assert "Fine." not in " ".join(message["content"] for message in render("medicalAnalysis", CLAIM))


def test_missing_column_is_named() -> None:
    with pytest.raises(InputError, match="diagnosis_codes"):
        render("adjudication", {name: value for name, value in CLAIM.items() if name != "diagnosis_codes"})


@given(st.lists(st.tuples(st.text(st.characters(exclude_characters="{}")), st.from_regex(r"[a-z_]\w{0,8}", fullmatch=True)), max_size=5))
def test_a_template_is_its_text_with_values_in_the_places(parts: list[tuple[str, str]]) -> None:
    text = "".join(f"{literal}{{{{ {name} }}}}" for literal, name in parts)
    template = Template.parse(text, "here")
    assert template.columns == tuple(name for _, name in parts)
    # Values are never read as templates themselves.
    values = {name: f"<{name} {{{{ other }}}}>" for _, name in parts}
    expected = text.strip()
    for name, value in values.items():
        expected = expected.replace(f"{{{{ {name} }}}}", f"\0{name}\0") if value else expected
    for name, value in values.items():
        expected = expected.replace(f"\0{name}\0", value)
    assert template.render(values) == expected


@pytest.mark.parametrize("text", ["{{ a b }}", "{{ a | upper }}", "{% if a %}", "{{ a", "{{}}", "{{ a.b }}"])
def test_other_braces_are_refused(text: str) -> None:
    with pytest.raises(InputError, match=r"here: only \{\{ column \}\} is understood"):
        Template.parse(f"Say {text} now", "here")


@pytest.mark.parametrize("text", ["{a}", '{"json": [1, {"a": 2}]}', "}} a", "a } b { c"])
def test_single_braces_are_text(text: str) -> None:
    assert Template.parse(text, "here").render({}) == text


def task(**fields: object) -> DatasetTask:
    return DatasetTask.model_validate(
        {"name": "adjudication", "output": {"type": "Label", "labels": LABELS, "positive": "DENIED"}, **fields}
    )


def test_a_task_has_its_own_prompt_or_the_one_that_is_shipped() -> None:
    assert template_of(task()) is shipped("adjudication")
    own = template_of(task(prompt={"system": "Answer {{ labels }}.", "user": "{{ procedure_codes }} for {{ diagnosis_codes }}?"}))
    assert own.columns == ("procedure_codes", "diagnosis_codes")
    assert own.fields == ("labels", "procedure_codes", "diagnosis_codes")
    assert own.system.render({"labels": label_list(LABELS)}) == "Answer APPROVED or DENIED."


def test_a_broken_prompt_is_named_by_its_field() -> None:
    with pytest.raises(InputError, match=r"tasks adjudication: prompt\.user: only"):
        template_of(task(prompt={"user": "{% if x %}"}))


@given(
    st.lists(
        st.one_of(
            st.floats(0, 1e15),
            st.sampled_from([float(edge + step) for edge in TIERS for step in (-0.01, 0, 0.01)]),
            st.integers(0, 10**15),
            st.decimals(0, 10**6, places=2),
        ),
        min_size=20,
        max_size=60,
    )
)
def test_sql_derives_what_python_derives(amounts: list[float]) -> None:
    rows = [{"service_date": f"{1900 + index}-01-31", "claim_amount": str(amount)} for index, amount in enumerate(amounts)]
    columns = ", ".join(f"{sql.format(*[column] * sql.count('{}'))} AS {name}" for name, (column, sql) in DERIVED.items())
    source = "SELECT unnest(?) AS service_date, CAST(unnest(?) AS DOUBLE) AS claim_amount"
    found = duckdb.execute(
        f"SELECT {columns} FROM ({source})", [[row[name] for row in rows] for name in ("service_date", "claim_amount")]
    ).fetchall()
    assert [dict(zip(DERIVED, row, strict=True)) for row in found] == [derived(row) for row in rows]
