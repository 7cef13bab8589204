"""Answers that take ten minutes, through the whole router: one in silence, one word by word, and then another on the same connections.

    python benchmarks/router_long_answer.py --seconds 600

Meanwhile the weights change and the agent is killed and started again, as in a rollout.
"""

import argparse
import sys
import tempfile
import time
from concurrent.futures import ThreadPoolExecutor
from http.client import HTTPConnection
from pathlib import Path

from regimen_router.route import bucket

sys.path.insert(0, str(Path(__file__).parents[1] / "tests/unit/router"))
from router_pod import running
from stub_backend import Stub

WORDS = 10


def ask(port: int, subject: str, stub: Stub) -> tuple[float, int, int]:
    """Seconds, status and bytes of the long answer; then one at once on the same connection."""
    connection, begun = HTTPConnection("127.0.0.1", port), time.monotonic()
    connection.request("POST", "/v1/chat/completions", b"{}", {"X-Subject": subject})
    answer = connection.getresponse()
    size = len(answer.read())
    took = time.monotonic() - begun
    stub.mode = "ok"
    connection.request("POST", "/v1/chat/completions", b"{}", {"X-Subject": subject})
    if connection.getresponse().status != 200:
        raise SystemExit("the connection did not outlive the long answer")
    return took, answer.status, size


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--seconds", type=int, default=600)
    seconds = parser.parse_args().seconds
    stubs = {
        "v1": Stub("v1", mode="slow", delay=seconds).start(),
        "v2": Stub("v2", mode="stream", words=WORDS, delay=seconds / WORDS).start(),
    }
    subjects = {
        "v1": next(name for name in map(str, range(1_000)) if bucket("s1", name) >= 8_000),
        "v2": next(name for name in map(str, range(1_000)) if bucket("s1", name) < 2_000),
    }
    with (
        tempfile.TemporaryDirectory() as folder,
        running(Path(folder), {name: {name: stub.port} for name, stub in stubs.items()}, 50) as pod,
    ):
        with ThreadPoolExecutor(2) as pool:
            asked = {name: pool.submit(ask, pod.ports[0], subjects[name], stubs[name]) for name in stubs}
            time.sleep(seconds / 4)
            pod.want(20)
            pod.restart("agent")
            pod.want(80)
        for name, what in (("v1", "in silence"), ("v2", f"in {WORDS} words")):
            took, status, size = asked[name].result()
            print(f"{what}: {took:.1f} s, status {status}, {size} bytes")


if __name__ == "__main__":
    main()
