"""A real kube-apiserver and a real S3, once a session; a namespace of its own for each test."""

import json
import os
import subprocess
from collections.abc import Iterator
from dataclasses import dataclass, replace
from pathlib import Path
from uuid import uuid4

import pytest
from kubernetes import client, config
from plan_builders import AT, SETTINGS
from wire_world import Wire

import regimen_cluster
from bucket_server import bucket_server
from regimen.act.cluster import Cluster
from regimen.act.reconcile import Reconciler
from regimen.store import Store

ROOT = Path(__file__).parents[2]
NAME = os.environ.get("REGIMEN_WIRE_CLUSTER", "wire")
"""Two checkouts on one machine need two."""


@dataclass(frozen=True)
class Machine:
    """What the session's cluster is reached by."""

    kubeconfig: Path
    api: client.ApiClient


@pytest.fixture(scope="session")
def machine() -> Iterator[Machine]:
    if os.geteuid() != 0:
        pytest.fail("the wire tests bring up a kube-apiserver, for which they must be root; deselect them with -m 'not wire'")
    kubeconfig = regimen_cluster.up(NAME, nodes=0)
    try:
        kubectl(kubeconfig, "apply", "--server-side", "-f", str(ROOT / "crds"))
        kubectl(kubeconfig, "wait", "--for=condition=Established", "crd", "--all", "--timeout=30s")
        config.load_kube_config(str(kubeconfig))
        yield Machine(kubeconfig, client.ApiClient())
    finally:
        regimen_cluster.down(NAME)


def kubectl(kubeconfig: Path, *arguments: str, stdin: str | None = None) -> subprocess.CompletedProcess[str]:
    argv = [str(regimen_cluster.kubectl_path()), f"--kubeconfig={kubeconfig}", *arguments]
    done = subprocess.run(argv, input=stdin, capture_output=True, text=True, timeout=60, check=False)
    assert stdin is not None or done.returncode == 0, done.stderr
    return done


@pytest.fixture(scope="session")
def bucket(tmp_path_factory: pytest.TempPathFactory) -> Iterator[dict[str, str]]:
    """The environment of a versitygw on the loopback."""
    with bucket_server(regimen_cluster.program_path("versitygw"), tmp_path_factory.mktemp("s3")) as environment:
        yield environment


@pytest.fixture
def namespace(machine: Machine) -> str:
    name = f"t-{uuid4().hex[:8]}"
    client.CoreV1Api(machine.api).create_namespace(client.V1Namespace(metadata=client.V1ObjectMeta(name=name)))
    return name


def wire_in(machine: Machine, bucket: dict[str, str], namespace: str) -> Wire:
    settings = replace(SETTINGS, bucket_env=bucket, feedback_url="http://127.0.0.1:1")
    cluster, store = Cluster(machine.api), Store.from_env(bucket)
    return Wire(namespace, cluster, store, settings, Reconciler(cluster, store, settings, AT.timestamp))


@pytest.fixture
def wire(machine: Machine, bucket: dict[str, str], namespace: str) -> Wire:
    """A fresh namespace with an operator for it."""
    return wire_in(machine, bucket, namespace)


@pytest.fixture
def refused(machine: Machine, namespace: str) -> object:
    """What the API server says to a document through kubectl's strict validation; empty where it accepts it."""

    def ask(document: object, verb: str = "create") -> str:
        done = kubectl(machine.kubeconfig, verb, "--namespace", namespace, "--validate=strict", "-f", "-", stdin=json.dumps(document))
        return done.stderr if done.returncode else ""

    return ask
