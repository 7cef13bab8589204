"""From what is wanted and what is to runtime commands: their order, and that there are none when all is done."""

from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from regimen.spec.routing import ArmRoute, Routing
from regimen_router.plan import Desired, Pod, is_ready, plan, report
from regimen_router.route import Route
from regimen_router.runtime import Actual, Server, parse_route, parse_servers, parse_sessions

MAP = Path("/run/regimen/route.map")


def empty(slots: int = 3) -> Actual:
    servers = tuple(Server(slot, f"s{n}", "0.0.0.0:8080", "maint", False) for slot in ("slot_0", "slot_1") for n in range(1, slots + 1))
    return Actual(None, servers, {})


def apply(actual: Actual, commands: tuple[str, ...]) -> Actual:
    """What HAProxy makes of the commands."""
    for command in commands:
        words = command.split(" ")
        if words[1] == "map":
            actual = replace(actual, route=None if words[0] == "del" else Route.decode(words[4]))
        else:
            change: dict[str, Any] = {"address": f"{words[4]}:{words[6]}"} if words[3] == "addr" else {"admin": words[4], "up": True}
            servers = [replace(server, **change) if server.path == words[2] else server for server in actual.servers]
            actual = replace(actual, servers=tuple(servers))
    return actual


def desired(
    stable: str = "v1",
    candidate: str | None = None,
    weight: float = 20,
    generation: int = 1,
    draining: tuple[str, ...] = (),
    pods: tuple[Pod, ...] = (),
) -> Desired:
    arm = ArmRoute(version=candidate, weight=weight) if candidate else None
    first = ArmRoute(version=stable, weight=100 - (weight if candidate else 0), draining=list(draining))
    return Desired(Routing(generation=generation, salt="s", stable=first, candidate=arm), pods)


def pod(version: str, number: int, **more: bool) -> Pod:
    return Pod(f"{version}-{number}", version, f"10.0.{version[1:]}.{number}:8080", **more)


V1, V2, V3 = (tuple(pod(version, number) for number in (1, 2)) for version in ("v1", "v2", "v3"))


def settled(wanted: Desired, actual: Actual | None = None) -> Actual:
    done = actual or empty()
    done = apply(done, plan(wanted, done, MAP).commands)
    assert plan(wanted, done, MAP).none
    return done


def test_the_first_routing_adds_servers_before_the_route() -> None:
    assert plan(desired(pods=V1), empty(), MAP).commands == (
        "set server slot_0/s1 addr 10.0.1.1 port 8080",
        "set server slot_0/s1 state ready",
        "set server slot_0/s2 addr 10.0.1.2 port 8080",
        "set server slot_0/s2 state ready",
        f"add map {MAP} current 1|-|cw==|0|slot_0|v1|-|-|0",
    )


def test_a_promotion_is_one_command() -> None:
    before = settled(desired("v1", "v2", pods=V1 + V2))
    commands = plan(desired("v2", None, generation=2, pods=V1 + V2), before, MAP).commands
    assert commands == (
        f"set map {MAP} current 2|-|cw==|0|slot_1|v2|-|-|0",
        "set server slot_0/s1 state maint",
        "set server slot_0/s2 state maint",
    )


def test_a_draining_pod_goes_after_the_weight_moved() -> None:
    before = settled(desired("v1", "v2", pods=V1 + V2))
    after = desired("v1", "v2", weight=60, generation=2, draining=("v1-2",), pods=V1 + V2)
    assert plan(after, before, MAP).commands == (
        f"set map {MAP} current 2|-|cw==|6000|slot_0|v1|slot_1|v2|0",
        "set server slot_0/s2 state drain",
    )


def test_a_slot_is_left_before_another_version_gets_it() -> None:
    before = settled(desired("v1", "v2", pods=V1 + V2))
    commands = plan(desired("v1", "v3", generation=2, pods=V1 + V3), before, MAP).commands
    assert commands[:3] == (
        f"set map {MAP} current 1|-|cw==|0|slot_0|v1|-|-|0",
        "set server slot_1/s1 state maint",
        "set server slot_1/s2 state maint",
    )
    assert commands[-1] == f"set map {MAP} current 2|-|cw==|2000|slot_0|v1|slot_1|v3|0"


def test_where_neither_version_stays_requests_wait() -> None:
    before = settled(desired("v1", "v2", pods=V1 + V2))
    commands = plan(desired("v3", "v4", generation=2, pods=V3), before, MAP).commands
    assert commands[0] == f"del map {MAP} current"
    assert commands[-1].startswith(f"add map {MAP}")


