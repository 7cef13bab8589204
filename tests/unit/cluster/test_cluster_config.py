"""Rendered configuration and command lines."""

from __future__ import annotations

import json
import tomllib
from pathlib import Path

from regimen_cluster import components, config, machine, network, objects
from regimen_cluster.layout import NODES, layout
from regimen_cluster.process import Where

CLUSTER = layout("dev")


def test_containerd_keeps_to_the_nodes_state_and_does_not_need_cap_sys_resource() -> None:
    settings = tomllib.loads(config.containerd(CLUSTER, NODES[1]))
    cri = settings["plugins"]["io.containerd.grpc.v1.cri"]
    assert settings["root"].startswith(str(CLUSTER.node_state(NODES[1])))
    assert settings["grpc"]["address"] == "/run/regimen-cluster/dev/rtx3060.sock"
    assert (cri["restrict_oom_score_adj"], cri["netns_mounts_under_state_dir"]) == (True, True)


def test_kubelet_lives_in_its_own_control_group_and_admits_no_stranger() -> None:
    settings = json.loads(config.kubelet(CLUSTER, NODES[0]))
    assert settings["cgroupRoot"] == "/regimen-dev/rtx3090"
    assert settings["cgroupDriver"] == "cgroupfs"
    assert settings["authentication"]["anonymous"] == {"enabled": False}
    assert settings["volumePluginDir"].startswith("/var/lib/kubelet/")


def test_each_node_has_its_own_bridge_and_subnet() -> None:
    plugins = [json.loads(config.cni(CLUSTER, node))["plugins"][0] for node in NODES]
    assert [plugin["bridge"] for plugin in plugins] == ["br-rtx3090", "br-rtx3060"]
    assert [plugin["ipam"]["ranges"][0][0]["gateway"] for plugin in plugins] == ["198.18.0.1", "198.18.1.1"]


def test_haproxy_listens_on_the_loopback_only_and_reaches_into_the_namespace() -> None:
    text = config.haproxy(CLUSTER, {18000: "198.19.0.9:80", 16443: "198.18.0.1:6443"})
    binds = [line.split()[1] for line in text.splitlines() if line.strip().startswith("bind")]
    servers = [line.split()[1:] for line in text.splitlines() if line.strip().startswith("server")]
    assert binds == ["127.0.0.1:16443", "127.0.0.1:18000"]
    assert servers == [["target", "198.18.0.1:6443", "namespace", "regimen-dev"], ["target", "198.19.0.9:80", "namespace", "regimen-dev"]]


def test_names_outside_the_cluster_are_answered_without_asking_anyone() -> None:
    text = config.corefile(CLUSTER)
    assert "forward" not in text
    assert "rcode NXDOMAIN" in text


def test_without_nodes_there_is_only_an_api() -> None:
    names = [part.name for part in components.everything(layout("wire", 0), Path("/p"))]
    assert names == ["etcd", "kube-apiserver", "haproxy"]


def test_only_haproxy_runs_in_the_hosts_network() -> None:
    parts = components.everything(CLUSTER, Path("/p"))
    assert [part.name for part in parts if part.where is Where.HOST] == ["haproxy"]
    assert len({part.name for part in parts}) == len(parts)


def test_a_new_haproxy_lets_the_old_one_finish() -> None:
    assert components.haproxy(CLUSTER, 42).argv[-2:] == ("-sf", "42")


def test_a_machine_has_its_own_folder_wherever_a_path_is_compiled_in() -> None:
    script = machine.script(CLUSTER, NODES[0])
    for folder in machine.OWN_FOLDERS:
        assert f"mount --bind /var/lib/regimen-cluster/dev/nodes/rtx3090/root{folder} {folder}" in script


def test_services_have_a_route_and_there_is_none_out() -> None:
    commands = network.link_commands()
    assert "route add 198.19.0.0/16 dev br-rtx3090" in commands
    assert not [command for command in commands if "default" in command]


def test_the_shared_volume_is_on_both_nodes_and_every_other_on_one() -> None:
    items = [item for item in json.loads(objects.manifests(CLUSTER))["items"] if item["kind"] == "PersistentVolume"]
    places = {
        item["metadata"]["name"]: item["spec"]["nodeAffinity"]["required"]["nodeSelectorTerms"][0]["matchExpressions"][0]["values"]
        for item in items
    }
    assert places.pop("model-cache") == ["rtx3090", "rtx3060"]
    assert len(places) == 6
    assert {len(nodes) for nodes in places.values()} == {1}


def test_the_cards_are_offered_in_slices() -> None:
    assert json.loads(objects.gpu_patch(NODES[0]))["status"]["capacity"] == {"nvidia.com/gpu": "4"}
