"""A whole router pod as processes of its own, HAProxies and the agent, in front of stub replicas and beside a stub of the Kubernetes API."""

import json
import math
import os
import shutil
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from http.client import HTTPConnection
from pathlib import Path
from typing import Any

import pytest

from regimen.spec.routing import RouterState
from regimen_router.route import bucket

os.environ["PATH"] += os.pathsep + "/usr/sbin"
if shutil.which("haproxy") is None:
    pytest.skip("HAPROXY IS NOT INSTALLED: the router is not tested", allow_module_level=True)

sys.path.insert(0, str(Path(__file__).parent))
from stub_backend import free_port
from stub_kubernetes import StubKubernetes

SUBJECTS = [f"patient-{number}" for number in range(20_000)]
SETTINGS = (
    "import sys, pathlib; from regimen_router.settings import Settings; folder, port, agent, log, url = sys.argv[1:];"
    "settings = Settings('business', 'claims', 'ab' * 32, folder=pathlib.Path(folder), port=int(port), agent_port=int(agent), log_port=int(log));"
)
HAPROXY = f"{SETTINGS} from regimen_router import haproxy; haproxy.run(settings)"
LARGE = f"{SETTINGS} from regimen_router import large; large.run(settings)"
AGENT = (
    f"{SETTINGS} from kubernetes import client; from regimen_router import agent, logs; here = client.Configuration(); here.host = url;"
    "here.client_side_validation = False; agent.connect = lambda: client.Configuration.set_default(here); logs.configure(); agent.run(settings)"
)
# Replicas that answer at once and say who they are: another HAProxy, so that 40,000 requests take seconds.
FARM = """\
global
    maxconn 400
defaults
    mode http
    timeout client 30s
    timeout server 30s
    timeout connect 1s
"""
REPLICA = """\
listen {name}
    bind 127.0.0.1:{port}
    http-request return status 200 content-type application/json hdr X-By {name} string {{}}
"""


REQUEST = "POST /v1/completions HTTP/1.1\r\nhost: x\r\nx-subject: {}\r\ncontent-length: 2\r\n\r\n{{}}"
PIPELINED = 50


def until(condition: Callable[[], object], seconds: float = 30) -> None:
    deadline = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < deadline, "it did not come about"
        time.sleep(0.05)


@dataclass
class Pod:
    """Its processes; each can be killed and started again."""

    folder: Path
    kubernetes: StubKubernetes
    ports: tuple[int, int, int] = field(default_factory=lambda: (free_port(), free_port(), free_port(socket.SOCK_DGRAM)))
    processes: dict[str, subprocess.Popen[bytes]] = field(default_factory=dict)
    routing: dict[str, Any] = field(default_factory=dict)

    def start(self, name: str) -> None:
        code = {"haproxy": HAPROXY, "large": LARGE, "agent": AGENT}[name]
        argv = [sys.executable, "-c", code, str(self.folder), *map(str, self.ports), self.kubernetes.url]
        self.processes[name] = subprocess.Popen(argv)

    def kill(self, name: str) -> None:
        self.processes[name].send_signal(signal.SIGKILL)
        self.processes[name].wait(10)

    def ready(self) -> bool:
        return self._agent("/readyz")[0] == 200

    def state(self) -> RouterState:
        return RouterState.model_validate_json(self._agent("/state")[1])

    def _agent(self, path: str) -> tuple[int, bytes]:
        connection = HTTPConnection("127.0.0.1", self.ports[1], timeout=5)
        try:
            connection.request("GET", path)
            answer = connection.getresponse()
            return answer.status, answer.read()
        except OSError:
            return 0, b""
        finally:
            connection.close()

    def want(self, weight: float, wait: bool = True) -> int:
        """Another share for the candidate, by the document in Kubernetes."""
        generation = self.routing.get("generation", 0) + 1
        arms = {"stable": {"version": "v1", "weight": 100 - weight}, "candidate": {"version": "v2", "weight": weight}}
        self.routing = {"generation": generation, "salt": "s1", "epoch": "e1"} | arms
        self.kubernetes.put_routing(json.dumps(self.routing))
        if wait:
            until(lambda: self.ready() and self.state().generation == generation)
        return int(generation)

    def accepts(self) -> bool:
        with socket.socket() as probe:
            return probe.connect_ex(("127.0.0.1", self.ports[0])) == 0

    def restart(self, *names: str) -> None:
        for name in names:
            self.kill(name)
            self.start(name)
        until(self.accepts)
        until(self.ready)

    def versions(self, subjects: list[str]) -> dict[str, str]:
        """Version by subject. Each must have been answered by a replica of that version."""

        def some(part: list[str]) -> dict[str, str]:
            found = {}
            with socket.create_connection(("127.0.0.1", self.ports[0]), timeout=30) as connection, connection.makefile("rb") as reader:
                for number, name in enumerate(part):
                    if number % PIPELINED == 0:
                        connection.sendall("".join(map(REQUEST.format, part[number : number + PIPELINED])).encode())
                    assert reader.readline() == b"HTTP/1.1 200 OK\r\n"
                    headers = dict(line.rstrip().split(b": ", 1) for line in iter(reader.readline, b"\r\n"))
                    reader.read(int(headers[b"content-length"]))
                    found[name] = headers[b"x-regimen-version"].decode()
                    assert headers[b"x-by"].decode().startswith(found[name])
            return found

        with ThreadPoolExecutor(4) as pool:
            return {name: version for part in pool.map(some, [subjects[start::4] for start in range(4)]) for name, version in part.items()}


