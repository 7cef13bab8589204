"""The turns of a training: at most one Job at a time, each within one opening of the window, until one leaves its record.

Knows Jobs as they are seen, the window and the clock; neither nodes nor services. Nothing is remembered: what was spent before stands on
the newest Job itself, so that older ones can go.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime

from regimen.plan.common import JobFacts, Owner, dns_name
from regimen.plan.window import Opening, check, opening
from regimen.spec.artifacts import Progress, StageRecord
from regimen.spec.finetune import FineTuneJobSpec, Window
from regimen.spec.meta import GROUP

STAGE = f"{GROUP}/stage"
TRAINING = {STAGE: "adapter"}
"""Label of training Jobs and their pods, beside their owner's."""
ENDS, SECONDS_BEFORE, ATTEMPTS_BEFORE = f"{GROUP}/window-ends", f"{GROUP}/seconds-before", f"{GROUP}/attempts-before"
"""Annotations of a training Job: the end of its opening (seconds since the epoch), and what was spent before it."""
GRACE_SECONDS = 60
"""For a checkpoint, where no window says how much time there is."""


@dataclass(frozen=True)
class Spent:
    """What training took so far."""

    seconds: int = 0
    attempts: int = 0


@dataclass(frozen=True)
class TrainingJob:
    """A training Job as seen now."""

    job: JobFacts
    ends: float | None = None
    """End of the opening that it was made for; None where it was made without a window."""
    before: Spent = Spent()
    started: float | None = None
    ended: float | None = None
    pods: int = 0
    """Pods started for it, those that failed included."""

    @property
    def over(self) -> bool:
        return self.job.succeeded or self.job.failed

    @property
    def paused(self) -> bool:
        """Whether it ended without being done and without being at fault."""
        return self.job.succeeded or (self.job.failed and self.job.reason == "DeadlineExceeded" and self.ends is not None)


@dataclass(frozen=True)
class TrainingFacts:
    """The training of one FineTuneJob."""

    record: StageRecord | None = None
    jobs: tuple[TrainingJob, ...] = ()
    """Oldest first."""
    progress: Progress | None = None
    holding: bool = False
    """Whether a pod holds the card, or still stops: of one of the Jobs, or of one that is gone."""

    @property
    def begun(self) -> bool:
        return bool(self.jobs) or self.progress is not None


@dataclass(frozen=True)
class Running:
    """This Job trains; `surplus` (those of earlier openings, too) are to be deleted."""

    training: TrainingJob
    opening: Opening | None
    surplus: tuple[str, ...] = ()


@dataclass(frozen=True)
class Start:
    """A Job of this name may be created, if the card is there."""

    name: str
    opening: Opening | None


@dataclass(frozen=True)
class Clear:
    """First these Jobs go, then one looks again."""

    jobs: tuple[str, ...]
    reason: str
    message: str


@dataclass(frozen=True)
class Rest:
    """Nothing to do now, and why. `stalled`: a person must do something."""

    reason: str
    message: str
    stalled: bool = False


@dataclass(frozen=True)
class Broken:
    """A Job failed, and not because its time was up."""

    job: JobFacts


def next_turn(owner: Owner, spec: FineTuneJobSpec, facts: TrainingFacts, now: float) -> Running | Start | Clear | Rest | Broken:
    """What training does now. A Job that must not go on is deleted: its pod then keeps a checkpoint within its grace period."""
    wrong = _wrong(spec.window)
    now_open = opening(spec.window, now) if spec.window is not None and wrong is None else None
    alive = [item for item in facts.jobs if not item.over]
    # A window that makes no sense ends nothing: its Job ends by itself, when it was to end.
    going_on = next((item for item in alive if wrong is not None or _may_go_on(item, spec.window, now_open)), None)
    if going_on is not None:
        return Running(going_on, now_open, tuple(item.job.name for item in facts.jobs if item is not going_on))
    if alive:
        surplus = tuple(item.job.name for item in alive)
        return Clear(surplus, "WindowClosed", "the window closes earlier now; training keeps a checkpoint and gives the card back")
    broken = next((item.job for item in facts.jobs if item.job.failed and not item.paused), None)
    if broken is not None:
        return Broken(broken)
    if wrong is not None:
        return Rest("WindowInvalid", wrong, stalled=True)
    if facts.holding:
        return Rest("GivingBack", "the last training pod keeps a checkpoint and gives the card back")
    if spec.window is not None and (now_open is None or not now_open.worth_it(now)):
        return Rest("WindowClosed", "")
    done, name = tuple(item.job.name for item in facts.jobs), job_name(owner, now_open)
    if name in done:
        return Clear(done, "GoingOn", "training stopped before it was done; about to go on from its checkpoint")
    return Start(name, now_open)


def _wrong(window: Window | None) -> str | None:
    try:
        if window is not None:
            check(window)
    except ValueError as error:
        return f"window.{error}"
    return None


def _may_go_on(item: TrainingJob, window: Window | None, now_open: Opening | None) -> bool:
    """A running Job keeps the end that it was made with; so it may go on only if the window does not close before."""
    if window is None:
        return True
    return now_open is not None and item.ends is not None and item.ends <= now_open.end


def job_name(owner: Owner, now_open: Opening | None) -> str:
    """Of the start of an opening, so that two operators make the same one."""
    start = [f"{now_open.start / 60:.0f}"] if now_open is not None else []
    return dns_name(owner.name, "train", owner.uid[:8], *start)


def spent(facts: TrainingFacts, said: Spent) -> Spent:
    """Seconds and attempts so far: by the newest Job, or as the status `said` where Jobs are gone. Never less than was said.

    While a Job runs, up to its last progress, so that the status changes with the progress and not with each pass.
    """
    if not facts.jobs:
        return said
    newest = facts.jobs[-1]
    until = newest.ended or (facts.progress.at.timestamp() if facts.progress else 0.0)
    own = max(0, int(until - newest.started)) if newest.started is not None else 0
    return Spent(max(said.seconds, newest.before.seconds + own), max(said.attempts, newest.before.attempts + newest.pods))


def annotations(now_open: Opening | None, before: Spent) -> dict[str, str]:
    """What a training Job says of itself, for `read`."""
    ends = {ENDS: f"{now_open.end:.0f}"} if now_open is not None else {}
    return {**ends, SECONDS_BEFORE: str(before.seconds), ATTEMPTS_BEFORE: str(before.attempts)}


def read(said: Mapping[str, str]) -> tuple[float | None, Spent]:
    """End of the opening, and what was spent before.

    >>> read(annotations(Opening(0, 180), Spent(90, 1)))
    (180.0, Spent(seconds=90, attempts=1))
    """
    ends = said.get(ENDS)
    return float(ends) if ends is not None else None, Spent(int(said.get(SECONDS_BEFORE, 0)), int(said.get(ATTEMPTS_BEFORE, 0)))


def stop_at(now_open: Opening | None) -> datetime | None:
    return datetime.fromtimestamp(now_open.stop_at, UTC) if now_open is not None else None
