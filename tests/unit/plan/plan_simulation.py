"""A tiny cluster with one service and one rollout: Deployments, pods, routers, a bucket. It knows the laws and checks them at every move.

Faults are the caller's: pods fail, vanish and step aside, the operator stops between any two actions, its status is always lost.
"""

import itertools
from collections.abc import Callable
from dataclasses import dataclass, field, replace
from typing import Any

from plan_builders import AT, DIGEST, SETTINGS, answers, owner, rollout_spec, service_spec, version_spec

from regimen.plan import rollout
from regimen.plan.actions import Action, Apply, Create, Plan, Put, Scale, SetFinalizer
from regimen.plan.commands import ANNOTATION
from regimen.plan.common import FINALIZER, JobFacts, PodFacts
from regimen.plan.exchange import ArmFacts
from regimen.plan.memory import Memory
from regimen.plan.rollout_facts import RolloutFacts
from regimen.plan.service import stable_routing
from regimen.spec.artifacts import RolloutOutcome, ServingRecord, outcome_key
from regimen.spec.phases import TRANSITIONS, RolloutPhase
from regimen.spec.rollout import CommandResult
from regimen.spec.routing import Evidence, RouterState, Routing

STABLE, CANDIDATE = "openins-baseline", "openins-v1.0"
DEPLOYMENTS = {"openins-openins-baseline": STABLE, "openins-openins-v1-0": CANDIDATE}
NAMES = {version: name for name, version in DEPLOYMENTS.items()}
ENDS = frozenset({RolloutPhase.PROMOTED, RolloutPhase.ROLLED_BACK, RolloutPhase.INVALID})
SERVICE = owner("ModelService")
OUTCOME = outcome_key("claims", "openins", "openins")


class BucketGoneError(Exception):
    """A write that the bucket does not take: the pass ends there."""


