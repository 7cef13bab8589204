"""ModelService: keep the routers and the version of record running. While a rollout is under way, replicas and weights are its business."""

from dataclasses import dataclass

from regimen.plan import admission
from regimen.plan.actions import Action, Apply, Create, Delete, Event, Manifest, Plan, Put, Scale, Verdict
from regimen.plan.admission import CardLoad, ModelSize, Unplaced
from regimen.plan.common import MANAGED, Owner, Settings, bucket_secret, dns_name
from regimen.plan.exchange import ArmFacts, Move, Pace, candidate_share, next_move
from regimen.plan.published import model_version
from regimen.plan.router import router_manifests, routing_map, subject_salt
from regimen.plan.serving import TEMPLATE, Known, arm_deployment, arm_service, gguf_for
from regimen.spec.artifacts import ServingRecord, VersionManifest, serving_key
from regimen.spec.phases import ServicePhase
from regimen.spec.routing import ArmRoute, Routing
from regimen.spec.service import ModelServiceSpec, ModelServiceStatus, ReplicaCounts, ServingEstimate
from regimen.spec.version import Gguf, ModelVersionSpec


@dataclass(frozen=True)
class ServiceFacts:
    """What was seen of a service."""

    record: ServingRecord | None
    """What serves, by the newest ControllerRevision, else by the bucket's pointer; None where neither is."""
    record_unknown: bool
    """No ControllerRevision, and the bucket cannot be asked: nothing may be assumed (law 1)."""
    recorded_in_cluster: bool
    """Whether a ControllerRevision says it."""
    version: ModelVersionSpec | None
    """Of the version of record, or of the baseline where there is no record."""
    version_ready: bool
    version_message: str
    published: VersionManifest | None
    """Manifest of the version of record, where the ModelVersion is missing but the bucket has it."""
    stable: ArmFacts
    others: tuple[ArmFacts, ...]
    routing: Routing | None
    routing_applied: bool
    rollout: str | None
    """Name of the rollout under way."""
    candidate_ready: int
    lending: bool
    """Training has borrowed a card that replicas of this service use."""
    claim_exists: bool
    routers_ready: int
    """Router pods that callers reach; without one the service's address answers nobody."""
    exchanging: bool = False
    """It moves replicas now: in a pause or an analysis none is missing on purpose."""
    rollout_service: ModelServiceSpec | None = None
    """The service as the rollout under way took it up."""
    size: ModelSize | None = None
    """Of the version that serves."""
    keys: str | None = None
    """Names the API keys in the Secret; None where it does not exist or has none."""
    cards: tuple[CardLoad, ...] = ()
    unplaced: tuple[Unplaced, ...] = ()
    """Replicas of other services that wait for a card."""
    room: int = 0
    """Free places for a replica."""


def record_manifest(owner: Owner, record: ServingRecord) -> Manifest:
    """The durable record: a ControllerRevision that goes with the service."""
    return {
        "apiVersion": "apps/v1", "kind": "ControllerRevision",
        "metadata": {
            "name": dns_name(owner.name, "serving", str(record.revision)), "namespace": owner.namespace,
            "labels": {**MANAGED, "regimen.dev/service": owner.name}, "ownerReferences": [owner.reference()],
        },
        "revision": record.revision,
        "data": record.model_dump(mode="json", by_alias=True),
    }  # fmt: skip


def record_pointer(owner: Owner, record: ServingRecord) -> Put:
    """The record in the bucket, for a cluster that is restored beside it."""
    return Put(serving_key(owner.namespace, owner.name), record.model_dump_json(by_alias=True).encode())


def stable_routing(owner: Owner, spec: ModelServiceSpec, version_ref: str, settings: Settings, previous: Routing | None) -> Routing:
    """All traffic to one version."""
    wanted = Routing(
        generation=previous.generation if previous else 0, epoch="-", salt=subject_salt(settings, owner, "-"),
        stable=ArmRoute(version=version_ref, weight=100), candidate=None, audit_fraction=spec.feedback.audit_fraction,
    )  # fmt: skip
    return wanted if wanted == previous else wanted.model_copy(update={"generation": wanted.generation + 1})


