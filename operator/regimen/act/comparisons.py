"""Facts of a rollout's paired evidence: the dataset, the revisions that were trained on, the comparisons that are done."""

import logging

from regimen.act.cluster import Cluster
from regimen.act.parts import document, job_facts, spec_of, status_of
from regimen.plan.common import Owner
from regimen.plan.comparison import job_name
from regimen.plan.rollout_facts import PairedFacts
from regimen.spec.artifacts import (
    DatasetManifest,
    Lineage,
    PairedEvidence,
    StageRecord,
    VersionManifest,
    comparison_uid,
    dataset_prefix,
    manifest_key,
    stage_record_key,
    version_prefix,
)
from regimen.spec.dataset import TrainingDatasetSpec, TrainingDatasetStatus
from regimen.spec.rollout import ModelRolloutSpec
from regimen.spec.version import ModelVersionSpec
from regimen.store import Store, StoreError

log = logging.getLogger(__name__)


class Comparisons:
    """Reads them. What the bucket has of a comparison never changes, so it is read once."""

    def __init__(self, cluster: Cluster, store: Store) -> None:
        self.cluster = cluster
        self.store = store
        self._done: dict[str, PairedEvidence] = {}
        """By key of the record."""

    def facts(self, owner: Owner, spec: ModelRolloutSpec, to_version: ModelVersionSpec | None, stable_ref: str) -> PairedFacts | None:
        """None where the bucket cannot be asked: a rollback must not wait for it (law 3)."""
        ref = spec.analysis.primary.dataset_ref
        if ref is None or to_version is None:
            return None
        try:
            return self._facts(owner, ref.name, ref.task, to_version, stable_ref)
        except StoreError as error:
            log.warning("what rollout %s compared cannot be read: %s", owner.path, error)
            return None

    def _facts(self, owner: Owner, dataset: str, task: str, to_version: ModelVersionSpec, stable_ref: str) -> PairedFacts:
        obj = self.cluster.get("TrainingDataset", owner.namespace, dataset)
        stable = self.cluster.get("ModelVersion", owner.namespace, stable_ref)
        stable_version = spec_of(stable, ModelVersionSpec) if stable is not None else None
        ours = self._trained_on(owner.namespace, dataset, to_version)
        theirs = self._trained_on(owner.namespace, dataset, stable_version)
        known = tuple({manifest.digest: manifest for manifest in (ours, theirs) if manifest is not None}.values())
        if obj is None:
            return PairedFacts(None, None, known, ours is not None)
        revision = status_of(obj, TrainingDatasetStatus).revision
        found = next((item for item in spec_of(obj, TrainingDatasetSpec).tasks if item.name == task), None)
        newest = self._revision(owner.namespace, dataset, revision)
        evidence = self._evidence(owner, to_version, newest)
        return PairedFacts(
            output=found.output if found is not None else None, newest=newest, known=known, trained=ours is not None,
            groups=tuple(evidence.groups) if evidence is not None else (), compared=evidence.revision if evidence is not None else None,
            job=job_facts(self.cluster, owner.namespace, job_name(owner.name, owner.uid, newest.digest)) if newest is not None else None,
        )  # fmt: skip

    def _trained_on(self, namespace: str, dataset: str, version: ModelVersionSpec | None) -> DatasetManifest | None:
        """The revision of the dataset that a version was trained on, as its published manifest says."""
        if version is None:
            return None
        manifest = document(self.store, manifest_key(namespace, version.model, version.version), VersionManifest)
        lineage = manifest.lineage if manifest is not None else Lineage()
        return self._revision(namespace, dataset, lineage.dataset_revision if lineage.dataset == dataset else None)

    def _revision(self, namespace: str, dataset: str, digest: str | None) -> DatasetManifest | None:
        return document(self.store, dataset_prefix(namespace, dataset, digest) + "manifest.json", DatasetManifest) if digest else None

    def _evidence(self, owner: Owner, version: ModelVersionSpec, newest: DatasetManifest | None) -> PairedEvidence | None:
        """By the newest revision; while that is being compared, the last one that is done."""
        prefix = f"{version_prefix(owner.namespace, version.model, version.version)}jobs/{owner.uid}-"
        keys = [key for key in self.store.keys(prefix) if key.endswith("/evaluation.json")]
        wanted = None
        if newest is not None:
            uid = comparison_uid(owner.uid, newest.digest)
            wanted = stage_record_key(owner.namespace, version.model, version.version, uid, "evaluation")
        found = [self._read(key) for key in keys]
        return next((item for key, item in zip(keys, found, strict=True) if key == wanted), None) or max(
            found, key=lambda item: sum(cases for cases, _, _ in item.groups), default=None
        )

    def _read(self, key: str) -> PairedEvidence:
        if key not in self._done:
            record = StageRecord.model_validate_json(self.store.get(key))
            self._done[key] = PairedEvidence.model_validate_json(self.store.get_uri(record.files[0].uri))
        return self._done[key]
