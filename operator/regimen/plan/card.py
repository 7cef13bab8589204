"""A version's model card: README.md in Hugging Face's form, from what the version's manifest and its revision's report say.

Pure, and the same text for the same facts. Counts and figures only: nothing of any record (law 8). The front matter is what a hub or a registry
reads (https://huggingface.co/docs/hub/model-cards), the rest is for the person who must answer for the model.
"""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, get_args

import yaml

from regimen.spec.artifacts import Artifact, Lineage, TaskFigures, VersionManifest
from regimen.spec.dataset import TaskOutput
from regimen.spec.finetune import Metric

HUB_METRICS = {"agreement": "accuracy", "rougeL": "rouge"}
"""Figures that a hub knows under another name."""
WORDS = {
    "agreement": "agreement with the experts", "falseDenialRate": "false denials", "falseApprovalRate": "false approvals",
    "unparseableRate": "answers without a label", "rouge1": "ROUGE-1 against the final document", "rouge2": "ROUGE-2",
    "rougeL": "ROUGE-L against the final document", "editDistance": "edit distance to the final document",
    "quantizationDivergence": "mean KL divergence from 16 bit, nats", "flippedAnswers": "answers that quantising changed",
    "mcnemarP": "exact McNemar p-value of the difference",
}  # fmt: skip
"""Figures whose name does not say what they are."""
FIGURES: tuple[str, ...] = (*get_args(Metric), "mcnemarP")


@dataclass(frozen=True)
class About:
    """What the card says besides the manifest."""

    rows: TaskFigures
    output: TaskOutput
    contenders: Mapping[str, str]
    """ModelVersion that was compared with, by name (Serving, Baseline)."""


def card(manifest: VersionManifest, facts: About) -> str:
    """The whole text."""
    front = yaml.safe_dump(front_matter(manifest, facts), sort_keys=False, allow_unicode=True, width=1000)
    sections = [
        *_about(manifest, facts), *_training(manifest.lineage, facts), *_evaluation(manifest, facts), *_files(manifest), *_lineage(manifest.lineage),
    ]  # fmt: skip
    return f"---\n{front}---\n\n" + "\n".join(sections) + "\n"


def front_matter(manifest: VersionManifest, facts: About) -> dict[str, Any]:
    """What programs read. A base that did not come from a hub has its own name here."""
    lineage = manifest.lineage
    return {
        "base_model": _hub_name(lineage) or lineage.base_ref,
        "base_model_relation": "finetune",
        "license": lineage.base_license or "other",
        "library_name": "gguf",
        "pipeline_tag": "text-generation",
        "tags": ["gguf", "llama.cpp", "lora", "regimen", str(lineage.task)],
        "model-index": [{"name": manifest.name, "results": [_result(manifest, facts)]}],
    }


def _result(manifest: VersionManifest, facts: About) -> dict[str, Any]:
    lineage, figures = manifest.lineage, manifest.figures
    kind = "text-classification" if facts.output.type == "Label" else "text-generation"
    measured = {name: figures.get(name) for name in FIGURES}
    return {
        "task": {"type": kind, "name": lineage.task},
        "dataset": {
            "type": lineage.dataset,
            "name": f"{lineage.dataset}, held-out rows",
            "split": "test",
            "revision": lineage.dataset_revision,
        },
        "metrics": [
            {"type": HUB_METRICS.get(name, name), "name": WORDS.get(name, name), "value": round(value, 4)}
            for name, value in measured.items()
            if isinstance(value, int | float)
        ],
    }


