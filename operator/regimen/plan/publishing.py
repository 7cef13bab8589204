"""What a version is published with: its lineage, its model card, its manifest. Everything in them comes from records in the bucket."""

from hashlib import sha256

from regimen.plan.actions import Action, Put, PutOnce, Remove
from regimen.plan.card import About, card
from regimen.plan.common import Owner
from regimen.plan.finetune_facts import FineTuneFacts, version_name
from regimen.plan.gates import evaluated_against
from regimen.plan.published import quantization_of
from regimen.spec.artifacts import CARD, Artifact, Lineage, StageRecord, VersionManifest, card_key, manifest_key
from regimen.spec.finetune import FineTuneJobSpec

LIBRARY = "library."
"""Begins the figures in which stages say which libraries they used."""


def records(facts: FineTuneFacts) -> dict[str, StageRecord]:
    """The records of the stages that are done."""
    seen = {"adapter": facts.adapter.record, "gguf": facts.gguf.record, "evaluation": facts.evaluation.record}
    return {name: record for name, record in seen.items() if record is not None}


def lineage(owner: Owner, spec: FineTuneJobSpec, facts: FineTuneFacts) -> Lineage:
    """Where the version comes from, as far as its stages have come."""
    weights = facts.base.weights if facts.base else None
    imported = facts.base.imported.figures if facts.base and facts.base.imported else {}
    revision = facts.dataset.manifest if facts.dataset else None
    done = records(facts)
    figures = [item for record in done.values() for item in record.figures.items()]
    return Lineage(
        base_ref=spec.base_ref.name,
        base_digest=weights.sha256 if weights else None,
        base_source=_text(imported.get("source")),
        base_license=_text(imported.get("license")),
        dataset=spec.dataset_ref.name,
        dataset_revision=facts.claim.dataset_revision if facts.claim else None,
        split_seed=revision.split_seed if revision else None,
        task=spec.dataset_ref.task,
        fine_tune_job=owner.name,
        # What may be changed while the job runs says nothing about the result.
        job_spec=spec.model_dump(mode="json", by_alias=True, exclude_none=True, exclude={"suspend", "window"}),
        adapter_source=spec.adapter.s3.uri if spec.adapter else None,
        images={stage: record.image for stage, record in done.items() if record.image},
        libraries={name.removeprefix(LIBRARY): str(value) for name, value in figures if name.startswith(LIBRARY)},
    )


def _text(value: object) -> str | None:
    return str(value) if value else None


def is_asked_for(file: Artifact, spec: FineTuneJobSpec) -> bool:
    """Whether a GGUF is of output.quantizations: only those are published."""
    return quantization_of(file.path) in spec.output.quantizations


def left_over(spec: FineTuneJobSpec, facts: FineTuneFacts) -> tuple[Remove, ...]:
    """What conversion made for evaluation alone (the 16-bit GGUF), for a job that has ended: the bucket would keep it for ever."""
    made = facts.gguf.record.files if facts.gguf.record else []
    return tuple(Remove(file.uri.split("/", 3)[3]) for file in made if not is_asked_for(file, spec))


def documents(owner: Owner, spec: FineTuneJobSpec, facts: FineTuneFacts) -> tuple[Action, ...]:
    """The model card, then the manifest that names its digest and so fixes both.

    A card without a manifest, which a job that is gone may have left, belongs to no version and is written over.
    """
    dataset, done = facts.dataset, records(facts)
    if facts.base is None or facts.version is None or dataset is None or dataset.manifest is None or dataset.task is None:
        raise AssertionError("nothing is published while something is missing")
    model, version = facts.base.spec.model, facts.version
    manifest = VersionManifest(
        name=version_name(model, version),
        model=model,
        version=version,
        lineage=lineage(owner, spec, facts),
        adapter=done["adapter"].files,
        gguf=[file for file in done["gguf"].files if is_asked_for(file, spec)],
        evaluation=done["evaluation"].files,
        figures=done["evaluation"].figures,
        published_at=done["evaluation"].finished_at,
    )
    against = evaluated_against(manifest.figures, facts.contenders)
    rows = next(task for task in dataset.manifest.tasks if task.name == spec.dataset_ref.task)
    text = card(manifest, About(rows, dataset.task.output, against)).encode()
    key = card_key(owner.namespace, model, version)
    bucket = manifest.gguf[0].uri.split("/")[2]
    named = Artifact(path=CARD, uri=f"s3://{bucket}/{key}", sha256=sha256(text).hexdigest(), bytes=len(text))
    last = manifest.model_copy(update={"card": named}).model_dump_json(by_alias=True, indent=1)
    return Put(key, text), PutOnce(manifest_key(owner.namespace, model, version), last.encode())
