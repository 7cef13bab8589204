"""Reads exports row by row and says of each row whether it can be used, and if not, why.

Reasons name columns, never values: they go into reports and status.
"""

import csv
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import date
from difflib import get_close_matches
from hashlib import sha256
from math import isfinite
from pathlib import Path
from typing import Annotated

from pydantic import AfterValidator, BaseModel, BeforeValidator, ConfigDict, Field, ValidationError

from regimen_trainer.errors import InputError

Record = dict[str, str]
CLAIM_COLUMNS = (
    "claim_id",
    "policy_id",
    "claim_number",
    "diagnosis_codes",
    "procedure_codes",
    "claim_amount",
    "service_date",
    "medical_analysis",
    "final_decision",
)
"""Columns a claims export must have. `adjudication_decision` may be there and is never used: it gives the answer away."""
DOCUMENT_COLUMNS = ("dictation", "document_type", "final_document", "quality_score")
PENDING = "PENDING"


def _finite(value: float) -> float:
    if not isfinite(value):
        raise ValueError("not finite")
    return value


Text = Annotated[str, BeforeValidator(lambda value: value.strip() if isinstance(value, str) else value), Field(min_length=1)]
Amount = Annotated[float, Field(ge=0), AfterValidator(_finite)]
Decision = Annotated[Text, AfterValidator(str.upper)]


class Row(BaseModel):
    """A row of an export after validation; columns that Regimen does not know are left aside."""

    model_config = ConfigDict(extra="ignore", frozen=True)


class ClaimRow(Row):
    """A historical claim with its experts' decision. Amount in the export's currency."""

    claim_id: Text
    policy_id: Text
    claim_number: Text
    diagnosis_codes: Text
    procedure_codes: Text
    claim_amount: Amount
    service_date: date
    medical_analysis: Text
    final_decision: Decision


class DocumentRow(Row):
    """A dictation with the document that a clinician made of it, and its quality from 0 to 1."""

    dictation: Text
    document_type: Text
    final_document: Text
    quality_score: Annotated[float, Field(ge=0, le=1)]


@dataclass(frozen=True)
class Numbered:
    """A record with the number of its row, counted from 1 after the header, over all files of a source."""

    number: int
    record: Record


def read_records(paths: Sequence[Path], required: Sequence[str], mapping: Mapping[str, str], field: str) -> Iterator[Numbered]:
    """Stream the rows of CSV files under Regimen's column names.

    `mapping` gives the export's name of a column where it differs. Raises InputError for a file without one of `required`.
    """
    number = 0
    for path in paths:
        with path.open(newline="", encoding="utf-8-sig", errors="strict") as file:
            reader = csv.DictReader(file, restkey="", restval="")
            _require(reader.fieldnames or [], required, mapping, field)
            for raw in _decoded(reader, field):
                number += 1
                yield Numbered(number, _renamed(raw, mapping))


def _decoded(reader: "csv.DictReader[str]", field: str) -> Iterator[dict[str, str]]:
    """Rows of a reader, with what the csv module and the codec complain about turned into our error."""
    try:
        yield from reader
    except (csv.Error, UnicodeDecodeError) as error:
        raise InputError(f"{field}.csv: row {reader.line_num} is not readable as UTF-8 CSV; export it again as UTF-8") from error


def _renamed(raw: Mapping[str, str], mapping: Mapping[str, str]) -> Record:
    record = {name: value for name, value in raw.items() if isinstance(value, str)}
    return record | {name: record[source] for name, source in mapping.items() if source in record}


def _require(present: Sequence[str], required: Sequence[str], mapping: Mapping[str, str], field: str) -> None:
    """Raise InputError for the first column that is missing, with what is there and what comes nearest."""
    for name in required:
        wanted = mapping.get(name, name)
        if wanted not in present:
            # A column that is needed under its own name is not the one that is missing.
            free = [column.lower() for column in present if column not in required]
            near = get_close_matches(wanted.lower(), free, n=1, cutoff=0.3)
            nearest = next((column for column in present if near and column.lower() == near[0]), None)
            hint = (
                f"nearest is {nearest}; map it with {{name: {name}, from: {nearest}}}"
                if nearest
                else f"map it with {{name: {name}, from: …}}"
            )
            raise InputError(f"{field}.columns: column {wanted} is missing; the export has {', '.join(present) or 'no header'}; {hint}")


def validate(record: Record, model: type[Row]) -> Row | str:
    """The row, or the reason it is rejected for: `invalid <column>`."""
    try:
        return model.model_validate(record)
    except ValidationError as error:
        return f"invalid {error.errors(include_input=False)[0]['loc'][0]}"


def fingerprint(row: Row) -> str:
    """Digest of a row's known columns: equal for exact duplicates."""
    return sha256(row.model_dump_json().encode()).hexdigest()