def decide(owner: Owner, asked: ModelServiceSpec, facts: ServiceFacts, settings: Settings) -> Plan:
    """Refuse what cannot serve; else record what serves, and keep it running."""
    spec = facts.rollout_service or asked  # a change waits for the end of the rollout under way
    estimated = admission.estimate(spec, facts.size, facts.cards, facts.unplaced)
    said = Said(owner, asked, facts, estimated)
    refused = _refusal(spec, facts)
    if refused is not None:
        return said.refused(*refused)
    if facts.version is None:
        if facts.published is not None:
            return said.plan((Create(model_version(owner.namespace, facts.published)),))
        ref = facts.record.version_ref if facts.record else spec.baseline_ref.name
        return said.refused("VersionMissing", f"ModelVersion {ref} does not exist; create it")
    gguf = gguf_for(spec, facts.version)
    if gguf is None:
        have = ", ".join(file.quantization for file in facts.version.gguf)
        return said.refused("QuantizationMissing", f"quantization: the version has {have}, not {spec.quantization}")
    if not facts.version_ready and not facts.recorded_in_cluster:
        return said.refused("VersionNotReady", facts.version_message)
    running = facts.stable.replicas + sum(arm.replicas for arm in facts.others)
    if facts.rollout is None and (full := admission.refusal(spec, estimated, facts.cards, running)):
        return said.refused("DoesNotFit", full)
    record = facts.record or ServingRecord(version_ref=spec.baseline_ref.name, revision=1, by="baseline")
    actions: list[Action] = [Apply(bucket_secret(owner.namespace, settings))]
    if not facts.recorded_in_cluster:
        # The pointer first: once the cluster has its record, nobody writes the pointer any more.
        actions.append(record_pointer(owner, record))
        actions.append(Create(record_manifest(owner, record)))
    actions += [Apply(manifest) for manifest in router_manifests(owner, spec, settings)]
    if facts.rollout is not None:
        if not facts.stable.exists:
            # Somebody removed what a rollback needs: back it comes, and the rollout scales it.
            arm = arm_deployment(owner, spec, record.version_ref, gguf, 0, settings, Known(facts.size, facts.keys))
            actions += [Apply(arm_service(owner, record.version_ref)), Apply(arm)]
        waits = facts.rollout_service is not None and as_taken_up(asked, settings) != facts.rollout_service
        return said.plan(tuple(actions), f"a change of this spec waits for the end of rollout {facts.rollout}" if waits else None)
    converging, held = _converge(owner, spec, facts, record, gguf, settings)
    return said.plan((*actions, *converging), held, stalled=held is not None)


def as_taken_up(spec: ModelServiceSpec, settings: Settings) -> ModelServiceSpec:
    """The service as a rollout takes it up: with the server image of now, so that both arms run the same."""
    return spec.model_copy(update={"engine": spec.engine.model_copy(update={"image": spec.engine.image or settings.server_image})})


def _refusal(spec: ModelServiceSpec, facts: ServiceFacts) -> tuple[str, str] | None:
    if facts.record_unknown:
        return "RecordUnknown", "what serves is recorded in the bucket only, and the bucket cannot be reached; nothing is changed"
    if not facts.claim_exists:
        text = f"cache.persistentVolumeClaim.claimName: PersistentVolumeClaim {spec.cache.claim} does not exist; create it"
        return "CacheMissing", text
    if spec.router.auth is not None and facts.keys is None:
        name = spec.router.auth.api_keys_from.secret_ref.name
        return (
            "KeysMissing",
            f"router.auth.apiKeysFrom.secretRef.name: Secret {name} does not exist or is empty; create it, each value a key",
        )
    return None


def _converge(
    owner: Owner, spec: ModelServiceSpec, facts: ServiceFacts, record: ServingRecord, gguf: Gguf, settings: Settings
) -> tuple[list[Action], str | None]:
    """Bring what runs to the version of record; what another version still holds is exchanged like in a rollout. And what is held back."""
    stable = facts.stable
    known = Known(facts.size, facts.keys)
    surge, held = _change(spec, facts, arm_deployment(owner, spec, record.version_ref, gguf, 0, settings, known))
    count = spec.replicas if not facts.others else 0
    wanted = arm_deployment(owner, spec, record.version_ref, gguf, count, settings, known, surge)
    actions: list[Action] = [Apply(arm_service(owner, record.version_ref))]
    if held is None:
        actions.append(Apply(wanted))
    left = next((arm for arm in facts.others if arm.replicas or arm.pods), None)
    for arm in facts.others:
        if arm is not left and not arm.pods:
            actions += [Delete("Deployment", owner.namespace, arm.deployment), Delete("Service", owner.namespace, arm.deployment)]
    if left is not None:
        return actions + _exchange_back(owner, spec, facts, left, settings), held
    routing = stable_routing(owner, spec, record.version_ref, settings, facts.routing)
    if routing != facts.routing:
        actions.append(Apply(routing_map(owner, routing)))
    if stable.exists and stable.replicas != spec.replicas:
        actions.append(Scale(owner.namespace, stable.deployment, spec.replicas))
    return actions, held


