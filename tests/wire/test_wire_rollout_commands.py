"""`regimen rollout …` against a real API server, with the operator at work beside it."""

import json

import pytest
from click.testing import CliRunner, Result
from test_wire_operator import begin_rollout
from wire_world import Wire, at_work

from conftest import Machine
from regimen.cli.main import commands
from regimen.spec.artifacts import report_key

pytestmark = pytest.mark.wire
NAME = "openins-v1-0"


def regimen(machine: Machine, wire: Wire, *arguments: str) -> Result:
    """The command as a user types it."""
    return CliRunner().invoke(
        commands, ["rollout", *arguments, "--namespace", wire.namespace], env={"KUBECONFIG": str(machine.kubeconfig)}, prog_name="regimen"
    )


@pytest.fixture
def begun(wire: Wire) -> Wire:
    """A rollout that has begun; no router confirms anything, so it stays where it is."""
    begin_rollout(wire)
    return wire


def memory(wire: Wire) -> dict[str, object]:
    found: dict[str, object] = json.loads(wire.get("ConfigMap", f"{NAME}-rollout")["data"]["memory.json"])
    return found


def test_pause_resume_abort_are_answered_and_the_spec_stays_the_users(begun: Wire, machine: Machine) -> None:
    generation = begun.get("ModelRollout", NAME)["metadata"]["generation"]
    with at_work(begun.turn):
        paused = regimen(machine, begun, "pause", NAME)
        assert paused.exit_code == 0, paused.output
        assert "held at the present step; guardrails go on" in paused.output
        assert begun.phase("ModelRollout", NAME) == "Paused"
        again = regimen(machine, begun, "skip", NAME)
        assert again.exit_code == 1
        assert "only a pause can be skipped" in again.output
        assert regimen(machine, begun, "resume", NAME).exit_code == 0
        assert begun.phase("ModelRollout", NAME) != "Paused"
        aborted = regimen(machine, begun, "abort", NAME)
        assert "rolling back" in aborted.output
    assert begun.get("ModelRollout", NAME)["metadata"]["generation"] == generation, "a command changes no spec"
    assert memory(begun)["reason"] == "Aborted"
    begun.cluster.patch("ModelRollout", begun.namespace, NAME, {"status": None}, "status")
    begun.turn()
    status = begun.get("ModelRollout", NAME)["status"]
    assert (status["command"]["do"], status["command"]["accepted"]) == ("abort", True), "a lost status loses no answer"
    assert [entry["what"] for entry in status["history"]].count("abort, by hand: rolling back") == 1


def test_a_command_without_an_operator_says_so(begun: Wire, machine: Machine) -> None:
    answer = regimen(machine, begun, "pause", NAME, "--timeout", "1")
    assert answer.exit_code == 1
    assert "the operator has not answered within 1 s" in answer.output


def test_what_has_not_begun_takes_no_command(wire: Wire, machine: Machine) -> None:
    wire.give("5-modelrollout")
    answer = regimen(machine, wire, "promote", NAME)
    assert answer.exit_code == 1
    assert f"{NAME} has not begun; delete it, or wait" in answer.output
    missing = regimen(machine, wire, "status", "nobody")
    assert missing.exit_code == 1
    assert "no ModelRollout nobody in namespace" in missing.output


def test_status_and_history_show_it_without_a_terminal(begun: Wire, machine: Machine) -> None:
    shown = regimen(machine, begun, "status", NAME)
    assert shown.exit_code == 0, shown.output
    assert "openins: openins-baseline → openins-v1.0" in shown.output
    assert "▶ replicas 1" in shown.output
    assert "power: 400 labelled answers of the smaller arm show a difference of" in shown.output
    assert "\x1b" not in shown.output
    listed = regimen(machine, begun, "history", "openins")
    assert listed.exit_code == 0, listed.output
    assert "openins serves openins-baseline" in listed.output
    assert NAME in listed.output


def test_an_ended_rollout_has_a_report_in_the_bucket_and_can_be_retried(begun: Wire, machine: Machine) -> None:
    uid = begun.get("ModelRollout", NAME)["metadata"]["uid"]
    early = regimen(machine, begun, "retry", NAME)
    assert early.exit_code == 1
    assert "only an ended rollout can be run again" in early.output
    ended = {**memory(begun), "ended": True, "outcome": "RollBack", "reason": "NotPromoted", "why": "All 4 looks were taken"}
    begun.cluster.patch("ConfigMap", begun.namespace, f"{NAME}-rollout", {"data": {"memory.json": json.dumps(ended)}})
    begun.turn()
    key = report_key(begun.namespace, NAME, uid)
    assert begun.get("ModelRollout", NAME)["status"]["reportUri"] == begun.store.uri(key)
    page = begun.store.get(key).decode()
    assert "All 4 looks were taken" in page
    assert "A person decides every denial" in page
    retried = regimen(machine, begun, "retry", NAME)
    assert retried.exit_code == 0, retried.output
    (other,) = [item for item in begun.all_of("ModelRollout") if item["metadata"]["name"] != NAME]
    assert other["metadata"]["name"].startswith(f"{NAME}-retry-")
    assert other["spec"] == begun.get("ModelRollout", NAME)["spec"]
    watched = regimen(machine, begun, "status", NAME, "--watch")
    assert watched.exit_code == 1, "not promoted"
    assert "RolledBack" in watched.output
