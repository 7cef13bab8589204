"""The feedback service over HTTP, on both databases."""

from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from typing import Any
from uuid import uuid4

import pytest
from fastapi.testclient import TestClient
from hypothesis import given
from hypothesis import strategies as st
from sqlalchemy import func, select

from regimen.spec.routing import LATENCY_BUCKETS_MS, ArmEvidence, Evidence
from regimen_feedback.app import create_app
from regimen_feedback.identity import ForgedError, RequestIdentity, bearer_matches, service_key, sign, verify
from regimen_feedback.tables import OUTCOMES, SUBJECTS, connect

MASTER = bytes(range(32))
BEARER = {"Authorization": f"Bearer {service_key(MASTER, 'business', 'claims').hex()}"}
EVIDENCE = "/v1/evidence/business/claims/e1"


@pytest.fixture
def http(database: str) -> Iterator[TestClient]:
    with TestClient(create_app(connect(database), MASTER)) as client:
        yield client


def request_id(version: str = "v1", subject: str = "00000001", epoch: str = "e1", audit: bool = False, service: str = "claims") -> str:
    return sign(MASTER, RequestIdentity("business", service, version, epoch, subject, audit, str(uuid4())))


def say(http: TestClient, *outcomes: dict[str, Any]) -> dict[str, int]:
    answer = http.post("/v1/feedback", json=list(outcomes))
    assert answer.status_code == 202, answer.text
    found: dict[str, int] = answer.json()
    return found


def known(http: TestClient, url: str = EVIDENCE) -> dict[str, ArmEvidence]:
    answer = http.get(url, headers=BEARER)
    assert answer.status_code == 200, answer.text
    return {arm.version: arm for arm in Evidence.model_validate_json(answer.content).arms}


def arm(version: str = "v1", epoch: str = "e1", subjects: dict[str, int] | None = None) -> dict[str, Any]:
    latency = [0] * (len(LATENCY_BUCKETS_MS) + 1)
    latency[4], latency[-1] = 2, 1
    first_token = [*latency[1:], 0]
    return {
        "version": version,
        "epoch": epoch,
        "requests": 3,
        "errors": 1,
        "latency": latency,
        "firstToken": first_token,
        "cut": 1,
        "audited": 2,
        "subjects": subjects or {},
    }


def report(sequence: int, *arms: dict[str, Any], instance: str = "i1") -> dict[str, Any]:
    return {"namespace": "business", "service": "claims", "instance": instance, "sequence": sequence, "arms": list(arms)}


NAMES = st.from_regex(r"[a-z0-9.-]{1,40}", fullmatch=True)


@given(
    namespace=NAMES, service=NAMES, version=NAMES, epoch=NAMES, audit=st.booleans(), subject=st.from_regex("[0-9a-f]{8}", fullmatch=True)
)
def test_an_id_reads_back(namespace: str, service: str, version: str, epoch: str, audit: bool, subject: str) -> None:
    identity = RequestIdentity(namespace, service, version, epoch, subject, audit, "u")
    assert verify(MASTER, sign(MASTER, identity)) == identity
    with pytest.raises(ForgedError):
        verify(MASTER[::-1], sign(MASTER, identity))


@given(st.text(max_size=60))
def test_no_text_is_an_id(text: str) -> None:
    with pytest.raises(ForgedError):
        verify(MASTER, text)


@given(st.text(max_size=60))
def test_no_text_is_a_key(text: str) -> None:
    assert not bearer_matches(MASTER, "business", "claims", text)


def test_an_id_of_one_service_does_not_pass_for_another() -> None:
    payload, mac = request_id(service="other").split(".")
    with pytest.raises(ForgedError):
        verify(MASTER, f"{request_id().split('.')[0]}.{mac}")
    with pytest.raises(ForgedError):
        verify(MASTER, f"{payload}.{mac[:-1]}")


def test_one_and_many_and_a_correction(http: TestClient) -> None:
    one = request_id()
    assert http.post("/v1/feedback", json={"requestId": one, "predicted": "APPROVED"}).json() == {
        "accepted": 1,
        "replaced": 0,
        "contradicted": 0,
    }
    assert known(http)["v1"].labelled == 0
    assert say(http, {"requestId": one, "expert": "DENIED"}, {"requestId": request_id(), "accepted": True}) == {
        "accepted": 2,
        "replaced": 1,
        "contradicted": 0,
    }
    assert (known(http)["v1"].labelled, known(http)["v1"].agreed) == (1, 0)
    assert say(http, {"requestId": one, "expert": "DENIED"}, {"requestId": one, "expert": "APPROVED"}) == {
        "accepted": 2,
        "replaced": 1,
        "contradicted": 1,
    }
    assert (known(http)["v1"].labelled, known(http)["v1"].agreed) == (1, 1)
    say(http, {"requestId": one, "expert": None})
    assert known(http)["v1"].labelled == 0


def test_what_was_acknowledged_is_there_after_a_restart(http: TestClient, database: str) -> None:
    say(http, *({"requestId": request_id(), "accepted": True} for _ in range(1_000)))
    with TestClient(create_app(connect(database), MASTER)) as again:
        assert known(again)["v1"].accepted == 1_000


