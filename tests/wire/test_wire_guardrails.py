"""Guardrails that ask a real Prometheus: within, beyond, without an answer, with a wrong question."""

import socket
from collections.abc import Iterator
from dataclasses import replace
from typing import Any

import pytest
from test_wire_rollout import ENDS, QUICK, phase, production, replicas, until
from wire_prometheus import Monitoring, NotToBeHadError, monitoring
from wire_serving import Serving
from wire_world import Wire

pytestmark = pytest.mark.wire


@pytest.fixture(scope="session")
def prometheus(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Monitoring]:
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    try:
        with monitoring(tmp_path_factory.mktemp("prometheus"), port) as made:
            yield made
    except NotToBeHadError as why:
        pytest.skip(f"PROMETHEUS IS NOT TO BE HAD, guardrails that ask it are not tested: {why}")


def guarded(wire: Wire, prometheus: Monitoring, query: str = "") -> Serving:
    """A rollout that has not begun, whose guardrail `heat` allows 83."""
    asked = query or f'celsius{{place="{wire.namespace}"}}'
    rail = {"name": "heat", "prometheus": {"query": asked}, "max": 83}
    analysis: dict[str, Any] = {**QUICK["analysis"], "guardrails": [rail]}
    return production(replace(wire, settings=replace(wire.settings, prometheus_url=prometheus.url)), analysis=analysis)


def message(live: Serving) -> str:
    """What the condition says; the phase beside it is the analysis's."""
    status = live.wire.get("ModelRollout", "openins-v1-0")["status"]
    told = {item["type"]: item["message"] for item in status["conditions"]}
    assert told["Ready"] == told["Promoted"] == status["message"]
    return str(status["message"])


def held(live: Serving, words: str) -> None:
    """It says why, and stays where it is, as it is, also after a few more passes."""
    before = phase(live), replicas(live)
    until(live, lambda: words in message(live))
    for _ in range(3):
        live.rollout()
    assert (phase(live), replicas(live)) == before


def test_promotion_waits_for_a_number_and_an_outage_of_monitoring_rolls_nothing_back(wire: Wire, prometheus: Monitoring) -> None:
    live = guarded(wire, prometheus)
    prometheus.show(wire.namespace)
    until(live, lambda: phase(live) == "Analyzing")
    assert "promotion waits: heat: the query gives no value; see that what it asks for is scraped" in message(live)
    live.routers.evidence_is = "good"
    prometheus.show(wire.namespace, 60, 70)
    held(live, "heat: the query gives 2 series; abort, and begin another rollout with one figure, for example max(…)")
    prometheus.show(wire.namespace)
    held(live, "heat: the query gives no value")
    prometheus.stop()
    held(live, f"heat: Prometheus at {prometheus.url} does not answer (ConnectError); bring it back, or correct the chart's prometheus.url")
    prometheus.start()
    prometheus.show(wire.namespace, 70)
    until(live, lambda: phase(live) == "Progressing")
    prometheus.stop()
    live.clock.now += 7200
    held(live, "does not answer")
    prometheus.start()
    prometheus.show(wire.namespace, 70)
    until(live, lambda: phase(live) in ENDS)
    assert phase(live) == "Promoted"
    assert replicas(live) == {"openins-openins-baseline": 0, "openins-openins-v1-0": 4}


@pytest.mark.parametrize("evidence", ["good", "missing"])
def test_a_value_beyond_the_limit_rolls_back_and_says_both_figures(wire: Wire, prometheus: Monitoring, evidence: str) -> None:
    live = guarded(wire, prometheus)
    prometheus.show(wire.namespace, 71)
    until(live, lambda: phase(live) == "Analyzing")
    live.routers.evidence_is = evidence
    prometheus.show(wire.namespace, 91.5)
    until(live, lambda: phase(live) in ENDS)
    assert phase(live) == "RolledBack"
    assert message(live) == "Guardrail broken: heat is 91.5, allowed is 83"
    assert replicas(live)["openins-openins-baseline"] == 4


def test_a_query_that_prometheus_cannot_read_is_refused_before_anything_moves(wire: Wire, prometheus: Monitoring) -> None:
    live = guarded(wire, prometheus, query="max(celsius")
    before = replicas(live)
    for _ in range(3):
        live.rollout()
    status = wire.get("ModelRollout", "openins-v1-0")["status"]
    assert (status["phase"], status["conditions"][0]["reason"]) == ("Invalid", "QueryRefused")
    assert "analysis.guardrails: heat: Prometheus refuses the query (invalid parameter" in status["message"]
    assert "begin another rollout with it corrected" in status["message"]
    assert replicas(live) == before
