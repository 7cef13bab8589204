"""Makes every export a plain UTF-8 CSV file or a Parquet file on local disk, as a stream: gzip, encodings, byte order marks, databases.

Knows bytes and connections, not columns. A file that is no text, or in no known encoding, is refused with its name and the remedy.
"""

import codecs
import gzip
import re
from collections.abc import Iterator, Sequence
from contextlib import closing, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import IO, TYPE_CHECKING, Any

import pyarrow as pa
import pyarrow.parquet as pq

from regimen_trainer.errors import InputError, TrainerError

if TYPE_CHECKING:
    from sqlalchemy import Connection, CursorResult, Engine
    from sqlalchemy.exc import DBAPIError

BLOCK = 1 << 20
SAMPLE = 1 << 18
FETCH = 10_000
"""Rows that the database hands over at once."""
MARKS = (
    (codecs.BOM_UTF8, "utf-8"),
    (codecs.BOM_UTF32_LE, "utf-32-le"),
    (codecs.BOM_UTF32_BE, "utf-32-be"),
    (codecs.BOM_UTF16_LE, "utf-16-le"),
    (codecs.BOM_UTF16_BE, "utf-16-be"),
)
GZIP = b"\x1f\x8b"
TRANSIENT = ("08", "40", "53", "55", "57", "58")
"""Classes of SQL states that are the database's condition and not the query's fault."""
WESTERN = "cp1252"
LONGEST_LINE = 1 << 24
_FOREIGN = re.compile(rb"[\x80-\xff]+")


@dataclass(frozen=True)
class Export:
    """A file of rows, ready to be read: its name for people, where it is, the encoding it came in, and whether its rows are golden."""

    name: str
    path: Path
    encoding: str = "utf-8"
    golden: bool = False


def plain(path: Path, name: str, field: str, scratch: Path) -> tuple[Path, str]:
    """A UTF-8 file without byte order mark and with the same text, and the encoding that was found. `path` itself where it is one already."""
    if path.stat().st_size == 0:
        raise InputError(f"{field}: {name} is empty; export it again")
    with _opened(path) as file:
        head = _read(file, name, field, SAMPLE)
    mark, encoding = next(((mark, encoding) for mark, encoding in MARKS if head.startswith(mark)), (b"", ""))
    if not encoding:
        encoding = _guess(path, head, name, field)
    if encoding == "utf-8" and not mark and not _is_gzip(path):
        return path, encoding
    target = scratch / f"{len(list(scratch.iterdir()))}-{path.name.removesuffix('.gz')}"
    try:
        with _opened(path) as file, target.open("w", encoding="utf-8", newline="") as out:
            _read(file, name, field, len(mark))
            for text in _decoded(file, encoding, name, field):
                out.write(text)
    except InputError:
        target.unlink()
        raise
    return target, encoding


def _is_gzip(path: Path) -> bool:
    with path.open("rb") as file:
        return file.read(2) == GZIP


def _opened(path: Path) -> IO[bytes]:
    return gzip.open(path) if _is_gzip(path) else path.open("rb")  # type: ignore[return-value]


def _read(file: IO[bytes], name: str, field: str, size: int) -> bytes:
    try:
        return file.read(size)
    except (OSError, EOFError) as error:
        raise InputError(f"{field}: {name} is a damaged gzip file; compress it again") from error


def _blocks(file: IO[bytes], name: str, field: str) -> Iterator[bytes]:
    while block := _read(file, name, field, BLOCK):
        yield block


def _decoded(file: IO[bytes], encoding: str, name: str, field: str) -> Iterator[str]:
    """The text in pieces. Raises InputError where the bytes are not of that encoding."""
    decoder = codecs.getincrementaldecoder(encoding)()
    try:
        for block in _blocks(file, name, field):
            yield decoder.decode(block)
        yield decoder.decode(b"", final=True)
    except UnicodeDecodeError as error:
        raise InputError(f"{field}: {name} is not {encoding} throughout; export it again as UTF-8") from error


def _guess(path: Path, head: bytes, name: str, field: str) -> str:
    """UTF-8 where the whole file is; else what the lines that are not ASCII look like."""
    if b"\0" in head:
        raise InputError(f"{field}: {name} is not text (it has zero bytes); give a CSV file")
    with _opened(path) as file:
        try:
            for text in _decoded(file, "utf-8", name, field):
                if "\0" in text:
                    raise InputError(f"{field}: {name} is not text (it has zero bytes); give a CSV file")
            return "utf-8"
        except InputError as error:
            if not isinstance(error.__cause__, UnicodeDecodeError):
                raise
    lines = list(_telling(path, name, field))
    if mixed := next((number for number, line in lines if _is_utf8(line)), None):
        other = next((number for number, line in lines if not _is_utf8(line)), "later")
        raise InputError(f"{field}: {name} is UTF-8 in line {mixed} and something else in line {other}; export it again as UTF-8")
    return _legacy(b"\n".join(line for _, line in lines), name, field)


