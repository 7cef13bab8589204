"""Reading: what is known of a rollout, each figure by one query over both arms."""

from collections import defaultdict
from collections.abc import Iterable
from datetime import datetime
from typing import Any

from sqlalchemy import Boolean, Column, Connection, Engine, Row, Select, Table, and_, case, func, select

from regimen.spec.routing import LATENCY_BUCKETS_MS, ArmEvidence, Evidence
from regimen_feedback.tables import FIRST_TOKEN, LATENCY, OUTCOMES, SUBJECTS, TRAFFIC, reading

LABELLED = and_(OUTCOMES.c.predicted.is_not(None), OUTCOMES.c.expert.is_not(None))
AGREED = func.sum(case((OUTCOMES.c.predicted == OUTCOMES.c.expert, 1), else_=0))


class Reader:
    """The queries of one rollout. With `audited_only`, outcomes count only where the request was drawn for audit."""

    def __init__(self, connection: Connection, namespace: str, service: str, epoch: str, audited_only: bool = False) -> None:
        self._connection, self._audited_only = connection, audited_only
        self._scope = {"namespace": namespace, "service": service, "epoch": epoch}

    def _rows(self, table: Table, *columns: Any) -> Select[Any]:
        """Version and columns of this rollout's rows."""
        query = select(table.c.version, *columns).where(*(table.c[name] == value for name, value in self._scope.items()))
        return query.where(OUTCOMES.c.audit) if table is OUTCOMES and self._audited_only else query

    def _all(self, query: Select[Any]) -> Iterable[Row[Any]]:
        return self._connection.execute(query).all()

    def traffic(self) -> dict[str, dict[str, int]]:
        """Requests, errors, answers that were cut, requests drawn for audit."""
        query = self._rows(TRAFFIC, TRAFFIC.c.requests, TRAFFIC.c.errors, TRAFFIC.c.cut, TRAFFIC.c.audited)
        return {row.version: {key: value for key, value in row._mapping.items() if key != "version"} for row in self._all(query)}

    def histogram(self, table: Table) -> dict[str, list[int]]:
        """Requests per bucket of LATENCY_BUCKETS_MS and one beyond."""
        found: dict[str, list[int]] = defaultdict(lambda: [0] * (len(LATENCY_BUCKETS_MS) + 1))
        for row in self._all(self._rows(table, table.c.bucket, table.c.requests)):
            found[row.version][row.bucket] += row.requests
        return found

    def subjects(self) -> dict[str, int]:
        query = self._rows(SUBJECTS, func.count().label("subjects")).group_by(SUBJECTS.c.version)
        return {row.version: row.subjects for row in self._all(query)}

    def clusters(self) -> dict[str, list[tuple[int, int]]]:
        """(labelled, agreed) of each subject with a labelled answer."""
        query = self._rows(OUTCOMES, func.count().label("labelled"), AGREED.label("agreed")).where(LABELLED)
        found: dict[str, list[tuple[int, int]]] = defaultdict(list)
        for row in self._all(query.group_by(OUTCOMES.c.version, OUTCOMES.c.subject).order_by(OUTCOMES.c.version, OUTCOMES.c.subject)):
            found[row.version].append((row.labelled, row.agreed))
        return found

    def audits(self) -> dict[str, list[tuple[int, int]]]:
        """(drawn for audit, of these labelled) of each subject with any drawn. Labels that overtake the router's report count as drawn."""
        labels = self._rows(OUTCOMES, OUTCOMES.c.subject, func.count().label("labelled")).where(LABELLED, OUTCOMES.c.audit)
        per_subject = labels.group_by(OUTCOMES.c.version, OUTCOMES.c.subject).subquery()
        same = and_(per_subject.c.version == SUBJECTS.c.version, per_subject.c.subject == SUBJECTS.c.subject)
        query = self._rows(SUBJECTS, SUBJECTS.c.audited, func.coalesce(per_subject.c.labelled, 0).label("labelled"))
        found: dict[str, list[tuple[int, int]]] = defaultdict(list)
        joined = query.join(per_subject, same, isouter=True).where(SUBJECTS.c.audited > 0)
        for row in self._all(joined.order_by(SUBJECTS.c.version, SUBJECTS.c.subject)):
            found[row.version].append((max(row.audited, row.labelled), row.labelled))
        return found

    def rated(self, column: Column[Any]) -> dict[str, list[tuple[int, Any]]]:
        """(rated, sum of ratings) of each subject with an answer that was rated."""
        rating = case((column, 1), else_=0) if isinstance(column.type, Boolean) else column
        query = self._rows(OUTCOMES, func.count().label("rated"), func.sum(rating).label("total")).where(column.is_not(None))
        found: dict[str, list[tuple[int, Any]]] = defaultdict(list)
        for row in self._all(query.group_by(OUTCOMES.c.version, OUTCOMES.c.subject).order_by(OUTCOMES.c.version, OUTCOMES.c.subject)):
            found[row.version].append((row.rated, row.total))
        return found

    def by_label(self, column: Column[Any], *where: Any) -> dict[str, dict[str, int]]:
        """Labelled answers by a label, that of the model or that of the expert."""
        query = self._rows(OUTCOMES, column.label("label"), func.count().label("answers")).where(LABELLED, *where)
        found: dict[str, dict[str, int]] = defaultdict(dict)
        for row in self._all(query.group_by(OUTCOMES.c.version, column)):
            found[row.version][row.label] = row.answers
        return found

    def expert_labels(self) -> set[str]:
        """All labels that experts of this service ever gave: the early days of a rollout may not have seen each."""
        same = (OUTCOMES.c[name] == self._scope[name] for name in ("namespace", "service"))
        return set(self._connection.scalars(select(OUTCOMES.c.expert).where(OUTCOMES.c.expert.is_not(None), *same).distinct()))

    def opinions(self) -> dict[str, dict[str, float]]:
        """Acceptance and satisfaction."""
        accepted = func.sum(case((OUTCOMES.c.accepted, 1), else_=0))
        query = self._rows(
            OUTCOMES,
            accepted.label("accepted"),
            func.count(OUTCOMES.c.accepted).label("accepted_of"),
            func.coalesce(func.sum(OUTCOMES.c.satisfaction), 0.0).label("satisfaction_sum"),
            func.count(OUTCOMES.c.satisfaction).label("satisfaction_of"),
        ).group_by(OUTCOMES.c.version)
        return {row.version: {key: value for key, value in row._mapping.items() if key != "version"} for row in self._all(query)}


