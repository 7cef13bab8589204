"""The language model is taken out of a vision-language model: the same bytes under a Llama's names, and nothing of the eyes."""

import json
from pathlib import Path
from typing import Any

import pytest
from memory_bucket import MemoryBucket

from hub_server import COMMIT, CONFIG, PARAMETERS, Repo, hub_server, llama, llava, write_folder
from regimen.spec.artifacts import StageRecord, stage_record_key
from regimen.spec.tasks import ImportTask
from regimen_trainer import importing, origins
from regimen_trainer.errors import InputError
from regimen_trainer.language import language_config, take_out
from regimen_trainer.weights import header_of, raw_header

KINDS = {"transformers": llava(), "newer transformers": llava("model.language_model."), "the first LLaVA": llava(flat=True)}


def tensor_bytes(path: Path) -> dict[str, bytes]:
    data = path.read_bytes()
    start, entries = raw_header(lambda at, length: data[at : at + length], len(data), path.name)
    return {name: data[start + entry["data_offsets"][0] : start + entry["data_offsets"][1]] for name, entry in entries.items()}


@pytest.mark.parametrize("kind", KINDS)
def test_the_bytes_stay_and_the_names_are_a_llama_s(kind: str, tmp_path: Path) -> None:
    whole = write_folder(KINDS[kind], tmp_path / "whole")
    names = take_out({path.name: path for path in whole.iterdir()}, tmp_path / "out")
    assert names == [
        "README.md", "config.json", "model-00001-of-00003.safetensors", "model-00002-of-00003.safetensors", "model.safetensors.index.json",
        "tokenizer.json", "tokenizer_config.json",
    ]  # fmt: skip
    out = {name: data for path in (tmp_path / "out").glob("*.safetensors") for name, data in tensor_bytes(path).items()}
    before = {name: data for path in whole.glob("*.safetensors") for name, data in tensor_bytes(path).items()}
    plain = {name for data in write_folder(llama(), tmp_path / "llama").glob("*.safetensors") for name in header_of(data)}
    assert set(out) == plain
    assert sorted(out.values()) == sorted(
        data for name, data in before.items() if "vision" not in name and "projector" not in name and "image" not in name
    )
    weight_map = json.loads((tmp_path / "out/model.safetensors.index.json").read_text())["weight_map"]
    assert set(weight_map) == plain
    config = json.loads((tmp_path / "out/config.json").read_text())
    assert (config["architectures"], config["model_type"]) == (["LlamaForCausalLM"], "llama")
    assert {key: config[key] for key in CONFIG if key not in ("architectures", "model_type")} == {
        key: value for key, value in CONFIG.items() if key not in ("architectures", "model_type")
    }
    assert not [key for key in config if "mm_" in key or "image" in key or "vision" in key]


def run(where: MemoryBucket, scratch: Path, **weights: Any) -> StageRecord:
    common = {"namespace": "n", "name": "base", "uid": "u", "model": "m", "version": "baseline", "gguf": []}
    importing.run(ImportTask.model_validate({**common, "weights": weights}), where.store, scratch)
    return StageRecord.model_validate_json(where.get(stage_record_key("n", "m", "baseline", "u", "weights")))


@pytest.mark.parametrize("kind", KINDS)
def test_hub_and_volume_give_the_same_llama(kind: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with hub_server(base=Repo(KINDS[kind], license="cc-by-nc-sa-4.0")) as hub:
        source = {"repo": "owner/base", "revision": COMMIT, "endpoint": hub.endpoint}
        of_hub = run(MemoryBucket(), tmp_path / "hub", huggingFace=source)
    monkeypatch.setattr(origins, "CLAIM", write_folder(KINDS[kind], tmp_path / "claim"))
    of_claim = run(MemoryBucket(), tmp_path / "volume", persistentVolumeClaim={"claimName": "models", "path": "."})
    assert of_hub.figures["weightsDigest"] == of_claim.figures["weightsDigest"]
    assert (of_hub.figures["license"], of_hub.figures["source"]) == ("cc-by-nc-sa-4.0", f"owner/base@{COMMIT}, its language model")
    assert of_hub.shape is not None
    assert (of_hub.shape.architecture, of_hub.shape.parameters) == ("LlamaForCausalLM", PARAMETERS)


def test_in_place_nothing_can_be_taken_out(tmp_path: Path) -> None:
    where = MemoryBucket({f"w/{name}": data for name, data in llava().items()})
    with pytest.raises(InputError, match=r"weights\.s3\.uri: s3://b/w/ is a vision-language model; import it by huggingFace or"):
        run(where, tmp_path, s3={"uri": "s3://b/w/"})


def test_what_a_nested_config_leaves_unsaid_is_transformers_default() -> None:
    config = language_config(
        {"architectures": ["LlavaForConditionalGeneration"], "text_config": {"model_type": "llama", "vocab_size": 128320}}
    )
    assert (config["hidden_size"], config["num_hidden_layers"], config["vocab_size"]) == (4096, 32, 128320)


def test_another_language_model_is_refused() -> None:
    with pytest.raises(
        InputError, match="the language model inside LlavaForConditionalGeneration is a qwen2; supported are llama, mistral"
    ):
        language_config({"architectures": ["LlavaForConditionalGeneration"], "text_config": {"model_type": "qwen2"}})


def test_a_missing_shard_is_noticed(tmp_path: Path) -> None:
    files = {name: data for name, data in llava().items() if name != "model-00002-of-00003.safetensors"}
    whole = write_folder(files, tmp_path / "whole")
    with pytest.raises(InputError, match=r"names model-00002-of-00003\.safetensors, which is not there"):
        take_out({path.name: path for path in whole.iterdir()}, tmp_path / "out")