def _legacy(text: bytes, name: str, field: str) -> str:
    """The encoding of text that is not Unicode."""
    # In Western languages what is not ASCII stands alone between ASCII letters; no statistics tell a single é better than this.
    runs = _FOREIGN.findall(text)
    if sum(len(run) > 2 for run in runs) <= 0.05 * len(runs):
        with suppress(UnicodeDecodeError):
            text.decode(WESTERN)
            return WESTERN
    from charset_normalizer import from_bytes

    best = from_bytes(text, cp_exclusion=["utf_16", "utf_16_le", "utf_16_be", "utf_32", "utf_32_le", "utf_32_be", "utf_7"]).best()
    if best is None:
        raise InputError(f"{field}: {name} is in no encoding that could be recognised; export it again as UTF-8")
    return best.encoding


def _is_utf8(line: bytes) -> bool:
    try:
        line.decode()
    except UnicodeDecodeError:
        return False
    return True


def _telling(path: Path, name: str, field: str) -> Iterator[tuple[int, bytes]]:
    """Lines that are not ASCII, with their numbers; about as many bytes as SAMPLE."""
    size, number, rest = 0, 1, b""
    with _opened(path) as file:
        for block in _blocks(file, name, field):
            *lines, rest = (rest + block).split(b"\n")
            for line in lines:
                if not line.isascii():
                    yield number, line
                    size += len(line)
                number += 1
            if size > SAMPLE:
                return
            # A line as long as this is an unclosed quotation mark; the rest tells enough.
            rest = rest if len(rest) < LONGEST_LINE else b""
    if not rest.isascii():
        yield number, rest


def stream_query(url: str, query: str, target: Path, field: str) -> int:
    """Write a query's rows as text into a Parquet file; returns how many. Memory does not grow with them.

    Raises InputError for a URL or a query that is at fault, TrainerError for a database that goes away; nothing is left then.
    """
    from sqlalchemy.exc import DBAPIError, SQLAlchemyError

    engine = _engine(url, field)
    rows, partial = 0, target.with_suffix(".partial")
    try:
        with _connected(engine, field) as connection:
            # As the query stands: neither a colon nor a percent sign in it means anything to us.
            options = {"stream_results": True, "max_row_buffer": FETCH, "no_parameters": True}
            result = connection.exec_driver_sql(query, execution_options=options)
            names = _names(result, field)
            with closing(pq.ParquetWriter(partial, pa.schema([(name, pa.string()) for name in names]))) as writer:
                for part in result.partitions(FETCH):
                    writer.write_table(_as_text(names, part))
                    rows += len(part)
        partial.replace(target)
    except DBAPIError as error:
        if rows or _lost(error):
            raise TrainerError(f"{field}: the database ended the connection after {rows} rows; nothing of them is kept") from error
        raise InputError(f"{field}.query: the database refused it ({type(error.orig).__name__}); run it by hand, correct it") from error
    except SQLAlchemyError as error:
        raise TrainerError(f"{field}: {type(error).__name__} after {rows} rows; nothing of them is kept") from error
    finally:
        partial.unlink(missing_ok=True)
        engine.dispose()
    return rows


def _engine(url: str, field: str) -> "Engine":
    from sqlalchemy import create_engine
    from sqlalchemy.exc import ArgumentError, NoSuchModuleError

    example = "write e.g. postgresql+psycopg://user:password@host/database"
    try:
        return create_engine(url)
    except (ArgumentError, NoSuchModuleError, ValueError) as error:
        raise InputError(f"{field}.urlFrom: the URL is not one that SQLAlchemy knows; {example}") from error
    except ImportError as error:
        raise InputError(f"{field}.urlFrom: the URL asks for the driver {error.name}, which is not in this image; {example}") from error


def _connected(engine: "Engine", field: str) -> "Connection":
    from sqlalchemy.exc import SQLAlchemyError

    try:
        return engine.connect()
    except SQLAlchemyError as error:
        remedy = "see that it is up, and that host, user, password and database are right"
        raise TrainerError(f"{field}.urlFrom: the database does not let us in ({type(error).__name__}); {remedy}") from error


def _names(result: "CursorResult[Any]", field: str) -> list[str]:
    if not result.returns_rows:
        raise InputError(f"{field}.query: it gives no rows; write one SELECT")
    names = list(result.keys())
    if twice := next((name for name in names if names.count(name) > 1), None):
        raise InputError(f"{field}.query: column {twice} comes twice; name one of them with AS")
    return names


def _lost(error: "DBAPIError") -> bool:
    """Whether the connection or the database, not the statement, is what failed."""
    return error.connection_invalidated or str(getattr(error.orig, "sqlstate", None) or "").startswith(TRANSIENT)


def _as_text(names: Sequence[str], rows: Sequence[Sequence[object]]) -> pa.Table:
    columns = zip(*rows, strict=True)
    return pa.table(
        {
            name: pa.array([None if value is None else str(value) for value in column], pa.string())
            for name, column in zip(names, columns, strict=True)
        }
    )
