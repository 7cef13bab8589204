"""The one entry of HAProxy's route map.

Shares, roles, versions, salt and audit fraction are one value under one key, so one `set map` changes all of them at once: no
request ever sees the new roles with the old share. A promotion is one such change.

    generation|epoch|salt|threshold|stable slot|stable version|candidate slot|candidate version|audit
"""

import re
from base64 import b64decode, b64encode
from dataclasses import dataclass, replace
from hashlib import sha256
from hmac import digest
from typing import Self

from regimen.spec.routing import Routing

KEY = "current"
BUCKETS = 10_000
AUDIT_SCALE = 1_000_000
SLOTS = ("slot_0", "slot_1")
"""HAProxy's backends. Which of them is the stable arm is written in the route."""

_WORD = re.compile(r"[A-Za-z0-9._-]{1,253}")


class RouteError(Exception):
    """A Routing that cannot be written into the map, or a map entry that cannot be read."""


@dataclass(frozen=True)
class Route:
    """What the map says. Subjects whose bucket is below `threshold` go to the candidate."""

    generation: int
    epoch: str
    salt: str
    threshold: int
    stable_slot: str
    stable: str
    candidate_slot: str = "-"
    candidate: str = "-"
    audit: int = 0
    """In millionths."""

    def __post_init__(self) -> None:
        for value in (self.epoch, self.stable, self.candidate):
            if not _WORD.fullmatch(value):
                raise RouteError(f"{value!r} is not of the form {_WORD.pattern}")
        if not self.salt:
            raise RouteError("salt is empty: HAProxy needs a key to hash with")

    def encode(self) -> str:
        """The map's value."""
        salt = b64encode(self.salt.encode()).decode()
        return (
            f"{self.generation}|{self.epoch}|{salt}|{self.threshold}|{self.stable_slot}|{self.stable}"
            f"|{self.candidate_slot}|{self.candidate}|{self.audit}"
        )

    @classmethod
    def decode(cls, value: str) -> Self:
        """Raises RouteError where the value is none of ours."""
        try:
            generation, epoch, salt, threshold, stable_slot, stable, candidate_slot, candidate, audit = value.split("|")
            return cls(
                int(generation),
                epoch,
                b64decode(salt, validate=True).decode(),
                int(threshold),
                stable_slot,
                stable,
                candidate_slot,
                candidate,
                int(audit),
            )
        except ValueError as error:
            raise RouteError(f"not a route: {value!r}") from error

    @property
    def versions(self) -> dict[str, str]:
        """Slot by version."""
        arms = {self.stable: self.stable_slot}
        return arms if self.candidate == "-" else arms | {self.candidate: self.candidate_slot}

    def without_candidate(self) -> "Route":
        """The same route with every subject on the stable arm."""
        return replace(self, threshold=0, candidate_slot="-", candidate="-")


def assign_slots(routing: Routing, current: Route | None) -> dict[str, str]:
    """Slot by version. A version keeps the slot it has; a new one gets one that no wanted version has.

    >>> from regimen.spec.routing import ArmRoute
    >>> now = Route(1, "-", "s", 0, "slot_1", "v1")
    >>> assign_slots(Routing(generation=2, salt="s", stable=ArmRoute(version="v1", weight=80),
    ...                      candidate=ArmRoute(version="v2", weight=20)), now)
    {'v1': 'slot_1', 'v2': 'slot_0'}
    """
    wanted = [routing.stable.version] + ([routing.candidate.version] if routing.candidate else [])
    if len(set(wanted)) < len(wanted):
        raise RouteError(f"both arms are version {wanted[0]}")
    held = {version: slot for version, slot in (current.versions if current else {}).items() if version in wanted}
    free = iter(slot for slot in SLOTS if slot not in held.values())
    return {version: held.get(version) or next(free) for version in wanted}


def route_of(routing: Routing, slots: dict[str, str]) -> Route:
    """The map's value for a Routing. Raises RouteError."""
    if routing.candidate and abs(routing.stable.weight + routing.candidate.weight - 100) > 0.01:
        raise RouteError(f"weights are {routing.stable.weight} and {routing.candidate.weight}, which do not sum to 100")
    stable, candidate = routing.stable.version, routing.candidate.version if routing.candidate else "-"
    return Route(
        generation=routing.generation,
        epoch=routing.epoch,
        salt=routing.salt,
        threshold=round(routing.candidate.weight * BUCKETS / 100) if routing.candidate else 0,
        stable_slot=slots[stable],
        stable=stable,
        candidate_slot=slots.get(candidate, "-"),
        candidate=candidate,
        audit=round(routing.audit_fraction * AUDIT_SCALE),
    )


def subject_hash(salt: str, subject: str) -> str:
    """The 8 hex digits that stand for a subject. HAProxy computes the same."""
    return digest(salt.encode(), subject.encode(), sha256)[:4].hex()


def bucket(salt: str, subject: str) -> int:
    """0 to 9,999; below the threshold is the candidate's. HAProxy computes the same.

    2**32 is not a multiple of 10,000: the first 7,296 buckets are 2.3e-6 more likely than the others.
    """
    return int(subject_hash(salt, subject), 16) % BUCKETS
