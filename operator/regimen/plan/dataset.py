"""TrainingDataset: prepare a revision whenever the spec, the sources' content or the day of the refresh changed."""

from dataclasses import dataclass
from datetime import UTC, datetime

from regimen.plan.actions import Apply, Create, Event, Manifest, Plan, Verdict
from regimen.plan.common import JobFacts, Owner, Settings, bucket_secret, canonical_hash, dns_name, failure, secret_env, trainer_job
from regimen.plan.cron import ticks
from regimen.spec.artifacts import DatasetManifest, dataset_prefix
from regimen.spec.dataset import RowCounts, TrainingDatasetSpec, TrainingDatasetStatus
from regimen.spec.phases import DatasetPhase
from regimen.spec.tasks import PrepareTask, sql_variable

Sources = tuple[tuple[str, str, str | None], ...]
"""(field, uri, entity tag or None where nothing is there) of every source file."""


@dataclass(frozen=True)
class DatasetFacts:
    """What was seen of a dataset."""

    sources: Sources
    prepared: DatasetManifest | None
    """What the present spec and sources gave, or what the last refresh gave."""
    job: JobFacts | None
    previous: TrainingDatasetStatus
    tokenizer_uri: str | None = None
    """Weights of spec.tokens.baseRef; None where there are none."""


@dataclass(frozen=True)
class Inputs:
    """Names of what is made: `prepared` of the record, `job` of the pod that makes it. `following` is the next refresh."""

    prepared: str
    job: str
    following: float | None


def inputs(owner: Owner, spec: TrainingDatasetSpec, sources: Sources, now: float) -> Inputs:
    """What a revision is made from: the spec, and the sources' content or, with a refresh, the time when it was last due.

    With a refresh, content that changes between two due times makes no revision, but a corrected source starts a failed one again.
    Raises ValueError naming the field of a refresh that is wrong.
    """
    said = spec.model_dump(mode="json", by_alias=True)
    content = [(uri, tag) for _, uri, tag in sources]
    if spec.refresh is None:
        whole = canonical_hash([said, content])
        return Inputs(whole, whole, None)
    previous, following = ticks(spec.refresh.schedule, spec.refresh.time_zone, now)
    due = int(previous) if previous > owner.created else "first"
    return Inputs(canonical_hash([said, due]), canonical_hash([said, due, content]), following)


def job_name(owner: Owner, hashed: str) -> str:
    return dns_name(owner.name, "prepare", hashed[:8])


def decide(owner: Owner, spec: TrainingDatasetSpec, facts: DatasetFacts, settings: Settings, now: float) -> Plan:
    """Missing source: Invalid. Prepared: Ready. Job failed: Invalid (input at fault) or Failed. Else prepare."""
    try:
        made_from = inputs(owner, spec, facts.sources, now)
    except ValueError as error:
        return _say(facts, DatasetPhase.INVALID, "RefreshInvalid", f"refresh.{error}")
    for field, uri, tag in facts.sources:
        if tag is None:
            return _say(facts, DatasetPhase.INVALID, "SourceMissing", f"{field}: {uri} does not exist; upload it or correct the address")
    if facts.prepared is not None:
        return _ready(owner, facts, facts.prepared, made_from.following, now)
    if spec.tokens is not None and facts.tokenizer_uri is None:
        name = spec.tokens.base_ref.name
        return _say(
            facts,
            DatasetPhase.INVALID,
            "TokenizerMissing",
            f"tokens.baseRef.name: ModelVersion {name} has no verified weights; create it with weights, or wait for its import",
        )
    if facts.job is not None and facts.job.failed:
        phase, reason = (DatasetPhase.INVALID, "InputRefused") if facts.job.exit_code == 2 else (DatasetPhase.FAILED, "PrepareFailed")
        return _say(facts, phase, reason, f"{failure(facts.job)}; a corrected source or spec starts again by itself")
    if facts.job is None:
        plan = _say(facts, DatasetPhase.PREPARING, "Preparing", "reading the sources")
        job = _job(owner, spec, facts, settings, made_from)
        return Plan(plan.status, plan.conditions, (Apply(bucket_secret(owner.namespace, settings)), Create(job)))
    return _say(facts, DatasetPhase.PREPARING, "Preparing", facts.job.pod_message or "reading the sources")


def _job(owner: Owner, spec: TrainingDatasetSpec, facts: DatasetFacts, settings: Settings, made_from: Inputs) -> Manifest:
    task = PrepareTask(
        namespace=owner.namespace, dataset=owner.name, spec_hash=made_from.prepared, spec=spec, tokenizer_uri=facts.tokenizer_uri
    )
    queries = {name: source.sql for name in ("claims", "documents") if (source := getattr(spec.sources, name)) and source.sql}
    return trainer_job(
        owner,
        job_name(owner, made_from.job),
        task.model_dump_json(by_alias=True),
        settings,
        node_selector=settings.training_node_selector,
        env=[secret_env(sql_variable(name), query.url_from.secret_key_ref) for name, query in queries.items()],
    )


def _say(facts: DatasetFacts, phase: DatasetPhase, reason: str, message: str) -> Plan:
    ready = facts.previous.revision is not None and phase is DatasetPhase.PREPARING
    stalled = phase in {DatasetPhase.INVALID, DatasetPhase.FAILED}
    status = facts.previous.model_copy(update={"phase": phase, "message": message})
    conditions = (Verdict("Ready", ready, reason, message), Verdict("Stalled", stalled, reason, message))
    return Plan(status, conditions, events=(Event(reason, message, warning=True),) if stalled else ())


def _ready(owner: Owner, facts: DatasetFacts, manifest: DatasetManifest, following: float | None, now: float) -> Plan:
    rejected = sum(manifest.rejected.values())
    reasons = ", ".join(f"{count} {reason}" for reason, count in sorted(manifest.rejected.items(), key=lambda item: -item[1]))
    message = f"{manifest.rows_used} of {manifest.rows_read} rows; {rejected} rejected" + (f": {reasons}" if reasons else "")
    new = facts.previous.revision != manifest.digest
    status = TrainingDatasetStatus(
        phase=DatasetPhase.READY,
        message=message,
        revision=manifest.digest,
        previous_revision=facts.previous.revision if new else facts.previous.previous_revision,
        tasks=manifest.tasks,
        rows=RowCounts(read=manifest.rows_read, used=manifest.rows_used, rejected=rejected),
        report_uri=f"s3://{_bucket(manifest)}/{dataset_prefix(owner.namespace, owner.name, manifest.digest)}report.html",
        next_refresh=_iso(following) if following is not None else None,
    )
    conditions = [Verdict("Ready", True, "RevisionPublished", message), Verdict("Stalled", False, "RevisionPublished", message)]
    few = [warning for warning in manifest.warnings if ".minRows" in warning]
    others = [warning for warning in manifest.warnings if warning not in few]
    if few:
        conditions.append(Verdict("FewRows", True, "BelowMinRows", "; ".join(few)))
    if others:
        conditions.append(Verdict("Attention", True, "Warnings", "; ".join(others)[:4096]))
    events = (Event("RevisionPublished", message),) if new else ()
    again = 30.0 if following is None else min(30.0, max(1.0, following - now))
    return Plan(status, tuple(conditions), events=events, again_after=again)


def _iso(seconds: float) -> str:
    return datetime.fromtimestamp(seconds, UTC).strftime("%Y-%m-%dT%H:%M:%SZ")


def _bucket(manifest: DatasetManifest) -> str:
    return manifest.files[0].uri.removeprefix("s3://").split("/", 1)[0]
