"""What the machine must have, checked in seconds before anything is built or started. Every lack comes with its remedy."""

from __future__ import annotations

import os
import platform
import shutil
from collections.abc import Iterator
from pathlib import Path

from regimen_cluster import cgroups
from regimen_cluster.errors import ClusterError, PreflightFailed
from regimen_cluster.host import attempt, run, say
from regimen_cluster.layout import STATE_ROOT, cache_root

# program (or file) -> Debian package
TOOLS = {
    "containerd": "containerd", "ctr": "containerd", "runc": "runc", "/usr/lib/cni/bridge": "containernetworking-plugins",
    "nft": "nftables", "haproxy": "haproxy", "conntrack": "conntrack", "ip": "iproute2", "sysctl": "procps", "openssl": "openssl",
    "gcc": "gcc", "/usr/include/stdio.h": "libc6-dev", "nsenter": "util-linux", "unshare": "util-linux", "mount": "mount",
    "buildah": "buildah", "skopeo": "skopeo", "debootstrap": "debootstrap",
}  # fmt: skip
FREE_DISK_GB = 15
FREE_MEMORY_GB = 2
PATH = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"


def check() -> None:
    """Install missing packages where this is a Debian and we are root; raise with everything that is still missing."""
    if os.geteuid() != 0:
        raise PreflightFailed(["not root: run it as root, the cluster makes namespaces, mounts and control groups"])
    packages = missing_packages()
    if packages:
        install(packages)
    lacking = [*machine_lacks(), *kernel_lacks()]
    if lacking:
        raise PreflightFailed(lacking)


def missing_packages() -> list[str]:
    """Debian packages whose program is not there."""
    return sorted({package for tool, package in TOOLS.items() if not present(tool)})


def present(tool: str) -> bool:
    """Whether a program is on the system's PATH, or a file exists."""
    return Path(tool).exists() if tool.startswith("/") else shutil.which(tool, path=PATH) is not None


def install(packages: list[str]) -> None:
    """Install packages in one call; services that they bring are not started (policy-rc.d)."""
    if shutil.which("apt-get") is None:
        raise PreflightFailed(
            [f"{' '.join(packages)}: not installed, and there is no apt-get; install them with this system's package manager"]
        )
    say(f"installing with apt-get: {' '.join(packages)}")
    environment = {**os.environ, "DEBIAN_FRONTEND": "noninteractive"}
    policy = Path("/usr/sbin/policy-rc.d")
    ours = not policy.exists()
    if ours:
        policy.write_text("#!/bin/sh\nexit 101\n", encoding="utf-8")
        policy.chmod(0o755)
    try:
        command = ["apt-get", "install", "--yes", "--no-install-recommends", *packages]
        if attempt(command, env=environment, timeout=900).returncode != 0:
            run(["apt-get", "update"], env=environment, timeout=300)
            run(command, env=environment, timeout=900)
    finally:
        if ours:
            policy.unlink()


def machine_lacks() -> Iterator[str]:
    """Architecture, disk, memory."""
    if platform.machine() != "x86_64":
        yield f"architecture {platform.machine()}: kubectl and helm are fetched for x86_64 only; use such a machine"
    for folder in (cache_root(), STATE_ROOT):
        free = shutil.disk_usage(existing(folder)).free / 1e9
        if free < FREE_DISK_GB:
            yield f"disk: {free:.0f} GB free at {folder}, {FREE_DISK_GB} needed; free some, or set REGIMEN_CACHE to another disk"
    memory = {line.split(":")[0]: int(line.split()[1]) for line in Path("/proc/meminfo").read_text(encoding="utf-8").splitlines()}
    if memory["MemAvailable"] / 1e6 < FREE_MEMORY_GB:
        yield f"memory: {memory['MemAvailable'] / 1e6:.1f} GB available, {FREE_MEMORY_GB} needed; stop something else"


def kernel_lacks() -> Iterator[str]:
    """Control groups, overlayfs, network namespaces, bridges, nftables: each tried for real, in a namespace that vanishes."""
    try:
        cgroups.hierarchies()
    except ClusterError as lack:
        yield f"control groups: {lack}; mount them, or run in a virtual machine rather than a container"
    if "overlay" not in Path("/proc/filesystems").read_text(encoding="utf-8") and not load_module("overlay"):
        yield "overlayfs: the kernel has none; load the module `overlay`"
    if not Path("/proc/sys/net/bridge").is_dir() and not load_module("br_netfilter"):
        yield "bridge filtering: pods of one node could not reach each other through a service; load the module `br_netfilter`"
    tries = {
        "network namespaces": ("true", "run as real root, with CAP_SYS_ADMIN"),
        "bridges": ("ip link add br0 type bridge", "load the module `bridge`, and have CAP_NET_ADMIN"),
        "virtual Ethernet pairs": ("ip link add v0 type veth peer name v1", "load the module `veth`"),
        "nftables": (
            "nft 'add table ip t; add chain ip t c { type nat hook output priority 0; }; add rule ip t c ip daddr 198.19.0.1 dnat to 198.18.0.1'",
            "load `nf_tables` and `nft_nat`; kernel 5.13 or newer",
        ),
    }
    for what, (command, remedy) in tries.items():
        answer = attempt(["unshare", "--net", "sh", "-c", command], timeout=10)
        if answer.returncode != 0:
            yield f"{what}: {(answer.stderr or answer.stdout).strip()[:200]}; {remedy}"
    if attempt(["unshare", "--mount", "true"]).returncode != 0:
        yield "mount namespaces: refused; run as real root, with CAP_SYS_ADMIN"


def load_module(name: str) -> bool:
    """Try to load a kernel module; through a shell, as a machine without modules has no modprobe either."""
    return attempt(["sh", "-c", f"modprobe {name}"]).returncode == 0


def existing(folder: Path) -> Path:
    """The nearest folder that exists, for asking about its disk."""
    while not folder.exists():
        folder = folder.parent
    return folder
