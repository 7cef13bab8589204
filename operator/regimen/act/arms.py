"""What a ModelService runs: its record, Deployments, pods, routers and evidence. Used for services and for rollouts."""

import hmac
import json
import logging
from dataclasses import dataclass
from hashlib import sha256

from regimen.act.admission import card_loads
from regimen.act.cluster import Cluster, Object
from regimen.act.comparisons import Comparisons
from regimen.act.http import Peers
from regimen.act.parts import document, holds_place, is_settled, job_facts, owner_of, pod_facts, spec_of, status_of
from regimen.act.records import Recorded, Records
from regimen.plan.admission import CardLoad, ModelSize, Unplaced, places, serving_bytes
from regimen.plan.common import JobFacts, Owner, Settings
from regimen.plan.exchange import ArmFacts
from regimen.plan.memory import Memory, memory_name
from regimen.plan.rollout_facts import RolloutFacts, moves_replicas
from regimen.plan.rollout_prepare import job_name
from regimen.plan.router import routing_name, service_key
from regimen.plan.service import ServiceFacts
from regimen.plan.serving import TEMPLATE, deployment_name
from regimen.spec.artifacts import RolloutOutcome, VersionManifest, manifest_key
from regimen.spec.meta import GROUP
from regimen.spec.rollout import ModelRolloutSpec
from regimen.spec.routing import Evidence, RouterState, Routing
from regimen.spec.service import ModelServiceSpec
from regimen.spec.version import ModelVersionSpec, ModelVersionStatus
from regimen.stats.guardrails import Measured
from regimen.store import Store

log = logging.getLogger(__name__)


@dataclass(frozen=True)
class _Active:
    """A rollout that has begun and not ended, with what it remembers."""

    obj: Object
    memory: Memory

    @property
    def name(self) -> str:
        return str(self.obj["metadata"]["name"])

    @property
    def exchanging(self) -> bool:
        """Whether it moves replicas now."""
        return moves_replicas(spec_of(self.obj, ModelRolloutSpec), self.memory)


