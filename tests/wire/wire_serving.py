"""What controllers, kubelets and routers would do for a service, by hand: pods of Deployments, Jobs that end, routers that obey."""

import itertools
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from plan_builders import AT, answers
from wire_world import Countdown, CountedCluster, CountedStore, Stopped, Wire

from regimen.act.cluster import Cluster, Object
from regimen.act.http import Peers
from regimen.act.parts import DELETION_COST
from regimen.act.reconcile import Reconciler
from regimen.plan.router import routing_name
from regimen.spec.routing import ArmState, Evidence, RouterState, Routing
from regimen.stats.guardrails import Measured
from regimen.store import Store

SINCE = "2026-11-01T06:00:00Z"


@dataclass
class Clock:
    """Time that only passes turn."""

    now: float = field(default_factory=AT.timestamp)

    def __call__(self) -> float:
        return self.now


@dataclass
class Routers:
    """Routers that carry out whatever the ConfigMap says, and a feedback service that knows what a test lets it know."""

    cluster: Cluster
    prometheus: Peers
    evidence_is: str = "missing"
    off: set[str] = field(default_factory=set)
    """Versions of which the candidate's weight was seen to be 0."""

    def routing(self, namespace: str, service: str) -> Routing:
        found = self.cluster.get("ConfigMap", namespace, routing_name(service))
        assert found is not None
        return Routing.model_validate_json(found["data"]["routing.json"])

    def router_state(self, address: str) -> RouterState | None:
        namespace = self.namespace
        routing = self.routing(namespace, "openins")
        arms = [ArmState(version=arm.version, weight=arm.weight, servers=[], draining=arm.draining) if arm else None
                for arm in (routing.stable, routing.candidate)]  # fmt: skip
        return RouterState(pod=address, generation=routing.generation, stable=arms[0], candidate=arms[1])

    namespace: str = ""

    def measured(self, queries: Mapping[str, str]) -> dict[str, Measured]:
        """Prometheus is real."""
        return self.prometheus.measured(queries)

    def evidence(self, namespace: str, service: str, epoch: str, key: str) -> Evidence | None:
        if self.evidence_is == "missing":
            return None
        routing = self.routing(namespace, service)
        share = routing.candidate.weight / 100 if routing.candidate else 0.0
        agreement = {"good": (0.95, 0.6), "bad": (0.6, 0.95)}[self.evidence_is]
        versions = ("openins-v1.0", "openins-baseline")
        subjects = (round(4000 * share), 4000 - round(4000 * share))
        arms = [answers(*item) for item in zip(versions, agreement, subjects, strict=True)]
        return Evidence(namespace=namespace, service=service, epoch=epoch, arms=arms, at=AT)


class Serving:
    """A service's world around one Wire. Passes of the rollout by an operator that a test may stop, or take the bucket from."""

    def __init__(self, wire: Wire) -> None:
        self.wire, self.clock, self.countdown = wire, Clock(), Countdown()
        self.routers = Routers(wire.cluster, Peers("", wire.settings.prometheus_url), namespace=wire.namespace)
        self.numbers = itertools.count()
        self.least = 99
        self.operator = self.new_operator(wire.store)

    def new_operator(self, store: Store) -> Reconciler:
        """Another operator; it remembers nothing."""
        cluster = CountedCluster(self.wire.cluster, self.countdown)
        reconciler = Reconciler(cluster, CountedStore(store, self.countdown), self.wire.settings, self.clock)
        reconciler.arms.peers = self.routers  # type: ignore[assignment]
        return reconciler

    def rollout(self, name: str = "openins-v1-0", stop_after: int | None = None) -> None:
        """One pass, the operator stopped after so many writes; then the world goes on."""
        self.countdown.left = stop_after
        try:
            self.operator.reconcile("ModelRollout", self.wire.namespace, name)
        except Stopped:
            self.operator = self.new_operator(self.wire.store)
        self.countdown.left = None
        self.world()
        self.clock.now += 5

    def service(self) -> None:
        self.operator.reconcile("ModelService", self.wire.namespace, "openins")
        self.world()
        self.clock.now += 5

    def world(self) -> None:
        """Deployments get their pods, Jobs end."""
        for deployment in self.wire.all_of("Deployment"):
            self._replicas(deployment)
        for job in self.wire.all_of("Job"):
            if job["spec"]["template"]["spec"]["containers"][0]["name"] == "fetch" and not job.get("status", {}).get("conditions"):
                self._end(job)
        self.least = min(self.least, len(self.pods("app.kubernetes.io/component=server")))

    def pods(self, selector: str) -> list[Object]:
        return self.wire.cluster.items("Pod", self.wire.namespace, selector)

    def _replicas(self, deployment: Object) -> None:
        template = deployment["spec"]["template"]
        labels = template["metadata"]["labels"]
        here = self.pods(",".join(f"{key}={value}" for key, value in deployment["spec"]["selector"]["matchLabels"].items()))
        here.sort(key=lambda pod: int(pod["metadata"].get("annotations", {}).get(DELETION_COST, "0")))
        wanted = int(deployment["spec"]["replicas"])
        for pod in here[: max(0, len(here) - wanted)]:
            path = f"/api/v1/namespaces/{self.wire.namespace}/pods/{pod['metadata']['name']}"
            self.wire.cluster._call("DELETE", path, {"gracePeriodSeconds": 0})
        for _ in range(max(0, wanted - len(here))):
            self._pod(f"{deployment['metadata']['name']}-{next(self.numbers)}", labels)

    def _pod(self, name: str, labels: dict[str, str]) -> None:
        account = {"apiVersion": "v1", "kind": "ServiceAccount", "metadata": {"name": "default", "namespace": self.wire.namespace}}
        self.wire.cluster.create(account)
        assert self.wire.cluster.create(
            {"apiVersion": "v1", "kind": "Pod", "metadata": {"name": name, "namespace": self.wire.namespace, "labels": labels},
             "spec": {"nodeName": "rtx3090", "automountServiceAccountToken": False, "containers": [{"name": "server", "image": "x"}]}}
        )  # fmt: skip
        states = [{"type": kind, "status": "True", "lastTransitionTime": SINCE} for kind in ("PodScheduled", "Ready")]
        status: dict[str, Any] = {"phase": "Running", "podIP": "127.0.0.9", "conditions": states}
        self.wire.cluster.patch("Pod", self.wire.namespace, name, {"status": status}, "status")

    def _end(self, job: Object) -> None:
        ended = [{"type": kind, "status": "True", "lastTransitionTime": SINCE} for kind in ("SuccessCriteriaMet", "Complete")]
        status = {"startTime": SINCE, "completionTime": SINCE, "succeeded": 1, "conditions": ended}
        self.wire.cluster.patch("Job", self.wire.namespace, job["metadata"]["name"], {"status": status}, "status")
