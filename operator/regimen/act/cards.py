"""Cards and who is on them, as the scheduler counts: allocatable and requested amounts of an extended resource."""

from regimen.act.arms import ServiceArms
from regimen.act.cluster import Cluster
from regimen.act.parts import asked_for, holds_place, pod_facts
from regimen.plan.borrow import CardFacts, LenderFacts
from regimen.spec.meta import GROUP

TRAINER = "app.kubernetes.io/component=trainer"
SERVICE = f"{GROUP}/service"


def card_facts(cluster: Cluster, selector: dict[str, str], resource: str) -> tuple[CardFacts, ...]:
    """Nodes that match a selector, with what others than training ask of the resource there."""
    query = ",".join(f"{key}={value}" for key, value in sorted(selector.items()))
    facts = []
    for node in cluster.items("Node", selector=query):
        name = node["metadata"]["name"]
        pods = [pod for pod in cluster.items("Pod", fields=f"spec.nodeName={name}") if holds_place(pod)]
        taken = sum(asked_for(pod, resource) for pod in pods)
        slices = int(node.get("status", {}).get("allocatable", {}).get(resource, 0))
        facts.append(CardFacts(node=name, slices=slices, taken=taken))
    return tuple(facts)


def lender_facts(cluster: Cluster, arms: ServiceArms, cards: tuple[CardFacts, ...]) -> tuple[LenderFacts, ...]:
    """ModelServices with replicas on those nodes; `on_cards` is the most on any one of them."""
    nodes = {card.node for card in cards}
    found = []
    for obj in cluster.items("ModelService"):
        namespace, name = obj["metadata"]["namespace"], obj["metadata"]["name"]
        pods = [
            pod_facts(pod)
            for pod in cluster.items("Pod", namespace, f"{SERVICE}={name},app.kubernetes.io/component=server")
            if holds_place(pod)
        ]
        per_node = [sum(pod.node == node and pod.ready for pod in pods) for node in nodes]
        if not any(per_node):
            continue
        ready = sum(pod.ready and not pod.terminating for pod in pods)
        found.append(
            LenderFacts(
                service=name, ready=ready, min_available=int(obj.get("spec", {}).get("minAvailable", 0)), on_cards=max(per_node),
                rolling_out=arms.active_rollout(namespace, name),
            )
        )  # fmt: skip
    return tuple(found)


def stepped_aside(cluster: Cluster, cards: tuple[CardFacts, ...]) -> tuple[tuple[str, int], ...]:
    """Services whose replicas wait for a place, with how many."""
    found = []
    for obj in cluster.items("ModelService"):
        namespace, name = obj["metadata"]["namespace"], obj["metadata"]["name"]
        pods = cluster.items("Pod", namespace, f"{SERVICE}={name},app.kubernetes.io/component=server")
        waiting = sum(not pod.get("spec", {}).get("nodeName") and holds_place(pod) for pod in pods)
        if waiting and cards:
            found.append((name, waiting))
    return tuple(found)
