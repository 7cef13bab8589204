"""Windows of a FineTuneJob: which Job may run when, what is said between them, and what was spent."""

import json
from dataclasses import replace
from datetime import UTC, datetime
from typing import Any

import pytest
from plan_builders import SETTINGS, job_spec, record
from test_plan_finetune import BASE, CLAIMED, ME, READY, said, training

from regimen.plan import finetune
from regimen.plan.actions import Action, Create, Delete, Plan
from regimen.plan.borrow import CardFacts, LenderFacts, RivalFacts
from regimen.plan.common import JobFacts
from regimen.plan.finetune_facts import FineTuneFacts
from regimen.plan.training import Spent, TrainingFacts, TrainingJob, job_name, read
from regimen.plan.window import Opening
from regimen.sizing.memory import MIB
from regimen.spec.artifacts import ModelShape, Progress

WINDOW = {"schedule": "0 2 * * *", "duration": "4h", "timeZone": "UTC"}
LLAMA_8B = ModelShape(
    architecture="LlamaForCausalLM", parameters=8_030_261_248, layers=32, hidden_size=4096, intermediate_size=14336, vocabulary=128256,
    heads=32, kv_heads=8, head_dim=128,
)  # fmt: skip


def at(day: int, hour: int, minute: int = 0, second: int = 0) -> float:
    return datetime(2026, 11, day, hour, minute, second, tzinfo=UTC).timestamp()


FIRST = Opening(at(1, 2), at(1, 6))
RUNNING = JobFacts(job_name(ME, FIRST), active=True, succeeded=False, failed=False)
PAUSED = replace(RUNNING, active=False, succeeded=True)
OVERDUE = replace(RUNNING, active=False, failed=True, reason="DeadlineExceeded")
PROGRESS = Progress(step=610, total_steps=1000, eta_seconds=6720, checkpoint_step=600, at=datetime(2026, 11, 1, 3, 50, tzinfo=UTC))


def decide(facts: FineTuneFacts, now: float, **changes: Any) -> Plan:
    return finetune.decide(ME, job_spec(**{"window": WINDOW, **changes}), facts, SETTINGS, now)


def night(job: JobFacts, **changes: Any) -> FineTuneFacts:
    """One Job of the first night."""
    values: dict[str, Any] = {"ends": FIRST.end, "started": at(1, 2), **changes}
    return replace(CLAIMED, adapter=training(job, PROGRESS, **values))


def created(plan: Plan) -> dict[str, Any]:
    (manifest,) = [action.manifest for action in plan.actions if isinstance(action, Create)]
    return manifest


def deleted(actions: tuple[Action, ...]) -> list[str]:
    return [action.name for action in actions if isinstance(action, Delete)]


def test_before_the_window_it_says_when_it_opens_and_what_that_will_cost() -> None:
    plan = decide(CLAIMED, at(1, 1, 30))
    assert said(plan) == ("Waiting", "WindowClosed", "window opens 2026-11-01 02:00 UTC")
    assert plan.actions == ()
    busy = replace(CLAIMED, cards=(CardFacts("a", 4, 2),), lenders=(LenderFacts("openins", 2, 2, 2, None),))
    text = "window opens 2026-11-01 02:00 UTC; while it trains, openins would keep 0 of minAvailable 2 replicas; "
    assert said(decide(busy, at(1, 1, 30)))[2] == text + "set borrow.allowOutage: true, or lower minAvailable"
    allowed = decide(busy, at(1, 1, 30), borrow={"allowOutage": True})
    assert said(allowed)[2] == text + "allowed by borrow.allowOutage"
    assert said(decide(busy, at(1, 2)))[1] == "BorrowingWouldBreakMinAvailable"
    assert said(decide(busy, at(1, 2), borrow={"allowOutage": True}))[0] == "Training"


def test_the_pass_comes_again_in_time_for_the_opening() -> None:
    assert decide(CLAIMED, at(1, 1, 59, 50)).again_after == 10
    assert decide(CLAIMED, at(1, 1)).again_after == 60


