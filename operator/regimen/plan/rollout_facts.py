"""What a pass over a ModelRollout knows."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime

from regimen.plan.admission import ModelSize
from regimen.plan.common import JobFacts, Owner, Settings
from regimen.plan.exchange import ArmFacts
from regimen.plan.memory import Memory
from regimen.spec.artifacts import DatasetManifest, RolloutOutcome, ServingRecord
from regimen.spec.dataset import TaskOutput
from regimen.spec.rollout import ModelRolloutSpec, Step
from regimen.spec.routing import Evidence, RouterState, Routing
from regimen.spec.service import ModelServiceSpec
from regimen.spec.version import ModelVersionSpec
from regimen.stats.guardrails import Measured


@dataclass(frozen=True)
class PairedFacts:
    """What was seen of the evidence that is compared case by case."""

    output: TaskOutput | None
    """Of the dataset's task; None where there is no such dataset or task."""
    newest: DatasetManifest | None
    """The dataset's newest revision."""
    known: tuple[DatasetManifest, ...]
    """Revisions of it that either version was trained on."""
    trained: bool
    """Whether the candidate says on which revision of it it was trained."""
    groups: tuple[tuple[int, int, int], ...] = ()
    """Of the newest comparison that is done: see PairedEvidence."""
    compared: str | None = None
    """Digest of the revision that it was by."""
    job: JobFacts | None = None
    """That compares by the newest revision."""


@dataclass(frozen=True)
class RolloutFacts:
    """What was seen of a rollout and of what it refers to."""

    service_owner: Owner | None
    service: ModelServiceSpec | None
    serving: ServingRecord | None
    to_version: ModelVersionSpec | None
    to_ready: bool
    before: tuple[str, ...]
    """Rollouts of the same service that come first."""
    memory: Memory | None
    stable: ArmFacts
    candidate: ArmFacts
    routing: Routing | None
    routers: tuple[RouterState, ...]
    """Of every router pod that takes traffic."""
    routers_expected: int
    evidence: Evidence | None
    """None where the feedback service cannot be asked: then nothing is promoted."""
    lending: bool
    outcome: RolloutOutcome | None = None
    """How a rollout of this name ended, by the bucket. Looked up before it begins, and until it is there after it ended."""
    outcome_unknown: bool = False
    """The bucket cannot be asked for it."""
    served: tuple[str, ...] = ()
    """Versions that are known to have served, the baseline among them."""
    fetches: Mapping[str, JobFacts] = field(default_factory=dict)
    """Jobs that bring both files to a node, by node."""
    needed: frozenset[str] | None = None
    """Digests of the files that nodes must keep; asked only while a node has no Job yet that brings them. None: not known."""
    stable_version: ModelVersionSpec | None = None
    to_size: ModelSize | None = None
    keys: str | None = None
    """Names the service's API keys."""
    room: int = 0
    """Free places for a replica, by slices and by memory."""
    measured: Mapping[str, Measured] = field(default_factory=dict)
    """What Prometheus answers to guardrails' queries, by their names."""
    usual: Evidence | None = None
    """What is known of the service outside rollouts, for the estimate of power; asked only before a rollout has evidence of its own."""
    serving_since: float | None = None
    """Since when the version of record serves."""
    paired: PairedFacts | None = None
    """None where the analysis does not ask for it, or the bucket cannot be asked."""

    @property
    def applied(self) -> bool:
        """Whether every router has read back the present routing."""
        routing = self.routing
        if routing is None or not self.routers or len(self.routers) < self.routers_expected:
            return False
        return all(state.generation == routing.generation for state in self.routers)


@dataclass(frozen=True)
class Context:
    """What every function of a pass needs."""

    owner: Owner
    spec: ModelRolloutSpec
    facts: RolloutFacts
    settings: Settings
    now: float
    service_owner: Owner
    service: ModelServiceSpec

    @property
    def iso(self) -> str:
        return iso(self.now)

    def paused(self, memory: Memory) -> bool:
        """By the spec, or by a person's command."""
        return self.spec.paused or memory.held


def moves_replicas(spec: ModelRolloutSpec, memory: Memory) -> bool:
    """Whether a rollout exchanges replicas now: in a step that sets them, and whenever it ends."""
    step = current_step(spec, memory)
    if not memory.prepared and memory.outcome is None:
        return False
    held = spec.paused or memory.held
    return not memory.ended and (memory.outcome is not None or step is None or (step.set_replicas is not None and not held))


def iso(now: float) -> str:
    return datetime.fromtimestamp(now, UTC).strftime("%Y-%m-%dT%H:%M:%SZ")


def current_step(spec: ModelRolloutSpec, memory: Memory) -> Step | None:
    """The step under way, or None after the last."""
    return spec.strategy.steps[memory.step] if memory.step < len(spec.strategy.steps) else None
