"""Hands on the business that serves, for what moves its replicas: rollouts of twins, faults, and what is seen meanwhile.

A twin is a version with the very files that serve now under another name: it is exchanged like any other, and no label tells it from them.
"""

import json
import time
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager, suppress
from dataclasses import dataclass
from typing import Any

import httpx

from regimen.act.cluster import Cluster
from regimen_demo.install import NAMESPACE, SYSTEM
from regimen_demo.production import Production
from regimen_demo.target import DemoError, Target

Object = dict[str, Any]
ENDS = {"Promoted", "RolledBack", "Invalid"}
ROUTER = "regimen.dev/router=openins"


@dataclass(frozen=True)
class Trial:
    """The business, and further hands on it."""

    business: Production

    @property
    def target(self) -> Target:
        return self.business.target

    @property
    def cluster(self) -> Cluster:
        return self.business.cluster

    def rollout_status(self, name: str) -> Object:
        return dict((self.cluster.get("ModelRollout", NAMESPACE, name) or {}).get("status", {}))

    def until(self, name: str, done: Callable[[Object], bool], seconds: float) -> Object:
        """Look at a rollout every half second. Raises DemoError with what it says last."""
        deadline = time.monotonic() + seconds
        while time.monotonic() < deadline:
            status = self.rollout_status(name)
            if done(status):
                return status
            time.sleep(0.5)
        raise DemoError(f"{name} after {seconds:.0f} s: {json.dumps(status)[:2000]}")

    def address(self, service: str) -> str:
        """A loopback URL of a service, once it answers there: nodes hear of a router some moments after it is ready. Raises DemoError."""
        url = self.target.forward(NAMESPACE, service, 80)
        deadline = time.monotonic() + 30
        while time.monotonic() < deadline:
            with suppress(httpx.HTTPError):
                if httpx.get(f"{url}/health", timeout=5).is_success:
                    return url
            time.sleep(0.2)
        raise DemoError(f"{service} does not answer at its address after 30 s")

    def serving(self) -> str:
        """The version that serves now."""
        return str((self.cluster.get("ModelService", NAMESPACE, "openins") or {})["status"]["stableVersion"])

    def all_stable(self, version: str, seconds: float) -> float:
        """Wait until every replica is of one version and ready, and no other pod is left. Returns seconds since the epoch."""
        deadline = time.monotonic() + seconds
        while time.monotonic() < deadline:
            status = (self.cluster.get("ModelService", NAMESPACE, "openins") or {}).get("status", {})
            pods = self.pods()
            versions = {pod["metadata"]["labels"]["regimen.dev/version"] for pod in pods}
            if versions == {version} and status.get("replicas", {}).get("stable") == status.get("replicas", {}).get("desired") == len(pods):
                return time.time()
            time.sleep(0.5)
        raise DemoError(f"not every replica is of {version} after {seconds:.0f} s")

    def twin(self, version: str) -> str:
        """Another version with the files of the one that serves; waits until it is verified."""
        name = f"openins-{version}"
        self.copy("openins", version, self.serving())
        self.business.watch.until("ModelVersion", name, {"Ready"}, {"Failed"}, 180)
        return name

    def copy(self, model: str, version: str, original: str) -> None:
        """A version of a model with the files of another ModelVersion. Raises DemoError where that does not exist."""
        found = self.cluster.get("ModelVersion", NAMESPACE, original)
        if found is None:
            raise DemoError(f"ModelVersion {original} does not exist")
        spec = {"model": model, "version": version, "gguf": found["spec"]["gguf"]}
        name = f"{model}-{version}"
        self.business.apply({"apiVersion": "regimen.dev/v1alpha1", "kind": "ModelVersion", "metadata": {"name": name}, "spec": spec})

    def pods(self, selector: str = "regimen.dev/service=openins,app.kubernetes.io/component=server") -> list[Object]:
        return self.cluster.items("Pod", NAMESPACE, selector)

    def kill(self, namespace: str, selector: str) -> None:
        """One pod of a kind, without grace."""
        pod = self.cluster.items("Pod", namespace, selector)[0]["metadata"]["name"]
        self.target.kubectl("-n", namespace, "delete", "pod", pod, "--force", "--grace-period=0", "--wait=false")

    def operator_killed_at_every_step(self, name: str) -> AbstractContextManager[list[str]]:
        """Whenever a rollout says something new about its step, the operator is killed in the middle of it; gives when it was."""

        def step() -> str:
            status = self.rollout_status(name)
            under_way = status.get("phase") and status["phase"] not in ENDS
            return f"{status['phase']} {status.get('currentStep')}" if under_way else ""

        return self.business.operator_killed_at_each(step, after=2)

    @contextmanager
    def drained(self, node: str) -> Iterator[None]:
        """Its pods are evicted as their budgets allow; afterwards it takes pods again."""
        flags = ("--ignore-daemonsets", "--delete-emptydir-data", "--force", "--timeout=120s")
        self.target.kubectl("drain", node, "--pod-selector=app.kubernetes.io/managed-by=regimen", *flags)
        try:
            yield
        finally:
            self.target.kubectl("uncordon", node)

    @contextmanager
    def without_stores(self) -> Iterator[None]:
        """The bucket and the feedback service are gone."""
        names = ("regimen-objectstore", "regimen-feedback")
        for name in names:
            self.target.kubectl("-n", SYSTEM, "scale", f"deployment/{name}", "--replicas=0")
        for name in names:
            component = name.removeprefix("regimen-")
            self.target.kubectl(
                "-n", SYSTEM, "wait", "--for=delete", "pod", "-l", f"app.kubernetes.io/component={component}", "--timeout=60s"
            )
        try:
            yield
        finally:
            for name in names:
                self.target.kubectl("-n", SYSTEM, "scale", f"deployment/{name}", "--replicas=1")
                self.target.kubectl("-n", SYSTEM, "rollout", "status", f"deployment/{name}", "--timeout=120s")


def rollout(name: str, to: str, steps: list[Object], *, promotes: bool = False, **spec: Any) -> Object:
    """A rollout of a twin. `promotes`: it is judged by a margin that a twin meets within seconds; else it waits in its analysis."""
    analysis: Object = {
        "criterion": "NotWorse", "margin": 0.5, "looks": 1, "minLabelledPerArm": 30 if promotes else 100_000,
        "minDuration": "1s", "maxDuration": "2h", "guardrails": [],
    }  # fmt: skip
    strategy = {"capacity": "Exchange", "steps": steps, **spec.pop("strategy", {})}
    body = {"serviceRef": {"name": "openins"}, "toRef": {"name": to}, "strategy": strategy, "analysis": analysis,
            "progressDeadline": "5m", "rollbackBudget": "5m"}  # fmt: skip
    return {"apiVersion": "regimen.dev/v1alpha1", "kind": "ModelRollout", "metadata": {"name": name}, "spec": {**body, **spec}}
