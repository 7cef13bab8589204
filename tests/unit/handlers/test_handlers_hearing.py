"""Whether the watches still hear: silence is compared with lists."""

from regimen.handlers.watched import GRACE_SECONDS, Hearing


class Ear:
    """A Hearing with a clock of ours."""

    def __init__(self) -> None:
        self.now = 1000.0
        self.hearing = Hearing(lambda: self.now)

    def lists(self, *listed: tuple[str, str], kind: str = "ModelService") -> None:
        self.hearing.compare(kind, listed)

    def deaf(self, later: float = 0.0) -> list[str]:
        self.now += later
        return self.hearing.deaf()


def test_what_was_heard_is_not_missed() -> None:
    ear = Ear()
    ear.hearing.hear("u", "5")
    ear.lists(("u", "5"))
    assert ear.deaf(later=10 * GRACE_SECONDS) == []


def test_what_is_listed_and_never_heard_makes_deaf_after_the_grace() -> None:
    ear = Ear()
    ear.lists(("u", "5"))
    assert ear.deaf() == []
    assert ear.deaf(later=GRACE_SECONDS) == []
    assert ear.deaf(later=1) == ["ModelService"]


def test_a_change_that_was_missed_makes_deaf_although_it_keeps_changing() -> None:
    ear = Ear()
    ear.hearing.hear("u", "1")
    for version in range(2, 12):
        ear.lists(("u", str(version)))
        ear.now += 10
    assert ear.deaf() == ["ModelService"]


def test_heard_in_the_end_it_is_well_again() -> None:
    ear = Ear()
    ear.lists(("u", "5"))
    ear.now += GRACE_SECONDS + 1
    assert ear.deaf() == ["ModelService"]
    ear.hearing.hear("u", "5")
    ear.lists(("u", "5"))
    assert ear.deaf() == []


def test_a_watch_that_lags_behind_a_list_is_not_deaf() -> None:
    """A resource that changes all the time is always a version ahead in the list; the watch brings each of them a moment later."""
    ear = Ear()
    for version in range(1, 20):
        ear.lists(("u", str(version)))
        ear.now += 1
        ear.hearing.hear("u", str(version))
        ear.now += 9
    assert ear.deaf() == []


def test_what_is_gone_is_not_missed() -> None:
    ear = Ear()
    ear.lists(("u", "5"))
    ear.lists()
    assert ear.deaf(later=10 * GRACE_SECONDS) == []


def test_each_kind_is_told_apart() -> None:
    ear = Ear()
    ear.hearing.hear("u", "5")
    ear.lists(("u", "5"))
    ear.lists(("v", "1"), kind="FineTuneJob")
    ear.lists()
    assert ear.deaf(later=GRACE_SECONDS + 1) == ["FineTuneJob"]
