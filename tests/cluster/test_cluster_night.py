"""Nights of three minutes on real pods: training gives the card back before each window ends, and goes on in the next, operator or not."""

import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import pytest

from regimen.act.parts import seconds
from regimen.spec.artifacts import VersionManifest, manifest_key
from regimen_demo.install import NAMESPACE, SYSTEM
from regimen_demo.nights import Log, night
from regimen_demo.production import Production

pytestmark = [pytest.mark.cluster, pytest.mark.timeout(2400)]
WINDOW = {"schedule": "*/4 * * * *", "duration": "3m"}


def asked(production: Production, name: str, version: str) -> dict[str, Any]:
    """A job with more to do than one window has time for."""
    return night(production, name, version, WINDOW, "30s", epochs=1.5, batchSize=16)


def watch(production: Production, log: Log, until: set[str], limit: float) -> dict[str, Any]:
    deadline = time.monotonic() + limit
    while time.monotonic() < deadline:
        status = log.look(production)
        if status.get("phase") in until:
            return status
        assert status.get("phase") != "Failed", status
        time.sleep(1)
    raise AssertionError(f"{log.job} is {log.phases[-1:]} after {limit:.0f} s: {log.steps[-3:]}")


def assert_given_back(log: Log) -> None:
    for name, spare in log.spare().items():
        sys.stdout.write(f"\n{name}: the card was back {spare:.0f} s before its window ended")
    assert log.held and not log.wrong(), log.wrong()


def test_a_training_of_several_nights_gives_the_card_back_each_time_and_ends_in_one_version(production: Production) -> None:
    production.watch.until("ModelService", "openins", {"Ready"}, set(), 300)
    before, log = (production.office.tally.sent, production.office.tally.failed), Log("night", WINDOW)
    production.apply(asked(production, "night", "v7.0"))
    status = watch(production, log, {"Succeeded"}, 1800)
    nights = [phase for phase in log.phases if phase in {"Training", "Paused"}]
    assert nights[:3] == ["Training", "Paused", "Training"], log.phases
    assert log.phases[-1] == "Succeeded"
    assert_given_back(log)
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
    log = Log("alone", WINDOW)
    production.apply(asked(production, "alone", "v7.1"))
    watch(production, log, {"Training"}, 400)
    while not log.held:
        log.look(production)
        time.sleep(1)
    ((name, ends),) = log.windows.items()
    with no_operator(production):
        assert time.time() < ends, "the operator is gone before the window ends"
        while time.time() < ends + 20:
            log.look(production)
            time.sleep(1)
        assert_given_back(log)
        pods = production.cluster.items("Pod", NAMESPACE, "regimen.dev/service=openins,app.kubernetes.io/component=server")
        deadline = time.time() + 120
        while not all(_is_ready(pod) for pod in pods) and time.time() < deadline:
            time.sleep(1)
            pods = production.cluster.items("Pod", NAMESPACE, "regimen.dev/service=openins,app.kubernetes.io/component=server")
        assert all(_is_ready(pod) for pod in pods), "the replicas that stepped aside are back, without an operator"
    job = production.cluster.get("Job", NAMESPACE, name)
    assert job is not None
    assert seconds(job["status"]["startTime"]) < ends
    watch(production, log, {"Paused", "Training"}, 120)
    production.target.kubectl("-n", NAMESPACE, "delete", "finetunejob", "alone", "--wait=false")
    production.watch.until("ModelService", "openins", {"Ready"}, set(), 300)


def _is_ready(pod: dict[str, Any]) -> bool:
    return any(item["type"] == "Ready" and item["status"] == "True" for item in pod.get("status", {}).get("conditions", []))
