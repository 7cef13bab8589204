"""What the benchmark of kills counts and which laws it finds broken: one that always praises would show nothing."""

import time
from collections import Counter
from collections.abc import Iterator
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from regimen.spec.artifacts import Lineage, Progress, VersionManifest
from regimen.spec.finetune import FineTuneJobSpec

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


def test_the_slowest_step_is_allowed_for(kills: Any) -> None:
    assert kills.slowest_step(told(0, (5, 1, None), (8, 4, None), (20, 6, 6), 30, (40, 6, 6), (43, 9, 6))) == 6.0
    assert kills.slowest_step(told(0, 4)) == 0.0


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


class Business:
    """Production that takes a job through a night, a look at a time, with all that the benchmark looks at."""

    def __init__(self, kills: Any, looks: int) -> None:
        from regimen_demo.production import Production

        self.cluster = self.store = self.watch = self
        self.manifest = lambda name: Production.manifest(self, name)  # type: ignore[arg-type]
        self.kills, self.looks, self.seen = kills, looks, 0
        self.applied: list[dict[str, Any]] = []
        self.killed: list[str] = []

    def apply(self, job: dict[str, Any]) -> None:
        self.applied.append(job)

    def kill_operator(self) -> None:
        self.killed.append("operator")

    def get(self, *asked: Any) -> Any:
        """A resource, or the training's progress under its key."""
        if len(asked) == 1:
            at = min(self.seen, self.looks)
            known = told(0, (5, 1, None), (20, 12, 12), (29, 20, 12), 45, (52, 12, 12), (60, 18, 12))
            return known[at * (len(known) - 1) // self.looks].model_dump_json(by_alias=True).encode()
        kind, _, name = asked
        assert kind == "FineTuneJob" and name == self.applied[-1]["metadata"]["name"]
        self.seen += 1
        phase = "Training" if self.seen < self.looks else "Succeeded"
        return {"metadata": {"uid": "u"}, "status": {"phase": phase, "progress": {"step": self.seen}}}

    def status(self, *_: Any) -> dict[str, Any]:
        return {"replicas": {"ready": 2}}

    def items(self, kind: str, namespace: str, selector: str = "") -> list[dict[str, Any]]:
        name = self.applied[-1]["metadata"]["name"]
        if kind == "ModelVersion":
            return [{"metadata": {"name": "openins-v8.0"}}]
        if kind == "Job":
            ends = datetime.now(UTC).timestamp() + 100
            return [{"metadata": {"name": f"{name}-train-1", "annotations": {"regimen.dev/window-ends": str(ends)}}}]
        if "component=server" in selector:
            return [{"metadata": {"name": "s"}, "status": {"conditions": [{"type": "Ready", "status": "True"}]}}] * 4
        container = {"resources": {"requests": {"nvidia.com/gpu": "4"}}}
        state = {"running": {}} if self.seen < self.looks else {"terminated": {}}
        phase = "Running" if self.seen < self.looks else "Succeeded"
        return [
            {
                "metadata": {"name": f"{name}-train-1-x", "labels": {"batch.kubernetes.io/job-name": f"{name}-train-1"}},
                "spec": {"nodeName": "rtx3090", "containers": [container]},
                "status": {"phase": phase, "containerStatuses": [{"containerID": "containerd://ab", "state": state}]},
            }
        ]

    def keys(self, prefix: str) -> list[str]:
        return [f"{prefix}v8.0/manifest.json", f"{prefix}v8.0/README.md"]


def test_a_job_is_followed_killed_and_looked_at_afterwards(
    kills: Any, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    business = Business(kills, looks=150)
    published = VersionManifest(
        name="openins-v8.0", model="openins", version="v8.0", lineage=Lineage(fine_tune_job="killed-0"), published_at=START
    )
    real = business.get
    monkeypatch.setattr(
        business, "get", lambda *asked: published.model_dump_json().encode() if asked[-1].endswith("manifest.json") else real(*asked)
    )
    for name, value in (("LOOK", 0.001), ("SHORTEST", 0.001), ("LONGEST", 0.002), ("KUBELET_DOWN", 0.001)):
        monkeypatch.setattr(kills, name, value)
    done = business.killed
    monkeypatch.setattr(kills.regimen_cluster, "kill", lambda name, part: done.append(f"{name} {part} down"))
    monkeypatch.setattr(kills.regimen_cluster, "restart", lambda name, part: done.append(f"{name} {part} up"))
    monkeypatch.setattr(kills.regimen_cluster, "kill_container", lambda *asked: done.append(" ".join(asked)))
    scene = kills.Scene(business, time.monotonic())
    killer = kills.Killer(scene, 5, 6)
    run = kills.follow(scene, 0, killer, time.monotonic() + 60)
    killer.close()
    assert sorted(done) == sorted(
        ["operator", "kills rtx3090 containerd://ab", "kills kubelet-rtx3090 down", "kills kubelet-rtx3090 up"] * 2
    )
    assert kills.broken(run) == []
    assert kills.summary([run], killer.dealt, 6)[-1] == "every law held"
    assert run.versions == ["openins-v8.0"] * 2
    spec = business.applied[0]["spec"]
    assert (spec["version"], spec["window"], spec["checkpoint"], spec["backoffLimit"]) == ("v8.0", kills.WINDOW, {"interval": "15s"}, 20)
    FineTuneJobSpec.model_validate(spec)
    said = capsys.readouterr().out
    assert said.count("kill ") == 6
    assert "killed-0 goes on after step 12 of training; 8 steps done twice" in said
    assert "killed-0 ended Succeeded; phases Training Succeeded" in said
