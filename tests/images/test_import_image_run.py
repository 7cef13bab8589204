"""The way of a base and of an adapter through real trainer pods' code: hub (a double on loopback) → bucket → cache → plain peft → adoption.

Inside the trainer image: PYTHONPATH also names tests/unit/trainer, where the double is.
"""

import json
import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from hub_server import COMMIT, HubServer, Repo, hub_server
from regimen.spec.artifacts import StageRecord, stage_record_key
from regimen.spec.tasks import AdoptTask, ConvertTask, ImportTask
from regimen.store import Store
from regimen_trainer.stage import fetch_model

pytestmark = pytest.mark.trainer_image
NAMES = {"namespace": "n", "uid": "u", "model": "m"}


@pytest.fixture
def hub(llama: Path) -> Iterator[HubServer]:
    files = {path.name: path.read_bytes() for path in llama.iterdir()}
    with hub_server(base=Repo(files, license="apache-2.0")) as running:
        yield running


def pod(task: ImportTask | AdoptTask | ConvertTask, bucket: dict[str, str], folder: Path) -> tuple[int, str]:
    """`regimen run-task` in a process of its own. Returns exit code and last words."""
    folder.mkdir(parents=True, exist_ok=True)
    said = folder / "termination-log"
    environment = {
        **os.environ, **bucket, "REGIMEN_TASK": task.model_dump_json(by_alias=True), "REGIMEN_SCRATCH": str(folder), "TERMINATION_LOG": str(said),
        "REGIMEN_IMAGE": "trainer:test", "HF_HUB_OFFLINE": "1",
    }  # fmt: skip
    done = subprocess.run(
        [sys.executable, "-m", "regimen.cli.main", "run-task"], env=environment, capture_output=True, text=True, timeout=300
    )
    return done.returncode, said.read_text() if said.exists() else done.stderr[-500:] if done.returncode else ""


def import_task(hub: HubServer, **weights: Any) -> ImportTask:
    source = weights or {"huggingFace": {"repo": "owner/base", "revision": COMMIT, "endpoint": hub.endpoint}}
    return ImportTask.model_validate({**NAMES, "name": "base", "version": "baseline", "gguf": [], "weights": source})


def adopt_task(weights: StageRecord, uid: str) -> AdoptTask:
    prefix = weights.files[0].uri.removesuffix(weights.files[0].path)
    digest = str(weights.figures["weightsDigest"])
    return AdoptTask.model_validate(
        {
            **NAMES,
            "uid": uid,
            "job": "n/j",
            "version": "v1.0",
            "baseUri": prefix,
            "baseDigest": digest,
            "adapterUri": f"s3://regimen/{uid}/",
        }
    )


def convert_task(weights: StageRecord, uid: str) -> ConvertTask:
    common = adopt_task(weights, uid).model_dump(by_alias=True, exclude={"kind", "adapter_uri"})
    return ConvertTask.model_validate({**common, "quantizations": ["F16"]})


def record(bucket: dict[str, str], version: str, uid: str, stage: Any) -> StageRecord:
    return StageRecord.model_validate_json(Store.from_env(bucket).get(stage_record_key("n", "m", version, uid, stage)))


def peft_adapter(base: Path, folder: Path, **config: Any) -> Path:
    """An adapter as a person makes it in a notebook: plain peft and torch, nothing of ours."""
    import torch
    from peft import LoraConfig, get_peft_model
    from transformers import AutoModelForCausalLM

    torch.manual_seed(3)
    model = get_peft_model(
        AutoModelForCausalLM.from_pretrained(base), LoraConfig(**{"r": 4, "lora_alpha": 8, "target_modules": "all-linear", **config})
    )
    optimizer = torch.optim.AdamW((p for p in model.parameters() if p.requires_grad), lr=1e-2)
    ids = torch.randint(3, 1000, (2, 16))
    for _ in range(3):
        loss = model(input_ids=ids, labels=ids).loss
        loss.backward()
        optimizer.step()
        optimizer.zero_grad()
    model.save_pretrained(folder)
    return folder


def upload(folder: Path, bucket: dict[str, str], prefix: str) -> None:
    store = Store.from_env(bucket)
    for path in folder.iterdir():
        store.upload(path, f"{prefix}/{path.name}", path.name)


