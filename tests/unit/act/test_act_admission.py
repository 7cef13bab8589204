"""Cards and pods as the API shows them: who is where, who waits, and how long a replica took to load."""

from typing import Any

from plan_builders import owner, service_spec

from regimen.act.admission import card_loads
from regimen.act.parts import is_settled, pod_facts
from regimen.plan.admission import VRAM, CardLoad, Unplaced, places

GIB = 2**30


def pod(name: str, service: str, node: str | None, slices: int = 1, component: str = "server", **labels: str) -> dict[str, Any]:
    marks = {"app.kubernetes.io/component": component, "regimen.dev/service": service, "regimen.dev/version": f"{service}-v1", **labels}
    container = {"name": component, "resources": {"requests": {"nvidia.com/gpu": str(slices)}}}
    return {"metadata": {"name": name, "namespace": "claims", "labels": marks}, "status": {"phase": "Running"},
            "spec": {"containers": [container], **({"nodeName": node} if node else {})}}  # fmt: skip


def deployment(service: str, replicas: int, size: int, gpu: str) -> dict[str, Any]:
    labels = {"app.kubernetes.io/component": "server", "regimen.dev/service": service, "regimen.dev/version": f"{service}-v1"}
    return {"metadata": {"name": service, "namespace": "claims", "labels": labels, "annotations": {VRAM: str(size)}},
            "spec": {"replicas": replicas, "template": {"spec": {"nodeSelector": {"gpu": gpu}}}}}  # fmt: skip


def node(name: str, slices: int, cordoned: bool = False) -> dict[str, Any]:
    return {"metadata": {"name": name, "labels": {"gpu": name}}, "spec": {"unschedulable": cordoned},
            "status": {"allocatable": {"nvidia.com/gpu": str(slices)}}}  # fmt: skip


class Given:
    """A cluster that has been listed."""

    def __init__(self, **kinds: list[dict[str, Any]]) -> None:
        self.kinds = kinds

    def items(self, kind: str, namespace: str | None = None, selector: str = "", fields: str = "") -> list[dict[str, Any]]:
        return self.kinds.get(kind, [])


def test_cards_with_who_is_there_and_who_waits() -> None:
    ended = pod("done", "bimedix", "rtx3090")
    ended["status"]["phase"] = "Succeeded"
    cluster = Given(
        Node=[node("rtx3090", 4), node("rtx3060", 2, cordoned=True)],
        Deployment=[deployment("openins", 2, 7, "rtx3090"), deployment("bimedix", 2, 8, "rtx3090"), deployment("tiny", 1, 3, "rtx3060")],
        Pod=[
            pod("o-0", "openins", "rtx3090"), pod("o-1", "openins", None), pod("b-0", "bimedix", "rtx3090"), ended,
            pod("train", "", "rtx3090", slices=4, component="trainer"), pod("t-0", "tiny", "rtx3060"),
        ],
    )  # fmt: skip
    cards, waiting = card_loads(cluster, owner("ModelService"), service_spec())  # type: ignore[arg-type]
    assert cards == (CardLoad("rtx3090", 24 * GIB, free=3, own=1, others=(("bimedix", 8),)),)
    assert waiting == (Unplaced(8, frozenset({"rtx3090"})),)
    everywhere = service_spec().model_copy(update={"placement": service_spec().placement.model_copy(update={"node_selector": {}})})
    both, _ = card_loads(cluster, owner("ModelService"), everywhere)  # type: ignore[arg-type]
    assert [(card.node, card.free, card.cordoned) for card in both] == [("rtx3090", 3, False), ("rtx3060", 1, True)]


def test_a_full_card_is_one_and_a_node_without_slices_is_none() -> None:
    full = [pod(f"t-{number}", "tiny", "rtx3060") for number in range(2)]
    cluster = Given(Node=[node("rtx3060", 2), node("cpu", 0)], Deployment=[deployment("tiny", 2, 3, "rtx3060")], Pod=full)
    anywhere = service_spec().model_copy(update={"placement": service_spec().placement.model_copy(update={"node_selector": {}})})
    cards, _ = card_loads(cluster, owner("ModelService"), anywhere)  # type: ignore[arg-type]
    assert [(card.node, card.free, card.own) for card in cards] == [("rtx3060", 0, 0)]
    assert places(anywhere, 3, cards) == 0


def test_on_the_cpu_nobody_is_asked() -> None:
    assert card_loads(Given(), owner("ModelService"), service_spec(placement={"gpus": 0})) == ((), ())  # type: ignore[arg-type]


def test_how_long_a_replica_took_to_load_leaves_out_fetching_its_file() -> None:
    seen = pod("o-0", "openins", "rtx3090")
    seen["metadata"]["annotations"] = {"controller.kubernetes.io/pod-deletion-cost": "-1000"}
    seen["status"] |= {
        "conditions": [{"type": kind, "status": "True", "lastTransitionTime": f"2026-11-01T07:0{minute}:00Z"}
                       for kind, minute in (("PodScheduled", 0), ("Ready", 6))],
        "containerStatuses": [{"name": "server", "state": {"running": {"startedAt": "2026-11-01T07:05:20Z"}}}],
    }  # fmt: skip
    facts = pod_facts(seen, frozenset({"rtx3090"}))
    assert (facts.load_seconds, facts.ready, facts.doomed, facts.cordoned) == (40.0, True, True, True)
    del seen["status"]["containerStatuses"]
    assert pod_facts(seen).load_seconds is None


def test_a_deployment_is_settled_once_every_pod_is_of_the_template_that_its_controller_has_seen() -> None:
    made: dict[str, Any] = {"metadata": {"generation": 2}, "status": {"observedGeneration": 2}}
    old, new = (pod(name, "openins", "n", **{"pod-template-hash": name}) for name in ("old", "new"))
    assert is_settled(made, [new, new])
    assert not is_settled(made, [old, new])
    assert not is_settled({**made, "status": {"observedGeneration": 1}}, [old])
