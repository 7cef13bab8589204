"""ModelVersion: a baseline is imported and verified; a version that a FineTuneJob published is there already."""

from collections.abc import Mapping
from dataclasses import dataclass

from regimen.plan.actions import Apply, Create, Event, Manifest, Plan, Verdict
from regimen.plan.common import JobFacts, Owner, Settings, bucket_secret, dns_name, failure, secret_env, trainer_job
from regimen.spec.artifacts import Artifact, Progress, StageRecord, VersionManifest
from regimen.spec.phases import VersionPhase
from regimen.spec.tasks import CLAIM_MOUNT, ImportTask
from regimen.spec.version import ArtifactStatus, ImportProgress, LineageStatus, ModelVersionSpec, ModelVersionStatus


@dataclass(frozen=True)
class VersionFacts:
    """What was seen of a version."""

    published: VersionManifest | None
    """Its manifest, where a FineTuneJob published it."""
    imported: StageRecord | None
    """What the import verified, where the user brought it."""
    job: JobFacts | None
    progress: Progress | None = None


def job_name(owner: Owner) -> str:
    return dns_name(owner.name, "import", owner.uid[:8])


def decide(owner: Owner, spec: ModelVersionSpec, facts: VersionFacts, settings: Settings) -> Plan:
    """Published or imported: Ready. Import failed: Failed. Else import."""
    if facts.published is not None:
        known = {file.uri: file for file in facts.published.gguf}
        return _ready(spec, facts.published.lineage.model_dump(), "Published", "published by a FineTuneJob", known)
    if facts.imported is not None:
        text = ("weights and " if spec.weights else "") + f"{len(spec.gguf)} GGUF verified"
        return _ready(spec, None, "Verified", text, {file.uri: file for file in facts.imported.files}, facts.imported)
    if facts.job is not None and facts.job.failed:
        text = f"{failure(facts.job)}; once that is put right, delete Job {facts.job.name} to try again (a wrong field: delete and create this)"
        return _say(VersionPhase.FAILED, "ImportFailed", text)
    if facts.job is None:
        plan = _say(VersionPhase.IMPORTING, "Importing", "verifying the files")
        return Plan(plan.status, plan.conditions, (Apply(bucket_secret(owner.namespace, settings)), Create(_job(owner, spec, settings))))
    return _say(VersionPhase.IMPORTING, "Importing", facts.job.pod_message or _how_far(facts.progress), facts.progress)


def _job(owner: Owner, spec: ModelVersionSpec, settings: Settings) -> Manifest:
    task = ImportTask(
        namespace=owner.namespace, name=owner.name, uid=owner.uid, model=spec.model, version=spec.version, weights=spec.weights,
        gguf=[Artifact(path=file.uri.rsplit("/", 1)[1], uri=file.uri, sha256=file.sha256, bytes=0) for file in spec.gguf],
    )  # fmt: skip
    hub = spec.weights.hugging_face if spec.weights else None
    job = trainer_job(
        owner, job_name(owner), task.model_dump_json(by_alias=True), settings,
        node_selector=settings.training_node_selector,
        env=[secret_env("HF_TOKEN", hub.token_from.secret_key_ref)] if hub and hub.token_from else (),
    )  # fmt: skip
    if spec.weights and spec.weights.persistent_volume_claim:
        _mount(job, spec.weights.persistent_volume_claim.claim_name)
    return job


def _mount(job: Manifest, claim: str) -> None:
    """The volume that weights are copied from. Nothing can be written to it."""
    pod = job["spec"]["template"]["spec"]
    pod["volumes"].append({"name": "claim", "persistentVolumeClaim": {"claimName": claim, "readOnly": True}})
    pod["containers"][0]["volumeMounts"].append({"name": "claim", "mountPath": CLAIM_MOUNT, "readOnly": True})


def _how_far(progress: Progress | None) -> str:
    if progress is None or not progress.total_bytes:
        return "verifying the files"
    return f"{progress.message}: {(progress.bytes or 0) / 1e9:.1f} of {progress.total_bytes / 1e9:.1f} GB"


def _say(phase: VersionPhase, reason: str, message: str, progress: Progress | None = None) -> Plan:
    stalled = phase is VersionPhase.FAILED
    conditions = (Verdict("Ready", False, reason, message), Verdict("Stalled", stalled, reason, message))
    events = (Event(reason, message, warning=True),) if stalled else ()
    return Plan(ModelVersionStatus(phase=phase, message=message, progress=_progress(progress)), conditions, events=events)


def _progress(progress: Progress | None) -> ImportProgress | None:
    if progress is None or not progress.total_bytes:
        return None
    done = progress.bytes or 0
    return ImportProgress(bytes=done, total_bytes=progress.total_bytes, percent=round(100 * done / progress.total_bytes, 1))


def _ready(
    spec: ModelVersionSpec,
    lineage: dict[str, object] | None,
    reason: str,
    message: str,
    known: Mapping[str, Artifact],
    imported: StageRecord | None = None,
) -> Plan:
    artifacts = [
        ArtifactStatus(
            kind="gguf", quantization=file.quantization, uri=file.uri, sha256=file.sha256,
            bytes=known[file.uri].bytes if file.uri in known else 0,
        )
        for file in spec.gguf
    ]  # fmt: skip
    if imported is not None and (weights := weights_of(imported, spec)):
        artifacts.append(weights)
    status = ModelVersionStatus(
        phase=VersionPhase.READY, message=message, artifacts=artifacts, shape=imported.shape if imported else None,
        lineage=LineageStatus.model_validate(lineage) if lineage else None,
    )  # fmt: skip
    conditions = (Verdict("Ready", True, reason, message), Verdict("Stalled", False, reason, message))
    return Plan(status, conditions, again_after=60)


def weights_of(imported: StageRecord, spec: ModelVersionSpec) -> ArtifactStatus | None:
    """Where the weights lie that the import verified or copied, and the digest over all their files; None where it brought none."""
    ggufs = {file.uri for file in spec.gguf}
    files = [file for file in imported.files if file.uri not in ggufs]
    digest = imported.figures.get("weightsDigest")
    if not files or not digest:
        return None
    uri = files[0].uri.removesuffix(files[0].path)
    return ArtifactStatus(kind="weights", uri=uri, sha256=str(digest), bytes=sum(file.bytes for file in files))