def test_import_cut_and_resumed_then_train_from_the_cache_and_adopt(
    hub: HubServer, llama: Path, bucket: dict[str, str], tmp_path: Path
) -> None:
    size = (llama / "model.safetensors").stat().st_size
    hub.cuts = [size // 3, size // 3]
    assert pod(import_task(hub), bucket, tmp_path / "import") == (0, "")
    cut = size // 3
    assert hub.asked("model.safetensors") == [None, f"bytes={cut}-", f"bytes={2 * cut}-"]
    assert sum(count for path, count in hub.sent.items() if path.endswith("model.safetensors")) == size, "no byte twice"
    weights = record(bucket, "baseline", "u", "weights")
    assert weights.shape is not None
    assert (weights.shape.architecture, weights.shape.layers, weights.figures["license"]) == ("LlamaForCausalLM", 2, "apache-2.0")

    from transformers import AutoModelForCausalLM

    prefix, digest = weights.files[0].uri.removesuffix(weights.files[0].path), str(weights.figures["weightsDigest"])
    base = fetch_model(Store.from_env(bucket), prefix, tmp_path / "scratch", digest, tmp_path / "cache")
    model = AutoModelForCausalLM.from_pretrained(base, trust_remote_code=False, use_safetensors=True)
    assert weights.shape.parameters == sum(parameter.numel() for parameter in model.parameters())

    upload(peft_adapter(base, tmp_path / "peft"), bucket, "good")
    assert pod(adopt_task(weights, "good"), bucket, tmp_path / "adopt") == (0, "")
    adopted = record(bucket, "v1.0", "good", "adapter")
    assert (adopted.figures["rank"], adopted.figures["modules"], adopted.image) == (4, 14, "trainer:test")
    cache = {"REGIMEN_CACHE_DIR": str(tmp_path / "cache")}
    assert pod(convert_task(weights, "good"), {**bucket, **cache}, tmp_path / "convert") == (0, "")
    (gguf,) = record(bucket, "v1.0", "good", "gguf").files
    assert Store.from_env(bucket).get_range(gguf.uri, 0, 4) == b"GGUF"
    assert not (tmp_path / "convert/base").exists(), "the base was read from the node's cache"
    assert fetch_model(Store.from_env(bucket), prefix, tmp_path / "scratch", digest, tmp_path / "cache") == base, (
        "nothing wrote into the cache"
    )


@pytest.mark.parametrize(
    ("settings", "says"),
    [
        ({"use_dora": True}, "adapter.s3.uri: adapter_config.json has use_dora"),
        ({"modules_to_save": ["lm_head"], "target_modules": ["q_proj"]}, "adapter.s3.uri: adapter_config.json has modules_to_save"),
        ({"bias": "lora_only"}, "adapter.s3.uri: adapter_config.json has bias lora_only"),
        ({"target_modules": ["embed_tokens", "q_proj"]}, "is no LoRA of a linear layer"),
    ],
)
def test_what_peft_writes_and_merging_cannot_carry_out_is_refused(
    hub: HubServer, llama: Path, bucket: dict[str, str], tmp_path: Path, settings: dict[str, Any], says: str
) -> None:
    assert pod(import_task(hub), bucket, tmp_path / "import")[0] == 0
    uid = "-".join(settings).replace("_", "")
    upload(peft_adapter(llama, tmp_path / "peft", **settings), bucket, uid)
    code, said = pod(adopt_task(record(bucket, "baseline", "u", "weights"), uid), bucket, tmp_path / "adopt")
    assert code == 2
    assert says in said


def test_an_adapter_of_another_base_is_refused(hub: HubServer, mistral: Path, bucket: dict[str, str], tmp_path: Path) -> None:
    assert pod(import_task(hub), bucket, tmp_path / "import")[0] == 0
    config = json.loads((mistral / "config.json").read_text())
    assert config["architectures"] == ["MistralForCausalLM"]
    from transformers import LlamaConfig, LlamaForCausalLM

    deeper = LlamaForCausalLM(
        LlamaConfig(vocab_size=1000, hidden_size=64, intermediate_size=64, num_hidden_layers=3, num_attention_heads=4)
    )
    deeper.save_pretrained(tmp_path / "other")
    upload(peft_adapter(tmp_path / "other", tmp_path / "peft"), bucket, "other")
    code, said = pod(adopt_task(record(bucket, "baseline", "u", "weights"), "other"), bucket, tmp_path / "adopt")
    assert (code, "name the base that it was trained from" in said) == (2, True), said


def test_mistral_is_taken_in(mistral: Path, bucket: dict[str, str], tmp_path: Path) -> None:
    upload(mistral, bucket, "mistral")
    given = {**NAMES, "uid": "mi", "name": "mi", "version": "baseline", "gguf": [], "weights": {"s3": {"uri": "s3://regimen/mistral/"}}}
    assert pod(ImportTask.model_validate(given), bucket, tmp_path / "import") == (0, "")
    shape = record(bucket, "baseline", "mi", "weights").shape
    assert shape is not None
    assert shape.architecture == "MistralForCausalLM"
