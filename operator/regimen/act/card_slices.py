"""Cards as the scheduler counts them: allocatable and requested amounts of an extended resource, node by node."""

from collections.abc import Mapping

from regimen.act.cluster import Cluster, Object
from regimen.act.parts import asked_for, holds_place
from regimen.plan.borrow import CardFacts
from regimen.sizing.cards import card_bytes


def card_facts(cluster: Cluster, selector: Mapping[str, str], resource: str) -> tuple[CardFacts, ...]:
    """Nodes that match a selector, with what pods ask of the resource there."""
    facts = []
    for node in nodes_of(cluster, selector):
        name = node["metadata"]["name"]
        pods = [pod for pod in cluster.items("Pod", fields=f"spec.nodeName={name}") if holds_place(pod)]
        taken = sum(asked_for(pod, resource) for pod in pods)
        slices = int(node.get("status", {}).get("allocatable", {}).get(resource, 0))
        facts.append(CardFacts(name, slices, taken, card_bytes(node["metadata"].get("labels", {}))))
    return tuple(facts)


def nodes_of(cluster: Cluster, selector: Mapping[str, str]) -> list[Object]:
    return cluster.items("Node", selector=",".join(f"{key}={value}" for key, value in sorted(selector.items())))
