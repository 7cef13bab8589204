"""Exports as they should not be: each is refused in one sentence that names the field and the remedy, and the revision before stays as it was."""

import codecs
import gzip
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import pytest
from click.testing import CliRunner, Result
from trainer_exports import claims, listing, write_rows

from regimen_trainer.commands.data import prepare_data

Break = Callable[[str], bytes]


def columns_of(text: str, change: Callable[[list[str]], list[str]]) -> bytes:
    """The export with every row but the header changed."""
    header, *rows = text.splitlines()
    return "\n".join([header, *(",".join(change(row.split(","))) for row in rows)]).encode()


def with_a_cell(content: bytes) -> Break:
    return lambda text: text.encode().replace(b"Maria Gonzalez", content, 1)


BROKEN: dict[str, tuple[Break, str]] = {
    "empty file": (lambda _: b"", "--claims_csv: claims.csv is empty; export it again"),
    "header alone": (
        lambda text: text.splitlines()[0].encode(),
        "sources.claims: none of 0 rows is usable; check the files and their columns",
    ),
    "spreadsheet": (lambda _: b"PK\x03\x04\x00\x00" * 99, "--claims_csv: claims.csv is not text (it has zero bytes); give a CSV file"),
    "zero byte": (with_a_cell(b"Mar\0a"), "--claims_csv: claims.csv is not text (it has zero bytes); give a CSV file"),
    "cut gzip": (lambda text: gzip.compress(text.encode())[:-9], "--claims_csv: claims.csv is a damaged gzip file; compress it again"),
    "cut UTF-16": (
        lambda text: codecs.BOM_UTF16_LE + text.encode("utf-16-le")[:-1],
        "--claims_csv: claims.csv is not utf-16-le throughout; export it again as UTF-8",
    ),
    "two encodings": (
        lambda text: text.replace("Maria", "María").encode() + b"C999,P9,N-9,M54,72148,1,2024-01-01,caf\xe9,deny,DENIED,X,Y\n",
        "--claims_csv: claims.csv is UTF-8 in line 2 and something else in line 62; export it again as UTF-8",
    ),
    "letter": (lambda _: b"Dear colleague,\nplease find the claims attached.\n", "sources.claims.columns: column claim_id is missing"),
    "missing column": (
        lambda text: text.replace("claim_amount", "BilledAmt").encode(),
        "nearest is BilledAmt; map it with {name: claim_amount, from: BilledAmt}",
    ),
    "column twice": (
        lambda text: text.replace("member_id", "policy_id", 1).encode(),
        "--claims_csv: column policy_id stands twice in claims.csv; rename one of them",
    ),
    "column cut off": (lambda text: columns_of(text, lambda row: row[:5]), "(60 not readable as a row); correct the export or raise it"),
    "unclosed quotation mark": (with_a_cell(b'"Maria'), "(1 not readable as a row); correct the export or raise it"),
    "cell of 300 MB": (with_a_cell(b"x" * 300_000_000), "has a line of more than 16 MiB about 16 MiB into it, nearly always an unclosed"),
    "negative amounts": (
        lambda text: text.replace("120.00", "-120.00").encode(),
        "maxRejectedPercent is 20 but 100.0 % of the rows are unusable (60 invalid claim_amount); correct the export or raise it",
    ),
    "amounts in words": (lambda text: text.replace("120.00", "a hundred").encode(), "(60 invalid claim_amount)"),
    "dates of another order": (lambda text: text.replace("2024-03-14", "14.03.2024").encode(), "(60 invalid service_date)"),
    "blank ids": (lambda text: columns_of(text, lambda row: ["", *row[1:]]), "(60 invalid claim_id)"),
    "duplicate rows": (lambda text: text.encode() + text.split("\n", 1)[1].encode(), "50.0 % of the rows are unusable (60 duplicate)"),
    "duplicate ids": (
        lambda text: text.encode() + text.split("\n", 1)[1].replace("120.00", "121.00").encode(),
        "50.0 % of the rows are unusable (60 repeated claim_id)",
    ),
    "other decisions": (lambda text: text.replace("DENIED", "PAID").replace("APPROVED", "OPEN").encode(), "(60 invalid final_decision)"),
    "nothing decided": (
        lambda text: text.replace("DENIED", "PENDING").replace("APPROVED", "PENDING").encode(),
        "tasks adjudication: no row is left to train on; check final_decision and the labels",
    ),
    "one policy": (
        lambda text: columns_of(text, lambda row: [row[0], "P1", *row[2:]]),
        # Which side has none follows from where this dataset's memory, whose key is random, has put the rows before.
        "raise nearDuplicates, group by a column with more values, or give more rows",
    ),
}


@dataclass(frozen=True)
class Prepared:
    """A revision on disk, and the sound export that it was made of."""

    out: Path
    text: str

    def run(self, export: Path) -> Result:
        words = ["--output_dir", str(self.out), "--split", "--workers", "1", "--claims_csv", str(export)]
        return CliRunner().invoke(prepare_data, words)


@pytest.fixture(scope="module")
def prepared(tmp_path_factory: pytest.TempPathFactory) -> Prepared:
    folder = tmp_path_factory.mktemp("prepared")
    sound = write_rows(folder / "sound.csv", claims(60))
    made = Prepared(folder / "out", sound.read_text())
    assert made.run(sound).exit_code == 0
    return made


@pytest.mark.parametrize("name", BROKEN)
def test_a_broken_export_is_refused_and_leaves_everything_as_it_was(prepared: Prepared, tmp_path: Path, name: str) -> None:
    spoil, says = BROKEN[name]
    before = listing(prepared.out)
    broken = tmp_path / "claims.csv"
    broken.write_bytes(spoil(prepared.text))
    result = prepared.run(broken)
    assert result.exit_code == 2, result.output
    assert says in result.output.strip().splitlines()[-1]
    assert listing(prepared.out) == before
