"""The model card as it is published: facts in, text out. REGIMEN_UPDATE_GOLDEN=1 writes it anew; read the difference before you keep it."""

import os
from pathlib import Path
from typing import Any

import pytest
import yaml
from plan_builders import AT, DIGEST, artifact, job_spec

from regimen.plan.card import About, card
from regimen.spec.artifacts import Lineage, TaskFigures, VersionManifest
from regimen.spec.dataset import TaskOutput

DATA = Path(__file__).parent / "data"
COMMIT = "0123456789abcdef0123456789abcdef01234567"
LABEL = TaskOutput(type="Label", labels=["APPROVED", "DENIED"], positive="DENIED")
ROWS = TaskFigures(
    name="adjudication", train=8121, test=902, labels={"APPROVED": 6310, "DENIED": 2713}, train_path="train.jsonl", test_path="test.jsonl"
)
FIGURES: dict[str, Any] = {
    "rows": 902, "agreement": 0.8712, "precision": 0.861, "recall": 0.8344, "falseDenialRate": 0.031, "unparseableRate": 0.0,
    "agreement@Serving": 0.8101, "precision@Serving": 0.802, "falseDenialRate@Serving": 0.044, "mcnemarP@Serving": 0.00312, "seconds": 431.2,
    "templateMatchesTraining": 1,
}  # fmt: skip


def manifest(figures: dict[str, Any] = FIGURES, **lineage: Any) -> VersionManifest:
    made = {
        "base_ref": "openins-baseline", "base_digest": f"sha256:{DIGEST}", "base_source": f"Raj-Maharajwala/Open-Insurance-LLM-Llama3-8B@{COMMIT}",
        "base_license": "llama3", "dataset": "business", "dataset_revision": f"sha256:{DIGEST}", "split_seed": 42, "task": "adjudication",
        "fine_tune_job": "openins-v1-0", "job_spec": job_spec().model_dump(mode="json", by_alias=True, exclude_none=True, exclude={"suspend"}),
        "images": {"adapter": f"registry.example/trainer@sha256:{DIGEST}"}, "libraries": {"peft": "0.21.0", "torch": "2.15.0"},
    }  # fmt: skip
    return VersionManifest(
        name="openins-v1.0", model="openins", version="v1.0", lineage=Lineage(**{**made, **lineage}), figures=figures, published_at=AT,
        gguf=[artifact("openins-v1.0-Q5_K_M.gguf").model_copy(update={"bytes": 5_732_987_392})],
        adapter=[artifact("adapter_model.safetensors").model_copy(update={"bytes": 167_832_240})],
    )  # fmt: skip


CARDS = {
    "card-label": (manifest(), About(ROWS, LABEL, {"Serving": "openins-baseline"})),
    "card-adopted-text": (
        manifest(
            {name: value for name, value in FIGURES.items() if name != "templateMatchesTraining"},
            task="clinicalDocs",
            base_source="s3://regimen/base/openins/",
            base_license=None,
            adapter_source="s3://regimen/colab/openins/",
        ),
        About(ROWS.model_copy(update={"name": "clinicalDocs", "labels": {}}), TaskOutput(type="Text"), {}),
    ),
}


@pytest.mark.parametrize("name", CARDS)
def test_golden_card(name: str) -> None:
    text = card(*CARDS[name])
    path = DATA / f"{name}.md"
    if os.environ.get("REGIMEN_UPDATE_GOLDEN") == "1":
        path.write_text(text)
    assert path.read_text() == text, f"{path.name} differs; if it should, REGIMEN_UPDATE_GOLDEN=1 writes it"
    assert card(*CARDS[name]) == text, "the same facts give the same text"


@pytest.mark.parametrize("name", CARDS)
def test_front_matter_is_what_a_hub_reads(name: str) -> None:
    front = yaml.safe_load(card(*CARDS[name]).split("---\n")[1])
    (model,) = front["model-index"]
    (result,) = model["results"]
    assert {"type", "name"} <= set(result["task"]) and {"type", "name"} <= set(result["dataset"])
    assert all({"type", "value"} <= set(metric) for metric in result["metrics"])
    assert front["library_name"] == "gguf"
    assert front["base_model"] in {"Raj-Maharajwala/Open-Insurance-LLM-Llama3-8B", "openins-baseline"}


def test_a_person_decides() -> None:
    assert "A person decides every denial" in card(*CARDS["card-label"])
    assert "A person reads, corrects and signs every text" in card(*CARDS["card-adopted-text"])


@pytest.mark.parametrize(("matches", "told"), [(0, "makes other tokens than training saw"), (None, "is not known"), (1, None)])
def test_a_chat_template_that_is_another_or_not_known_is_said(matches: int | None, told: str | None) -> None:
    text = card(manifest({**FIGURES, "templateMatchesTraining": matches}), CARDS["card-label"][1])
    assert told in text if told else "chat template" not in text


def test_what_a_hub_states_cannot_break_the_table_or_the_front_matter() -> None:
    bad = manifest(base_license="x\n---\nevil: true", base_source="a|b\n# c")
    text = card(bad, CARDS["card-label"][1])
    assert yaml.safe_load(text.split("\n---\n")[0])["license"] == "x\n---\nevil: true"
    assert "a\\|b # c" in text
