"""`regimen rollout` without a cluster: what it creates, what it refuses, how a rollout looks."""

from copy import deepcopy
from io import StringIO
from typing import Any

import pytest
from click.testing import CliRunner, Result
from plan_builders import example, merged
from rich.console import Console

from regimen.cli import rollout as commands
from regimen.cli.main import commands as cli
from regimen.cli.rollout_view import axis, fitted, line_of, render
from regimen.errors import ClusterUnavailableError, RefusedError
from regimen.spec.rollout import ModelRolloutSpec

Object = dict[str, Any]
STATUS: Object = {
    "phase": "Analyzing", "message": "step 4 of 7, analysis: look 2 of 4", "currentStep": 3, "candidateReplicas": 1,
    "weight": {"requested": 20, "actual": 20, "measured": 19.7},
    "arms": {
        "stable": {"version": "openins-baseline", "requests": 41210, "errors": 12, "labelled": 2430, "agreement": 0.812, "latencyP95Ms": 812},
        "candidate": {"version": "openins-v1.0", "requests": 10188, "errors": 2, "labelled": 611, "agreement": 0.853, "latencyP95Ms": 790},
    },
    "verdict": {
        "decision": "Continue", "effect": 0.041, "interval": [-0.003, 0.085], "look": 2, "informationFraction": 0.5, "sampleRatio": "Ok",
        "labels": "Ok", "guardrails": [{"name": "errorRate", "state": "Within", "message": "errorRate is 0.0002, allowed is 0.01"}],
    },
    "power": {"detectable": 0.05, "enough": False, "note": "400 labelled answers show 5.0 points; too late"},
    "command": {"nonce": "n", "do": "pause", "at": "2026-11-22T02:00:41Z", "accepted": False, "message": "it is rolling back already"},
    "history": [{"step": 0, "at": "2026-11-22T02:00:41Z", "what": "1 of 4 replicas on openins-v1.0 after 41 s"}],
}  # fmt: skip


def rollout(**status: Any) -> Object:
    document = example("5-modelrollout")
    document["metadata"]["creationTimestamp"] = "2026-11-22T02:00:00Z"
    return {**document, "status": {**deepcopy(STATUS), **status}}


def service(**status: Any) -> Object:
    said = {"stableVersion": "openins-v1.0", "previousVersion": "openins-baseline", "rollout": None}
    return {**example("4-modelservice"), "status": {**said, **status}}


class FakeCluster:
    """Objects by kind and name."""

    def __init__(self, *objects: Object) -> None:
        self.objects = {(obj["kind"], obj["metadata"]["name"]): obj for obj in objects}
        self.created: list[Object] = []
        self.error: Exception | None = None

    def get(self, kind: str, namespace: str, name: str) -> Object | None:
        if self.error is not None:
            raise self.error
        return self.objects.get((kind, name))

    def items(self, kind: str, namespace: str) -> list[Object]:
        return [obj for (found, _), obj in self.objects.items() if found == kind]

    def create(self, document: Object) -> bool:
        self.created.append(document)
        return True


def run(monkeypatch: pytest.MonkeyPatch, cluster: FakeCluster, *arguments: str) -> Result:
    monkeypatch.setattr(commands, "_connect", lambda namespace, context: commands.Where(cluster, namespace or "claims"))  # type: ignore[arg-type]
    return CliRunner().invoke(cli, ["rollout", *arguments], prog_name="regimen")


def test_undo_goes_back_to_what_served_before(monkeypatch: pytest.MonkeyPatch) -> None:
    cluster = FakeCluster(service())
    done = run(monkeypatch, cluster, "undo", "openins")
    assert done.exit_code == 0, done.output
    (made,) = cluster.created
    spec = ModelRolloutSpec.model_validate(made["spec"])
    assert (spec.undo, spec.to_ref.name, spec.from_ref and spec.from_ref.name) == (True, "openins-baseline", "openins-v1.0")
    assert [step.set_replicas for step in spec.strategy.steps] == [4]
    assert made["metadata"]["name"].startswith("openins-undo-")
    assert "rollout status" in done.output


def test_undo_to_a_version_by_name(monkeypatch: pytest.MonkeyPatch) -> None:
    cluster = FakeCluster(service())
    assert run(monkeypatch, cluster, "undo", "openins", "--to", "openins-v0.9").exit_code == 0
    assert cluster.created[0]["spec"]["toRef"] == {"name": "openins-v0.9"}


REFUSED = [
    ("undo", {"rollout": "openins-v1-1"}, ("openins",), "openins-v1-1 is under way; abort it"),
    ("undo", {"previousVersion": None}, ("openins",), "has served one version only"),
    ("undo", {}, ("openins", "--to", "openins-v1.0"), "serves openins-v1.0 already"),
    ("undo", {}, ("nobody",), "no ModelService nobody in namespace claims"),
]


@pytest.mark.parametrize(("verb", "status", "arguments", "words"), REFUSED, ids=[row[3][:30] for row in REFUSED])
def test_undo_refused(monkeypatch: pytest.MonkeyPatch, verb: str, status: Object, arguments: tuple[str, ...], words: str) -> None:
    cluster = FakeCluster(service(**status))
    done = run(monkeypatch, cluster, verb, *arguments)
    assert done.exit_code == 1
    assert words in done.output
    assert not cluster.created


