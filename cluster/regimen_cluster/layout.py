"""Names, addresses and paths of a cluster: everything that follows from its name alone. Pure; touches nothing.

Every cluster has a network namespace of its own, so the addresses below are the same in all of them.
"""

from __future__ import annotations

import os
import re
from dataclasses import dataclass
from pathlib import Path

from regimen_cluster.errors import ClusterError

STATE_ROOT = Path("/var/lib/regimen-cluster")
RUN_ROOT = Path("/run/regimen-cluster")

API_ADDRESS = "198.18.0.1"  # the range 198.18.0.0/15 is reserved for testing (RFC 2544)
API_PORT = 6443
DNS_ADDRESS = API_ADDRESS
POD_RANGE = "198.18.0.0/16"
SERVICE_RANGE = "198.19.0.0/16"
SERVICE_API = "198.19.0.1"
DOMAIN = "cluster.local"
DISKS = Path("/var/lib/regimen-cluster-disks")  # one path for all nodes; each node sees its own folder there
PAUSE_IMAGE = "regimen.local/pause:1"


@dataclass(frozen=True)
class Node:
    """One node: a card, a bridge whose address is the node's, and ports of its own (both nodes share a namespace)."""

    name: str
    address: str
    subnet: str
    first_pod: str
    last_pod: str
    gpu_slices: int
    kubelet_port: int
    health_port: int
    disks: tuple[str, ...]

    @property
    def bridge(self) -> str:
        """The bridge inside the cluster's network namespace (15 characters at most)."""
        return f"br-{self.name}"


NODES = (
    Node("rtx3090", "198.18.0.1", "198.18.0.0/24", "198.18.0.10", "198.18.0.250", 4, 10250, 10248, ("disk-1", "disk-3", "disk-5")),
    Node("rtx3060", "198.18.1.1", "198.18.1.0/24", "198.18.1.10", "198.18.1.250", 2, 10350, 10348, ("disk-2", "disk-4", "disk-6")),
)
SHARED_DISK = "model-cache"


@dataclass(frozen=True)
class Layout:
    """Where one cluster keeps what, and which nodes it has."""

    name: str
    nodes: tuple[Node, ...] = NODES

    @property
    def state(self) -> Path:
        """Everything on disk; removed whole by `down`."""
        return STATE_ROOT / self.name

    @property
    def run(self) -> Path:
        """Sockets: a short path, because a socket's path may have 107 characters."""
        return RUN_ROOT / self.name

    @property
    def logs(self) -> Path:
        """One log a component."""
        return self.state / "logs"

    @property
    def pids(self) -> Path:
        """One pidfile a component."""
        return self.state / "pids"

    @property
    def pki(self) -> Path:
        """Keys and certificates."""
        return self.state / "pki"

    @property
    def netns(self) -> str:
        """The network namespace's name; HAProxy looks for it in /run/netns."""
        return f"regimen-{self.name}"

    @property
    def netns_path(self) -> Path:
        """The file that keeps the network namespace."""
        return Path("/run/netns") / self.netns

    @property
    def cgroup(self) -> str:
        """The cluster's control group, relative to each hierarchy's root."""
        return f"regimen-{self.name}"

    @property
    def kubeconfig(self) -> Path:
        """For the host: the API server through HAProxy on the loopback."""
        return self.state / "kubeconfig"

    @property
    def inner_kubeconfig(self) -> Path:
        """For `shell`: the API server's own address."""
        return self.state / "kubeconfig-inside"

    def node_state(self, node: Node) -> Path:
        """What would be that machine's disk."""
        return self.state / "nodes" / node.name

    def containerd_socket(self, node: Node) -> Path:
        """The node's containerd, reachable from the host."""
        return self.run / f"{node.name}.sock"

    def node(self, name: str) -> Node:
        """Look a node up by name."""
        for node in self.nodes:
            if node.name == name:
                return node
        raise ClusterError(f"cluster {self.name} has no node {name}; it has {[n.name for n in self.nodes]}")


def layout(name: str, nodes: int = len(NODES)) -> Layout:
    """The layout of a cluster with `nodes` nodes (0 or 2). Names are short because they become parts of socket paths."""
    if not re.fullmatch(r"[a-z]([a-z0-9-]{0,18}[a-z0-9])?", name):
        raise ClusterError(f"cluster name {name!r}: use 1 to 20 of a-z, 0-9 and '-', starting with a letter")
    if nodes not in (0, len(NODES)):
        raise ClusterError(f"--nodes {nodes}: 0 (API server only) or {len(NODES)}")
    return Layout(name, NODES[:nodes])


def cache_root() -> Path:
    """Where built programs are kept, outside any work tree."""
    return Path(os.environ.get("REGIMEN_CACHE", "/var/cache/regimen"))
