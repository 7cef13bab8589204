"""Both databases: every test that asks for `database` runs on a SQLite file and on a PostgreSQL of its own."""

import os
import shutil
import tempfile
from collections.abc import Iterator
from pathlib import Path
from uuid import uuid4

import pytest
from wire_postgres import Server, running


def present() -> bool:
    """Whether a PostgreSQL can be run here; the wire tests install one where it is missing."""
    return os.geteuid() == 0 and bool(list(Path("/usr/lib/postgresql").glob("*/bin/initdb")) or shutil.which("initdb"))


@pytest.fixture(scope="session")
def postgres() -> Iterator[Server]:
    with tempfile.TemporaryDirectory(dir="/var/tmp") as folder:
        Path(folder).chmod(0o755)
        with running(Path(folder) / "postgres", 0) as server:
            yield server


@pytest.fixture(params=["sqlite", "postgresql"])
def database(request: pytest.FixtureRequest, tmp_path: Path) -> str:
    """URL of an empty database, as a user would write it."""
    if request.param == "sqlite":
        return f"sqlite:///{tmp_path}/feedback.db"
    if not present():
        pytest.skip("POSTGRESQL IS NOT INSTALLED, or this is not root: the feedback service is tested on SQLite only")
    server: Server = request.getfixturevalue("postgres")
    name = f"feedback_{uuid4().hex[:12]}"
    with server.connect() as connection:
        connection.execute(f"CREATE DATABASE {name}")
    return f"postgresql://postgres@127.0.0.1:{server.port}/{name}"
