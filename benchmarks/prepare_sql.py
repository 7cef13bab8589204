"""The business's query over a large table of a real PostgreSQL, streamed: wall time and peak memory, beside fetching all rows at once.

    python benchmarks/prepare_sql.py --rows 1000000

Root only, as PostgreSQL is run as its own user. Then the reader's connection is cut in the middle, and what it says and leaves is shown.
Memory is the peak resident set of a process of its own for each way.
"""

import argparse
import os
import resource
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from threading import Thread

ROOT = Path(__file__).parents[1]
sys.path[:0] = [str(ROOT / "tests/wire"), str(ROOT / "cluster")]

from wire_postgres import FIELD, QUERY, Server, running  # noqa: E402 - found by the line above

STREAM, AT_ONCE = "streamed", "all at once"


def main() -> None:
    """Fill the table, read it both ways, cut the connection once."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rows", type=int, default=1_000_000)
    parser.add_argument("--read", choices=[STREAM, AT_ONCE], help=argparse.SUPPRESS)
    parser.add_argument("--url", help=argparse.SUPPRESS)
    arguments = parser.parse_args()
    if arguments.read:
        read(arguments.read, arguments.url)
        return
    with running(Path("/var/tmp") / f"regimen-postgres-{os.getpid()}", arguments.rows) as server:
        for way in (STREAM, AT_ONCE):
            subprocess.run([sys.executable, __file__, "--read", way, "--url", server.url], check=True)
        cut(server, arguments.rows)


def read(way: str, url: str) -> None:
    """Read all rows one way in this process, and say what it took."""
    before, started = peak(), time.monotonic()
    with tempfile.TemporaryDirectory() as folder:
        target = Path(folder) / "query.parquet"
        if way == STREAM:
            from regimen_trainer.data.intake import stream_query

            rows = stream_query(url, QUERY, target, FIELD)
        else:
            import pandas as pd
            from sqlalchemy import create_engine

            frame = pd.read_sql(QUERY.rstrip(";"), create_engine(url))
            frame.to_parquet(target)
            rows = len(frame)
    print(f"{way}: {rows} rows in {time.monotonic() - started:.1f} s; peak memory {peak():.0f} MiB ({before:.0f} MiB before)", flush=True)


def peak() -> float:
    """MiB."""
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024


def cut(server: Server, rows: int) -> None:
    """End the reader's connection once it has a part of the rows."""
    from regimen_trainer.data.intake import stream_query
    from regimen_trainer.errors import TrainerError

    def cutter() -> None:
        while not list(folder.glob("*.partial")):
            time.sleep(0.01)
        time.sleep(1)
        with server.connect() as connection:
            connection.execute(
                "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE backend_type = 'client backend' AND pid <> pg_backend_pid()"
            )

    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        thread = Thread(target=cutter)
        thread.start()
        try:
            print(f"cut: read all {stream_query(server.url, QUERY, folder / 'query.parquet', FIELD)} of {rows} rows before the cut")
        except TrainerError as error:
            print(f"cut in the middle: {error}; files left: {len(list(folder.iterdir()))}")
        thread.join()


if __name__ == "__main__":
    main()
