"""Windows, cards and who comes first, against a real API server. There is no controller manager: what it would say of a Job is said by hand."""

from collections.abc import Iterator
from dataclasses import replace
from datetime import UTC, datetime
from typing import Any
from uuid import uuid4

import pytest
from test_wire_operator import prepared
from wire_world import Wire

from regimen.act.cluster import Object
from regimen.act.reconcile import Reconciler
from regimen.spec.artifacts import ModelShape, Progress, StageRecord, progress_key, stage_record_key

pytestmark = pytest.mark.wire
WINDOW = {"schedule": "0 2 * * *", "duration": "4h", "timeZone": "UTC"}
LLAMA_8B = ModelShape(
    architecture="LlamaForCausalLM", parameters=8_030_261_248, layers=32, hidden_size=4096, intermediate_size=14336, vocabulary=128256,
    heads=32, kv_heads=8, head_dim=128,
)  # fmt: skip


def at(day: int, hour: int, minute: int = 0) -> float:
    return datetime(2026, 11, day, hour, minute, tzinfo=UTC).timestamp()


def iso(seconds: float) -> str:
    return datetime.fromtimestamp(seconds, UTC).strftime("%Y-%m-%dT%H:%M:%SZ")


class Clock:
    """A clock that only moves when it is told to."""

    def __init__(self) -> None:
        self.now = at(1, 1)

    def __call__(self) -> float:
        return self.now


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def dated(wire: Wire, clock: Clock) -> Wire:
    """A prepared namespace whose operator has that clock."""
    prepared(wire)
    return replace(wire, reconciler=Reconciler(wire.cluster, wire.store, wire.settings, clock))


@pytest.fixture
def card(dated: Wire) -> Iterator[str]:
    """A node with a card of four slices; its name is the value of its label `gpu`, too."""
    name = f"n-{uuid4().hex[:8]}"
    labels = {"gpu": name, "nvidia.com/gpu.memory": "12288"}
    dated.cluster.create({"apiVersion": "v1", "kind": "Node", "metadata": {"name": name, "labels": labels}})
    four = {"nvidia.com/gpu": "4"}
    dated.cluster.patch("Node", "", name, {"status": {"capacity": four, "allocatable": four}}, "status")
    yield name
    dated.cluster.delete("Node", "", name)


def passes(wire: Wire, name: str, number: int = 3) -> tuple[str, str, str]:
    for _ in range(number):
        wire.reconciler.reconcile("FineTuneJob", wire.namespace, name)
    return wire.said("FineTuneJob", name)


def jobs(wire: Wire, verb: str = "train") -> list[Object]:
    return [job for job in wire.all_of("Job") if f"-{verb}-" in job["metadata"]["name"]]


def control(wire: Wire, job: Object, started: float, ended: float | None = None, reason: str = "") -> None:
    """What the Job controller says of a Job: it runs; or, with `ended`, it is done, or failed for a reason."""
    status: dict[str, Any] = {"startTime": iso(started), "active": 1}
    if ended is not None and reason:
        said = {"reason": reason, "message": "by hand", "status": "True", "lastTransitionTime": iso(ended)}
        status = {**status, "active": 0, "failed": 1, "conditions": [{"type": "FailureTarget", **said}, {"type": "Failed", **said}]}
    elif ended is not None:
        said = {"status": "True", "lastTransitionTime": iso(ended)}
        done = [{"type": "SuccessCriteriaMet", **said}, {"type": "Complete", **said}]
        status = {**status, "active": 0, "succeeded": 1, "completionTime": iso(ended), "conditions": done}
    wire.cluster.patch("Job", wire.namespace, job["metadata"]["name"], {"status": status}, "status")


def progressed(wire: Wire, name: str, step: int, now: float) -> None:
    uid = wire.get("FineTuneJob", name)["metadata"]["uid"]
    progress = Progress(step=step, total_steps=1000, checkpoint_step=step, eta_seconds=60, at=datetime.fromtimestamp(now, UTC))
    wire.store.put(progress_key(wire.namespace, "openins", "v1.0", uid, "adapter"), progress.model_dump_json(by_alias=True).encode())


