"""The service as a process that is killed in the middle of 100,000 posts, and its database with it."""

import http.client
import json
import signal
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from pathlib import Path
from uuid import uuid4

import pytest
from sqlalchemy import func, select

from regimen_feedback.identity import RequestIdentity, service_key, sign
from regimen_feedback.tables import OUTCOMES, connect

MASTER = bytes(range(32))
POSTS, BATCH, WORKERS = 100_000, 1_000, 4
SECRET = "Zebulon Quimby"
CHILD = (
    "import sys, uvicorn; from regimen import logs; from regimen_feedback.app import create_app; from regimen_feedback.tables import connect;"
    "logs.configure('uvicorn.access'); url, port, key = sys.argv[1:];"
    "uvicorn.run(create_app(connect(url), bytes.fromhex(key)), host='127.0.0.1', port=int(port), log_config=None, access_log=False)"
)


@dataclass
class Service:
    """A process that can be killed and started again."""

    url: str
    log: Path
    port: int = 0
    process: subprocess.Popen[bytes] | None = None
    acknowledged: set[str] = field(default_factory=set)
    lock: threading.Lock = field(default_factory=threading.Lock)

    def __post_init__(self) -> None:
        with socket.socket() as free:
            free.bind(("127.0.0.1", 0))
            self.port = free.getsockname()[1]

    def start(self) -> None:
        with self.log.open("ab") as log:
            self.process = subprocess.Popen([sys.executable, "-c", CHILD, self.url, str(self.port), MASTER.hex()], stderr=log, stdout=log)
        deadline = time.monotonic() + 60
        while self.ask("GET", "/readyz") != 200:
            assert time.monotonic() < deadline and self.process.poll() is None, self.log.read_text()
            time.sleep(0.1)

    def kill(self) -> None:
        assert self.process
        self.process.send_signal(signal.SIGKILL)
        self.process.wait(10)

    def ask(self, method: str, path: str, body: bytes | None = None, **headers: str) -> int:
        """Status of the answer; 0 where there was none."""
        connection = http.client.HTTPConnection("127.0.0.1", self.port, timeout=60)
        try:
            connection.request(method, path, body, headers)
            answer = connection.getresponse()
            answer.read()
            return answer.status
        except OSError:
            return 0
        finally:
            connection.close()

    def post(self, ids: list[str]) -> None:
        """Until it is acknowledged, as a caller would."""
        body = json.dumps([{"requestId": one, "predicted": "DENIED", "expert": "APPROVED"} for one in ids]).encode()
        while self.ask("POST", "/v1/feedback", body) != 202:
            time.sleep(0.05)
        with self.lock:
            self.acknowledged |= set(ids)


@pytest.fixture
def service(database: str, tmp_path: Path) -> Iterator[Service]:
    running = Service(database, tmp_path / "log")
    running.start()
    yield running
    running.kill()


@pytest.fixture
def crash(database: str, request: pytest.FixtureRequest) -> Callable[[], None]:
    """Kills a PostgreSQL and starts it again; a SQLite dies with the service."""
    if database.startswith("sqlite"):
        return lambda: None
    server = request.getfixturevalue("postgres")

    def stop_and_start() -> None:
        server.control("stop", "-m", "immediate")
        server.control("start")

    return stop_and_start


def test_nothing_that_was_acknowledged_is_lost(service: Service, crash: Callable[[], None], database: str) -> None:
    uuids = [str(uuid4()) for _ in range(POSTS)]
    ids = {
        sign(MASTER, RequestIdentity("business", "claims", "v1", "e1", f"{n % 997:08x}", False, uuid)): uuid for n, uuid in enumerate(uuids)
    }
    batches = [list(ids)[start : start + BATCH] for start in range(0, POSTS, BATCH)]
    with ThreadPoolExecutor(WORKERS) as pool:
        posted = [pool.submit(service.post, batch) for batch in batches]
        while len(service.acknowledged) < POSTS // 3:
            time.sleep(0.02)
        service.kill()
        crash()
        with service.lock:
            before = {ids[one] for one in service.acknowledged}
        with connect(database).connect() as connection:
            assert before <= set(connection.scalars(select(OUTCOMES.c.request))) and POSTS // 3 <= len(before) < POSTS
        service.start()
        for post in posted:
            post.result(300)
    with connect(database).connect() as connection:
        assert set(connection.scalars(select(OUTCOMES.c.request))) == set(uuids)
        assert connection.scalar(select(func.count()).select_from(OUTCOMES)) == POSTS


def test_no_text_of_a_patient_is_in_the_log(service: Service) -> None:
    key = service_key(MASTER, "business", "claims").hex()
    one = sign(MASTER, RequestIdentity("business", "claims", "v1", "e1", "00000001", False, str(uuid4())))
    for body in ({"requestId": SECRET}, {"requestId": one, "expert": SECRET}, {"requestId": one, SECRET: 1}, SECRET, [SECRET]):
        assert service.ask("POST", "/v1/feedback", json.dumps(body).encode()) in {401, 422}
    assert service.ask("POST", "/v1/traffic", json.dumps({"service": SECRET}).encode(), Authorization=f"Bearer {key}") == 422
    assert service.ask("GET", f"/v1/evidence/business/claims/{SECRET.replace(' ', '%20')}", Authorization=f"Bearer {key}") == 200
    assert service.ask("GET", f"/{SECRET.replace(' ', '%20')}") == 404
    said = service.log.read_text()
    assert "old traffic removed" in said and "Zebulon" not in said and "Quimby" not in said
