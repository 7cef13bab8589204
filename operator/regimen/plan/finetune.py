"""FineTuneJob: wait, train, convert, evaluate, publish. Each stage is done when its record is in the bucket."""

from dataclasses import dataclass, field

from regimen.plan.actions import Action, Apply, Create, Delete, Event, Manifest, Plan, Put, PutOnce, Verdict
from regimen.plan.borrow import CardFacts, LenderFacts, may_start
from regimen.plan.common import JobFacts, Owner, Settings, bucket_secret, dns_name, failure, trainer_job
from regimen.plan.gates import evaluation_figures, failed_gates
from regimen.plan.published import model_version
from regimen.plan.publishing import documents, lineage, version_name
from regimen.spec.artifacts import (
    Artifact,
    Claim,
    DatasetManifest,
    Progress,
    Stage,
    StageRecord,
    VersionManifest,
    claim_key,
)
from regimen.spec.dataset import DatasetTask
from regimen.spec.finetune import FineTuneJobSpec, FineTuneJobStatus, JobProgress, SteppedAside
from regimen.spec.meta import Ref, parse_duration
from regimen.spec.phases import JobPhase
from regimen.spec.tasks import AdoptTask, Contender, ConvertTask, EvaluateTask, Task, TrainTask
from regimen.spec.version import ArtifactStatus, ModelVersionSpec, ModelVersionStatus


@dataclass(frozen=True)
class BaseFacts:
    """The ModelVersion to train from."""

    spec: ModelVersionSpec
    status: ModelVersionStatus
    imported: StageRecord | None = None
    """What its import recorded."""

    @property
    def weights(self) -> ArtifactStatus | None:
        """The weights that were verified or copied: not where the user has them, which may change."""
        return next((item for item in self.status.artifacts if item.kind == "weights"), None)


@dataclass(frozen=True)
class DatasetFacts:
    """The dataset to train on."""

    manifest: DatasetManifest | None
    """The pinned revision, or the newest; None where none is published."""
    task: DatasetTask | None
    phase: str
    message: str
    bucket: str = ""


@dataclass(frozen=True)
class JobStageFacts:
    """One stage."""

    record: StageRecord | None = None
    job: JobFacts | None = None
    progress: Progress | None = None


@dataclass(frozen=True)
class FineTuneFacts:
    """What was seen of a job and of what it refers to."""

    base: BaseFacts | None
    dataset: DatasetFacts | None
    version: str | None
    """The version asked for, or the one to take for Next; None while the base is missing."""
    claim: Claim | None
    """Who holds that version."""
    manifest: VersionManifest | None
    """Whether it is published."""
    version_exists: bool
    """Whether the ModelVersion of that name exists."""
    holder_gone: bool = False
    """Whether the job that holds the version no longer exists."""
    contenders: tuple[tuple[str, str, Artifact | None], ...] = ()
    """(Serving or Baseline, ModelVersion, its GGUF) of evaluation.compareWith."""
    adapter: JobStageFacts = field(default_factory=JobStageFacts)
    gguf: JobStageFacts = field(default_factory=JobStageFacts)
    evaluation: JobStageFacts = field(default_factory=JobStageFacts)
    cards: tuple[CardFacts, ...] = ()
    lenders: tuple[LenderFacts, ...] = ()
    stepped_aside: tuple[tuple[str, int], ...] = ()


@dataclass(frozen=True)
class _Stage:
    """How one stage is shown and named."""

    stage: Stage
    phase: JobPhase
    verb: str


TRAIN = _Stage("adapter", JobPhase.TRAINING, "train")
ADOPT = _Stage("adapter", JobPhase.CONVERTING, "adopt")
CONVERT = _Stage("gguf", JobPhase.CONVERTING, "convert")
EVALUATE = _Stage("evaluation", JobPhase.EVALUATING, "evaluate")


def job_name(owner: Owner, stage: Stage) -> str:
    verbs: dict[str, str] = {"adapter": "train", "gguf": "convert", "evaluation": "evaluate"}
    return dns_name(owner.name, verbs[stage], owner.uid[:8])


