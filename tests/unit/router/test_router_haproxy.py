"""The real HAProxy, steered by the agent's own code, in front of stub replicas on loopback ports."""

import http.client
import json
import math
import os
import shutil
import signal
import socket
import subprocess
import sys
import threading
import time
from collections import Counter
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field, replace
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given
from hypothesis import settings as hypothesis_settings
from hypothesis import strategies as st

from regimen.spec.routing import Routing
from regimen_feedback.identity import ForgedError, reference_hash, service_key, verify
from regimen_router.agent import Steward, outlive_haproxy
from regimen_router.body import BODY_LIMIT, FIELDS
from regimen_router.haproxy import SMALL_BODY
from regimen_router.plan import Desired, Pod
from regimen_router.route import bucket, subject_hash
from regimen_router.runtime import HaproxyError, Runtime, lives
from regimen_router.settings import Settings
from regimen_router.traffic import Request, parse

os.environ["PATH"] += os.pathsep + "/usr/sbin"
if shutil.which("haproxy") is None:
    pytest.skip("HAPROXY IS NOT INSTALLED: the router is not tested", allow_module_level=True)

sys.path.insert(0, str(Path(__file__).parent))
from stub_backend import Stub, free_port

MASTER = bytes(range(32))
EPOCH = "0d5b2c1e-0000-4000-8000-000000000001"
CHILD = (
    "import sys, pathlib; from regimen_router import haproxy, large; from regimen_router.settings import Settings;"
    "role, folder, port, log, key = sys.argv[1:];"
    "{'haproxy': haproxy, 'large': large}[role].run(Settings('business', 'claims', key, decides_label=True, folder=pathlib.Path(folder), port=int(port), log_port=int(log), grace=1,"
    "drain_timeout=4, review_url_template='https://claims.example/cases/{reference}?view=expert'))"
)


@dataclass
class Answer:
    status: int
    headers: dict[str, str]
    body: dict[str, object]


@dataclass
class Router:
    """Both HAProxy processes, their steward, their log, and four replicas: a1, a2 of v1 and b1, b2 of v2."""

    settings: Settings
    process: subprocess.Popen[bytes]
    large: subprocess.Popen[bytes]
    stubs: dict[str, Stub]
    steward: Steward
    wanted: list[Desired]
    lines: list[Request] = field(default_factory=list)

    def stop(self) -> None:
        for process in (self.process, self.large):
            process.kill()
            process.wait(5)

    def want(self, **changes: object) -> None:
        """Change the routing and bring it about."""
        wanted = self.wanted[0]
        generation = wanted.routing.generation + 1
        base = {"salt": "s1", "epoch": EPOCH, "stable": {"version": "v1", "weight": 80}, "candidate": {"version": "v2", "weight": 20}}
        routing = Routing.model_validate(base | {"generation": generation} | changes)
        self.wanted[0] = replace(wanted, routing=routing)
        self.steward.sync()
        assert self.steward.state.generation == generation

    def complete(self) -> bool:
        """Whether all four replicas are up."""
        self.steward.sync()
        state = self.steward.state
        return [arm.servers for arm in (state.stable, state.candidate) if arm] == [["a1", "a2"], ["b1", "b2"]]

    def ask(
        self,
        subject: str | None = None,
        path: str = "/v1/chat/completions",
        method: str = "POST",
        body: bytes | None = b"{}",
        connection: http.client.HTTPConnection | None = None,
        **headers: str,
    ) -> Answer:
        connection = connection or self.connect()
        sent = {name.replace("_", "-"): value for name, value in headers.items()} | ({"X-Subject": subject} if subject else {})
        connection.request(method, path, body if method == "POST" else None, sent)
        answer = connection.getresponse()
        return Answer(answer.status, {name.lower(): value for name, value in answer.getheaders()}, json.loads(answer.read()))

    def connect(self) -> http.client.HTTPConnection:
        return http.client.HTTPConnection("127.0.0.1", self.settings.port, timeout=40)

    def versions(self, subjects: list[str]) -> dict[str, str]:
        """Version by subject, asked over a few connections at once."""

        def some(part: list[str]) -> dict[str, str]:
            connection = self.connect()
            return {name: self.ask(name, connection=connection).headers["x-regimen-version"] for name in part}

        found: dict[str, str] = {}
        with ThreadPoolExecutor(4) as pool:
            for part in pool.map(some, [subjects[start::4] for start in range(4)]):
                found |= part
        return found

    def subject_of(self, version: str) -> str:
        """A subject of that arm under the standard routing."""
        return next(f"who-{n}" for n in range(1_000) if (bucket("s1", f"who-{n}") < 2_000) == (version == "v2"))

    def logged(self, count: int) -> list[Request]:
        until(lambda: len(self.lines) >= count)
        return self.lines


