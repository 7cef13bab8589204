"""Facts of a RetrainSchedule."""

from regimen.act.cluster import Cluster, Object
from regimen.act.parts import is_owned, status_of
from regimen.plan.common import Owner
from regimen.plan.schedule import DUE, ROWS, RunFacts, ScheduleFacts
from regimen.spec.dataset import TrainingDatasetStatus
from regimen.spec.schedule import RetrainScheduleSpec


def schedule_facts(cluster: Cluster, owner: Owner, spec: RetrainScheduleSpec, obj: Object) -> ScheduleFacts:
    """The runs that the schedule made, and what the next one would train on."""
    dataset = cluster.get("TrainingDataset", owner.namespace, spec.dataset_ref.name)
    rows = None
    if dataset is not None:
        tasks = status_of(dataset, TrainingDatasetStatus).tasks
        rows = next((task.train for task in tasks if task.name == spec.dataset_ref.task), None)
    jobs = [item for item in cluster.items("FineTuneJob", owner.namespace) if is_owned(item, owner)]
    rollouts = {item["metadata"]["name"]: item for item in cluster.items("ModelRollout", owner.namespace)}
    runs = [_run(job, rollouts) for job in jobs if DUE in job["metadata"].get("annotations", {})]
    return ScheduleFacts(
        dataset_exists=dataset is not None,
        train_rows=rows,
        service_exists=cluster.get("ModelService", owner.namespace, spec.service_ref.name) is not None,
        runs=tuple(sorted(runs, key=lambda run: run.due)),
        last=obj.get("status", {}).get("lastScheduleTime"),
    )


def _run(job: Object, rollouts: dict[str, Object]) -> RunFacts:
    meta, status = job["metadata"], job.get("status", {})
    rollout = rollouts.get(meta["name"])
    return RunFacts(
        name=meta["name"], due=int(meta["annotations"][DUE]), train_rows=int(meta["annotations"].get(ROWS, 0)),
        phase=str(status.get("phase", "")), version_ref=status.get("versionRef", {}).get("name"),
        rollout_phase=str(rollout.get("status", {}).get("phase", "")) if rollout else None,
    )  # fmt: skip
