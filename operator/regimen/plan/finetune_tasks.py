"""The Jobs of a FineTuneJob's stages: what each is told, and where it runs."""

from collections.abc import Mapping
from dataclasses import dataclass

from regimen.plan.actions import Manifest
from regimen.plan.common import Owner, Settings, dns_name, trainer_job
from regimen.plan.finetune_facts import FineTuneFacts
from regimen.plan.publishing import lineage
from regimen.plan.training import stop_at
from regimen.plan.window import Opening
from regimen.spec.artifacts import Stage
from regimen.spec.finetune import FineTuneJobSpec
from regimen.spec.meta import parse_duration
from regimen.spec.phases import JobPhase
from regimen.spec.tasks import AdoptTask, Contender, ConvertTask, EvaluateTask, Task, TrainTask


@dataclass(frozen=True)
class RunStage:
    """How one stage is shown and named."""

    stage: Stage
    phase: JobPhase
    verb: str


TRAIN = RunStage("adapter", JobPhase.TRAINING, "train")
ADOPT = RunStage("adapter", JobPhase.CONVERTING, "adopt")
CONVERT = RunStage("gguf", JobPhase.CONVERTING, "convert")
EVALUATE = RunStage("evaluation", JobPhase.EVALUATING, "evaluate")


def job_name(owner: Owner, stage: RunStage) -> str:
    """Of a stage that needs no window."""
    return dns_name(owner.name, stage.verb, owner.uid[:8])


def stage_job(owner: Owner, spec: FineTuneJobSpec, settings: Settings, stage: RunStage, task: Task) -> Manifest:
    """Of a stage that needs no card."""
    return trainer_job(
        owner, job_name(owner, stage), task.model_dump_json(by_alias=True), settings,
        node_selector=node_selector(spec, settings),
        deadline_seconds=parse_duration(spec.max_duration),
        backoff_limit=spec.backoff_limit,
        cache=spec.cache if stage in {ADOPT, CONVERT} else None,
    )  # fmt: skip


def node_selector(spec: FineTuneJobSpec, settings: Settings) -> Mapping[str, str]:
    return spec.placement.node_selector if spec.placement.node_selector is not None else settings.training_node_selector


def stage_task(owner: Owner, spec: FineTuneJobSpec, facts: FineTuneFacts, stage: RunStage, now_open: Opening | None = None) -> Task:
    base, dataset = facts.base, facts.dataset
    weights = base.weights if base else None
    if base is None or weights is None or dataset is None or dataset.manifest is None or dataset.task is None:
        raise AssertionError("_missing lets nothing through that is missing")
    common = {
        "namespace": owner.namespace, "job": owner.path, "uid": owner.uid, "model": base.spec.model, "version": facts.version or "",
    }  # fmt: skip
    from_base = {"base_uri": weights.uri, "base_digest": weights.sha256}
    task = next(task for task in dataset.manifest.tasks if task.name == spec.dataset_ref.task)
    files = {file.path: file.uri for file in dataset.manifest.files}
    if stage is TRAIN:
        return TrainTask(
            **common, **from_base, train_uri=files[task.train_path], method=spec.method,
            checkpoint=spec.checkpoint, stop_at=stop_at(now_open),
        )  # fmt: skip
    if stage is ADOPT and spec.adapter is not None:
        return AdoptTask(**common, **from_base, adapter_uri=spec.adapter.s3.uri)
    if stage is CONVERT:
        return ConvertTask(
            **common, **from_base, quantizations=spec.output.quantizations,
            keep_f16=spec.evaluation.needs_16_bit, lineage=lineage(owner, spec, facts),
        )  # fmt: skip
    output = dataset.task.output
    return EvaluateTask(
        **common, quantization=spec.output.quantizations[0], test_uri=files[task.test_path],
        output=output.type, labels=output.labels, positive=output.positive,
        against=[Contender(name=label, version=name, gguf=gguf) for label, name, gguf in facts.contenders if gguf is not None],
        evaluation=spec.evaluation, lineage=lineage(owner, spec, facts),
    )  # fmt: skip
