"""What DuckDB reads of a file is what Python's csv module reads of it, whatever the file's form; what is no such file is refused."""

import codecs
import csv
import gzip
from collections.abc import Iterator
from dataclasses import dataclass
from io import StringIO
from itertools import count
from pathlib import Path
from tempfile import TemporaryDirectory

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from regimen_trainer.data import table
from regimen_trainer.data.columns import held
from regimen_trainer.data.intake import Export, plain
from regimen_trainer.data.table import Asked, Workbench
from regimen_trainer.errors import InputError

Cells = list[list[str]]
FORMS = st.sampled_from([(delimiter, ending) for delimiter in ",;\t|" for ending in ("\n", "\r\n")])
ENCODINGS = {
    "utf-8": codecs.BOM_UTF8,
    "utf-16-le": codecs.BOM_UTF16_LE,
    "utf-16-be": codecs.BOM_UTF16_BE,
    "utf-32-le": codecs.BOM_UTF32_LE,
    "utf-32-be": codecs.BOM_UTF32_BE,
}


@dataclass
class Reader:
    """One database for many files."""

    bench: Workbench
    folder: Path
    numbers: Iterator[int]

    def read(self, content: bytes) -> tuple[list[str], Cells, int]:
        """Header, rows and the number of rows that could not be read."""
        number = next(self.numbers)
        path = self.folder / f"{number}.csv"
        path.write_bytes(content)
        local, encoding = plain(path, f"{number}.csv", "field", self.folder / "plain")
        export = Export(f"{number}.csv", local, encoding)
        names, _ = table.header_of(export, "field")
        columns = {f"c{place}": name for place, name in enumerate(names)}
        self.bench.run("DROP VIEW IF EXISTS raw_documents")
        self.bench.run("DROP TABLE IF EXISTS unread")
        unread = table.read(self.bench, [export], Asked("documents", columns, ["c0"], "NULL::VARCHAR", "field"))
        found = self.bench.run(f"SELECT {', '.join(map(held, columns))} FROM raw_documents")
        return names, [[cell or "" for cell in row] for row in found], unread


@pytest.fixture(scope="module")
def reader() -> Iterator[Reader]:
    with TemporaryDirectory() as name:
        folder = Path(name)
        (folder / "plain").mkdir()
        bench = Workbench(folder / "work", 2, 512)
        yield Reader(bench, folder, count())
        bench.close()


def written(rows: Cells, form: tuple[str, str], quoting: int = csv.QUOTE_MINIMAL) -> str:
    out = StringIO()
    csv.writer(out, delimiter=form[0], lineterminator=form[1], quoting=quoting).writerows(rows)  # type: ignore[arg-type]
    return out.getvalue()


def by_csv(text: str, form: tuple[str, str]) -> tuple[list[str], Cells]:
    header, *rows = csv.reader(StringIO(text, newline=""), delimiter=form[0])
    return [name.strip() for name in header], rows


CELL = st.text(st.one_of(st.sampled_from(" abc01,;\t|\"'\n\u00a0éß漢😀\\#"), st.characters(exclude_categories=["Cs", "Cc"])), max_size=12)
LONE = st.sampled_from(
    ["plain", 'all "quotes" "" "', "a\r\nb\nc", ",;,;", " leading and trailing ", "#comment", "NULL", "''", '"', "\\", "\\N"]
)


@st.composite
def sheets(draw: st.DrawFn) -> Cells:
    width = draw(st.integers(2, 5))
    header = [f"column {place}" for place in range(width)]
    cells = st.one_of(CELL, LONE)
    rows = draw(st.lists(st.lists(cells, min_size=width, max_size=width), min_size=1, max_size=8))
    # A row of empty cells is written as an empty line where there is one column alone, and here as delimiters; both readers keep it.
    return [header, *rows]


@settings(max_examples=80)
@given(sheets(), FORMS, st.sampled_from([csv.QUOTE_MINIMAL, csv.QUOTE_ALL]), st.booleans())
def test_utf8_is_read_as_csv_reads_it(reader: Reader, rows: Cells, form: tuple[str, str], quoting: int, mark: bool) -> None:
    text = written(rows, form, quoting)
    names, found, unread = reader.read((codecs.BOM_UTF8 if mark else b"") + text.encode())
    assert (names, found) == by_csv(text, form)
    assert unread == 0


@settings(max_examples=30)
@given(sheets(), FORMS, st.sampled_from(sorted(ENCODINGS)), st.booleans())
def test_marked_encodings_and_gzip_are_read_the_same(
    reader: Reader, rows: Cells, form: tuple[str, str], encoding: str, zipped: bool
) -> None:
    text = written(rows, form)
    content = ENCODINGS[encoding] + text.encode(encoding)
    names, found, unread = reader.read(gzip.compress(content) if zipped else content)
    assert (names, found, unread) == (*by_csv(text, form), 0)


WESTERN = [
    "Señora Núñez, café",
    "Müller",
    "naïve façade",
    "“quoted” – dash…",
    "é",
    "Größe 5 µg",
    "Ångström",
    "70 °F",
    "Renée's crème brûlée",
]


