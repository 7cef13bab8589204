"""How far a stage is, in words and figures."""

from regimen.plan.window import Opening
from regimen.spec.artifacts import Progress
from regimen.spec.finetune import JobProgress


def span(seconds: float) -> str:
    """A time as people say it.

    >>> span(6720), span(754), span(90), span(4.6)
    ('1h52m', '13m', '1m30s', '5s')
    """
    whole = round(seconds)
    if whole >= 3600:
        return f"{whole // 3600}h{whole % 3600 // 60:02}m"
    if whole >= 600:
        return f"{round(whole / 60)}m"
    return f"{whole // 60}m{whole % 60:02}s" if whole >= 60 else f"{whole}s"


def how_far(progress: Progress, now_open: Opening | None = None) -> str:
    """One sentence. What is left of the window is told as of the progress, so that it changes with it and not with each pass."""
    parts = [f"step {progress.step} of {progress.total_steps}", f"{percent(progress):.0f} %"]
    if progress.eta_seconds is not None:
        parts.append(f"about {span(progress.eta_seconds)} left")
    if now_open is not None:
        parts.append(f"window closes in {span(max(0.0, now_open.end - progress.at.timestamp()))}")
    return ", ".join(parts) + (f": {progress.message}" if progress.message else "")


def percent(progress: Progress) -> float:
    return 100 * progress.step / progress.total_steps if progress.total_steps else 0.0


def figures(progress: Progress | None) -> JobProgress | None:
    if progress is None:
        return None
    return JobProgress(
        step=progress.step, total_steps=progress.total_steps, percent=round(percent(progress), 1), loss=progress.loss,
        tokens_per_second=progress.tokens_per_second, eta_seconds=progress.eta_seconds, checkpoint_step=progress.checkpoint_step,
    )  # fmt: skip
