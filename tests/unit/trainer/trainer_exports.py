"""Exports and preparations of them, as small as the rules allow."""

import csv
import json
from collections.abc import Mapping, Sequence
from hashlib import sha256
from pathlib import Path
from typing import Any

from regimen.spec.dataset import SourceName, TrainingDatasetSpec
from regimen_trainer.data.intake import Export, plain
from regimen_trainer.data.local import default_spec
from regimen_trainer.data.memory import Memory
from regimen_trainer.data.outcome import Outcome
from regimen_trainer.data.prepare import Means, prepare
from regimen_trainer.data.publish import write_reports

Row = dict[str, str]
CLAIM = {
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
WORDS = [
    "knee", "back", "spine", "lumbar", "therapy", "surgery", "imaging", "review", "chronic", "acute", "swelling", "mild",
    "severe", "stable", "plan", "exercise", "brace", "injection", "relief", "failed", "improved", "records", "show", "request",
    "covered", "denied", "criteria", "conservative", "treatment", "weeks", "pain", "joint", "range", "motion", "daily", "function",
]  # fmt: skip


def prose(number: int, words: int = 12) -> str:
    """A text of that many words, unlike that of any other number."""
    state = int.from_bytes(sha256(str(number).encode()).digest(), "big")
    picked = [WORDS[(state >> (6 * place)) % len(WORDS)] for place in range(words - 1)]
    return " ".join([*picked, "".join(chr(97 + int(digit)) for digit in f"{number:05d}")])


def claims(count: int, first: int = 0, **changes: str) -> list[Row]:
    """Sound claims of as many policies, half of them denied; the first one changed."""
    rows = [
        CLAIM
        | {
            "claim_id": f"C{index}",
            "policy_id": f"P{index}",
            "claim_number": f"N-{index}",
            "final_decision": ("APPROVED", "DENIED")[index % 2],
            "medical_analysis": prose(index),
        }
        for index in range(first, first + count)
    ]
    rows[0] |= changes
    return rows


def documents(count: int, first: int = 0) -> list[Row]:
    """Sound documents of two types."""
    return [
        {
            "dictation": f"{prose(index + 50_000)}",
            "document_type": ("SOAP note", "Letter")[index % 2],
            "final_document": f"Note: {prose(index + 50_000)}",
            "quality_score": "0.9",
        }
        for index in range(first, first + count)
    ]


def write_rows(path: Path, rows: Sequence[Row]) -> Path:
    """A CSV file with a header."""
    path.parent.mkdir(parents=True, exist_ok=True)
    with path.open("w", newline="", encoding="utf-8") as file:
        writer = csv.DictWriter(file, list(rows[0]))
        writer.writeheader()
        writer.writerows(rows)
    return path


def spec_of(sources: Sequence[SourceName] = ("claims",), **changes: Any) -> TrainingDatasetSpec:
    """The seed's tasks with a fifth held out; `changes` replace parts of the spec as a manifest has them."""
    known = ["patient_name", "member_id"] if "claims" in sources else []
    document = default_spec(sources, {"testFraction": 0.2, "seed": 1}, known).model_dump(by_alias=True, exclude_none=True)
    return TrainingDatasetSpec.model_validate(document | changes)


def claims_source(**changes: Any) -> dict[str, Any]:
    """Part of a spec: a source of claims."""
    return {"claims": {"csv": [{"uri": "s3://a/b"}], **changes}}


class Dataset:
    """A dataset in a folder: its memory, and the revisions that were made of it."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.revisions = 0
        self.memory = folder / "memory"
        self.outcome: Outcome
        self.report: dict[str, Any] = {}

    def prepare(
        self,
        rows: Mapping[SourceName, Sequence[Row]],
        spec: TrainingDatasetSpec | None = None,
        golden: Mapping[SourceName, Sequence[Row]] | None = None,
        split: bool = True,
        workers: int = 1,
    ) -> Path:
        """Make the next revision; returns its folder. The digest is in `report`."""
        self.revisions += 1
        work = self.folder / f"revision-{self.revisions}"
        (work / "plain").mkdir(parents=True)
        exports = {name: [self._export(work, f"{name}.csv", those)] for name, those in rows.items()}
        for name, those in (golden or {}).items():
            exports[name].append(self._export(work, f"golden-{name}.csv", those, golden=True))
        memory = Memory.load(self.memory, work / "staging")
        out = work / "out"
        spec = spec or spec_of(tuple(rows))
        self.outcome = prepare(spec, exports, memory, out, Means(work / "work", workers), split)
        write_reports(spec, out, self.outcome, memory, "Data", None)
        memory.keep()
        self.report = json.loads((out / "report.json").read_text())
        return out

    def _export(self, work: Path, name: str, rows: Sequence[Row], golden: bool = False) -> Export:
        path, encoding = plain(write_rows(work / name, rows), name, "sources", work / "plain")
        return Export(name, path, encoding, golden)


def lines_of(folder: Path, pattern: str = "*.jsonl") -> list[dict[str, Any]]:
    """All examples in the files of a revision that match."""
    return [json.loads(line) for path in sorted(folder.glob(pattern)) for line in path.read_text().splitlines()]


def ids_of(folder: Path, pattern: str) -> set[str]:
    return {line["id"] for line in lines_of(folder, pattern)}


def listing(folder: Path) -> dict[str, str]:
    """Every path below a folder with the digest of its content."""
    return {
        str(path.relative_to(folder)): sha256(path.read_bytes()).hexdigest() if path.is_file() else "" for path in sorted(folder.rglob("*"))
    }