def test_each_opening_has_its_own_job_that_ends_with_it() -> None:
    plan = decide(replace(CLAIMED, said=Spent(500, 2)), at(1, 2, 10))
    job = created(plan)
    pod = job["spec"]["template"]["spec"]
    task = json.loads(pod["containers"][0]["env"][0]["value"])
    assert job["metadata"]["name"] == job_name(ME, FIRST) != job_name(ME, None)
    assert job["spec"]["activeDeadlineSeconds"] == 4 * 3600 - 10 * 60 - 120
    assert pod["terminationGracePeriodSeconds"] == 120
    assert task["stopAt"] == "2026-11-01T05:56:00Z"
    assert read(job["metadata"]["annotations"]) == (FIRST.end, Spent(500, 2))


def test_an_opening_that_is_nearly_over_is_not_used() -> None:
    assert said(decide(CLAIMED, at(1, 5, 56)))[:2] == ("Waiting", "WindowClosed")


def test_it_says_how_far_it_is_and_how_long_the_window_lasts() -> None:
    plan = decide(night(RUNNING), at(1, 3, 51))
    assert said(plan) == ("Training", "Training", "step 610 of 1000, 61 %, about 1h52m left, window closes in 2h10m")
    assert plan.status.model_dump()["progress"]["checkpoint_step"] == 600
    assert decide(night(RUNNING), at(1, 3, 52)).status == plan.status, "the status changes with the progress, not with each pass"


@pytest.mark.parametrize("job", [PAUSED, OVERDUE])
def test_between_two_nights_it_is_paused(job: JobFacts) -> None:
    plan = decide(night(job, ended=at(1, 5, 56)), at(1, 7))
    assert said(plan) == ("Paused", "WindowClosed", "window closed; goes on 2026-11-02 02:00 UTC, checkpoint at step 600")
    status = plan.status.model_dump()
    assert (status["attempts"], status["gpu_seconds"], plan.actions) == (1, 4 * 3600 - 240, ())


@pytest.mark.parametrize("job", [PAUSED, OVERDUE])
def test_the_next_night_goes_on_and_then_clears_away_the_last(job: JobFacts) -> None:
    facts = night(job, ended=at(1, 5, 56))
    plan = decide(facts, at(2, 2))
    manifest = created(plan)
    assert manifest["metadata"]["name"] == job_name(ME, Opening(at(2, 2), at(2, 6)))
    assert said(plan) == ("Training", "Training", "starting to train, checkpoint at step 600")
    ends, before = read(manifest["metadata"]["annotations"])
    assert before == Spent(4 * 3600 - 240, 1)
    again = TrainingJob(replace(RUNNING, name=manifest["metadata"]["name"]), ends, before, started=at(2, 2), pods=1)
    both = replace(facts, adapter=replace(facts.adapter, jobs=(*facts.adapter.jobs, again), holding=True))
    plan = decide(both, at(2, 2, 1))
    assert (said(plan)[0], deleted(plan.actions)) == ("Training", [job.name])
    assert plan.status.model_dump()["attempts"] == 2


def test_a_pod_of_the_last_night_that_still_stops_holds_the_card() -> None:
    plan = decide(replace(night(PAUSED), adapter=replace(night(PAUSED).adapter, holding=True)), at(2, 2))
    assert said(plan)[:2] == ("Paused", "GivingBack")
    assert plan.actions == ()
    orphan = replace(CLAIMED, adapter=TrainingFacts(holding=True))
    assert decide(orphan, at(2, 2)).actions == (), "a pod of a job of the same name that is gone"


def test_a_training_that_stopped_before_its_time_goes_on_in_the_same_night() -> None:
    facts = night(PAUSED, ended=at(1, 3))
    plan = decide(facts, at(1, 3))
    assert said(plan)[:2] == ("Paused", "GoingOn")
    assert deleted(plan.actions) == [PAUSED.name]
    gone = replace(facts, adapter=replace(facts.adapter, jobs=()), said=Spent(3600, 1))
    assert created(decide(gone, at(1, 3)))["metadata"]["name"] == PAUSED.name


