"""What is read from EndpointSlices and the ConfigMap."""

from typing import Any

from kubernetes import client

from regimen_router.cluster import Cluster, pods_of, routing_of

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


def config_map(text: str) -> client.V1ConfigMap:
    return client.V1ConfigMap(data={"routing.json": text})


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


def test_a_broken_document_keeps_the_last_routing() -> None:
    cluster = Cluster("ns", "svc", lambda: None)
    cluster.keep_slices({})
    assert cluster.desired() is None
    for text in (ROUTING % 2, "{", ROUTING % 1):
        cluster.keep_config_maps({"svc-routing": config_map(text)})
    cluster.keep_config_maps({})
    desired = cluster.desired()
    assert desired and desired.routing.generation == 2
    assert routing_of(client.V1ConfigMap()) is None
