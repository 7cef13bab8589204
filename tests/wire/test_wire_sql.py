"""A query against a real PostgreSQL: read as a stream, and nothing left of one that breaks off."""

import os
import time
from collections.abc import Iterator
from pathlib import Path
from threading import Thread

import pyarrow.parquet as pq
import pytest
from wire_postgres import FIELD, QUERY, Server, running

from regimen_trainer.data import intake
from regimen_trainer.data.intake import stream_query
from regimen_trainer.errors import InputError, TrainerError

ROWS = 20_000


@pytest.fixture(scope="module")
def server() -> Iterator[Server]:
    if os.geteuid() != 0:
        pytest.fail("PostgreSQL is run as its own user, for which the tests must be root; deselect them with -m 'not wire'")
    # Below a folder that its user may pass through, which pytest's own is not.
    with running(Path("/var/tmp") / f"regimen-postgres-{os.getpid()}", ROWS) as made:
        yield made


def test_the_query_of_the_business_comes_row_by_row_as_text(server: Server, tmp_path: Path) -> None:
    target = tmp_path / "query.parquet"
    assert stream_query(server.url, QUERY, target, FIELD) == ROWS
    table = pq.read_table(target)
    assert table.num_rows == ROWS
    assert {str(kind) for kind in table.schema.types} == {"string"}
    first, last = table.slice(0, 1).to_pylist()[0], table.slice(ROWS - 1).to_pylist()[0]
    assert (first["claim_id"], last["claim_id"]) == (f"C{ROWS}", "C1"), "in the query's order"
    assert (last["claim_amount"], last["service_date"]) == ("1.50", "2024-01-02")
    assert last["medical_analysis"].startswith('Größe 1, "quoted"\nsecond line long')
    assert next(row for row in table.slice(ROWS - 10).to_pylist() if row["claim_id"] == "C7")["final_decision"] is None
    assert [path.name for path in tmp_path.iterdir()] == ["query.parquet"]


def test_percent_signs_and_colons_of_a_query_are_its_own(server: Server, tmp_path: Path) -> None:
    query = "SELECT claim_id, 'at :noon' AS note FROM claims_history WHERE claim_id LIKE 'C1999%' AND processed_date::time > '00:00'"
    assert stream_query(server.url, query, tmp_path / "query.parquet", FIELD) > 5
    assert set(pq.read_table(tmp_path / "query.parquet").column("note").to_pylist()) == {"at :noon"}


def test_a_query_without_rows_keeps_its_columns(server: Server, tmp_path: Path) -> None:
    assert stream_query(server.url, "SELECT claim_id FROM claims_history WHERE false", tmp_path / "query.parquet", FIELD) == 0
    assert pq.read_schema(tmp_path / "query.parquet").names == ["claim_id"]


@pytest.mark.parametrize(
    ("query", "says"),
    [
        ("SELECT nothing FROM claims_history", "the database refused it (UndefinedColumn); run it by hand, correct it"),
        ("SELECT claim_id FROM claims", "the database refused it (UndefinedTable); run it by hand, correct it"),
        ("SELEKT claim_id", "the database refused it (SyntaxError); run it by hand, correct it"),
        ("DELETE FROM claims_history", "the database refused it (SyntaxError); run it by hand, correct it"),
        ("SELECT claim_id; DROP TABLE claims_history", "the database refused it (SyntaxError); run it by hand, correct it"),
        ("SELECT claim_id, policy_id AS claim_id FROM claims_history", "column claim_id comes twice; name one of them with AS"),
        ("SELECT 1 / (length(claim_id) - 2) FROM claims_history", "the database refused it (DivisionByZero); run it by hand, correct it"),
    ],
)
def test_a_query_at_fault_is_the_inputs_fault(server: Server, tmp_path: Path, query: str, says: str) -> None:
    with pytest.raises(InputError) as caught:
        stream_query(server.url, query, tmp_path / "query.parquet", FIELD)
    assert str(caught.value) == f"{FIELD}.query: {says}"
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize("change", [("postgres@", "nobody@"), ("/postgres", "/nothing")])
def test_a_refused_login_names_the_url_and_may_be_tried_again(server: Server, tmp_path: Path, change: tuple[str, str]) -> None:
    with pytest.raises(
        TrainerError, match=r"^sources\.claims\.sql\.urlFrom: the database does not let us in \(OperationalError\)"
    ) as caught:
        stream_query(server.url.replace(*change), QUERY, tmp_path / "query.parquet", FIELD)
    assert not isinstance(caught.value, InputError)
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize("cut", ["backend", "server"])
def test_a_database_that_goes_away_in_the_middle_leaves_nothing(
    server: Server, tmp_path: Path, cut: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    # Rows come in small parts and each takes a while, so that the cut falls between them.
    monkeypatch.setattr(intake, "FETCH", 500)
    written = list[int]()
    as_text = intake._as_text

    def slowly(names: list[str], part: list[tuple[object, ...]]) -> object:
        written.append(len(part))
        time.sleep(0.05)
        return as_text(names, part)

    monkeypatch.setattr(intake, "_as_text", slowly)
    cutter = Thread(target=cut_off, args=(server, cut, written))
    cutter.start()
    try:
        with pytest.raises(
            TrainerError, match=r"^sources\.claims\.sql: the database ended the connection after \d+ rows; nothing of them is kept$"
        ) as caught:
            stream_query(server.url, QUERY, tmp_path / "query.parquet", FIELD)
    finally:
        cutter.join()
        if cut == "server":
            server.control("start")
    assert not isinstance(caught.value, InputError), "another try may help"
    assert 0 < sum(written) < ROWS
    assert not list(tmp_path.iterdir())


def cut_off(server: Server, cut: str, written: list[int]) -> None:
    """End the reader's connection once it has rows."""
    while not written:
        time.sleep(0.01)
    if cut == "server":
        server.control("stop", "-m", "immediate")
        return
    with server.connect() as connection:
        connection.execute(
            "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE backend_type = 'client backend' AND pid <> pg_backend_pid()"
        )
