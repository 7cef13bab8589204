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
    inspect,
    make_url,
    text,
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
    Column("reference", String(32)),  # keyed hash of the record that was asked about
    Index("outcomes_by_epoch", "namespace", "service", "epoch", "version"),
    Index("outcomes_by_reference", "namespace", "service", "reference"),
)

REFERENCES = Table(
    "references_answered",
    METADATA,
    Column("namespace", String(253), primary_key=True),
    Column("service", String(253), primary_key=True),
    Column("reference", String(32), primary_key=True),
    # An answer was given that was not drawn for audit: whoever decides the record may have seen it.
    Column("influenced", Boolean, nullable=False),
    Column("first_at", DateTime(timezone=True), nullable=False),
)

LABELS = Table(
    "labels",
    METADATA,
    Column("namespace", String(253), primary_key=True),
    Column("service", String(253), primary_key=True),
    Column("label", String(64), primary_key=True),
)

REPORTS = Table(
    "traffic_reports",
    METADATA,
    Column("namespace", String(253), primary_key=True),
    Column("service", String(253), primary_key=True),
    Column("instance", String(64), primary_key=True),
    # The last one taken: a router sends the next only when the one before was acknowledged.
    Column("sequence", BigInteger, nullable=False),
    Column("updated_at", DateTime(timezone=True)),
)

TRAFFIC = Table(
    "traffic",
    METADATA,
    *_scope(),
    Column("requests", BigInteger, nullable=False),
    Column("errors", BigInteger, nullable=False),
    Column("cut", BigInteger, nullable=False, server_default="0"),
    Column("audited", BigInteger, nullable=False, server_default="0"),
    Column("updated_at", DateTime(timezone=True)),
)


def _histogram(name: str) -> Table:
    """Requests by bucket of LATENCY_BUCKETS_MS."""
    return Table(name, METADATA, *_scope(), Column("bucket", Integer, primary_key=True), Column("requests", BigInteger, nullable=False))


LATENCY = _histogram("traffic_latency")
FIRST_TOKEN = _histogram("traffic_first_token")
SUBJECTS = Table(
    "traffic_subjects",
    METADATA,
    *_scope(),
    Column("subject", String(8), primary_key=True),
    Column("requests", BigInteger, nullable=False),
    Column("audited", BigInteger, nullable=False, server_default="0"),
)


def insert_into(connection: Connection, table: Table) -> "sqlite.Insert | postgresql.Insert":
    """INSERT that knows ON CONFLICT, in the database's own dialect."""
    return postgresql.insert(table) if connection.dialect.name == "postgresql" else sqlite.insert(table)


def connect(url: str) -> Engine:
    """An engine with its tables. SQLite gets a write-ahead log that is synced at every commit, and writers that wait for each other.

    A PostgreSQL URL needs no driver's name. What was sent stays out of the database's error messages.
    """
    address = make_url(url)
    if address.drivername in {"postgres", "postgresql"}:
        address = address.set(drivername="postgresql+psycopg")
    engine = create_engine(address, pool_pre_ping=True, hide_parameters=True)
    if engine.dialect.name == "sqlite":
        event.listen(engine, "connect", _prepare_sqlite)
        event.listen(engine, "begin", _begin_sqlite)
    with engine.begin() as connection:
        _migrate(connection)
    return engine


def _migrate(connection: Connection) -> None:
    """Make the tables that are missing, and the columns that came later. Two that start at once take turns."""
    if connection.dialect.name == "postgresql":
        connection.execute(text("SELECT pg_advisory_xact_lock(hashtext('regimen.feedback'))"))
    before = inspect(connection)
    there = {name: {column["name"] for column in before.get_columns(name)} for name in before.get_table_names() if name in METADATA.tables}
    for name, columns in there.items():
        for column in METADATA.tables[name].columns:
            if column.name not in columns:
                kind = column.type.compile(connection.dialect)
                rest = f" NOT NULL DEFAULT {column.server_default.arg}" if column.server_default is not None else ""  # type: ignore[attr-defined]
                connection.execute(text(f"ALTER TABLE {name} ADD COLUMN {column.name} {kind}{rest}"))
    METADATA.create_all(connection)
    for name in there:
        for index in METADATA.tables[name].indexes:
            index.create(connection, checkfirst=True)


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
