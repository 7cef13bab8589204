"""RetrainSchedule: at each due time, if there is enough new data, one FineTuneJob; when it succeeds, one ModelRollout."""

from dataclasses import dataclass
from datetime import UTC, datetime

from regimen.plan.actions import Action, Create, Delete, Event, Manifest, Plan, Verdict
from regimen.plan.common import MANAGED, Owner, dns_name
from regimen.plan.cron import ticks
from regimen.spec.meta import API_VERSION, GROUP
from regimen.spec.phases import SchedulePhase
from regimen.spec.schedule import RetrainScheduleSpec, RetrainScheduleStatus, ScheduledVersion

ROWS = f"{GROUP}/train-rows"
DUE = f"{GROUP}/due"
ENDED_JOB = frozenset({"Succeeded", "Failed", "Cancelled"})
ENDED_ROLLOUT = frozenset({"Promoted", "RolledBack", "Invalid"})


@dataclass(frozen=True)
class RunFacts:
    """One FineTuneJob that the schedule made, and its rollout."""

    name: str
    due: int
    """Seconds since the epoch."""
    train_rows: int
    phase: str
    version_ref: str | None
    rollout_phase: str | None
    """None where there is no rollout; empty where it has no phase yet."""


@dataclass(frozen=True)
class ScheduleFacts:
    """What was seen of a schedule."""

    dataset_exists: bool
    train_rows: int | None
    """Training rows of the task in the newest revision; None where there is none."""
    service_exists: bool
    runs: tuple[RunFacts, ...]
    """Oldest first."""
    last: str | None
    """status.lastScheduleTime; losing it at most asks a skipped due time again."""


def decide(owner: Owner, spec: RetrainScheduleSpec, facts: ScheduleFacts, now: float) -> Plan:
    """Start what is due, roll out what succeeded, say what comes next."""
    try:
        previous, following = ticks(spec.schedule, spec.time_zone, now)
    except ValueError as error:
        return _say(facts, SchedulePhase.IDLE, "ScheduleInvalid", str(error), stalled=True)
    next_text = f"next run {_iso(following)}"
    active = next((run for run in facts.runs if run.phase not in ENDED_JOB), None)
    if active is not None:
        return _say(facts, SchedulePhase.TRAINING, "Training", f"{active.name} is under way; {next_text}", next_at=following)
    rolling = next((run for run in facts.runs if run.rollout_phase is not None and run.rollout_phase not in ENDED_ROLLOUT), None)
    if rolling is not None:
        return _say(facts, SchedulePhase.ROLLING_OUT, "RollingOut", f"rollout {rolling.name} is under way", next_at=following)
    if spec.suspend:
        return _say(facts, SchedulePhase.SUSPENDED, "Suspended", "suspended; set suspend: false to go on", next_at=following)
    newest = facts.runs[-1] if facts.runs else None
    if newest and newest.version_ref and newest.rollout_phase is None and spec.rollout_policy == "Automatic":
        create = Create(rollout_manifest(owner, spec, newest))
        return _say(
            facts,
            SchedulePhase.ROLLING_OUT,
            "RollingOut",
            f"rolling out {newest.version_ref}",
            (create,),
            next_at=following,
        )
    return _when_due(owner, spec, facts, previous, following)


def _when_due(owner: Owner, spec: RetrainScheduleSpec, facts: ScheduleFacts, previous: float, following: float) -> Plan:
    next_text = f"next run {_iso(following)}"
    clean = _beyond_limits(owner, spec, facts)
    started = previous < owner.created or any(run.due >= int(previous) for run in facts.runs)
    used = max((run.train_rows for run in facts.runs if run.phase == "Succeeded"), default=0)
    new = (facts.train_rows or 0) - used
    skip = f"skipped {_iso(previous)}: {new} new rows, trigger.minNewRows is {spec.trigger.min_new_rows}; {next_text}"
    if started:
        return _say(facts, SchedulePhase.IDLE, "Scheduled", next_text, clean, next_at=following, last=facts.last)
    if facts.last == _iso(previous):
        # Said until the next due time: rows that come later are for that one.
        return _say(facts, SchedulePhase.IDLE, "NothingNew", skip, clean, next_at=following, last=facts.last)
    if not facts.service_exists:
        text = f"serviceRef.name: ModelService {spec.service_ref.name} does not exist; create it"
        return _say(facts, SchedulePhase.IDLE, "ServiceMissing", text, clean, next_at=following, stalled=True)
    if facts.train_rows is None:
        name = spec.dataset_ref.name
        text = f"datasetRef.name: TrainingDataset {name} " + (
            "has no revision yet" if facts.dataset_exists else "does not exist; create it"
        )
        return _say(facts, SchedulePhase.IDLE, "DatasetNotReady", text, clean, next_at=following)
    if new < spec.trigger.min_new_rows:
        return _say(facts, SchedulePhase.IDLE, "NothingNew", skip, clean, next_at=following, last=_iso(previous))
    create = Create(job_manifest(owner, spec, int(previous), facts.train_rows))
    text = f"training with {new} new rows"
    return _say(facts, SchedulePhase.TRAINING, "Training", text, (*clean, create), next_at=following, last=_iso(previous))


