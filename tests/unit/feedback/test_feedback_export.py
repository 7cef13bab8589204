"""Labels on their way to the next training: by record, marked where the model may have influenced them; and nothing else is kept."""

import csv
import io
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any
from uuid import uuid4

import httpx
import pytest
from click.testing import CliRunner
from fastapi.testclient import TestClient
from sqlalchemy import func, inspect, select, text, update

from regimen.cli.main import commands
from regimen.spec.routing import LATENCY_BUCKETS_MS, RecordLabel
from regimen_feedback import join as joining
from regimen_feedback.app import create_app
from regimen_feedback.identity import RequestIdentity, reference_hash, service_key, sign
from regimen_feedback.join import JoinError, fetch, join
from regimen_feedback.ledger import MAX_LABELS, forget_traffic
from regimen_feedback.tables import FIRST_TOKEN, LATENCY, METADATA, OUTCOMES, REPORTS, SUBJECTS, TRAFFIC, connect

MASTER = bytes(range(32))
KEY = service_key(MASTER, "business", "claims")
BEARER = {"Authorization": f"Bearer {KEY.hex()}"}
NOW = datetime(2026, 1, 1, tzinfo=UTC)
EXPORT = 'claim_id,final_decision,notes\nC1,DENIED,seen\nC2,APPROVED,audited\nC3,APPROVED,both\n C4 ,DENIED,"never, asked"\n'


@pytest.fixture
def http(database: str) -> Iterator[TestClient]:
    with TestClient(create_app(connect(database), MASTER)) as client:
        yield client


def request_id(reference: str | None, audit: bool = False, service: str = "claims") -> str:
    hashed = reference_hash(KEY, reference) if reference else "-"
    return sign(MASTER, RequestIdentity("business", service, "v1", "e1", "0000000a", audit, str(uuid4()), hashed))


def say(http: TestClient, *outcomes: dict[str, Any]) -> dict[str, int]:
    answer = http.post("/v1/feedback", json=list(outcomes))
    assert answer.status_code == 202, answer.text
    found: dict[str, int] = answer.json()
    return found


def report(sequence: int, references: dict[str, bool], epoch: str = "e1") -> dict[str, Any]:
    counts = [1] + [0] * len(LATENCY_BUCKETS_MS)
    arm = {
        "version": "v1",
        "epoch": epoch,
        "requests": 1,
        "errors": 0,
        "latency": counts,
        "firstToken": counts,
        "subjects": {"0000000a": 1},
    }
    hashed = {reference_hash(KEY, name): seen for name, seen in references.items()}
    return {"namespace": "business", "service": "claims", "instance": "i", "sequence": sequence, "arms": [arm], "references": hashed}


def exported(http: TestClient) -> dict[str, RecordLabel]:
    answer = http.get("/v1/export/business/claims", headers=BEARER)
    assert answer.status_code == 200
    return {record.reference: record for record in map(RecordLabel.model_validate_json, answer.text.splitlines())}


def month(http: TestClient) -> None:
    """C1 was decided with the answer on the screen, C2 before it was shown, C3 both ways; C4 was never asked about."""
    assert http.post("/v1/traffic", json=report(1, {"C1": True, "C2": False}), headers=BEARER).status_code == 202
    say(http, {"requestId": request_id("C2", audit=True), "predicted": "DENIED", "expert": "APPROVED"})
    audited, seen = request_id("C3", audit=True), request_id("C3")
    say(
        http,
        {"requestId": audited, "predicted": "DENIED", "expert": "APPROVED"},
        {"requestId": seen, "predicted": "DENIED", "expert": "DENIED"},
    )


def test_each_record_has_the_label_that_counts(http: TestClient) -> None:
    month(http)
    say(http, {"requestId": request_id(None), "expert": "DENIED"})
    found = {name: exported(http).get(reference_hash(KEY, name)) for name in ("C1", "C2", "C3", "C4")}
    said = {name: (record.influenced, record.audit, record.expert, record.trainable) if record else None for name, record in found.items()}
    assert said == {
        "C1": (True, None, None, False),
        "C2": (False, True, "APPROVED", True),
        "C3": (True, True, "APPROVED", True),
        "C4": None,
    }
    assert len(exported(http)) == 3
    assert http.get("/v1/export/business/claims", headers={"Authorization": "Bearer x"}).status_code == 401


