"""The chain of a FineTuneJob, link by link: what it waits for, what it starts, how it ends."""

import json
from dataclasses import replace
from hashlib import sha256
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from plan_builders import AT, DIGEST, SETTINGS, artifact, dataset_spec, job_spec, owner, record, revision, version_spec

from regimen.plan import finetune
from regimen.plan.actions import Apply, Create, Delete, Plan, Put, PutOnce, Remove
from regimen.plan.borrow import CardFacts, LenderFacts
from regimen.plan.common import JobFacts
from regimen.plan.finetune_facts import BaseFacts, DatasetFacts, FineTuneFacts, JobStageFacts
from regimen.plan.training import TrainingFacts, TrainingJob, job_name
from regimen.spec.artifacts import Claim, Lineage, Progress, VersionManifest
from regimen.spec.finetune import FineTuneJobSpec
from regimen.spec.phases import TRANSITIONS, DatasetPhase, JobPhase, VersionPhase
from regimen.spec.version import ArtifactStatus, ModelVersionStatus

ME = owner("FineTuneJob", "openins-v1-0")
GGUF = artifact("openins-v1.0-Q5_K_M.gguf")
BASE = BaseFacts(
    version_spec(),
    ModelVersionStatus(phase=VersionPhase.READY, artifacts=[ArtifactStatus(kind="weights", uri="s3://x/", sha256=DIGEST, bytes=1)]),
)
DATASET = DatasetFacts(revision(), dataset_spec().tasks[1], DatasetPhase.READY, "1000 rows")
CLAIM = Claim(job=ME.path, uid=ME.uid, dataset_revision=f"sha256:{DIGEST}")
CONTENDERS = (("Serving", "openins-baseline", artifact("a.gguf")), ("Baseline", "openins-baseline", artifact("a.gguf")))
ACTIVE = JobFacts("j", active=True, succeeded=False, failed=False)
READY = FineTuneFacts(
    base=BASE, dataset=DATASET, version="v1.0", claim=None, manifest=None, version_exists=False, contenders=CONTENDERS,
    cards=(CardFacts("a", 4, 0),),
)  # fmt: skip
CLAIMED = replace(READY, claim=CLAIM)
TRAINED = replace(CLAIMED, adapter=TrainingFacts(record("adapter")))
CONVERTED = replace(TRAINED, gguf=JobStageFacts(record("gguf", [GGUF])))
FIGURES = {"agreement": 0.9, "falseDenialRate": 0.02, "quantizationDivergence": 0.004, "rows": 100} | {
    f"{metric}@{name}": value for name in ("Serving", "Baseline") for metric, value in (("agreement", 0.85), ("falseDenialRate", 0.03))
}
EVALUATED = replace(CONVERTED, evaluation=JobStageFacts(record("evaluation", **FIGURES)))
MANIFEST = VersionManifest(name="openins-v1.0", model="openins", version="v1.0", lineage=Lineage(), gguf=[GGUF], published_at=AT)


def decide(facts: FineTuneFacts, now: float = AT.timestamp(), **changes: Any) -> Plan:
    return finetune.decide(ME, job_spec(**changes), facts, SETTINGS, now)


def training(job: JobFacts, progress: Progress | None = None, **changes: Any) -> TrainingFacts:
    """One training Job."""
    values: dict[str, Any] = {"job": job, "started": AT.timestamp(), "pods": 1, **changes}
    return TrainingFacts(jobs=(TrainingJob(**values),), progress=progress, holding=job.active)


def stage_facts(field: str, job: JobFacts) -> Any:
    return training(job) if field == "adapter" else JobStageFacts(job=job)


def with_stage(facts: FineTuneFacts, field: str, seen: Any) -> FineTuneFacts:
    changes: dict[str, Any] = {field: seen}
    return replace(facts, **changes)


def said(plan: Plan) -> tuple[str, str, str]:
    """Phase, reason, message."""
    ready = next(verdict for verdict in plan.conditions if verdict.type == "Ready")
    return plan.status.model_dump()["phase"].value, ready.reason, str(plan.status.message)