def test_a_forged_id_stops_the_whole_batch(http: TestClient) -> None:
    answer = http.post("/v1/feedback", json=[{"requestId": request_id()}, {"requestId": request_id()[:-1] + "x", "accepted": True}])
    assert answer.status_code == 401 and "outcome 1" in answer.text
    assert known(http) == {}


@pytest.mark.parametrize(
    ("outcome", "named"),
    [
        ({"predicted": "x" * 65}, "predicted"),
        ({"predicted": "Patient: J. Doe"}, "predicted"),
        ({"expert": ""}, "expert"),
        ({"satisfaction": 6}, "satisfaction"),
        ({"satisfaction": "5"}, "satisfaction"),
        ({"editRate": 1.5}, "editRate"),
        ({"editRate": -0.1}, "editRate"),
        ({"accepted": "yes"}, "accepted"),
        ({"expert": "Needs review"}, "expert"),
        ({"reviewer": ""}, "reviewer"),
        ({"reviewer": "x" * 257}, "reviewer"),
        ({"comment": "she said"}, "comment"),
        ({"requestId": 5}, "requestId"),
        ({"predicted": "APPROVED\n"}, "predicted"),
    ],
)
def test_a_wrong_field_is_named_and_not_repeated(http: TestClient, outcome: dict[str, Any], named: str) -> None:
    for body in (body_of(outcome), [body_of({}), body_of(outcome)]):
        answer = http.post("/v1/feedback", json=body)
        assert answer.status_code == 422
        assert answer.json()["detail"][0]["field"].endswith(named)
        assert not any(str(value) in answer.text for value in outcome.values() if isinstance(value, str) and len(value) > 4)
    assert known(http) == {}


def body_of(outcome: dict[str, Any]) -> dict[str, Any]:
    return {"requestId": request_id()} | outcome


@pytest.mark.parametrize("body", [b"", b"{", b"[1]", b'"x"', b"null", b'{"requestId": "a", "editRate": NaN}', b"\xff"])
def test_what_is_no_document_is_refused(http: TestClient, body: bytes) -> None:
    assert http.post("/v1/feedback", content=body).status_code == 422


def test_a_batch_has_a_thousand_at_most(http: TestClient) -> None:
    assert http.post("/v1/feedback", json=[{"requestId": "x"}] * 1_001).status_code == 422
    assert http.post("/v1/feedback", content=b" " * (4 * 1024 * 1024 + 1)).status_code == 413


def test_traffic_adds_up_once(http: TestClient) -> None:
    first, second = (
        report(1, arm(subjects={"0000000a": 2, "0000000b": 1})),
        report(2, arm(subjects={"0000000a": 3}), arm("v2", subjects={"0000000c": 3})),
    )
    for document, added in ((first, True), (first, False), (second, True), (second, False), (first, False)):
        answer = http.post("/v1/traffic", json=document, headers=BEARER)
        assert (answer.status_code, answer.json()) == (202, {"added": added})
    http.post("/v1/traffic", json=report(1, arm(subjects={"0000000a": 3}), instance="i2"), headers=BEARER)
    arms = known(http)
    assert (arms["v1"].requests, arms["v1"].errors, arms["v1"].subjects) == (9, 3, 2)
    assert (arms["v2"].requests, arms["v2"].subjects) == (3, 1)
    assert (arms["v1"].latency[4], arms["v1"].latency[-1], sum(arms["v1"].latency)) == (6, 3, 9)
    assert (arms["v1"].cut, arms["v1"].audited, arms["v1"].first_token[3], arms["v1"].first_token[-2]) == (3, 6, 6, 3)


def test_each_subject_s_audits_are_counted_with_their_labels(http: TestClient) -> None:
    def asked(sequence: int, audited: dict[str, int], epoch: str = "e1") -> None:
        subjects = {"0000000a": 5, "0000000b": 3, "0000000c": 2}
        document = report(sequence, arm(epoch=epoch, subjects=subjects) | {"auditedSubjects": audited})
        assert http.post("/v1/traffic", json=document, headers=BEARER).status_code == 202

    asked(1, {"0000000a": 2, "0000000b": 1})
    asked(2, {"0000000a": 1})
    asked(3, {"0000000a": 7}, epoch="e2")
    labelled, half = {"predicted": "DENIED", "expert": "DENIED"}, {"predicted": "DENIED"}
    say(
        http,
        *({"requestId": request_id("v1", "0000000a", audit=True)} | said for said in (labelled, labelled, half)),
        {"requestId": request_id("v1", "0000000a")} | labelled,  # not drawn
        *({"requestId": request_id("v1", "0000000b", audit=True)} | labelled for _ in range(2)),  # the router's report is on its way
        {"requestId": request_id("v1", "0000000c")} | labelled,
    )
    assert known(http)["v1"].audits == [(3, 2), (2, 2)]