def decide(owner: Owner, spec: FineTuneJobSpec, facts: FineTuneFacts, settings: Settings) -> Plan:
    """The next step towards a published version, or why there is none."""
    waiting = _missing(spec, facts)
    if waiting is not None:
        return _say(facts, JobPhase.WAITING, *waiting)
    if facts.base is None or facts.dataset is None or facts.dataset.manifest is None or facts.version is None:
        raise AssertionError("_missing lets nothing through that is missing")
    abandoned = facts.claim is not None and facts.holder_gone and facts.manifest is None
    if facts.claim is not None and facts.claim.uid != owner.uid and not abandoned:
        text = f"version {facts.version} belongs to {facts.claim.job}; delete this job and create it with another version, or with Next"
        return _say(facts, JobPhase.FAILED, "VersionExists", text)
    name = version_name(facts.base.spec.model, facts.version)
    if facts.claim is None and (facts.manifest is not None or facts.version_exists):
        text = f"version: ModelVersion {name} exists already; delete this job and create it with another version"
        return _say(facts, JobPhase.FAILED, "VersionExists", text)
    if spec.suspend:
        running = [seen.job for seen in (facts.adapter, facts.gguf, facts.evaluation) if seen.job is not None]
        stop = [Delete("Job", owner.namespace, job.name) for job in running]
        return _say(facts, JobPhase.WAITING, "Suspended", "suspended; set suspend: false to go on", tuple(stop))
    if facts.claim is None or facts.claim.uid != owner.uid:
        claim = Claim(job=owner.path, uid=owner.uid, dataset_revision=facts.dataset.manifest.digest)
        key = claim_key(owner.namespace, facts.base.spec.model, facts.version)
        data = claim.model_dump_json(by_alias=True).encode()
        # A version whose job is gone and that was never published is free again; an old pod of that job writes under its own uid.
        put = Put(key, data) if abandoned else PutOnce(key, data)
        return _say(facts, JobPhase.WAITING, "Claiming", f"claiming version {facts.version}", (put,), again_after=0.2)
    if facts.adapter.record is None and spec.adapter is not None:
        return _run(owner, spec, facts, settings, ADOPT, facts.adapter)
    if facts.adapter.record is None:
        return _train(owner, spec, facts, settings)
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
    return None


def _train(owner: Owner, spec: FineTuneJobSpec, facts: FineTuneFacts, settings: Settings) -> Plan:
    job = facts.adapter.job
    if job is not None:
        return _run(owner, spec, facts, settings, TRAIN, facts.adapter)
    answer = may_start(spec.placement, spec.borrow, facts.cards, facts.lenders)
    if not answer.go:
        return _say(facts, JobPhase.WAITING, answer.reason, answer.message)
    return _run(owner, spec, facts, settings, TRAIN, facts.adapter, answer.slices)


def _run(
    owner: Owner,
    spec: FineTuneJobSpec,
    facts: FineTuneFacts,
    settings: Settings,
    stage: _Stage,
    seen: JobStageFacts,
    slices: int = 0,
) -> Plan:
    """Start the stage's Job, or say how far it is, or that it failed."""
    if seen.job is None:
        manifest = _job(owner, spec, settings, stage, _task(owner, spec, facts, stage), slices)
        actions: tuple[Action, ...] = (Apply(bucket_secret(owner.namespace, settings)), Create(manifest))
        return _say(facts, stage.phase, stage.phase.value, f"starting to {stage.verb}", actions)
    if seen.job.failed:
        text = f"could not {stage.verb}: {failure(seen.job)}; delete this job and create it again once that is mended"
        return _say(facts, JobPhase.FAILED, f"{stage.verb.capitalize()}Failed", text)
    if seen.job.succeeded:
        again = (Delete("Job", owner.namespace, seen.job.name),)
        return _say(facts, stage.phase, stage.phase.value, f"what the pod made is gone; about to {stage.verb} again", again)
    text = seen.job.pod_message or _how_far(seen.progress, stage)
    return _say(facts, stage.phase, stage.phase.value, text, progress=seen.progress, again_after=3)


def _how_far(progress: Progress | None, stage: _Stage) -> str:
    if progress is None or not progress.total_steps:
        return f"{stage.phase.value.lower()}"
    left = f", about {progress.eta_seconds:.0f} s left" if progress.eta_seconds is not None else ""
    return f"step {progress.step} of {progress.total_steps}{left}" + (f": {progress.message}" if progress.message else "")


def _job(owner: Owner, spec: FineTuneJobSpec, settings: Settings, stage: _Stage, task: Task, slices: int) -> Manifest:
    selector = spec.placement.node_selector if spec.placement.node_selector is not None else settings.training_node_selector
    borrows = stage is TRAIN and spec.borrow.mode == "Preempt" and slices > 0
    return trainer_job(
        owner, job_name(owner, stage.stage), task.model_dump_json(by_alias=True), settings,
        node_selector=selector,
        extended={spec.placement.gpu_resource: str(slices)} if stage is TRAIN and slices else None,
        priority_class=settings.training_priority_class if borrows else None,
        deadline_seconds=parse_duration(spec.max_duration),
        backoff_limit=spec.backoff_limit,
    )  # fmt: skip


