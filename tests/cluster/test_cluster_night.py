"""Nights of three minutes on real pods: training gives the card back before each window ends, and goes on in the next, operator or not."""

import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any

import pytest
from production import Production

from regimen.act.parts import asked_for, holds_place, seconds
from regimen.plan.training import ENDS
from regimen.spec.artifacts import VersionManifest, manifest_key
from regimen_demo.install import NAMESPACE, SYSTEM

pytestmark = [pytest.mark.cluster, pytest.mark.timeout(2400)]
WINDOW = {"schedule": "*/4 * * * *", "duration": "3m"}
LENGTH = 180.0
TRAINERS = "app.kubernetes.io/component=trainer,regimen.dev/stage=adapter"


@dataclass
class Log:
    """What was seen of a job's nights, every second."""

    phases: list[str] = field(default_factory=list)
    steps: list[tuple[str, int]] = field(default_factory=list)
    """(phase, step) as they changed."""
    windows: dict[str, float] = field(default_factory=dict)
    """End of the window (seconds since the epoch), by training Job."""
    held: dict[str, float] = field(default_factory=dict)
    """When a pod of the Job was last seen to hold the card."""
    ready: list[int] = field(default_factory=list)

    def look(self, production: Production, name: str) -> dict[str, Any]:
        status: dict[str, Any] = (production.cluster.get("FineTuneJob", NAMESPACE, name) or {}).get("status", {})
        phase, step = str(status.get("phase", "")), int((status.get("progress") or {}).get("step", 0))
        if phase and (not self.phases or self.phases[-1] != phase):
            self.phases.append(phase)
        if phase and (not self.steps or self.steps[-1] != (phase, step)):
            self.steps.append((phase, step))
        for job in production.cluster.items("Job", NAMESPACE, TRAINERS):
            if job["metadata"]["name"].startswith(name):
                self.windows[job["metadata"]["name"]] = float(job["metadata"]["annotations"][ENDS])
        for pod in production.cluster.items("Pod", NAMESPACE, TRAINERS):
            job_name = pod["metadata"]["labels"]["batch.kubernetes.io/job-name"]
            if job_name.startswith(name) and holds_place(pod) and pod["spec"].get("nodeName"):
                assert asked_for(pod, "nvidia.com/gpu") == 4
                self.held[job_name] = time.time()
        self.ready.append(int((production.watch.status("ModelService", "openins").get("replicas") or {}).get("ready", 4)))
        return status

    def assert_given_back(self) -> None:
        for name, at in self.held.items():
            sys.stdout.write(f"\n{name}: the card was back {self.windows[name] - at:.0f} s before its window ended")
            assert at <= self.windows[name], f"{name} held the card {at - self.windows[name]:.0f} s too long"
            assert at > self.windows[name] - LENGTH, "it began within its window"


def night(production: Production, name: str, version: str) -> dict[str, Any]:
    """The demo's job in windows, with more to do than one of them has time for."""
    (job,) = production.manifest("v1-0.yaml")
    job["metadata"] = {"name": name}
    job["spec"] |= {"version": version, "window": WINDOW, "checkpoint": {"interval": "30s"}}
    job["spec"]["method"] |= {"epochs": 1.5, "batchSize": 16}
    job["spec"]["evaluation"] = {"compareWith": ["Serving"], "maxRows": 50}
    return dict(job)


def watch(production: Production, name: str, log: Log, until: set[str], limit: float) -> dict[str, Any]:
    deadline = time.monotonic() + limit
    while time.monotonic() < deadline:
        status = log.look(production, name)
        if status.get("phase") in until:
            return status
        assert status.get("phase") != "Failed", status
        time.sleep(1)
    raise AssertionError(f"{name} is {log.phases[-1:]} after {limit:.0f} s: {log.steps[-3:]}")


