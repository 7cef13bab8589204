"""The training stage of a FineTuneJob: its turns, carried out and told."""

from datetime import UTC, datetime

from regimen.plan.actions import Action, Apply, Create, Delete, Plan
from regimen.plan.borrow import may_start, shortfall
from regimen.plan.common import Owner, Settings, bucket_secret, failure, trainer_job
from regimen.plan.finetune_facts import FineTuneFacts
from regimen.plan.finetune_report import from_where, idle, say
from regimen.plan.finetune_tasks import TRAIN, node_selector, stage_task
from regimen.plan.progress import how_far
from regimen.plan.training import GRACE_SECONDS, TRAINING, Broken, Clear, Rest, Running, Start, annotations, next_turn
from regimen.plan.window import Opening, next_opening
from regimen.spec.finetune import FineTuneJobSpec, Window
from regimen.spec.meta import parse_duration
from regimen.spec.phases import JobPhase


def train(owner: Owner, spec: FineTuneJobSpec, facts: FineTuneFacts, settings: Settings, now: float) -> Plan:
    """One turn of the training, and what is said of it."""
    match next_turn(owner, spec, facts.adapter, now):
        case Running(training, now_open, surplus):
            progress = facts.adapter.progress
            text = training.job.pod_message or (how_far(progress, now_open) if progress and progress.total_steps else "training")
            return say(facts, JobPhase.TRAINING, "Training", text, _delete(owner, surplus), progress=progress, again_after=3)
        case Broken(job):
            text = f"could not train: {failure(job)}; delete this job and create it again once that is mended"
            return say(facts, JobPhase.FAILED, "TrainFailed", text)
        case Clear(jobs, reason, message):
            return say(facts, idle(facts), reason, f"{message}{from_where(facts)}", _delete(owner, jobs), again_after=1)
        case Rest("WindowClosed") if spec.window is not None:
            return _closed(spec, spec.window, facts, now)
        case Rest(reason, message, stalled):
            return say(facts, idle(facts), reason, message, stalled=stalled, again_after=60 if stalled else 1)
        case Start(name, now_open):
            return _start(owner, spec, facts, settings, name, now_open, now)


def _start(
    owner: Owner, spec: FineTuneJobSpec, facts: FineTuneFacts, settings: Settings, name: str, now_open: Opening | None, now: float
) -> Plan:
    """Create the training Job, if the card is there or may be borrowed."""
    answer = may_start(spec.placement, spec.borrow, facts.cards, facts.lenders, facts.rivals, now)
    if not answer.go:
        return say(facts, idle(facts), answer.reason, answer.message, again_after=5)
    borrows = spec.borrow.mode == "Preempt" and answer.slices > 0
    seconds = int(now_open.deadline - now) if now_open is not None else parse_duration(spec.max_duration)
    manifest = trainer_job(
        owner, name, stage_task(owner, spec, facts, TRAIN, now_open).model_dump_json(by_alias=True), settings,
        node_selector=node_selector(spec, settings),
        extended={spec.placement.gpu_resource: str(answer.slices)} if answer.slices else None,
        priority_class=settings.training_priority_class if borrows else None,
        deadline_seconds=seconds,
        backoff_limit=spec.backoff_limit,
        cache=spec.cache,
        grace_seconds=now_open.margin if now_open is not None else GRACE_SECONDS,
        labels=TRAINING,
        annotations=annotations(now_open, facts.said),
    )  # fmt: skip
    short = shortfall(spec.borrow, facts.lenders) if borrows else ""
    text = f"starting to train{from_where(facts)}" + (f"; {short}" if short else "")
    return say(facts, JobPhase.TRAINING, "Training", text, (Apply(bucket_secret(owner.namespace, settings)), Create(manifest)))


def _closed(spec: FineTuneJobSpec, window: Window, facts: FineTuneFacts, now: float) -> Plan:
    """Between two openings. What the next one will cost the services is said now, while there is time to change it."""
    start = next_opening(window, now)
    when = datetime.fromtimestamp(start, UTC).strftime("%Y-%m-%d %H:%M UTC")
    text = f"window closed; goes on {when}{from_where(facts)}" if facts.adapter.begun else f"window opens {when}"
    if facts.adapter.jobs and (facts.adapter.progress is None or facts.adapter.progress.checkpoint_step is None):
        text += "; if the window is too short to get to one, lengthen window.duration"
    short = shortfall(spec.borrow, facts.lenders)
    text += f"; while it trains, {short}" if short else ""
    return say(facts, idle(facts), "WindowClosed", text, progress=facts.adapter.progress, again_after=min(60.0, max(1.0, start - now)))


def stop(owner: Owner, facts: FineTuneFacts) -> tuple[Action, ...]:
    """Delete every Job: a training pod keeps a checkpoint first."""
    others = [seen.job.name for seen in (facts.gguf, facts.evaluation) if seen.job is not None]
    return _delete(owner, (*(item.job.name for item in facts.adapter.jobs), *others))


def _delete(owner: Owner, jobs: tuple[str, ...]) -> tuple[Action, ...]:
    return tuple(Delete("Job", owner.namespace, name) for name in jobs)
