"""Reading for the next training: one line for each record that was answered about, with the label that counts."""

from collections.abc import Iterator
from itertools import groupby
from typing import Any

from sqlalchemy import Engine, Row, and_, select

from regimen.spec.routing import RecordLabel
from regimen_feedback.tables import OUTCOMES, REFERENCES, reading

SAID = ("version", "audit", "predicted", "expert", "accepted", "edit_rate", "satisfaction", "received_at")
PAGE = 1_000


def records(engine: Engine, namespace: str, service: str) -> Iterator[RecordLabel]:
    """By reference, read as they are asked for. Of several outcomes of a record the audited one counts, and the newest among equals."""
    same = and_(*(OUTCOMES.c[name] == REFERENCES.c[name] for name in ("namespace", "service", "reference")))
    query = (
        select(REFERENCES.c.reference, REFERENCES.c.influenced, *(OUTCOMES.c[name] for name in SAID))
        .select_from(REFERENCES.outerjoin(OUTCOMES, same))
        .where(REFERENCES.c.namespace == namespace, REFERENCES.c.service == service)
        .order_by(REFERENCES.c.reference)
        .execution_options(yield_per=PAGE)
    )
    with reading(engine).begin() as connection:
        for _, rows in groupby(connection.execute(query), lambda row: row.reference):
            counts = max(rows, key=_weight)
            yield RecordLabel.model_validate(dict(counts._mapping))


def _weight(row: Row[Any]) -> tuple[bool, bool, str]:
    """A label counts more than none, an audited one more than another, then the newest."""
    labelled = row.expert is not None
    return labelled, labelled and bool(row.audit), row.received_at.isoformat() if row.received_at else ""
