"""One way through the operator: parse, observe, decide, perform, report. Whatever triggered it, the same happens."""

import logging
import time
from collections.abc import Callable
from datetime import UTC, datetime
from enum import StrEnum

from pydantic import ValidationError

from regimen.act.arms import ServiceArms
from regimen.act.cluster import Cluster, Object
from regimen.act.events import emit
from regimen.act.http import Peers
from regimen.act.observe import Observer
from regimen.act.parts import owner_of
from regimen.act.perform import Performer
from regimen.act.schedule import schedule_facts
from regimen.plan import dataset, finetune, rollout, schedule, service, version
from regimen.plan.actions import Plan
from regimen.plan.common import Owner, Settings
from regimen.spec.dataset import TrainingDatasetSpec
from regimen.spec.finetune import FineTuneJobSpec
from regimen.spec.phases import TRANSITIONS, DatasetPhase, JobPhase, RolloutPhase, SchedulePhase, ServicePhase, VersionPhase
from regimen.spec.rollout import ModelRolloutSpec
from regimen.spec.schedule import RetrainScheduleSpec
from regimen.spec.service import ModelServiceSpec
from regimen.spec.version import ModelVersionSpec
from regimen.status.report import invalid_status, merge_patch, next_status
from regimen.store import Store

log = logging.getLogger(__name__)
ENDED = frozenset({JobPhase.SUCCEEDED, JobPhase.FAILED, JobPhase.CANCELLED})
PHASES: dict[str, type[StrEnum]] = {
    "TrainingDataset": DatasetPhase, "ModelVersion": VersionPhase, "FineTuneJob": JobPhase, "ModelService": ServicePhase,
    "ModelRollout": RolloutPhase, "RetrainSchedule": SchedulePhase,
}  # fmt: skip
REFUSED_PHASE: dict[str, str | None] = {
    "TrainingDataset": DatasetPhase.INVALID, "ModelVersion": VersionPhase.FAILED, "FineTuneJob": JobPhase.FAILED,
    "ModelService": ServicePhase.PENDING, "ModelRollout": RolloutPhase.INVALID, "RetrainSchedule": SchedulePhase.IDLE,
}  # fmt: skip


class Reconciler:
    """Reconciles one resource at a time, by kind, namespace and name."""

    def __init__(self, cluster: Cluster, store: Store, settings: Settings, clock: Callable[[], float] = time.time) -> None:
        self.cluster = cluster
        self.settings = settings
        self.clock = clock
        self.arms = ServiceArms(cluster, store, settings, Peers(settings.feedback_url, settings.prometheus_url))
        self.observer = Observer(cluster, store, settings, self.arms)
        self.performer = Performer(cluster, store)

    def reconcile(self, kind: str, namespace: str, name: str) -> float | None:
        """One pass. Returns seconds until the next one, or None where the resource is gone.

        Raises ClusterError or StoreError; the caller tries again later.
        """
        obj = self.cluster.get(kind, namespace, name)
        if obj is None:
            return None
        owner = owner_of(obj)
        if kind == "FineTuneJob" and obj.get("status", {}).get("phase") in ENDED:
            return None
        now_iso = self._iso()
        try:
            plan = self._plan(owner, obj)
        except ValidationError as error:
            message = "; ".join(f"{'.'.join(str(part) for part in item['loc']) or 'spec'}: {item['msg']}" for item in error.errors()[:5])
            self._write(owner, obj, invalid_status(message, owner.generation, obj.get("status", {}), now_iso, REFUSED_PHASE[kind]))
            return 60.0
        self.performer.perform(owner, plan.actions)
        self._report(owner, obj, plan, now_iso)
        return plan.again_after

    def _plan(self, owner: Owner, obj: Object) -> Plan:
        spec, settings, now = obj.get("spec", {}), self.settings, self.clock()
        match owner.kind:
            case "TrainingDataset":
                wanted = TrainingDatasetSpec.model_validate(spec)
                return dataset.decide(owner, wanted, self.observer.dataset(owner, wanted, obj, now), settings, now)
            case "ModelVersion":
                model = ModelVersionSpec.model_validate(spec)
                return version.decide(owner, model, self.observer.version(owner, model), settings)
            case "FineTuneJob":
                job = FineTuneJobSpec.model_validate(spec)
                return finetune.decide(owner, job, self.observer.finetune(owner, job, obj), settings, now)
            case "ModelService":
                served = ModelServiceSpec.model_validate(spec)
                return service.decide(owner, served, self.arms.service(owner, served), settings)
            case "ModelRollout":
                moved = ModelRolloutSpec.model_validate(spec)
                return rollout.decide(owner, moved, self.arms.rollout(owner, moved), settings, now)
            case "RetrainSchedule":
                again = RetrainScheduleSpec.model_validate(spec)
                return schedule.decide(owner, again, schedule_facts(self.cluster, owner, again, obj), now)
            case _:
                raise AssertionError(f"{owner.kind} is none of ours")

    def _report(self, owner: Owner, obj: Object, plan: Plan, now_iso: str) -> None:
        before = obj.get("status", {})
        after = next_status(plan, owner.generation, before, now_iso)
        _check_transition(owner, before.get("phase"), after.get("phase"))
        self._write(owner, obj, after)
        emit(self.cluster, owner, plan.events, now_iso)

    def _write(self, owner: Owner, obj: Object, after: Object) -> None:
        """One status write a pass, and only what differs."""
        patch = merge_patch(obj.get("status", {}), after)
        if patch:
            self.cluster.patch(owner.kind, owner.namespace, owner.name, {"status": patch}, "status")

    def _iso(self) -> str:
        return datetime.fromtimestamp(self.clock(), UTC).strftime("%Y-%m-%dT%H:%M:%SZ")


def _check_transition(owner: Owner, before: str | None, after: str | None) -> None:
    """A phase that the table does not allow is a bug of ours: it is said aloud, and the truth is written all the same."""
    phases = PHASES[owner.kind]
    if before and after and before != after and phases(after) not in TRANSITIONS[phases][phases(before)]:
        log.error("%s %s went from %s to %s, which no rule allows", owner.kind, owner.path, before, after)