def read(engine: Engine, namespace: str, service: str, epoch: str, now: datetime, audited_only: bool = False) -> Evidence:
    """All figures, of one moment: they are read in one transaction."""
    with reading(engine).begin() as connection:
        reader = Reader(connection, namespace, service, epoch, audited_only)
        return Evidence(namespace=namespace, service=service, epoch=epoch, arms=_arms(reader), at=now)


def _arms(reader: Reader) -> list[ArmEvidence]:
    traffic, subjects = reader.traffic(), reader.subjects()
    latency, first_token = reader.histogram(LATENCY), reader.histogram(FIRST_TOKEN)
    acceptance, edits = reader.rated(OUTCOMES.c.accepted), reader.rated(OUTCOMES.c.edit_rate)
    clusters, audits, opinions, known = reader.clusters(), reader.audits(), reader.opinions(), reader.expert_labels()
    right = reader.by_label(OUTCOMES.c.expert, OUTCOMES.c.predicted == OUTCOMES.c.expert)
    predicted, expert = reader.by_label(OUTCOMES.c.predicted), reader.by_label(OUTCOMES.c.expert)
    arms = []
    for version in sorted({*traffic, *latency, *subjects, *opinions}):
        pairs, answers = clusters.get(version, []), predicted.get(version, {})
        figures: dict[str, Any] = opinions.get(version, {})
        arms.append(
            ArmEvidence(
                version=version,
                **traffic.get(version, {}),
                subjects=subjects.get(version, 0),
                latency=latency.get(version, []),
                first_token=first_token.get(version, []),
                acceptance_clusters=acceptance.get(version, []),
                edit_clusters=edits.get(version, []),
                audits=audits.get(version, []),
                labelled=sum(labelled for labelled, _ in pairs),
                labelled_subjects=len(pairs),
                agreed=sum(agreed for _, agreed in pairs),
                clusters=pairs,
                true_positive=right.get(version, {}),
                predicted=answers,
                expert=expert.get(version, {}),
                unparseable=sum(count for label, count in answers.items() if label not in known),
                **figures,
            )
        )
    return arms