@dataclass
class World:
    """The live state. `evidence`: missing, empty, good or bad."""

    total: int
    min_available: int
    steps: list[dict[str, object]]
    replicas: dict[str, int] = field(default_factory=dict)
    pods: dict[str, list[PodFacts]] = field(default_factory=lambda: {STABLE: [], CANDIDATE: []})
    routing: Routing | None = None
    applied: int = 0
    memory: Memory | None = None
    record: ServingRecord = field(default_factory=lambda: ServingRecord(version_ref=STABLE, revision=1, by="baseline"))
    pointer: str = STABLE
    outcome: RolloutOutcome | None = None
    bucket: bool = True
    fetches: dict[str, JobFacts] = field(default_factory=dict)
    needed: frozenset[str] | None = None
    undo: bool = False
    finalizer: bool = False
    deleting: bool = False
    paused: bool = False
    lending: bool = False
    evidence: str = "missing"
    good_was_seen: bool = False
    now: float = field(default_factory=AT.timestamp)
    command: str | None = None
    """The annotation with a person's command."""
    report: str | None = None
    phases: list[RolloutPhase] = field(default_factory=list)
    names: "itertools.count[int]" = field(default_factory=itertools.count)

    def __post_init__(self) -> None:
        self.spec = rollout_spec(
            strategy={"steps": self.steps, "allowOutage": self.total == 1}, fromRef={"name": STABLE}, progressDeadline="30m", undo=self.undo,
            analysis={"minDuration": "0s", "maxDuration": "14d", "looks": 1, "minLabelledPerArm": 100, "guardrails": []},
        )  # fmt: skip
        self.service = service_spec(replicas=self.total, minAvailable=self.min_available)
        self.replicas[STABLE] = self.total
        self.kubelet()
        self.all_ready()
        self.routing = stable_routing(SERVICE, self.service, STABLE, SETTINGS, None)
        self.applied = self.routing.generation

    # What is seen.

    def arm(self, version: str) -> ArmFacts:
        exists = version in self.replicas
        return ArmFacts(version, NAMES[version], exists, self.replicas.get(version, 0), tuple(self.pods[version]))

    def everyone(self) -> list[PodFacts]:
        return self.pods[STABLE] + self.pods[CANDIDATE]

    @staticmethod
    def staying(pods: list[PodFacts], leaving: tuple[str, ...] = ()) -> int:
        return sum(pod.ready and not pod.terminating and pod.name not in leaving for pod in pods)

    def known(self) -> Evidence | None:
        """What the feedback service says of the present epoch."""
        if self.evidence == "missing" or self.routing is None or not self.routing.epoch.startswith("modelrollout-0001"):
            return None
        if self.evidence == "empty":
            return Evidence(namespace="claims", service="openins", epoch=self.routing.epoch, arms=[], at=AT)
        share = self.routing.candidate.weight / 100 if self.routing.candidate else 0.0
        ours, theirs = (0.95, 0.6) if self.evidence == "good" else (0.6, 0.95)
        arms = [answers(CANDIDATE, ours, round(4000 * share)), answers(STABLE, theirs, 4000 - round(4000 * share))]
        return Evidence(namespace="claims", service="openins", epoch=self.routing.epoch, arms=arms, at=AT)

    def facts(self) -> RolloutFacts:
        routers = (RouterState(pod="router-0", generation=self.applied), RouterState(pod="router-1", generation=self.applied))
        return RolloutFacts(
            service_owner=SERVICE, service=self.service, serving=self.record, to_version=version_spec("v1.0", weights=False),
            to_ready=True, before=(), memory=self.memory, stable=self.arm(STABLE), candidate=self.arm(CANDIDATE),
            routing=self.routing, routers=routers, routers_expected=2, evidence=self.known(), lending=self.lending,
            outcome=self.outcome if self.bucket else None, outcome_unknown=not self.bucket, served=(STABLE, CANDIDATE),
            fetches=dict(self.fetches), needed=self.needed,
        )  # fmt: skip

    # What a person does.

    def ask(self, do: str) -> None:
        """A command with a nonce of its own."""
        self.command = f'{{"nonce": "n{next(self.names)}", "do": "{do}"}}'

    @property
    def answer(self) -> CommandResult:
        assert self.memory is not None
        assert self.memory.command is not None, "no command was answered"
        return self.memory.command

    # What the operator does.

    def decide(self) -> Plan:
        finalizers = (FINALIZER,) if self.finalizer else ()
        annotations = {ANNOTATION: self.command} if self.command is not None else {}
        me = owner("ModelRollout", deleting=self.deleting, finalizers=finalizers, annotations=annotations)
        plan = rollout.decide(me, self.spec.model_copy(update={"paused": self.paused}), self.facts(), SETTINGS, self.now)
        self.good_was_seen |= self.evidence == "good"
        return plan

    def walk(self, phase: RolloutPhase) -> None:
        if self.phases and self.phases[-1] is not phase:
            assert phase in TRANSITIONS[RolloutPhase][self.phases[-1]], f"{self.phases[-1]} → {phase}"
        self.phases.append(phase)

    def run(self, actions_done: int | None = None) -> Plan:
        """One pass that stops after so many actions; None: a whole one."""
        plan = self.decide()
        for action in plan.actions[:actions_done]:
            try:
                self.perform(action)
            except BucketGoneError:
                return plan
        if actions_done != 0:  # a pass that did nothing has not been
            self.walk(RolloutPhase(plan.status.model_dump()["phase"]))
        return plan

    def perform(self, action: Action) -> None:
        match action:
            case Apply(manifest) if manifest["kind"] == "ConfigMap" and "routing.json" in manifest["data"]:
                self.route(Routing.model_validate_json(manifest["data"]["routing.json"]))
            case Apply(manifest) if manifest["kind"] == "ConfigMap":
                self.memory = Memory.model_validate_json(manifest["data"]["memory.json"])
            case Apply(manifest) if manifest["kind"] == "Deployment":
                version = DEPLOYMENTS[manifest["metadata"]["name"]]
                assert manifest["spec"]["template"]["spec"]["containers"][0]["env"][1]["value"] == DIGEST
                if version not in self.replicas:
                    self.scale(Scale("claims", NAMES[version], manifest["spec"]["replicas"]))
            case Apply(manifest):
                assert manifest["kind"] in {"Service", "Secret"}
            case Create(manifest) if manifest["kind"] == "Job":
                node = manifest["spec"]["template"]["spec"]["affinity"]["nodeAffinity"]["requiredDuringSchedulingIgnoredDuringExecution"]
                (name,) = node["nodeSelectorTerms"][0]["matchFields"][0]["values"]
                self.fetches.setdefault(name, JobFacts(manifest["metadata"]["name"], active=True, succeeded=False, failed=False))
            case Create(manifest):
                self.keep(ServingRecord.model_validate(manifest["data"]))
            case Put() if not self.bucket:
                raise BucketGoneError
            case Put(key, data) if key.startswith("reports/"):
                assert self.memory is not None
                assert self.memory.ended
                self.report = data.decode()
            case Put(key, data) if key == OUTCOME:
                self.outcome = RolloutOutcome.model_validate_json(data)
            case Put(_, data):
                self.pointer = ServingRecord.model_validate_json(data).version_ref
            case Scale():
                self.scale(action)
            case SetFinalizer(present):
                self.finalizer = present
            case _:
                raise AssertionError(f"a rollout never does {action}")

    def keep(self, record: ServingRecord) -> None:
        assert self.memory is not None
        assert self.good_was_seen or self.memory.by_hand or self.undo, "promoted without evidence"
        assert self.memory.passed or self.undo, "promoted without a verdict"
        assert self.arm(CANDIDATE).ready == self.total, "promoted before every replica is the candidate's"
        if record.revision > self.record.revision:
            self.record = record

    def route(self, routing: Routing) -> None:
        """The candidate's weight is never more than its share of the ready replicas that stay."""
        assert self.routing is None or routing.generation > self.routing.generation
        if routing.candidate is not None:
            ours = self.staying(self.pods[CANDIDATE], tuple(routing.candidate.draining))
            theirs = self.staying(self.pods[STABLE], tuple(routing.stable.draining))
            share = 100 * ours / (ours + theirs) if ours + theirs else 0.0
            assert routing.candidate.weight <= share + 0.01, f"weight {routing.candidate.weight} of a share of {share}"
            assert abs(routing.stable.weight + routing.candidate.weight - 100) < 1e-6
        self.routing = routing

    def scale(self, action: Scale) -> None:
        version = DEPLOYMENTS[action.deployment]
        before = self.replicas.get(version, 0)
        assert 0 <= action.replicas <= self.total
        back = self.undo or (self.memory is not None and self.memory.outcome == "RollBack")
        assert action.replicas != before
        assert back or abs(action.replicas - before) == 1, "one replica at a time"
        if self.memory is not None:
            assert self.memory.prepared or back, "moved before the files were there"
        if action.replicas > before:
            assert len(self.everyone()) + action.replicas - before <= self.total, "an arm grows before the freed replica is gone"
            assert sum(self.replicas.values()) < self.total
        else:
            self.check_drain(action)
        self.replicas[version] = action.replicas
        surplus = [pod for pod in self.pods[version] if not pod.terminating]
        surplus.sort(key=lambda pod: (pod.name not in action.victims, pod.ready, pod.name))
        for pod in surplus[: max(0, len(surplus) - action.replicas)]:
            self.change(version, pod.name, terminating=True)

    def check_drain(self, action: Scale) -> None:
        """Our own moves keep minAvailable, and who goes was drained on every router first."""
        ready = self.staying(self.everyone())
        left = self.staying(self.everyone(), action.victims)
        if self.memory is not None and self.memory.at_once:
            # What harms is no capacity; but somebody answers, as long as there is anybody.
            assert self.staying(self.pods[STABLE]) or left or self.total == 1, "nobody would answer"
        else:
            least = self.min_available if self.total == 1 else max(1, self.min_available)
            assert left >= least or left == ready, f"{left} ready replicas would stay, minAvailable {self.min_available}"
        assert self.routing is not None
        if self.memory is not None and action.victims:
            draining = self.routing.stable.draining + (self.routing.candidate.draining if self.routing.candidate else [])
            assert set(action.victims) <= set(draining), "stopped before it was drained"
            assert self.applied == self.routing.generation, "stopped before every router knew"

    # What happens to it.

    def change(self, version: str, name: str, **changes: Any) -> None:
        self.pods[version] = [replace(pod, **changes) if pod.name == name else pod for pod in self.pods[version]]

    def kubelet(self) -> None:
        """ReplicaSets make up for missing pods, and files are fetched."""
        if self.bucket:
            self.fetches = {node: replace(job, active=False, succeeded=True) for node, job in self.fetches.items()}
        for version, wanted in self.replicas.items():
            here = sum(not pod.terminating for pod in self.pods[version])
            for _ in range(max(0, wanted - here)):
                self.pods[version].append(PodFacts(f"{version}-{next(self.names):03}", "node", False, False))
        assert len(self.everyone()) <= self.total, "more pods than places"

    def some(self, number: int, fits: Callable[[PodFacts], bool]) -> tuple[str, PodFacts] | None:
        found = [(version, pod) for version in (STABLE, CANDIDATE) for pod in self.pods[version] if fits(pod)]
        return found[number % len(found)] if found else None

    def become_ready(self, number: int) -> None:
        if chosen := self.some(number, lambda pod: not pod.ready and not pod.terminating):
            self.change(chosen[0], chosen[1].name, ready=True)

    def crash(self, number: int) -> None:
        if chosen := self.some(number, lambda pod: pod.ready and not pod.terminating):
            self.change(chosen[0], chosen[1].name, ready=False)

    def vanish(self, number: int) -> None:
        if chosen := self.some(number, lambda pod: True):
            self.pods[chosen[0]].remove(chosen[1])

    def stop(self, number: int) -> None:
        if chosen := self.some(number, lambda pod: pod.terminating):
            self.pods[chosen[0]].remove(chosen[1])

    def all_ready(self) -> None:
        for version in (STABLE, CANDIDATE):
            self.pods[version] = [replace(pod, ready=True) for pod in self.pods[version] if not pod.terminating]

    def step_aside(self, number: int) -> None:
        """Training takes a card: some pods go, and their successors wait."""
        self.lending = True
        for turn in range(1 + number % 2):
            self.vanish(number + turn)

    def routers_take_up(self) -> None:
        if self.routing is not None:
            self.applied = self.routing.generation

    def settle_deleted(self) -> None:
        """No more faults, until nothing holds the deleted object any more."""
        self.bucket = True
        for _ in range(400):
            if not self.finalizer:
                return
            self.kubelet()
            self.all_ready()
            self.kubelet()
            self.routers_take_up()
            self.run()
            self.now += 30
        raise AssertionError(f"never let go: {self.phases[-1]}")

    def settle(self, passes: int = 400, seconds: float = 30) -> RolloutPhase:
        """No more faults, until nothing moves any more. Returns the last phase."""
        self.lending = self.paused = False
        self.bucket = True
        for _ in range(passes):
            self.kubelet()
            self.all_ready()
            self.kubelet()
            self.routers_take_up()
            plan = self.run()
            self.now += seconds
            if self.phases[-1] in ENDS and not plan.actions:
                return self.phases[-1]
        raise AssertionError(f"no end in sight: {self.phases[-1]}, {plan.status.message}")


def until(live: World, phase: RolloutPhase, passes: int = 300, seconds: float = 30) -> None:
    """Fault-free passes, so many seconds apart, until a phase is said."""
    for _ in range(passes):
        go(live, 1, seconds)
        if live.phases[-1] is phase:
            return
    raise AssertionError(f"never {phase}: {live.phases[-1]}")


def go(live: World, passes: int, seconds: float = 1) -> None:
    """Fault-free passes, so many seconds apart."""
    for _ in range(passes):
        live.kubelet()
        live.all_ready()
        live.kubelet()
        live.routers_take_up()
        live.run()
        live.now += seconds


__all__ = ["CANDIDATE", "ENDS", "STABLE", "World", "go", "until"]
