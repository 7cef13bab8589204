"""Loopback forwards on the host: one HAProxy per cluster, which reaches into the cluster's network namespace.

The API server's forward is the first; `forward` adds others. They are kept in the cluster's state and survive a restart of HAProxy.
"""

from __future__ import annotations

import json
import re
import socket
from functools import partial
from pathlib import Path

from regimen_cluster import components, config, kube, process
from regimen_cluster.errors import ClusterError
from regimen_cluster.host import lock, wait_for
from regimen_cluster.layout import API_ADDRESS, API_PORT, STATE_ROOT, Layout

FIRST_PORT = 16443


def path(cluster: Layout) -> Path:
    """Where the forwards are recorded: local port to ADDRESS:PORT."""
    return cluster.state / "forwards.json"


def read(cluster: Layout) -> dict[int, str]:
    """The recorded forwards; none before `up`."""
    if not path(cluster).exists():
        return {}
    return {int(port): target for port, target in json.loads(path(cluster).read_text(encoding="utf-8")).items()}


def api_port(cluster: Layout) -> int | None:
    """The host port of the API server, once chosen."""
    target = f"{API_ADDRESS}:{API_PORT}"
    return next((port for port, to in read(cluster).items() if to == target), None)


def choose_port(preferred: int | None, taken: set[int], first: int = FIRST_PORT) -> int:
    """The preferred port if it is free, else the first free one; `taken` are promised to other clusters."""
    candidates = ([preferred] if preferred is not None else []) + list(range(first, first + 500))
    for port in candidates:
        if port not in taken and is_free(port):
            return port
    raise ClusterError(f"no free port from {first} to {first + 499}")


def is_free(port: int) -> bool:
    """Whether the loopback port can be bound now."""
    with socket.socket() as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind(("127.0.0.1", port))
        except OSError:
            return False
    return True


def taken_by_others(cluster: Layout) -> set[int]:
    """Ports recorded by other clusters, whether up at this moment or not."""
    ports: set[int] = set()
    for other in STATE_ROOT.glob("*/forwards.json"):
        if other != path(cluster):
            ports.update(int(port) for port in json.loads(other.read_text(encoding="utf-8")))
    return ports


def add(cluster: Layout, wishes: list[str]) -> dict[int, str]:
    """Add forwards written LOCALPORT=HOST:PORT (LOCALPORT 0: choose one). Returns them with ports and addresses filled in."""
    added: dict[int, str] = {}
    with lock("ports"):
        known = read(cluster)
        for wish in wishes:
            local, host, port = parse(wish)
            target = resolve(cluster, host, port)
            chosen = local if known.get(local) is not None else choose_port(local or None, taken_by_others(cluster) | set(known), 18000)
            if local not in (0, chosen):
                raise ClusterError(f"port {local} is in use; 0 chooses a free one")
            if known.get(chosen) == f"{API_ADDRESS}:{API_PORT}":
                raise ClusterError(f"port {chosen} is the API server's")
            known[chosen] = added[chosen] = target
        apply(cluster, known)
    return added


def apply(cluster: Layout, forwards: dict[int, str]) -> None:
    """Record the forwards and put an HAProxy with them in place; connections through an older one go on until they end."""
    path(cluster).write_text(json.dumps({str(port): target for port, target in forwards.items()}, indent=1), encoding="utf-8")
    (cluster.state / "haproxy.cfg").write_text(config.haproxy(cluster, forwards), encoding="utf-8")
    old = process.pid_of(cluster, components.HAPROXY)
    if old is not None:
        (cluster.pids / components.HAPROXY).unlink()
    process.start(cluster, components.haproxy(cluster, old))
    for port in forwards:
        alive = partial(process.require_alive, cluster, [components.HAPROXY])
        wait_for(f"forward on port {port}", partial(listening, port), seconds=60, check=alive)


def listening(port: int) -> bool:
    """Whether somebody accepts connections on the loopback port."""
    with socket.socket() as probe:
        probe.settimeout(1)
        return probe.connect_ex(("127.0.0.1", port)) == 0


def parse(wish: str) -> tuple[int, str, str]:
    """LOCALPORT=HOST:PORT; PORT may be the name of a service's port."""
    match = re.fullmatch(r"(\d{1,5})=([^:=\s]+):([a-z0-9-]+)", wish)
    if match is None or int(match[1]) > 65535:
        raise ClusterError(f"{wish!r}: write LOCALPORT=HOST:PORT, for example 8080=router.default.svc:80")
    return int(match[1]), match[2], match[3]


def resolve(cluster: Layout, host: str, port: str) -> str:
    """ADDRESS:PORT of an address, or of a service written NAME, NAME.NAMESPACE or its full DNS name."""
    if re.fullmatch(r"\d+\.\d+\.\d+\.\d+", host):
        if not port.isdigit():
            raise ClusterError(f"{host}:{port}: an address needs a port number")
        return f"{host}:{port}"
    name, _, rest = host.partition(".")
    service = kube.get(cluster, "service", name, "-n", rest.partition(".")[0] or "default")
    address = service["spec"].get("clusterIP", "None")
    if address == "None":
        raise ClusterError(f"service {host} has no cluster address")
    numbers = {str(p.get("name", "")): int(p["port"]) for p in service["spec"]["ports"]}
    number = int(port) if port.isdigit() else numbers.get(port)
    if number is None:
        raise ClusterError(f"service {host} has no port named {port}; it has {sorted(numbers)}")
    return f"{address}:{number}"
