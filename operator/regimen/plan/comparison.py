"""Paired evidence of a rollout: which revision's new rows both versions answer, in which Job, and what came of it.

Nothing here moves a replica, and a rollback waits for none of it. One comparison for each revision; the newest one that is done counts.
"""

from math import ceil

from regimen.plan.actions import Action, Create
from regimen.plan.common import dns_name, failure, trainer_job
from regimen.plan.memory import Memory
from regimen.plan.rollout_facts import Context, PairedFacts
from regimen.plan.serving import gguf_for
from regimen.spec.artifacts import Artifact, DatasetManifest, comparison_uid, short
from regimen.spec.tasks import CompareTask, Contender
from regimen.spec.version import ModelVersionSpec

MORE_CASES = 1.2
"""Times minPairs that are asked at most: beyond that nothing is decided by more."""


def comparison_missing(context: Context) -> tuple[str, str] | None:
    """Why paired evidence can never come: reason and message."""
    primary, paired = context.spec.analysis.primary, context.facts.paired
    if primary.evidence != "Paired" or primary.dataset_ref is None or paired is None:
        return None
    name, task, to = primary.dataset_ref.name, primary.dataset_ref.task, context.spec.to_ref.name
    if paired.output is None:
        return (
            "DatasetMissing",
            f"analysis.primary.datasetRef: TrainingDataset {name} does not exist or has no task {task}; correct the name",
        )
    if paired.output.type != "Label":
        return (
            "NoLabels",
            f"analysis.primary.datasetRef.task: {task} writes text, and only labels are compared case by case; use evidence Live",
        )
    if not paired.trained:
        return (
            "LineageUnknown",
            f"toRef.name: {to} does not say that it was trained on {name}, so no case is known to be new; use evidence Live",
        )
    return None


def job_name(rollout: str, uid: str, revision: str) -> str:
    return dns_name(rollout, "compare", uid[:8], short(revision))


def comparison(context: Context, memory: Memory) -> tuple[Action, ...]:
    """The Job that compares by the newest revision, unless it is there or done, or there is nothing new."""
    paired, ref = context.facts.paired, context.spec.analysis.primary.dataset_ref
    if paired is None or ref is None or memory.outcome is not None or memory.passed:
        return ()
    newest, known = paired.newest, {manifest.digest for manifest in paired.known}
    if newest is None or paired.output is None or newest.digest in known or newest.digest == paired.compared or paired.job is not None:
        return ()
    ours = _contender(context, "candidate", context.spec.to_ref.name, context.facts.to_version)
    theirs = _contender(context, "stable", memory.stable_ref, context.facts.stable_version)
    if ours is None or theirs is None or context.facts.to_version is None:
        return ()
    task = CompareTask(
        namespace=context.owner.namespace, job=context.owner.path, uid=comparison_uid(context.owner.uid, newest.digest),
        model=context.service.model, version=context.facts.to_version.version, revision=newest.digest, candidate=ours, stable=theirs,
        rows=row_uris(newest, ref.task), known=[uri for manifest in paired.known for uri in row_uris(manifest, ref.task)],
        labels=paired.output.labels, max_cases=ceil(MORE_CASES * context.spec.analysis.min_pairs),
    )  # fmt: skip
    name = job_name(context.owner.name, context.owner.uid, newest.digest)
    selector = context.settings.training_node_selector
    return (Create(trainer_job(context.owner, name, task.model_dump_json(by_alias=True), context.settings, node_selector=selector)),)


def comparison_says(paired: PairedFacts | None) -> str:
    """What a person should know while pairs are awaited; empty where there is nothing to say."""
    if paired is None:
        return "what was compared cannot be read: the bucket cannot be reached"
    if paired.job is not None and paired.job.failed:
        return f"the comparison failed: {failure(paired.job)}"
    if paired.job is not None and not paired.job.succeeded:
        return "both versions are answering the new cases"
    if paired.newest is not None and paired.newest.digest in {manifest.digest for manifest in paired.known}:
        return f"TrainingDataset {paired.newest.dataset} has no revision yet that is newer than what was trained on"
    return ""


def row_uris(manifest: DatasetManifest, task: str) -> list[str]:
    """Where a task's training and held-out rows are."""
    files = {file.path: file.uri for file in manifest.files}
    return [files[path] for found in manifest.tasks if found.name == task for path in (found.train_path, found.test_path) if path in files]


def _contender(context: Context, name: str, ref: str, version: ModelVersionSpec | None) -> Contender | None:
    gguf = gguf_for(context.service, version) if version is not None else None
    if gguf is None:
        return None
    file = Artifact(path=gguf.uri.rsplit("/", 1)[-1], uri=gguf.uri, sha256=gguf.sha256, bytes=0)
    return Contender(name=name, version=ref, gguf=file)
