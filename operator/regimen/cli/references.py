"""What documents of one set of files say of each other. Only doubts: what is missing here may exist in the cluster.

Expects documents in which `regimen.spec.validate.check` found nothing wrong.
"""

import json
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import TypeVar

from regimen.spec.dataset import TrainingDatasetSpec
from regimen.spec.finetune import FineTuneJobSpec
from regimen.spec.meta import Spec
from regimen.spec.rollout import ModelRolloutSpec
from regimen.spec.schedule import RetrainScheduleSpec
from regimen.spec.service import ModelServiceSpec
from regimen.spec.validate import BY_NAME, Document, Path, Problem
from regimen.spec.version import ModelVersionSpec

T = TypeVar("T", bound=Spec)


@dataclass(frozen=True)
class Reference:
    """A field that names another resource of the same namespace."""

    path: Path
    kind: type[Spec]
    name: str


def references(spec: Spec) -> Iterator[Reference]:
    """Every reference of a spec."""
    match spec:
        case FineTuneJobSpec():
            yield Reference(("spec", "baseRef", "name"), ModelVersionSpec, spec.base_ref.name)
            yield Reference(("spec", "datasetRef", "name"), TrainingDatasetSpec, spec.dataset_ref.name)
        case ModelServiceSpec():
            yield Reference(("spec", "baselineRef", "name"), ModelVersionSpec, spec.baseline_ref.name)
        case ModelRolloutSpec():
            yield Reference(("spec", "serviceRef", "name"), ModelServiceSpec, spec.service_ref.name)
            yield Reference(("spec", "toRef", "name"), ModelVersionSpec, spec.to_ref.name)
            if spec.from_ref:
                yield Reference(("spec", "fromRef", "name"), ModelVersionSpec, spec.from_ref.name)
        case RetrainScheduleSpec():
            yield Reference(("spec", "baseRef", "name"), ModelVersionSpec, spec.base_ref.name)
            yield Reference(("spec", "serviceRef", "name"), ModelServiceSpec, spec.service_ref.name)
            yield Reference(("spec", "datasetRef", "name"), TrainingDatasetSpec, spec.dataset_ref.name)


class Manifests:
    """The given documents by namespace, kind and name."""

    def __init__(self, documents: Sequence[Document]) -> None:
        self.specs: dict[tuple[str, type[Spec], str], Spec] = {}
        for document in documents:
            if document.ours:
                kind = BY_NAME[document.kind].spec
                parsed = kind.model_validate_json(json.dumps(document.body["spec"]))
                self.specs[document.namespace, kind, document.name] = parsed
        self.made = set(self._made())

    def _made(self) -> Iterator[tuple[str, str]]:
        """(namespace, name) of the ModelVersions that the FineTuneJobs among the documents will publish."""
        for (namespace, _, _), spec in self.specs.items():
            if isinstance(spec, FineTuneJobSpec):
                base = self.specs.get((namespace, ModelVersionSpec, spec.base_ref.name))
                if isinstance(base, ModelVersionSpec):
                    yield namespace, f"{base.model}-{spec.version}"

    def find(self, namespace: str, kind: type[T], name: str) -> T | None:
        found = self.specs.get((namespace, kind, name))
        return found if isinstance(found, kind) else None

    def answers(self, namespace: str, reference: Reference) -> bool:
        """Whether a reference is to something here, or to something that will come of it."""
        if (namespace, reference.kind, reference.name) in self.specs:
            return True
        return reference.kind is ModelVersionSpec and (namespace, reference.name) in self.made


def doubts(documents: Sequence[Document]) -> list[Problem]:
    """Warnings about what the documents say of each other."""
    manifests = Manifests(documents)
    return [problem for document in documents if document.ours for problem in _doubts(document, manifests)]


def _doubts(document: Document, manifests: Manifests) -> Iterator[Problem]:
    spec = manifests.specs[document.namespace, BY_NAME[document.kind].spec, document.name]
    kinds = {kind.spec: kind.name for kind in BY_NAME.values()}
    for reference in references(spec):
        if not manifests.answers(document.namespace, reference):
            message = f"no {kinds[reference.kind]} {reference.name} in these files; it must be in the cluster"
            yield Problem(document, reference.path, message, warning=True)
    for path, message in _misfits(spec, document.namespace, manifests):
        yield Problem(document, path, message, warning=True)


def _misfits(spec: Spec, namespace: str, manifests: Manifests) -> Iterator[tuple[Path, str]]:
    """Where a document contradicts one that it refers to."""
    match spec:
        case FineTuneJobSpec() | RetrainScheduleSpec():
            dataset = manifests.find(namespace, TrainingDatasetSpec, spec.dataset_ref.name)
            if dataset and spec.dataset_ref.task not in [task.name for task in dataset.tasks]:
                yield ("spec", "datasetRef", "task"), f"{spec.dataset_ref.name} has no task {spec.dataset_ref.task}; add it there"
            base = manifests.find(namespace, ModelVersionSpec, spec.base_ref.name)
            if base and base.weights is None:
                yield ("spec", "baseRef", "name"), f"{spec.base_ref.name} has no weights to train from; add spec.weights there"
        case ModelServiceSpec():
            baseline = manifests.find(namespace, ModelVersionSpec, spec.baseline_ref.name)
            if baseline and baseline.model != spec.model:
                yield ("spec", "model"), f"{spec.baseline_ref.name} is a version of {baseline.model}, not of {spec.model}"
            if baseline and spec.quantization not in [file.quantization for file in baseline.gguf]:
                yield ("spec", "quantization"), f"{spec.baseline_ref.name} has no {spec.quantization} file; add it there"
        case ModelRolloutSpec():
            service = manifests.find(namespace, ModelServiceSpec, spec.service_ref.name)
            asked = [step.set_replicas for step in spec.strategy.steps if step.set_replicas is not None]
            if service and (not asked or asked[-1] != service.replicas):
                last = asked[-1] if asked else "missing"
                yield ("spec", "strategy", "steps"), f"the last setReplicas is {last}; end with all {service.replicas} replicas"