def _change(spec: ModelServiceSpec, facts: ServiceFacts, wanted: Manifest) -> tuple[bool, str | None]:
    """How a changed template is rolled out: with a surge or not; and why it is not, where the hardware leaves only a gap (law 5)."""
    stable = facts.stable
    if not stable.settled:
        return stable.surges, None  # as it began
    changed = stable.exists and stable.template is not None and stable.template != wanted["metadata"]["annotations"][TEMPLATE]
    tight = spec.replicas - 1 < max(1, spec.min_available)
    if not changed or not tight:
        return False, None
    if facts.room > 0 or spec.allow_outage:
        return facts.room > 0, None
    return False, (
        f"a change waits: it would leave {spec.replicas - 1} of {spec.replicas} replicas, minAvailable is {spec.min_available}, and no place is "
        "free for one more; set allowOutage: true to let requests wait meanwhile, or free a place"
    )


def _exchange_back(owner: Owner, spec: ModelServiceSpec, facts: ServiceFacts, left: ArmFacts, settings: Settings) -> list[Action]:
    """Another version's replicas remain (a rollout was removed by force): its traffic follows the capacity that returns."""
    move = next_move(0, spec.replicas, Pace(min(spec.min_available, spec.replicas - 1)), facts.stable, left)
    victims = move.victims if isinstance(move, Move) else ()
    weight = candidate_share(facts.stable, left, victims)
    base = facts.routing or stable_routing(owner, spec, facts.stable.version, settings, None)
    wanted = base.model_copy(
        update={
            "stable": ArmRoute(version=facts.stable.version, weight=100 - weight),
            "candidate": ArmRoute(version=left.version, weight=weight, draining=sorted(victims)),
        }
    )
    if wanted != facts.routing:
        return [Apply(routing_map(owner, wanted.model_copy(update={"generation": base.generation + 1})))]
    if isinstance(move, Move) and facts.routing_applied:
        return [Scale(owner.namespace, move.arm.deployment, move.replicas, move.victims)]
    return []


@dataclass(frozen=True)
class Said:
    """What is said of a service, with or without something to do."""

    owner: Owner
    spec: ModelServiceSpec
    facts: ServiceFacts
    estimated: ServingEstimate | None

    def refused(self, reason: str, message: str) -> Plan:
        """Nothing is changed, and what runs goes on."""
        phase = ServicePhase.DEGRADED if self._ready else ServicePhase.PENDING
        conditions = (Verdict("Ready", False, reason, message), Verdict("Stalled", True, reason, message))
        return Plan(self._status(phase, message), conditions, (), (Event(reason, message, warning=True),), self._again)

    def plan(self, actions: tuple[Action, ...], besides: str | None = None, stalled: bool = False) -> Plan:
        """Serving, or on the way. `besides` is what waits, for a person where it is stalled."""
        spec, facts, ready = self.spec, self.facts, self._ready
        version = facts.record.version_ref if facts.record else spec.baseline_ref.name
        message = f"{ready} of {spec.replicas} ready on {version}" + (f"; rollout {facts.rollout} under way" if facts.rollout else "")
        message += f"; {besides}" if besides else ""
        phase, reason = _phase(spec, facts, ready)
        message += "; the others stepped aside for training" if phase is ServicePhase.STEPPED_ASIDE else ""
        message += "" if facts.routers_ready else "; no router is ready, so nobody is answered yet"
        conditions = (
            Verdict("Ready", facts.routers_ready > 0 and ready >= max(1, spec.min_available), reason, message),
            Verdict("Stalled", stalled, "ChangeHeld" if stalled else reason, message),
        )
        events = (Event("ChangeHeld", message, warning=True),) if stalled else ()
        return Plan(self._status(phase, message), conditions, actions, events, self._again)

    @property
    def _ready(self) -> int:
        return self.facts.stable.ready + self.facts.candidate_ready

    @property
    def _again(self) -> float:
        return 5 if self._ready < self.spec.replicas or not self.facts.routers_ready else 30

    def _status(self, phase: ServicePhase, message: str) -> ModelServiceStatus:
        facts = self.facts
        counts = ReplicaCounts(desired=self.spec.replicas, ready=self._ready, stable=facts.stable.ready, candidate=facts.candidate_ready)
        return ModelServiceStatus(
            phase=phase, message=message, stable_version=facts.record.version_ref if facts.record else None,
            previous_version=facts.record.previous_ref if facts.record else None, replicas=counts, estimate=self.estimated,
            url=f"http://{self.owner.name}.{self.owner.namespace}.svc", rollout=facts.rollout,
        )  # fmt: skip


def _phase(spec: ModelServiceSpec, facts: ServiceFacts, ready: int) -> tuple[ServicePhase, str]:
    if ready and not facts.routers_ready:
        return ServicePhase.PENDING, "RoutersNotReady"
    if ready >= spec.replicas:
        return ServicePhase.READY, "Serving"
    if facts.lending:
        return ServicePhase.STEPPED_ASIDE, "SteppedAside"
    if facts.exchanging and ready >= max(1, spec.min_available):
        return ServicePhase.READY, "ExchangingReplica"
    return (ServicePhase.DEGRADED, "ReplicasNotReady") if ready else (ServicePhase.PENDING, "Starting")
