"""Bringing a cluster up, taking it down, and restarting parts of it.

State is throwaway: a cluster is either healthy and left alone, or swept away and made anew. There is no repair.
"""

from __future__ import annotations

import json
import shutil
import sys
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from pathlib import Path

from regimen_cluster import (
    cgroups,
    components,
    config,
    forwards,
    kube,
    machine,
    network,
    objects,
    pki,
    preflight,
    process,
    programs,
    tunables,
)
from regimen_cluster.errors import ClusterError, ComponentFailed
from regimen_cluster.host import attempt, lock, run, say, wait_for
from regimen_cluster.images import ctr
from regimen_cluster.layout import (
    API_ADDRESS,
    API_PORT,
    DNS_ADDRESS,
    DOMAIN,
    NODES,
    RUN_ROOT,
    SERVICE_API,
    STATE_ROOT,
    Layout,
    Node,
    layout,
)
from regimen_cluster.programs import Programs


@dataclass(frozen=True)
class Health:
    """What `status` reports."""

    components: dict[str, int | None]
    api: bool
    nodes: dict[str, bool]
    forwards: dict[int, str]

    @property
    def healthy(self) -> bool:
        """Everything that should run does."""
        return self.api and all(self.components.values()) and all(self.nodes.values())


def recorded(name: str) -> Layout | None:
    """The layout of a cluster that was brought up to its end, or None."""
    path = STATE_ROOT / name / "up.json"
    return layout(name, int(json.loads(path.read_text(encoding="utf-8"))["nodes"])) if path.exists() else None


def existing(name: str) -> Layout:
    """The layout of a cluster that is up; raises with what to do when it is not."""
    found = recorded(layout(name).name)
    if found is None:
        raise ClusterError(f"cluster {name} is not up: `python -m regimen_cluster up {name}`")
    return found


def up(name: str, nodes: int = len(NODES)) -> Path:
    """Bring a cluster up and return its kubeconfig. Nothing is done when it is up and healthy."""
    cluster = layout(name, nodes)
    preflight.check()
    made = programs.ensure()
    with lock(f"cluster-{name}"):
        found = recorded(name)
        if found is not None and _keeps(found):
            if found != cluster:
                raise ClusterError(f"cluster {name} is up with {len(found.nodes)} nodes: take it down first")
            _offer_gpus(cluster)
            return cluster.kubeconfig
        preferred = forwards.api_port(cluster)
        sweep(cluster)
        _create(cluster, made, preferred)
    return cluster.kubeconfig


def _keeps(cluster: Layout) -> bool:
    """Whether a cluster that was up may be kept. Dead processes decide at once; a busy machine gets a minute to answer."""
    dead = [name for name, pid in examine(cluster).components.items() if pid is None]
    if dead:
        say(f"{cluster.name} has lost {', '.join(dead)}: starting anew (`restart` brings back single components)")
        return False
    try:
        wait_for(f"{cluster.name} is healthy", lambda: examine(cluster).healthy, seconds=60)
    except ClusterError as late:
        say(f"{late}: starting anew")
        return False
    return True


def _create(cluster: Layout, made: Programs, preferred_port: int | None) -> None:
    """From nothing to ready. The order lets slow starters overlap: node machines and images come while the API server boots."""
    say(f"creating cluster {cluster.name} with {len(cluster.nodes)} nodes")
    with lock("ports"):
        port = _write_state(cluster, preferred_port)
    cgroups.create(cluster)
    network.create(cluster)
    pki.create(cluster, port)
    _write_config(cluster)
    _start(cluster, components.control_plane(cluster, made.go))
    forwards.apply(cluster, {port: f"{API_ADDRESS}:{API_PORT}"})
    _start_runtimes(cluster, made)
    _wait_api(cluster, port)
    if cluster.nodes:
        kube.kubectl(cluster, "apply", "--server-side", "-f", "-", stdin=objects.manifests(cluster))
        _start(cluster, [*components.controllers(cluster, made.go), *components.kubelets(cluster, made.go)])
        _wait_nodes(cluster)
        _offer_gpus(cluster)
        _wait_services(cluster)
    (cluster.state / "up.json").write_text(json.dumps({"nodes": len(cluster.nodes)}), encoding="utf-8")
    say("ready")


