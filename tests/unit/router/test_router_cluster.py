"""What is read from EndpointSlices and the ConfigMap."""

from pathlib import Path
from typing import Any

import pytest
from kubernetes import client

from regimen_router.cluster import Cluster, pods_of, routing_of

UNEVEN = '{"generation": %d, "salt": "s", "stable": {"version": "v1", "weight": 50}, "candidate": {"version": "v2", "weight": 10}}'
ROUTING = '{"generation": %d, "salt": "s", "stable": {"version": "v1", "weight": 100}}'


def endpoint(name: str | None, ip: str, ready: bool | None = True, serving: bool | None = None, terminating: bool = False) -> Any:
    return client.V1Endpoint(
        addresses=[ip],
        target_ref=client.V1ObjectReference(name=name) if name else None,
        conditions=client.V1EndpointConditions(ready=ready, serving=serving, terminating=terminating),
    )


def a_slice(*endpoints: Any, version: str | None = "v1") -> client.V1EndpointSlice:
    labels = {"regimen.dev/service": "svc"} | ({"regimen.dev/version": version} if version else {})
    return client.V1EndpointSlice(
        address_type="IPv4",
        endpoints=list(endpoints),
        metadata=client.V1ObjectMeta(name="x", labels=labels),
        ports=[client.DiscoveryV1EndpointPort(port=8080)],
    )


def config_map(text: str, uid: str | None = None) -> client.V1ConfigMap:
    return client.V1ConfigMap(data={"routing.json": text}, metadata=client.V1ObjectMeta(uid=uid))


def test_ready_pods_serve_and_terminating_ones_leave() -> None:
    found = pods_of(
        a_slice(
            endpoint("a", "10.0.0.1"),
            endpoint("b", "10.0.0.2", ready=False),
            endpoint("c", "10.0.0.3", False, True, True),
            endpoint("d", "10.0.0.4", False, False, True),
            endpoint("e", "10.0.0.5", ready=None),
            endpoint(None, "10.0.0.6"),
        )
    )
    assert [(pod.name, pod.address, pod.leaving) for pod in found] == [
        ("a", "10.0.0.1:8080", False),
        ("c", "10.0.0.3:8080", True),
        ("e", "10.0.0.5:8080", False),
    ]


def test_a_slice_without_version_is_the_routers_own() -> None:
    assert pods_of(a_slice(endpoint("a", "10.0.0.1"), version=None)) == []


def followed(folder: Path, *documents: Any) -> Cluster:
    cluster = Cluster("ns", "svc", lambda: None, folder / "routing.json")
    cluster.keep_slices({})
    for document in documents:
        cluster.keep_config_maps({"svc-routing": document} if document else {})
    return cluster


def generation(cluster: Cluster) -> int | None:
    desired = cluster.desired()
    return desired.routing.generation if desired else None


@pytest.mark.parametrize("broken", ["{", UNEVEN % 3, '{"generation": 3}', ROUTING.replace("v1", "v|1") % 3])
def test_a_broken_document_keeps_the_last_routing(tmp_path: Path, broken: str) -> None:
    assert generation(followed(tmp_path, config_map(broken))) is None
    assert generation(followed(tmp_path, config_map(ROUTING % 2), config_map(broken), config_map(ROUTING % 1), None)) == 2
    assert routing_of(client.V1ConfigMap()) is None


def test_a_config_map_made_anew_counts_from_the_beginning(tmp_path: Path) -> None:
    old, stale, new = config_map(ROUTING % 7, "a"), config_map(ROUTING % 6, "a"), config_map(ROUTING % 1, "b")
    assert generation(followed(tmp_path, old, stale)) == 7
    assert generation(followed(tmp_path, old, new)) == 1


@pytest.mark.parametrize("seen", [config_map("{"), None])
def test_an_agent_that_starts_beside_a_broken_document_knows_the_last_good_one(tmp_path: Path, seen: Any) -> None:
    (tmp_path / "routing.json").write_text(ROUTING % 5)
    cluster = followed(tmp_path)
    assert generation(cluster) is None
    cluster.keep_config_maps({"svc-routing": seen} if seen else {})
    assert generation(cluster) == 5
    cluster.keep_config_maps({"svc-routing": config_map(ROUTING % 1, "b")})
    assert generation(cluster) == 1
