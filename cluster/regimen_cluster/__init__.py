"""A real single-machine Kubernetes for the demo and the tests: brought up in seconds, thrown away whole.

As a library:

    check_machine()                   install missing Debian packages; raise with everything else that is missing
    build()                           every program, built or fetched where the cache lacks it
    up(name, nodes=2) -> Path         bring up, or leave alone when healthy; the host's kubeconfig
    down(name) -> int                 nothing of it remains; how many processes were ended
    status(name) -> Health            components, API, nodes, forwards
    load_image(name, archive, node)   import an archive; per node, whether anything was done
    forward(name, *wishes)            "LOCALPORT=HOST:PORT" -> {port: target}
    kill(name, component)             a crash of one component, e.g. "kubelet-rtx3090"
    restart(name, component) -> int   the same component again, waited for
    kill_container(name, node, id)    a crash of a container; whether it was running
    inside(name, argv) -> list[str]   the command line that runs argv in the cluster's network
    node_disk(name, node, disk)       the host's folder behind a `local` volume on one node
    recycle_disks(name) -> list[str]  empty released volumes and offer them anew
    kubeconfig(name), kubectl_path(), helm_path(), program_path(program)
"""

from __future__ import annotations

from pathlib import Path

from regimen_cluster import disks, forwards, images, lifecycle, machine, network, preflight, programs
from regimen_cluster.errors import ClusterError, CommandFailed, ComponentFailed, PreflightFailed
from regimen_cluster.layout import DISKS, layout
from regimen_cluster.lifecycle import Health, down, kill, restart, up

__all__ = [
    "ClusterError", "CommandFailed", "ComponentFailed", "Health", "PreflightFailed", "build", "check_machine", "down", "forward", "helm_path", "inside",
    "kill", "kill_container", "kubeconfig", "kubectl_path", "load_image", "node_disk", "program_path", "recycle_disks", "restart", "status", "up",
]  # fmt: skip


def kubeconfig(name: str) -> Path:
    """The host's kubeconfig of a cluster, whether it is up or not."""
    return layout(name).kubeconfig


def check_machine() -> None:
    """Install missing Debian packages; raise PreflightFailed with everything else that is missing."""
    preflight.check()


def build() -> None:
    """Build or fetch every program that the cache lacks, once this machine is found fit."""
    preflight.check()
    programs.ensure()


def status(name: str) -> Health:
    """What runs of a cluster; raises ClusterError when it was never brought up."""
    return lifecycle.examine(lifecycle.existing(name))


def load_image(name: str, archive: Path | str, node: str | None = None) -> dict[str, bool]:
    """Import an OCI or Docker archive on one node, or on all; for each, whether anything was done."""
    cluster = lifecycle.existing(name)
    return images.load(cluster, Path(archive), [cluster.node(node)] if node else list(cluster.nodes))


def kill_container(name: str, node: str, container: str) -> bool:
    """SIGKILL the first process of a container, by the id that its pod's status has; whether it was running."""
    cluster = lifecycle.existing(name)
    return images.kill_container(cluster, cluster.node(node), container.removeprefix("containerd://"))


def forward(name: str, *wishes: str) -> dict[int, str]:
    """Add forwards on the host's loopback; local port 0 chooses one. Returns local port to target."""
    return forwards.add(lifecycle.existing(name), list(wishes))


def inside(name: str, argv: list[str]) -> list[str]:
    """The command line that runs `argv` in the cluster's network namespace."""
    return network.inside(lifecycle.existing(name), argv)


def node_disk(name: str, node: str, disk: str) -> Path:
    """The folder on the host behind the volume `disk` on `node`: what would be that machine's own disk."""
    cluster = lifecycle.existing(name)
    return machine.source(cluster, cluster.node(node), DISKS) / disk


def recycle_disks(name: str) -> list[str]:
    """Empty every volume whose claim was deleted and offer it anew; returns their names."""
    return disks.recycle(lifecycle.existing(name))


def kubectl_path() -> Path:
    """kubectl of the cluster's version."""
    return programs.ensure().tools / "kubectl"


def helm_path() -> Path:
    """helm."""
    return programs.ensure().tools / "helm"


def program_path(program: str) -> Path:
    """One of the Go programs, for example `versitygw` (static)."""
    return programs.ensure().go / program