@pytest.fixture(scope="module")
def pod(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Pod]:
    folder, kubernetes = tmp_path_factory.mktemp("pod"), StubKubernetes()
    ports = {version: {f"{version}-{name}": free_port() for name in ("a", "b")} for version in ("v1", "v2")}
    for version, replicas in ports.items():
        kubernetes.put_pods(version, replicas)
    replicas = "".join(REPLICA.format(name=name, port=port) for found in ports.values() for name, port in found.items())
    (folder / "farm.cfg").write_text(FARM + replicas)
    running = Pod(folder, kubernetes)
    running.processes["farm"] = subprocess.Popen(["haproxy", "-db", "-f", str(folder / "farm.cfg")])
    try:
        for name in ("haproxy", "large", "agent"):
            running.start(name)
        running.want(20)
        until(lambda: all(arm and len(arm.servers) == 2 for arm in (running.state().stable, running.state().candidate)))
        yield running
    finally:
        for name in running.processes:
            running.kill(name)
        kubernetes.close()


def test_a_fifth_of_twenty_thousand_subjects_and_none_that_changes(pod: Pod) -> None:
    """Over restarts of HAProxy and of the agent between the two times they ask."""
    pod.want(20)
    first = pod.versions(SUBJECTS)
    share, sigma = sum(version == "v2" for version in first.values()), math.sqrt(len(SUBJECTS) * 0.2 * 0.8)
    assert abs(share - 0.2 * len(SUBJECTS)) <= 3 * sigma
    pod.restart("haproxy", "agent")
    again = pod.versions(SUBJECTS)
    assert [name for name in SUBJECTS if again[name] != first[name]] == []
    assert first == {name: "v2" if bucket("s1", name) < 2_000 else "v1" for name in SUBJECTS}


def test_after_a_change_is_told_nobody_meets_the_old_share(pod: Pod) -> None:
    some = SUBJECTS[:400]
    for weight in (0, 60, 20, 100, 20):
        pod.want(weight)
        assert pod.versions(some) == {name: "v2" if bucket("s1", name) < weight * 100 else "v1" for name in some}


def test_the_pod_is_ready_only_with_the_weights_in_force(pod: Pod) -> None:
    pod.want(20)
    pod.kill("haproxy")
    until(lambda: not pod.ready())
    generation = pod.want(60, wait=False)
    time.sleep(1.5)
    assert not pod.ready()
    pod.start("haproxy")
    until(pod.ready)
    assert pod.state().generation == generation
    assert pod.versions(SUBJECTS[:200]) == {name: "v2" if bucket("s1", name) < 6_000 else "v1" for name in SUBJECTS[:200]}


def test_an_unreadable_routing_leaves_the_last_good_one_in_force(pod: Pod) -> None:
    generation = pod.want(20)
    pod.kubernetes.put_routing("{")
    time.sleep(1.5)
    assert pod.ready() and pod.state().generation == generation
    for names in (["agent"], ["haproxy"], ["agent", "haproxy"]):
        pod.restart(*names)
        assert pod.state().generation == generation
        assert pod.versions(SUBJECTS[:100]) == {name: "v2" if bucket("s1", name) < 2_000 else "v1" for name in SUBJECTS[:100]}
    pod.want(20)
