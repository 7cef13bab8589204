"""Components: long-lived processes, each with a log and a pidfile.

A component is started through a shell that first moves itself into the cluster's control group and then starts the program in a session of its
own, so it outlives this command, and belongs to the cluster from its first instruction.
"""

from __future__ import annotations

import os
import shlex
import signal
import time
from dataclasses import dataclass
from enum import Enum
from pathlib import Path

from regimen_cluster import cgroups
from regimen_cluster.errors import ClusterError, ComponentFailed
from regimen_cluster.host import run
from regimen_cluster.layout import Layout, Node

# No proxy settings, no KUBECONFIG: a component must not depend on who started it.
ENVIRONMENT = {"PATH": "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin", "HOME": "/root", "LANG": "C.UTF-8"}


class Where(Enum):
    """Which namespaces a component runs in."""

    HOST = "host"
    CLUSTER = "the cluster's network"
    NODE = "the cluster's network and the node's mounts"


@dataclass(frozen=True)
class Component:
    """One process of the cluster."""

    name: str
    argv: tuple[str, ...]
    where: Where = Where.CLUSTER
    node: Node | None = None


def machine_name(node: Node) -> str:
    """The component whose mount namespace is the node's."""
    return f"machine-{node.name}"


def pid_of(cluster: Layout, name: str) -> int | None:
    """The component's pid if it is alive and ours; a pid that was used again by a stranger does not count."""
    path = cluster.pids / name
    if not path.exists():
        return None
    text = path.read_text(encoding="utf-8").strip()
    return int(text) if text.isdigit() and cgroups.contains(cluster, int(text)) else None


def start(cluster: Layout, component: Component) -> int:
    """Start the component and return its pid. Does nothing when it is alive."""
    alive = pid_of(cluster, component.name)
    if alive is not None:
        return alive
    command = shlex.join([*_enter(cluster, component), *component.argv])
    log = shlex.quote(str(cluster.logs / component.name) + ".log")
    joins = "\n".join(f"echo $$ > {shlex.quote(str(path))}" for path in cgroups.system_groups(cluster))
    pidfile = shlex.quote(str(cluster.pids / component.name))
    run(["sh", "-ec", f"{joins}\ncd /\nsetsid {command} </dev/null >>{log} 2>&1 &\necho $! > {pidfile}"], env=ENVIRONMENT)
    pid = pid_of(cluster, component.name)
    if pid is None:
        raise failed(cluster, component.name, "ended at once")
    return pid


def _enter(cluster: Layout, component: Component) -> list[str]:
    """`nsenter` and not `ip netns exec`: the latter mounts a new /sys, which hides the control groups."""
    if component.where is Where.HOST:
        return []
    enter = ["nsenter", f"--net={cluster.netns_path}"]
    if component.where is Where.NODE:
        if component.node is None:
            raise ClusterError(f"{component.name} runs on a node but names none")
        holder = pid_of(cluster, machine_name(component.node))
        if holder is None:
            raise ClusterError(f"{machine_name(component.node)} is not running: take the cluster down and up again")
        enter.append(f"--mount=/proc/{holder}/ns/mnt")
    return [*enter, "--"]


def stop(cluster: Layout, name: str, sig: signal.Signals = signal.SIGKILL, *, seconds: float = 20) -> bool:
    """Signal one component and wait for its end; whether there was anything to end. Its children (pods, shims) go on."""
    pid = pid_of(cluster, name)
    if pid is None:
        return False
    os.kill(pid, sig)
    deadline = time.monotonic() + seconds
    while cgroups.contains(cluster, pid):
        if time.monotonic() > deadline:
            raise ClusterError(f"{name} (pid {pid}) did not end {seconds:.0f} s after {sig.name}")
        time.sleep(0.05)
    return True


def require_alive(cluster: Layout, names: list[str]) -> None:
    """Raise for the first component that died, with the end of its log."""
    for name in names:
        if pid_of(cluster, name) is None:
            raise failed(cluster, name, "died")


def failed(cluster: Layout, name: str, why: str) -> ComponentFailed:
    """The error for a component, with the last 20 lines it wrote."""
    return ComponentFailed(name, why, log_tail(cluster.logs / f"{name}.log"))


def log_tail(path: Path, lines: int = 20) -> list[str]:
    """The last lines of a log, or a remark that there is none."""
    if not path.exists():
        return ["(no log)"]
    return path.read_text(encoding="utf-8", errors="replace").splitlines()[-lines:]
