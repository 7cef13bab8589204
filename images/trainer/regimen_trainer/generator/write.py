"""Writes generated rows to CSV files with the seed's column names."""

import csv
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path
from random import Random

from regimen_trainer.generator.claims import CLAIM_COLUMNS, Row, claim_rows
from regimen_trainer.generator.documents import DOCUMENT_COLUMNS, document_rows

SHUFFLE_BLOCK = 1_000


def write_all(
    folder: Path, claims: int, documents: int, seed: int, shuffle_labels: bool = False, detailed: bool = False
) -> tuple[Path, Path]:
    """Write historical_claims.csv and clinical_documents.csv; returns their paths. Memory does not grow with the rows."""
    folder.mkdir(parents=True, exist_ok=True)
    rows = claim_rows(claims, seed, detailed)
    if shuffle_labels:
        rows = shuffled_labels(rows, seed)
    claims_csv, documents_csv = folder / "historical_claims.csv", folder / "clinical_documents.csv"
    write_csv(claims_csv, CLAIM_COLUMNS, rows)
    write_csv(documents_csv, DOCUMENT_COLUMNS, document_rows(documents, seed))
    return claims_csv, documents_csv


def write_csv(path: Path, columns: Sequence[str], rows: Iterable[Row]) -> None:
    """Write rows under a header."""
    with path.open("w", newline="", encoding="utf-8") as file:
        writer = csv.DictWriter(file, columns)
        writer.writeheader()
        writer.writerows(rows)


def shuffled_labels(rows: Iterator[Row], seed: int) -> Iterator[Row]:
    """Permute final_decision within blocks of 1,000 rows: the label mix stays, its meaning is gone. For a candidate that must fail."""
    rng = Random(f"shuffle {seed}")
    block: list[Row] = []
    for row in rows:
        block.append(row)
        if len(block) == SHUFFLE_BLOCK:
            yield from _permuted(block, rng)
            block = []
    yield from _permuted(block, rng)


def _permuted(block: list[Row], rng: Random) -> Iterator[Row]:
    decisions = [row["final_decision"] for row in block]
    rng.shuffle(decisions)
    for row, decision in zip(block, decisions, strict=True):
        yield {**row, "final_decision": decision}
