"""Replicas exchanged under load on real pods: full cards, operators killed, stores gone, one replica, four models, a restored cluster.

The tests build on one another, in their order. Candidates are twins of what serves (its own files under another name): what is shown here is
the exchange, not the judgement.
"""

import sys
import time
from collections import Counter
from typing import Any

import pytest

import regimen_cluster
from regimen.act.parts import asked_for
from regimen_demo.install import NAMESPACE
from regimen_demo.load import Counts, Load
from regimen_demo.nights import night
from regimen_demo.production import Production
from regimen_demo.target import DemoError
from regimen_demo.trial import ENDS, Trial, rollout

pytestmark = [pytest.mark.cluster, pytest.mark.timeout(900)]
STEPS: list[dict[str, Any]] = [{"setReplicas": 1}, {"analysis": {}}, {"setReplicas": 2}, {"setReplicas": 4}]


@pytest.fixture(scope="module")
def trial(production: Production) -> Trial:
    production.watch.until("ModelService", "openins", {"Ready"}, set(), 300)
    production.office.pause = 0.2  # labels go on; the load is this file's own
    return Trial(production)


def tell(what: str, counts: Counts) -> None:
    sys.stdout.write(
        f"\n{what}: {counts.sent} sent, {counts.streamed} streaming, failed {dict(counts.failed)}, cut {counts.cut}, slowest {counts.slowest:.1f} s"
    )


def test_on_full_cards_under_load_with_the_operator_killed_at_every_step_nothing_is_lost(trial: Trial) -> None:
    stock = {
        "apiVersion": "apps/v1", "kind": "Deployment", "metadata": {"name": "stock"},
        "spec": {
            "replicas": 2, "selector": {"matchLabels": {"app": "stock"}},
            "strategy": {"type": "RollingUpdate", "rollingUpdate": {"maxSurge": 1, "maxUnavailable": 0}},
            "template": {
                "metadata": {"labels": {"app": "stock"}},
                "spec": {"terminationGracePeriodSeconds": 1, "containers": [
                    {"name": "sleep", "image": trial.target.images["server"], "command": ["sleep", "3600"],
                     "resources": {"limits": {"nvidia.com/gpu": "1"}}},
                ]},
            },
        },
    }  # fmt: skip
    trial.business.apply(stock)
    trial.target.kubectl("-n", NAMESPACE, "rollout", "status", "deployment/stock", "--timeout=120s")
    trial.target.kubectl("-n", NAMESPACE, "set", "env", "deployment/stock", "CHANGED=yes")
    with pytest.raises(DemoError, match="timed out"):
        trial.target.kubectl("-n", NAMESPACE, "rollout", "status", "deployment/stock", "--timeout=10s")
    # Back to what it was: its surplus pod would take the slice that an exchange lets go of for a moment.
    trial.target.kubectl("-n", NAMESPACE, "rollout", "undo", "deployment/stock")
    trial.target.kubectl("-n", NAMESPACE, "rollout", "status", "deployment/stock", "--timeout=60s")
    version = trial.twin("v5.0")
    trial.business.apply(rollout("twin-50", version, STEPS, promotes=True))
    with Load(trial.address("openins"), workers=4) as load, trial.operator_killed_at_every_step("twin-50") as killed:
        status = trial.until("twin-50", lambda status: status.get("phase") in ENDS, 500)
    tell("four replicas exchanged on full cards", load.counts)
    sys.stdout.write(f"\noperator killed in {killed}\n" + "\n".join(entry["what"] for entry in status["history"]))
    assert status["phase"] == "Promoted", status
    assert {"Progressing 0", "Analyzing 1", "Progressing 2", "Progressing 3"} <= set(killed)
    assert load.counts.lost == 0, load.counts.failures
    assert load.counts.streamed > 50
    assert trial.serving() == version


def test_back_on_full_cards_with_the_bucket_and_the_feedback_store_gone(trial: Trial) -> None:
    serving, version = trial.serving(), trial.twin("v5.1")
    trial.business.apply(rollout("twin-51", version, [{"setReplicas": 2}, {"analysis": {}}, {"setReplicas": 4}]))
    status = trial.until("twin-51", lambda status: status.get("phase") == "Analyzing", 240)
    with Load(trial.address("openins"), workers=4) as load, trial.without_stores():
        began = time.time()
        trial.target.kubectl("-n", NAMESPACE, "delete", "modelrollout", "twin-51", "--wait=false")
        back = trial.all_stable(serving, 300) - began
        trial.target.kubectl("-n", NAMESPACE, "wait", "--for=delete", "modelrollout/twin-51", "--timeout=60s")
    tell("rolled back without stores", load.counts)
    sys.stdout.write(
        f"\nestimated {status['estimatedRollbackSeconds']}, took: last new request on the candidate after "
        f"{load.counts.last.get(version, began) - began:.1f} s, every replica back after {back:.0f} s"
    )
    assert load.counts.lost == 0, load.counts.failures
    assert trial.serving() == serving