class ServiceArms:
    """Reads services and rollouts."""

    def __init__(self, cluster: Cluster, store: Store, settings: Settings, peers: Peers) -> None:
        self.cluster = cluster
        self.store = store
        self.settings = settings
        self.peers = peers
        self.comparisons = Comparisons(cluster, store)
        self.records = Records(cluster, store)

    def service(self, owner: Owner, spec: ModelServiceSpec) -> ServiceFacts:
        """Facts for a ModelService."""
        known = self.records.serving(owner)
        version_ref = known.record.version_ref if known.record else spec.baseline_ref.name
        version, ready, message = self._version(owner.namespace, version_ref)
        size = self._size(owner.namespace, version_ref, spec)
        cards, unplaced = card_loads(self.cluster, owner, spec)
        others = [name for name in self._arm_versions(owner) if name != version_ref]
        routing = self._routing(owner)
        active = self._active(owner.namespace, owner.name)
        routers = self._router_pods(owner)
        other_arms = tuple(self._arm(owner, name) for name in others)
        claim = spec.cache.claim
        return ServiceFacts(
            record=known.record,
            record_unknown=known.unknown,
            recorded_in_cluster=known.in_cluster,
            version=version,
            version_ready=ready,
            version_message=message,
            published=self._published(owner.namespace, spec.model, version_ref) if version is None else None,
            stable=self._arm(owner, version_ref),
            others=other_arms,
            routing=routing,
            routing_applied=routing is not None and self._all_applied(routers, routing),
            rollout=active.name if active else None,
            candidate_ready=sum(arm.ready for arm in other_arms),
            lending=self._lending(spec),
            routers_ready=sum(pod_facts(pod).ready for pod in routers),
            exchanging=active is not None and active.exchanging,
            claim_exists=claim is None or self.cluster.get("PersistentVolumeClaim", owner.namespace, claim) is not None,
            rollout_service=active.memory.service if active else None,
            size=size,
            keys=self._keys(owner.namespace, spec),
            cards=cards,
            unplaced=unplaced,
            room=_room(spec, size, cards, unplaced),
        )

    def rollout(self, owner: Owner, spec: ModelRolloutSpec) -> RolloutFacts:
        """Facts for a ModelRollout."""
        memory = self.memory(owner)
        version, ready, _ = self._version(owner.namespace, spec.to_ref.name)
        obj = self.cluster.get("ModelService", owner.namespace, spec.service_ref.name)
        service_owner = owner_of(obj) if obj else None
        known = self.records.serving(service_owner) if service_owner else Recorded()
        stable_ref = memory.stable_ref if memory else known.record.version_ref if known.record else ""
        routing = self._routing(service_owner) if service_owner else None
        service = spec_of(obj, ModelServiceSpec) if obj else None
        routers, expected = self._routers(self._router_pods(service_owner)) if service_owner else ((), 0)
        epoch = routing.epoch if routing else "-"
        # A rollback asks nobody but Kubernetes and the routers.
        judged = memory is None or memory.outcome is None
        evidence = self._evidence(service_owner, epoch) if service_owner and judged and epoch.startswith(owner.uid) else None
        outcome, unknown = self._outcome(owner, spec, memory)
        # Once ended, nothing of this is asked any more; and places count with Surge only.
        under_way = memory is None or not memory.ended
        cordoned = self._cordoned() if under_way else frozenset()
        surges = under_way and spec.strategy.capacity == "Surge"
        size = self._size(owner.namespace, spec.to_ref.name, service) if service else None
        other = self._active(owner.namespace, spec.service_ref.name)
        new = judged and memory is not None and memory.epoch_since is None
        fetches = self._fetches(owner, memory) if memory else {}
        lacking = memory is not None and not memory.prepared and len(fetches) < len(memory.nodes)
        compares = judged and spec.analysis.primary.evidence == "Paired" and not spec.undo
        return RolloutFacts(
            service_owner=service_owner,
            service=service,
            serving=known.record,
            to_version=version,
            to_ready=ready,
            before=(other.name,) if other and other.name != owner.name else (),
            memory=memory,
            stable=self._arm(service_owner, stable_ref, cordoned) if service_owner else ArmFacts(stable_ref, ""),
            candidate=self._arm(service_owner, spec.to_ref.name, cordoned) if service_owner else ArmFacts(spec.to_ref.name, ""),
            routing=routing,
            routers=routers,
            routers_expected=expected,
            evidence=evidence,
            lending=self._lending(service) if service else False,
            outcome=outcome,
            outcome_unknown=unknown,
            served=self.records.served(service_owner, service) if service_owner and service else (),
            fetches=fetches,
            needed=self._needed(owner.namespace) if lacking else None,
            stable_version=self._version(owner.namespace, stable_ref)[0] if stable_ref else None,
            to_size=size,
            keys=self._keys(owner.namespace, service) if service else None,
            room=_room(service, size, *card_loads(self.cluster, service_owner, service)) if surges and service and service_owner else 0,
            measured=self._measured(spec) if judged and not spec.undo else {},
            usual=self._evidence(service_owner, "-") if new and service_owner else None,
            serving_since=known.since,
            paired=self.comparisons.facts(owner, spec, version, stable_ref) if compares else None,
        )

    def _measured(self, spec: ModelRolloutSpec) -> dict[str, Measured]:
        """What Prometheus answers to the guardrails that ask it."""
        if not self.settings.prometheus_url:
            return {}
        return self.peers.measured({rail.label: rail.prometheus.query for rail in spec.analysis.guardrails if rail.prometheus is not None})

    def _keys(self, namespace: str, spec: ModelServiceSpec) -> str | None:
        """Names the content of the Secret with API keys; from the name nobody finds a key."""
        if spec.router.auth is None:
            return None
        secret = self.cluster.get("Secret", namespace, spec.router.auth.api_keys_from.secret_ref.name)
        content = json.dumps((secret or {}).get("data") or {}, sort_keys=True)
        if content == "{}":
            return None
        return hmac.new(bytes.fromhex(self.settings.signing_key), content.encode(), sha256).hexdigest()[:16]

    def _size(self, namespace: str, version_ref: str, spec: ModelServiceSpec) -> ModelSize | None:
        """Of a version's file; versions that were trained from the baseline have its shape."""
        said = [status_of(obj, ModelVersionStatus) for name in (version_ref, spec.baseline_ref.name)
                if (obj := self.cluster.get("ModelVersion", namespace, name))]  # fmt: skip
        if not said:
            return None
        count = next((file.bytes for file in said[0].artifacts if file.quantization == spec.quantization), 0)
        return ModelSize(count, next((status.shape for status in said if status.shape), None))

    def _outcome(self, owner: Owner, spec: ModelRolloutSpec, memory: Memory | None) -> tuple[RolloutOutcome | None, bool]:
        """How it ended by the bucket. Only before it begins, and until it is known to be there."""
        if memory is not None and (not memory.ended or memory.kept):
            return None, False
        return self.records.outcome(owner, spec.service_ref.name)

    def _fetches(self, owner: Owner, memory: Memory) -> dict[str, JobFacts]:
        if memory.prepared:
            return {}
        jobs = {node: job_facts(self.cluster, owner.namespace, job_name(owner, node)) for node in memory.nodes}
        return {node: job for node, job in jobs.items() if job is not None}

    def _needed(self, namespace: str) -> frozenset[str] | None:
        """Digests of the GGUFs of all versions that services here serve, go back to or are moving to. None where one can't be told."""
        names: set[str | None] = set()
        for obj in self.cluster.items("ModelService", namespace):
            known = self.records.serving(owner_of(obj))
            if known.unknown:
                return None
            names |= {str(obj["spec"]["baselineRef"]["name"])}
            names |= {known.record.version_ref, known.record.previous_ref} if known.record else set()
        for obj in self.cluster.items("ModelRollout", namespace):
            memory = self.memory(owner_of(obj))
            if memory is None or not memory.ended:
                names |= {str(obj["spec"]["toRef"]["name"]), memory.stable_ref if memory else None}
        versions = [self._version(namespace, name)[0] for name in names if name]
        found = [version for version in versions if version is not None]
        return frozenset(file.sha256 for version in found for file in version.gguf) if len(found) == len(versions) else None

    def memory(self, owner: Owner) -> Memory | None:
        """What a rollout remembers; None before it begins."""
        found = self.cluster.get("ConfigMap", owner.namespace, memory_name(owner))
        if found is None or not any(ref.get("uid") == owner.uid for ref in found["metadata"].get("ownerReferences", [])):
            return None
        return Memory.model_validate_json(found["data"]["memory.json"])

    def exchanging_rollout(self, namespace: str, service: str) -> str | None:
        """Name of the rollout of a service that moves replicas now; in a pause or an analysis none moves."""
        active = self._active(namespace, service)
        return active.name if active and active.exchanging else None

    def _active(self, namespace: str, service: str) -> _Active | None:
        for obj in self.cluster.items("ModelRollout", namespace):
            if obj.get("spec", {}).get("serviceRef", {}).get("name") == service:
                memory = self.memory(owner_of(obj))
                if memory is not None and not memory.ended:
                    return _Active(obj, memory)
        return None

    def _version(self, namespace: str, name: str) -> tuple[ModelVersionSpec | None, bool, str]:
        obj = self.cluster.get("ModelVersion", namespace, name)
        if obj is None:
            return None, False, ""
        status = status_of(obj, ModelVersionStatus)
        phase = status.phase or "new"
        return spec_of(obj, ModelVersionSpec), phase == "Ready", f"ModelVersion {name} is {phase}: {status.message or ''}"

    def _published(self, namespace: str, model: str, ref: str) -> VersionManifest | None:
        return document(self.store, manifest_key(namespace, model, ref.removeprefix(f"{model}-")), VersionManifest)

    def _arm_versions(self, owner: Owner) -> list[str]:
        selector = f"{GROUP}/service={owner.name},app.kubernetes.io/component=server"
        found = self.cluster.items("Deployment", owner.namespace, selector)
        return sorted(str(item["metadata"]["labels"][f"{GROUP}/version"]) for item in found)

    def _arm(self, owner: Owner, version_ref: str, cordoned: frozenset[str] = frozenset()) -> ArmFacts:
        name = deployment_name(owner.name, version_ref)
        found = self.cluster.get("Deployment", owner.namespace, name)
        selector = f"{GROUP}/service={owner.name},{GROUP}/version={version_ref}"
        pods = self.cluster.items("Pod", owner.namespace, selector)
        return ArmFacts(
            version=version_ref, deployment=name, exists=found is not None,
            replicas=int(found["spec"].get("replicas", 1)) if found else 0,
            pods=tuple(pod_facts(pod, cordoned) for pod in pods if holds_place(pod)),
            settled=found is None or is_settled(found, pods),
            template=found["metadata"].get("annotations", {}).get(TEMPLATE) if found else None,
            surges=bool(found and found["spec"].get("strategy", {}).get("rollingUpdate", {}).get("maxSurge")),
        )  # fmt: skip

    def _cordoned(self) -> frozenset[str]:
        """Nodes that take no new pods."""
        nodes = self.cluster.items("Node")
        return frozenset(str(node["metadata"]["name"]) for node in nodes if node.get("spec", {}).get("unschedulable"))

    def _routing(self, owner: Owner) -> Routing | None:
        found = self.cluster.get("ConfigMap", owner.namespace, routing_name(owner.name))
        return Routing.model_validate_json(found["data"]["routing.json"]) if found else None

    def _router_pods(self, owner: Owner) -> list[Object]:
        pods = self.cluster.items("Pod", owner.namespace, f"{GROUP}/router={owner.name}")
        return [
            pod for pod in pods if holds_place(pod) and "deletionTimestamp" not in pod["metadata"] and pod.get("status", {}).get("podIP")
        ]

    def _routers(self, pods: list[Object]) -> tuple[tuple[RouterState, ...], int]:
        """What each router has applied, and of how many; one that takes no traffic yet does not count."""
        states, expected = [], 0
        for pod in pods:
            state = self.peers.router_state(str(pod["status"]["podIP"]))
            if state is not None:
                states.append(state)
            if state is not None or pod_facts(pod).ready:
                expected += 1
        return tuple(states), expected

    def _all_applied(self, pods: list[Object], routing: Routing) -> bool:
        states, expected = self._routers(pods)
        return bool(states) and len(states) >= expected and all(state.generation == routing.generation for state in states)

    def _evidence(self, owner: Owner, epoch: str) -> Evidence | None:
        return self.peers.evidence(owner.namespace, owner.name, epoch, service_key(self.settings, owner))

    def _lending(self, spec: ModelServiceSpec) -> bool:
        """Whether a trainer pod with training's priority runs or is wanted on a node that this service may use."""
        for pod in self.cluster.items("Pod", selector="app.kubernetes.io/component=trainer"):
            if not holds_place(pod) or pod["spec"].get("priorityClassName") != self.settings.training_priority_class:
                continue
            selector, wanted = pod["spec"].get("nodeSelector", {}), spec.placement.node_selector
            if all(selector.get(key, value) == value for key, value in wanted.items()):
                return True
        return False


def _room(spec: ModelServiceSpec, size: ModelSize | None, cards: tuple[CardLoad, ...], unplaced: tuple[Unplaced, ...]) -> int:
    """Free places for a replica, by slices and by memory. On the CPU the scheduler alone knows: one is tried."""
    if not spec.placement.gpus:
        return 1
    return max(0, places(spec, serving_bytes(spec, size) or 1, cards, unplaced) - sum(card.own for card in cards))
