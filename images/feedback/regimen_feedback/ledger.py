"""Writing: each document in one transaction, committed before it is acknowledged. One writer at a time, on either database."""

from collections import defaultdict
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import datetime
from itertools import islice
from typing import Any, TypeVar

from sqlalchemy import Connection, Engine, Table, delete, or_, select, text, tuple_, update

from regimen.spec.routing import ArmTraffic, TrafficReport
from regimen_feedback.identity import NO_REFERENCE, RequestIdentity
from regimen_feedback.tables import FIRST_TOKEN, LABELS, LATENCY, OUTCOMES, REFERENCES, REPORTS, SUBJECTS, TRAFFIC, insert_into

CHUNK = 500
MAX_LABELS = 32
"""Different labels of one service. Whoever sends more sends texts."""
NO_ROLLOUT = "-"

Row = dict[str, Any]
T = TypeVar("T")


def _chunks(items: Iterable[T], size: int = CHUNK) -> Iterator[list[T]]:
    rest = iter(items)
    while chunk := list(islice(rest, size)):
        yield chunk


class TooManyLabelsError(Exception):
    """A service sends more different labels than a task can have."""


@dataclass(frozen=True)
class Written:
    """What became of a batch."""

    replaced: int
    """Outcomes that replaced or completed one that was there."""
    contradicted: int
    """Expert labels that were another one before."""


@contextmanager
def _writing(engine: Engine) -> Iterator[Connection]:
    """A transaction that no other writer disturbs: SQLite has one writer anyway (tables.py), PostgreSQL gets a lock."""
    with engine.begin() as connection:
        if connection.dialect.name == "postgresql":
            connection.execute(text("SELECT pg_advisory_xact_lock(hashtext('regimen.feedback'))"))
        yield connection


def merge(outcomes: Sequence[tuple[RequestIdentity, Row]], now: datetime) -> dict[str, Row]:
    """One row per request: of what was said twice, the last word counts."""
    rows: dict[str, Row] = {}
    for identity, said in outcomes:
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
                "reference": identity.reference,
            },
        )
        row |= said | {"received_at": now}
    return rows


def write_outcomes(engine: Engine, outcomes: Sequence[tuple[RequestIdentity, Row]], now: datetime) -> Written:
    """Keep what was said, by column, of each request. All or none. Raises TooManyLabelsError."""
    rows = merge(outcomes, now)
    with _writing(engine) as connection:
        _learn_labels(connection, rows.values())
        known = _experts(connection, rows)
        by_columns: dict[tuple[str, ...], list[Row]] = defaultdict(list)
        for row in rows.values():
            by_columns[tuple(sorted(row))].append(row)
        for columns, alike in by_columns.items():
            statement = insert_into(connection, OUTCOMES)
            changed = {name: statement.excluded[name] for name in columns if name != "request"}
            connection.execute(statement.on_conflict_do_update(index_elements=["request"], set_=changed), alike)
        _refer(connection, ((row["namespace"], row["service"], row["reference"], not row["audit"]) for row in rows.values()), now)
    changed_labels = (known.get(request) not in {None, row["expert"]} for request, row in rows.items() if row.get("expert") is not None)
    return Written(len(known), sum(changed_labels))


def _experts(connection: Connection, requests: Iterable[str]) -> dict[str, str | None]:
    """The expert's label of each request of which something was said before."""
    found: dict[str, str | None] = {}
    for chunk in _chunks(requests):
        found |= {
            row.request: row.expert
            for row in connection.execute(select(OUTCOMES.c.request, OUTCOMES.c.expert).where(OUTCOMES.c.request.in_(chunk)))
        }
    return found


def _learn_labels(connection: Connection, rows: Iterable[Row]) -> None:
    """Remember the labels of each service, and refuse the one too many."""
    said: dict[tuple[str, str], set[str]] = defaultdict(set)
    for row in rows:
        said[row["namespace"], row["service"]] |= {row[name] for name in ("predicted", "expert") if row.get(name) is not None}
    for (namespace, service), labels in said.items():
        scope = {"namespace": namespace, "service": service}
        known = set(connection.scalars(select(LABELS.c.label).where(*(LABELS.c[name] == value for name, value in scope.items()))))
        if len(known | labels) > MAX_LABELS:
            raise TooManyLabelsError
        if labels - known:
            new = [scope | {"label": label} for label in sorted(labels - known)]
            connection.execute(insert_into(connection, LABELS).on_conflict_do_nothing(), new)


