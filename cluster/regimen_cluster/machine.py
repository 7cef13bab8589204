"""What makes two nodes two machines: a mount namespace each, kept by one idle process.

containerd, the kubelet and the CNI plugins have paths compiled in (/var/lib/kubelet/device-plugins, /run/containerd/s, /var/lib/cni,
/var/log/containers). In the node's mount namespace those are folders of the node's own state, so nodes and clusters do not meet there, and
everything that is mounted during a cluster's life vanishes with its last process instead of having to be found and unmounted.
"""

from __future__ import annotations

import shlex
from pathlib import Path

from regimen_cluster.layout import DISKS, SHARED_DISK, STATE_ROOT, Layout, Node
from regimen_cluster.process import Component, Where, machine_name

# Folders of the host that are only mount points here.
OWN_FOLDERS = (
    Path("/var/lib/kubelet"),
    Path("/var/lib/cni"),
    Path("/var/log/pods"),
    Path("/var/log/containers"),
    Path("/run/containerd"),
    DISKS,
)


def source(cluster: Layout, node: Node, folder: Path) -> Path:
    """The folder of the node's state that appears at `folder` on the node."""
    return cluster.node_state(node) / "root" / folder.relative_to("/")


def ready_file(cluster: Layout, node: Node) -> Path:
    """Written by the machine's process once its mounts are made."""
    return cluster.node_state(node) / "machine.ready"


def prepare(cluster: Layout, node: Node) -> None:
    """Make the folders to mount, and the disks, which pods of any user may write."""
    for folder in OWN_FOLDERS:
        source(cluster, node, folder).mkdir(parents=True)
        folder.mkdir(parents=True, exist_ok=True)
    # The kubelet's own statistics look for containerd at the usual place.
    (source(cluster, node, Path("/run/containerd")) / "containerd.sock").symlink_to(cluster.containerd_socket(node))
    for disk in (SHARED_DISK, *node.disks):
        path = source(cluster, node, DISKS) / disk
        path.mkdir()
        path.chmod(0o777)


def script(cluster: Layout, node: Node) -> str:
    """The shell script that turns a fresh mount namespace into the node's.

    Overlay mounts copied from the host are let go first: they belong to image builds, and holding them would keep those busy.
    """
    lines = ["set -eu", """awk '$3 == "overlay" && $2 != "/" { print $2 }' /proc/self/mounts | xargs -r -n 1 umount -l"""]
    lines += [shlex.join(["mount", "--bind", str(source(cluster, node, folder)), str(folder)]) for folder in OWN_FOLDERS]
    lines += ["mount --make-rshared /var/lib/kubelet", f"touch {shlex.quote(str(ready_file(cluster, node)))}", "exec sleep infinity"]
    return "\n".join(lines)


def component(cluster: Layout, node: Node) -> Component:
    """The idle process that keeps the node's mount namespace."""
    argv = ("unshare", "--mount", "--propagation", "private", "--", "sh", "-c", script(cluster, node))
    return Component(machine_name(node), argv, Where.CLUSTER, node)


def remove_mount_points() -> None:
    """Remove the empty mount points once no cluster is left; before that, their removal would unmount other clusters' folders."""
    if STATE_ROOT.is_dir() and any(STATE_ROOT.iterdir()):
        return
    for folder in OWN_FOLDERS:
        if folder.is_dir() and not any(folder.iterdir()):
            folder.rmdir()
