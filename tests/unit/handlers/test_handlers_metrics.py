"""Gauges of FineTuneJobs: as their status says, and gone with them."""

from collections.abc import Iterator
from typing import Any

import pytest
from prometheus_client import REGISTRY

from regimen.handlers.metrics import JobMetrics

WHO = {"namespace": "claims", "name": "night"}


def job(phase: str = "Training", name: str = "night", **progress: Any) -> dict[str, Any]:
    return {"metadata": {"namespace": "claims", "name": name}, "status": {"phase": phase, "progress": progress}}


def value(name: str, **labels: str) -> float | None:
    return REGISTRY.get_sample_value(f"regimen_finetune_{name}", {**WHO, **labels})


@pytest.fixture
def metrics() -> Iterator[JobMetrics]:
    found = JobMetrics()
    yield found
    found.all([])


def test_figures_follow_the_status(metrics: JobMetrics) -> None:
    metrics.seen(job(step=610, totalSteps=1000, loss=0.412, tokensPerSecond=947.0))
    assert [value(name) for name in ("step", "steps", "loss", "tokens_per_second")] == [610, 1000, 0.412, 947]
    assert value("phase", phase="Training") == 1
    metrics.seen(job("Converting", step=1, totalSteps=3))
    assert (value("step"), value("loss"), value("tokens_per_second")) == (1, None, None)
    assert (value("phase", phase="Training"), value("phase", phase="Converting")) == (None, 1)


def test_a_job_without_status_shows_nothing(metrics: JobMetrics) -> None:
    metrics.seen({"metadata": {"namespace": "claims", "name": "night"}})
    assert (value("step"), value("phase", phase="Pending")) == (None, None)


def test_a_job_that_is_gone_is_not_shown(metrics: JobMetrics) -> None:
    metrics.seen(job(step=1, totalSteps=2))
    metrics.gone("claims", "night")
    assert (value("step"), value("phase", phase="Training")) == (None, None)


def test_a_deletion_that_the_watch_missed_is_made_up_for(metrics: JobMetrics) -> None:
    metrics.seen(job(step=1, totalSteps=2))
    metrics.all([job(name="other", step=3, totalSteps=4)])
    assert value("step") is None
    assert REGISTRY.get_sample_value("regimen_finetune_step", {"namespace": "claims", "name": "other"}) == 3
