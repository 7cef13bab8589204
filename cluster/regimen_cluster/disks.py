"""Making `local` volumes usable again. Nothing else does: the retain policy keeps a released volume, and its data, for ever."""

from __future__ import annotations

import shutil
from pathlib import Path

from regimen_cluster import kube, machine
from regimen_cluster.layout import DISKS, Layout


def recycle(cluster: Layout) -> list[str]:
    """Empty every volume whose claim was deleted and offer it anew; returns their names. Volumes in use are left alone."""
    released = [
        item["metadata"]["name"]
        for item in kube.get(cluster, "pv")["items"]
        if item["status"].get("phase") == "Released" and item["spec"].get("local", {}).get("path", "").startswith(f"{DISKS}/")
    ]
    for name in released:
        for node in cluster.nodes:
            _empty(machine.source(cluster, node, DISKS) / name)
        kube.kubectl(cluster, "patch", "pv", name, "--type=json", "-p", '[{"op": "remove", "path": "/spec/claimRef"}]')
    return released


def _empty(folder: Path) -> None:
    """Remove what is in a folder, not the folder: it may be mounted."""
    if not folder.is_dir():
        return  # a generic disk is on one node only
    for entry in folder.iterdir():
        if entry.is_dir() and not entry.is_symlink():
            shutil.rmtree(entry)
        else:
            entry.unlink()