WAITS = {
    "DatasetMissing": (replace(READY, dataset=None), "datasetRef.name: TrainingDataset business does not exist; create it"),
    "TaskMissing": (replace(READY, dataset=replace(DATASET, task=None)), "datasetRef.task: TrainingDataset business has no task adjudication; add it"),
    "DatasetNotReady": (
        replace(READY, dataset=replace(DATASET, manifest=None, phase="Invalid", message="a source is missing")),
        "datasetRef.name: TrainingDataset business is Invalid: a source is missing",
    ),
    "BaseMissing": (replace(READY, base=None, version=None), "baseRef.name: ModelVersion openins-baseline does not exist; create it"),
    "BaseWithoutWeights": (
        replace(READY, base=BaseFacts(version_spec(weights=False), BASE.status)), "baseRef.name: ModelVersion openins-baseline has no weights; a base needs"
    ),
    "BaseNotReady": (
        replace(READY, base=BaseFacts(BASE.spec, ModelVersionStatus(phase=VersionPhase.IMPORTING, message="verifying"))),
        "baseRef.name: ModelVersion openins-baseline is Importing: verifying",
    ),
    "BaseNotVerified": (
        replace(READY, base=BaseFacts(BASE.spec, ModelVersionStatus(phase=VersionPhase.READY))), "has no verified weights in its status; wait"
    ),
    "ContenderMissing": (replace(READY, contenders=(("Serving", "openins-v0.9", None),)), "evaluation.compareWith: Serving (openins-v0.9) has no GGUF"),
    "NoNode": (replace(CLAIMED, cards=()), "no node matches placement.nodeSelector; label one"),
    "NoCard": (replace(CLAIMED, cards=(CardFacts("a", 0, 0),)), "placement.gpuResource or set wholeCard: false"),
    "BorrowingWouldBreakMinAvailable": (
        replace(CLAIMED, cards=(CardFacts("a", 4, 4),), lenders=(LenderFacts("openins", 4, 3, 4, None),)), "set borrow.allowOutage: true"
    ),
    "RolloutInProgress": (
        replace(CLAIMED, cards=(CardFacts("a", 4, 4),), lenders=(LenderFacts("openins", 4, 0, 4, "v1"),)), "rollout v1 moves replicas of openins"
    ),
}  # fmt: skip


@pytest.mark.parametrize("reason", WAITS)
def test_each_wait_names_field_and_remedy_and_does_nothing(reason: str) -> None:
    facts, text = WAITS[reason]
    plan = decide(facts)
    phase, why, message = said(plan)
    assert (phase, why, plan.actions) == ("Waiting", reason, ())
    assert text in message


def test_a_busy_card_without_borrowing_waits() -> None:
    plan = decide(replace(CLAIMED, cards=(CardFacts("a", 4, 2),)), borrow={"mode": "None"})
    assert said(plan)[1] == "CardBusy"


def test_it_claims_first_and_pins_the_revision() -> None:
    plan = decide(READY)
    (put,) = plan.actions
    assert isinstance(put, PutOnce)
    assert put.key == "models/claims/openins/v1.0/claim.json"
    assert Claim.model_validate_json(put.data) == CLAIM


def test_a_version_of_another_job_fails_and_names_it() -> None:
    plan = decide(replace(READY, claim=Claim(job="claims/other", uid="other", dataset_revision="sha256:x")))
    assert said(plan)[:2] == ("Failed", "VersionExists")
    assert "belongs to claims/other; delete this job" in said(plan)[2]
    assert plan.actions == ()


@pytest.mark.parametrize("facts", [replace(READY, version_exists=True), replace(READY, manifest=MANIFEST)])
def test_a_version_that_nobody_claimed_but_that_exists_is_not_taken(facts: FineTuneFacts) -> None:
    plan = decide(facts)
    assert said(plan)[:2] == ("Failed", "VersionExists")
    assert plan.actions == ()


@pytest.mark.parametrize("facts", [READY, CLAIMED, TRAINED, EVALUATED])
def test_suspended_it_stops_its_jobs_and_starts_nothing(facts: FineTuneFacts) -> None:
    plan = decide(facts, suspend=True)
    assert said(plan)[:2] == ("Waiting", "Suspended")
    assert plan.actions == ()


@pytest.mark.parametrize(
    ("facts", "field", "phase"), [(CLAIMED, "adapter", "Paused"), (TRAINED, "gguf", "Waiting"), (CONVERTED, "evaluation", "Waiting")]
)
def test_suspending_stops_what_runs(facts: FineTuneFacts, field: str, phase: str) -> None:
    plan = decide(with_stage(facts, field, stage_facts(field, ACTIVE)), suspend=True)
    assert said(plan)[:2] == (phase, "Suspended")
    assert plan.actions == (Delete("Job", ME.namespace, ACTIVE.name),)


