"""From exports to files: which rows are used, why the others are not, and that the same input gives the same revision."""

import json
import re
import shutil
from collections import Counter
from pathlib import Path

import pytest
from click.testing import CliRunner
from trainer_exports import Dataset, claims, claims_source, documents, ids_of, lines_of, spec_of, write_rows

from regimen.spec.dataset import TrainingDatasetSpec
from regimen_trainer.commands.data import prepare_data
from regimen_trainer.errors import InputError
from regimen_trainer.generator.write import write_all


@pytest.fixture
def dataset(tmp_path: Path) -> Dataset:
    return Dataset(tmp_path)


def test_unusable_rows_are_counted_by_reason_and_listed_without_values(dataset: Dataset) -> None:
    changes = {
        "invalid claim_amount": [{"claim_amount": bad} for bad in ("n/a", "-1", "nan", "inf", "1e300", "1,5", "")],
        "invalid service_date": [{"service_date": bad} for bad in ("unknown", "14.03.2024", "2024-02-30", "2024-13-01", "2024-03-14x")],
        "invalid medical_analysis": [{"medical_analysis": bad} for bad in ("", "  ", "\u00a0\t\n")],
        "invalid final_decision": [{"final_decision": bad} for bad in ("MAYBE", "")],
        "invalid claim_id": [{"claim_id": " "}],
        "repeated claim_id": [{"claim_id": "C19"}, {"claim_id": " C19 "}],
    }
    rows = claims(100)
    broken = [change for many in changes.values() for change in many]
    rows[20 : 20 + len(broken)] = [row | change for row, change in zip(rows[20:], broken, strict=False)]
    out = dataset.prepare({"claims": rows})
    assert dataset.outcome.rejected == {reason: len(many) for reason, many in changes.items()}
    assert (dataset.outcome.read, dataset.outcome.used) == (100, 100 - len(broken))
    rejects = (out / "rejects.csv").read_text().splitlines()
    assert rejects[0] == "source,file,row,reason"
    assert rejects[1] == "claims,claims.csv,row 21,invalid claim_amount"
    assert len(rejects) == 1 + len(broken)


def test_sound_forms_of_values_are_taken(dataset: Dataset) -> None:
    rows = claims(20)
    rows[0] |= {"claim_amount": " 1e3 ", "service_date": "2024-03-14T10:00:00", "final_decision": " approved "}
    rows[1] |= {"claim_amount": "0", "service_date": "2024-03-14 00:00:00"}
    out = dataset.prepare({"claims": rows})
    assert not dataset.outcome.rejected
    assert "year 2024, amount $1000, cost tier 4" in json.dumps(lines_of(out, "bimedix*"))


def test_exact_duplicates_are_dropped(dataset: Dataset) -> None:
    rows = claims(20)
    dataset.prepare({"claims": [*rows, rows[3], rows[3]]})
    assert dataset.outcome.rejected == {"duplicate": 2}


def test_documents_without_a_quality_where_none_is_asked_for(dataset: Dataset) -> None:
    rows = [{name: cell for name, cell in row.items() if name != "quality_score"} for row in documents(40)]
    document = spec_of(("documents",)).model_dump(by_alias=True, exclude_none=True)
    document["sources"]["documents"]["minQuality"] = 0

    def held_out(folder: Path) -> set[str]:
        return {json.dumps(line["prompt"]) for line in lines_of(folder, "*_test.jsonl")}

    first = held_out(dataset.prepare({"documents": rows}, TrainingDatasetSpec.model_validate(document)))
    assert (dataset.outcome.read, dataset.outcome.used) == (40, 40)
    rated = dataset.prepare({"documents": [row | {"quality_score": "0.8"} for row in rows]}, spec_of(("documents",)))
    assert held_out(rated) == first, "a quality that is asked for later moves no row across"


def test_pending_is_no_decision_but_still_has_an_analysis(dataset: Dataset) -> None:
    out = dataset.prepare({"claims": claims(20, final_decision="pending")})
    figures = {task.name: task.train + task.test for task in dataset.outcome.tasks}
    assert figures == {"medicalAnalysis": 20, "adjudication": 19}
    assert not dataset.outcome.rejected
    assert "PENDING" not in "".join(path.read_text() for path in out.glob("openins*.jsonl"))


def test_pending_is_left_out_where_decisions_are_all_that_is_wanted(dataset: Dataset) -> None:
    tasks = [{"name": "adjudication", "output": {"type": "Label", "labels": ["APPROVED", "DENIED"], "positive": "DENIED"}}]
    dataset.prepare({"claims": claims(20, final_decision="PENDING")}, spec_of(tasks=tasks, maxRejectedPercent=0))
    assert dataset.outcome.rejected == {"pending": 1}


