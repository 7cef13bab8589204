"""From exports to files: which rows are used, why the others are not, and that the same input gives the same revision."""

import csv
import json
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner

from regimen.spec.dataset import TrainingDatasetSpec
from regimen_trainer.commands import prepare_data
from regimen_trainer.data.local import default_spec
from regimen_trainer.data.prepare import Outcome, prepare
from regimen_trainer.data.publish import write_reports
from regimen_trainer.data.surrogates import SurrogateTable
from regimen_trainer.errors import InputError
from regimen_trainer.generator.write import write_all

GOOD = {
    "claim_id": "C1",
    "policy_id": "P1",
    "claim_number": "N-1",
    "diagnosis_codes": "M54.50",
    "procedure_codes": "72148",
    "claim_amount": "120.00",
    "service_date": "2024-03-14",
    "medical_analysis": "Text of the first claim.",
    "adjudication_decision": "deny",
    "final_decision": "DENIED",
    "patient_name": "Maria Gonzalez",
    "member_id": "MBR123456",
}


def claims(count: int, **changes: str) -> list[dict[str, str]]:
    rows = [
        {
            **GOOD,
            "claim_id": f"C{index}",
            "policy_id": f"P{index}",
            "claim_number": f"N-{index}",
            "final_decision": ("APPROVED", "DENIED")[index % 2],
            "medical_analysis": f"alpha{index} beta{index * 3} gamma{index * 5} delta{index * 7}.",
        }
        for index in range(count)
    ]
    rows[0] |= changes
    return rows


def run(tmp_path: Path, rows: list[dict[str, str]], table: SurrogateTable | None = None, **changes: Any) -> tuple[Outcome, Path]:
    path = tmp_path / "claims.csv"
    with path.open("w", newline="") as file:
        writer = csv.DictWriter(file, list(rows[0]))
        writer.writeheader()
        writer.writerows(rows)
    document = default_spec(["claims"], 0.2, 1, ["patient_name", "member_id"]).model_dump(by_alias=True, exclude_none=True) | changes
    out = tmp_path / "out"
    return prepare(TrainingDatasetSpec.model_validate(document), {"claims": [path]}, table or SurrogateTable.empty(), out), out


@pytest.mark.parametrize(
    ("change", "reason"),
    [
        ({"claim_amount": "n/a"}, "invalid claim_amount"),
        ({"claim_amount": "-1"}, "invalid claim_amount"),
        ({"claim_amount": "nan"}, "invalid claim_amount"),
        ({"service_date": "unknown"}, "invalid service_date"),
        ({"medical_analysis": "  "}, "invalid medical_analysis"),
        ({"final_decision": "MAYBE"}, "invalid final_decision"),
        ({"claim_id": "C1"}, "repeated claim_id"),
    ],
)
def test_unusable_rows_are_counted_by_reason(tmp_path: Path, change: dict[str, str], reason: str) -> None:
    outcome, out = run(tmp_path, claims(20, **change))
    assert outcome.rejected == {reason: 1}
    assert (outcome.read, outcome.used) == (20, 19)
    assert reason in (out / "rejects.csv").read_text()


def test_exact_duplicates_are_dropped(tmp_path: Path) -> None:
    rows = claims(20)
    outcome, _ = run(tmp_path, [*rows, rows[3], rows[3]])
    assert outcome.rejected == {"duplicate": 2}


def test_pending_is_no_decision_but_still_has_an_analysis(tmp_path: Path) -> None:
    outcome, out = run(tmp_path, claims(20, final_decision="pending"))
    figures = {task.name: task.train + task.test for task in outcome.tasks}
    assert figures == {"medicalAnalysis": 20, "adjudication": 19}
    assert not outcome.rejected
    assert "PENDING" not in "".join(path.read_text() for path in out.glob("openins*.jsonl"))


def test_pending_is_left_out_where_decisions_are_all_that_is_wanted(tmp_path: Path) -> None:
    tasks = [{"name": "adjudication", "output": {"type": "Label", "labels": ["APPROVED", "DENIED"], "positive": "DENIED"}}]
    outcome, _ = run(tmp_path, claims(20, final_decision="PENDING"), tasks=tasks, maxRejectedPercent=0)
    assert outcome.rejected == {"pending": 1}


