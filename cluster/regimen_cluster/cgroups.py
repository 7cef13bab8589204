"""Control groups of a cluster, version 1 (every controller a hierarchy) or version 2 (one hierarchy).

Every process of a cluster lives below /regimen-NAME: the components in `system`, the pods in a group per node. So membership says who belongs
to the cluster, even when pidfiles are lost or a pid was used again.
"""

from __future__ import annotations

import os
import signal
import time
from pathlib import Path

from regimen_cluster.errors import ClusterError
from regimen_cluster.layout import Layout

V2_CONTROLLERS = ("cpu", "cpuset", "memory", "pids", "io", "hugetlb")


def parse_mounts(text: str) -> dict[str, list[Path]]:
    """Mount points of type cgroup and cgroup2 in the text of /proc/mounts."""
    found: dict[str, list[Path]] = {"cgroup": [], "cgroup2": []}
    for line in text.splitlines():
        fields = line.split()
        if len(fields) > 2 and fields[2] in found and Path(fields[1]) not in found[fields[2]]:
            found[fields[2]].append(Path(fields[1]))
    return found


def hierarchies() -> list[Path]:
    """The hierarchies that hold the cluster's groups: all of version 1, or the one of version 2."""
    mounts = parse_mounts(Path("/proc/mounts").read_text(encoding="utf-8"))
    chosen = mounts["cgroup"] or mounts["cgroup2"][:1]
    if not chosen:
        raise ClusterError("no control groups are mounted below /sys/fs/cgroup")
    return chosen


def is_v1() -> bool:
    """Whether controllers are mounted the old way."""
    return bool(parse_mounts(Path("/proc/mounts").read_text(encoding="utf-8"))["cgroup"])


def create(cluster: Layout) -> None:
    """Make the cluster's groups in every hierarchy; a kubelet refuses a cgroupRoot that some controller lacks."""
    children = ["system", *(node.name for node in cluster.nodes)]
    for root in hierarchies():
        if not is_v1():
            _delegate(root)
        top = root / cluster.cgroup
        _make(top)
        if not is_v1():
            _delegate(top)
        for child in children:
            _make(top / child)


def _make(path: Path) -> None:
    """Make one group; an old-style cpuset has to be told its CPUs before it takes a process."""
    path.mkdir(exist_ok=True)
    for name in ("cpuset.cpus", "cpuset.mems"):
        own, parent = path / name, path.parent / name
        if is_v1() and own.exists() and not own.read_text(encoding="utf-8").strip():
            own.write_text(parent.read_text(encoding="utf-8"), encoding="utf-8")


def _delegate(path: Path) -> None:
    """Version 2: offer the controllers to the children."""
    offered = (path / "cgroup.controllers").read_text(encoding="utf-8").split()
    wanted = " ".join(f"+{name}" for name in V2_CONTROLLERS if name in offered)
    (path / "cgroup.subtree_control").write_text(wanted, encoding="utf-8")


def system_groups(cluster: Layout) -> list[Path]:
    """The `cgroup.procs` files that a component's shell writes itself into."""
    return [root / cluster.cgroup / "system" / "cgroup.procs" for root in hierarchies()]


def contains(cluster: Layout, pid: int) -> bool:
    """Whether a live process belongs to the cluster."""
    try:
        groups = Path(f"/proc/{pid}/cgroup").read_text(encoding="utf-8")
        state = Path(f"/proc/{pid}/stat").read_text(encoding="utf-8").rpartition(")")[2].split()[0]
    except (FileNotFoundError, ProcessLookupError):
        return False
    return f":/{cluster.cgroup}/" in groups and state not in "ZX"


def members(cluster: Layout) -> set[int]:
    """Every process in any of the cluster's groups, and every one in its network namespace."""
    pids: set[int] = set()
    for root in hierarchies():
        for procs in (root / cluster.cgroup).rglob("cgroup.procs"):
            try:
                pids.update(int(line) for line in procs.read_text(encoding="utf-8").split())
            except (FileNotFoundError, OSError):
                continue  # the group went away while we walked
    return (pids | _in_netns(cluster)) - {0, os.getpid()}


def _in_netns(cluster: Layout) -> set[int]:
    """Processes in the cluster's network namespace: a `shell` that someone left open is in no group of ours."""
    if not cluster.netns_path.exists():
        return set()
    ours = cluster.netns_path.stat()
    found = set()
    for entry in Path("/proc").iterdir():
        if not entry.name.isdigit():
            continue
        try:
            theirs = (entry / "ns" / "net").stat()
        except (FileNotFoundError, ProcessLookupError, PermissionError):
            continue
        if (theirs.st_ino, theirs.st_dev) == (ours.st_ino, ours.st_dev):
            found.add(int(entry.name))
    return found


def kill_all(cluster: Layout, *, seconds: float = 30) -> int:
    """SIGKILL every member until none is left; returns how many there were. A few rounds, as shims start helpers."""
    deadline = time.monotonic() + seconds
    seen: set[int] = set()
    while pids := members(cluster):
        for pid in pids:
            try:
                os.kill(pid, signal.SIGKILL)
            except ProcessLookupError:
                continue
        seen |= pids
        if time.monotonic() > deadline:
            raise ClusterError(f"processes of {cluster.name} do not die: {sorted(pids)}")
        time.sleep(0.05)
    return len(seen)


def remove(cluster: Layout) -> None:
    """Remove the cluster's groups from every hierarchy, deepest first; the kernel frees an emptied one a moment late."""
    mounts = parse_mounts(Path("/proc/mounts").read_text(encoding="utf-8"))
    for root in mounts["cgroup"] + mounts["cgroup2"]:
        top = root / cluster.cgroup
        if top.is_dir():
            folders = sorted((p for p in top.rglob("*") if p.is_dir()), key=lambda p: len(p.parts), reverse=True)
            for folder in [*folders, top]:
                _remove_one(folder)


def _remove_one(folder: Path) -> None:
    for _ in range(100):
        try:
            folder.rmdir()
        except FileNotFoundError:
            return
        except OSError:
            time.sleep(0.05)
        else:
            return
    raise ClusterError(f"control group {folder} cannot be removed")
