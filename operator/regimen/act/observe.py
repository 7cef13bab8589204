"""Gather the facts of one resource, live. Deciding is `regimen.plan`'s; here nothing is judged and nothing is changed."""

from collections.abc import Iterator
from dataclasses import replace

from regimen.act.arms import ServiceArms
from regimen.act.cards import card_facts, lender_facts, rival_facts, stepped_aside
from regimen.act.claims import Claims
from regimen.act.cluster import Cluster, Object
from regimen.act.parts import document, job_facts, spec_of, status_of, training_jobs
from regimen.plan import dataset as dataset_plan
from regimen.plan import version as version_plan
from regimen.plan.common import Owner, Settings
from regimen.plan.dataset import DatasetFacts
from regimen.plan.finetune_facts import BaseFacts, FineTuneFacts, JobStageFacts, fine_tuned, version_name
from regimen.plan.finetune_facts import DatasetFacts as FineTuneDatasetFacts
from regimen.plan.finetune_tasks import ADOPT, CONVERT, EVALUATE, RunStage, job_name
from regimen.plan.training import Spent, TrainingFacts
from regimen.plan.version import VersionFacts
from regimen.spec.artifacts import (
    Artifact,
    Claim,
    DatasetManifest,
    Progress,
    Stage,
    StageRecord,
    VersionManifest,
    dataset_prefix,
    manifest_key,
    prepared_key,
    progress_key,
    stage_record_key,
)
from regimen.spec.dataset import Source, TrainingDatasetSpec, TrainingDatasetStatus
from regimen.spec.finetune import FineTuneJobSpec, FineTuneJobStatus
from regimen.spec.service import ModelServiceSpec
from regimen.spec.version import ModelVersionSpec, ModelVersionStatus
from regimen.store import Store

WEIGHTS: Stage = "weights"


