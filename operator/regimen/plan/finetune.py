"""FineTuneJob: wait, train, convert, evaluate, publish. Each stage is done when its record is in the bucket."""

from dataclasses import replace

from regimen.plan.actions import Action, Apply, Create, Delete, Plan, Put, PutOnce
from regimen.plan.common import Owner, Settings, bucket_secret, failure
from regimen.plan.estimate import estimate, refusal
from regimen.plan.finetune_facts import FineTuneFacts, JobStageFacts, version_name
from regimen.plan.finetune_report import from_where, idle, say
from regimen.plan.finetune_tasks import ADOPT, CONVERT, EVALUATE, RunStage, stage_job, stage_task
from regimen.plan.finetune_train import stop, train
from regimen.plan.gates import evaluated_against, failed_gates, told
from regimen.plan.progress import how_far
from regimen.plan.published import model_version
from regimen.plan.publishing import documents, left_over
from regimen.plan.training import spent
from regimen.spec.artifacts import Claim, claim_key
from regimen.spec.finetune import FineTuneJobSpec
from regimen.spec.phases import JobPhase


def decide(owner: Owner, spec: FineTuneJobSpec, facts: FineTuneFacts, settings: Settings, now: float) -> Plan:
    """The next step towards a published version, or why there is none."""
    shape = facts.base.shape if facts.base else None
    so_far = spent(facts.adapter, facts.said)
    so_far = so_far if spec.placement.whole_card else replace(so_far, seconds=0)
    facts = replace(facts, estimate=estimate(spec, shape, facts.cards), said=so_far, gates=tuple(spec.evaluation.gates))
    waiting = _missing(spec, facts)
    if waiting is not None:
        return say(facts, JobPhase.WAITING, *waiting)
    if facts.base is None or facts.dataset is None or facts.dataset.manifest is None or facts.version is None:
        raise AssertionError("_missing lets nothing through that is missing")
    # What trains already has shown that it fits, and what is not trained needs no card.
    to_train = spec.adapter is None and not facts.adapter.begun and facts.adapter.record is None
    too_large = refusal(spec, facts.estimate) if to_train else None
    if too_large is not None:
        return say(facts, JobPhase.FAILED, "DoesNotFit", too_large)
    abandoned = facts.claim is not None and facts.holder_gone and facts.manifest is None
    if facts.claim is not None and facts.claim.uid != owner.uid and not abandoned:
        text = f"version {facts.version} belongs to {facts.claim.job}; delete this job and create it with another version, or with Next"
        return say(facts, JobPhase.FAILED, "VersionExists", text)
    name = version_name(facts.base.spec.model, facts.version)
    if facts.claim is None and (facts.manifest is not None or facts.version_exists):
        text = f"version: ModelVersion {name} exists already; delete this job and create it with another version"
        return say(facts, JobPhase.FAILED, "VersionExists", text)
    if spec.suspend:
        text = f"suspended; set suspend: false to go on{from_where(facts)}"
        return say(facts, idle(facts), "Suspended", text, stop(owner, facts))
    if facts.claim is None or facts.claim.uid != owner.uid:
        claim = Claim(job=owner.path, uid=owner.uid, dataset_revision=facts.dataset.manifest.digest)
        key = claim_key(owner.namespace, facts.base.spec.model, facts.version)
        data = claim.model_dump_json(by_alias=True).encode()
        # A version whose job is gone and that was never published is free again; an old pod of that job writes under its own uid.
        put = Put(key, data) if abandoned else PutOnce(key, data)
        return say(facts, JobPhase.WAITING, "Claiming", f"claiming version {facts.version}", (put,), again_after=0.2)
    if facts.adapter.record is None and spec.adapter is not None:
        return _run(owner, spec, facts, settings, ADOPT, facts.adoption)
    if facts.adapter.record is None:
        return train(owner, spec, facts, settings, now)
    if facts.gguf.record is None:
        return _run(owner, spec, facts, settings, CONVERT, facts.gguf)
    if facts.evaluation.record is None:
        return _run(owner, spec, facts, settings, EVALUATE, facts.evaluation)
    return _publish(owner, spec, facts)