def until(condition: object, seconds: float = 20) -> None:
    deadline = time.monotonic() + seconds
    while not condition():  # type: ignore[operator]
        assert time.monotonic() < deadline, "it did not come about"
        time.sleep(0.02)


def collect(receiver: socket.socket, lines: list[Request]) -> None:
    while True:
        request = parse(receiver.recv(4096).decode())
        if request:
            lines.append(request)


def spawn(role: str, settings: Settings) -> subprocess.Popen[bytes]:
    argv = [role, str(settings.folder), str(settings.port), str(settings.log_port), settings.signing_key]
    return subprocess.Popen([sys.executable, "-c", CHILD, *argv])


def start(folder: Path) -> Router:
    receiver = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
    receiver.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4 * 1024 * 1024)
    receiver.bind(("127.0.0.1", 0))
    key = service_key(MASTER, "business", "claims").hex()
    settings = Settings("business", "claims", key, folder=folder, port=free_port(), log_port=receiver.getsockname()[1])
    process, large = spawn("haproxy", settings), spawn("large", settings)
    stubs = {name: Stub(name).start() for name in ("a1", "a2", "b1", "b2")}
    pods = tuple(Pod(name, "v1" if name < "b" else "v2", f"127.0.0.1:{stub.port}") for name, stub in stubs.items())
    first = Routing.model_validate({"generation": 1, "salt": "s1", "stable": {"version": "v1", "weight": 100}})
    wanted = [Desired(first, pods)]
    steward = Steward(settings, Runtime(settings.socket, settings.route_map), lambda: wanted[0])
    router = Router(settings, process, large, stubs, steward, wanted)
    threading.Thread(target=collect, args=(receiver, router.lines), daemon=True).start()
    until(lambda: settings.socket.exists() and settings.bodies.exists())
    return router


@pytest.fixture(scope="module")
def running(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Router]:
    router = start(tmp_path_factory.mktemp("run"))
    yield router
    router.stop()


@pytest.fixture
def router(running: Router) -> Router:
    """80 % to v1, 20 % to v2, all replicas well."""
    running.want()
    for stub in running.stubs.values():
        stub.mode, stub.requests, stub.delay, stub.words, stub.held = "ok", 0, 1.0, 4, False
        stub.start()
    until(running.complete)
    running.lines.clear()
    return running


def test_a_fifth_of_the_subjects_and_always_the_same(router: Router) -> None:
    subjects = [f"patient-{number}" for number in range(5_000)]
    first = router.versions(subjects)
    share, sigma = sum(version == "v2" for version in first.values()), math.sqrt(5_000 * 0.2 * 0.8)
    assert abs(share - 1_000) < 3 * sigma
    assert first == {name: "v2" if bucket("s1", name) < 2_000 else "v1" for name in subjects}
    some = subjects[::25]
    assert router.versions(some) == {name: first[name] for name in some}
    lines = router.logged(5_200)
    assert {line.subject for line in lines} == {subject_hash("s1", name) for name in subjects}
    assert Counter(line.version for line in lines)["v2"] == share + sum(first[name] == "v2" for name in some)
    assert not any(line.failed for line in lines) and {line.epoch for line in lines} == {EPOCH}


def test_weights_change_and_roles_swap_without_a_reload(router: Router) -> None:
    subjects, pid = [f"p-{number}" for number in range(200)], router.process.pid
    before = router.versions(subjects)
    router.want(stable={"version": "v1", "weight": 40}, candidate={"version": "v2", "weight": 60})
    after = router.versions(subjects)
    assert {name for name in subjects if before[name] == "v2"} < {name for name in subjects if after[name] == "v2"}
    router.want(stable={"version": "v2", "weight": 100}, candidate=None, epoch="-")
    assert set(router.versions(subjects).values()) == {"v2"}
    router.want(stable={"version": "v1", "weight": 100}, candidate=None, epoch="-")
    assert set(router.versions(subjects).values()) == {"v1"}
    assert router.process.poll() is None and router.process.pid == pid