def test_a_training_of_two_nights(dated: Wire, clock: Clock) -> None:
    name = dated.job_on_cpu(window=WINDOW)
    assert passes(dated, name) == ("Waiting", "WindowClosed", "window opens 2026-11-01 02:00 UTC")
    assert jobs(dated) == []
    clock.now = at(1, 2)
    assert passes(dated, name)[0] == "Training"
    (first,) = jobs(dated)
    assert first["spec"]["activeDeadlineSeconds"] == 4 * 3600 - 120
    control(dated, first, at(1, 2))
    progressed(dated, name, 610, at(1, 4))
    assert passes(dated, name)[2] == "step 610 of 1000, 61 %, about 1m00s left, window closes in 2h00m"
    control(dated, first, at(1, 2), at(1, 5, 58), "DeadlineExceeded")
    clock.now = at(1, 7)
    assert passes(dated, name) == ("Paused", "WindowClosed", "window closed; goes on 2026-11-02 02:00 UTC, checkpoint at step 610")
    dated.cluster.patch("FineTuneJob", dated.namespace, name, {"status": None}, "status")
    clock.now = at(2, 2)
    assert passes(dated, name)[0] == "Training"
    (second,) = jobs(dated)
    assert second["metadata"]["name"] != first["metadata"]["name"], "the first night's Job is cleared away"
    control(dated, second, at(2, 2), at(2, 3))
    clock.now = at(2, 3)
    assert passes(dated, name, 1)[:2] == ("Paused", "GoingOn"), "it stopped before its time and without a record"
    assert passes(dated, name, 2)[0] == "Training"
    (third,) = jobs(dated)
    assert third["metadata"]["uid"] != second["metadata"]["uid"]
    dated.train()
    control(dated, third, at(2, 3), at(2, 4))
    clock.now = at(2, 12)
    dated.work_on("FineTuneJob", name)
    assert dated.phase("FineTuneJob", name) == "Succeeded", "converting and evaluating need no window"
    status = dated.get("FineTuneJob", name)["status"]
    assert (status["version"], status["attempts"]) == ("v1.0", 3)
    assert [item["spec"]["version"] for item in dated.all_of("ModelVersion")] == ["baseline", "v1.0"]


def test_a_window_may_be_changed_and_a_training_that_would_outlast_it_is_ended(dated: Wire, clock: Clock) -> None:
    name = dated.job_on_cpu(window=WINDOW)
    clock.now = at(1, 3)
    passes(dated, name)
    (job,) = jobs(dated)
    control(dated, job, at(1, 3))
    dated.cluster.patch("FineTuneJob", dated.namespace, name, {"spec": {"window": {"duration": "6h"}}})
    assert passes(dated, name)[0] == "Training"
    assert [item["metadata"]["uid"] for item in jobs(dated)] == [job["metadata"]["uid"]], "it trains to the end it was made with"
    dated.cluster.patch("FineTuneJob", dated.namespace, name, {"spec": {"window": {"schedule": "0 12 * * *", "duration": "1h"}}})
    phase, reason, message = passes(dated, name)
    assert jobs(dated) == []
    assert (phase, reason) == ("Waiting", "WindowClosed"), message
    assert "opens 2026-11-01 12:00 UTC" in message


def test_a_window_of_too_many_openings_is_said_and_can_be_mended(dated: Wire, clock: Clock) -> None:
    name = dated.job_on_cpu(window={**WINDOW, "duration": "25h"})
    assert passes(dated, name)[:2] == ("Waiting", "WindowInvalid")
    clock.now = at(1, 3)
    dated.cluster.patch("FineTuneJob", dated.namespace, name, {"spec": {"window": {"duration": "4h"}}})
    assert passes(dated, name)[0] == "Training"


def on_card(wire: Wire, card: str, name: str, **spec: Any) -> str:
    return wire.give("3-finetunejob", name, placement={"nodeSelector": {"gpu": card}}, **spec)


def trainer(wire: Wire, job: Object, node: str) -> None:
    """The pod that the Job controller and the scheduler would make of a Job."""
    template = job["spec"]["template"]
    wire.cluster.create({"apiVersion": "v1", "kind": "ServiceAccount", "metadata": {"name": "default", "namespace": wire.namespace}})
    owner = {"apiVersion": "batch/v1", "kind": "Job", "name": job["metadata"]["name"], "uid": job["metadata"]["uid"], "controller": True}
    spec = {key: value for key, value in template["spec"].items() if key not in {"priorityClassName", "priority"}}
    wire.cluster.create(
        {"apiVersion": "v1", "kind": "Pod", "spec": {**spec, "nodeName": node},
         "metadata": {"name": f"pod-{uuid4().hex[:6]}", "namespace": wire.namespace, "labels": template["metadata"]["labels"],
                      "ownerReferences": [owner]}}
    )  # fmt: skip