def test_a_version_whose_job_is_gone_is_taken_over() -> None:
    gone = Claim(job="claims/other", uid="other", dataset_revision="sha256:x")
    plan = decide(replace(READY, claim=gone, holder_gone=True))
    assert said(plan)[:2] == ("Waiting", "Claiming")
    assert [type(action) for action in plan.actions] == [Put]
    assert said(decide(replace(READY, claim=gone, holder_gone=True, manifest=MANIFEST)))[:2] == ("Failed", "VersionExists")


def test_a_job_that_ended_without_its_record_is_run_again() -> None:
    """Its pod was told to stop (a node was drained): paused, and no window says for how long."""
    done = JobFacts(name=job_name(ME, None), active=False, succeeded=True, failed=False)
    plan = decide(replace(CLAIMED, adapter=training(done)))
    assert said(plan)[:2] == ("Paused", "GoingOn")
    assert plan.actions == (Delete("Job", ME.namespace, done.name),)


def task_of(plan: Plan) -> tuple[dict[str, Any], dict[str, Any]]:
    """The Job that a plan creates, and its task."""
    secret, create = plan.actions
    assert isinstance(secret, Apply)
    assert isinstance(create, Create)
    return create.manifest, json.loads(create.manifest["spec"]["template"]["spec"]["containers"][0]["env"][0]["value"])


def test_training_asks_for_the_whole_card_with_priority_and_a_deadline() -> None:
    job, task = task_of(decide(replace(CLAIMED, cards=(CardFacts("a", 4, 2),), lenders=(LenderFacts("openins", 4, 2, 2, None),))))
    pod = job["spec"]["template"]["spec"]
    assert pod["containers"][0]["resources"]["limits"]["nvidia.com/gpu"] == "4"
    assert (pod["priorityClassName"], job["spec"]["activeDeadlineSeconds"]) == ("regimen-training", 6 * 3600)
    assert (task["kind"], task["trainUri"]) == ("train", "s3://regimen/x/adjudication/train.jsonl")


def test_without_borrowing_training_has_no_priority() -> None:
    job, _ = task_of(decide(CLAIMED, borrow={"mode": "None"}))
    assert "priorityClassName" not in job["spec"]["template"]["spec"]


def test_on_the_cpu_it_asks_for_no_card() -> None:
    job, _ = task_of(decide(replace(CLAIMED, cards=()), placement={"wholeCard": False}))
    assert "nvidia.com/gpu" not in job["spec"]["template"]["spec"]["containers"][0]["resources"].get("limits", {})


@pytest.mark.parametrize(
    ("facts", "kind", "phase"), [(CLAIMED, "train", "Training"), (TRAINED, "convert", "Converting"), (CONVERTED, "evaluate", "Evaluating")]
)
def test_each_stage_starts_its_job(facts: FineTuneFacts, kind: str, phase: str) -> None:
    plan = decide(facts)
    job, task = task_of(plan)
    assert (said(plan)[0], task["kind"], task["version"]) == (phase, kind, "v1.0")
    assert job["metadata"]["ownerReferences"][0]["uid"] == ME.uid
    assert ("nvidia.com/gpu" in job["spec"]["template"]["spec"]["containers"][0]["resources"].get("limits", {})) is (kind == "train")


def test_conversion_is_told_the_lineage_that_it_writes_into_the_files() -> None:
    _, task = task_of(decide(TRAINED))
    said_of = {key: value for key, value in task["lineage"].items() if value}
    assert {"baseRef", "dataset", "datasetRevision", "task", "fineTuneJob"} <= said_of.keys()


@pytest.mark.parametrize(
    ("facts", "field", "reason"),
    [(CLAIMED, "adapter", "TrainFailed"), (TRAINED, "gguf", "ConvertFailed"), (CONVERTED, "evaluation", "EvaluateFailed")],
)
def test_a_failed_stage_fails_the_job_with_its_last_words(facts: FineTuneFacts, field: str, reason: str) -> None:
    job = JobFacts("j", active=False, succeeded=False, failed=True, reason="BackoffLimitExceeded", message="the loss is not a number")
    plan = decide(with_stage(facts, field, stage_facts(field, job)))
    assert said(plan)[:2] == ("Failed", reason)
    assert "the loss is not a number; delete this job and create it again" in said(plan)[2]
    assert plan.actions == ()