def _missing(spec: FineTuneJobSpec, facts: FineTuneFacts) -> tuple[str, str] | None:
    """What the job waits for outside itself, as reason and message; the first of a readable chain."""
    dataset, base = facts.dataset, facts.base
    name, task = spec.dataset_ref.name, spec.dataset_ref.task
    if dataset is None:
        return "DatasetMissing", f"datasetRef.name: TrainingDataset {name} does not exist; create it"
    if dataset.task is None:
        return "TaskMissing", f"datasetRef.task: TrainingDataset {name} has no task {task}; add it to its spec.tasks"
    if dataset.manifest is None:
        return "DatasetNotReady", f"datasetRef.name: TrainingDataset {name} is {dataset.phase or 'new'}: {dataset.message}"
    if base is None:
        return "BaseMissing", f"baseRef.name: ModelVersion {spec.base_ref.name} does not exist; create it"
    if base.spec.weights is None:
        text = f"baseRef.name: ModelVersion {spec.base_ref.name} has no weights; a base needs spec.weights (adapters never stack)"
        return "BaseWithoutWeights", text
    if base.status.phase != "Ready":
        return (
            "BaseNotReady",
            f"baseRef.name: ModelVersion {spec.base_ref.name} is {base.status.phase or 'new'}: {base.status.message or ''}",
        )
    if base.weights is None:
        return (
            "BaseNotVerified",
            f"baseRef.name: ModelVersion {spec.base_ref.name} has no verified weights in its status; wait for its next pass",
        )
    for label, version, gguf in facts.contenders:
        if gguf is None:
            text = f"evaluation.compareWith: {label} ({version}) has no GGUF to compare with"
            return "ContenderMissing", text
    if not facts.contenders and any(gate.compares for gate in spec.evaluation.gates):
        asked = ", ".join(spec.evaluation.compare_with)
        text = f"evaluation.compareWith: {asked} does not exist yet and a gate compares; create the job with Baseline or Serving too"
        return "ContenderMissing", text
    return None


def _run(owner: Owner, spec: FineTuneJobSpec, facts: FineTuneFacts, settings: Settings, stage: RunStage, seen: JobStageFacts) -> Plan:
    """Start the stage's Job, or say how far it is, or that it failed."""
    if seen.job is None:
        manifest = stage_job(owner, spec, settings, stage, stage_task(owner, spec, facts, stage))
        actions: tuple[Action, ...] = (Apply(bucket_secret(owner.namespace, settings)), Create(manifest))
        return say(facts, stage.phase, stage.phase.value, f"starting to {stage.verb}", actions)
    if seen.job.failed:
        text = f"could not {stage.verb}: {failure(seen.job)}; delete this job and create it again once that is mended"
        return say(facts, JobPhase.FAILED, f"{stage.verb.capitalize()}Failed", text, left_over(spec, facts))
    if seen.job.succeeded:
        again = (Delete("Job", owner.namespace, seen.job.name),)
        return say(facts, stage.phase, stage.phase.value, f"what the pod made is gone; about to {stage.verb} again", again)
    progress = seen.progress
    text = seen.job.pod_message or (how_far(progress) if progress and progress.total_steps else stage.phase.value.lower())
    return say(facts, stage.phase, stage.phase.value, text, progress=progress, again_after=3)


def _publish(owner: Owner, spec: FineTuneJobSpec, facts: FineTuneFacts) -> Plan:
    """Judge the gates, then write the manifest, then create the ModelVersion: in that order (law 7)."""
    adapter, gguf, evaluation = facts.adapter.record, facts.gguf.record, facts.evaluation.record
    if adapter is None or gguf is None or evaluation is None or facts.base is None or facts.version is None:
        raise AssertionError("every stage has its record here")
    failed = failed_gates(spec.evaluation.gates, evaluation.figures, list(evaluated_against(evaluation.figures, facts.contenders)))
    if failed:
        text = f"{told(failed)}; no version is published. Improve the data or the method and create a new job"
        return say(facts, JobPhase.FAILED, "GateFailed", text, left_over(spec, facts))
    model, version = facts.base.spec.model, facts.version
    if facts.manifest is None:
        puts = documents(owner, spec, facts)
        return say(facts, JobPhase.EVALUATING, "Publishing", f"publishing {version_name(model, version)}", puts, again_after=0.2)
    if not facts.version_exists:
        create = Create(model_version(owner.namespace, facts.manifest))
        return say(facts, JobPhase.EVALUATING, "Publishing", f"publishing {version_name(model, version)}", (create,), again_after=0.2)
    return say(facts, JobPhase.SUCCEEDED, "Succeeded", f"published {version_name(model, version)}", left_over(spec, facts))
