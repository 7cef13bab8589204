"""Talking to the cluster's API: kubectl for objects, a bare request for readiness."""

from __future__ import annotations

import json
import ssl
import urllib.error
import urllib.request
from typing import Any

from regimen_cluster import programs
from regimen_cluster.host import run
from regimen_cluster.layout import Layout, Node
from regimen_cluster.objects import gpu_patch

GPU = "nvidia.com/gpu"


def kubectl(cluster: Layout, *arguments: str, stdin: str | None = None) -> str:
    """Run kubectl as the cluster's administrator."""
    options = (f"--kubeconfig={cluster.kubeconfig}", f"--cache-dir={cluster.state}/kubectl-cache")
    return run([programs.ensure().kubectl, *options, *arguments], stdin=stdin)


def get(cluster: Layout, *arguments: str) -> dict[str, Any]:
    """`kubectl get ... -o json`, parsed."""
    found: dict[str, Any] = json.loads(kubectl(cluster, "get", *arguments, "-o", "json"))
    return found


def api_ready(cluster: Layout, port: int) -> bool:
    """Whether /readyz answers through the forward on the host's loopback; anyone may read it."""
    trust = ssl.create_default_context(cafile=str(cluster.pki / "ca.crt"))
    handler = urllib.request.build_opener(urllib.request.ProxyHandler({}), urllib.request.HTTPSHandler(context=trust))
    try:
        with handler.open(f"https://127.0.0.1:{port}/readyz", timeout=3) as answer:
            return bool(answer.status == 200)
    except (urllib.error.URLError, OSError):
        return False  # not listening yet, or not ready: both mean wait


def nodes_ready(cluster: Layout) -> dict[str, bool]:
    """The registered nodes and whether each is Ready."""
    ready = {}
    for item in get(cluster, "nodes")["items"]:
        conditions = {c["type"]: c["status"] for c in item["status"].get("conditions", [])}
        ready[item["metadata"]["name"]] = conditions.get("Ready") == "True"
    return ready


def node_ready(cluster: Layout, node: Node) -> bool:
    """Whether one node is registered and Ready."""
    return nodes_ready(cluster).get(node.name, False)


def offered_slices(cluster: Layout, node: Node) -> str:
    """What the node offers of nvidia.com/gpu now, as the scheduler sees it."""
    allocatable: dict[str, str] = get(cluster, "node", node.name)["status"].get("allocatable", {})
    return allocatable.get(GPU, "0")


def offer_slices(cluster: Layout, node: Node) -> bool:
    """Offer the node's GPU slices; whether anything had to be changed. A kubelet that starts anew may have set them to 0."""
    if offered_slices(cluster, node) == str(node.gpu_slices):
        return False
    kubectl(cluster, "patch", "node", node.name, "--subresource=status", "--type=merge", "-p", gpu_patch(node))
    return True


def default_account(cluster: Layout) -> bool:
    """Whether the default namespace has its service account, without which no pod is admitted."""
    argv = ["get", "serviceaccount", "default", "--namespace=default", "--ignore-not-found", "-o", "name"]
    return bool(kubectl(cluster, *argv).strip())
