"""Log lines, increments, and that none is lost or sent twice under another number."""

import httpx
import pytest

from regimen.spec.routing import LATENCY_BUCKETS_MS, TrafficReport
from regimen_router import traffic
from regimen_router.settings import Settings, SettingsError
from regimen_router.traffic import Ledger, Reporter, parse

SETTINGS = Settings("ns", "svc", "0" * 64, feedback_url="http://feedback:8090")
LINE = "regimen|v1|e1|0a1b2c3d|-|0|200|120|20|0|--"


def test_a_line_is_read() -> None:
    request = parse(LINE)
    assert request
    assert (request.version, request.epoch, request.subject, request.total, request.first_byte) == ("v1", "e1", "0a1b2c3d", 120, 100)
    assert not request.failed and not request.aborted


@pytest.mark.parametrize(
    ("line", "failed", "aborted"),
    [
        ("regimen|v1|e1|0a1b2c3d|-|0|200|120|20|+1|--", True, False),
        ("regimen|v1|e1|0a1b2c3d|-|0|503|120|0|0|--", True, False),
        ("regimen|v1|e1|0a1b2c3d|-|0|503|120|-1|3|SC", True, False),
        ("regimen|v1|e1|0a1b2c3d|-|0|200|120|20|0|SD", True, False),
        ("regimen|v1|e1|0a1b2c3d|-|0|504|900|0|0|sH", True, False),
        ("regimen|v1|e1|0a1b2c3d|-|0|200|900|20|0|KD", True, False),
        ("regimen|v1|e1|0a1b2c3d|-|0|-1|120|-1|0|CH", False, True),
        ("regimen|v1|e1|0a1b2c3d|-|0|200|120|20|0|CD", False, True),
        ("regimen|v1|e1|0a1b2c3d|-|0|400|120|20|0|--", False, False),
    ],
)
def test_whose_fault_a_request_was(line: str, failed: bool, aborted: bool) -> None:
    request = parse(line)
    assert request and (request.failed, request.aborted) == (failed, aborted)


@pytest.mark.parametrize(
    ("termination", "cut"),
    [("--", False), ("SD", True), ("sD", True), ("SL", True), ("KD", True), ("KH", True), ("SH", False), ("CD", False)],
)
def test_what_was_cut(termination: str, cut: bool) -> None:
    request = parse(LINE.replace("--", termination))
    assert request and request.cut is cut


def test_records_are_remembered_with_whether_a_label_may_follow_the_answer() -> None:
    ledger = Ledger(SETTINGS)
    for reference, audit, status in (
        ("a" * 32, 1, 200),
        ("b" * 32, 0, 200),
        ("c" * 32, 0, 503),
        ("d" * 32, 1, 200),
        ("d" * 32, 0, 200),
        ("-", 0, 200),
    ):
        add(ledger, f"regimen|v1|e1|0a1b2c3d|{reference}|{audit}|{status}|120|20|0|--")
    report = ledger.next_report()
    assert report and report.references == {"a" * 32: False, "b" * 32: True, "d" * 32: True}
    assert (report.arms[0].audited, report.arms[0].requests, sum(report.arms[0].first_token)) == (2, 6, 6)


def test_each_subject_s_requests_are_counted_and_those_drawn_for_audit() -> None:
    ledger = Ledger(SETTINGS)
    for subject, audit in (("0a1b2c3d", 1), ("0a1b2c3d", 0), ("0a1b2c3d", 1), ("99999999", 0)):
        add(ledger, f"regimen|v1|e1|{subject}|-|{audit}|200|120|20|0|--")
    report = ledger.next_report()
    assert report and report.arms[0].subjects == {"0a1b2c3d": 3, "99999999": 1}
    assert report.arms[0].audited_subjects == {"0a1b2c3d": 2}


@pytest.mark.parametrize("line", ["Server slot_0/s1 is UP", "regimen|-|-|-|-|-|404|0|0|0|LR", ""])
def test_other_lines_count_nothing(line: str) -> None:
    assert parse(line) is None


@pytest.mark.parametrize("line", ["regimen|v1", "regimen|v1|e1|0a1b2c3d|-|0|abc|120|20|0|--"])
def test_a_broken_line_is_an_error(line: str) -> None:
    with pytest.raises(ValueError):
        parse(line)


def add(ledger: Ledger, line: str = LINE) -> None:
    request = parse(line)
    assert request
    ledger.add(request)


def test_increments_add_up_while_a_report_is_on_its_way() -> None:
    seen: list[TrafficReport] = []
    fail = True

    def answer(request: httpx.Request) -> httpx.Response:
        assert request.headers["authorization"] == f"Bearer {'0' * 64}"
        seen.append(TrafficReport.model_validate_json(request.content))
        return httpx.Response(503 if fail else 202)

    ledger = Ledger(SETTINGS)
    reporter = Reporter(SETTINGS, ledger, httpx.MockTransport(answer))
    assert reporter.send() and not seen
    add(ledger)
    assert not reporter.send()
    add(ledger)
    add(ledger, "regimen|v2|e1|11111111|-|0|500|99999999|20|0|--")
    assert not reporter.send()
    assert seen[0] == seen[1] and seen[0].sequence == 1
    fail = False
    assert reporter.flush()
    assert [report.sequence for report in seen] == [1, 1, 1, 2]
    assert [(arm.version, arm.requests, arm.errors) for arm in seen[3].arms] == [("v1", 1, 0), ("v2", 1, 1)]
    assert seen[3].arms[1].latency[-1] == 1 and len(seen[3].arms[1].latency) == len(LATENCY_BUCKETS_MS) + 1
    assert seen[3].arms[0].subjects == {"0a1b2c3d": 1}
    assert ledger.next_report() is None


def test_memory_is_bounded(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(traffic, "MAX_SUBJECTS", 2)
    ledger = Ledger(SETTINGS)
    for subject in ("00000001", "00000002", "00000003", "00000001"):
        add(ledger, LINE.replace("0a1b2c3d", subject))
    report = ledger.next_report()
    assert report and report.arms[0].requests == 4 and report.arms[0].subjects == {"00000001": 2, "00000002": 1}


def test_aborted_requests_have_no_latency() -> None:
    ledger = Ledger(SETTINGS)
    add(ledger, LINE.replace("--", "CD"))
    report = ledger.next_report()
    assert report and report.arms[0].requests == 1 and sum(report.arms[0].latency) == 0


@pytest.mark.parametrize(
    ("change", "named"),
    [({"SIGNING_KEY": "xyz"}, "SIGNING_KEY"), ({"SUBJECT_HEADER": "a b"}, "SUBJECT_HEADER"), ({"SERVICE_NAME": None}, "SERVICE_NAME")],
)
def test_the_environment_is_checked(change: dict[str, str | None], named: str) -> None:
    environ = {"SERVICE_NAMESPACE": "ns", "SERVICE_NAME": "svc", "SIGNING_KEY": "ab" * 32} | change
    with pytest.raises(SettingsError, match=named) as caught:
        Settings.from_env({name: value for name, value in environ.items() if value is not None})
    assert "xyz" not in str(caught.value)