SINGLE = {
    "model": "openins", "baselineRef": {"name": "openins-baseline"}, "quantization": "Q6_K", "replicas": 1, "minAvailable": 0,
    "engine": {"contextSize": 2048, "parallel": 2, "extraArgs": ["--threads", "1"]}, "placement": {"gpus": 1},
    "cache": {"persistentVolumeClaim": {"claimName": "model-cache"}}, "router": {"replicas": 1, "drainTimeout": "10s"},
    "feedback": {"auditFraction": 1},
}  # fmt: skip


def service(name: str, **spec: Any) -> dict[str, Any]:
    return {"apiVersion": "regimen.dev/v1alpha1", "kind": "ModelService", "metadata": {"name": name}, "spec": {**SINGLE, **spec}}


def test_one_card_and_one_replica_says_so_beforehand_and_waits_for_allow_outage(trial: Trial) -> None:
    trial.target.kubectl("-n", NAMESPACE, "delete", "deployment", "stock", "--wait=true")
    trial.business.apply(service("single"))
    trial.business.watch.until("ModelService", "single", {"Ready"}, set(), 180)
    steps: list[dict[str, Any]] = [{"setReplicas": 1}, {"analysis": {}}]
    trial.business.apply(rollout("single-no", "openins-v5.1", steps, serviceRef={"name": "single"}))
    refused = trial.until("single-no", lambda status: bool(status.get("phase")), 60)
    sys.stdout.write(f"\n{refused['message']}")
    assert refused["phase"] == "Invalid"
    assert "nobody answers, and requests wait at the router" in refused["message"]
    trial.business.apply(rollout("single-yes", "openins-v5.1", steps, serviceRef={"name": "single"}, strategy={"allowOutage": True}))
    with Load(trial.address("single"), workers=2) as load:
        moved = trial.until("single-yes", lambda status: status.get("phase") == "Analyzing", 180)
        trial.target.kubectl("-n", NAMESPACE, "delete", "modelrollout", "single-yes", "--timeout=180s")
    tell("one replica exchanged and back", load.counts)
    sys.stdout.write(f"\n{moved['history'][0]['what']}")
    assert set(load.counts.failed) <= {"HTTP 503"}, load.counts.failures
    assert load.counts.cut == 0
    trial.target.kubectl("-n", NAMESPACE, "delete", "modelservice", "single", "--wait=true")


def test_four_models_on_two_cards_and_nothing_is_silently_pending(trial: Trial) -> None:
    names = {"bimedix": "rtx3090", "biomistral": "rtx3060", "tinyllama": "rtx3060"}
    for name in names:
        trial.copy(name, "baseline", "openins-baseline")
    with Load(trial.address("openins"), workers=2) as load:
        # A change of the service's own spec: rolled out drained.
        change = '{"spec":{"replicas":2,"minAvailable":1,"placement":{"nodeSelector":{"gpu":"rtx3090"}}}}'
        trial.target.kubectl("-n", NAMESPACE, "patch", "modelservice", "openins", "--type=merge", "-p", change)
        trial.business.apply(*(service(name, model=name, baselineRef={"name": f"{name}-baseline"}, placement={"gpus": 1, "nodeSelector": {"gpu": gpu}})
                      for name, gpu in names.items()))  # fmt: skip
        for name in names:
            trial.business.watch.until("ModelService", name, {"Ready"}, set(), 300)
        deadline = time.monotonic() + 120
        while {pod["spec"].get("nodeName") for pod in trial.pods()} != {"rtx3090"} or len(trial.pods()) != 2:
            assert time.monotonic() < deadline, [pod["metadata"]["name"] for pod in trial.pods()]
            time.sleep(1)
        trial.business.watch.until("ModelService", "openins", {"Ready"}, set(), 120)
    tell("the service's own change", load.counts)
    assert load.counts.lost == 0, load.counts.failures
    servers = trial.cluster.items("Pod", NAMESPACE, "app.kubernetes.io/component=server")
    waiting = [pod["metadata"]["name"] for pod in servers if pod["status"]["phase"] == "Pending"]
    assert waiting == []
    assert sum(asked_for(pod, "nvidia.com/gpu") for pod in servers if pod["spec"]["nodeName"] == "rtx3060") == 2
    one_more = service("onemore", model="tinyllama", baselineRef={"name": "tinyllama-baseline"},
                       placement={"gpus": 1, "nodeSelector": {"gpu": "rtx3060"}})  # fmt: skip
    trial.business.apply(one_more)
    deadline = time.monotonic() + 60
    while not (said := trial.business.watch.status("ModelService", "onemore")).get("message"):
        assert time.monotonic() < deadline
        time.sleep(0.5)
    sys.stdout.write(f"\n{said['message']}")
    assert "do not fit beside biomistral, tinyllama" in said["message"]
    assert not trial.cluster.items("Pod", NAMESPACE, "regimen.dev/service=onemore")
    trial.target.kubectl("-n", NAMESPACE, "delete", "modelservice", "onemore", "--wait=true")


