"""Phases of each kind and the moves between them that are allowed. The only place that names them.

A phase is a report, never a trigger: `decide` reads facts, not phases.
"""

from enum import StrEnum


class DatasetPhase(StrEnum):
    PENDING = "Pending"
    PREPARING = "Preparing"
    READY = "Ready"
    INVALID = "Invalid"
    FAILED = "Failed"


class VersionPhase(StrEnum):
    PENDING = "Pending"
    IMPORTING = "Importing"
    READY = "Ready"
    FAILED = "Failed"


class JobPhase(StrEnum):
    PENDING = "Pending"
    WAITING = "Waiting"
    TRAINING = "Training"
    PAUSED = "Paused"
    CONVERTING = "Converting"
    EVALUATING = "Evaluating"
    SUCCEEDED = "Succeeded"
    FAILED = "Failed"
    CANCELLED = "Cancelled"


class ServicePhase(StrEnum):
    PENDING = "Pending"
    READY = "Ready"
    DEGRADED = "Degraded"
    STEPPED_ASIDE = "SteppedAside"


class RolloutPhase(StrEnum):
    PENDING = "Pending"
    PREPARING = "Preparing"
    PROGRESSING = "Progressing"
    PAUSED = "Paused"
    ANALYZING = "Analyzing"
    PROMOTING = "Promoting"
    PROMOTED = "Promoted"
    ROLLING_BACK = "RollingBack"
    ROLLED_BACK = "RolledBack"
    INVALID = "Invalid"


class SchedulePhase(StrEnum):
    IDLE = "Idle"
    TRAINING = "Training"
    ROLLING_OUT = "RollingOut"
    SUSPENDED = "Suspended"


D, V, J, S, R, C = DatasetPhase, VersionPhase, JobPhase, ServicePhase, RolloutPhase, SchedulePhase

_WAYS: frozenset[StrEnum] = frozenset(
    {R.PROGRESSING, R.PAUSED, R.ANALYZING, R.PROMOTING, R.PROMOTED, R.ROLLING_BACK, R.ROLLED_BACK, R.INVALID}
)
"""Where a rollout under way may be next: a pass that ends before it reports skips a phase."""

# One table for each kind: members of different enums are equal strings, so they cannot share one.
TRANSITIONS: dict[type[StrEnum], dict[StrEnum, frozenset[StrEnum]]] = {
    DatasetPhase: {
        D.PENDING: frozenset({D.PREPARING, D.READY, D.INVALID, D.FAILED}),
        D.PREPARING: frozenset({D.READY, D.INVALID, D.FAILED, D.PENDING}),
        D.READY: frozenset({D.PREPARING, D.INVALID, D.FAILED, D.PENDING}),
        D.INVALID: frozenset({D.PENDING, D.PREPARING, D.READY, D.FAILED}),
        D.FAILED: frozenset({D.PENDING, D.PREPARING, D.READY, D.INVALID}),
    },
    VersionPhase: {
        V.PENDING: frozenset({V.IMPORTING, V.READY, V.FAILED}),
        V.IMPORTING: frozenset({V.READY, V.FAILED, V.PENDING}),
        V.READY: frozenset(),
        V.FAILED: frozenset({V.PENDING, V.IMPORTING, V.READY}),
    },
    JobPhase: {
        J.PENDING: frozenset({J.WAITING, J.TRAINING, J.PAUSED, J.CONVERTING, J.EVALUATING, J.SUCCEEDED, J.FAILED, J.CANCELLED}),
        J.WAITING: frozenset({J.PENDING, J.TRAINING, J.PAUSED, J.CONVERTING, J.EVALUATING, J.SUCCEEDED, J.FAILED, J.CANCELLED}),
        J.TRAINING: frozenset({J.WAITING, J.PAUSED, J.CONVERTING, J.EVALUATING, J.SUCCEEDED, J.FAILED, J.CANCELLED}),
        J.PAUSED: frozenset({J.WAITING, J.TRAINING, J.CONVERTING, J.EVALUATING, J.SUCCEEDED, J.FAILED, J.CANCELLED}),
        J.CONVERTING: frozenset({J.WAITING, J.EVALUATING, J.SUCCEEDED, J.FAILED, J.CANCELLED}),
        J.EVALUATING: frozenset({J.WAITING, J.SUCCEEDED, J.FAILED, J.CANCELLED}),
        J.SUCCEEDED: frozenset(),
        J.FAILED: frozenset(),
        J.CANCELLED: frozenset(),
    },
    ServicePhase: {
        S.PENDING: frozenset({S.READY, S.DEGRADED, S.STEPPED_ASIDE}),
        S.READY: frozenset({S.PENDING, S.DEGRADED, S.STEPPED_ASIDE}),
        S.DEGRADED: frozenset({S.PENDING, S.READY, S.STEPPED_ASIDE}),
        S.STEPPED_ASIDE: frozenset({S.PENDING, S.READY, S.DEGRADED}),
    },
    # A service that is deleted sends its rollout back to Pending.
    RolloutPhase: {
        R.PENDING: _WAYS | {R.PREPARING},
        R.PREPARING: _WAYS | {R.PENDING},
        R.PROGRESSING: (_WAYS | {R.PENDING}) - {R.PROGRESSING},
        R.PAUSED: (_WAYS | {R.PENDING}) - {R.PAUSED},
        R.ANALYZING: (_WAYS | {R.PENDING}) - {R.ANALYZING},
        R.PROMOTING: frozenset({R.PENDING, R.PROMOTED, R.ROLLING_BACK, R.ROLLED_BACK}),
        R.PROMOTED: frozenset(),
        R.ROLLING_BACK: frozenset({R.PENDING, R.ROLLED_BACK, R.INVALID}),
        R.ROLLED_BACK: frozenset(),
        R.INVALID: frozenset({R.PENDING, R.PREPARING, R.PROGRESSING}),
    },
    SchedulePhase: {
        C.IDLE: frozenset({C.TRAINING, C.ROLLING_OUT, C.SUSPENDED}),
        C.TRAINING: frozenset({C.IDLE, C.ROLLING_OUT, C.SUSPENDED}),
        C.ROLLING_OUT: frozenset({C.IDLE, C.TRAINING, C.SUSPENDED}),
        C.SUSPENDED: frozenset({C.IDLE, C.TRAINING, C.ROLLING_OUT}),
    },
}
