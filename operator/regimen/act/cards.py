"""Cards and who is on them, as the scheduler counts: allocatable and requested amounts of an extended resource."""

from collections.abc import Mapping

from pydantic import ValidationError

from regimen.act.arms import ServiceArms
from regimen.act.cluster import Cluster, Object
from regimen.act.parts import asked_for, holds_place, owner_of, pod_facts, spec_of
from regimen.plan.borrow import CardFacts, LenderFacts, RivalFacts
from regimen.plan.common import Owner, owner_label
from regimen.plan.training import TRAINING
from regimen.sizing.cards import card_bytes
from regimen.spec.finetune import FineTuneJobSpec
from regimen.spec.meta import GROUP
from regimen.spec.phases import JobPhase

SERVICE = f"{GROUP}/service"
BEFORE_OR_IN_TRAINING = frozenset({"", JobPhase.PENDING, JobPhase.WAITING, JobPhase.PAUSED, JobPhase.TRAINING})


def card_facts(cluster: Cluster, selector: Mapping[str, str], resource: str) -> tuple[CardFacts, ...]:
    """Nodes that match a selector, with what pods ask of the resource there."""
    facts = []
    for node in _nodes(cluster, selector):
        name = node["metadata"]["name"]
        pods = [pod for pod in cluster.items("Pod", fields=f"spec.nodeName={name}") if holds_place(pod)]
        taken = sum(asked_for(pod, resource) for pod in pods)
        slices = int(node.get("status", {}).get("allocatable", {}).get(resource, 0))
        facts.append(CardFacts(name, slices, taken, card_bytes(node["metadata"].get("labels", {}))))
    return tuple(facts)


def _nodes(cluster: Cluster, selector: Mapping[str, str]) -> list[Object]:
    return cluster.items("Node", selector=",".join(f"{key}={value}" for key, value in sorted(selector.items())))


def lender_facts(cluster: Cluster, arms: ServiceArms, cards: tuple[CardFacts, ...], resource: str) -> tuple[LenderFacts, ...]:
    """ModelServices with replicas on those nodes' cards; `on_cards` is the most on any one of them."""
    nodes = {card.node for card in cards}
    found = []
    for obj in cluster.items("ModelService"):
        namespace, name = obj["metadata"]["namespace"], obj["metadata"]["name"]
        pods = [
            (pod_facts(pod), asked_for(pod, resource))
            for pod in cluster.items("Pod", namespace, f"{SERVICE}={name},app.kubernetes.io/component=server")
            if holds_place(pod)
        ]
        per_node = [sum(pod.node == node and pod.ready and slices > 0 for pod, slices in pods) for node in nodes]
        if not any(per_node):
            continue
        ready = sum(pod.ready and not pod.terminating for pod, _ in pods)
        found.append(
            LenderFacts(
                service=name, ready=ready, min_available=int(obj.get("spec", {}).get("minAvailable", 0)), on_cards=max(per_node),
                rolling_out=arms.exchanging_rollout(namespace, name),
            )
        )  # fmt: skip
    return tuple(found)


def rival_facts(
    cluster: Cluster, owner: Owner, default: Mapping[str, str], cards: tuple[CardFacts, ...], resource: str
) -> tuple[RivalFacts, ...]:
    """Other FineTuneJobs that have not got past training and may run on one of those nodes."""
    found = []
    for obj in cluster.items("FineTuneJob"):
        if obj["metadata"]["uid"] == owner.uid or str(obj.get("status", {}).get("phase", "")) not in BEFORE_OR_IN_TRAINING:
            continue
        try:
            spec = spec_of(obj, FineTuneJobSpec)
        except ValidationError:
            continue  # it never takes a card: its own pass says why
        if spec.suspend or not spec.placement.whole_card or spec.placement.gpu_resource != resource:
            continue
        selector = default if spec.placement.node_selector is None else spec.placement.node_selector
        if {node["metadata"]["name"] for node in _nodes(cluster, selector)} & {card.node for card in cards}:
            found.append(_rival(cluster, owner, owner_of(obj), obj, spec))
    return tuple(sorted(found, key=lambda rival: (not rival.older, rival.name)))


def _rival(cluster: Cluster, owner: Owner, other: Owner, obj: Object, spec: FineTuneJobSpec) -> RivalFacts:
    labels = {**owner_label(other.kind, other.name), **TRAINING}
    pods = cluster.items("Pod", other.namespace, ",".join(f"{key}={value}" for key, value in labels.items()))
    holding = [str(pod["spec"].get("nodeName", "")) for pod in pods if holds_place(pod)]
    conditions = obj.get("status", {}).get("conditions", [])
    reason = next((str(item.get("reason", "")) for item in conditions if item.get("type") == "Ready"), "")
    return RivalFacts(
        name=other.path if other.namespace != owner.namespace else other.name,
        older=(other.created, other.path) < (owner.created, owner.path),
        training=bool(holding) or reason == "Training", node=max(holding, default=""), reason=reason, window=spec.window,
    )  # fmt: skip


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
