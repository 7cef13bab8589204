"""Who is on the cards that a service may use, and who waits for them: Deployments of served versions say what each of their pods takes."""

from collections import Counter

from regimen.act.cluster import Cluster, Object
from regimen.act.parts import asked_for, holds_place
from regimen.plan.admission import VRAM, CardLoad, Unplaced
from regimen.plan.common import Owner
from regimen.sizing.cards import card_bytes
from regimen.spec.meta import GROUP
from regimen.spec.service import ModelServiceSpec

SERVERS = "app.kubernetes.io/component=server"
COMPONENT, SERVICE, VERSION = "app.kubernetes.io/component", f"{GROUP}/service", f"{GROUP}/version"
Key = tuple[str, str, str]
"""Namespace, service, version."""


def card_loads(cluster: Cluster, owner: Owner, spec: ModelServiceSpec) -> tuple[tuple[CardLoad, ...], tuple[Unplaced, ...]]:
    """The cards, full ones too, and the replicas of other services that wait for one. Nothing for a service on the CPU."""
    resource = spec.placement.gpu_resource
    if not spec.placement.gpus:
        return (), ()
    deployments = cluster.items("Deployment", selector=SERVERS)
    sizes = {_key(item): int(item["metadata"].get("annotations", {}).get(VRAM, 0)) for item in deployments}
    labels = {item["metadata"]["name"]: item for item in cluster.items("Node")}
    mine = {name: node for name, node in labels.items() if _selects(spec.placement.node_selector, node) and _slices(node, resource)}
    pods = [pod for pod in cluster.items("Pod") if holds_place(pod) and pod.get("spec", {}).get("nodeName")]
    cards = tuple(
        _card(owner, node, [pod for pod in pods if pod["spec"]["nodeName"] == name], sizes, resource) for name, node in mine.items()
    )
    placed = Counter(_key(pod) for pod in pods if _is_server(pod))
    waiting = [
        Unplaced(sizes[_key(item)], frozenset(name for name, node in labels.items() if _selects(_selector(item), node)))
        for item in deployments
        if not _is_ours(owner, item) and sizes[_key(item)]
        for _ in range(max(0, int(item["spec"].get("replicas", 1)) - placed[_key(item)]))
    ]
    return cards, tuple(waiting)


def _card(owner: Owner, node: Object, pods: list[Object], sizes: dict[Key, int], resource: str) -> CardLoad:
    servers = [pod for pod in pods if _is_server(pod) and asked_for(pod, resource)]
    others = [pod for pod in servers if not _is_ours(owner, pod)]
    # Training gives its card back; who is there besides serves, or is none of ours.
    taken = sum(asked_for(pod, resource) for pod in pods if not _is_ours(owner, pod) and _component(pod) != "trainer")
    return CardLoad(
        node=node["metadata"]["name"], memory=card_bytes(node["metadata"].get("labels", {})), free=max(0, _slices(node, resource) - taken),
        own=len(servers) - len(others), cordoned=bool(node.get("spec", {}).get("unschedulable")),
        others=tuple(sorted((_key(pod)[1], sizes.get(_key(pod), 0)) for pod in others)),
    )  # fmt: skip


def _slices(node: Object, resource: str) -> int:
    return int(node.get("status", {}).get("allocatable", {}).get(resource, 0))


def _key(obj: Object) -> Key:
    labels = obj["metadata"].get("labels", {})
    return obj["metadata"]["namespace"], labels.get(SERVICE, ""), labels.get(VERSION, "")


def _component(obj: Object) -> str:
    return str(obj["metadata"].get("labels", {}).get(COMPONENT, ""))


def _is_server(pod: Object) -> bool:
    return _component(pod) == "server"


def _is_ours(owner: Owner, obj: Object) -> bool:
    return _component(obj) == "server" and _key(obj)[:2] == (owner.namespace, owner.name)


def _selector(deployment: Object) -> dict[str, str]:
    return dict(deployment["spec"]["template"]["spec"].get("nodeSelector") or {})


def _selects(selector: dict[str, str], node: Object) -> bool:
    labels = node["metadata"].get("labels", {})
    return all(labels.get(key) == value for key, value in selector.items())