def test_a_night_that_failed_fails_the_job() -> None:
    broken = replace(RUNNING, active=False, failed=True, reason="BackoffLimitExceeded", message="no")
    assert said(decide(night(broken), at(1, 3)))[:2] == ("Failed", "TrainFailed")
    assert said(decide(night(broken), at(1, 7)))[:2] == ("Failed", "TrainFailed")


CHANGED: dict[str, tuple[dict[str, Any], bool]] = {
    "the same": ({}, True),
    "longer": ({"duration": "6h"}, True),
    "earlier, ends later": ({"schedule": "0 1 * * *", "duration": "6h"}, True),
    "shorter": ({"duration": "3h"}, False),
    "closed now": ({"schedule": "0 12 * * *"}, False),
    "nonsense": ({"schedule": "0 2 30 2 *"}, True),
}


@pytest.mark.parametrize("row", CHANGED)
def test_a_window_that_changes_while_it_trains(row: str) -> None:
    change, goes_on = CHANGED[row]
    plan = decide(night(RUNNING), at(1, 3), window={**WINDOW, **change})
    assert deleted(plan.actions) == ([] if goes_on else [RUNNING.name])
    assert said(plan)[0] == ("Training" if goes_on else "Paused")


def test_a_window_that_is_taken_away_lets_it_train_to_its_end_and_then_on() -> None:
    assert said(decide(night(RUNNING), at(1, 3), window=None))[0] == "Training"
    plan = decide(night(PAUSED, ended=at(1, 5, 56)), at(1, 5, 57), window=None)
    assert created(plan)["metadata"]["name"] == job_name(ME, None)


def test_a_window_that_comes_while_it_trains_without_one_ends_that_training() -> None:
    facts = replace(CLAIMED, adapter=training(replace(RUNNING, name=job_name(ME, None)), PROGRESS))
    assert deleted(decide(facts, at(1, 3)).actions) == [job_name(ME, None)]


def test_a_window_that_makes_no_sense_is_said_and_can_be_mended() -> None:
    plan = decide(CLAIMED, at(1, 3), window={**WINDOW, "duration": "25h"})
    assert said(plan)[:2] == ("Waiting", "WindowInvalid")
    assert said(plan)[2].startswith("window.duration: 25h is longer than the 1440 minutes between two openings")
    assert next(item for item in plan.conditions if item.type == "Stalled").status
    assert said(decide(CLAIMED, at(1, 3)))[0] == "Training"


def test_two_jobs_at_once_are_one_too_many() -> None:
    second = TrainingJob(replace(RUNNING, name="other"), ends=FIRST.end, started=at(1, 3))
    facts = night(RUNNING)
    plan = decide(replace(facts, adapter=replace(facts.adapter, jobs=(*facts.adapter.jobs, second))), at(1, 3))
    assert (said(plan)[0], deleted(plan.actions)) == ("Training", ["other"])


# Fitting the card


def sized(mib: int | None, **facts: Any) -> FineTuneFacts:
    memory = mib * MIB if mib else None
    return replace(
        READY,
        base=replace(BASE, imported=record("weights").model_copy(update={"shape": LLAMA_8B})),
        cards=(CardFacts("a", 4, 0, memory),),
        **facts,
    )


def test_a_job_that_cannot_fit_fails_before_it_takes_anything() -> None:
    plan = decide(sized(12288), at(1, 3), method={"type": "LoRA"})
    assert said(plan)[:2] == ("Failed", "DoesNotFit")
    assert said(plan)[2].startswith(
        "method: LoRA with maxLength 2048 takes 20.8 GiB by the estimate, the card has 12.0 GiB; method.type QLoRA would fit. Delete this job"
    )
    assert plan.actions == (), "no version is claimed"
    assert plan.status.model_dump()["estimate"]["fits"] is False
    assert said(decide(sized(12288), at(1, 3), method={"type": "QLoRA"}))[1] == "Claiming"
    assert said(decide(sized(24576), at(1, 3), method={"type": "LoRA"}))[1] == "Claiming"