def test_outside_a_rollout_subjects_are_not_kept(http: TestClient, database: str) -> None:
    assert http.post("/v1/traffic", json=report(1, arm(epoch="-", subjects={"0000000a": 3})), headers=BEARER).status_code == 202
    assert known(http, "/v1/evidence/business/claims/-")["v1"].requests == 3
    with connect(database).connect() as connection:
        assert connection.scalar(select(func.count()).select_from(SUBJECTS)) == 0


@pytest.mark.parametrize("header", [{}, {"Authorization": "Bearer x"}, {"Authorization": "Basic " + BEARER["Authorization"][7:]}])
def test_routers_and_operator_show_their_key(http: TestClient, header: dict[str, str]) -> None:
    assert http.post("/v1/traffic", json=report(1, arm()), headers=header).status_code == 401
    assert http.get(EVIDENCE, headers=header).status_code == 401
    assert http.get("/v1/evidence/business/other/e1", headers=BEARER).status_code == 401


@pytest.mark.parametrize(
    "change",
    [
        {"latency": [1, 2]},
        {"subjects": {"John Doe": 1}},
        {"auditedSubjects": {"0000000a": 1}},
        {"requests": -1},
        {"requests": "many"},
        {"firstToken": [1]},
    ],
)
def test_a_wrong_report_is_refused(http: TestClient, change: dict[str, Any]) -> None:
    answer = http.post("/v1/traffic", json=report(1, arm() | change), headers=BEARER)
    assert answer.status_code == 422 and "John" not in answer.text
    assert known(http) == {}


def test_evidence_is_what_was_said(http: TestClient) -> None:
    say(
        http,
        *(
            {"requestId": request_id("v1", subject), "predicted": predicted, "expert": expert}
            for subject, predicted, expert in (
                ("0000000a", "DENIED", "DENIED"),
                ("0000000a", "DENIED", "APPROVED"),
                ("0000000b", "APPROVED", "APPROVED"),
                ("0000000b", "NONSENSE", "APPROVED"),
            )
        ),
    )
    say(
        http,
        {"requestId": request_id("v2"), "accepted": True, "satisfaction": 5},
        {"requestId": request_id("v2"), "accepted": False},
        {"requestId": request_id("v2"), "satisfaction": 3.5},
        {"requestId": request_id("v2", "0000000c"), "accepted": True, "editRate": 0.5},
        {"requestId": request_id("v2", "0000000c"), "editRate": 0.25},
        {"requestId": request_id("v2", epoch="other"), "accepted": True},
    )
    arms = known(http)
    assert arms["v1"].model_dump(exclude={"latency", "first_token"}) == {
        "version": "v1",
        "requests": 0,
        "errors": 0,
        "cut": 0,
        "subjects": 0,
        "audited": None,
        "audits": [],
        "labelled": 4,
        "labelled_subjects": 2,
        "agreed": 2,
        "clusters": [(2, 1), (2, 1)],
        "true_positive": {"DENIED": 1, "APPROVED": 1},
        "predicted": {"DENIED": 2, "APPROVED": 1, "NONSENSE": 1},
        "expert": {"DENIED": 1, "APPROVED": 3},
        "unparseable": 1,
        "accepted": 0,
        "accepted_of": 0,
        "acceptance_clusters": [],
        "edit_clusters": [],
        "satisfaction_sum": 0,
        "satisfaction_of": 0,
    }
    assert (arms["v2"].accepted, arms["v2"].accepted_of, arms["v2"].satisfaction_sum, arms["v2"].satisfaction_of) == (2, 3, 8.5, 2)
    assert (arms["v2"].acceptance_clusters, arms["v2"].edit_clusters) == ([(2, 1), (1, 1)], [(2, 0.75)])


def test_evidence_of_the_audit_sample_alone(http: TestClient) -> None:
    both = {"predicted": "DENIED", "expert": "DENIED"}
    say(http, {"requestId": request_id(audit=True)} | both, {"requestId": request_id()} | both)
    assert known(http)["v1"].labelled == 2
    assert known(http, f"{EVIDENCE}?audited_only=true")["v1"].labelled == 1


def test_many_at_once(http: TestClient, database: str) -> None:
    ids = [request_id() for _ in range(40)]
    with ThreadPoolExecutor(8) as pool:
        answers = list(pool.map(lambda part: say(http, *({"requestId": one, "satisfaction": 4} for one in part)), [ids[:30], ids[10:]] * 8))
        added = list(
            pool.map(
                lambda number: http.post("/v1/traffic", json=report(1, arm(), instance=f"i{number % 4}"), headers=BEARER).json()["added"],
                range(16),
            )
        )
    assert sum(answer["accepted"] for answer in answers) == 480 and sum(added) == 4
    assert known(http)["v1"].satisfaction_sum == 160 and known(http)["v1"].requests == 12
    with connect(database).connect() as connection:
        assert connection.scalar(select(func.count()).select_from(OUTCOMES)) == 40


def test_probes_and_metrics(http: TestClient) -> None:
    assert http.get("/healthz").text == "ok\n"
    assert "regimen_feedback_outcomes_accepted_total" in http.get("/metrics").text
    assert http.get("/docs").status_code == 404
