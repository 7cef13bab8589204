"""Writing: each document in one transaction, committed before it is acknowledged."""

from collections import defaultdict
from collections.abc import Iterable, Iterator, Sequence
from datetime import datetime
from itertools import islice
from typing import Any, TypeVar

from sqlalchemy import Connection, Engine, Table, func, select

from regimen.spec.routing import ArmTraffic, TrafficReport
from regimen_feedback.documents import Outcome
from regimen_feedback.identity import RequestIdentity
from regimen_feedback.tables import LATENCY, OUTCOMES, REPORTS, SUBJECTS, TRAFFIC, insert_into

CHUNK = 500
NO_ROLLOUT = "-"

Row = dict[str, Any]
T = TypeVar("T")


def _chunks(items: Iterable[T], size: int = CHUNK) -> Iterator[list[T]]:
    rest = iter(items)
    while chunk := list(islice(rest, size)):
        yield chunk


def merge(outcomes: Sequence[tuple[RequestIdentity, Outcome]], now: datetime) -> dict[str, Row]:
    """One row per request: of what was said twice, the last word counts."""
    rows: dict[str, Row] = {}
    for identity, outcome in outcomes:
        row = rows.setdefault(
            identity.uuid,
            {
                "request": identity.uuid,
                "namespace": identity.namespace,
                "service": identity.service,
                "epoch": identity.epoch,
                "version": identity.version,
                "subject": identity.subject,
                "audit": identity.audit,
            },
        )
        row |= outcome.said() | {"received_at": now}
    return rows


def write_outcomes(engine: Engine, outcomes: Sequence[tuple[RequestIdentity, Outcome]], now: datetime) -> int:
    """Keep them; returns how many replaced or completed one that was there. All or none."""
    rows = merge(outcomes, now)
    with engine.begin() as connection:
        replaced = _count_known(connection, rows)
        by_columns: dict[tuple[str, ...], list[Row]] = defaultdict(list)
        for row in rows.values():
            by_columns[tuple(sorted(row))].append(row)
        for columns, alike in by_columns.items():
            statement = insert_into(connection, OUTCOMES)
            changed = {name: statement.excluded[name] for name in columns if name != "request"}
            connection.execute(statement.on_conflict_do_update(index_elements=["request"], set_=changed), alike)
    return replaced


def _count_known(connection: Connection, rows: Iterable[str]) -> int:
    return sum(connection.scalar(select(func.count()).where(OUTCOMES.c.request.in_(chunk))) or 0 for chunk in _chunks(rows))


def write_traffic(engine: Engine, report: TrafficReport) -> bool:
    """Add a router's increments. False if they were added before: the acknowledgement was lost, not the report."""
    with engine.begin() as connection:
        if not _is_new(connection, report):
            return False
        for arm in report.arms:
            _add_arm(connection, report, arm)
    return True


def _is_new(connection: Connection, report: TrafficReport) -> bool:
    """Take note of the sequence number, unless it or a later one was taken already."""
    statement = insert_into(connection, REPORTS).values(
        namespace=report.namespace, service=report.service, instance=report.instance, sequence=report.sequence
    )
    result = connection.execute(
        statement.on_conflict_do_update(
            index_elements=["namespace", "service", "instance"],
            set_={"sequence": statement.excluded.sequence},
            where=REPORTS.c.sequence < statement.excluded.sequence,
        )
    )
    return bool(result.rowcount)


def _add_arm(connection: Connection, report: TrafficReport, arm: ArmTraffic) -> None:
    scope: Row = {"namespace": report.namespace, "service": report.service, "epoch": arm.epoch, "version": arm.version}
    _add(connection, TRAFFIC, [scope | {"requests": arm.requests, "errors": arm.errors}], ("requests", "errors"))
    counts = [scope | {"bucket": bucket, "requests": count} for bucket, count in enumerate(arm.latency) if count]
    _add(connection, LATENCY, counts, ("requests",))
    if arm.epoch != NO_ROLLOUT:  # outside a rollout nobody compares subjects, and they would pile up for ever
        _add(connection, SUBJECTS, [scope | {"subject": name, "requests": count} for name, count in arm.subjects.items()], ("requests",))


def _add(connection: Connection, table: Table, rows: Sequence[Row], sums: Sequence[str]) -> None:
    """Insert rows, or add to those that are there."""
    statement = insert_into(connection, table)
    added = {name: table.c[name] + statement.excluded[name] for name in sums}
    statement = statement.on_conflict_do_update(index_elements=list(table.primary_key.columns), set_=added)
    for chunk in _chunks(rows):
        connection.execute(statement, chunk)
