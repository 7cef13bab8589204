"""What is said of a FineTuneJob: phase, message, figures, conditions, events."""

from regimen.plan.actions import Action, Event, Plan, Verdict
from regimen.plan.finetune_facts import FineTuneFacts
from regimen.plan.gates import evaluated_against, evaluation_figures
from regimen.plan.progress import figures
from regimen.spec.artifacts import Progress
from regimen.spec.finetune import FineTuneJobStatus, SteppedAside
from regimen.spec.meta import Ref
from regimen.spec.phases import JobPhase


def say(
    facts: FineTuneFacts,
    phase: JobPhase,
    reason: str,
    message: str,
    actions: tuple[Action, ...] = (),
    progress: Progress | None = None,
    again_after: float = 10.0,
    stalled: bool = False,
) -> Plan:
    """The status, conditions and events of one pass."""
    ended = phase in {JobPhase.SUCCEEDED, JobPhase.FAILED}
    failed = phase is JobPhase.FAILED
    record = facts.evaluation.record
    status = FineTuneJobStatus(
        phase=phase,
        message=message,
        version=facts.version if facts.claim or failed else None,
        dataset_revision=facts.claim.dataset_revision if facts.claim else None,
        progress=figures(progress),
        estimate=facts.estimate,
        attempts=facts.said.attempts,
        gpu_seconds=facts.said.seconds,
        stepped_aside=[SteppedAside(model_service=name, pods=pods) for name, pods in facts.stepped_aside if phase is JobPhase.TRAINING],
        version_ref=Ref(name=facts.manifest.name) if facts.manifest and phase is JobPhase.SUCCEEDED else None,
        evaluation=evaluation_figures(record.figures, evaluated_against(record.figures, facts.contenders), facts.gates) if record else None,
    )
    conditions = (
        Verdict("Ready", not (failed or stalled), reason, message),
        Verdict("Complete", phase is JobPhase.SUCCEEDED, reason if ended else phase.value, message),
        Verdict("Stalled", failed or stalled, reason, message),
    )
    events = (Event(reason, message, warning=failed or stalled),) if ended or actions or stalled else ()
    return Plan(status, conditions, actions, events, again_after if not ended else 300)


def idle(facts: FineTuneFacts) -> JobPhase:
    """The phase of a job that does nothing now: Paused, once training has begun."""
    return JobPhase.PAUSED if facts.adapter.begun and facts.adapter.record is None else JobPhase.WAITING


def from_where(facts: FineTuneFacts) -> str:
    """Where a training that has begun will go on, as the end of a sentence."""
    if not facts.adapter.begun or facts.adapter.record is not None:
        return ""
    step = facts.adapter.progress.checkpoint_step if facts.adapter.progress else None
    return f", checkpoint at step {step}" if step is not None else ", no checkpoint yet"
