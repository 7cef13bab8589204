"""What a pass may do. `plan` says it, `regimen.act.perform` does it; every action may be repeated without harm."""

from dataclasses import dataclass, field
from typing import Any

from regimen.spec.meta import KindStatus

Manifest = dict[str, Any]


@dataclass(frozen=True)
class Apply:
    """Server-side apply. A Deployment's replicas count only when it is created: after that `Scale` alone sets them."""

    manifest: Manifest


@dataclass(frozen=True)
class Create:
    """Create unless an object of that name exists (Jobs, and whatever is immutable)."""

    manifest: Manifest


@dataclass(frozen=True)
class Scale:
    """Set a Deployment's replicas; the pods named first are the ones to go."""

    namespace: str
    deployment: str
    replicas: int
    victims: tuple[str, ...] = ()


@dataclass(frozen=True)
class Delete:
    """Delete if it is there; its dependents in the background."""

    kind: str
    namespace: str
    name: str


@dataclass(frozen=True)
class PutOnce:
    """Write a document into the bucket unless one is there (law 7)."""

    key: str
    data: bytes


@dataclass(frozen=True)
class Put:
    """Write a document into the bucket (pointers that may move)."""

    key: str
    data: bytes


@dataclass(frozen=True)
class Remove:
    """Remove an object of the bucket that belongs to no version, if it is there."""

    key: str


@dataclass(frozen=True)
class SetFinalizer:
    """Add or remove our finalizer."""

    present: bool


Action = Apply | Create | Scale | Delete | PutOnce | Put | Remove | SetFinalizer


@dataclass(frozen=True)
class Verdict:
    """A condition before it has times: what, whether, why."""

    type: str
    status: bool
    reason: str
    message: str


@dataclass(frozen=True)
class Event:
    """A Kubernetes Event for people who run `kubectl describe`."""

    reason: str
    message: str
    warning: bool = False


@dataclass(frozen=True)
class Plan:
    """One pass's outcome: what to do, then what to say."""

    status: KindStatus
    conditions: tuple[Verdict, ...]
    actions: tuple[Action, ...] = ()
    events: tuple[Event, ...] = ()
    again_after: float = field(default=10.0)
    """Seconds until the next pass, if nothing happens before."""
