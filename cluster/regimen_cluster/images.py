"""The nodes' containerds: importing image archives, since there is no registry, and killing a container."""

from __future__ import annotations

import hashlib
import json
import tarfile
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from regimen_cluster.errors import ClusterError, CommandFailed
from regimen_cluster.host import lock, run, say
from regimen_cluster.layout import Layout, Node


@dataclass(frozen=True)
class Archive:
    """What an image archive says about itself."""

    path: Path
    identity: str  # changes when the content does
    names: tuple[str, ...]


def describe(path: Path) -> Archive:
    """Read the manifest of a Docker archive or the index of an OCI archive."""
    if not path.is_file():
        raise ClusterError(f"{path}: no such archive")
    with tarfile.open(path) as tar:
        members = {member.name.removeprefix("./"): member for member in tar}
        for name in ("manifest.json", "index.json"):
            handle = tar.extractfile(members[name]) if name in members else None
            if handle is not None:
                text = handle.read()
                names = _docker_names(json.loads(text)) if name == "manifest.json" else _oci_names(json.loads(text))
                return Archive(path, hashlib.sha256(text).hexdigest(), names)
    raise ClusterError(f"{path}: neither a Docker archive (manifest.json) nor an OCI archive (index.json)")


def _docker_names(manifest: list[dict[str, Any]]) -> tuple[str, ...]:
    return tuple(tag for image in manifest for tag in image.get("RepoTags") or ())


def _oci_names(index: dict[str, Any]) -> tuple[str, ...]:
    keys = ("io.containerd.image.name", "org.opencontainers.image.ref.name")
    annotations = [manifest.get("annotations") or {} for manifest in index["manifests"]]
    return tuple(next(a[key] for key in keys if key in a) for a in annotations if any(key in a for key in keys))


def ctr(cluster: Layout, node: Node, *arguments: str, timeout: float = 60) -> str:
    """containerd's own client, on the node's socket, in the namespace that Kubernetes uses."""
    return run(["ctr", "--address", str(cluster.containerd_socket(node)), "--namespace", "k8s.io", *arguments], timeout=timeout)


def kill_container(cluster: Layout, node: Node, container: str) -> bool:
    """SIGKILL a container's first process, as the kernel does where memory runs out; whether it was running."""
    try:
        ctr(cluster, node, "tasks", "kill", "--signal", "SIGKILL", container)
    except CommandFailed as error:
        if "not found" in error.stderr:
            return False
        raise
    return True


def load(cluster: Layout, path: Path, nodes: list[Node]) -> dict[str, bool]:
    """Import the archive on the nodes; for each, whether anything was done. Raises when the archive names no image."""
    archive = describe(path)
    if not archive.names:
        raise ClusterError(f"{path}: the archive names no image; save it with a name and a tag")
    return {node.name: _load_one(cluster, archive, node) for node in nodes}


def _load_one(cluster: Layout, archive: Archive, node: Node) -> bool:
    record = cluster.node_state(node) / "loaded.json"
    with lock(f"load-{cluster.name}-{node.name}"):
        loaded: dict[str, str] = json.loads(record.read_text(encoding="utf-8")) if record.exists() else {}
        present = set(ctr(cluster, node, "images", "list", "--quiet").split())
        if all(loaded.get(name) == archive.identity and listed(name, present) for name in archive.names):
            return False
        say(f"{node.name}: importing {', '.join(archive.names)}")
        thin = cluster.node_state(node) / "import.tar"
        try:
            _without_present_blobs(archive.path, thin, set(ctr(cluster, node, "content", "list", "--quiet").split()))
            ctr(cluster, node, "images", "import", str(thin), timeout=1800)
        finally:
            thin.unlink(missing_ok=True)
        present = set(ctr(cluster, node, "images", "list", "--quiet").split())
        lost = [name for name in archive.names if not listed(name, present)]
        if lost:
            raise ClusterError(f"{node.name}: imported {archive.path}, yet containerd does not list {lost}; it lists {sorted(present)}")
        loaded.update(dict.fromkeys(archive.names, archive.identity))
        record.write_text(json.dumps(loaded, indent=1), encoding="utf-8")
    return True


def _without_present_blobs(archive: Path, thin: Path, present: set[str]) -> None:
    """Copy an archive without the blobs that the node has already: containerd reads all of an archive, gigabytes of unchanged layers too."""
    with tarfile.open(archive) as source, tarfile.open(thin, "w") as target:
        for member in source:
            if f"sha256:{member.name.rpartition('/')[2]}" not in present:
                target.addfile(member, source.extractfile(member))


def listed(name: str, present: set[str]) -> bool:
    """Whether containerd lists an image; it puts a default registry before short names and a default tag behind untagged ones."""
    tagged = name if ":" in name.rsplit("/", 1)[-1] else f"{name}:latest"
    return any(full == tagged or full.endswith(f"/{tagged}") for full in present)