def test_a_training_of_several_nights_gives_the_card_back_each_time_and_ends_in_one_version(production: Production) -> None:
    production.watch.until("ModelService", "openins", {"Ready"}, set(), 300)
    before, log = (production.office.tally.sent, production.office.tally.failed), Log()
    production.apply(night(production, "night", "v7.0"))
    status = watch(production, "night", log, {"Succeeded"}, 1800)
    nights = [phase for phase in log.phases if phase in {"Training", "Paused"}]
    assert nights[:3] == ["Training", "Paused", "Training"], log.phases
    assert log.phases[-1] == "Succeeded"
    log.assert_given_back()
    paused = next(index for index, (phase, _) in enumerate(log.steps) if phase == "Paused")
    resumed = [step for phase, step in log.steps[paused:] if phase == "Training" and step]
    assert resumed[0] >= log.steps[paused][1] > 0, "it went on where it was"
    assert status["attempts"] >= 2
    assert status["gpuSeconds"] > 60
    assert min(log.ready) >= 2, "minAvailable held while the card was lent"
    manifest = VersionManifest.model_validate_json(production.store.get(manifest_key(NAMESPACE, "openins", "v7.0")))
    assert manifest.lineage.fine_tune_job == "night"
    versions = [item["metadata"]["name"] for item in production.cluster.items("ModelVersion", NAMESPACE)]
    assert versions.count("openins-v7.0") == 1
    production.watch.until("ModelService", "openins", {"Ready"}, set(), 300)
    tally = production.office.tally
    sys.stdout.write(f"\nphases {log.phases}, steps {log.steps[:: max(1, len(log.steps) // 12)]}")
    sys.stdout.write(
        f"\nrequests meanwhile: {tally.sent - before[0]} sent, {tally.failed - before[1]} failed, at least {min(log.ready)} replicas ready"
    )
    assert tally.failed == before[1]


@contextmanager
def no_operator(production: Production) -> Iterator[None]:
    def scale(replicas: int) -> None:
        production.target.kubectl("-n", SYSTEM, "scale", "deployment", "regimen-operator", f"--replicas={replicas}")

    scale(0)
    production.target.kubectl("-n", SYSTEM, "wait", "--for=delete", "pod", "-l", "app.kubernetes.io/component=operator", "--timeout=60s")
    try:
        yield
    finally:
        scale(1)


def test_with_the_operator_stopped_over_the_end_of_a_window_the_card_is_back_in_time(production: Production) -> None:
    production.watch.until("ModelService", "openins", {"Ready"}, set(), 300)
    log = Log()
    production.apply(night(production, "alone", "v7.1"))
    watch(production, "alone", log, {"Training"}, 400)
    while not log.held:
        log.look(production, "alone")
        time.sleep(1)
    ((name, ends),) = log.windows.items()
    with no_operator(production):
        assert time.time() < ends, "the operator is gone before the window ends"
        while time.time() < ends + 20:
            log.look(production, "alone")
            time.sleep(1)
        log.assert_given_back()
        pods = production.cluster.items("Pod", NAMESPACE, "regimen.dev/service=openins,app.kubernetes.io/component=server")
        deadline = time.time() + 120
        while not all(_is_ready(pod) for pod in pods) and time.time() < deadline:
            time.sleep(1)
            pods = production.cluster.items("Pod", NAMESPACE, "regimen.dev/service=openins,app.kubernetes.io/component=server")
        assert all(_is_ready(pod) for pod in pods), "the replicas that stepped aside are back, without an operator"
    job = production.cluster.get("Job", NAMESPACE, name)
    assert job is not None
    assert seconds(job["status"]["startTime"]) < ends
    watch(production, "alone", log, {"Paused", "Training"}, 120)
    production.target.kubectl("-n", NAMESPACE, "delete", "finetunejob", "alone", "--wait=false")
    production.watch.until("ModelService", "openins", {"Ready"}, set(), 300)


def _is_ready(pod: dict[str, Any]) -> bool:
    return any(item["type"] == "Ready" and item["status"] == "True" for item in pod.get("status", {}).get("conditions", []))