def test_once_influenced_stays_influenced(http: TestClient) -> None:
    for sequence, seen in enumerate((False, True, False), start=1):
        http.post("/v1/traffic", json=report(sequence, {"C1": seen}), headers=BEARER)
    assert exported(http)[reference_hash(KEY, "C1")].influenced


def test_labels_are_joined_to_the_next_export(http: TestClient) -> None:
    month(http)
    records, target = exported(http), io.StringIO()
    done = join(io.StringIO(EXPORT), target, "claim_id", KEY, records)
    assert (done.rows, done.asked, done.influenced, done.left_out) == (4, 3, 2, 0)
    rows = list(csv.DictReader(io.StringIO(target.getvalue())))
    assert [(row["regimen_expert"], row["regimen_audited"], row["regimen_influenced"]) for row in rows] == [
        ("", "", "true"),
        ("APPROVED", "true", "false"),
        ("APPROVED", "true", "true"),
        ("", "", "false"),
    ]
    assert rows[3]["notes"] == "never, asked" and rows[3]["claim_id"] == " C4 "
    trainable = io.StringIO()
    assert join(io.StringIO(EXPORT), trainable, "claim_id", KEY, records, trainable_only=True).left_out == 1
    assert [row["claim_id"] for row in csv.DictReader(io.StringIO(trainable.getvalue()))] == ["C2", "C3", " C4 "]