def test_a_card_of_unknown_memory_is_not_refused_and_said() -> None:
    plan = decide(sized(None), at(1, 3))
    assert said(plan)[1] == "Claiming"
    estimate = plan.status.model_dump()["estimate"]
    assert (estimate["card_bytes"], estimate["fits"]) == (None, None)
    assert "label its node nvidia.com/gpu.memory" in estimate["note"]


def test_a_base_of_unknown_shape_and_the_cpu_are_not_estimated() -> None:
    assert decide(replace(sized(12288), base=BASE), at(1, 3)).status.model_dump()["estimate"] is None
    assert decide(sized(12288), at(1, 3), placement={"wholeCard": False}).status.model_dump()["estimate"] is None


def test_the_smallest_card_it_may_land_on_counts() -> None:
    both = replace(sized(12288), cards=(CardFacts("a", 4, 0, 24576 * MIB), CardFacts("b", 4, 0, 12288 * MIB)))
    assert said(decide(both, at(1, 3), method={"type": "LoRA"}))[1] == "DoesNotFit"
    other = replace(both, cards=(CardFacts("a", 4, 0, 24576 * MIB), CardFacts("b", 2, 0, 12288 * MIB)))
    assert said(decide(other, at(1, 3), method={"type": "LoRA"}))[1] == "Claiming", "it asks for 4 slices, which b does not have"


def test_what_trains_already_is_not_refused() -> None:
    facts = sized(12288, claim=CLAIMED.claim, adapter=night(RUNNING).adapter)
    assert said(decide(facts, at(1, 3)))[0] == "Training"


# Who comes first


def test_the_older_of_two_trains_first() -> None:
    older = RivalFacts("first", older=True, training=False, reason="Claiming")
    plan = decide(replace(CLAIMED, rivals=(older,)), at(1, 3))
    assert said(plan) == ("Waiting", "CardBusy", "FineTuneJob first comes first on the card; waiting for it")
    younger = RivalFacts("second", older=False, training=True, node="a")
    assert said(decide(replace(CLAIMED, rivals=(younger,)), at(1, 3)))[2] == "FineTuneJob second trains on the card; waiting for it"


# What is told to the pods


def test_the_cache_is_mounted_where_weights_are_read() -> None:
    cache = {"persistentVolumeClaim": {"claimName": "models"}}
    train = created(decide(CLAIMED, at(1, 3), cache=cache))
    convert = created(decide(replace(CLAIMED, adapter=TrainingFacts(record("adapter"))), at(1, 3), cache=cache))
    for manifest in (train, convert):
        pod = manifest["spec"]["template"]["spec"]
        assert {"name": "cache", "persistentVolumeClaim": {"claimName": "models"}} in pod["volumes"]
        assert {"name": "cache", "mountPath": "/cache"} in pod["containers"][0]["volumeMounts"]
        env = {item["name"]: item for item in pod["containers"][0]["env"]}
        assert env["REGIMEN_CACHE_DIR"]["value"] == "/cache"
        assert env["REGIMEN_ATTEMPT"]["valueFrom"]["fieldRef"]["fieldPath"] == "metadata.name"
    assert "cache" not in {volume["name"] for volume in created(decide(CLAIMED, at(1, 3)))["spec"]["template"]["spec"]["volumes"]}


def test_the_task_names_the_base_by_its_digest_and_how_often_to_keep_a_checkpoint() -> None:
    manifest = created(decide(CLAIMED, at(1, 3), checkpoint={"interval": "5m", "keep": 3}))
    task = json.loads(manifest["spec"]["template"]["spec"]["containers"][0]["env"][0]["value"])
    assert BASE.weights is not None
    assert task["baseDigest"] == BASE.weights.sha256
    assert task["checkpoint"] == {"interval": "5m", "keep": 3}


def test_a_window_that_was_too_short_for_a_checkpoint_is_said() -> None:
    facts = replace(CLAIMED, adapter=training(OVERDUE, None, ends=FIRST.end, started=at(1, 2), ended=at(1, 5, 58)))
    assert said(decide(facts, at(1, 7)))[2] == (
        "window closed; goes on 2026-11-02 02:00 UTC, no checkpoint yet; if the window is too short to get to one, lengthen window.duration"
    )
