"""What the router adds to an answer, beside a bare HAProxy and LiteLLM's proxy, in front of the same stub replica, in one run.

    python benchmarks/router_overhead.py                       # installs litellm[proxy] in the cache, once
    python benchmarks/router_overhead.py --rounds 10 --litellm /path/to/venv/bin/litellm

Requests go one after the other over kept connections; each round asks every target in turn, so that whatever else the machine does
meets all of them. The stub replica is a HAProxy that answers a chat completion at once, and in a second part after 25 ms. The router is the
whole pod, its agent counting every request; its processor time counts all processes of the pod.
"""

import argparse
import json
import os
import platform
import secrets
import socket
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parents[1] / "tests/unit/router"))
from router_pod import farm, running, until
from stub_backend import free_port

LITELLM = "litellm[proxy]"
KEY = f"sk-{secrets.token_hex(16)}"
"""LiteLLM's proxy does not start without one; everybody is sent it."""
ANSWER = {"id": "x", "object": "chat.completion", "created": 1, "model": "stub",
          "choices": [{"index": 0, "finish_reason": "stop", "message": {"role": "assistant", "content": "DENIED"}}],
          "usage": {"prompt_tokens": 200, "completion_tokens": 2, "total_tokens": 202}}  # fmt: skip
PROMPT = "Diagnosis M54.50, procedure 72148, year 2025, amount $1,250. " * 16
BODY = json.dumps({"model": "stub", "messages": [{"role": "user", "content": PROMPT}], "temperature": 0, "max_tokens": 8}).encode()
BARE = """\
global
    maxconn 1000
    nbthread 2
defaults
    mode http
    timeout connect 1s
    timeout client 15m
    timeout server 15m
frontend traffic
    bind 127.0.0.1:{port}
    default_backend replicas
backend replicas
    server a 127.0.0.1:{replica} maxconn 100
"""
CONFIG = """\
model_list:
  - model_name: stub
    litellm_params: {{model: openai/stub, api_base: "http://127.0.0.1:{replica}/v1", api_key: none}}
litellm_settings: {{telemetry: false}}
"""


@dataclass
class Target:
    """One thing that is asked, and the processes whose time it costs."""

    name: str
    port: int
    pids: list[int]
    share: float = 1
    """Of a round's requests: a slow one gets fewer."""
    seconds: list[float] = field(default_factory=list)
    processor: float = 0

    def __post_init__(self) -> None:
        head = f"POST /v1/chat/completions HTTP/1.1\r\nhost: x\r\ncontent-type: application/json\r\nx-subject: anna\r\nauthorization: Bearer {KEY}\r\ncontent-length: {len(BODY)}\r\n\r\n"
        self._request = head.encode() + BODY

    def ask(self) -> float:
        begun = time.perf_counter()
        self._connection.sendall(self._request)
        status = self._reader.readline()
        headers = dict(line.rstrip().lower().split(b": ", 1) for line in iter(self._reader.readline, b"\r\n"))
        body = self._reader.read(int(headers[b"content-length"]))
        took = time.perf_counter() - begun
        if not status.startswith(b"HTTP/1.1 200") or b"DENIED" not in body:
            raise SystemExit(f"{self.name} answered {status!r}: {body[:200]!r}")
        return took

    def round(self, requests: int, kept: bool) -> None:
        """Over a connection of its own, kept for the round; what opens it is not timed."""
        with (
            socket.create_connection(("127.0.0.1", self.port), timeout=120) as self._connection,
            self._connection.makefile("rb") as self._reader,
        ):
            self.ask()
            self._timed(requests, kept)

    def _timed(self, requests: int, kept: bool) -> None:
        before = processor_seconds(self.pids)
        took = [self.ask() for _ in range(max(1, round(requests * self.share)))]
        if kept:
            self.seconds += took
            self.processor += processor_seconds(self.pids) - before

    def quantile(self, share: float) -> float:
        return sorted(self.seconds)[min(int(share * len(self.seconds)), len(self.seconds) - 1)] * 1000


def processor_seconds(pids: list[int]) -> float:
    """User and system time of processes, in seconds, to the microsecond where the kernel keeps it."""
    total = 0.0
    for pid in pids:
        for task in Path(f"/proc/{pid}/task").iterdir():
            total += int((task / "schedstat").read_text().split()[0]) / 1e9
    return total


def descendants(pid: int) -> list[int]:
    children = [int(child) for task in Path(f"/proc/{pid}/task").iterdir() for child in (task / "children").read_text().split()]
    return [pid, *(found for child in children for found in descendants(child))]


def litellm_program(given: Path | None) -> Path:
    """LiteLLM's own command in a virtual environment outside the tree, installed where it is missing."""
    if given:
        return given
    venv = Path(os.environ.get("REGIMEN_CACHE", "/var/cache/regimen")) / "bench-litellm"
    program = venv / "bin/litellm"
    if not program.exists():
        print(f"installing {LITELLM} in {venv}", flush=True)
        subprocess.run([sys.executable, "-m", "venv", str(venv)], check=True)
        subprocess.run([str(venv / "bin/pip"), "install", "-q", LITELLM], check=True)
    return program