def test_the_command_joins_over_http(http: TestClient, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    month(http)
    (tmp_path / "claims.csv").write_text(EXPORT)
    transport = httpx.MockTransport(
        lambda request: httpx.Response(200, content=http.get(request.url.path, headers=dict(request.headers)).content)
    )
    monkeypatch.setattr("regimen_feedback.commands.fetch", lambda *words: joining.fetch(*words, transport=transport))
    words = ["join_feedback", "--csv", str(tmp_path / "claims.csv"), "--reference", "claim_id", "--output", str(tmp_path / "out.csv")]
    done = CliRunner().invoke(commands, [*words, "--service", "business/claims", "--key", KEY.hex()])
    assert done.exit_code == 0 and "4 rows, 3 of them answered about, 2 influenced, 0 left out" in done.output
    assert (tmp_path / "out.csv").read_text().startswith("claim_id,final_decision,notes,regimen_version")
    for wrong, named in (({"--service": "claims"}, "--service"), ({"--key": "xyz"}, "--key"), ({"--reference": "id"}, "no column 'id'")):
        options = {"--csv": str(tmp_path / "claims.csv"), "--reference": "claim_id", "--output": str(tmp_path / "no.csv")}
        options |= {"--service": "business/claims", "--key": KEY.hex()} | wrong
        done = CliRunner().invoke(commands, ["join_feedback", *(word for pair in options.items() for word in pair)])
        assert done.exit_code != 0 and named in done.output and not (tmp_path / "no.csv").exists()


@pytest.mark.parametrize(("status", "said"), [(401, "Secret claims-router"), (503, "HTTPStatusError")])
def test_a_service_that_does_not_answer_is_named(status: int, said: str) -> None:
    with pytest.raises(JoinError, match=said):
        fetch("http://feedback", "business", "claims", "00", httpx.MockTransport(lambda _: httpx.Response(status)))


@pytest.mark.parametrize("rows", ["claim_id,x\nC1\n", "claim_id,x\nC1,2,3\n", "claim_id,regimen_expert\nC1,x\n", ""])
def test_a_file_that_would_lose_something_is_refused(rows: str) -> None:
    with pytest.raises(JoinError):
        join(io.StringIO(rows), io.StringIO(), "claim_id", KEY, {})


def test_counts_of_old_rollouts_are_forgotten_and_labels_are_not(http: TestClient, database: str) -> None:
    http.post("/v1/traffic", json=report(1, {}, "old"), headers=BEARER)
    http.post("/v1/traffic", json=report(2, {}, "new"), headers=BEARER)
    say(http, {"requestId": request_id("C1"), "expert": "DENIED"})
    engine = connect(database)
    with engine.begin() as connection:
        connection.execute(update(TRAFFIC).where(TRAFFIC.c.epoch == "old").values(updated_at=NOW - timedelta(days=181)))
        connection.execute(update(TRAFFIC).where(TRAFFIC.c.epoch == "new").values(updated_at=NOW - timedelta(days=179)))
    assert forget_traffic(engine, NOW - timedelta(days=180), NOW) == 1
    with engine.connect() as connection:
        for table in (TRAFFIC, LATENCY, FIRST_TOKEN, SUBJECTS):
            assert set(connection.scalars(select(table.c.epoch))) == {"new"}, table.name
        assert [connection.scalar(select(func.count()).select_from(table)) for table in (OUTCOMES, REPORTS)] == [1, 1]


def test_tables_of_an_earlier_version_get_what_they_lack(database: str) -> None:
    engine = connect(database)
    with engine.begin() as connection:
        for statement in (
            "DROP INDEX outcomes_by_reference", "ALTER TABLE outcomes DROP COLUMN reference", "ALTER TABLE traffic DROP COLUMN cut", "DROP TABLE labels",
        ):  # fmt: skip
            connection.execute(text(statement))
        row = "(namespace, service, epoch, version, requests, errors, audited) VALUES ('business', 'claims', 'e1', 'v1', 5, 1, 0)"
        connection.execute(text(f"INSERT INTO traffic {row}"))
    again = connect(database)
    for name, table in METADATA.tables.items():
        assert {column["name"] for column in inspect(again).get_columns(name)} == set(table.columns.keys())
        assert {index["name"] for index in inspect(again).get_indexes(name)} == {index.name for index in table.indexes}
    with TestClient(create_app(again, MASTER)) as http:
        assert http.post("/v1/traffic", json=report(1, {"C1": True}), headers=BEARER).status_code == 202
        found = http.get("/v1/evidence/business/claims/e1", headers=BEARER).json()["arms"][0]
    assert (found["requests"], found["cut"]) == (6, 0)


def test_weeks_late_replayed_and_contradictory(http: TestClient) -> None:
    late = request_id("C9")
    with_label = {"requestId": late, "predicted": "DENIED", "expert": "DENIED", "reviewer": "dr.a@clinic.example"}
    for number in (1, 2, 3):  # a queue that delivers more than once
        assert say(http, with_label) == {"accepted": 1, "replaced": int(number > 1), "contradicted": 0}
    assert say(http, {"requestId": late, "expert": "APPROVED", "reviewer": "dr.b"}) == {"accepted": 1, "replaced": 1, "contradicted": 1}
    found = http.get("/v1/evidence/business/claims/e1", headers=BEARER).json()["arms"][0]
    assert (found["labelled"], found["agreed"]) == (1, 0)


def test_texts_do_not_pass_for_labels(http: TestClient) -> None:
    words = [f"w{number}" for number in range(MAX_LABELS + 1)]
    say(http, *({"requestId": request_id(None), "expert": word} for word in words[:-1]))
    one_more = http.post("/v1/feedback", json={"requestId": request_id(None), "expert": words[-1]})
    assert one_more.status_code == 422 and "never texts" in one_more.text and words[-1] not in one_more.text
    say(http, {"requestId": request_id(None), "expert": words[0]})
    say(http, {"requestId": request_id(None, service="other"), "expert": words[-1]})


def test_no_text_of_a_patient_is_in_a_table(http: TestClient, database: str) -> None:
    secret = "Zebulon Quimby, born 1931-07-04, MRN 8812"
    marks = ("Zebulon", "Quimby", "1931-07-04", "8812")
    one = request_id(secret)
    say(http, {"requestId": one, "predicted": "DENIED", "reviewer": secret})
    for body in (
        *({"requestId": one, name: secret} for name in ("predicted", "expert", "accepted", "editRate", "satisfaction", "comment")),
        {"requestId": secret},
        secret,
    ):
        answer = http.post("/v1/feedback", json=body)
        assert answer.status_code in {401, 422} and not any(mark in answer.text for mark in marks)
    for change in ({"references": {secret: True}}, {"instance": "x", "arms": secret}):
        assert http.post("/v1/traffic", json=report(1, {}) | change, headers=BEARER).status_code == 422
    with connect(database).connect() as connection:
        kept = [str(row) for table in METADATA.sorted_tables for row in connection.execute(select(table))]
    assert len(kept) >= 3 and not [row for row in kept if any(mark in row for mark in marks)]