class Observer:
    """Reads what each kind's `decide` needs."""

    def __init__(self, cluster: Cluster, store: Store, settings: Settings, arms: ServiceArms) -> None:
        self.cluster = cluster
        self.store = store
        self.settings = settings
        self.arms = arms
        self.claims = Claims(store)

    def dataset(self, owner: Owner, spec: TrainingDatasetSpec, obj: Object, now: float) -> DatasetFacts:
        sources = tuple(self._sources(spec))
        facts = DatasetFacts(sources, None, None, status_of(obj, TrainingDatasetStatus), self._tokenizer(owner.namespace, spec))
        try:
            made_from = dataset_plan.inputs(owner, spec, sources, now)
        except ValueError:
            return facts  # decide asks the same and says what is wrong
        return replace(
            facts,
            prepared=document(self.store, prepared_key(owner.namespace, owner.name, made_from.prepared), DatasetManifest),
            job=job_facts(self.cluster, owner.namespace, dataset_plan.job_name(owner, made_from.job)),
        )

    def _sources(self, spec: TrainingDatasetSpec) -> Iterator[tuple[str, str, str | None]]:
        for name in ("claims", "documents"):
            source: Source | None = getattr(spec.sources, name)
            for kind in ("csv", "golden") if source else ():
                for index, file in enumerate(getattr(source, kind)):
                    field = f"sources.{name}.{kind}[{index}].uri"
                    found = self.store.matching(file.uri)
                    yield from ((field, uri, tag) for uri, tag in found.items()) if found else [(field, file.uri, None)]

    def _tokenizer(self, namespace: str, spec: TrainingDatasetSpec) -> str | None:
        base = self.cluster.get("ModelVersion", namespace, spec.tokens.base_ref.name) if spec.tokens else None
        weights = BaseFacts(spec_of(base, ModelVersionSpec), status_of(base, ModelVersionStatus)).weights if base else None
        return weights.uri if weights else None

    def version(self, owner: Owner, spec: ModelVersionSpec) -> VersionFacts:
        published = document(self.store, manifest_key(owner.namespace, spec.model, spec.version), VersionManifest)
        place = (owner.namespace, spec.model, spec.version, owner.uid, WEIGHTS)
        return VersionFacts(
            published=published,
            imported=None if published else document(self.store, stage_record_key(*place), StageRecord),
            job=None if published else job_facts(self.cluster, owner.namespace, version_plan.job_name(owner)),
            progress=None if published else document(self.store, progress_key(*place), Progress),
        )

    def finetune(self, owner: Owner, spec: FineTuneJobSpec, obj: Object) -> FineTuneFacts:
        base = self._base(owner.namespace, spec.base_ref.name)
        if base is None:
            return FineTuneFacts(
                base=None, dataset=self._dataset(owner, spec, None), version=None, claim=None, manifest=None, version_exists=False
            )
        version, claim = self.claimed(owner, spec, base.spec.model)
        resource = spec.placement.gpu_resource
        cards = card_facts(self.cluster, self._selector(spec), resource)
        said = status_of(obj, FineTuneJobStatus)
        name = version_name(base.spec.model, version)
        return FineTuneFacts(
            base=base,
            dataset=self._dataset(owner, spec, claim if claim and claim.uid == owner.uid else None),
            version=version,
            claim=claim,
            manifest=document(self.store, manifest_key(owner.namespace, base.spec.model, version), VersionManifest),
            version_exists=self.cluster.get("ModelVersion", owner.namespace, name) is not None,
            holder_gone=claim is not None and not self._holds(claim),
            contenders=self._contenders(owner, spec, base, version),
            adapter=self._training(owner, base.spec.model, version),
            adoption=self._stage(owner, base.spec.model, version, ADOPT) if spec.adapter else JobStageFacts(),
            gguf=self._stage(owner, base.spec.model, version, CONVERT),
            evaluation=self._stage(owner, base.spec.model, version, EVALUATE),
            cards=cards,
            lenders=lender_facts(self.cluster, self.arms, cards, resource),
            rivals=rival_facts(self.cluster, owner, self.settings.training_node_selector, cards, resource),
            said=Spent(said.gpu_seconds or 0, said.attempts or 0),
            stepped_aside=stepped_aside(self.cluster, cards),
        )

    def _selector(self, spec: FineTuneJobSpec) -> dict[str, str]:
        chosen = spec.placement.node_selector
        return dict(chosen if chosen is not None else self.settings.training_node_selector)

    def _base(self, namespace: str, name: str) -> BaseFacts | None:
        obj = self.cluster.get("ModelVersion", namespace, name)
        if obj is None:
            return None
        spec = spec_of(obj, ModelVersionSpec)
        key = stage_record_key(namespace, spec.model, spec.version, obj["metadata"]["uid"], WEIGHTS)
        return BaseFacts(spec, status_of(obj, ModelVersionStatus), document(self.store, key, StageRecord))

    def _dataset(self, owner: Owner, spec: FineTuneJobSpec, claim: Claim | None) -> FineTuneDatasetFacts | None:
        """The dataset with its pinned revision, or with its newest."""
        name = spec.dataset_ref.name
        obj = self.cluster.get("TrainingDataset", owner.namespace, name)
        if obj is None:
            return None
        status = status_of(obj, TrainingDatasetStatus)
        revision = claim.dataset_revision if claim else status.revision
        manifest = None
        if revision:
            manifest = document(self.store, dataset_prefix(owner.namespace, name, revision) + "manifest.json", DatasetManifest)
        task = next((task for task in spec_of(obj, TrainingDatasetSpec).tasks if task.name == spec.dataset_ref.task), None)
        return FineTuneDatasetFacts(manifest, task, status.phase or "", status.message or "")

    def claimed(self, owner: Owner, spec: FineTuneJobSpec, model: str) -> tuple[str, Claim | None]:
        """The version asked for and who holds it. For Next: the one this job holds, else the first that nobody holds."""
        if spec.version != "Next":
            return spec.version, self.claims.of(owner.namespace, model, spec.version)
        return self.claims.next_minor(owner.namespace, model, owner.uid, lambda version: self._is_free(owner.namespace, model, version))

    def _holds(self, claim: Claim) -> bool:
        """Whether the job that claimed a version still exists."""
        namespace, _, name = claim.job.partition("/")
        job = self.cluster.get("FineTuneJob", namespace, name)
        return job is not None and job["metadata"]["uid"] == claim.uid

    def _is_free(self, namespace: str, model: str, version: str) -> bool:
        """Whether no ModelVersion that a person wrote has the name."""
        return self.cluster.get("ModelVersion", namespace, version_name(model, version)) is None

    def _training(self, owner: Owner, model: str, version: str) -> TrainingFacts:
        # Jobs first: a pod leaves its record before it ends, so one that is seen to have ended has left it.
        jobs, holding = training_jobs(self.cluster, owner)
        return TrainingFacts(
            record=document(self.store, stage_record_key(owner.namespace, model, version, owner.uid, "adapter"), StageRecord),
            jobs=jobs,
            progress=document(self.store, progress_key(owner.namespace, model, version, owner.uid, "adapter"), Progress),
            holding=holding,
        )

    def _stage(self, owner: Owner, model: str, version: str, stage: RunStage) -> JobStageFacts:
        job = job_facts(self.cluster, owner.namespace, job_name(owner, stage))
        record = document(self.store, stage_record_key(owner.namespace, model, version, owner.uid, stage.stage), StageRecord)
        if record is not None:
            return JobStageFacts(record=record)
        key = progress_key(owner.namespace, model, version, owner.uid, stage.stage)
        return JobStageFacts(job=job, progress=document(self.store, key, Progress) if job else None)

    def _contenders(self, owner: Owner, spec: FineTuneJobSpec, base: BaseFacts, own: str) -> tuple[tuple[str, str, Artifact | None], ...]:
        """compareWith, each with its version and that one's file; without First where nothing fine-tuned is published yet."""
        found = []
        for label in spec.evaluation.compare_with:
            name = self._contender(owner.namespace, label, spec.base_ref.name, base.spec.model, own)
            if name is not None:
                found.append((label, name, self._gguf(owner.namespace, name, spec.output.quantizations[0])))
        return tuple(found)

    def _contender(self, namespace: str, label: str, base: str, model: str, own: str) -> str | None:
        match label:
            case "Baseline":
                return base
            case "First":
                return self._first(namespace, model, own)
            case _:
                return self._serving(namespace, model, base)

    def _first(self, namespace: str, model: str, own: str) -> str | None:
        """The model's lowest version that a job published, other than the job's own; the bucket says which were (law 7)."""
        specs = [spec_of(obj, ModelVersionSpec) for obj in self.cluster.items("ModelVersion", namespace)]
        candidates = fine_tuned((spec.version for spec in specs if spec.model == model), own)
        published = (version for version in candidates if self.store.exists(manifest_key(namespace, model, version)))
        first = next(published, None)
        return version_name(model, first) if first else None

    def _serving(self, namespace: str, model: str, otherwise: str) -> str:
        """What the model's first service serves; the base where no service serves the model."""
        for obj in self.cluster.items("ModelService", namespace):
            if spec_of(obj, ModelServiceSpec).model == model and (version := obj.get("status", {}).get("stableVersion")):
                return str(version)
        return otherwise

    def _gguf(self, namespace: str, name: str, quantization: str) -> Artifact | None:
        """A version's file of that quantisation, else its first."""
        obj = self.cluster.get("ModelVersion", namespace, name)
        if obj is None:
            return None
        files = sorted(spec_of(obj, ModelVersionSpec).gguf, key=lambda file: file.quantization != quantization)
        return Artifact(path=files[0].uri.rsplit("/", 1)[1], uri=files[0].uri, sha256=files[0].sha256, bytes=0)
