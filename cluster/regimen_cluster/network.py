"""The cluster's network namespace: two bridges, no uplink, nothing shared with the host but the file that names it."""

from __future__ import annotations

from pathlib import Path

from regimen_cluster.host import attempt, run
from regimen_cluster.layout import NODES, SERVICE_RANGE, Layout

NETNS_FOLDER = Path("/run/netns")


def create(cluster: Layout) -> None:
    """Make the namespace with its bridges. The API server's address is on the first bridge, so it exists without nodes as well."""
    run(["ip", "netns", "add", cluster.netns])
    run(["ip", "-n", cluster.netns, "-batch", "-"], stdin="\n".join(link_commands()) + "\n")
    settings = ["net.ipv4.ip_forward=1", "net.bridge.bridge-nf-call-iptables=1"]
    run(["nsenter", f"--net={cluster.netns_path}", "--", "sysctl", "-q", "-e", "-w", *settings])


def link_commands() -> list[str]:
    """The `ip` commands of the namespace.

    Service addresses need a route, or a connection from the host side fails before nftables may rewrite it; one that is not programmed
    (yet) ends on a bridge where nobody answers, instead of leaving the machine.
    """
    commands = ["link set lo up"]
    for node in NODES:
        commands += [f"link add {node.bridge} type bridge", f"addr add {node.address}/24 dev {node.bridge}", f"link set {node.bridge} up"]
    return [*commands, f"route add {SERVICE_RANGE} dev {NODES[0].bridge}"]


def remove(cluster: Layout) -> None:
    """Remove the namespace; bridges, veth pairs, routes and nftables rules go with it once no process is left inside."""
    if cluster.netns_path.exists():
        run(["ip", "netns", "delete", cluster.netns])
    # `ip netns add` mounts its folder on itself; take that back when nobody else uses it.
    if NETNS_FOLDER.is_dir() and not any(NETNS_FOLDER.iterdir()):
        while attempt(["umount", str(NETNS_FOLDER)]).returncode == 0:
            pass
        NETNS_FOLDER.rmdir()


def inside(cluster: Layout, argv: list[str]) -> list[str]:
    """The command line that runs `argv` in the cluster's network, with the host's files and control groups."""
    return ["nsenter", f"--net={cluster.netns_path}", "--", *argv]
