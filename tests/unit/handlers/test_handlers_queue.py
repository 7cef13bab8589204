"""The queue of passes: each key once, groups in turn, failures later and later. One step at a time, with a clock of ours."""

import threading
import time
from dataclasses import dataclass, field

import pytest

from regimen.errors import ClusterUnavailableError
from regimen.handlers.queue import LAST_RETRY, WAITING, Key, WorkQueue
from regimen.store import StoreUnavailableError

A, B = Key("ModelService", "claims", "a"), Key("ModelRollout", "claims", "b")
OTHER = Key("TrainingDataset", "claims", "c")


@dataclass
class Desk:
    """A queue without threads."""

    now: float = 100.0
    answers: dict[Key, float | Exception | None] = field(default_factory=dict)
    done: list[Key] = field(default_factory=list)

    def __post_init__(self) -> None:
        self.queue = WorkQueue(self.work, lambda key: "one" if key in {A, B} else "/".join(key), lambda: self.now)

    def work(self, key: Key) -> float | None:
        self.done.append(key)
        answer = self.answers.get(key)
        if isinstance(answer, Exception):
            raise answer
        return answer

    def due(self) -> dict[Key, float]:
        return {key: when - self.now for key, when in self.queue._due.items()}

    def step(self) -> Key:
        """Take what is due, run it, put it back."""
        key = self.queue._take()
        self.queue._done(key, self.queue._pass(key))
        return key


def test_a_key_waits_once_and_at_its_earliest_time() -> None:
    desk = Desk()
    for after in (9, 5, 7):
        desk.queue.add(A, after)
    assert desk.due() == {A: 5}


def test_a_pass_is_asked_for_again_after_what_it_says() -> None:
    desk = Desk(answers={A: 30.0, OTHER: None})
    desk.queue.add(A)
    desk.queue.add(OTHER, 0.0)
    assert {desk.step(), desk.step()} == {A, OTHER}
    assert desk.due() == {A: 30}


@pytest.mark.parametrize("error", [ClusterUnavailableError("x"), StoreUnavailableError("x")])
def test_failures_are_tried_again_later_and_later_and_success_forgets_them(error: Exception) -> None:
    desk = Desk(answers={A: error})
    pauses = []
    for _ in range(9):
        desk.queue.add(A)
        desk.step()
        pauses.append(desk.due()[A])
        desk.now += desk.due()[A]
    assert pauses == [1, 2, 4, 8, 16, 32, 60, 60, 60]
    desk.answers[A] = None
    desk.step()
    desk.answers[A] = error
    desk.queue.add(A)
    desk.step()
    assert desk.due() == {A: 1}


def test_a_bug_of_ours_ends_no_worker_and_is_tried_again_slowly() -> None:
    desk = Desk(answers={A: ZeroDivisionError()})
    desk.queue.add(A)
    desk.step()
    assert desk.due() == {A: LAST_RETRY}


def test_asked_again_while_it_runs_it_runs_once_more_at_once() -> None:
    desk = Desk(answers={A: 300.0})
    desk.queue.add(A)
    key = desk.queue._take()
    desk.queue.add(A)
    desk.queue.add(A)
    assert desk.due() == {}, "never twice at a time"
    desk.queue._done(key, 300.0)
    assert desk.due() == {A: 0}


def test_asked_for_later_while_it_runs_the_earlier_time_counts() -> None:
    desk = Desk()
    desk.queue.add(A)
    key = desk.queue._take()
    desk.queue.add(A, 5)
    desk.queue._done(key, 60.0)
    assert desk.due() == {A: 5}


def test_a_group_takes_turns_and_others_go_on() -> None:
    desk = Desk()
    for key in (A, B):
        desk.queue.add(key)
    first = desk.queue._take()
    desk.queue.add(OTHER)
    assert desk.queue._take() == OTHER, "the other of the group has to wait"
    desk.queue._done(first, None)
    assert desk.queue._take() == ({A, B} - {first}).pop()


def test_a_group_that_changes_while_a_key_runs_is_set_free_all_the_same() -> None:
    """A rollout's service is learned from an event, maybe while its pass runs."""
    group = {A: "before"}
    queue = WorkQueue(lambda key: None, lambda key: group[key])
    queue.add(A)
    key = queue._take()
    group[A] = "after"
    queue._done(key, 0.0)
    assert queue._busy == set()
    group[A] = "before"
    assert queue._take() == A


def test_the_earliest_goes_first() -> None:
    desk = Desk()
    desk.queue.add(A, 2)
    desk.queue.add(OTHER, 1)
    desk.now += 3
    assert [desk.step(), desk.step()] == [OTHER, A]


def test_real_workers_never_run_one_group_twice_at_a_time() -> None:
    running, most, done = set[Key](), [0], threading.Event()
    passes: list[Key] = []
    lock = threading.Lock()

    def work(key: Key) -> float | None:
        with lock:
            running.add(key)
            most[0] = max(most[0], len(running & {A, B}))
        time.sleep(0.002)
        with lock:
            running.discard(key)
            passes.append(key)
            if len(passes) >= 60:
                done.set()
        return 0.0

    queue = WorkQueue(work, lambda key: "one" if key in {A, B} else "/".join(key))
    for key in (A, B, OTHER):
        queue.add(key)
    queue.start(workers=4)
    assert done.wait(20)
    with lock:
        assert most == [1]
        assert set(passes) == {A, B, OTHER}


def test_the_gauge_counts_what_waits() -> None:
    desk = Desk()
    for key in (A, OTHER):
        desk.queue.add(key)
    assert WAITING._value.get() == 2
    desk.step()
    assert WAITING._value.get() == 1