@pytest.mark.parametrize(
    ("phase", "words"), [("Analyzing", "only an ended rollout"), ("Promoted", "nothing to try again"), (None, "is new")]
)
def test_retry_refused(monkeypatch: pytest.MonkeyPatch, phase: str | None, words: str) -> None:
    cluster = FakeCluster(rollout(phase=phase))
    done = run(monkeypatch, cluster, "retry", "openins-v1-0")
    assert done.exit_code == 1
    assert words in done.output
    assert not cluster.created


def test_what_the_api_server_says_is_said_without_a_trace(monkeypatch: pytest.MonkeyPatch) -> None:
    cluster = FakeCluster()
    cluster.error = RefusedError("GET /x: forbidden")
    done = run(monkeypatch, cluster, "status", "openins-v1-0")
    assert (done.exit_code, done.output) == (1, "Error: GET /x: forbidden\n")


def shown(found: Object) -> str:
    out = Console(width=140, record=True, file=StringIO(), highlight=False)
    out.print(render(found))
    return out.export_text()


@pytest.mark.parametrize(("patience", "status"), [(60, 0), (0, 2)])
def test_a_watch_bears_with_an_api_server_that_is_away_and_says_when_it_gives_up(
    monkeypatch: pytest.MonkeyPatch, patience: float, status: int
) -> None:
    cluster = FakeCluster(rollout(phase="Promoted"))
    answers = iter([away, away, cluster.get])
    monkeypatch.setattr(cluster, "get", lambda *named: next(answers)(*named))
    monkeypatch.setattr(commands, "EVERY", 0.01)
    monkeypatch.setattr(commands, "PATIENCE", patience)
    done = run(monkeypatch, cluster, "status", "openins-v1-0", "--watch")
    assert done.exit_code == status
    assert ("Promoted" in done.output, "the rollout goes on" in done.output) == (not status, bool(status))


def away(*_: str) -> Object:
    raise ClusterUnavailableError("GET /x: 503")


def test_the_picture_has_both_arms_the_interval_and_what_people_must_know() -> None:
    text = shown(rollout())
    for words in (
        "openins-v1-0  Analyzing  openins: openins-baseline → openins-v1.0", "✓ replicas 1", "▶ analysis", "· replicas 4",
        "stable openins-baseline", "candidate openins-v1.0", "85.3 %", "790 ms", "agreement +4.1 points, -0.3 to +8.5",
        "Within  errorRate is 0.0002", "power: 400 labelled answers", "pause refused at", "subjects Ok, labels Ok", "measured 19.7 %",
    ):  # fmt: skip
        assert words in text, words


@pytest.mark.parametrize(
    ("lines", "shown", "gone"),
    [
        (60, ["event 0", "400 labelled answers", "p95"], []),
        (24, ["requests"], ["event 0", "400 labelled answers"]),
        (20, [], ["requests"]),
    ],
)
def test_a_short_terminal_shows_what_matters_most(lines: int, shown: list[str], gone: list[str]) -> None:
    happened = [{"step": 0, "at": f"2026-11-22T02:00:{second:02}Z", "what": f"event {second}"} for second in range(8)]
    out = Console(width=120, height=lines, file=StringIO(), force_terminal=True, highlight=False)
    with out.capture() as told:
        out.print(fitted(rollout(history=happened), out))
    text = told.get()
    assert len(text.splitlines()) < lines
    assert [words for words in (*shown, "event 7", "errorRate is 0.0002", "+4.1 points") if words not in text] == []
    assert [words for words in gone if words in text] == []


def test_a_rollout_that_is_new_or_ended_can_be_shown() -> None:
    new = {key: value for key, value in rollout().items() if key != "status"}
    assert "new" in shown(new)
    ended = rollout(phase="Promoted", reportUri="s3://regimen/reports/claims/x.html", verdict=None, arms=None)
    text = shown(ended)
    assert "report: s3://regimen/reports/claims/x.html" in text
    assert "✓ replicas 4" in text
    assert line_of(new).startswith("new: weight 0 %")


@pytest.mark.parametrize(("effect", "low", "high"), [(0.0, -1.0, 1.0), (0.2, 0.1, 0.3), (-0.5, -0.9, -0.1)])
def test_an_axis_shows_what_lies_outside_at_its_edge(effect: float, low: float, high: float) -> None:
    drawn = axis(effect, low, high, 0.1)
    assert len(drawn) == len(axis(0, 0, 0, 1))
    assert drawn.count("●") == 1


def test_history_lists_rollouts_with_their_effect(monkeypatch: pytest.MonkeyPatch) -> None:
    other = merged(rollout(phase="RolledBack"), {"metadata": {"name": "of-another"}, "spec": {"serviceRef": {"name": "other"}}})
    done = run(monkeypatch, FakeCluster(service(), rollout(), other), "history", "openins")
    assert done.exit_code == 0, done.output
    assert "openins serves openins-v1.0, before openins-baseline" in done.output
    assert "+4.1" in done.output
    assert "of-another" not in done.output