def test_files_hold_conversations_without_identifiers(tmp_path: Path) -> None:
    _, out = run(tmp_path, claims(20, medical_analysis="Maria Gonzalez (MBR123456), claim N-0, seen 2024-03-14."))
    lines = [json.loads(line) for path in sorted(out.glob("*.jsonl")) for line in path.read_text().splitlines()]
    assert {tuple(line) for line in lines} == {("id", "prompt", "completion")}
    text = json.dumps(lines)
    assert not [word for word in ("Gonzalez", "MBR123456", "N-0", "2024-03-14", "deny") if word in text]
    assert sorted(path.name for path in out.glob("*.jsonl")) == [
        "bimedix_medical_analysis_test.jsonl",
        "bimedix_medical_analysis_train.jsonl",
        "openins_adjudication_test.jsonl",
        "openins_adjudication_train.jsonl",
    ]


def test_same_rows_and_surrogates_give_the_same_revision(tmp_path: Path) -> None:
    table = SurrogateTable.empty()
    digests = []
    for name in ("a", "b"):
        (tmp_path / name).mkdir()
        outcome, out = run(tmp_path / name, claims(30), SurrogateTable.from_json(table.to_json()) if digests else table)
        digests.append(write_reports(out, outcome, "Data"))
    assert digests[0] == digests[1]
    assert "<script" not in (out / "report.html").read_text()


def test_too_many_unusable_rows_stop_it(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="maxRejectedPercent"):
        run(tmp_path, [{**row, "claim_amount": "x"} if index % 2 else row for index, row in enumerate(claims(20))])


@pytest.mark.parametrize("mode", ["Fail", "Warn"])
def test_residual_identifiers_fail_closed(tmp_path: Path, mode: str) -> None:
    rows, scan = claims(20, medical_analysis="Number 88123456789 is in the text."), {"knownValues": [], "residualScan": mode}
    if mode == "Fail":
        with pytest.raises(InputError, match="residualScan"):
            run(tmp_path, rows, deidentify=scan)
    else:
        assert "LONG_NUMBER" in run(tmp_path, rows, deidentify=scan)[0].warnings[-1]


def test_missing_column_names_what_is_there_and_the_nearest(tmp_path: Path) -> None:
    rows = [{("ClaimAmount" if name == "claim_amount" else name): value for name, value in row.items()} for row in claims(20)]
    with pytest.raises(InputError, match=r"claim_amount is missing; the export has .*nearest is ClaimAmount"):
        run(tmp_path, rows)
    source = {"csv": [{"uri": "s3://a/b"}], "columns": [{"name": "claim_amount", "from": "ClaimAmount"}]}
    assert run(tmp_path, rows, sources={"claims": source})[0].used == 20


def test_no_row_to_hold_out_is_an_input_fault(tmp_path: Path) -> None:
    with pytest.raises(InputError, match=r"split\.testFraction"):
        run(tmp_path, [{**row, "policy_id": "P"} for row in claims(20)])


@pytest.mark.parametrize("dash", ["_", "-"])
def test_command_prepares_generated_exports(tmp_path: Path, dash: str) -> None:
    claims_csv, documents_csv = write_all(tmp_path / "raw", 120, 60, seed=3)
    options = {"claims_csv": claims_csv, "documents_csv": documents_csv, "output_dir": tmp_path / "out"}
    words = [word for name, value in options.items() for word in (f"--{name.replace('_', dash)}", str(value))]
    result = CliRunner().invoke(prepare_data, [*words, "--split"])
    assert result.exit_code == 0, result.output
    assert len(list((tmp_path / "out").glob("*.jsonl"))) == 6
    assert (tmp_path / "out" / "surrogates.json").stat().st_mode & 0o077 == 0


def test_command_says_input_faults_in_one_sentence_and_exits_2(tmp_path: Path) -> None:
    path = tmp_path / "claims.csv"
    path.write_text("a,b\n1,2\n")
    result = CliRunner().invoke(prepare_data, ["--claims-csv", str(path), "--output-dir", str(tmp_path / "out")])
    assert result.exit_code == 2
    assert "sources.claims.columns" in result.output
