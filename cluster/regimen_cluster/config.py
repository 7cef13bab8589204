"""Configuration files of the components, rendered from a layout. Pure: layouts in, text out."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any

from regimen_cluster.layout import API_ADDRESS, API_PORT, DNS_ADDRESS, DOMAIN, PAUSE_IMAGE, Layout, Node


def containerd(cluster: Layout, node: Node) -> str:
    """containerd's configuration: nothing outside the node's state, cgroupfs, the CNI plugins that Debian ships.

    restrict_oom_score_adj is for a root without CAP_SYS_RESOURCE, where every sandbox would fail otherwise.
    """
    state = cluster.node_state(node)
    cri = 'plugins."io.containerd.grpc.v1.cri"'
    return f"""version = 2
root = "{state}/containerd"
state = "{state}/containerd-state"
disabled_plugins = [
  "io.containerd.internal.v1.opt", "io.containerd.snapshotter.v1.aufs", "io.containerd.snapshotter.v1.btrfs",
  "io.containerd.snapshotter.v1.devmapper", "io.containerd.snapshotter.v1.zfs", "io.containerd.internal.v1.tracing",
]

[grpc]
address = "{cluster.containerd_socket(node)}"

[{cri}]
sandbox_image = "{PAUSE_IMAGE}"
restrict_oom_score_adj = true
netns_mounts_under_state_dir = true
stream_server_address = "127.0.0.1"
stream_server_port = "0"

[{cri}.cni]
bin_dir = "/usr/lib/cni"
conf_dir = "{state}/cni"

[{cri}.containerd.runtimes.runc]
runtime_type = "io.containerd.runc.v2"

[{cri}.containerd.runtimes.runc.options]
SystemdCgroup = false
"""


def cni(cluster: Layout, node: Node) -> str:
    """The node's pod network: its bridge, its subnet, addresses kept in its own state."""
    ranges = [[{"subnet": node.subnet, "rangeStart": node.first_pod, "rangeEnd": node.last_pod, "gateway": node.address}]]
    bridge = {
        "type": "bridge",
        "bridge": node.bridge,
        "isGateway": True,
        "hairpinMode": True,
        "ipMasq": False,
        "ipam": {
            "type": "host-local",
            "ranges": ranges,
            "routes": [{"dst": "0.0.0.0/0"}],
            "dataDir": "/var/lib/cni/networks",
        },
    }
    return json.dumps({"cniVersion": "0.4.0", "name": cluster.netns, "plugins": [bridge]}, indent=1)


def kubelet(cluster: Layout, node: Node) -> str:
    """The kubelet's configuration. Thresholds are relaxed: a fairly full disk must not evict the pods of a test."""
    certificate = cluster.pki / f"kubelet-{node.name}"
    content: Mapping[str, Any] = {
        "apiVersion": "kubelet.config.k8s.io/v1beta1",
        "kind": "KubeletConfiguration",
        "address": node.address,
        "port": node.kubelet_port,
        "healthzBindAddress": "127.0.0.1",
        "healthzPort": node.health_port,
        "tlsCertFile": f"{certificate}.crt",
        "tlsPrivateKeyFile": f"{certificate}.key",
        "authentication": {
            "anonymous": {"enabled": False},
            "webhook": {"enabled": True},
            "x509": {"clientCAFile": str(cluster.pki / "ca.crt")},
        },
        "authorization": {"mode": "Webhook"},
        "cgroupDriver": "cgroupfs",
        "cgroupRoot": f"/{cluster.cgroup}/{node.name}",
        "failCgroupV1": False,
        "failSwapOn": False,
        "clusterDNS": [DNS_ADDRESS],
        "clusterDomain": DOMAIN,
        "resolvConf": str(cluster.state / "resolv.conf"),
        "containerRuntimeEndpoint": f"unix://{cluster.containerd_socket(node)}",
        "volumePluginDir": "/var/lib/kubelet/volume-plugins",
        "maxPods": 100,
        "evictionHard": {"memory.available": "100Mi", "nodefs.available": "1Gi", "imagefs.available": "1Gi", "nodefs.inodesFree": "1%"},
        "imageGCHighThresholdPercent": 100,
        "imageGCLowThresholdPercent": 99,
        "serializeImagePulls": False,
        "oomScoreAdj": 0,
    }
    return json.dumps(content, indent=1)


def corefile(cluster: Layout) -> str:
    """CoreDNS: the cluster's names, and a plain "no such name" for all others, as there is no uplink to ask."""
    return f"""{DOMAIN}:53 in-addr.arpa:53 {{
  bind {DNS_ADDRESS} 127.0.0.1
  errors
  ready 127.0.0.1:8181
  kubernetes {DOMAIN} in-addr.arpa {{
    endpoint https://{API_ADDRESS}:{API_PORT}
    kubeconfig {cluster.pki / "coredns.kubeconfig"}
    ttl 5
  }}
}}
.:53 {{
  bind {DNS_ADDRESS} 127.0.0.1
  errors
  template ANY ANY . {{
    rcode NXDOMAIN
  }}
}}
"""


def haproxy(cluster: Layout, forwards: Mapping[int, str]) -> str:
    """HAProxy in the host's network: each listener's server is reached through the cluster's network namespace.

    Times are an hour, because watches and streamed answers are silent for long.
    """
    text = """global
  maxconn 4000

defaults
  mode tcp
  option clitcpka
  option srvtcpka
  timeout connect 5s
  timeout client 1h
  timeout server 1h
  timeout tunnel 1h
"""
    for port, target in sorted(forwards.items()):
        text += f"\nlisten port-{port}\n  bind 127.0.0.1:{port}\n  server target {target} namespace {cluster.netns}\n"
    return text
