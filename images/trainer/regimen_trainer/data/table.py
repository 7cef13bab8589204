"""The tables that a revision is made in: DuckDB, within a bound of memory. Texts stay in Parquet files, and only what is told of rows is in memory.

    raw_<source>     the export's rows as text, in its order, with a digest of each and its own fault (a view of files)
    judged_<source>  one row for each of them: whether it is new to the dataset, and why it is not used
    kept_<source>    the de-identified rows of all revisions, in the order of seq (a view of the memory's files)
    all_<source>     one row for each of them: where it stands in this revision's export, if it does
    sides_<source>   one row for each of them: its side
    rows_<source>    the used rows of this revision, with all that (a view)

What stands in one order is put side by side (POSITIONAL JOIN): no join keeps an order, and sorting texts again costs more than all else.

Knows SQL. What a column must hold is said in `columns`, what is done to texts in `texts`.
"""

import csv
from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from copy import copy
from dataclasses import dataclass
from io import StringIO
from pathlib import Path
from typing import Any

import duckdb
import pyarrow as pa
import pyarrow.parquet as pq

from regimen.spec.dataset import SourceName
from regimen_trainer.data.columns import held, quoted
from regimen_trainer.data.intake import Export
from regimen_trainer.errors import InputError

LONGEST_ROW = 16 << 20
"""Bytes. A longer row is nearly always an unclosed quotation mark."""
READ_AT_ONCE = 2 * LONGEST_ROW
"""Bytes. DuckDB's own choice is sixteen times the longest row, for each thread."""
PARQUET = "FORMAT parquet, ROW_GROUP_SIZE 40960"
"""How texts are kept between stages: groups of rows small enough that several are held at once."""
DELIMITERS = (",", ";", "\t", "|")
HEADER = 1 << 16
GLANCE = 1 << 16


class Workbench:
    """A database of its own for one preparation."""

    def __init__(self, folder: Path, threads: int, memory_mb: int) -> None:
        folder.mkdir(parents=True, exist_ok=True)
        self.folder = folder
        config: dict[str, Any] = {"threads": threads, "memory_limit": f"{memory_mb}MB", "temp_directory": str(folder / "spill")}
        # Its cache of files would fill all that memory; the system has them in its own.
        self._connection = duckdb.connect(config={**config, "enable_external_file_cache": False})

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

    def beside(self) -> "Workbench":
        """Another connection to the same tables, for another thread."""
        other = copy(self)
        other._connection = self._connection.cursor()
        return other

    def close(self) -> None:
        self._connection.close()


def parquet(paths: Iterable[Path | str], **options: bool) -> str:
    """SQL of the rows of files, one file after the other."""
    files = ", ".join(quoted(str(path)) for path in paths)
    return f"read_parquet([{files}]{''.join(f', {name}={value}' for name, value in options.items())})"


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


@dataclass(frozen=True)
class Asked:
    """What is asked of a source's rows: its columns (our name to the export's), those of them that every export has, SQL of a row's own fault;
    and the field that names the source in messages."""

    source: SourceName
    columns: Mapping[str, str]
    core: Collection[str]
    fault: str
    field: str

    def told(self, rows: str) -> str:
        """SQL of rows with what their texts tell, from SQL of rows.

        `core` is a digest of the columns that every export has: sides are remembered by it, as they must outlast a change of the spec. `print`
        is one of all columns.
        """
        whole = _digest(["digest", *(held(name) for name in self.columns if name not in self.core)])
        claim = f"trim({held('claim_id')})" if self.source == "claims" else "NULL::VARCHAR"
        return (
            f"SELECT * EXCLUDE (digest), unhex(digest) AS core, unhex({whole}) AS print, {claim} AS claim, {self.fault} AS fault "
            f"FROM (SELECT *, {_digest(map(held, self.core))} AS digest FROM ({rows}))"
        )


