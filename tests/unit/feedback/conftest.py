"""Both databases: every test that asks for `database` runs on a SQLite file and on a PostgreSQL of its own."""

import os
import shutil
import tempfile
from collections.abc import Iterator
from pathlib import Path
from uuid import uuid4

import pytest
from wire_postgres import Server, running

MISSING = os.geteuid() != 0 or not (list(Path("/usr/lib/postgresql").glob("*/bin/initdb")) or shutil.which("initdb"))
POSTGRES = pytest.mark.skipif(
    MISSING, reason="POSTGRESQL IS NOT INSTALLED, or this is not root: the feedback service is tested on SQLite only"
)


@pytest.fixture(scope="session")
def postgres() -> Iterator[Server]:
    with tempfile.TemporaryDirectory(dir="/var/tmp") as folder:
        Path(folder).chmod(0o755)
        with running(Path(folder) / "postgres", 0) as server:
            yield server


@pytest.fixture(params=["sqlite", pytest.param("postgresql", marks=POSTGRES)])
def database(request: pytest.FixtureRequest, tmp_path: Path) -> str:
    """URL of an empty database, as a user would write it."""
    if request.param == "sqlite":
        return f"sqlite:///{tmp_path}/feedback.db"
    server: Server = request.getfixturevalue("postgres")
    name = f"feedback_{uuid4().hex[:12]}"
    with server.connect() as connection:
        connection.execute(f"CREATE DATABASE {name}")
    return f"postgresql://postgres@127.0.0.1:{server.port}/{name}"