def _refer(connection: Connection, answers: Iterable[tuple[str, str, str, bool]], now: datetime) -> None:
    """Note that records were answered about: (namespace, service, reference, whether the answer may have influenced a label)."""
    influenced: dict[tuple[str, str, str], bool] = {}
    for namespace, service, reference, seen in answers:
        if reference != NO_REFERENCE:
            influenced[namespace, service, reference] = influenced.get((namespace, service, reference), False) or seen
    rows = [
        dict(zip(("namespace", "service", "reference", "influenced", "first_at"), (*key, seen, now), strict=True))
        for key, seen in influenced.items()
    ]
    statement = insert_into(connection, REFERENCES)
    either = or_(REFERENCES.c.influenced, statement.excluded.influenced)
    statement = statement.on_conflict_do_update(index_elements=list(REFERENCES.primary_key.columns), set_={"influenced": either})
    for chunk in _chunks(rows):
        connection.execute(statement, chunk)


def write_traffic(engine: Engine, report: TrafficReport, now: datetime) -> bool:
    """Add a router's increments. False if they were added before: the acknowledgement was lost, not the report."""
    with _writing(engine) as connection:
        if not _is_new(connection, report, now):
            return False
        for arm in report.arms:
            _add_arm(connection, report, arm, now)
        _refer(connection, ((report.namespace, report.service, *answered) for answered in report.references.items()), now)
    return True


def forget_traffic(engine: Engine, before: datetime, now: datetime) -> int:
    """Remove the counts of epochs that got no request since; returns of how many. What experts said stays."""
    with _writing(engine) as connection:
        for table in (TRAFFIC, REPORTS):
            connection.execute(update(table).where(table.c.updated_at.is_(None)).values(updated_at=now))
        scope = [TRAFFIC.c[name] for name in ("namespace", "service", "epoch", "version")]
        old = select(*scope).where(TRAFFIC.c.updated_at < before)
        for table in (LATENCY, FIRST_TOKEN, SUBJECTS):
            connection.execute(delete(table).where(tuple_(*(table.c[column.name] for column in scope)).in_(old)))
        connection.execute(delete(REPORTS).where(REPORTS.c.updated_at < before))
        return connection.execute(delete(TRAFFIC).where(TRAFFIC.c.updated_at < before)).rowcount


def _is_new(connection: Connection, report: TrafficReport, now: datetime) -> bool:
    """Take note of the sequence number, unless it or a later one was taken already."""
    statement = insert_into(connection, REPORTS).values(
        namespace=report.namespace, service=report.service, instance=report.instance, sequence=report.sequence, updated_at=now
    )
    result = connection.execute(
        statement.on_conflict_do_update(
            index_elements=["namespace", "service", "instance"],
            set_={"sequence": statement.excluded.sequence, "updated_at": now},
            where=REPORTS.c.sequence < statement.excluded.sequence,
        ).returning(REPORTS.c.sequence)  # psycopg counts no rows of an INSERT
    )
    return result.first() is not None


def _add_arm(connection: Connection, report: TrafficReport, arm: ArmTraffic, now: datetime) -> None:
    scope: Row = {"namespace": report.namespace, "service": report.service, "epoch": arm.epoch, "version": arm.version}
    sums = {"requests": arm.requests, "errors": arm.errors, "cut": arm.cut, "audited": arm.audited}
    _add(connection, TRAFFIC, [scope | sums | {"updated_at": now}], tuple(sums), ("updated_at",))
    for table, histogram in ((LATENCY, arm.latency), (FIRST_TOKEN, arm.first_token)):
        counts = [scope | {"bucket": bucket, "requests": count} for bucket, count in enumerate(histogram) if count]
        _add(connection, table, counts, ("requests",))
    if arm.epoch != NO_ROLLOUT:  # outside a rollout nobody compares subjects, and they would pile up for ever
        audited = arm.audited_subjects
        rows = [scope | {"subject": name, "requests": count, "audited": audited.get(name, 0)} for name, count in arm.subjects.items()]
        _add(connection, SUBJECTS, rows, ("requests", "audited"))


def _add(connection: Connection, table: Table, rows: Sequence[Row], sums: Sequence[str], replaced: Sequence[str] = ()) -> None:
    """Insert rows, or add to those that are there."""
    statement = insert_into(connection, table)
    added = {name: table.c[name] + statement.excluded[name] for name in sums} | {name: statement.excluded[name] for name in replaced}
    statement = statement.on_conflict_do_update(index_elements=list(table.primary_key.columns), set_=added)
    for chunk in _chunks(rows):
        connection.execute(statement, chunk)