def test_a_promotion_under_load_sends_nothing_to_the_wrong_version(router: Router) -> None:
    router.want(stable={"version": "v1", "weight": 0}, candidate={"version": "v2", "weight": 100})
    seen: list[tuple[int, object]] = []
    stop = threading.Event()

    def load() -> None:
        connection = router.connect()
        while not stop.is_set():
            answer = router.ask(connection=connection)
            seen.append((answer.status, answer.body.get("by")))

    threads = [threading.Thread(target=load) for _ in range(3)]
    for thread in threads:
        thread.start()
    for _ in range(5):
        router.want(stable={"version": "v2", "weight": 100}, candidate=None)
        router.want(stable={"version": "v1", "weight": 0}, candidate={"version": "v2", "weight": 100})
    stop.set()
    for thread in threads:
        thread.join(5)
    assert len(seen) > 20 and {status for status, _ in seen} == {200} and {by for _, by in seen} <= {"b1", "b2"}


def test_ids_are_signed_as_the_feedback_service_checks_them(router: Router) -> None:
    for subject in ("anna", "Müller, Ärztin", "x" * 300, None):
        answer = router.ask(subject.encode().decode("latin-1") if subject else None)
        identity = verify(MASTER, answer.headers["x-regimen-request-id"])
        assert (identity.namespace, identity.service, identity.epoch) == ("business", "claims", EPOCH)
        assert identity.version == answer.headers["x-regimen-version"]
        assert len(identity.uuid) == 36 and len(identity.subject) == 8
        assert subject is None or identity.subject == subject_hash("s1", subject)
    with pytest.raises(ForgedError):
        verify(MASTER, answer.headers["x-regimen-request-id"][:-1] + "g")
    assert answer.headers["x-regimen-decision"] == "recommendation; a person decides"


def test_without_a_subject_every_request_is_one(router: Router) -> None:
    identities = [verify(MASTER, router.ask().headers["x-regimen-request-id"]) for _ in range(60)]
    assert len({identity.subject for identity in identities}) == 60
    assert {identity.version for identity in identities} == {"v1", "v2"}


def test_audit_is_drawn_independently_of_the_arm(router: Router) -> None:
    router.want(auditFraction=0.3)
    connection = router.connect()
    answers = [router.ask(f"p-{number}", connection=connection) for number in range(600)]
    audited = [answer for answer in answers if answer.headers.get("x-regimen-audit") == "true"]
    assert abs(len(audited) - 180) < 4 * math.sqrt(600 * 0.3 * 0.7)
    assert all(verify(MASTER, answer.headers["x-regimen-request-id"]).audit == (answer in audited) for answer in answers)
    share = sum(answer.headers["x-regimen-version"] == "v2" for answer in audited) / len(audited)
    assert abs(share - 0.2) < 4 * math.sqrt(0.2 * 0.8 / len(audited))


def test_headers_are_stripped_both_ways(router: Router) -> None:
    answer = router.ask("anna", "/v1/chat/completions?name=anna", X_Regimen_Version="v9", x_regimen_audit="true", Accept="text/html")
    stub = router.stubs[str(answer.body["by"])]
    assert not [name for name in stub.headers if name.startswith("x-regimen") or name == "x-subject"]
    assert stub.headers["accept"] == "text/html" and stub.headers[":target"] == "/v1/chat/completions"
    assert answer.headers["x-regimen-version"] in {"v1", "v2"} and "access-control-allow-origin" not in answer.headers
    assert "x-regimen-audit" not in answer.headers