def test_a_night_and_a_rollout_beside_four_models(trial: Trial) -> None:
    """One replica each: both models of the night's card step aside and return, while one of the other card's is exchanged."""
    names = ["openins", "bimedix", "biomistral", "tinyllama"]
    one = '{"spec":{"replicas":1,"minAvailable":0,"allowOutage":true}}'
    trial.target.kubectl("-n", NAMESPACE, "patch", "modelservice", "openins", "--type=merge", "-p", one)
    trial.business.apply(night(trial.business, "short", "v6.0", None, "30s", epochs=0.1))
    seen: dict[str, set[str]] = {name: set() for name in names}
    silent: Counter[str] = Counter()
    asked = False
    deadline = time.monotonic() + 500
    while (phase := trial.business.watch.status("FineTuneJob", "short").get("phase")) not in {"Succeeded", "Failed"}:
        assert time.monotonic() < deadline, (phase, seen)
        if phase == "Training" and not asked:
            trial.copy("biomistral", "v1.0", "biomistral-baseline")
            steps: list[dict[str, Any]] = [{"setReplicas": 1}, {"analysis": {}}]
            about = {"serviceRef": {"name": "biomistral"}, "strategy": {"allowOutage": True}}
            trial.business.apply(rollout("biomistral-v1-0", "biomistral-v1.0", steps, **about))
            asked = True
        for pod in trial.cluster.items("Pod", NAMESPACE, "app.kubernetes.io/component=server"):
            status = trial.business.watch.status("ModelService", pod["metadata"]["labels"]["regimen.dev/service"])
            if pod["status"]["phase"] == "Pending" and status.get("phase") == "Ready":
                silent[pod["metadata"]["name"]] += 1
        for name in names:
            seen[name].add(str(trial.business.watch.status("ModelService", name).get("phase")))
        time.sleep(1)
    sys.stdout.write(
        f"\nphases by service during the night: {seen}; seconds that a pod was pending beside a service that said it was ready: {dict(silent)}"
    )
    assert phase == "Succeeded", trial.business.watch.status("FineTuneJob", "short")
    assert max(silent.values(), default=0) < 20, "a status may follow by some seconds; a pod that waits is not passed over"
    assert "SteppedAside" in seen["openins"] & seen["bimedix"]
    assert "SteppedAside" not in seen["biomistral"] | seen["tinyllama"]
    moved = trial.until("biomistral-v1-0", lambda status: status.get("phase") == "Analyzing", 240)
    assert moved["candidateReplicas"] == 1
    for name in names:
        trial.business.watch.until("ModelService", name, {"Ready"}, set(), 240)
    trial.target.kubectl("-n", NAMESPACE, "delete", "modelrollout", "biomistral-v1-0", "--timeout=180s")
    trial.target.kubectl("-n", NAMESPACE, "delete", "modelservice", *names[1:], "--wait=true")


def test_a_new_namespace_beside_the_old_bucket_serves_what_was_promoted(trial: Trial, production: Production) -> None:
    serving = trial.serving()
    assert serving == "openins-v5.0"
    production.office.close()
    manifests = {kind: [{**obj, "metadata": {"name": obj["metadata"]["name"]}} for obj in trial.cluster.items(kind, NAMESPACE)]
                 for kind in ("ModelVersion", "ModelService", "ModelRollout")}  # fmt: skip
    kept = [{key: obj[key] for key in ("apiVersion", "kind", "metadata", "spec")} for objs in manifests.values() for obj in objs]
    trial.target.kubectl("delete", "namespace", NAMESPACE, "--wait=true", "--timeout=180s")
    assert trial.target.name is not None
    regimen_cluster.recycle_disks(trial.target.name)
    trial.target.kubectl("create", "namespace", NAMESPACE)
    (claim,) = [item for item in production.manifest("claims.yaml") if item["kind"] == "PersistentVolumeClaim"]
    trial.business.apply(claim, *kept)
    time.sleep(3)  # the watch looks every second
    trial.business.watch.until("ModelService", "openins", {"Ready"}, set(), 300)
    assert trial.serving() == serving
    status = trial.until("twin-50", lambda status: status.get("phase") in ENDS, 60)
    sys.stdout.write(f"\n{status['message']}")
    assert status["phase"] == "Promoted"
    live = {(kind, obj["metadata"]["name"]): obj for kind in manifests for obj in trial.cluster.items(kind, NAMESPACE)}
    for obj in kept:
        found = live[obj["kind"], obj["metadata"]["name"]]
        assert (found["spec"], found["metadata"]["generation"]) == (obj["spec"], 1), "no difference for a GitOps tool to fix"
    with Load(trial.address("openins"), workers=2, limit=20) as load:
        while not load.done:
            time.sleep(0.2)
    assert set(load.counts.versions) == {serving}