def test_a_leaving_pod_drains_and_a_gone_one_leaves() -> None:
    before = settled(desired(pods=V1))
    assert plan(desired(pods=(V1[0], pod("v1", 2, leaving=True))), before, MAP).commands == ("set server slot_0/s2 state drain",)
    assert plan(desired(pods=V1[:1]), before, MAP).commands == ("set server slot_0/s2 state maint",)


def test_a_new_pod_gets_a_server_without_requests() -> None:
    before = settled(desired(pods=V1[:1]))
    busy = tuple(replace(server, sessions=1) if server.path == "slot_0/s2" else server for server in before.servers)
    commands = plan(desired(pods=V1), replace(before, servers=busy), MAP).commands
    assert commands[0] == "set server slot_0/s3 addr 10.0.1.2 port 8080"


def test_pods_beyond_the_servers_are_named() -> None:
    many = tuple(pod("v1", number) for number in range(1, 6))
    assert plan(desired(pods=many), empty(), MAP).left_out == 2


VERSIONS = st.sampled_from(["v1", "v2", "v3"])
STATES = st.builds(
    lambda versions, weight, leaving, pods: desired(
        versions[0],
        versions[1] if len(versions) > 1 else None,
        weight,
        draining=leaving,
        pods=tuple(item for index, item in enumerate(V1 + V2 + V3) if index in pods),
    ),
    st.lists(VERSIONS, min_size=1, max_size=2, unique=True),
    st.integers(0, 100),
    st.sampled_from([(), ("v1-1",)]),
    st.sets(st.integers(0, 5)),
)


@given(st.lists(STATES, min_size=1, max_size=6))
def test_any_walk_ends_where_it_should_and_never_sends_a_request_to_the_wrong_version(states: list[Desired]) -> None:
    actual = empty()
    for generation, state in enumerate(states, 1):
        wanted = Desired(state.routing.model_copy(update={"generation": generation}), state.pods)
        for command in plan(wanted, actual, MAP).commands:
            actual = apply(actual, (command,))
            for version, slot in (actual.route.versions if actual.route else {}).items():
                used = {server.address for server in actual.servers if server.slot == slot and server.admin != "maint"}
                assert used <= {f"10.0.{version[1:]}.{number}:8080" for number in (1, 2)}
        assert plan(wanted, actual, MAP).none


def test_the_report_is_what_haproxy_says() -> None:
    wanted = desired("v1", "v2", draining=("v1-2",), pods=V1 + V2)
    actual = settled(wanted)
    down = tuple(replace(server, up=server.path != "slot_1/s1", sessions=1) for server in actual.servers)
    state = report("router-0", 1, replace(actual, servers=down, queued={"slot_1": 2}), wanted.pods)
    assert state.stable and state.candidate
    assert (state.stable.servers, state.stable.draining, state.stable.weight) == (["v1-1"], ["v1-2"], 80)
    assert (state.candidate.servers, state.candidate.weight, state.candidate.in_flight) == (["v2-2"], 20, 5)
    assert report("router-0", 4, empty(), ()).generation == 0


@pytest.mark.parametrize(
    ("wanted", "becomes", "stays"),
    [
        (None, False, False),
        (desired(pods=V1), True, True),
        (desired(), False, True),
        (desired(pods=V1, generation=2), False, False),
        (desired("v1", "v2", weight=100, pods=V2), True, True),
        (desired("v1", "v2", weight=100, pods=V1), False, True),
    ],
)
def test_ready_means_in_force_and_at_first_somebody_there(wanted: Desired | None, becomes: bool, stays: bool) -> None:
    state = report("r", 1, settled(wanted or desired()), ())
    assert (is_ready(wanted, state, before=False), is_ready(wanted, state, before=True)) == (becomes, stays)


def test_answers_of_the_socket_are_read() -> None:
    states = (
        "1\n# be_id be_name srv_id srv_name srv_addr srv_op_state srv_admin_state srv_port\n"
        "3 slot_0 1 s1 10.0.0.1 2 4 8080\n3 slot_0 2 s2 10.0.0.2 2 12 8080\n3 slot_0 3 s3 0.0.0.0 0 5 8080\n4 other 1 x 1.1.1.1 2 0 1\n"
    )
    sessions, queued = parse_sessions("# pxname,svname\nslot_0,s1,0,0,4,9\nslot_0,BACKEND,3,0,4,9\ntraffic,FRONTEND,,,1,2\n")
    servers = parse_servers(states, sessions)
    assert [(server.name, server.admin, server.usable, server.sessions) for server in servers] == [
        ("s1", "ready", True, 4),
        ("s2", "drain", False, 0),
        ("s3", "maint", False, 0),
    ]
    assert queued == {"slot_0": 3}
    assert parse_route("\n") is None
    assert parse_route("0x5 current 7|e|cw==|1|slot_0|v1|-|-|0\n") == Route(7, "e", "s", 1, "slot_0", "v1")