@pytest.mark.parametrize(
    ("request_", "status"),
    [
        ({"path": "/slots", "method": "GET"}, 404),
        ({"path": "/metrics", "method": "GET"}, 404),
        ({"path": "/"}, 404),
        ({"path": "/v1/chat/completions/"}, 404),
        ({"method": "GET"}, 405),
        ({"method": "OPTIONS"}, 405),
        ({"path": "/health"}, 405),
        ({"path": "/v1/models", "method": "GET"}, 200),
        ({"path": "/health", "method": "GET"}, 200),
        ({"path": "/v1/completions"}, 200),
        ({"body": b'{"n_discard": 7}'}, 400),
        ({"body": rb'{"n_\u0064iscard":7}'}, 400),
        ({"body": b'{"prompt": "\\"n_discard\\": 7", "metadata": {"n_discard": "7"}, "stream" : true}'}, 200),
        ({"body": b'{"prompt": "' + b"x" * (SMALL_BODY - 13) + b'"}'}, 200),
        ({"body": b'{"prompt": "' + b"x" * (SMALL_BODY - 12) + b'"}'}, 200),
        ({"body": b'{"n_discard": 1, "prompt": "' + b"x" * (SMALL_BODY - 50) + b'"}'}, 400),
        ({"body": b'{"prompt": "' + b"x" * 1_000_000 + b'"}'}, 200),
        ({"body": b'{"prompt": "' + b"x" * 1_000_000 + b'", "n_discard": 7}'}, 400),
        ({"body": b'{"prompt": [' + b"1, " * 500_000 + b'1], "n_discard": 7}'}, 400),
        ({"body": b'{"prompt": [' + b"1, " * 500_000 + b'1], "stop": ["7"]}'}, 200),
        ({"body": b'{"prompt": "x"}' + b" " * (BODY_LIMIT - 15)}, 200),
        ({"body": b'{"prompt": "x"}' + b" " * (BODY_LIMIT - 14)}, 413),
        ({"body": b"x" * 8_000_000}, 413),
        ({"body": b'{"prompt": "x"}{"n_discard": 7}'}, 400),
        ({"body": b'{"prompt": "x"}\x00{"n_discard": 7}'}, 400),
        ({"body": b'{"prompt": "\x00"}'}, 400),
        ({"body": b'{"prompt": ' + b"[" * 150 + b"]" * 150 + b"}"}, 200),
        ({"body": b'{"prompt": ' + b"[" * 100_000 + b"]" * 100_000 + b"}"}, 400),
        ({"body": b"[]"}, 400),
        ({"body": b""}, 400),
        ({"X_Reference": "x" * 257}, 400),
        ({"Content_Encoding": "gzip"}, 415),
        ({"X_Large": "x" * 17_000}, 431),
    ],
)
def test_only_what_is_allowed_gets_through(router: Router, request_: dict[str, object], status: int) -> None:
    answer = router.ask("anna", **request_)  # type: ignore[arg-type]
    assert answer.status == status
    assert ("x-regimen-request-id" in answer.headers) == (status == 200)
    if status != 200:
        assert answer.body["error"]["code"] == status and sum(stub.requests for stub in router.stubs.values()) == 0  # type: ignore[index]


def in_chunks(router: Router, chunks: list[bytes]) -> http.client.HTTPResponse:
    connection = router.connect()
    connection.request("POST", "/v1/completions", iter(chunks), encode_chunked=True, headers={"Transfer-Encoding": "chunked"})
    return connection.getresponse()