@settings(max_examples=20)
@given(st.lists(st.sampled_from(WESTERN), min_size=1, max_size=9), FORMS, st.sampled_from(["cp1252", "latin-1"]))
def test_western_encodings_are_recognised_even_by_a_single_letter(
    reader: Reader, cells: list[str], form: tuple[str, str], encoding: str
) -> None:
    rows = [["name", "text"], *[["plain ASCII text", cell] for cell in cells if encoding == "cp1252" or cell.isascii() or "“" not in cell]]
    text = written(rows, form)
    assert reader.read(text.encode(encoding))[1] == rows[1:]


def test_other_encodings_are_recognised_from_enough_text(reader: Reader) -> None:
    words = "Пациент обратился с жалобами на боль в колене, назначено обследование и лечение"
    rows = [["name", "text"], *[["ASCII", f"{words} {number}"] for number in range(50)]]
    assert reader.read(written(rows, (",", "\n")).encode("cp1251"))[1] == rows[1:]


def test_the_encoding_is_told(tmp_path: Path) -> None:
    (tmp_path / "plain").mkdir()
    for encoding, content in {
        "cp1252": "a,b\né,1\n".encode("cp1252"),
        "utf-8": "a,b\né,1\n".encode(),
        "utf-16-le": "\ufeffa,b\n".encode("utf-16-le"),
    }.items():
        path = tmp_path / f"{encoding}.csv"
        path.write_bytes(content)
        assert plain(path, path.name, "field", tmp_path / "plain")[1] == encoding


def test_a_utf8_file_is_not_copied(tmp_path: Path) -> None:
    path = tmp_path / "a.csv"
    path.write_bytes("a,b\né,1\n".encode())
    assert plain(path, "a.csv", "field", tmp_path)[0] is path


@pytest.mark.parametrize(
    ("text", "rows", "unread"),
    [
        ("a,b\n1,2\n3\n4,5,6\n7,8\n", [["1", "2"], ["7", "8"]], 2),
        ('a,b\n1,2\n"3,4\n5,6\n', [["1", "2"]], 1),
        ("a,b\n1,2\r\n3,4\n5,6\r\n", [["1", "2"], ["3", "4"], ["5", "6"]], 0),
        ("a,b\r1,2\r3,4\r", [["1", "2"], ["3", "4"]], 0),
        ("a,b\n1,2\n\n\n3,4\n", [["1", "2"], ["3", "4"]], 0),
        ("a,b\n1,2", [["1", "2"]], 0),
        ("a,b\n", [], 0),
        ("a,b", [], 0),
        ("a,b\na,b\n1,2\n", [["a", "b"], ["1", "2"]], 0),
        ('a,b\n1,"2"x\n3,4\n', [["3", "4"]], 1),
        ("a,b,\n1,2,\n", [["1", "2", ""]], 0),
    ],
)
def test_broken_and_odd_lines(reader: Reader, text: str, rows: Cells, unread: int) -> None:
    assert reader.read(text.encode())[1:] == (rows, unread)


@pytest.mark.parametrize(
    ("content", "says"),
    [
        (b"", "field: {} is empty; export it again"),
        (b"PK\x03\x04\x00\x00binary" * 50, "field: {} is not text (it has zero bytes); give a CSV file"),
        (b"a,b\n" + b"1,2\n" * 100_000 + b"\0", "field: {} is not text (it has zero bytes); give a CSV file"),
        (gzip.compress(b"a,b\n1,2\n" * 50_000)[:-9], "field: {} is a damaged gzip file; compress it again"),
        (gzip.compress(b"a,b\n1,2\n" * 50_000)[:60], "field: {} is a damaged gzip file; compress it again"),
        (b"\x1f\x8bnot gzip at all", "field: {} is a damaged gzip file; compress it again"),
        ("a,b\né,1\n".encode() + b"\xe9,2\n", "field: {} is UTF-8 in line 2 and something else in line 3; export it again as UTF-8"),
        (codecs.BOM_UTF8 + b"a,b\n" + b"1,2\n" * 90_000 + b"\xe9,2\n", "field: {} is not utf-8 throughout; export it again as UTF-8"),
        (codecs.BOM_UTF16_LE + "a,b\n1,2\n".encode("utf-16-le")[:-1], "field: {} is not utf-16-le throughout; export it again as UTF-8"),
        (b"a,b,a\n1,2,3\n", "field: column a stands twice in {}; rename one of them"),
        (b'"a,b\n1,2\n', None),
    ],
    ids=[
        "empty",
        "binary",
        "zero late",
        "cut gzip",
        "very cut gzip",
        "no gzip",
        "two encodings",
        "BOM and then not",
        "cut UTF-16",
        "twice",
        "open",
    ],
)
def test_files_that_are_no_exports_are_refused(reader: Reader, content: bytes, says: str | None) -> None:
    before = sorted((reader.folder / "plain").iterdir())
    if says is None:
        assert reader.read(content)[0] == ["a,b\n1,2"]
        return
    with pytest.raises(InputError) as caught:
        reader.read(content)
    assert str(caught.value) == says.format(sorted(reader.folder.glob("*.csv"), key=lambda path: int(path.stem))[-1].name)
    assert sorted((reader.folder / "plain").iterdir()) == before, "a half-written copy could be taken for a whole one"
