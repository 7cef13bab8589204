"""Pure: what is wanted and what HAProxy has -> the runtime commands between them, and what to report.

Order, for a route that changes:

    1. a slot that gets another version: first nobody is sent there (the route without it), then its old servers go
    2. new servers
    3. the route: shares, roles and versions in one command
    4. drains, and servers that are gone

so at every moment a request finds its arm's own replicas, or waits for them.
"""

from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from regimen.spec.routing import ArmRoute, ArmState, RouterState, Routing
from regimen_router.route import BUCKETS, KEY, Route, assign_slots, route_of
from regimen_router.runtime import Actual, Server


@dataclass(frozen=True)
class Pod:
    """A replica that Kubernetes knows of and that answers."""

    name: str
    version: str
    address: str
    """ip:port."""
    leaving: bool = False
    """Terminating: it finishes what it has."""


@dataclass(frozen=True)
class Desired:
    """What shall be."""

    routing: Routing
    pods: tuple[Pod, ...]

    @property
    def arms(self) -> tuple[ArmRoute, ...]:
        return (self.routing.stable,) + ((self.routing.candidate,) if self.routing.candidate else ())

    def wanted(self, arm: ArmRoute) -> dict[str, Literal["ready", "drain"]]:
        """State by address of an arm's pods, in the order of their names."""
        pods = sorted((pod for pod in self.pods if pod.version == arm.version), key=lambda pod: pod.name)
        return {pod.address: "drain" if pod.leaving or pod.name in arm.draining else "ready" for pod in pods}


@dataclass(frozen=True)
class Changes:
    """Runtime commands in order, and the pods for which no server was left."""

    commands: tuple[str, ...]
    left_out: int = 0

    @property
    def none(self) -> bool:
        return not self.commands


def _add(server: Server, address: str, state: str) -> list[str]:
    """Give a server that is in maintenance an address and let it in."""
    ip, _, port = address.rpartition(":")
    return [f"set server {server.path} addr {ip} port {port}", f"set server {server.path} state {state}"]


def _maint(server: Server) -> str:
    """No new requests; those it has go on."""
    return f"set server {server.path} state maint"


@dataclass(frozen=True)
class _SlotChanges:
    removed: list[str]
    """Servers whose pods are gone, or are another version's."""
    added: list[str]
    drained: list[str]
    left_out: int


def slot_changes(servers: tuple[Server, ...], wanted: dict[str, Literal["ready", "drain"]]) -> _SlotChanges:
    """Changes of one slot's servers. A server keeps its pod; a new pod gets a free server, one without requests if there is one."""
    held: dict[str, Server] = {}
    stale: list[Server] = []
    for server in servers:
        if server.admin == "maint":
            continue
        if server.address in wanted and server.address not in held:
            held[server.address] = server
        else:
            stale.append(server)
    free = sorted((server for server in servers if server.admin == "maint"), key=lambda server: server.sessions)
    new = [address for address in wanted if address not in held]
    pairs = list(zip(free + stale, new, strict=False))
    moved = {address: server.admin for address, server in held.items() if server.admin != wanted[address]}
    readied = [f"set server {held[address].path} state ready" for address in moved if wanted[address] == "ready"]
    return _SlotChanges(
        removed=[_maint(server) for server in stale],
        added=[command for server, address in pairs for command in _add(server, address, wanted[address])] + readied,
        drained=[f"set server {held[address].path} state drain" for address in moved if wanted[address] == "drain"],
        left_out=len(new) - len(pairs),
    )


def _free_slots(old: Route | None, slots: dict[str, str], route_map: Path) -> list[str]:
    """Take a slot that shall serve another version out of the route: candidate first, and everything if stable is concerned."""
    if old is None:
        return []
    retaken = {version for version, slot in old.versions.items() if version not in slots and slot in slots.values()}
    if old.stable in retaken:
        return [f"del map {route_map} {KEY}"]
    return [f"set map {route_map} {KEY} {old.without_candidate().encode()}"] if old.candidate in retaken else []


def plan(desired: Desired, actual: Actual, route_map: Path) -> Changes:
    """The commands that lead from what is to what shall be; none when nothing is to be done. Raises RouteError."""
    slots = assign_slots(desired.routing, actual.route)
    route = route_of(desired.routing, slots)
    freed = _free_slots(actual.route, slots, route_map)
    kept = {slot for version, slot in slots.items() if actual.route and version in actual.route.versions}
    before: list[str] = []
    added: list[str] = []
    after: list[str] = []
    left_out = 0
    arms = {slots[arm.version]: desired.wanted(arm) for arm in desired.arms}
    for slot in sorted({server.slot for server in actual.servers}):
        change = slot_changes(tuple(server for server in actual.servers if server.slot == slot), arms.get(slot, {}))
        (before if slot in arms and slot not in kept else after).extend(change.removed)
        added += change.added
        after += change.drained
        left_out += change.left_out
    return Changes((*freed, *before, *added, *_route_commands(actual, route, freed, route_map), *after), left_out)


def _route_commands(actual: Actual, route: Route, freed: list[str], route_map: Path) -> list[str]:
    if route == actual.route and not freed:
        return []
    absent = actual.route is None or any(command.startswith("del map") for command in freed)
    return [f"{'add' if absent else 'set'} map {route_map} {KEY} {route.encode()}"]


def _arm_state(version: str, weight: float, slot: str, actual: Actual, names: dict[str, str]) -> ArmState:
    servers = [server for server in actual.servers if server.slot == slot]
    return ArmState(
        version=version,
        weight=weight,
        servers=sorted(names.get(server.address, server.address) for server in servers if server.usable),
        draining=sorted(names.get(server.address, server.address) for server in servers if server.admin == "drain"),
        in_flight=sum(server.sessions for server in servers) + actual.queued.get(slot, 0),
    )


def report(pod: str, generation: int, actual: Actual, pods: tuple[Pod, ...]) -> RouterState:
    """What HAProxy does, by its own account. `generation` is the last one that was carried out to the end."""
    route, names = actual.route, {item.address: item.name for item in pods}
    if route is None:
        return RouterState(pod=pod, generation=0)
    share = 100 * route.threshold / BUCKETS
    candidate = None
    if route.candidate != "-":
        candidate = _arm_state(route.candidate, share, route.candidate_slot, actual, names)
    stable = _arm_state(route.stable, 100 - share, route.stable_slot, actual, names)
    return RouterState(pod=pod, generation=generation, stable=stable, candidate=candidate)


def is_ready(desired: Desired | None, state: RouterState, before: bool) -> bool:
    """Whether the wanted routing is in force and, to become ready, some arm that has subjects has a replica.

    An arm without weight counts for nothing: at the end of a rollout the old version has no replica left and no subject either. One that
    is ready stays so while the last replica changes places: requests wait in it, and without it callers would find nobody at all.
    """
    if desired is None or state.generation != desired.routing.generation:
        return False
    return before or any(arm and arm.weight > 0 and arm.servers for arm in (state.stable, state.candidate))