def test_chunks_hide_nothing(router: Router) -> None:
    long = [b'{"prompt": "', *([b"x" * 1_000] * 1_000), b'"']
    assert in_chunks(router, [*long, b"}"]).status == 200
    assert in_chunks(router, [*long, b', "n_dis', b'card": 1}']).status == 400
    assert in_chunks(router, [b"x" * 1_000] * (BODY_LIMIT // 1_000 + 1)).status == 413


@pytest.mark.parametrize(
    ("body", "named"),
    [
        (b'{"model": "a:b", "messages": [{"role": "x"}], "n_discard" : 7, "top_p": 1}', "n_discard"),
        (b'{"metadata": {"lora": 1}, "lora": []}', "lora"),
        (b'{"\\"": 1}', "other characters"),
        (b'{"model": "x" "top_p": 1}', "not a JSON object"),
        (b'{"name of a patient": 1}', "other characters"),
    ],
)
def test_a_refusal_names_the_field_and_the_remedy(router: Router, body: bytes, named: str) -> None:
    answer = router.ask("anna", body=body)
    assert answer.status == 400 and named in answer.body["error"]["message"]  # type: ignore[index]
    assert "patient" not in str(answer.body)


def test_a_large_body_has_an_arm_an_id_and_another_try_like_any(router: Router) -> None:
    subject, body = router.subject_of("v2"), b'{"prompt": "' + b"x" * 1_000_000 + b'"}'
    router.stubs["b1"].mode = "mute"
    answers = []
    until(lambda: answers.append(router.ask(subject, body=body, X_Reference="C1")) or router.stubs["b1"].requests)
    assert {(answer.status, answer.body["by"], answer.body["length"]) for answer in answers} == {(200, "b2", len(body))}
    assert all(answer.headers["x-regimen-version"] == "v2" and "x-regimen-review-url" in answer.headers for answer in answers)
    assert verify(MASTER, answers[0].headers["x-regimen-request-id"]).subject == subject_hash("s1", subject)
    # Every try is a line of its own, as many as b1 left without an answer.
    lines, mute = router.logged(len(answers) + 1), router.stubs["b1"].requests
    assert sum(line.failed for line in lines) == mute >= 1 and {line.version for line in lines} == {"v2"}


VALUES = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False, allow_infinity=False) | st.text(max_size=20),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(max_size=8), inner, max_size=4),
    max_leaves=12,
)
NAMES = st.sampled_from(FIELDS) | st.sampled_from(["n_discard", "Model", "model ", ""]) | st.text(max_size=8)


