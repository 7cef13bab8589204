"""Small models with random weights, rows to train on, and a real S3. Run inside the trainer image:

pytest --confcutdir tests/images tests/images
"""

import json
import os
from collections.abc import Iterator
from pathlib import Path
from random import Random
from typing import Any

import pytest

from bucket_server import bucket_server

WORDS = [
    "knee",
    "back",
    "spine",
    "lumbar",
    "therapy",
    "surgery",
    "imaging",
    "review",
    "chronic",
    "acute",
    "mild",
    "severe",
    "stable",
    "plan",
    "denied",
    "covered",
]


@pytest.fixture(scope="session")
def llama(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Two layers, grouped heads."""
    from transformers import LlamaConfig, LlamaForCausalLM

    return _base(tmp_path_factory.mktemp("llama"), LlamaForCausalLM, LlamaConfig)


@pytest.fixture(scope="session")
def mistral(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A sliding window that is shorter than most rows."""
    from transformers import MistralConfig, MistralForCausalLM

    return _base(tmp_path_factory.mktemp("mistral"), MistralForCausalLM, MistralConfig, sliding_window=24)


def _base(folder: Path, model: Any, config: Any, **settings: Any) -> Path:
    import torch

    from regimen_trainer.generator.base_model import load_tokenizer

    tokenizer = load_tokenizer(folder)
    torch.manual_seed(1)
    shape = {"vocab_size": 32_000, "hidden_size": 128, "intermediate_size": 256, "num_hidden_layers": 2, "num_attention_heads": 4}
    made = model(config(**shape, num_key_value_heads=2, max_position_embeddings=512, bos_token_id=1, eos_token_id=2, **settings))
    # As they come, weights are so small that every token's loss is nearly the same: no mix-up would be seen.
    with torch.no_grad():
        for parameter in made.parameters():
            if parameter.dim() > 1:
                parameter.mul_(4)
    made.save_pretrained(folder)
    tokenizer.save_pretrained(folder)
    return folder


@pytest.fixture(scope="session")
def rows(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """26 rows of 20 to 90 tokens."""
    path, random = tmp_path_factory.mktemp("rows") / "rows.jsonl", Random(5)
    lines = []
    for number in range(26):
        text = " ".join(random.choices(WORDS, k=random.randint(8, 40)))
        answer = " ".join(random.choices(WORDS, k=random.randint(1, 12)))
        prompt, completion = [{"role": "user", "content": text}], [{"role": "assistant", "content": answer}]
        lines.append(json.dumps({"id": str(number), "prompt": prompt, "completion": completion}))
    path.write_text("\n".join(lines) + "\n")
    return path


@pytest.fixture(scope="session")
def bucket(tmp_path_factory: pytest.TempPathFactory) -> Iterator[dict[str, str]]:
    """The environment of a versitygw on the loopback; the cluster's programs have one."""
    cache = Path(os.environ.get("REGIMEN_CACHE", "/var/cache/regimen"))
    program = next(cache.glob("go-*/versitygw"), None)
    if program is None:
        pytest.fail(f"no versitygw below {cache}: bring a cluster up once (make cluster-up), or set REGIMEN_CACHE")
    with bucket_server(program, tmp_path_factory.mktemp("s3")) as environment:
        yield environment


@pytest.fixture(autouse=True, scope="session")
def one_thread() -> None:
    """Models this small are done before a second thread has begun."""
    import torch

    torch.set_num_threads(1)
