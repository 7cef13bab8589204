"""TrainingDatasets on real pods: real clinical notes through the real CRD, and a refresh that only appends."""

import csv
import json
import sys
from pathlib import Path
from typing import Any

import pytest

from regimen.spec.artifacts import dataset_prefix
from regimen_demo.install import NAMESPACE
from regimen_demo.production import Production

pytestmark = [pytest.mark.cluster, pytest.mark.timeout(900)]
NOTES = Path(__file__).resolve().parents[3] / "shared/data/mts-dialog"


def dataset(name: str, source: dict[str, Any], task: str, **spec: Any) -> dict[str, Any]:
    """A TrainingDataset with one task."""
    label = {"type": "Label", "labels": ["APPROVED", "DENIED"], "positive": "DENIED"}
    output = label if task == "adjudication" else {"type": "Text"}
    kind = "claims" if task == "adjudication" else "documents"
    return {
        "apiVersion": "regimen.dev/v1alpha1",
        "kind": "TrainingDataset",
        "metadata": {"name": name},
        "spec": {"sources": {kind: source}, "tasks": [{"name": task, "output": output}], **spec},
    }


def report(production: Production, name: str) -> dict[str, Any]:
    """report.json of the newest revision."""
    revision = production.watch.status("TrainingDataset", name)["revision"]
    found: dict[str, Any] = json.loads(production.store.get(dataset_prefix(NAMESPACE, name, revision) + "report.json"))
    return found


def ids(production: Production, name: str, side: str) -> list[str]:
    """Row ids of one side of the adjudication files, in order."""
    revision = production.watch.status("TrainingDataset", name)["revision"]
    lines = production.store.get(dataset_prefix(NAMESPACE, name, revision) + f"openins_adjudication_{side}.jsonl").splitlines()
    return [json.loads(line)["id"] for line in lines]


@pytest.mark.skipif(not NOTES.exists(), reason="MTS-Dialog is not there: its notes are not copied into the project (CC BY 4.0)")
def test_clinical_notes_with_mapped_columns_and_their_leaks(production: Production) -> None:
    for name in ("train.csv", "test-1.csv"):
        production.store.upload(NOTES / name, f"raw/mts/{name}", name)
    names = {"dictation": "dialogue", "final_document": "section_text", "document_type": "section_header"}
    source = {
        "csv": [{"uri": "s3://regimen/raw/mts/*.csv"}],
        "columns": [{"name": ours, "from": theirs} for ours, theirs in names.items()],
        "minQuality": 0,
    }
    production.apply(dataset("notes", source, "clinicalDocs", deidentify={"residualScan": "Warn"}))
    production.watch.until("TrainingDataset", "notes", {"Ready"}, {"Invalid", "Failed"}, 300)
    told = report(production, "notes")
    leaks = [pair for pair in told["duplicates"]["pairs"] if {pair["left"].split(":")[0], pair["right"].split(":")[0]} == {
        "raw/mts/train.csv", "raw/mts/test-1.csv"
    }]  # fmt: skip
    for pair in leaks:
        sys.stdout.write(
            f"\nnear-duplicate: {pair['left']} and {pair['right']}, similarity {pair['similarity']}, both in {pair['sides'][0]}"
        )
    assert len({pair["right" if "test-1" in pair["right"] else "left"] for pair in leaks}) >= 2, (
        "the official split leaks two dialogues at least"
    )
    assert all(len(set(pair["sides"])) == 1 for pair in told["duplicates"]["pairs"])


def test_a_refresh_appends_what_is_new_and_unchanged_input_gives_no_revision(production: Production, tmp_path: Path) -> None:
    with (production.data / "historical_claims.csv").open(newline="") as file:
        header, *rows = csv.reader(file)

    def export(count: int) -> None:
        path = tmp_path / "claims.csv"
        with path.open("w", newline="") as file:
            csv.writer(file).writerows([header, *rows[:count]])
        production.store.upload(path, "raw/growing/claims.csv", "claims.csv")

    export(800)
    source = {"csv": [{"uri": "s3://regimen/raw/growing/claims.csv"}], "minRows": 100}
    production.apply(dataset("growing", source, "adjudication", deidentify={"knownValues": ["patient_name", "member_id"]}))
    production.watch.until("TrainingDataset", "growing", {"Ready"}, {"Invalid", "Failed"}, 300)
    first = production.watch.status("TrainingDataset", "growing")
    before = {side: ids(production, "growing", side) for side in ("train", "test")}
    export(1000)
    production.watch.until("TrainingDataset", "growing", {"Preparing"}, {"Invalid", "Failed"}, 120)
    production.watch.until("TrainingDataset", "growing", {"Ready"}, {"Invalid", "Failed"}, 300)
    second = production.watch.status("TrainingDataset", "growing")
    assert second["previousRevision"] == first["revision"]
    assert second["rows"]["used"] > first["rows"]["used"]
    for side, known in before.items():
        assert ids(production, "growing", side)[: len(known)] == known, "rows of earlier revisions stay where they were"
    production.target.kubectl(
        "-n", NAMESPACE, "patch", "trainingdataset", "growing", "--type=merge", "-p", '{"spec":{"maxRejectedPercent":30}}'
    )
    production.watch.until("TrainingDataset", "growing", {"Preparing"}, {"Invalid", "Failed"}, 120)
    production.watch.until("TrainingDataset", "growing", {"Ready"}, {"Invalid", "Failed"}, 300)
    assert production.watch.status("TrainingDataset", "growing")["revision"] == second["revision"]