def _task(owner: Owner, spec: FineTuneJobSpec, facts: FineTuneFacts, stage: _Stage) -> Task:
    base, dataset = facts.base, facts.dataset
    weights = base.weights if base else None
    if base is None or weights is None or dataset is None or dataset.manifest is None or dataset.task is None:
        raise AssertionError("_missing lets nothing through that is missing")
    common = {
        "namespace": owner.namespace, "job": owner.path, "uid": owner.uid, "model": base.spec.model, "version": facts.version or "",
    }  # fmt: skip
    from_base = {"base_uri": weights.uri, "base_digest": weights.sha256}
    figures = next(task for task in dataset.manifest.tasks if task.name == spec.dataset_ref.task)
    files = {file.path: file.uri for file in dataset.manifest.files}
    if stage is TRAIN:
        return TrainTask(**common, **from_base, train_uri=files[figures.train_path], method=spec.method)
    if stage is ADOPT and spec.adapter is not None:
        return AdoptTask(**common, **from_base, adapter_uri=spec.adapter.s3.uri)
    if stage is CONVERT:
        return ConvertTask(**common, **from_base, quantizations=spec.output.quantizations)
    output = dataset.task.output
    return EvaluateTask(
        **common, quantization=spec.output.quantizations[0], test_uri=files[figures.test_path],
        output=output.type, labels=output.labels, positive=output.positive,
        against=[Contender(name=label, gguf=gguf) for label, _, gguf in facts.contenders if gguf is not None],
        evaluation=spec.evaluation, lineage=lineage(owner, spec, facts),
    )  # fmt: skip


def _publish(owner: Owner, spec: FineTuneJobSpec, facts: FineTuneFacts) -> Plan:
    """Judge the gates, then write the manifest, then create the ModelVersion: in that order (law 7)."""
    adapter, gguf, evaluation = facts.adapter.record, facts.gguf.record, facts.evaluation.record
    if adapter is None or gguf is None or evaluation is None or facts.base is None or facts.version is None:
        raise AssertionError("every stage has its record here")
    failed = failed_gates(spec.evaluation.gates, evaluation.figures, [label for label, _, _ in facts.contenders])
    if failed:
        text = f"{'; '.join(failed)}; no version is published. Improve the data or the method and create a new job"
        return _say(facts, JobPhase.FAILED, "GateFailed", text)
    model, version = facts.base.spec.model, facts.version
    if facts.manifest is None:
        puts = documents(owner, spec, facts)
        return _say(facts, JobPhase.EVALUATING, "Publishing", f"publishing {version_name(model, version)}", puts, again_after=0.2)
    if not facts.version_exists:
        create = Create(model_version(owner.namespace, facts.manifest))
        return _say(facts, JobPhase.EVALUATING, "Publishing", f"publishing {version_name(model, version)}", (create,), again_after=0.2)
    return _say(facts, JobPhase.SUCCEEDED, "Succeeded", f"published {version_name(model, version)}")


def _say(
    facts: FineTuneFacts,
    phase: JobPhase,
    reason: str,
    message: str,
    actions: tuple[Action, ...] = (),
    progress: Progress | None = None,
    again_after: float = 10.0,
) -> Plan:
    """The status, conditions and events of one pass."""
    ended = phase in {JobPhase.SUCCEEDED, JobPhase.FAILED}
    failed = phase is JobPhase.FAILED
    record = facts.evaluation.record
    status = FineTuneJobStatus(
        phase=phase,
        message=message,
        version=facts.version if facts.claim or failed else None,
        dataset_revision=facts.claim.dataset_revision if facts.claim else None,
        progress=_progress(progress),
        stepped_aside=[SteppedAside(model_service=name, pods=pods) for name, pods in facts.stepped_aside if phase is JobPhase.TRAINING],
        version_ref=Ref(name=facts.manifest.name) if facts.manifest and phase is JobPhase.SUCCEEDED else None,
        evaluation=evaluation_figures(record.figures, {label: name for label, name, _ in facts.contenders}) if record else None,
    )
    conditions = (
        Verdict("Ready", not failed, reason, message),
        Verdict("Complete", phase is JobPhase.SUCCEEDED, reason if ended else phase.value, message),
        Verdict("Stalled", failed, reason, message),
    )
    events = (Event(reason, message, warning=failed),) if ended or actions else ()
    return Plan(status, conditions, actions, events, again_after if not ended else 300)


def _progress(progress: Progress | None) -> JobProgress | None:
    if progress is None:
        return None
    percent = 100 * progress.step / progress.total_steps if progress.total_steps else 0.0
    return JobProgress(
        step=progress.step, total_steps=progress.total_steps, percent=round(percent, 1), loss=progress.loss,
        tokens_per_second=progress.tokens_per_second, eta_seconds=progress.eta_seconds,
    )  # fmt: skip
