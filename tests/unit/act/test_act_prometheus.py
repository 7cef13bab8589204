"""What is made of Prometheus' answers to an instant query."""

import json
import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any
from urllib.parse import parse_qs, urlsplit

import pytest

from regimen.act.http import Peers, read_answer


def vector(*values: str) -> Any:
    return {"status": "success", "data": {"resultType": "vector", "result": [{"metric": {}, "value": [1.0, value]} for value in values]}}


def error(kind: str, text: str) -> Any:
    return {"status": "error", "errorType": kind, "error": text}


LACKING = [
    (200, vector(), False, "gives no value; see that what it asks for is scraped"),
    (200, vector("1", "2", "3"), False, "gives 3 series; abort, and begin another rollout"),
    (200, vector("NaN"), False, "gives nan"),
    (200, vector("+Inf"), False, "gives inf"),
    (200, {"data": {"resultType": "matrix", "result": [{"metric": {}, "values": [[1.0, "2"]]}]}}, False, "gives no number"),
    (200, {"data": {"resultType": "string", "result": [1.0, "warm"]}}, False, "gives no number"),
    (200, ["another", "server"], False, "what answers with status 200 is no Prometheus"),
    (400, error("bad_data", "parse error: unclosed left parenthesis"), True, "refuses the query (parse error: unclosed left parenthesis)"),
    (400, {"message": "a proxy's"}, False, "answers with status 400"),
    (422, error("execution", "many-to-many matching not allowed"), False, "answers with status 422 (many-to-many matching"),
    (503, error("timeout", "query timed out"), False, "answers with status 503 (query timed out)"),
]


@pytest.mark.parametrize(("status", "answer", "refused", "says"), LACKING, ids=[row[3][:30] for row in LACKING])
def test_no_number_says_why_and_only_an_unreadable_query_is_refused(status: int, answer: Any, refused: bool, says: str) -> None:
    found = read_answer(status, json.dumps(answer).encode())
    assert (found.value, found.refused) == (None, refused)
    assert says in found.lack


@pytest.mark.parametrize("answer", [vector("71.5"), {"data": {"resultType": "scalar", "result": [1.0, "71.5"]}}])
def test_one_number_is_read(answer: Any) -> None:
    assert read_answer(200, json.dumps(answer).encode()).value == 71.5


def test_queries_are_asked_at_the_same_time() -> None:
    """A server that answers nobody before all 16 have asked."""
    together = threading.Barrier(16)

    class Answer(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            together.wait(10)
            number = parse_qs(urlsplit(self.path).query)["query"][0]
            self.send_response(200)
            self.end_headers()
            self.wfile.write(json.dumps(vector(number)).encode())

        def log_message(self, *_: object) -> None:
            """Nothing."""

    with ThreadingHTTPServer(("127.0.0.1", 0), Answer) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        found = Peers("", f"http://127.0.0.1:{server.server_port}").measured({f"rail {n}": str(n) for n in range(16)})
        server.shutdown()
    assert {name: given.value for name, given in found.items()} == {f"rail {n}": float(n) for n in range(16)}


def test_a_server_that_is_away_is_no_fault_of_the_query() -> None:
    found = Peers("", "http://127.0.0.1:1/").measured({"scraped": "up"})["scraped"]
    assert (found.value, found.refused) == (None, False)
    assert found.lack.startswith("Prometheus at http://127.0.0.1:1 does not answer (ConnectError); bring it back")