def accepts(port: int) -> bool:
    with socket.socket() as probe:
        return probe.connect_ex(("127.0.0.1", port)) == 0


@contextmanager
def started(argv: list[str], port: int, log: Path, environ: dict[str, str] | None = None) -> Iterator[int]:
    with log.open("wb") as out, subprocess.Popen(argv, stdout=out, stderr=out, env=os.environ | (environ or {})) as process:
        try:
            until(lambda: accepts(port) or process.poll() is not None, 180)
            if process.poll() is not None:
                raise SystemExit(f"{argv[0]} ended: {log.read_text()[-600:]}")
            yield process.pid
        finally:
            process.terminate()


@contextmanager
def targets(folder: Path, litellm: Path, milliseconds: int) -> Iterator[list[Target]]:
    """The stub replica itself, and the three in front of it."""
    folder.mkdir()
    replica, bare, peer = free_port(), free_port(), free_port()
    (folder / "bare.cfg").write_text(BARE.format(port=bare, replica=replica))
    (folder / "litellm.yaml").write_text(CONFIG.format(replica=replica))
    quiet = {"LITELLM_LOCAL_MODEL_COST_MAP": "True", "LITELLM_LOG": "ERROR", "LITELLM_MASTER_KEY": KEY}
    argv = [str(litellm), "--config", str(folder / "litellm.yaml"), "--host", "127.0.0.1", "--port", str(peer), "--num_workers", "1"]
    with ExitStack() as stack:
        stub = stack.enter_context(farm(folder, {"replica": replica}, milliseconds, json.dumps(ANSWER)))
        haproxy = stack.enter_context(started(["haproxy", "-db", "-f", str(folder / "bare.cfg")], bare, folder / "bare.log"))
        proxy = stack.enter_context(started(argv, peer, folder / "litellm.log", quiet))
        pod = stack.enter_context(running(folder / "pod", {"v1": {"replica": replica}}, 0))
        yield [
            Target("stub replica", replica, [stub]),
            Target("bare HAProxy", bare, [haproxy]),
            Target("Regimen's router", pod.ports[0], [process.pid for process in pod.processes.values()]),
            Target("LiteLLM's proxy", peer, descendants(proxy), share=0.1),
        ]


def measure(found: list[Target], rounds: int, requests: int) -> None:
    for number in range(-1, rounds):  # the first to warm up
        for target in found[number % len(found) :] + found[: number % len(found)]:
            target.round(requests, kept=number >= 0)


def report(found: list[Target], milliseconds: int) -> None:
    stub, bare = found[0], found[1]
    print(f"\nThe replica answers {f'after {milliseconds} ms' if milliseconds else 'at once'}:")
    print(f"{'':18}{'requests':>9}{'p50 ms':>9}{'p99 ms':>9}{'added p50':>11}{'added p99':>11}{'p99 / bare':>12}{'per core s':>12}")
    for target in found:
        p50, p99 = target.quantile(0.5), target.quantile(0.99)
        added = f"{p50 - stub.quantile(0.5):11.3f}{p99 - stub.quantile(0.99):11.3f}" if target is not stub else " " * 22
        per_core = f"{len(target.seconds) / target.processor:12,.0f}"
        print(f"{target.name:18}{len(target.seconds):9}{p50:9.3f}{p99:9.3f}{added}{p99 / bare.quantile(0.99):12.2f}{per_core}")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rounds", type=int, default=20)
    parser.add_argument("--requests", type=int, default=200, help="of each target in a round, a tenth of them of LiteLLM's proxy")
    parser.add_argument("--litellm", type=Path, help="LiteLLM's command; by default it is installed in the cache")
    options = parser.parse_args()
    program = litellm_program(options.litellm)
    version = subprocess.run([str(program.with_name("python")), "-c", "import importlib.metadata as m; print(m.version('litellm'))"],
                             capture_output=True, text=True, check=True).stdout.strip()  # fmt: skip
    haproxy = subprocess.run(["haproxy", "-v"], capture_output=True, text=True, check=True).stdout.split()[2]
    print(f"HAProxy {haproxy}, LiteLLM {version}, Python {platform.python_version()}, {os.cpu_count()} cores")
    loads = [os.getloadavg()[0]]
    with tempfile.TemporaryDirectory() as folder:
        for milliseconds, part in ((0, 1.0), (25, 0.2)):
            with targets(Path(folder) / str(milliseconds), program, milliseconds) as found:
                measure(found, options.rounds, max(10, round(options.requests * part)))
                report(found, milliseconds)
            loads.append(os.getloadavg()[0])
    print(
        f"\nload of the machine before, between and after: {', '.join(f'{load:.1f}' for load in loads)}; median of them {statistics.median(loads):.1f}"
    )


if __name__ == "__main__":
    main()
