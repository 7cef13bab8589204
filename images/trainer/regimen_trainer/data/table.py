"""The tables that a revision is made in: DuckDB, on disk, within a bound of memory.

    raw_<source>     the export's rows as text, in its order
    judged_<source>  one row for each of them: its print (a digest of what it says), and why it is not used
    rows_<source>    the used rows: de-identified, with seq, id, group and side

Knows SQL. What a column must hold is said in `columns`, what is done to texts in `texts`.
"""

import csv
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from io import StringIO
from pathlib import Path
from typing import Any

import duckdb
import pyarrow as pa
import pyarrow.parquet as pq

from regimen_trainer.data.columns import MODELS, Shape, held, quoted
from regimen_trainer.data.intake import Export
from regimen_trainer.errors import InputError

LONGEST_ROW = 16 << 20
"""Bytes. A longer row is nearly always an unclosed quotation mark."""
DELIMITERS = (",", ";", "\t", "|")
HEADER = 1 << 16
GLANCE = 1 << 16


class Workbench:
    """A database of its own for one preparation."""

    def __init__(self, folder: Path, threads: int, memory_mb: int) -> None:
        folder.mkdir(parents=True, exist_ok=True)
        self.folder = folder
        self._connection = duckdb.connect(
            folder / "work.duckdb",
            config={"threads": threads, "memory_limit": f"{memory_mb}MB", "temp_directory": str(folder / "spill")},
        )

    def run(self, sql: str, parameters: Sequence[Any] = ()) -> list[tuple[Any, ...]]:
        """Carry out a statement; returns its rows."""
        return self._connection.execute(sql, list(parameters)).fetchall()

    def one(self, sql: str, parameters: Sequence[Any] = ()) -> Any:
        """The single value that a statement gives."""
        return self.run(sql, parameters)[0][0]

    def has(self, name: str) -> bool:
        """Whether there is a table or a view of that name."""
        return bool(self.one("SELECT count(*) FROM information_schema.tables WHERE table_name = ?", [name]))

    def arrays(self, sql: str) -> dict[str, Any]:
        """Columns of a statement's result, as numpy arrays."""
        found: dict[str, Any] = self._connection.execute(sql).fetchnumpy()
        return found

    def batches(self, sql: str, rows: int) -> Iterator[pa.RecordBatch]:
        """A statement's result, piece by piece."""
        yield from self._connection.cursor().sql(sql).to_arrow_reader(rows)

    @contextmanager
    def lent(self, name: str, table: pa.Table) -> Iterator[None]:
        """An Arrow table under a name that SQL knows."""
        self._connection.register(name, table)
        try:
            yield
        finally:
            self._connection.unregister(name)

    def close(self) -> None:
        self._connection.close()


def header_of(export: Export, field: str) -> tuple[list[str], str]:
    """The column names of a file and the delimiter between them. Raises InputError where a name comes twice."""
    if export.path.suffix == ".parquet":
        names, delimiter = list(pq.read_schema(export.path).names), ""
    else:
        with export.path.open(newline="", encoding="utf-8") as file:
            head = file.read(HEADER)
        # A quotation mark that is never closed can make the header endless.
        found = {mark: next(csv.reader(StringIO(head, newline=""), delimiter=mark), []) for mark in DELIMITERS}
        delimiter = max(DELIMITERS, key=lambda candidate: len(found[candidate]))
        names = [name.strip() for name in found[delimiter]]
    if twice := next((name for name in names if name and names.count(name) > 1), None):
        raise InputError(f"{field}: column {twice} stands twice in {export.name}; rename one of them")
    return names, delimiter


def read(bench: Workbench, export: Export, columns: Sequence[tuple[str, str]], source: str, field: str) -> int:
    """Append a file's rows to raw_<source>: file, golden and the columns (name, the export's name); returns how many could not be read.

    Those stand in `unread` (source, file, line).
    """
    names, delimiter = header_of(export, field)
    if delimiter:
        _refuse_endless_line(export, field)
    bench.run("CREATE TABLE IF NOT EXISTS unread (source VARCHAR, file VARCHAR, line BIGINT)")
    # Columns go by their places: names of an export may differ in case alone, be empty, or hold quotation marks.
    chosen = "".join(f', "{names.index(theirs)}"' for _, theirs in columns)
    # Strict reading finds unclosed quotation marks, and gives up on a file whose lines end in two ways; then it is read leniently.
    for strict in ("true", "false"):
        before = _scans(bench)
        try:
            bench.run(
                f"INSERT INTO raw_{source} SELECT {quoted(export.name)}, {export.golden}{chosen} FROM {_rows_of(export, names, delimiter, strict)}"
            )
            break
        except duckdb.Error as error:
            if strict == "false" or not delimiter:
                # Never the message itself, which quotes a record.
                raise InputError(f"{field}: {export.name} is not readable as CSV ({type(error).__name__}); export it again") from error
    if _scans(bench) > before:
        bench.run(
            f"INSERT INTO unread SELECT DISTINCT {quoted(source)}, {quoted(export.name)}, line FROM reject_errors WHERE scan_id > {before} ORDER BY line"
        )
    return int(bench.one("SELECT count(*) FROM unread WHERE source = ? AND file = ?", [source, export.name]))