def read(bench: Workbench, exports: Sequence[Export], asked: Asked) -> int:
    """Make raw_<source> of its files; returns how many rows could not be read. Those stand in `unread` (source, file, line)."""
    bench.run("CREATE TABLE IF NOT EXISTS unread (source VARCHAR, file VARCHAR, line BIGINT)")
    paths = [bench.folder / f"raw-{asked.source}-{number}.parquet" for number in range(len(exports))]
    for number, (export, path) in enumerate(zip(exports, paths, strict=True)):
        _read(bench, export, asked, number, path)
    rows = parquet(paths, file_row_number=True)
    bench.run(f"CREATE VIEW raw_{asked.source} AS SELECT *, (number::BIGINT << 32) + file_row_number AS n FROM {rows}")
    return int(bench.one("SELECT count(*) FROM unread WHERE source = ?", [asked.source]))


def _read(bench: Workbench, export: Export, asked: Asked, number: int, path: Path) -> None:
    names, delimiter = header_of(export, asked.field)
    if delimiter:
        _refuse_endless_line(export, asked.field)
    # Columns go by their places: names of an export may differ in case alone, be empty, or hold quotation marks.
    chosen = "".join(f', "{names.index(theirs)}" AS {held(ours)}' for ours, theirs in asked.columns.items())
    # Strict reading finds unclosed quotation marks, and gives up on a file whose lines end in two ways; then it is read leniently.
    for strict in ("true", "false"):
        before = _scans(bench)
        rows = f"SELECT {quoted(export.name)} AS file, {export.golden} AS golden, {number} AS number{chosen} FROM {_rows_of(export, names, delimiter, strict)}"
        try:
            bench.run(f"COPY ({asked.told(rows)}) TO {quoted(str(path))} ({PARQUET}, COMPRESSION lz4)")
            break
        except duckdb.Error as error:
            if strict == "false" or not delimiter:
                # Never the message itself, which quotes a record.
                raise InputError(
                    f"{asked.field}: {export.name} is not readable as CSV ({type(error).__name__}); export it again"
                ) from error
    if _scans(bench) > before:
        bench.run(
            f"INSERT INTO unread SELECT DISTINCT {quoted(asked.source)}, {quoted(export.name)}, line FROM reject_errors WHERE scan_id > {before} ORDER BY line"
        )


def _rows_of(export: Export, names: Sequence[str], delimiter: str, strict: str) -> str:
    """SQL of a file's rows, its columns named by their places."""
    path = quoted(str(export.path))
    if not delimiter:
        places = ", ".join(f'"{place}"' for place in range(len(names)))
        return f"(FROM read_parquet({path})) AS rows({places})"
    types = ", ".join(f"'{place}': 'VARCHAR'" for place in range(len(names)))
    return (
        f"read_csv({path}, header=true, auto_detect=false, columns={{{types}}}, delim={quoted(delimiter)}, quote='\"', escape='\"', "
        f"store_rejects=true, rejects_limit=0, max_line_size={LONGEST_ROW}, buffer_size={READ_AT_ONCE}, strict_mode={strict})"
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


def judge(bench: Workbench, source: str) -> None:
    """Make judged_<source>: for each raw row its number in its file, its digests, why it is not used, and whether it is `fresh`."""
    seen = f"EXISTS (FROM state_{source} s WHERE s.print = f.print)" if bench.has(f"state_{source}") else "false"
    first = "SELECT {0}, min(n) AS n FROM facts WHERE fault IS NULL AND {0} IS NOT NULL GROUP BY 1"
    # Golden rows come first, whatever file they are in: the same row in an export is the duplicate. Hence they are read first.
    bench.run(
        f"CREATE TABLE judged_{source} AS WITH facts AS (SELECT n, file_row_number + 1 AS row, file, golden, print, core, claim, fault FROM raw_{source}), "
        f"prints AS ({first.format('print')}), claims AS ({first.format('claim')}) "
        "SELECT f.n, f.file, f.row, f.print, f.core, f.golden, CASE WHEN f.fault IS NOT NULL THEN f.fault "
        f"WHEN f.n > p.n THEN 'duplicate' WHEN f.n > c.n THEN 'repeated claim_id' END AS reason, NOT {seen} AS fresh "
        "FROM facts f LEFT JOIN prints p ON p.print = f.print LEFT JOIN claims c ON c.claim = f.claim ORDER BY f.n"
    )


def _digest(cells: Iterable[str]) -> str:
    texts = ", ".join(f"coalesce({cell}, '')" for cell in cells)
    return f"md5(concat_ws(chr(31), {texts}))"
