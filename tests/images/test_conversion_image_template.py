"""Training and llama-server make the same tokens of the same messages, for both architectures' tokenizers; the served file answers.

Runs in the trainer image.
"""

import importlib
import json
from collections.abc import Iterator
from itertools import islice
from pathlib import Path
from random import Random
from typing import Any

import pytest

from regimen_trainer.conversion import About, write_ggufs
from regimen_trainer.engine import Engine, serving
from regimen_trainer.generator.claims import claims
from regimen_trainer.parity import compare
from regimen_trainer.tasks import DEFAULT_LABELS, render

pytestmark = pytest.mark.trainer_image

BENCHMARKS = Path(__file__).parents[2] / "benchmarks"
AWKWARD = [
    " leading and trailing ", "\n\nblank lines\n\n", "tabs\tand  two  spaces", "naïve café – “quoted” … ½", "体温 38.5 ℃ 🤒", "", "</s> said the patient",
    "[INST] not an instruction [/INST]", "{{ not a template }} {% neither %}", "<unk>", "a" * 300, "Ünïcödé\u200b zero width", "1,234.50 USD\r\nnext",
]  # fmt: skip
"""Texts on which tokenizers and template engines have differed."""


@pytest.fixture(scope="module", params=["Llama", "Mistral"])
def served(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[Engine, Path]]:
    """A running llama-server, and the folder that training would read."""
    with pytest.MonkeyPatch.context() as patch:
        patch.syspath_prepend(str(BENCHMARKS))
        models = importlib.import_module("random_models")
    folder = tmp_path_factory.mktemp("served")
    base = models.make_model(folder / "base", request.param, models.Shape(layers=1))
    write_ggufs(base, None, {"Q8_0": folder / "model.gguf"}, About("model"), 2)
    with serving(folder / "model.gguf", 1, 2048, 2, folder / "server.log") as engine:
        yield engine, base


def rows(system: bool) -> list[dict[str, Any]]:
    """200 rows as training files have them: claims, and texts made to differ."""
    rng, made = Random(5), []
    for claim in islice(claims(Random("parity")), 200 - len(AWKWARD)):
        turns = list(render("adjudication", claim.row, DEFAULT_LABELS))
        made.append((turns, rng.choice(DEFAULT_LABELS)))
    made += [([{"role": "system", "content": "Decide."}, {"role": "user", "content": text}], text or "DENIED") for text in AWKWARD]
    return [{"prompt": turns if system else turns[1:], "completion": [{"role": "assistant", "content": answer}]} for turns, answer in made]


@pytest.mark.parametrize("system", [True, False])
def test_training_and_serving_make_the_same_tokens(served: tuple[Engine, Path], system: bool) -> None:
    from transformers import AutoTokenizer

    engine, base = served
    parity = compare(engine, AutoTokenizer.from_pretrained(base), rows(system))
    assert parity.differences == ()
    assert parity.rows == 200


def test_trl_makes_those_tokens_of_prompt_and_completion(served: tuple[Engine, Path], tmp_path: Path) -> None:
    """The ids in TRL's prepared dataset are the ones that were compared."""
    from datasets import Dataset
    from transformers import AutoModelForCausalLM, AutoTokenizer
    from trl import SFTConfig, SFTTrainer

    from regimen_trainer.parity import training_ids

    _, base = served
    tokenizer = AutoTokenizer.from_pretrained(base)
    tokenizer.pad_token = tokenizer.pad_token or tokenizer.eos_token
    asked = rows(system=True)[:20] + rows(system=True)[-len(AWKWARD) :]
    settings = SFTConfig(str(tmp_path), max_length=2048, completion_only_loss=True, use_cpu=True, report_to="none", bf16=False)
    trainer = SFTTrainer(
        AutoModelForCausalLM.from_pretrained(base), settings, train_dataset=Dataset.from_list(asked), processing_class=tokenizer
    )
    assert trainer.train_dataset is not None
    made = [list(row["input_ids"]) for row in trainer.train_dataset]
    assert made == [training_ids(tokenizer, [*row["prompt"], *row["completion"]]) for row in asked]


def test_the_served_file_answers(served: tuple[Engine, Path]) -> None:
    engine, _ = served
    assert engine.answer([{"role": "user", "content": "Approve?"}], 8) is not None


def test_the_template_in_the_file_is_that_of_training(served: tuple[Engine, Path]) -> None:
    from regimen_trainer.conversion import llama_cpp

    _, base = served
    llama_cpp.use()
    import gguf

    said = gguf.GGUFReader(base.parent / "model.gguf").fields["tokenizer.chat_template"].contents()
    jinja = base / "chat_template.jinja"
    assert said == (jinja.read_text() if jinja.exists() else json.loads((base / "tokenizer_config.json").read_text())["chat_template"])
