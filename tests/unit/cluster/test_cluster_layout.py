"""What follows from a cluster's name: paths, addresses, names that are refused."""

from __future__ import annotations

import ipaddress

import pytest

from regimen_cluster.errors import ClusterError
from regimen_cluster.layout import API_ADDRESS, NODES, POD_RANGE, SERVICE_API, SERVICE_RANGE, layout


@pytest.mark.parametrize("name", ["", "Dev", "1a", "a_b", "a/b", "..", "a-", "a" * 21])
def test_names_that_could_not_be_paths_or_are_too_long_are_refused(name: str) -> None:
    with pytest.raises(ClusterError, match="cluster name"):
        layout(name)


def test_a_cluster_has_no_nodes_or_both() -> None:
    assert [len(layout("dev", count).nodes) for count in (0, 2)] == [0, 2]
    with pytest.raises(ClusterError, match="--nodes 1"):
        layout("dev", 1)


def test_socket_paths_stay_below_the_kernels_limit_for_the_longest_name() -> None:
    cluster = layout("a" * 20)
    assert all(len(str(cluster.containerd_socket(node))) < 100 for node in cluster.nodes)


def test_bridge_names_fit_and_addresses_lie_in_their_ranges() -> None:
    pods, services = ipaddress.ip_network(POD_RANGE), ipaddress.ip_network(SERVICE_RANGE)
    assert not pods.overlaps(services)
    assert ipaddress.ip_address(SERVICE_API) == services[1]
    for node in NODES:
        subnet = ipaddress.ip_network(node.subnet)
        assert len(node.bridge) <= 15
        assert subnet.subnet_of(pods)
        assert {ipaddress.ip_address(a) in subnet for a in (node.address, node.first_pod, node.last_pod)} == {True}
    assert NODES[0].address == API_ADDRESS


def test_nodes_share_no_port_and_no_disk() -> None:
    ports = [port for node in NODES for port in (node.kubelet_port, node.health_port)]
    disks = [disk for node in NODES for disk in node.disks]
    assert len(set(ports)) == len(ports)
    assert sorted(disks) == [f"disk-{number}" for number in range(1, 7)]


def test_an_unknown_node_is_named_with_those_there_are() -> None:
    with pytest.raises(ClusterError, match="rtx3060"):
        layout("dev").node("h100")
