"""ModelVersion: a baseline is imported and verified; a version that a FineTuneJob published is there already."""

from dataclasses import dataclass

from regimen.plan.actions import Apply, Create, Event, Plan, Verdict
from regimen.plan.common import JobFacts, Owner, Settings, bucket_secret, dns_name, failure, trainer_job
from regimen.spec.artifacts import Artifact, StageRecord, VersionManifest
from regimen.spec.phases import VersionPhase
from regimen.spec.tasks import ImportTask
from regimen.spec.version import ArtifactStatus, LineageStatus, ModelVersionSpec, ModelVersionStatus


@dataclass(frozen=True)
class VersionFacts:
    """What was seen of a version."""

    published: VersionManifest | None
    """Its manifest, where a FineTuneJob published it."""
    imported: StageRecord | None
    """What the import verified, where the user brought it."""
    job: JobFacts | None


def job_name(owner: Owner) -> str:
    return dns_name(owner.name, "import", owner.uid[:8])


def decide(owner: Owner, spec: ModelVersionSpec, facts: VersionFacts, settings: Settings) -> Plan:
    """Published or imported: Ready. Import failed: Failed. Else import."""
    if facts.published is not None:
        sizes = {file.uri: file for file in facts.published.gguf}
        return _ready(spec, facts.published.lineage.model_dump(), "Published", "published by a FineTuneJob", sizes)
    if facts.imported is not None:
        sizes = {file.uri: file for file in facts.imported.files}
        text = ("weights and " if spec.weights else "") + f"{len(spec.gguf)} GGUF verified"
        return _ready(spec, None, "Verified", text, sizes, str(facts.imported.figures.get("weightsDigest") or ""))
    if facts.job is not None and facts.job.failed:
        text = f"{failure(facts.job)}; a version is immutable: put the file right or delete the resource and create it corrected"
        return _say(VersionPhase.FAILED, "ImportFailed", text)
    if facts.job is None:
        job = trainer_job(
            owner, job_name(owner), _task(owner, spec).model_dump_json(by_alias=True), settings,
            node_selector=settings.training_node_selector,
        )  # fmt: skip
        plan = _say(VersionPhase.IMPORTING, "Importing", "verifying the files")
        return Plan(plan.status, plan.conditions, (Apply(bucket_secret(owner.namespace, settings)), Create(job)))
    return _say(VersionPhase.IMPORTING, "Importing", facts.job.pod_message or "verifying the files")


def _task(owner: Owner, spec: ModelVersionSpec) -> ImportTask:
    return ImportTask(
        namespace=owner.namespace, name=owner.name, uid=owner.uid, model=spec.model, version=spec.version,
        weights_uri=spec.weights.s3.uri if spec.weights else None,
        gguf=[Artifact(path=file.uri.rsplit("/", 1)[1], uri=file.uri, sha256=file.sha256, bytes=0) for file in spec.gguf],
    )  # fmt: skip


def _say(phase: VersionPhase, reason: str, message: str) -> Plan:
    stalled = phase is VersionPhase.FAILED
    conditions = (Verdict("Ready", False, reason, message), Verdict("Stalled", stalled, reason, message))
    events = (Event(reason, message, warning=True),) if stalled else ()
    return Plan(ModelVersionStatus(phase=phase, message=message), conditions, events=events)


def _ready(
    spec: ModelVersionSpec,
    lineage: dict[str, object] | None,
    reason: str,
    message: str,
    sizes: dict[str, Artifact] | None = None,
    weights_digest: str = "",
) -> Plan:
    known = sizes or {}
    artifacts = [
        ArtifactStatus(
            kind="gguf", quantization=file.quantization, uri=file.uri, sha256=file.sha256,
            bytes=known[file.uri].bytes if file.uri in known else 0,
        )
        for file in spec.gguf
    ]  # fmt: skip
    if spec.weights and weights_digest:
        size = sum(file.bytes for uri, file in known.items() if uri.startswith(spec.weights.s3.uri))
        artifacts.append(ArtifactStatus(kind="weights", uri=spec.weights.s3.uri, sha256=weights_digest, bytes=size))
    status = ModelVersionStatus(
        phase=VersionPhase.READY, message=message, artifacts=artifacts,
        lineage=LineageStatus.model_validate(lineage) if lineage else None,
    )  # fmt: skip
    conditions = (Verdict("Ready", True, reason, message), Verdict("Stalled", False, reason, message))
    return Plan(status, conditions, again_after=60)
