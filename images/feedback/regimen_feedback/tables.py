"""What is kept: ids, labels and numbers; nothing that was asked or answered."""

from sqlalchemy import (
    BigInteger,
    Boolean,
    Column,
    Connection,
    DateTime,
    Engine,
    Float,
    Index,
    Integer,
    MetaData,
    String,
    Table,
    create_engine,
    event,
)
from sqlalchemy.dialects import postgresql, sqlite

METADATA = MetaData()


def _scope() -> list[Column[str]]:
    """Columns that say whose row it is; part of the key where the table has no other."""
    return [Column(name, String(253), primary_key=True) for name in ("namespace", "service", "epoch", "version")]


OUTCOMES = Table(
    "outcomes",
    METADATA,
    Column("request", String(64), primary_key=True),  # the uuid in the request id
    *(Column(name, String(253), nullable=False) for name in ("namespace", "service", "epoch", "version")),
    Column("subject", String(8), nullable=False),
    Column("audit", Boolean, nullable=False),
    Column("predicted", String(64)),
    Column("expert", String(64)),
    Column("accepted", Boolean),
    Column("edit_rate", Float),
    Column("satisfaction", Float),
    Column("reviewer", String(64)),
    Column("received_at", DateTime(timezone=True), nullable=False),
    Index("outcomes_by_epoch", "namespace", "service", "epoch", "version"),
)

REPORTS = Table(
    "traffic_reports",
    METADATA,
    Column("namespace", String(253), primary_key=True),
    Column("service", String(253), primary_key=True),
    Column("instance", String(64), primary_key=True),
    # The last one taken: a router sends the next only when the one before was acknowledged.
    Column("sequence", BigInteger, nullable=False),
)

TRAFFIC = Table(
    "traffic", METADATA, *_scope(), Column("requests", BigInteger, nullable=False), Column("errors", BigInteger, nullable=False)
)
LATENCY = Table(
    "traffic_latency", METADATA, *_scope(), Column("bucket", Integer, primary_key=True), Column("requests", BigInteger, nullable=False)
)
SUBJECTS = Table(
    "traffic_subjects", METADATA, *_scope(), Column("subject", String(8), primary_key=True), Column("requests", BigInteger, nullable=False)
)


def insert_into(connection: Connection, table: Table) -> "sqlite.Insert | postgresql.Insert":
    """INSERT that knows ON CONFLICT, in the database's own dialect."""
    return postgresql.insert(table) if connection.dialect.name == "postgresql" else sqlite.insert(table)


def connect(url: str) -> Engine:
    """An engine with its tables. SQLite gets a write-ahead log that is synced at every commit, and writers that wait for each other."""
    engine = create_engine(url, pool_pre_ping=True)
    if engine.dialect.name == "sqlite":
        event.listen(engine, "connect", _prepare_sqlite)
        event.listen(engine, "begin", _begin_sqlite)
    METADATA.create_all(engine)
    return engine


def reading(engine: Engine) -> Engine:
    """The engine for reading: a transaction sees one moment and holds up no writer."""
    if engine.dialect.name == "sqlite":
        return engine.execution_options(reading=True)
    return engine.execution_options(isolation_level="REPEATABLE READ")


def _begin_sqlite(connection: Connection) -> None:
    """A writer takes the lock before it reads anything, so that two never wait for each other."""
    connection.exec_driver_sql("BEGIN" if connection.get_execution_options().get("reading") else "BEGIN IMMEDIATE")


def _prepare_sqlite(connection: object, _record: object) -> None:
    """The driver must not begin transactions by itself: see _begin_sqlite."""
    connection.isolation_level = None  # type: ignore[attr-defined]
    for pragma in ("journal_mode=WAL", "synchronous=FULL", "busy_timeout=20000"):
        connection.execute(f"PRAGMA {pragma}")  # type: ignore[attr-defined]
