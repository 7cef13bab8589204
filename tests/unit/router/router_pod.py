"""A router pod as its three processes, beside a stub of the Kubernetes API: for the tests of a whole pod, and for the benchmarks."""

import json
import signal
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.client import HTTPConnection
from pathlib import Path
from typing import Any

from stub_backend import free_port
from stub_kubernetes import StubKubernetes

from regimen.spec.routing import RouterState

SETTINGS = (
    "import sys, pathlib; from regimen_router.settings import Settings; folder, port, agent, log, url = sys.argv[1:];"
    "settings = Settings('business', 'claims', 'ab' * 32, folder=pathlib.Path(folder), port=int(port), agent_port=int(agent), log_port=int(log));"
)
HAPROXY = f"{SETTINGS} from regimen_router import haproxy; haproxy.run(settings)"
LARGE = f"{SETTINGS} from regimen_router import large; large.run(settings)"
AGENT = (
    f"{SETTINGS} from kubernetes import client; from regimen import logs; from regimen_router import agent; here = client.Configuration(); here.host = url;"
    "here.client_side_validation = False; agent.connect = lambda: client.Configuration.set_default(here); logs.configure('httpx'); agent.run(settings)"
)
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
{pause}    http-request return status 200 content-type application/json hdr X-By {name} string '{body}'
"""
PAUSE_LUA = 'core.register_action("pause", {{ "http-req" }}, function() core.msleep({milliseconds}) end, 0)'


REQUEST = "POST /v1/completions HTTP/1.1\r\nhost: x\r\nx-subject: {}\r\ncontent-length: 2\r\n\r\n{{}}"
PIPELINED = 50


def until(condition: Callable[[], object], seconds: float = 30, every: float = 0.05) -> None:
    deadline = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < deadline, "it did not come about"
        time.sleep(every)


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
        with (self.folder / f"{name}.log").open("ab") as log:
            self.processes[name] = subprocess.Popen(argv, stdout=log, stderr=log)

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


class Load:
    """Requests one after the other over a few connections."""

    def __init__(self, pod: Pod, clients: int = 4) -> None:
        self.sent: list[tuple[float, str, float]] = []
        """When, by which version, and how long it took."""
        self._pod, self._stop = pod, threading.Event()
        self._threads = [threading.Thread(target=self._run, args=(number,)) for number in range(clients)]
        for thread in self._threads:
            thread.start()

    def _run(self, number: int) -> None:
        with socket.create_connection(("127.0.0.1", self._pod.ports[0]), timeout=30) as connection, connection.makefile("rb") as reader:
            count = 0
            while not self._stop.is_set():
                count += 1
                sent = time.monotonic()
                connection.sendall(REQUEST.format(f"{number}-{count}").encode())
                status = reader.readline()
                headers = dict(line.rstrip().split(b": ", 1) for line in iter(reader.readline, b"\r\n"))
                reader.read(int(headers[b"content-length"]))
                version = headers[b"x-regimen-version"].decode() if b" 200 " in status else status.decode()
                self.sent.append((sent, version, time.monotonic() - sent))
                time.sleep(0.002)

    def close(self) -> None:
        self._stop.set()
        for thread in self._threads:
            thread.join()


@contextmanager
def farm(folder: Path, ports: dict[str, int], milliseconds: int = 0, body: str = "{}") -> Iterator[int]:
    """Replicas that say who they are, at once or after a pause: another HAProxy, for many requests a second. Its process id."""
    text, pause = FARM, ""
    if milliseconds:
        (folder / "pause.lua").write_text(PAUSE_LUA.format(milliseconds=milliseconds))
        text = text.replace("global\n", f"global\n    lua-load {folder}/pause.lua\n")
        pause = "    http-request lua.pause if METH_POST\n"
    replicas = (REPLICA.format(name=name, port=port, body=body, pause=pause) for name, port in ports.items())
    config = folder / f"farm-{milliseconds}.cfg"
    config.write_text(text + "".join(replicas))
    with subprocess.Popen(["haproxy", "-db", "-f", str(config)]) as process:
        try:
            yield process.pid
        finally:
            process.kill()


@contextmanager
def running(folder: Path, replicas: dict[str, dict[str, int]], weight: float) -> Iterator[Pod]:
    """A pod in front of replicas, ports by name by version, until the block ends."""
    folder.mkdir(exist_ok=True)
    pod = Pod(folder, StubKubernetes())
    for version, ports in replicas.items():
        pod.kubernetes.put_pods(version, ports)
    try:
        for name in ("haproxy", "large", "agent"):
            pod.start(name)
        pod.want(weight)
        wanted = [len(replicas.get("v1", ())), len(replicas.get("v2", ()))]
        until(lambda: [len(arm.servers) if arm else 0 for arm in (pod.state().stable, pod.state().candidate)] == wanted)
        yield pod
    finally:
        for name in pod.processes:
            pod.kill(name)
        pod.kubernetes.close()
