"""TrainingDataset: prepare a revision whenever the spec or the sources' content changed."""

from dataclasses import dataclass

from regimen.plan.actions import Apply, Create, Event, Plan, Verdict
from regimen.plan.common import JobFacts, Owner, Settings, bucket_secret, canonical_hash, dns_name, failure, trainer_job
from regimen.spec.artifacts import DatasetManifest, dataset_prefix
from regimen.spec.dataset import RowCounts, TrainingDatasetSpec, TrainingDatasetStatus
from regimen.spec.phases import DatasetPhase
from regimen.spec.tasks import PrepareTask


@dataclass(frozen=True)
class DatasetFacts:
    """What was seen of a dataset."""

    sources: tuple[tuple[str, str, str | None], ...]
    """(field, uri, entity tag or None where the object is missing) of every source file."""
    prepared: DatasetManifest | None
    """What the present spec and sources gave."""
    job: JobFacts | None
    previous: TrainingDatasetStatus


def input_hash(spec: TrainingDatasetSpec, sources: tuple[tuple[str, str, str | None], ...]) -> str:
    """Names what a revision is made from: the spec and the sources' content."""
    return canonical_hash([spec.model_dump(mode="json", by_alias=True), [(uri, tag) for _, uri, tag in sources]])


def job_name(owner: Owner, hashed: str) -> str:
    return dns_name(owner.name, "prepare", hashed[:8])


def decide(owner: Owner, spec: TrainingDatasetSpec, facts: DatasetFacts, settings: Settings) -> Plan:
    """Missing source: Invalid. Prepared: Ready. Job failed: Invalid (input at fault) or Failed. Else prepare."""
    hashed = input_hash(spec, facts.sources)
    for field, uri, tag in facts.sources:
        if tag is None:
            return _say(facts, DatasetPhase.INVALID, "SourceMissing", f"{field}: {uri} does not exist; upload it or correct the address")
    if facts.prepared is not None:
        return _ready(owner, spec, facts, facts.prepared)
    if facts.job is not None and facts.job.failed:
        phase, reason = (DatasetPhase.INVALID, "InputRefused") if facts.job.exit_code == 2 else (DatasetPhase.FAILED, "PrepareFailed")
        return _say(facts, phase, reason, f"{failure(facts.job)}; a corrected source or spec starts again by itself")
    if facts.job is None:
        task = PrepareTask(namespace=owner.namespace, dataset=owner.name, spec_hash=hashed, spec=spec)
        job = trainer_job(
            owner,
            job_name(owner, hashed),
            task.model_dump_json(by_alias=True),
            settings,
            node_selector=settings.training_node_selector,
        )
        plan = _say(facts, DatasetPhase.PREPARING, "Preparing", "reading the sources")
        return Plan(plan.status, plan.conditions, (Apply(bucket_secret(owner.namespace, settings)), Create(job)))
    return _say(facts, DatasetPhase.PREPARING, "Preparing", facts.job.pod_message or "reading the sources")


def _say(facts: DatasetFacts, phase: DatasetPhase, reason: str, message: str) -> Plan:
    ready = facts.previous.revision is not None and phase is DatasetPhase.PREPARING
    stalled = phase in {DatasetPhase.INVALID, DatasetPhase.FAILED}
    status = facts.previous.model_copy(update={"phase": phase, "message": message})
    conditions = (Verdict("Ready", ready, reason, message), Verdict("Stalled", stalled, reason, message))
    return Plan(status, conditions, events=(Event(reason, message, warning=True),) if stalled else ())


def _ready(owner: Owner, spec: TrainingDatasetSpec, facts: DatasetFacts, manifest: DatasetManifest) -> Plan:
    rejected = sum(manifest.rejected.values())
    reasons = ", ".join(f"{count} {reason}" for reason, count in sorted(manifest.rejected.items(), key=lambda item: -item[1]))
    message = f"{manifest.rows_used} of {manifest.rows_read} rows; {rejected} rejected" + (f": {reasons}" if reasons else "")
    few = spec.sources.claims is not None and manifest.rows_used < spec.sources.claims.min_rows
    new = facts.previous.revision != manifest.digest
    status = TrainingDatasetStatus(
        phase=DatasetPhase.READY,
        message=message,
        revision=manifest.digest,
        previous_revision=facts.previous.revision if new else facts.previous.previous_revision,
        tasks=manifest.tasks,
        rows=RowCounts(read=manifest.rows_read, used=manifest.rows_used, rejected=rejected),
        report_uri=f"s3://{_bucket(manifest)}/{dataset_prefix(owner.namespace, owner.name, manifest.digest)}report.html",
    )
    conditions = [Verdict("Ready", True, "RevisionPublished", message), Verdict("Stalled", False, "RevisionPublished", message)]
    if few and spec.sources.claims is not None:
        text = f"fewer usable rows than sources.claims.minRows {spec.sources.claims.min_rows}; more data gives a better model"
        conditions.append(Verdict("FewRows", True, "BelowMinRows", text))
    events = (Event("RevisionPublished", message),) if new else ()
    return Plan(status, tuple(conditions), events=events, again_after=30)


def _bucket(manifest: DatasetManifest) -> str:
    return manifest.files[0].uri.removeprefix("s3://").split("/", 1)[0]
