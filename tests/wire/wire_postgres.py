"""A PostgreSQL of one's own, with the business's table: for the tests of SQL sources and for their benchmark."""

import os
import pwd
import shutil
import socket
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import psycopg

from regimen_cluster.preflight import install

PENDING = 4_000
QUERY = """SELECT claim_id, policy_id, claim_number, diagnosis_codes, procedure_codes, claim_amount, service_date, medical_analysis, final_decision
FROM claims_history
WHERE processed_date >= '2023-01-01' AND adjudication_decision IS NOT NULL
ORDER BY processed_date DESC;"""
FIELD = "sources.claims.sql"


@dataclass(frozen=True)
class Server:
    """A running server: its programs, its data, and how it is reached."""

    programs: Path
    data: Path
    port: int

    @property
    def url(self) -> str:
        return f"postgresql+psycopg://postgres@127.0.0.1:{self.port}/postgres"

    def connect(self) -> "psycopg.Connection[tuple[object, ...]]":
        return psycopg.connect(f"postgresql://postgres@127.0.0.1:{self.port}/postgres", autocommit=True)

    def control(self, *words: str) -> None:
        options = f"-p {self.port} -c listen_addresses=127.0.0.1 -c unix_socket_directories={self.data} -c fsync=off"
        argv = [str(self.programs / "pg_ctl"), "-D", str(self.data), "-w", "-t", "60", *words]
        argv += ["-o", options, "-l", str(self.data / "log")] if words[0] == "start" else []
        as_postgres(argv)


def as_postgres(argv: list[str]) -> None:
    # The server refuses to run as root.
    done = subprocess.run(argv, user="postgres", capture_output=True, text=True, timeout=120, cwd="/", check=False)
    assert done.returncode == 0, done.stdout + done.stderr


def programs() -> Path:
    """Where PostgreSQL's programs are, which Debian keeps off the PATH; installed where they are missing."""
    for attempt in range(2):
        if found := sorted(Path("/usr/lib/postgresql").glob("*/bin/initdb")):
            return found[-1].parent
        if other := shutil.which("initdb"):
            return Path(other).resolve().parent
        if not attempt:
            install(["postgresql"])
    raise AssertionError("PostgreSQL is not there even after its installation")


@contextmanager
def running(folder: Path, rows: int) -> Iterator[Server]:
    """A server in a new folder while the block runs, its table filled. Root only: it is run as the user postgres."""
    binaries = programs()
    owner = pwd.getpwnam("postgres")
    folder.mkdir()
    os.chown(folder, owner.pw_uid, owner.pw_gid)
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        made = Server(binaries, folder / "data", free.getsockname()[1])
    try:
        as_postgres([str(binaries / "initdb"), "-D", str(made.data), "--auth=trust", "--no-sync", "--encoding=UTF8", "--locale=C"])
        made.control("start")
        with made.connect() as connection:
            fill(connection, rows)
        yield made
    finally:
        if (made.data / "postmaster.pid").exists():
            made.control("stop", "-m", "immediate")
        shutil.rmtree(folder)


def fill(connection: "psycopg.Connection[tuple[object, ...]]", rows: int) -> None:
    """The table of the business: as many rows as its query finds, and some that it leaves out."""
    connection.execute(
        "CREATE TABLE claims_history (claim_id text, policy_id text, claim_number text, diagnosis_codes text, procedure_codes text, "
        "claim_amount numeric(12, 2), service_date date, medical_analysis text, adjudication_decision text, final_decision text, processed_date timestamp)"
    )
    connection.execute(
        "INSERT INTO claims_history SELECT 'C' || n, 'P' || n % 5000, 'N' || n, 'M54.50', '72148', n + 0.5, DATE '2024-01-01' + n % 300, "
        "'Größe ' || n || E', \"quoted\"\\nsecond line ' || repeat('long ', 40), "
        f"CASE WHEN n <= {rows} THEN 'x' END, "
        "CASE WHEN n % 7 = 0 THEN NULL ELSE 'DENIED' END, TIMESTAMP '2023-01-02' + n * INTERVAL '1 minute' "
        f"FROM generate_series(1, {rows + PENDING}) n"
    )
    connection.execute(
        "INSERT INTO claims_history (claim_id, adjudication_decision, processed_date) VALUES ('old', 'x', '2022-12-31 23:59')"
    )