def _write_state(cluster: Layout, preferred_port: int | None) -> int:
    """Make the folders and promise the API server's port, so that another `up` does not choose it."""
    port = forwards.choose_port(preferred_port, forwards.taken_by_others(cluster))
    tunables.remember()
    for folder in (cluster.logs, cluster.pids, cluster.run):
        folder.mkdir(parents=True, exist_ok=True)
    cluster.state.chmod(0o755)
    forwards.path(cluster).write_text(json.dumps({str(port): f"{API_ADDRESS}:{API_PORT}"}), encoding="utf-8")
    return port


def _write_config(cluster: Layout) -> None:
    (cluster.state / "resolv.conf").write_text("", encoding="utf-8")
    (cluster.state / "Corefile").write_text(config.corefile(cluster), encoding="utf-8")
    for node in cluster.nodes:
        machine.prepare(cluster, node)
        state = cluster.node_state(node)
        (state / "cni").mkdir()
        (state / "cni" / "10-bridge.conflist").write_text(config.cni(cluster, node), encoding="utf-8")
        (state / "containerd.toml").write_text(config.containerd(cluster, node), encoding="utf-8")
        (state / "kubelet.json").write_text(config.kubelet(cluster, node), encoding="utf-8")


def _start(cluster: Layout, parts: list[process.Component]) -> None:
    for part in parts:
        process.start(cluster, part)


def _start_runtimes(cluster: Layout, made: Programs) -> None:
    """The node machines, their containerds, and the sandbox image on each."""
    _start(cluster, components.machines(cluster))
    for node in cluster.nodes:
        _wait(cluster, process.machine_name(node), f"mounts of {node.name}", machine.ready_file(cluster, node).exists, 10)
    _start(cluster, components.runtimes(cluster))
    for node, part in zip(cluster.nodes, components.runtimes(cluster), strict=True):
        _wait(cluster, part.name, "containerd answers", partial(_containerd_answers, cluster, node), 30)
        ctr(cluster, node, "images", "import", str(made.pause))


def _containerd_answers(cluster: Layout, node: Node) -> bool:
    address = str(cluster.containerd_socket(node))
    return attempt(["ctr", "--address", address, "--timeout", "2s", "version"]).returncode == 0


def _wait(cluster: Layout, component: str, what: str, ready: Callable[[], bool], seconds: float) -> None:
    """Wait for a component; its death or lateness is reported with the end of its log."""
    try:
        wait_for(what, ready, seconds=seconds, check=lambda: process.require_alive(cluster, [component]))
    except ComponentFailed:
        raise
    except ClusterError as late:
        raise process.failed(cluster, component, str(late)) from late


def _wait_api(cluster: Layout, port: int) -> None:
    _wait(cluster, "etcd", "etcd runs", lambda: process.pid_of(cluster, "etcd") is not None, 5)
    _wait(cluster, "kube-apiserver", "the API server is ready", lambda: kube.api_ready(cluster, port), 90)


def _wait_nodes(cluster: Layout) -> None:
    for node in cluster.nodes:
        _wait(cluster, f"kubelet-{node.name}", f"node {node.name} is Ready", partial(kube.node_ready, cluster, node), 90)


def _offer_gpus(cluster: Layout) -> None:
    for node in cluster.nodes:
        if kube.offer_slices(cluster, node):
            say(f"{node.name} offers {node.gpu_slices} slices of nvidia.com/gpu")


