"""A whole router pod as processes of its own, HAProxies and the agent, in front of stub replicas and beside a stub of the Kubernetes API."""

import math
import os
import shutil
import sys
import time
from collections.abc import Iterator
from http.client import HTTPConnection
from pathlib import Path

import pytest

from regimen_router.route import bucket

os.environ["PATH"] += os.pathsep + "/usr/sbin"
if shutil.which("haproxy") is None:
    pytest.skip("HAPROXY IS NOT INSTALLED: the router is not tested", allow_module_level=True)

sys.path.insert(0, str(Path(__file__).parent))
from router_pod import Pod, farm, running, until
from stub_backend import free_port

SUBJECTS = [f"patient-{number}" for number in range(20_000)]


@pytest.fixture(scope="module")
def pod(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Pod]:
    folder = tmp_path_factory.mktemp("pod")
    replicas = {version: {f"{version}-{name}": free_port() for name in ("a", "b")} for version in ("v1", "v2")}
    with farm(folder, {name: port for ports in replicas.values() for name, port in ports.items()}), running(folder, replicas, 20) as found:
        yield found


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


def test_nothing_of_a_request_is_in_a_log_or_on_the_disk(pod: Pod) -> None:
    secret = "Zebulon-Quimby"
    for path, body in (("/v1/completions", f'{{"prompt": "{secret}"}}'), ("/v1/completions", f'{{"{secret}": 1}}'), (f"/{secret}", "{}")):
        for padding in ("", " " * 40_000):
            connection = HTTPConnection("127.0.0.1", pod.ports[0], timeout=30)
            connection.request("POST", f"{path}?name={secret}", body + padding, {"X-Subject": secret, "X-Reference": secret})
            assert connection.getresponse().status in {200, 400, 404}
            connection.close()
    pod.restart("haproxy", "large", "agent")
    files = [file for file in pod.folder.iterdir() if file.is_file()]
    assert {"agent.log", "haproxy.log", "large.log", "route.map"} <= {file.name for file in files}
    assert not [file.name for file in files if "Zebulon" in file.read_text(errors="replace")]


def test_without_the_process_for_large_bodies_small_ones_go_on(pod: Pod) -> None:
    def ask(size: int) -> int:
        connection = HTTPConnection("127.0.0.1", pod.ports[0], timeout=30)
        connection.request("POST", "/v1/completions", b'{"prompt": "x"}' + b" " * size)
        status = connection.getresponse().status
        connection.close()
        return status

    assert [ask(size) for size in (0, 40_000)] == [200, 200]
    pod.kill("large")
    assert [ask(size) for size in (0, 40_000)] == [200, 503]
    pod.start("large")
    until(lambda: ask(40_000) == 200)
    assert pod.ready()
