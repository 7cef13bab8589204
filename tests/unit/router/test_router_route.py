"""The route: what one map entry says, and that a share of the buckets is a share of the subjects."""

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from regimen.spec.routing import ArmRoute, Routing
from regimen_router.route import Route, RouteError, assign_slots, bucket, route_of, subject_hash


def routing(stable: str = "v1", candidate: str | None = "v2", weight: float = 20, **more: object) -> Routing:
    arms = {"stable": ArmRoute(version=stable, weight=100 - weight if candidate else 100)}
    if candidate:
        arms["candidate"] = ArmRoute(version=candidate, weight=weight)
    return Routing.model_validate({"generation": 3, "epoch": "e-1", "salt": "s", **more} | arms)


@given(
    generation=st.integers(1, 10**9),
    salt=st.text(min_size=1),
    threshold=st.integers(0, 10_000),
    audit=st.integers(0, 10**6),
    version=st.from_regex(r"[a-z0-9.-]{1,60}", fullmatch=True),
)
def test_a_route_reads_back_as_it_was_written(generation: int, salt: str, threshold: int, audit: int, version: str) -> None:
    route = Route(generation, "-", salt, threshold, "slot_1", version, "slot_0", "v2", audit)
    assert Route.decode(route.encode()) == route
    assert not set(route.encode()) & set(" ;\n")


@settings(max_examples=15, deadline=None)
@given(weight=st.floats(1, 99), salt=st.text(min_size=1, max_size=20))
def test_the_share_of_the_subjects_is_the_weight(weight: float, salt: str) -> None:
    threshold, subjects = round(weight * 100), 4_000
    below = sum(bucket(salt, f"subject-{index}") < threshold for index in range(subjects))
    share = threshold / 10_000
    assert abs(below - subjects * share) < 5 * (subjects * share * (1 - share)) ** 0.5 + 1


@given(st.floats(0, 100), st.floats(0, 100), st.text())
def test_a_larger_weight_only_adds_subjects(one: float, other: float, subject: str) -> None:
    small, large = sorted(routing(weight=weight).candidate.weight for weight in (one, other))  # type: ignore[union-attr]
    at = bucket("salt", subject)
    assert not (at < round(small * 100) and at >= round(large * 100))


def test_the_salt_moves_subjects() -> None:
    same = sum((bucket("a", str(index)) < 5_000) == (bucket("b", str(index)) < 5_000) for index in range(2_000))
    assert 880 < same < 1_120
    assert len(subject_hash("a", "anna")) == 8


@pytest.mark.parametrize(
    ("current", "wanted", "slots"),
    [
        (None, routing(), {"v1": "slot_0", "v2": "slot_1"}),
        (Route(1, "-", "s", 0, "slot_1", "v1"), routing(), {"v1": "slot_1", "v2": "slot_0"}),
        (Route(1, "e", "s", 2000, "slot_0", "v1", "slot_1", "v2"), routing("v2", None), {"v2": "slot_1"}),
        (Route(1, "e", "s", 2000, "slot_0", "v1", "slot_1", "v2"), routing("v2", "v1"), {"v2": "slot_1", "v1": "slot_0"}),
        (Route(1, "e", "s", 2000, "slot_0", "v1", "slot_1", "v2"), routing("v1", "v3"), {"v1": "slot_0", "v3": "slot_1"}),
        (Route(1, "e", "s", 2000, "slot_0", "v1", "slot_1", "v2"), routing("v3", "v4"), {"v3": "slot_0", "v4": "slot_1"}),
    ],
)
def test_a_version_keeps_its_slot(current: Route | None, wanted: Routing, slots: dict[str, str]) -> None:
    assert assign_slots(wanted, current) == slots


def test_weights_become_thresholds() -> None:
    route = route_of(routing(weight=12.345, auditFraction=0.05), {"v1": "slot_0", "v2": "slot_1"})
    assert (route.threshold, route.audit, route.stable_slot, route.candidate) == (1234, 50_000, "slot_0", "v2")
    assert route_of(routing(candidate=None), {"v1": "slot_0"}).threshold == 0


@pytest.mark.parametrize("version", ["v 1", "v1;show", "v|1", "", "v1\nclear"])
def test_what_could_be_read_as_a_command_is_refused(version: str) -> None:
    with pytest.raises(RouteError):
        route_of(routing(version), {version: "slot_0", "v2": "slot_1"})


def test_weights_that_do_not_add_up_are_refused() -> None:
    wanted = Routing(generation=1, salt="s", stable=ArmRoute(version="v1", weight=90), candidate=ArmRoute(version="v2", weight=20))
    with pytest.raises(RouteError, match="sum to 100"):
        route_of(wanted, {"v1": "slot_0", "v2": "slot_1"})


def test_two_arms_of_one_version_are_refused() -> None:
    with pytest.raises(RouteError, match="both arms"):
        assign_slots(routing("v1", "v1"), None)


@pytest.mark.parametrize("value", ["", "1|2", "x|e|cw==|0|slot_0|v1|-|-|0", "1|e|?|0|slot_0|v1|-|-|0"])
def test_a_strange_entry_is_no_route(value: str) -> None:
    with pytest.raises(RouteError):
        Route.decode(value)