@hypothesis_settings(max_examples=200, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(st.dictionaries(NAMES, VALUES, max_size=5), st.booleans(), st.sampled_from([None, 1]))
def test_exactly_objects_of_known_fields_get_through(router: Router, body: dict[str, object], ascii_only: bool, indent: int | None) -> None:
    text = json.dumps(body, ensure_ascii=ascii_only, indent=indent).encode("utf-8", "surrogatepass")
    assert router.ask("anna", body=text).status == (200 if set(body) <= set(FIELDS) else 400)


@hypothesis_settings(max_examples=200, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(st.integers(0, 40), st.sampled_from([b"", b"{", b"}", b'"', b"\\", b",", b":", b"[", b"0", b"x", b"\x01", b"\n"]))
def test_what_json_refuses_is_refused(router: Router, at: int, inserted: bytes) -> None:
    text = b'{"model": "a\\n", "n": [1, -2.5e3, null], "stop": {}}'
    text = text[:at] + inserted + text[at + 1 :]
    try:
        whole = set(json.loads(text)) <= set(FIELDS) and text.lstrip()[:1] == b"{"
    except ValueError:
        whole = False
    assert router.ask("anna", body=text).status == (200 if whole else 400)


def test_a_failed_attempt_is_repeated_within_its_arm_and_counts(router: Router) -> None:
    subject = router.subject_of("v2")
    router.stubs["b1"].mode = "mute"
    answers = [router.ask(subject) for _ in range(4)]
    assert {answer.status for answer in answers} == {200} and {answer.body["by"] for answer in answers} == {"b2"}
    assert router.stubs["a1"].requests + router.stubs["a2"].requests == 0
    lines = router.logged(4)
    assert {line.version for line in lines} == {"v2"} and any(line.failed for line in lines)


def test_a_dead_replica_is_out_and_nobody_notices(router: Router) -> None:
    subject, stub = router.subject_of("v2"), router.stubs["b1"]
    for name in ("b1", "b2"):
        router.stubs[name].mode, router.stubs[name].delay = "slow", 0.3
    stub.held = True
    with ThreadPoolExecutor(6) as pool:
        held = [pool.submit(router.ask, subject) for _ in range(6)]
        until(lambda: stub.requests > 0 and router.stubs["b2"].requests > 0)
        stub.kill()
        assert {answer.result().status for answer in held} == {200} and {answer.result().body["by"] for answer in held} == {"b2"}
    router.stubs["b2"].mode = stub.mode = "ok"
    until(lambda: not router.complete())
    assert router.steward.ready and router.ask(subject).body["by"] == "b2"
    assert router.stubs["a1"].requests + router.stubs["a2"].requests == 0
    lines = router.logged(7)
    assert {line.version for line in lines} == {"v2"} and sum(line.failed for line in lines) >= 1


def test_streams_pass_as_they_come_and_a_cut_one_is_counted(router: Router) -> None:
    subject = router.subject_of("v2")
    for name in ("b1", "b2"):
        router.stubs[name].mode, router.stubs[name].delay = "stream", 0.1
    connection = router.connect()
    for _ in range(2):  # the same connection twice: answers without a length keep it alive
        for name in ("b1", "b2"):
            router.stubs[name].held = True
        connection.request("POST", "/v1/chat/completions", b'{"stream": true}', {"X-Subject": subject})
        answer = connection.getresponse()
        assert answer.readline() == b"data: 0\n"
        for name in ("b1", "b2"):
            router.stubs[name].held = False
        assert answer.read() == b"\ndata: 1\n\ndata: 2\n\ndata: 3\n\n"
    for name in ("b1", "b2"):
        router.stubs[name].words = 100
    connection.request("POST", "/v1/chat/completions", b'{"stream": true}', {"X-Subject": subject})
    answer = connection.getresponse()
    answer.readline()
    for name in ("b1", "b2"):
        router.stubs[name].kill()
    with pytest.raises(http.client.IncompleteRead):
        answer.read()
    lines = router.logged(3)
    assert [(line.failed, line.cut, line.status) for line in lines] == [(False, False, 200), (False, False, 200), (True, True, 200)]
    assert lines[0].first_byte < lines[0].total - 200


def test_a_reference_opens_the_case_and_only_its_hash_is_kept(router: Router) -> None:
    key = service_key(MASTER, "business", "claims")
    for reference, escaped in (("CLM-0042", "CLM-0042"), ("a b/?&é", "a%20b%2F%3F%26%C3%A9")):
        answer = router.ask("anna", X_Reference=reference.encode().decode("latin-1"))
        assert answer.headers["x-regimen-review-url"] == f"https://claims.example/cases/{escaped}?view=expert"
        assert verify(MASTER, answer.headers["x-regimen-request-id"]).reference == reference_hash(key, reference)
        assert "x-reference" not in router.stubs[str(answer.body["by"])].headers
        assert router.logged(1).pop().reference == reference_hash(key, reference)
    answer = router.ask("anna", X_Regimen_Review_Url="https://evil.example")
    assert "x-regimen-review-url" not in answer.headers and verify(MASTER, answer.headers["x-regimen-request-id"]).reference == "-"


def test_draining_lets_requests_finish_and_sends_no_more(router: Router) -> None:
    subject, slow = router.subject_of("v2"), router.stubs["b1"]
    slow.mode = router.stubs["b2"].mode = "slow"
    slow.held = router.stubs["b2"].held = True
    with ThreadPoolExecutor(2) as pool:
        # One after the other: two at the same instant may both be given to the same replica.
        held = [pool.submit(router.ask, subject)]
        until(lambda: slow.requests + router.stubs["b2"].requests == 1)
        held.append(pool.submit(router.ask, subject))
        until(lambda: slow.requests == 1)
        router.want(candidate={"version": "v2", "weight": 20, "draining": ["b1"]})
        candidate = router.steward.state.candidate
        assert candidate and (candidate.servers, candidate.draining, candidate.in_flight) == (["b2"], ["b1"], 2)
        slow.held = router.stubs["b2"].held = False
        assert {answer.result().body["by"] for answer in held} == {"b1", "b2"}
    router.stubs["b2"].mode = "ok"
    assert {router.ask(subject).body["by"] for _ in range(6)} == {"b2"}


def test_requests_wait_for_a_replica_or_another_route(router: Router) -> None:
    subject = router.subject_of("v2")
    router.want(candidate={"version": "v2", "weight": 20, "draining": ["b1", "b2"]})
    with ThreadPoolExecutor(2) as pool:
        held = pool.submit(router.ask, subject)
        time.sleep(0.4)
        assert not held.done()
        assert router.ask(router.subject_of("v1")).status == 200
        router.want(candidate={"version": "v2", "weight": 20, "draining": ["b1"]})
        assert held.result(2).body["by"] == "b2"
        router.want(candidate={"version": "v2", "weight": 20, "draining": ["b1", "b2"]})
        held = pool.submit(router.ask, subject)
        time.sleep(0.2)
        router.want(stable={"version": "v1", "weight": 100}, candidate=None)
        answer = held.result(2)
    assert answer.headers["x-regimen-version"] == "v1" and answer.body["by"] in {"a1", "a2"}
    assert verify(MASTER, answer.headers["x-regimen-request-id"]).version == "v1"


def test_a_request_that_waits_is_not_let_go_by_a_route_that_helps_nobody(router: Router) -> None:
    """A node that is drained takes the candidate's last replica, then one of stable's: the share changes, and nobody is there yet."""
    subject = router.subject_of("v2")
    gone: dict[str, object] = {"version": "v2", "weight": 20, "draining": ["b1", "b2"]}
    router.want(candidate=gone)
    with ThreadPoolExecutor(2) as pool:
        held = [pool.submit(router.ask, subject) for _ in range(2)]
        time.sleep(0.3)
        for weight in (33, 50):
            router.want(stable={"version": "v1", "weight": 100 - weight}, candidate=gone | {"weight": weight})
            time.sleep(0.3)
            assert not any(answer.done() for answer in held)
        router.want(stable={"version": "v1", "weight": 100}, candidate=gone | {"weight": 0})
        assert {(answer.result(2).status, answer.result().headers["x-regimen-version"]) for answer in held} == {(200, "v1")}


def test_a_restart_is_made_good_and_a_new_agent_changes_nothing(router: Router, tmp_path: Path) -> None:
    other = start(tmp_path)
    try:
        other.want()
        until(other.complete)
        again = Steward(other.settings, Runtime(other.settings.socket, other.settings.route_map), lambda: other.wanted[0])
        again.sync()
        assert again.state == other.steward.state and again.ready
        other.process.kill()
        other.process.wait(5)
        again.sync()
        assert not again.ready and not lives(other.settings.lock)
        other.process = spawn("haproxy", other.settings)
        until(lambda: again.sync() or again.ready)
        assert other.ask("anna").headers["x-regimen-version"] in {"v1", "v2"}
    finally:
        other.stop()


def test_stopping_finishes_requests_and_the_agent_stays_for_them(tmp_path: Path) -> None:
    other = start(tmp_path)
    try:
        other.want()
        until(other.complete)
        for stub in other.stubs.values():
            stub.mode, stub.delay = "slow", 2
        runtime = Runtime(other.settings.socket, other.settings.route_map)
        with ThreadPoolExecutor(1) as pool:
            held = pool.submit(other.ask, "anna")
            until(lambda: sum(stub.requests for stub in other.stubs.values()) == 1)
            other.process.send_signal(signal.SIGUSR1)
            outlive_haproxy(runtime, other.settings, other.steward.sync)
            assert held.result(1).status == 200
        assert other.process.wait(2) == 0 and len(other.logged(1)) == 1
        with pytest.raises(HaproxyError):
            runtime.observe()
    finally:
        other.stop()


def test_what_still_runs_at_the_drain_timeout_is_cut_and_counted(tmp_path: Path) -> None:
    other = start(tmp_path)
    try:
        other.want()
        until(other.complete)
        for stub in other.stubs.values():
            stub.mode, stub.words, stub.delay = "stream", 100, 0.5
        connection = other.connect()
        connection.request("POST", "/v1/completions", b"{}")
        answer = connection.getresponse()
        other.process.send_signal(signal.SIGUSR1)
        with pytest.raises(http.client.IncompleteRead):
            answer.read()
        outlive_haproxy(Runtime(other.settings.socket, other.settings.route_map), other.settings, other.steward.sync)
        assert other.process.wait(5) == 0
        assert [(line.cut, line.failed, line.total >= 4_000) for line in other.logged(1)] == [(True, True, True)]
    finally:
        other.stop()


def test_a_routing_that_cannot_be_carried_out_leaves_the_agent_ready(router: Router) -> None:
    wanted = router.wanted[0]
    try:
        router.wanted[0] = replace(wanted, routing=wanted.routing.model_copy(update={"epoch": "a|b", "generation": 10_000}))
        router.steward.sync()
        assert router.steward.ready and router.steward.state.generation == wanted.routing.generation
        assert Routing.model_validate_json(router.settings.last_good.read_text()) == wanted.routing
    finally:
        router.wanted[0] = wanted
