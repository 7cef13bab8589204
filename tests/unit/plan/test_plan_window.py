"""Openings of a window: through the nights when clocks change, and what has no openings or too many."""

from datetime import datetime
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given
from hypothesis import strategies as st

from regimen.plan.window import LONGEST_MARGIN, SHORTEST_MARGIN, Opening, check, next_opening, opening
from regimen.spec.finetune import Window
from regimen.spec.meta import parse_duration

CHICAGO = ZoneInfo("America/Chicago")
NIGHT = Window(schedule="0 2 * * *", duration="4h", time_zone="America/Chicago")


def at(month: int, day: int, hour: int, minute: int = 0, fold: int = 0) -> float:
    return datetime(2026, month, day, hour, minute, tzinfo=CHICAGO, fold=fold).timestamp()


ROWS = {
    "before it": (NIGHT, at(6, 1, 1, 59), None, at(6, 1, 2)),
    "in its first second": (NIGHT, at(6, 1, 2), (at(6, 1, 2), at(6, 1, 6)), at(6, 2, 2)),
    "in its last minute": (NIGHT, at(6, 1, 5, 59), (at(6, 1, 2), at(6, 1, 6)), at(6, 2, 2)),
    "at its end": (NIGHT, at(6, 1, 6), None, at(6, 2, 2)),
    "02:00 does not exist: it opens at 03:00": (NIGHT, at(3, 8, 3, 1), (at(3, 8, 3), at(3, 8, 7)), at(3, 9, 2)),
    "01:30 comes twice: the first opens": (
        Window(schedule="30 1 * * *", duration="4h", time_zone="America/Chicago"), at(11, 1, 1, 40, fold=1),
        (at(11, 1, 1, 30), at(11, 1, 1, 30) + 4 * 3600), at(11, 2, 1, 30),
    ),
    "an hour that comes twice opens twice, where every hour opens": (
        Window(schedule="0 * * * *", duration="30m", time_zone="America/Chicago"), at(11, 1, 1, 10, fold=1),
        (at(11, 1, 1, fold=1), at(11, 1, 1, 30, fold=1)), at(11, 1, 2),
    ),
    "across midnight": (
        Window(schedule="0 22 * * 5", duration="8h", time_zone="America/Chicago"), at(6, 6, 1), (at(6, 5, 22), at(6, 6, 6)), at(6, 12, 22),
    ),
}  # fmt: skip


@pytest.mark.parametrize("row", ROWS)
def test_openings(row: str) -> None:
    window, now, wanted, following = ROWS[row]
    found = opening(window, now)
    assert (None if found is None else (found.start, found.end)) == wanted
    assert next_opening(window, now) == following


@given(st.sampled_from(["0 2 * * *", "30 1 * * *", "*/20 * * * *", "0 22 * * 5", "15 3 29 2 *"]), st.floats(at(1, 1, 0), at(12, 31, 0)))
def test_an_opening_holds_now_and_the_next_comes_after(schedule: str, now: float) -> None:
    window = Window(schedule=schedule, duration="15m", time_zone="America/Chicago")
    check(window)
    found, following = opening(window, now), next_opening(window, now)
    assert following > now
    if found is not None:
        assert found.start <= now < found.end == found.start + parse_duration("15m")
        assert found.end <= following
    at_start = opening(window, following)
    assert at_start is not None
    assert at_start.start == following, "what is announced opens"


@given(st.integers(120, 7 * 86400), st.floats(0, 1e6))
def test_training_stops_itself_then_is_told_and_is_gone_at_the_end(length: int, start: float) -> None:
    found = Opening(start, start + length)
    assert SHORTEST_MARGIN <= found.margin <= LONGEST_MARGIN
    assert start < found.stop_at < found.deadline < found.end
    assert found.end - found.deadline == pytest.approx(found.margin)
    assert found.worth_it(start), "the shortest window is worth opening"
    assert not found.worth_it(found.stop_at)


@pytest.mark.parametrize(
    ("window", "says"),
    [
        (Window(schedule="0 2 30 2 *", duration="4h"), "schedule: '0 2 30 2 *' is no cron expression"),
        (Window(schedule="a b c d e", duration="4h"), "schedule: 'a b c d e' is no cron expression"),
        (Window(schedule="0 2 * * *", duration="25h"), "duration: 25h is longer than the 1440 minutes between two openings"),
        (Window(schedule="0 0,1 * * *", duration="90m"), "duration: 90m is longer than the 60 minutes"),
    ],
)
def test_what_cannot_be_is_refused_with_field_and_remedy(window: Window, says: str) -> None:
    with pytest.raises(ValueError, match=r"schedule|duration") as refused:
        check(window)
    assert str(refused.value).startswith(says)


@pytest.mark.parametrize(
    ("fields", "says"),
    [
        ({"schedule": "0 2 * * *", "duration": "1m59s"}, "duration: a window is 2m at least"),
        ({"schedule": "0 2 * * * *", "duration": "4h"}, "schedule: a cron expression has five fields"),
        ({"schedule": "0 2 * * *", "duration": "4h", "time_zone": "Chicago"}, "timeZone: Chicago is no IANA time zone"),
    ],
)
def test_what_needs_no_library_is_refused_when_it_is_read(fields: dict[str, str], says: str) -> None:
    with pytest.raises(ValueError, match=says):
        Window.model_validate(fields)
