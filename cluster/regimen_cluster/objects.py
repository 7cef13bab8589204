"""The objects every cluster with nodes starts with: storage, and what CoreDNS may read. Pure: returns manifests."""

from __future__ import annotations

import json
from typing import Any

from regimen_cluster.layout import DISKS, SHARED_DISK, Layout, Node

STORAGE_CLASS = "node-disk"


def manifests(cluster: Layout) -> str:
    """One List for `kubectl apply`."""
    names = [node.name for node in cluster.nodes]
    disks = [volume(disk, [node.name], "ReadWriteOnce", "10Gi", {}) for node in cluster.nodes for disk in node.disks]
    shared = volume(SHARED_DISK, names, "ReadWriteMany", "20Gi", {"role": SHARED_DISK})
    return json.dumps({"apiVersion": "v1", "kind": "List", "items": [_storage_class(), shared, *disks, *_dns_access()]})


def volume(name: str, nodes: list[str], mode: str, size: str, labels: dict[str, str]) -> dict[str, Any]:
    """A `local` volume: the same path on each node that it names, and a folder of its own behind it on each."""
    place = {"key": "kubernetes.io/hostname", "operator": "In", "values": nodes}
    return {
        "apiVersion": "v1",
        "kind": "PersistentVolume",
        "metadata": {"name": name, "labels": labels},
        "spec": {
            "capacity": {"storage": size},
            "accessModes": [mode],
            "persistentVolumeReclaimPolicy": "Retain",
            "storageClassName": STORAGE_CLASS,
            "local": {"path": str(DISKS / name)},
            "nodeAffinity": {"required": {"nodeSelectorTerms": [{"matchExpressions": [place]}]}},
        },
    }


def gpu_patch(node: Node) -> str:
    """A merge patch for the node's status: so many slices of the card, as a device plugin with time-slicing would report."""
    amount = {"nvidia.com/gpu": str(node.gpu_slices)}
    return json.dumps({"status": {"capacity": amount, "allocatable": amount}})


def _storage_class() -> dict[str, Any]:
    return {
        "apiVersion": "storage.k8s.io/v1",
        "kind": "StorageClass",
        "metadata": {"name": STORAGE_CLASS},
        "provisioner": "kubernetes.io/no-provisioner",
        "volumeBindingMode": "WaitForFirstConsumer",
    }


def _dns_access() -> list[dict[str, Any]]:
    group = "rbac.authorization.k8s.io"
    read = ["list", "watch"]
    rules = [
        {"apiGroups": [""], "resources": ["services", "pods", "namespaces"], "verbs": read},
        {"apiGroups": ["discovery.k8s.io"], "resources": ["endpointslices"], "verbs": read},
    ]
    name = {"name": "regimen-cluster-dns"}
    subject = {"kind": "User", "name": "system:coredns", "apiGroup": group}
    return [
        {"apiVersion": f"{group}/v1", "kind": "ClusterRole", "metadata": name, "rules": rules},
        {
            "apiVersion": f"{group}/v1",
            "kind": "ClusterRoleBinding",
            "metadata": name,
            "roleRef": {"apiGroup": group, "kind": "ClusterRole", **name},
            "subjects": [subject],
        },
    ]