def test_a_deadline_is_said_in_words() -> None:
    job = JobFacts("j", active=False, succeeded=False, failed=True, reason="DeadlineExceeded")
    assert "ran longer than maxDuration" in said(decide(replace(CLAIMED, adapter=training(job))))[2]


def test_a_running_stage_says_how_far_it_is() -> None:
    job, progress = JobFacts("j", active=True, succeeded=False, failed=False), Progress(step=30, total_steps=120, eta_seconds=90, at=AT)
    plan = decide(replace(CLAIMED, adapter=training(job, progress)))
    assert plan.status.model_dump()["progress"]["percent"] == 25.0
    assert said(plan)[2] == "step 30 of 120, 25 %, about 1m30s left"
    assert plan.actions == ()


def test_a_pending_pod_says_why() -> None:
    job = JobFacts("j", active=True, succeeded=False, failed=False, pod_phase="Pending", pod_message="waiting for a node: 0/2 fit")
    assert said(decide(replace(CLAIMED, adapter=training(job))))[2] == "waiting for a node: 0/2 fit"


def test_a_gate_that_fails_publishes_nothing() -> None:
    worse = replace(EVALUATED, evaluation=JobStageFacts(record("evaluation", **{**FIGURES, "agreement": 0.7})))
    plan = decide(worse)
    assert said(plan)[:2] == ("Failed", "GateFailed")
    assert "agreement 0.700 is worse than Serving 0.850" in said(plan)[2]
    assert plan.actions == ()


def test_what_was_compared_is_what_the_record_says() -> None:
    told = {**FIGURES, "version@Serving": "openins-v0.8", "version@Baseline": "openins-baseline"}
    plan = decide(replace(EVALUATED, evaluation=JobStageFacts(record("evaluation", **told))))
    compared = plan.status.model_dump()["evaluation"]["compared"]
    assert [entry["version"] for entry in compared] == ["openins-v0.8", "openins-baseline"], "Serving is another version by now"


def test_conversion_keeps_16_bit_where_a_gate_compares_with_it() -> None:
    _, task = task_of(decide(TRAINED))
    assert (task["quantizations"], task["keepF16"]) == (["Q5_K_M"], True)
    _, task = task_of(decide(TRAINED, evaluation={"gates": [{"metric": "agreement"}]}))
    assert task["keepF16"] is False


def test_only_what_was_asked_for_is_published() -> None:
    whole = GGUF.model_copy(update={"path": "openins-v1.0-F16.gguf"})
    _, put = decide(replace(EVALUATED, gguf=JobStageFacts(record("gguf", [GGUF, whole])))).actions
    assert isinstance(put, PutOnce)
    assert [file.path for file in VersionManifest.model_validate_json(put.data).gguf] == [GGUF.path]


WHOLE = GGUF.model_copy(
    update={"path": "openins-v1.0-F16.gguf", "uri": "s3://regimen/models/claims/openins/v1.0/gguf/x/openins-v1.0-F16.gguf"}
)
MANIFEST = VersionManifest(name="openins-v1.0", model="openins", version="v1.0", lineage=Lineage(), published_at=AT)
ENDS: dict[str, dict[str, Any]] = {
    "Succeeded": {"manifest": MANIFEST, "version_exists": True},
    "GateFailed": {"evaluation": JobStageFacts(record("evaluation", **{**FIGURES, "agreement": 0.7}))},
    "EvaluateFailed": {"evaluation": JobStageFacts(job=JobFacts("j", active=False, succeeded=False, failed=True, message="no"))},
}


@pytest.mark.parametrize("end", ENDS)
def test_a_job_that_has_ended_leaves_no_file_that_only_evaluation_needed(end: str) -> None:
    facts = replace(EVALUATED, gguf=JobStageFacts(record("gguf", [GGUF, WHOLE])), **ENDS[end])
    plan = decide(facts)
    assert said(plan)[1] == end
    assert plan.actions == (Remove("models/claims/openins/v1.0/gguf/x/openins-v1.0-F16.gguf"),)
    asked = decide(facts, output={"quantizations": ["Q5_K_M", "F16"]})
    assert (said(asked)[1], asked.actions) == (end, ()), "what was asked for stays"