def _about(manifest: VersionManifest, facts: About) -> Iterator[str]:
    lineage = manifest.lineage
    how = f"an adapter trained elsewhere ({lineage.adapter_source})" if lineage.adapter_source else "a LoRA adapter trained by Regimen"
    yield f"# {manifest.name}\n"
    yield f"`{lineage.base_ref}` with {how}, merged into its 16-bit weights, as GGUF files for llama.cpp. Task: `{lineage.task}`.\n"
    yield "## Intended use\n"
    if facts.output.type == "Label":
        yield f"It recommends one of {', '.join(facts.output.labels)}. **A person decides every denial**, and is shown that this is a recommendation.\n"
    else:
        yield "It drafts text. **A person reads, corrects and signs every text** before it counts.\n"
    yield "It is made for the records of the business that trained it. Nobody measured it on others.\n"


def _training(lineage: Lineage, facts: About) -> Iterator[str]:
    yield "## Training data\n"
    yield f"Dataset `{lineage.dataset}`, revision `{lineage.dataset_revision}`; split by seed {_cell(lineage.split_seed)}.\n"
    yield from _table(("rows", "count"), [("to train on", facts.rows.train), ("held out", facts.rows.test), *facts.rows.labels.items()])
    if lineage.adapter_source:
        yield "The adapter was trained elsewhere; that it was trained on these rows is not known, only that it was judged on the held-out ones.\n"


def _evaluation(manifest: VersionManifest, facts: About) -> Iterator[str]:
    figures, others = manifest.figures, facts.contenders
    yield "## Evaluation\n"
    yield f"The quantised file, through the engine that serves it, on {_cell(figures.get('rows'))} held-out rows.\n"
    same = figures.get("templateMatchesTraining")
    if same is None:
        yield "Whether the served chat template makes the tokens that training saw is not known: training left no record of them.\n"
    elif not same:
        yield "**The served chat template makes other tokens than training saw**: the model is asked otherwise than it was taught.\n"
    names = [name for name in FIGURES if name in figures or any(f"{name}@{label}" in figures for label in others)]
    head = ("figure", manifest.name, *(f"{label} ({version})" for label, version in others.items()))
    yield from _table(
        head, [(WORDS.get(name, name), figures.get(name), *(figures.get(f"{name}@{label}") for label in others)) for name in names]
    )


def _files(manifest: VersionManifest) -> Iterator[str]:
    yield "## Files\n"
    yield from _table(("file", "bytes", "sha256"), [_file(file) for file in (*manifest.gguf, *manifest.adapter)])


def _file(file: Artifact) -> tuple[str, int, str]:
    return f"`{file.path}`", file.bytes, f"`{file.sha256}`"


def _lineage(lineage: Lineage) -> Iterator[str]:
    yield "## Lineage\n"
    base = f"`{lineage.base_ref}`" + (f", {lineage.base_source}" if lineage.base_source else "")
    rows = [
        ("base", base), ("base digest", f"`{lineage.base_digest}`"), ("FineTuneJob", f"`{lineage.fine_tune_job}`"),
        *((f"image of {stage}", f"`{image}`") for stage, image in sorted(lineage.images.items())),
        *((library, version) for library, version in sorted(lineage.libraries.items())),
    ]  # fmt: skip
    yield from _table(("what", "which"), rows)
    yield "The job's spec:\n"
    yield f"```yaml\n{yaml.safe_dump(lineage.job_spec, sort_keys=True, allow_unicode=True)}```"


def _hub_name(lineage: Lineage) -> str | None:
    """<owner>/<name> of a base that came from a hub."""
    name, _, commit = (lineage.base_source or "").partition("@")
    return name if commit and name.count("/") == 1 else None


def _table(head: Sequence[str], rows: Sequence[Sequence[object]]) -> Iterator[str]:
    yield f"| {' | '.join(head)} |"
    yield f"|{'---|' * len(head)}"
    yield from (f"| {' | '.join(_cell(value) for value in row)} |" for row in rows)
    yield ""


def _cell(value: object) -> str:
    """A value in a table: nothing in it may end the cell."""
    if value is None:
        return "–"
    text = f"{value:.4g}" if isinstance(value, float) else str(value)
    return text.replace("|", "\\|").replace("\n", " ")