def _wait_services(cluster: Layout) -> None:
    argv = [sys.executable, str(Path(__file__).with_name("probe.py")), DNS_ADDRESS, f"kubernetes.default.svc.{DOMAIN}", SERVICE_API]
    _wait(cluster, "coredns", "DNS and service addresses answer", lambda: attempt(network.inside(cluster, argv)).returncode == 0, 60)
    _wait(cluster, "kube-controller-manager", "pods have a service account", partial(kube.default_account, cluster), 60)
    process.require_alive(cluster, [part.name for part in components.everything(cluster, Path("/"))])


def down(name: str) -> int:
    """Take a cluster down, whatever state it is in; returns how many processes were ended. Nothing of it remains."""
    cluster = layout(name)
    with lock(f"cluster-{name}"):
        return sweep(cluster)


def sweep(cluster: Layout) -> int:
    """End the processes, then remove what they leave: mounts of the nodes vanish with their last process."""
    ended = cgroups.kill_all(cluster)
    network.remove(cluster)
    cgroups.remove(cluster)
    _unmount_below(cluster.state)
    for folder in (cluster.state, cluster.run):
        if folder.exists():
            shutil.rmtree(folder)
    with lock("ports"):
        for root in (STATE_ROOT, RUN_ROOT):
            if root.is_dir() and not any(root.iterdir()):
                root.rmdir()
        machine.remove_mount_points()
        tunables.put_back()
    return ended


def _unmount_below(folder: Path) -> None:
    """Nothing should be mounted there in the host's view; if somebody did, removing the folder must not reach through it."""
    points = [line.split()[1] for line in Path("/proc/self/mounts").read_text(encoding="utf-8").splitlines()]
    for point in sorted((p for p in points if Path(p).is_relative_to(folder)), reverse=True):
        run(["umount", "--lazy", point])


def examine(cluster: Layout) -> Health:
    """Look at a cluster without changing it."""
    parts = components.everything(cluster, programs.ensure().go)
    pids = {part.name: process.pid_of(cluster, part.name) for part in parts}
    port = forwards.api_port(cluster)
    ready = port is not None and pids[components.HAPROXY] is not None and kube.api_ready(cluster, port)
    registered = kube.nodes_ready(cluster) if ready else {}
    nodes = {node.name: registered.get(node.name, False) for node in cluster.nodes}
    return Health(pids, ready, nodes, forwards.read(cluster))


def kill(name: str, component: str) -> bool:
    """SIGKILL one component, as a crash would; pods and other components go on. Whether it was running."""
    cluster = existing(name)
    _component(cluster, component)
    return process.stop(cluster, component)


def restart(name: str, component: str) -> int:
    """Kill one component if it runs, start it again, wait until it works, and return its pid."""
    cluster = existing(name)
    part = _component(cluster, component)
    process.stop(cluster, component)
    pid = process.start(cluster, part)
    port = forwards.api_port(cluster)
    if component in ("etcd", "kube-apiserver", components.HAPROXY) and port is not None:
        _wait_api(cluster, port)
    if component.startswith("kubelet-") and part.node is not None:
        _wait(cluster, component, "the kubelet is healthy", partial(_kubelet_answers, cluster, part.node), 60)
        _wait_nodes(cluster)
        _offer_gpus(cluster)
    return pid


def _kubelet_answers(cluster: Layout, node: Node) -> bool:
    """Asked from inside, as a kubelet's health port is on the loopback of the cluster's network."""
    url = f"http://127.0.0.1:{node.health_port}/healthz"
    code = f"import urllib.request; urllib.request.urlopen({url!r}, timeout=2)"
    return attempt(network.inside(cluster, [sys.executable, "-c", code])).returncode == 0


def _component(cluster: Layout, name: str) -> process.Component:
    parts = {part.name: part for part in components.everything(cluster, programs.ensure().go)}
    if name not in parts:
        raise ClusterError(f"no component {name}; there are {sorted(parts)}")
    return parts[name]
