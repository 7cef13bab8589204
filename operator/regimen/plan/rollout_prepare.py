"""Before anything moves: both versions' files are brought to every node that serves, and verified there (law 3).

Then no replica waits for a download while its place stands empty, and going back needs no bucket. Where the disk is too full for them, files of
versions that no service here serves or goes back to make room.
"""

import json

from regimen.plan.actions import Action, Apply, Create, Manifest
from regimen.plan.common import (
    BUCKET_SECRET,
    MANAGED,
    Owner,
    bucket_secret,
    canonical_hash,
    container_security,
    dns_name,
    failure,
    owner_label,
    pod_security,
)
from regimen.plan.memory import Memory
from regimen.plan.progress import span
from regimen.plan.rollout_facts import Context
from regimen.plan.serving import cache_volumes, gguf_for
from regimen.spec.meta import parse_duration
from regimen.spec.version import Gguf

RESOURCES = {"requests": {"cpu": "100m", "memory": "128Mi"}, "limits": {"memory": "1Gi"}}


def job_name(owner: Owner, node: str) -> str:
    return dns_name(owner.name, "fetch", canonical_hash(node)[:6], owner.uid[:8])


def files(context: Context) -> list[Gguf]:
    """Those of the stable version and of the one to move to."""
    versions = (context.facts.stable_version, context.facts.to_version)
    return [file for version in versions if version is not None and (file := gguf_for(context.service, version)) is not None]


def prepare(context: Context, memory: Memory) -> tuple[Memory, str]:
    """Whether all nodes have both files; else what is waited for. One that cannot have them ends the rollout before it moved anything."""
    jobs = {node: context.facts.fetches.get(node) for node in memory.nodes}
    for node, job in jobs.items():
        if job is not None and job.failed:
            late = job.reason == "DeadlineExceeded"
            reason = f"not there within progressDeadline {context.spec.progress_deadline}" if late else failure(job)
            why = f"the files could not be brought to node {node}: {reason}; nothing was moved"
            return memory.noting(
                context.iso, f"rolling back: {why}", outcome="RollBack", reason="PreparationFailed", why=why, rolling_since=context.now
            ), ""
    missing = [node for node, job in jobs.items() if job is None or not job.succeeded]
    if missing:
        pending = next((job.pod_message for node in missing if (job := jobs[node]) and job.pod_message), "")
        return memory, f"bringing both files to {', '.join(missing)}" + (f": {pending}" if pending else "")
    took = span(context.now - memory.begun_at)
    return memory.noting(
        context.iso,
        f"both files are on {len(jobs)} nodes, verified, after {took}",
        prepared=True,
        step_since=context.now,
        moved_at=context.now,
    ), ""


def fetch_jobs(context: Context, memory: Memory) -> tuple[Action, ...]:
    """One Job for each node that has none yet."""
    wanted = [node for node in memory.nodes if node not in context.facts.fetches]
    if not wanted:
        return ()
    secret = Apply(bucket_secret(context.owner.namespace, context.settings))
    return (secret, *(Create(_job(context, node)) for node in wanted))


def _job(context: Context, node: str) -> Manifest:
    owner, service, settings = context.owner, context.service, context.settings
    labels = {**MANAGED, **owner_label(owner.kind, owner.name), "app.kubernetes.io/component": "fetch"}
    here = {"matchFields": [{"key": "metadata.name", "operator": "In", "values": [node]}]}
    ggufs = json.dumps([{"uri": file.uri, "sha256": file.sha256} for file in files(context)])
    env = [{"name": "GGUFS", "value": ggufs}, {"name": "CACHE_DIR", "value": "/cache"}]
    if context.facts.needed is not None:
        env.append({"name": "NEEDED", "value": json.dumps(sorted(context.facts.needed))})
    volumes, mounts = cache_volumes(service)
    pod = {
        "restartPolicy": "Never",
        "automountServiceAccountToken": False,
        "enableServiceLinks": False,
        "securityContext": pod_security(),
        "priorityClassName": settings.serving_priority_class,
        "affinity": {"nodeAffinity": {"requiredDuringSchedulingIgnoredDuringExecution": {"nodeSelectorTerms": [here]}}},
        "volumes": volumes,
        "containers": [
            {
                "name": "fetch", "image": service.engine.image or settings.server_image, "imagePullPolicy": settings.pull_policy,
                "args": ["fetch"], "env": env,
                "envFrom": [{"secretRef": {"name": BUCKET_SECRET, "optional": True}}], "resources": RESOURCES,
                "securityContext": container_security(), "volumeMounts": mounts, "terminationMessagePolicy": "File",
            }
        ],
    }  # fmt: skip
    return {
        "apiVersion": "batch/v1", "kind": "Job",
        "metadata": {"name": job_name(owner, node), "namespace": owner.namespace, "labels": labels, "ownerReferences": [owner.reference()]},
        "spec": {
            "backoffLimit": 6, "activeDeadlineSeconds": parse_duration(context.spec.progress_deadline),
            "template": {"metadata": {"labels": labels}, "spec": pod},
        },
    }  # fmt: skip
