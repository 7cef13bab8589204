"""Nights of minutes: a FineTuneJob in windows, and who held the card when."""

import time
from dataclasses import dataclass, field
from typing import Any

from regimen.act.parts import asked_for, holds_place
from regimen.plan.training import ENDS, STAGE
from regimen.spec.meta import parse_duration
from regimen_demo.install import NAMESPACE
from regimen_demo.production import Production

TRAINERS = f"app.kubernetes.io/component=trainer,{STAGE}=adapter"
CARD, SLICES = "nvidia.com/gpu", 4


def night(production: Production, name: str, version: str, window: dict[str, str] | None, interval: str, **method: Any) -> dict[str, Any]:
    """The demo's job under another name, in windows or at once, with checkpoints every `interval`."""
    (job,) = production.manifest("v1-0.yaml")
    job["metadata"] = {"name": name}
    job["spec"] |= {"version": version, "checkpoint": {"interval": interval}} | ({"window": window} if window else {})
    job["spec"]["method"] |= method
    job["spec"]["evaluation"] = {"compareWith": ["Serving"], "maxRows": 50}
    return dict(job)


@dataclass
class Log:
    """What was seen of a job's nights, at every look."""

    job: str
    window: dict[str, str]
    phases: list[str] = field(default_factory=list)
    steps: list[tuple[str, int]] = field(default_factory=list)
    """(phase, step) as they changed."""
    windows: dict[str, float] = field(default_factory=dict)
    """End of the window (seconds since the epoch), by training Job."""
    held: dict[str, tuple[float, float]] = field(default_factory=dict)
    """When a pod of the Job was first and last seen to hold the card."""
    slices: set[int] = field(default_factory=set)
    """How many of the card's slices such pods asked for."""
    ready: list[int] = field(default_factory=list)
    """Replicas of the service."""

    def look(self, production: Production) -> dict[str, Any]:
        """Look once; returns the job's status."""
        status: dict[str, Any] = (production.cluster.get("FineTuneJob", NAMESPACE, self.job) or {}).get("status", {})
        phase, step = str(status.get("phase", "")), int((status.get("progress") or {}).get("step", 0))
        if phase and (not self.phases or self.phases[-1] != phase):
            self.phases.append(phase)
        if phase and (not self.steps or self.steps[-1] != (phase, step)):
            self.steps.append((phase, step))
        for job in production.cluster.items("Job", NAMESPACE, TRAINERS):
            if job["metadata"]["name"].startswith(f"{self.job}-"):
                self.windows[job["metadata"]["name"]] = float(job["metadata"]["annotations"][ENDS])
        for pod in production.cluster.items("Pod", NAMESPACE, TRAINERS):
            name = pod["metadata"]["labels"]["batch.kubernetes.io/job-name"]
            if name.startswith(f"{self.job}-") and holds_place(pod) and pod["spec"].get("nodeName"):
                self.slices.add(asked_for(pod, CARD))
                self.held[name] = (self.held.get(name, (time.time(), 0.0))[0], time.time())
        self.ready.append(int((production.watch.status("ModelService", "openins").get("replicas") or {}).get("ready", 4)))
        return status

    def spare(self) -> dict[str, float]:
        """Seconds between the moment at which each Job's card was last held and the end of its window; negative: held too long."""
        return {name: self.windows[name] - last for name, (_, last) in self.held.items()}

    def wrong(self) -> list[str]:
        """What was not as it must be of the card; empty where it was lent whole, within windows, and given back."""
        length = parse_duration(self.window["duration"])
        late = [f"{name} held the card {-spare:.0f} s too long" for name, spare in self.spare().items() if spare < 0]
        early = [f"{name} held the card before its window" for name, (first, _) in self.held.items() if first < self.windows[name] - length]
        part = [f"{self.job} asked for {count} slices of {SLICES}" for count in sorted(self.slices - {SLICES})]
        return late + early + part
