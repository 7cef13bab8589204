"""Adapters from elsewhere: what is taken, and every reason not to take one."""

import json
from pathlib import Path
from typing import Any

import pytest
from memory_bucket import MemoryBucket

from hub_server import layer, llama, safetensors
from regimen.spec.artifacts import StageRecord, stage_record_key
from regimen.spec.tasks import AdoptTask
from regimen_trainer import adopting
from regimen_trainer.errors import InputError

TASK = AdoptTask(
    namespace="n", job="j", uid="u", model="m", version="v1.0", base_uri="s3://b/w/", adapter_uri="s3://b/a/"
)  # fmt: skip
CONFIG: dict[str, Any] = {
    "peft_type": "LORA", "r": 4, "lora_alpha": 8, "bias": "none", "use_dora": False, "modules_to_save": None, "peft_version": "0.21.0",
    "init_lora_weights": True, "target_modules": ["q_proj", "down_proj"],
}  # fmt: skip


def tensors(rank: int = 4, **other: tuple[int, ...]) -> dict[str, tuple[int, ...]]:
    """LoRA of two kinds of layers of the test's Llama."""
    found = {}
    for name, (rows, columns) in ((name, shape) for name, shape in {**layer(0), **layer(1)}.items() if len(shape) == 2):
        if ".q_proj." in name or ".down_proj." in name:
            module = f"base_model.model.{name.removesuffix('.weight')}"
            found |= {f"{module}.lora_A.weight": (rank, columns), f"{module}.lora_B.weight": (rows, rank)}
    return {**found, **other}


def bucket(config: dict[str, Any] | None = None, adapter: dict[str, tuple[int, ...]] | None = None, **files: bytes) -> MemoryBucket:
    given = {
        "adapter_config.json": json.dumps({**CONFIG, **(config or {})}).encode(),
        "adapter_model.safetensors": safetensors(tensors() if adapter is None else adapter, "F32", 4), "README.md": b"mine", **files,
    }  # fmt: skip
    return MemoryBucket({f"a/{name}": data for name, data in given.items()} | {f"w/{name}": data for name, data in llama().items()})


def test_a_fitting_adapter_becomes_the_version_s_own(tmp_path: Path) -> None:
    where = bucket()
    adopting.run(TASK, where.store, tmp_path)
    record = StageRecord.model_validate_json(where.get(stage_record_key("n", "m", "v1.0", "u", "adapter")))
    assert [file.path for file in record.files] == ["adapter_config.json", "adapter_model.safetensors"]
    assert all(file.uri.startswith("s3://b/models/n/m/v1.0/adapter/") for file in record.files)
    assert where.get_uri(record.files[1].uri) == where.get("a/adapter_model.safetensors")
    assert (record.figures["rank"], record.figures["modules"], record.figures["source"]) == (4, 4, "s3://b/a/")
    where.writes.clear()
    adopting.run(TASK, where.store, tmp_path)
    assert where.writes == [], "what is done is not done again"


def test_the_base_s_weights_are_not_fetched(tmp_path: Path) -> None:
    where = bucket()
    adopting.run(TASK, where.store, tmp_path)
    assert {uri.split("/")[3] for uri in where.downloads} == {"a"}


Q = "base_model.model.model.layers.0.self_attn.q_proj"
REFUSED: dict[str, tuple[MemoryBucket, str]] = {
    "another kind": (bucket({"peft_type": "IA3"}), "peft_type IA3; only LORA"),
    "dora": (bucket({"use_dora": True}), "has use_dora: DoRA also rescales"),
    "whole modules": (bucket({"modules_to_save": ["lm_head"]}), "has modules_to_save"),
    "biases": (bucket({"bias": "all"}), "has bias all"),
    "changed base": (bucket({"init_lora_weights": "pissa_niter_4"}), "has init_lora_weights pissa_niter_4"),
    "no rank": (bucket({"r": None}), "has no r; save"),
    "other rank": (bucket({"r": 8}), "q_proj has rank 4, and adapter_config.json says 8"),
    "embeddings": (bucket(adapter=tensors(**{"base_model.model.model.embed_tokens.lora_embedding_A": (4, 100)})), "is no LoRA of a linear layer"),
    "half": (bucket(adapter={f"{Q}.lora_A.weight": (4, 32)}), "holds only one half of model.layers.0.self_attn.q_proj"),
    "empty": (bucket(adapter={}), "holds nothing"),
    "another model": (
        bucket(adapter={f"{Q}.lora_A.weight": (4, 64), f"{Q}.lora_B.weight": (64, 4)}), "q_proj is 64 x 64, the base's 32 x 32; name the base"
    ),
    "a deeper model": (
        bucket(adapter={f"{Q.replace('0', '9')}.lora_A.weight": (4, 32), f"{Q.replace('0', '9')}.lora_B.weight": (32, 4)}),
        "changes model.layers.9.self_attn.q_proj, which the base does not have",
    ),
}  # fmt: skip


@pytest.mark.parametrize("case", REFUSED)
def test_what_cannot_be_merged_is_refused(case: str, tmp_path: Path) -> None:
    where, says = REFUSED[case]
    with pytest.raises(InputError) as refused:
        adopting.run(TASK, where.store, tmp_path)
    assert str(refused.value).startswith("adapter.s3.uri: ")
    assert says in str(refused.value)
    assert where.writes[-1].endswith("progress-adapter.json")


def test_a_pickle_is_named(tmp_path: Path) -> None:
    where = bucket(**{"adapter_model.bin": b"\x80"})
    del where.objects["a/adapter_model.safetensors"]
    with pytest.raises(InputError, match=r"adapter\.s3\.uri: s3://b/a/ has no adapter_model\.safetensors: adapter_model\.bin is a pickle"):
        adopting.run(TASK, where.store, tmp_path)


def test_an_empty_place_is_named(tmp_path: Path) -> None:
    with pytest.raises(InputError, match=r"s3://b/a/ has no adapter_config\.json: upload it as peft saves it"):
        adopting.run(TASK, MemoryBucket().store, tmp_path)
