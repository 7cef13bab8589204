"""What the benchmark of kills counts and which laws it finds broken: one that always praises would show nothing."""

from collections import Counter
from collections.abc import Iterator
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from regimen.spec.artifacts import Progress

ROOT = Path(__file__).parents[3]
START = datetime(2026, 11, 25, 2, 0, tzinfo=UTC)
WINDOW_ENDS = 1000.0


@pytest.fixture(scope="module")
def kills() -> Iterator[Any]:
    with pytest.MonkeyPatch.context() as patch:
        patch.syspath_prepend(str(ROOT / "benchmarks"))
        patch.syspath_prepend(str(ROOT / "demo"))
        import night_kills

        yield night_kills


def told(*seen: tuple[float, int, int | None] | float) -> list[Progress]:
    """Progress at so many seconds: (seconds, step, newest checkpoint) of 80, or only seconds where a pod loads."""
    found = []
    for item in seen:
        at, step, kept = (item, 0, None) if isinstance(item, float | int) else item
        total = 0 if isinstance(item, float | int) else 80
        found.append(Progress(step=step, total_steps=total, checkpoint_step=kept, at=START + timedelta(seconds=at)))
    return found


@pytest.mark.parametrize("number", [1, 7, 20])
def test_each_victim_dies_as_often_as_the_others_at_moments_that_the_seed_decides(kills: Any, number: int) -> None:
    found = list(kills.blows(5, number))
    assert found == list(kills.blows(5, number)) != list(kills.blows(6, number))
    counts = Counter(blow.victim for blow in found)
    assert sum(counts.values()) == number
    assert max(counts.values()) - min(counts.get(victim, 0) for victim in ("pod", "kubelet", "operator")) <= 1
    assert all(kills.SHORTEST <= blow.pause <= kills.LONGEST for blow in found)
    assert number < 20 or [blow.victim for blow in found] != sorted(blow.victim for blow in found)


CASES = {
    "without a kill there is nothing": (told(0, 2, (5, 1, None), (8, 4, None), (20, 12, 12)), []),
    "from the newest checkpoint": (told(0, (5, 1, None), (20, 12, 12), (29, 20, 12), 45, (52, 12, 12)), [(20, 12, 12, 9.0)]),
    "from the beginning, as nothing was kept": (told(0, (5, 1, None), (14, 9, None), 30, (36, 1, None)), [(9, 0, 0, 9.0)]),
    "a pause at the window's end repeats nothing": (told(0, (5, 1, None), (60, 50, 50), 120, (130, 50, 50), (133, 53, 50)), [(50, 50, 50, 0.0)]),
    "killed again while it loads": (told(0, (5, 1, None), (20, 12, 12), (26, 17, 12), 40, 60, (66, 12, 12)), [(17, 12, 12, 6.0)]),
    "a checkpoint that was whole before it was told": (told(0, (5, 1, None), (17, 10, None), 30, (36, 11, 11)), [(10, 0, 11, 0.0)]),
    "twice": (
        told(0, (5, 1, None), (20, 12, 12), (29, 20, 12), 45, (52, 12, 12), (58, 16, 12), 70, (77, 12, 12)),
        [(20, 12, 12, 9.0), (16, 12, 12, 6.0)],
    ),
}  # fmt: skip


@pytest.mark.parametrize("case", CASES)
def test_what_is_done_twice(kills: Any, case: str) -> None:
    progress, expected = CASES[case]
    found = kills.goings_on(progress)
    assert [(again.seen, again.kept, again.resumed, again.seconds) for again in found] == expected
    assert [again.steps for again in found] == [max(0, seen - resumed) for seen, _, resumed, _ in expected]


def good(kills: Any) -> Any:
    """A job that kept every law."""
    log = kills.Log(
        "killed-0", kills.WINDOW, windows={"killed-0-train-1": WINDOW_ENDS}, held={"killed-0-train-1": (880.0, 960.0)}, slices={4}
    )
    progress = told(0, (5, 1, None), (20, 12, 12), (34, 22, 12), 45, (52, 12, 12))
    return kills.Run("killed-0", log, progress, "Succeeded", ["openins-v8.0", "openins-v8.0"], [], True)


def test_a_job_that_kept_every_law(kills: Any) -> None:
    run = good(kills)
    assert kills.broken(run) == []
    assert kills.summary([run], [("pod", "Training")], 1)[-1] == "every law held"


def held(kills: Any, first: float, last: float, slices: int = 4) -> dict[str, Any]:
    return {"log": replace(good(kills).log, held={"killed-0-train-1": (first, last)}, slices={slices})}


BROKEN = {
    "it failed": (lambda k: {"end": "Failed: could not train"}, "ended Failed: could not train"),
    "it did not end": (lambda k: {"end": ""}, "not at all"),
    "an older checkpoint": (lambda k: {"told": told(0, (5, 6, 6), (9, 12, 12), (12, 14, 12), 45, (52, 6, 6))}, "though step 12 was kept"),
    "too much repeated": (lambda k: {"told": told(0, (5, 1, None), (20, 12, 12), (41, 30, 12), 45, (52, 12, 12))}, "repeated 21 s"),
    "no version": (lambda k: {"versions": []}, "published []"),
    "a manifest without its ModelVersion": (lambda k: {"versions": ["openins-v8.0"]}, "published"),
    "two versions": (lambda k: {"versions": ["openins-v8.0", "openins-v8.1", "openins-v8.0", "openins-v8.1"]}, "published"),
    "held beyond the window": (lambda k: held(k, 880, 1003), "held the card 3 s too long"),
    "held before the window": (lambda k: held(k, 800, 960), "before its window"),
    "a part of the card": (lambda k: held(k, 880, 960, slices=2), "asked for 2 slices of 4"),
    "held afterwards": (lambda k: {"holds": ["killed-0-train-1-x"]}, "killed-0-train-1-x held the card after it"),
    "replicas missing": (lambda k: {"serves": False}, "not all replicas served again"),
}  # fmt: skip


@pytest.mark.parametrize("case", BROKEN)
def test_a_broken_law_is_found_and_said(kills: Any, case: str) -> None:
    change, sentence = BROKEN[case]
    run = replace(good(kills), **change(kills))
    assert any(sentence in text for text in kills.broken(run)), kills.broken(run)
    lines = kills.summary([good(kills), run], [("pod", "Training")], 1)
    assert any(line.startswith("BROKEN") and sentence in line for line in lines)
    assert "every law held" not in lines


def test_kills_that_were_not_dealt_are_no_success(kills: Any) -> None:
    assert kills.summary([good(kills)], [("pod", "Training")], 20)[-1].startswith("BROKEN only 1 of 20 kills")


def test_only_a_container_that_runs_is_killed(kills: Any) -> None:
    def pod(**state: Any) -> dict[str, Any]:
        return {"spec": {"nodeName": "rtx3090"}, "status": {"containerStatuses": [{"containerID": "containerd://ab", "state": state}]}}

    pending = {"spec": {}, "status": {"phase": "Pending"}}
    assert kills.running_container([pending, pod(terminated={}), pod(waiting={})]) is None
    assert kills.running_container([pending, pod(running={})]) == ("rtx3090", "containerd://ab")