def _rows_of(export: Export, names: Sequence[str], delimiter: str, strict: str) -> str:
    """SQL of a file's rows, its columns named by their places."""
    path = quoted(str(export.path))
    if not delimiter:
        places = ", ".join(f'"{place}"' for place in range(len(names)))
        return f"(FROM read_parquet({path})) AS rows({places})"
    types = ", ".join(f"'{place}': 'VARCHAR'" for place in range(len(names)))
    return (
        f"read_csv({path}, header=true, auto_detect=false, columns={{{types}}}, delim={quoted(delimiter)}, quote='\"', escape='\"', "
        f"store_rejects=true, rejects_limit=0, max_line_size={LONGEST_ROW}, strict_mode={strict})"
    )


def _refuse_endless_line(export: Export, field: str) -> None:
    """Raise InputError for a line that fills a whole stretch of LONGEST_ROW: DuckDB 2.0 can drop one without a word. Reads little of a usual file."""
    with export.path.open("rb") as file:
        for start in range(0, export.path.stat().st_size - LONGEST_ROW + 1, LONGEST_ROW):
            file.seek(start)
            if b"\n" not in file.read(GLANCE) and b"\n" not in file.read(LONGEST_ROW - GLANCE):
                raise InputError(
                    f"{field}: {export.name} has a line of more than {LONGEST_ROW >> 20} MiB about {start >> 20} MiB into it, nearly always an unclosed quotation mark; correct it"
                )


def _scans(bench: Workbench) -> int:
    """Number of the last scan that rejected a row."""
    there = bench.one("SELECT count(*) FROM duckdb_tables() WHERE table_name = 'reject_errors'")
    return int(bench.one("SELECT coalesce(max(scan_id), -1) FROM reject_errors")) if there else -1


def judge(bench: Workbench, shape: Shape, reason: str) -> None:
    """Make judged_<source>: for each raw row its number in its file, its prints and why it is not used. `reason` is SQL of its own fault.

    `print` is a digest of all columns that the spec asks for, `core` of those alone that every export has: sides are remembered by it, as
    they must outlast a change of the spec.
    """
    raw, judged = f"raw_{shape.source}", f"judged_{shape.source}"
    every, core = (_digest(names) for names in (dict.fromkeys((*shape.kinds, *shape.known)), MODELS[shape.source]))
    claim = f"trim({held('claim_id')})" if shape.source == "claims" else "NULL::VARCHAR"
    # Golden rows come first, whatever file they are in: the same row in an export is the duplicate. Hence they are read first.
    bench.run(
        f"CREATE TABLE facts AS SELECT r.rowid AS n, r.rowid - s.first + 1 AS row, r.file, golden, {every} AS print, {core} AS core, "
        f"{claim} AS claim, {reason} AS fault FROM {raw} r JOIN (SELECT file, min(rowid) AS first FROM {raw} GROUP BY file) s USING (file)"
    )
    for name in ("print", "claim"):
        usable = f"FROM facts WHERE fault IS NULL AND {name} IS NOT NULL"
        bench.run(f"CREATE TABLE first_{name} AS SELECT {name}, min(n) AS n {usable} GROUP BY 1")
    bench.run(
        f"CREATE TABLE {judged} AS SELECT f.n, f.file, f.row, f.print, f.core, f.golden, CASE WHEN f.fault IS NOT NULL THEN f.fault "
        "WHEN f.n > p.n THEN 'duplicate' WHEN f.n > c.n THEN 'repeated claim_id' END AS reason "
        "FROM facts f LEFT JOIN first_print p ON p.print = f.print LEFT JOIN first_claim c ON c.claim = f.claim ORDER BY f.n"
    )
    for name in ("facts", "first_print", "first_claim"):
        bench.run(f"DROP TABLE {name}")


def _digest(names: Iterable[str]) -> str:
    cells = ", ".join(f"coalesce({held(name)}, '')" for name in names)
    return f"unhex(md5(concat_ws(chr(31), {cells})))"