def test_the_older_of_two_jobs_takes_the_card_and_the_other_says_for_whom_it_waits(dated: Wire, card: str, clock: Clock) -> None:
    first, second = on_card(dated, card, "a-first"), on_card(dated, card, "b-second", version="v1.1")
    passes(dated, first, 1)
    assert passes(dated, second) == ("Waiting", "CardBusy", "FineTuneJob a-first comes first on the card; waiting for it")
    assert passes(dated, first)[0] == "Training"
    (job,) = jobs(dated)
    assert job["metadata"]["name"].startswith("a-first")
    assert passes(dated, second)[2] == "FineTuneJob a-first trains on the card; waiting for it"
    trainer(dated, job, card)
    dated.cluster.patch("FineTuneJob", dated.namespace, first, {"spec": {"suspend": True}})
    passes(dated, first)
    assert jobs(dated) == []
    dated.cluster.patch("FineTuneJob", dated.namespace, first, {"spec": {"suspend": False}})
    assert passes(dated, first)[1] == "GivingBack", "its pod is still there"


def test_what_the_night_will_cost_a_service_is_said_before_it(dated: Wire, card: str, clock: Clock) -> None:
    dated.claim()
    service = dated.give("4-modelservice", minAvailable=2, replicas=2)
    labels = {"regimen.dev/service": service, "app.kubernetes.io/component": "server"}
    for index in range(2):
        serving(dated, f"server-{index}", labels, card)
    name = on_card(dated, card, "night", window=WINDOW)
    assert passes(dated, name) == (
        "Waiting", "WindowClosed",
        "window opens 2026-11-01 02:00 UTC; while it trains, openins would keep 0 of minAvailable 2 replicas; "
        "set borrow.allowOutage: true, or lower minAvailable",
    )  # fmt: skip
    clock.now = at(1, 2)
    assert passes(dated, name)[:2] == ("Waiting", "BorrowingWouldBreakMinAvailable")
    allowed = on_card(dated, card, "zz-allowed", version="v1.1", window=WINDOW, borrow={"mode": "Preempt", "allowOutage": True})
    assert passes(dated, allowed, 2)[0] == "Training"
    (job,) = jobs(dated)
    assert job["spec"]["template"]["spec"]["containers"][0]["resources"]["limits"]["nvidia.com/gpu"] == "4"


def serving(wire: Wire, name: str, labels: dict[str, str], node: str) -> None:
    """A ready replica with one slice of a node's card."""
    wire.cluster.create({"apiVersion": "v1", "kind": "ServiceAccount", "metadata": {"name": "default", "namespace": wire.namespace}})
    one = {"nvidia.com/gpu": "1"}
    container = {"name": "server", "image": "x", "resources": {"requests": one, "limits": one}}
    wire.cluster.create(
        {"apiVersion": "v1", "kind": "Pod", "metadata": {"name": name, "namespace": wire.namespace, "labels": labels},
         "spec": {"automountServiceAccountToken": False, "nodeName": node, "containers": [container]}}
    )  # fmt: skip
    ready = {"phase": "Running", "podIP": "127.0.0.9", "conditions": [{"type": "Ready", "status": "True"}]}
    wire.cluster.patch("Pod", wire.namespace, name, {"status": ready}, "status")


def test_a_job_that_cannot_fit_the_card_never_takes_it(dated: Wire, card: str) -> None:
    base = dated.get("ModelVersion", "openins-baseline")["metadata"]["uid"]
    key = stage_record_key(dated.namespace, "openins", "baseline", base, "weights")
    known = StageRecord.model_validate_json(dated.store.get(key)).model_copy(update={"shape": LLAMA_8B})
    dated.store.put(key, known.model_dump_json(by_alias=True).encode())
    name = on_card(dated, card, "large")
    phase, reason, message = passes(dated, name)
    assert (phase, reason) == ("Failed", "DoesNotFit")
    assert "the card has 12.0 GiB; method.type QLoRA would fit" in message
    assert jobs(dated) == []
    keys = dated.keys()
    assert not any("claim.json" in key for key in keys)
    estimate = dated.get("FineTuneJob", name)["status"]["estimate"]
    assert (estimate["cardBytes"], estimate["fits"]) == (12 * 2**30, False)
    small = on_card(dated, card, "small", method={"type": "QLoRA"})
    assert passes(dated, small)[0] == "Training"