def test_the_16_bit_file_stays_until_the_job_ends() -> None:
    made = JobStageFacts(record("gguf", [GGUF, WHOLE]))
    for facts in (
        replace(EVALUATED, gguf=made, evaluation=JobStageFacts()),
        replace(EVALUATED, gguf=made),
        replace(EVALUATED, gguf=made, manifest=MANIFEST),
    ):
        assert not [action for action in decide(facts).actions if isinstance(action, Remove)]


def test_nothing_to_compare_with_is_said_before_anything_is_trained() -> None:
    spec = {"evaluation": {"compareWith": ["First"], "gates": [{"metric": "agreement"}]}}
    assert said(decide(replace(READY, contenders=()), **spec))[:2] == ("Waiting", "ContenderMissing")
    spec["evaluation"]["gates"] = [{"metric": "quantizationDivergence", "max": 0.1}]
    assert said(decide(replace(READY, contenders=()), **spec))[1] != "ContenderMissing"


def test_the_manifest_comes_before_the_model_version() -> None:
    first, put = decide(EVALUATED).actions
    assert isinstance(first, Put)
    assert isinstance(put, PutOnce)
    assert first.key == "models/claims/openins/v1.0/README.md"
    assert put.key == "models/claims/openins/v1.0/manifest.json"
    manifest = VersionManifest.model_validate_json(put.data)
    assert (manifest.name, manifest.lineage.base_digest, manifest.lineage.dataset_revision) == ("openins-v1.0", DIGEST, f"sha256:{DIGEST}")
    assert manifest.card is not None
    assert (manifest.card.uri, manifest.card.sha256) == (f"s3://regimen/{first.key}", sha256(first.data).hexdigest())
    (create,) = decide(replace(EVALUATED, manifest=manifest)).actions
    assert isinstance(create, Create)
    assert "ownerReferences" not in create.manifest["metadata"], "a version outlives its job"
    assert create.manifest["spec"]["gguf"] == [{"quantization": "Q5_K_M", "uri": GGUF.uri, "sha256": DIGEST}]
    last = decide(replace(EVALUATED, manifest=manifest, version_exists=True))
    assert (said(last)[0], last.actions, last.status.model_dump()["version_ref"]["name"]) == ("Succeeded", (), "openins-v1.0")


def test_trainers_get_the_weights_that_were_recorded_not_those_that_were_written_down() -> None:
    for facts in (CLAIMED, TRAINED):
        _, task = task_of(decide(facts))
        assert (task["baseUri"], task["baseDigest"]) == ("s3://x/", DIGEST)


ELSEWHERE: dict[str, Any] = {"adapter": {"s3": {"uri": "s3://regimen/colab/openins/"}}, "borrow": {"mode": "None"}}


def test_an_adapter_from_elsewhere_needs_no_card_and_is_adopted() -> None:
    plan = decide(replace(CLAIMED, cards=()), **ELSEWHERE)
    job, task = task_of(plan)
    assert (said(plan)[0], task["kind"], task["adapterUri"], task["baseUri"]) == (
        "Converting",
        "adopt",
        "s3://regimen/colab/openins/",
        "s3://x/",
    )
    pod = job["spec"]["template"]["spec"]
    assert "nvidia.com/gpu" not in pod["containers"][0]["resources"].get("limits", {})
    assert "priorityClassName" not in pod


def test_an_adapter_that_does_not_fit_fails_the_job_with_the_reason() -> None:
    refused = JobFacts(
        "j", active=False, succeeded=False, failed=True, message="adapter.s3.uri: the adapter changes model.layers.9", exit_code=2
    )
    plan = decide(replace(CLAIMED, adoption=JobStageFacts(job=refused)), **ELSEWHERE)
    assert said(plan)[:2] == ("Failed", "AdoptFailed")
    assert "could not adopt: adapter.s3.uri: the adapter changes model.layers.9" in said(plan)[2]