def _beyond_limits(owner: Owner, spec: RetrainScheduleSpec, facts: ScheduleFacts) -> tuple[Action, ...]:
    """Jobs beyond historyLimits, oldest first; their versions stay."""
    limits = {"Succeeded": spec.history_limits.succeeded, "Failed": spec.history_limits.failed}
    extra: list[Action] = []
    for phase, limit in limits.items():
        names = [run.name for run in facts.runs if run.phase == phase]
        extra += [Delete("FineTuneJob", owner.namespace, name) for name in names[: max(0, len(names) - limit)]]
    return tuple(extra)


def run_name(owner: Owner, due: int) -> str:
    """One name for one due time: a run is never started twice."""
    return dns_name(owner.name, str(due // 60), limit=52)


def job_manifest(owner: Owner, spec: RetrainScheduleSpec, due: int, train_rows: int) -> Manifest:
    template = spec.fine_tune_template.spec.model_dump(mode="json", by_alias=True, exclude_none=True)
    return {
        "apiVersion": API_VERSION, "kind": "FineTuneJob",
        "metadata": {
            "name": run_name(owner, due), "namespace": owner.namespace, "labels": MANAGED,
            "annotations": {ROWS: str(train_rows), DUE: str(due)}, "ownerReferences": [owner.reference()],
        },
        "spec": {
            **template, "baseRef": {"name": spec.base_ref.name},
            "datasetRef": spec.dataset_ref.model_dump(mode="json", by_alias=True), "version": "Next",
        },
    }  # fmt: skip


def rollout_manifest(owner: Owner, spec: RetrainScheduleSpec, run: RunFacts) -> Manifest:
    template = spec.rollout_template.spec.model_dump(mode="json", by_alias=True, exclude_none=True)
    return {
        "apiVersion": API_VERSION, "kind": "ModelRollout",
        "metadata": {"name": run.name, "namespace": owner.namespace, "labels": MANAGED, "ownerReferences": [owner.reference()]},
        "spec": {**template, "serviceRef": {"name": spec.service_ref.name}, "toRef": {"name": run.version_ref}},
    }  # fmt: skip


def _iso(seconds: float) -> str:
    return datetime.fromtimestamp(seconds, UTC).strftime("%Y-%m-%dT%H:%M:%SZ")


def _say(
    facts: ScheduleFacts,
    phase: SchedulePhase,
    reason: str,
    message: str,
    actions: tuple[Action, ...] = (),
    *,
    next_at: float | None = None,
    last: str | None = None,
    stalled: bool = False,
) -> Plan:
    newest = _iso(facts.runs[-1].due) if facts.runs else None
    versions = [
        ScheduledVersion(version=run.version_ref, at=_iso(run.due), outcome=run.rollout_phase or "Trained")
        for run in facts.runs
        if run.version_ref
    ]
    status = RetrainScheduleStatus(
        phase=phase,
        message=message,
        last_schedule_time=last or facts.last or newest,
        next_schedule_time=_iso(next_at) if next_at is not None else None,
        active_job=facts.runs[-1].name if phase is SchedulePhase.TRAINING and facts.runs else None,
        active_rollout=facts.runs[-1].name if phase is SchedulePhase.ROLLING_OUT and facts.runs else None,
        versions=versions[-100:],
    )
    conditions = (Verdict("Ready", not stalled, reason, message), Verdict("Stalled", stalled, reason, message))
    events = (Event(reason, message, warning=stalled),) if actions or stalled or reason == "NothingNew" else ()
    return Plan(status, conditions, actions, events, again_after=5 if phase is not SchedulePhase.IDLE else 20)
