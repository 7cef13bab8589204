"""The experts' labels beside the rows of the next export, joined by the record's reference.

Runs where the export is: the rows stay there, and the feedback service never sees a reference, only keyed hashes.
"""

import csv
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from typing import TextIO

import httpx
from pydantic import ValidationError

from regimen.spec.routing import RecordLabel
from regimen_feedback.identity import reference_hash

COLUMNS = ("regimen_version", "regimen_predicted", "regimen_expert", "regimen_audited", "regimen_influenced")
"""Added to each row; empty where the model was never asked about the record."""


class JoinError(Exception):
    """Labels and rows cannot be brought together."""


@dataclass
class Joined:
    """What was found."""

    rows: int = 0
    asked: int = 0
    """Rows that the model was asked about."""
    influenced: int = 0
    left_out: int = 0


def fetch(url: str, namespace: str, service: str, key: str, transport: httpx.BaseTransport | None = None) -> dict[str, RecordLabel]:
    """All records that a service was asked about, by keyed hash. Raises JoinError."""
    address = f"{url.rstrip('/')}/v1/export/{namespace}/{service}"
    try:
        with (
            httpx.Client(timeout=60, transport=transport) as client,
            client.stream("GET", address, headers={"Authorization": f"Bearer {key}"}) as answer,
        ):
            if answer.status_code == httpx.codes.UNAUTHORIZED:
                raise JoinError(f"the key is not that of {namespace}/{service}; it is signing-key in Secret {service}-router")
            answer.raise_for_status()
            found = (RecordLabel.model_validate_json(line) for line in answer.iter_lines())
            return {record.reference: record for record in found}
    except (httpx.HTTPError, ValidationError) as error:
        raise JoinError(f"{address}: {type(error).__name__}") from error


def _cells(record: RecordLabel | None) -> dict[str, str]:
    if record is None:
        return dict.fromkeys(COLUMNS, "") | {"regimen_influenced": "false"}
    values = (record.version, record.predicted, record.expert, record.audit, record.influenced)
    return {name: str(value).lower() if isinstance(value, bool) else value or "" for name, value in zip(COLUMNS, values, strict=True)}


def join(source: TextIO, target: TextIO, column: str, key: bytes, records: dict[str, RecordLabel], trainable_only: bool = False) -> Joined:
    """Copy a CSV row by row with COLUMNS added; `trainable_only` leaves out rows whose label the model may have influenced."""
    reader = csv.DictReader(source)
    names = list(reader.fieldnames or [])
    if column not in names:
        raise JoinError(f"the file has no column {column!r}; it has {', '.join(names) or 'none'}")
    if taken := sorted(set(names) & set(COLUMNS)):
        raise JoinError(f"the file already has {', '.join(taken)}; join the export itself")
    writer = csv.DictWriter(target, [*names, *COLUMNS], lineterminator="\n")
    writer.writeheader()
    done = Joined()
    writer.writerows(_joined(_whole(reader), column, key, records, trainable_only, done))
    return done


def _whole(reader: "csv.DictReader[str]") -> Iterator[dict[str, str]]:
    for row in reader:
        if None in row or None in row.values():
            raise JoinError(f"line {reader.line_num} has another number of cells than the header")
        yield row


def _joined(
    rows: Iterable[dict[str, str]], column: str, key: bytes, records: dict[str, RecordLabel], trainable_only: bool, done: Joined
) -> Iterator[dict[str, str]]:
    for row in rows:
        record = records.get(reference_hash(key, row[column].strip()))
        done.rows += 1
        done.asked += record is not None
        done.influenced += record is not None and record.influenced
        if trainable_only and record is not None and not record.trainable:
            done.left_out += 1
            continue
        yield row | _cells(record)