def test_files_hold_conversations_without_identifiers(dataset: Dataset) -> None:
    out = dataset.prepare({"claims": claims(20, medical_analysis="Maria Gonzalez (MBR123456), claim N-0, seen 2024-03-14.")})
    lines = lines_of(out)
    assert {tuple(line) for line in lines} == {("id", "prompt", "completion"), ("id", "group", "prompt", "completion")}
    text = json.dumps(lines)
    assert not [word for word in ("Gonzalez", "MBR123456", "N-0", "2024-03-14", "deny") if word in text]
    assert sorted(path.name for path in out.glob("*.jsonl")) == [
        "bimedix_medical_analysis_test.jsonl",
        "bimedix_medical_analysis_train.jsonl",
        "openins_adjudication_test.jsonl",
        "openins_adjudication_train.jsonl",
    ]


def test_held_out_rows_say_which_belong_together(dataset: Dataset) -> None:
    rows = [row | {"policy_id": f"P{index // 3}"} for index, row in enumerate(claims(90))]
    lines = lines_of(dataset.prepare({"claims": rows}), "bimedix*_test.jsonl")
    groups = Counter(line["group"] for line in lines)
    assert set(groups.values()) == {3}
    assert set(groups) == set(range(1, len(lines) // 3 + 1)), "numbers that mean nothing elsewhere"


def surrogates_of(folder: Path, column: str) -> list[list[str]]:
    """Those of a column in each row's analysis."""
    return [re.findall(rf"\[{column} ([a-f][0-9a-f]{{7}})\]", line["completion"][0]["content"]) for line in lines_of(folder, "bimedix*")]


def test_known_values_of_a_person_have_one_surrogate_everywhere(dataset: Dataset) -> None:
    rows = [
        row | {"medical_analysis": f"{row['medical_analysis']} Maria Gonzalez of {row['policy_id']} came. Gonzalez is well."}
        for row in claims(20)
    ]
    out = dataset.prepare({"claims": rows})
    (name, again), *others = surrogates_of(out, "patient_name")
    assert again == name
    assert others == [[name, name]] * 19
    assert len({policy for (policy,) in surrogates_of(out, "policy_id")}) == len({row["policy_id"] for row in rows})
    assert "\ufffd" not in "".join(path.read_text() for path in out.glob("*.jsonl"))
    grown = dataset.prepare({"claims": [*rows, *[row | {"claim_id": f"D{index}"} for index, row in enumerate(rows)]]})
    assert surrogates_of(grown, "patient_name") == [[name, name]] * 40


@pytest.mark.parametrize("codes", ["72148", "95250, 99213", "A9276;E0601", "99213-25", "0001U", "72148 | 72149"])
def test_codes_stay_in_their_columns(dataset: Dataset, codes: str) -> None:
    out = dataset.prepare({"claims": claims(20, procedure_codes=codes, diagnosis_codes="M54.50")})
    asked = next(text for line in lines_of(out, "openins*") if codes in (text := line["prompt"][1]["content"]))
    assert "M54.50" in asked


@pytest.mark.parametrize("codes", ["72148 Maria Gonzalez", "123-45-6789", "(555) 010-4477", "90210-1234"])
def test_what_is_no_code_goes_from_their_columns_too(dataset: Dataset, codes: str) -> None:
    out = dataset.prepare({"claims": claims(20, procedure_codes=codes)})
    text = json.dumps(lines_of(out))
    assert not [part for part in ("Gonzalez", "123-45-6789", "010-4477", "90210") if part in text]


def test_what_looks_like_our_own_marks_is_text(dataset: Dataset) -> None:
    rows = claims(20, medical_analysis="Said [known 00000003] \ue003 twice, as Maria Gonzalez has it.")
    out = dataset.prepare({"claims": rows})
    text = next(line["completion"][0]["content"] for line in lines_of(out, "bimedix*") if "Said" in json.dumps(line))
    assert re.fullmatch(r"Said known   twice, as \[patient_name [a-f][0-9a-f]{7}\] has it\.", text), text


def test_a_known_value_may_be_a_date_that_prompts_need(dataset: Dataset) -> None:
    rows = claims(20, medical_analysis="Seen on 2024-03-14 for the knee.")
    spec = spec_of(deidentify={"knownValues": ["service_date", "claim_amount"]})
    text = json.dumps(lines_of(dataset.prepare({"claims": rows}, spec)))
    assert "2024-03-14" not in text
    assert "year 2024, amount $120" in text


def test_columns_may_have_any_name(dataset: Dataset) -> None:
    names = ["id", "side", "seq", "print", "label", "file", "row", "golden", 'quo"te', "Two Words", "größe", "grp", "ID"]
    prompt = {"user": " ".join("{{ " + name + " }}" for name in names if name.isidentifier())}
    task = {"name": "own", "source": "claims", "completion": "label", "output": {"type": "Text"}, "prompt": prompt}
    prompt["user"] = prompt["user"].replace("{{ label }}", "")
    rows = [row | {name: f"cell {name.lower()} {index}" for name in names} for index, row in enumerate(claims(20))]
    known = {"knownValues": ['quo"te', "Two Words"]}
    split = {"groupBy": ["file", "Two Words"], "stratifyBy": "row"}
    rows[0]["label"] = 'The quotes: cell quo"te 0, cell two words 0.'
    rows = [{name: value for name, value in row.items() if name != "ID"} for row in rows]
    prompt["user"] = prompt["user"].replace("{{ ID }}", "")
    spec = spec_of(tasks=[task], deidentify=known, sources=claims_source(split=split))
    out = dataset.prepare({"claims": rows}, spec)
    first = next(line for line in lines_of(out, "own*") if "quotes" in json.dumps(line))
    assert "cell two words" not in json.dumps(first)
    assert "cell id 0 cell side 0" in first["prompt"][1]["content"]


def test_names_that_differ_in_case_alone_are_two_columns(dataset: Dataset) -> None:
    rows = [{**row, "Claim_ID": "same", "CLAIM_AMOUNT": "x", "": ""} for row in claims(20)]
    dataset.prepare({"claims": rows})
    assert dataset.outcome.used == 20


def test_a_numeric_column_can_be_what_is_learned(dataset: Dataset) -> None:
    task = {
        "name": "price",
        "source": "claims",
        "completion": "claim_amount",
        "output": {"type": "Text"},
        "prompt": {"user": "{{ diagnosis_codes }}?"},
    }
    out = dataset.prepare({"claims": claims(20)}, spec_of(tasks=[task]))
    assert {line["completion"][0]["content"] for line in lines_of(out)} == {"120.0"}


def test_same_rows_and_memory_give_the_same_revision_and_no_new_generation(dataset: Dataset) -> None:
    first = dataset.prepare({"claims": claims(30)})
    digest = dataset.report["digest"]
    kept = sorted(path.name for path in dataset.memory.rglob("*"))
    second = dataset.prepare({"claims": claims(30)})
    assert dataset.report["digest"] == digest
    assert sorted(path.name for path in dataset.memory.rglob("*")) == kept
    assert all((second / path.name).read_bytes() == path.read_bytes() for path in first.glob("*.jsonl"))
    assert "<script" not in (second / "report.html").read_text()


def test_one_percent_of_new_rows_leave_the_old_lines_as_they_are_and_where_they_are(dataset: Dataset) -> None:
    first = dataset.prepare({"claims": claims(200)})
    second = dataset.prepare({"claims": claims(202)})
    for path in first.glob("*.jsonl"):
        old, new = path.read_text(), (second / path.name).read_text()
        assert new.startswith(old)
    assert len(lines_of(second, "bimedix*")) == 202
    assert dataset.report["previousDigest"].startswith("sha256:")


def test_rows_that_leave_the_export_leave_the_files_and_come_back_unchanged(dataset: Dataset) -> None:
    first = dataset.prepare({"claims": claims(60)})
    less = dataset.prepare({"claims": claims(50)})
    assert ids_of(less, "bimedix*") < ids_of(first, "bimedix*")
    again = dataset.prepare({"claims": claims(60)})
    assert all((again / path.name).read_bytes() == path.read_bytes() for path in first.glob("*.jsonl"))


def test_golden_rows_are_always_held_out_and_their_copies_dropped(dataset: Dataset) -> None:
    rows, golden = claims(60), claims(10, first=20)
    out = dataset.prepare({"claims": rows}, golden={"claims": golden})
    assert dataset.outcome.rejected == {"duplicate": 10}
    assert dataset.outcome.sources["claims"].golden == 10
    held = {line["completion"][0]["content"] for line in lines_of(out, "bimedix*_test.jsonl")}
    assert {row["medical_analysis"] for row in golden} <= held
    assert len(held) == 10 + 10, "a fifth of the other fifty is held out beside them"


def test_golden_rows_that_were_trained_on_are_told(dataset: Dataset) -> None:
    first = dataset.prepare({"claims": claims(40)})
    trained = {line["completion"][0]["content"] for line in lines_of(first, "bimedix*_train.jsonl")}
    golden = [row for row in claims(40) if row["medical_analysis"] in trained][:3]
    dataset.prepare({"claims": claims(40)}, golden={"claims": golden})
    assert "sources.claims.golden: 3 rows were trained on in an earlier revision and are not held out" in dataset.outcome.warnings


def test_sides_outlast_a_change_of_the_rules(dataset: Dataset) -> None:
    rows = {"claims": claims(60), "documents": [row | {"clinician": f"Dr. Ngo{index}"} for index, row in enumerate(documents(60))]}
    held = []
    for known in ([], ["patient_name", "clinician"]):
        out = dataset.prepare(rows, spec_of(("claims", "documents"), deidentify={"knownValues": known}))
        held.append({line["completion"][0]["content"] for line in lines_of(out, "*_test.jsonl")})
    assert held[0] == held[1]


def test_without_a_split_all_rows_train(dataset: Dataset) -> None:
    out = dataset.prepare({"claims": claims(30)}, split=False)
    assert sorted(path.name for path in out.glob("*.jsonl")) == ["bimedix_medical_analysis_train.jsonl", "openins_adjudication_train.jsonl"]
    assert len(lines_of(out, "bimedix*")) == 30


@pytest.mark.parametrize("mode", ["Fail", "Warn"])
def test_residual_identifiers_fail_closed(dataset: Dataset, mode: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("regimen_trainer.data.texts.residual", lambda text: {"NUMBER": 1} if "stays" in text else {})
    spec = spec_of(deidentify={"knownValues": [], "residualScan": mode})
    rows = {"claims": claims(20, medical_analysis="Something stays in the text.")}
    if mode == "Fail":
        with pytest.raises(InputError, match=r"deidentify\.residualScan: identifiers may remain \(1 NUMBER\)"):
            dataset.prepare(rows, spec)
    else:
        for _ in range(2):
            dataset.prepare(rows, spec)
            assert "deidentify.residualScan: identifiers may remain (1 NUMBER)" in dataset.outcome.warnings


def test_the_number_of_workers_never_shows(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    # Batches are cut by this process, so that a small size reaches the workers. Without de-identification they need no lexicon.
    monkeypatch.setattr("regimen_trainer.data.cleaning.BATCH", 40)
    spec = spec_of(deidentify={"method": "None", "attestation": "Synthetic.", "knownValues": ["patient_name"]})
    first = Dataset(tmp_path / "first")
    first.prepare({"claims": claims(250)}, spec)
    forget_recipe(first.memory)
    made = []
    for workers in (1, 2, 3):
        dataset = Dataset(tmp_path / str(workers))
        shutil.copytree(first.memory, dataset.memory)
        out = dataset.prepare({"claims": claims(250)}, spec, workers=workers)
        assert len(lines_of(out, "bimedix*")) == dataset.outcome.used == 250, "no batch is lost"
        made.append({path.name: path.read_bytes() for path in out.iterdir()})
    assert made[0] == made[1] == made[2]


def forget_recipe(memory: Path) -> None:
    """Have the next revision work on all rows again, with the surrogates and sides that there are."""
    document = next(memory.glob("generation-*.json"))
    document.write_text(json.dumps(json.loads(document.read_text()) | {"recipe": "another"}))


@pytest.mark.parametrize("dash", ["_", "-"])
def test_command_prepares_generated_exports(tmp_path: Path, dash: str) -> None:
    claims_csv, documents_csv = write_all(tmp_path / "raw", 120, 60, seed=3)
    options = {"claims_csv": claims_csv, "documents_csv": documents_csv, "output_dir": tmp_path / "out", "workers": 1}
    words = [word for name, value in options.items() for word in (f"--{name.replace('_', dash)}", str(value))]
    result = CliRunner().invoke(prepare_data, [*words, "--split"])
    assert result.exit_code == 0, result.output
    assert len(list((tmp_path / "out").glob("*.jsonl"))) == 6
    restricted = tmp_path / "out" / "restricted"
    assert restricted.stat().st_mode & 0o077 == 0
    assert (restricted / "generation-000001.json").stat().st_mode & 0o077 == 0
    again = CliRunner().invoke(prepare_data, words)
    assert again.exit_code == 0, again.output
    assert len(list((tmp_path / "out").glob("*.jsonl"))) == 3, "held-out files of the run before would be trained on"


def test_command_says_input_faults_in_one_sentence_and_exits_2(tmp_path: Path) -> None:
    path = write_rows(tmp_path / "claims.csv", [{"a": "1", "b": "2"}])
    result = CliRunner().invoke(prepare_data, ["--claims-csv", str(path), "--output-dir", str(tmp_path / "out")])
    assert result.exit_code == 2
    assert "sources.claims.columns" in result.output
    assert not (tmp_path / "out").exists()