def test_an_adopted_adapter_goes_the_way_of_our_own() -> None:
    for facts, kind in ((TRAINED, "convert"), (CONVERTED, "evaluate")):
        assert task_of(decide(facts, **ELSEWHERE))[1]["kind"] == kind
    manifest = VersionManifest.model_validate_json(decide(EVALUATED, **ELSEWHERE).actions[1].data)  # type: ignore[union-attr]
    assert manifest.lineage.adapter_source == "s3://regimen/colab/openins/"


@pytest.mark.parametrize(
    ("change", "field"),
    [
        ({"method": {"rank": 8}}, "method"),
        ({"borrow": {"mode": "Preempt"}}, "borrow"),
        ({"checkpoint": {"interval": "5m"}}, "checkpoint"),
        ({"window": {"schedule": "0 2 * * *", "duration": "4h"}}, "window"),
    ],
)
def test_what_says_how_to_train_is_refused_beside_an_adapter(change: dict[str, Any], field: str) -> None:
    with pytest.raises(ValueError, match=f"{field} says how to train, and an adapter that is there already is not trained; remove it"):
        job_spec(**{**ELSEWHERE, **change})


def test_the_lineage_is_complete() -> None:
    imported = record("weights", source="owner/base@0123", license="llama3")
    revisioned = replace(DATASET, manifest=revision().model_copy(update={"split_seed": 42}))
    versions: dict[str, Any] = {"library.torch": "2.15.0", "library.peft": "0.21.0", "steps": 3}
    facts = replace(
        EVALUATED, base=replace(BASE, imported=imported), dataset=revisioned,
        adapter=TrainingFacts(record=record("adapter", **versions).model_copy(update={"image": "trainer@sha256:ab"})),
    )  # fmt: skip
    found = VersionManifest.model_validate_json(decide(facts).actions[1].data).lineage  # type: ignore[union-attr]
    assert (found.base_ref, found.base_digest, found.base_source, found.base_license) == (
        "openins-baseline",
        DIGEST,
        "owner/base@0123",
        "llama3",
    )
    assert (found.dataset_revision, found.split_seed, found.task) == (f"sha256:{DIGEST}", 42, "adjudication")
    assert (found.libraries, found.images) == ({"torch": "2.15.0", "peft": "0.21.0"}, {"adapter": "trainer@sha256:ab"})
    assert found.job_spec["method"]["rank"] == 16
    assert "suspend" not in found.job_spec


def test_a_change_of_suspend_or_window_does_not_change_what_is_published() -> None:
    assert decide(EVALUATED).actions == decide(EVALUATED, window={"schedule": "0 3 * * *", "duration": "1h"}).actions


def stages(facts: FineTuneFacts, spec: FineTuneJobSpec) -> list[FineTuneFacts]:
    """What may come next after a pass, a trainer, or a person."""
    job = JobFacts("j", active=True, succeeded=False, failed=False)
    failed = replace(job, active=False, failed=True)
    following = [
        facts,
        replace(facts, dataset=None),
        replace(facts, dataset=DATASET),
        replace(facts, cards=()),
        replace(facts, cards=READY.cards),
    ]
    if facts.claim is None:
        return [*following, replace(facts, claim=CLAIM), replace(facts, claim=Claim(job="x", uid="x", dataset_revision="x"))]
    for field, files in (("adapter", [artifact()]), ("gguf", [GGUF]), ("evaluation", [])):
        if getattr(facts, field).record is None:
            kind = TrainingFacts if field == "adapter" else JobStageFacts
            done = kind(record(field, files, **(FIGURES if field == "evaluation" else {})))
            return following + [
                with_stage(facts, field, seen) for seen in (stage_facts(field, job), stage_facts(field, failed), done, kind())
            ]
    return [*following, replace(facts, manifest=MANIFEST), replace(facts, version_exists=facts.manifest is not None)]


@given(st.lists(st.tuples(st.integers(0, 9), st.booleans()), max_size=40))
def test_every_walk_keeps_to_the_table_of_phases(choices: list[tuple[int, bool]]) -> None:
    facts, before = READY, JobPhase.PENDING
    for choice, suspended in choices:
        spec = job_spec(suspend=suspended)
        after = JobPhase(said(decide(facts, suspend=suspended))[0])
        assert after == before or after in TRANSITIONS[JobPhase][before], f"{before} → {after}"
        if not TRANSITIONS[JobPhase][after]:
            return  # an ended job gets no more passes
        before = after
        options = stages(facts, spec)
        facts = options[choice % len(options)]
