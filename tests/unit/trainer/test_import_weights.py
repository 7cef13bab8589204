"""Imports from a bucket, a hub and a volume: what is taken, what is refused, what an interrupted one has to do again."""

import json
from collections.abc import Iterator
from hashlib import sha256
from pathlib import Path
from typing import Any

import pytest
from memory_bucket import MemoryBucket

from hub_server import COMMIT, PARAMETERS, TAKEN, Hasty, HubServer, Repo, hub_server, llama, safetensors, write_folder
from regimen.spec.artifacts import StageRecord, content_digest, progress_key, short, stage_record_key
from regimen.spec.tasks import ImportTask
from regimen.spec.version import ClaimWeights, HuggingFaceWeights, Weights
from regimen_trainer import importing, origins
from regimen_trainer.errors import InputError, TrainerError
from regimen_trainer.origins import side_by_side
from regimen_trainer.stage import StageRun

GGUF = b"GGUF" + b"\0" * 96
DIGEST = content_digest((name, sha256(llama()[name]).hexdigest()) for name in TAKEN)


def task(**weights: Any) -> ImportTask:
    gguf = {"path": "m.gguf", "uri": "s3://b/m.gguf", "sha256": sha256(GGUF).hexdigest(), "bytes": 0}
    common = {"namespace": "n", "name": "base", "uid": "u", "model": "m", "version": "baseline", "gguf": [gguf]}
    return ImportTask.model_validate({**common, "weights": weights or None})


def hub_task(server: HubServer, repo: str = "owner/base", **fields: Any) -> ImportTask:
    return task(huggingFace={"repo": repo, "revision": COMMIT, "endpoint": server.endpoint, **fields})


def bucket(**objects: bytes) -> MemoryBucket:
    return MemoryBucket({"m.gguf": GGUF, **objects})


def record(where: MemoryBucket) -> StageRecord:
    return StageRecord.model_validate_json(where.get(stage_record_key("n", "m", "baseline", "u", "weights")))


def run(given: ImportTask, where: MemoryBucket, scratch: Path) -> StageRecord:
    importing.run(given, where.store, scratch)
    return record(where)


@pytest.fixture
def server() -> Iterator[HubServer]:
    with hub_server(base=Repo(llama()), gated=Repo(llama(), gated=True)) as running:
        yield running


def test_from_a_hub_into_the_bucket(server: HubServer, tmp_path: Path) -> None:
    where = bucket()
    done = run(hub_task(server), where, tmp_path)
    prefix = f"base/n/base/{short(DIGEST)}/"
    assert {key.removeprefix(prefix): where.get(key) for key in where.objects if key.startswith(prefix)} == {
        name: llama()[name] for name in TAKEN
    }
    assert done.figures["weightsDigest"] == DIGEST
    assert (done.figures["source"], done.figures["license"]) == (f"owner/base@{COMMIT}", "apache-2.0")
    assert [file.path for file in done.files] == [*TAKEN, "m.gguf"]
    assert where.writes[-1].endswith("/weights.json"), "the record is written last"
    assert not any(path.suffix == ".safetensors" for path in tmp_path.rglob("*")), "shards do not stay in scratch space"


def test_the_shape_comes_from_config_and_headers(server: HubServer, tmp_path: Path) -> None:
    shape = run(hub_task(server), bucket(), tmp_path).shape
    assert shape is not None
    assert (shape.architecture, shape.parameters, shape.layers, shape.vocabulary) == ("LlamaForCausalLM", PARAMETERS, 2, 100)
    assert (shape.hidden_size, shape.intermediate_size, shape.heads, shape.kv_heads, shape.head_dim, shape.tied) == (32, 64, 4, 2, 8, False)


def test_code_and_pickles_are_never_fetched(server: HubServer, tmp_path: Path) -> None:
    run(hub_task(server), bucket(), tmp_path)
    fetched = {path.rsplit("/", 1)[1] for path, _ in server.requests if "/resolve/" in path}
    assert fetched == set(TAKEN)


def test_progress_counts_every_byte_once(server: HubServer, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("regimen_trainer.stage.PROGRESS_SECONDS", 0.0)
    server.cuts = [700]
    where = bucket()
    monkeypatch.setattr("regimen_trainer.hub.Event", Hasty)
    run(hub_task(server), where, tmp_path)
    said = json.loads(where.get(progress_key("n", "m", "baseline", "u", "weights")))
    total = len(GGUF) + sum(len(llama()[name]) for name in TAKEN)
    assert (said["bytes"], said["totalBytes"]) == (total, total)


def test_an_interrupted_import_does_not_fetch_again_what_is_in_the_bucket(
    server: HubServer, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    where, shards = bucket(), []
    real = MemoryBucket.upload

    def dies_after_one_shard(self: MemoryBucket, path: Path, key: str, name: str) -> Any:
        if name.endswith(".safetensors"):
            shards.append(name)
            if len(shards) == 2:
                raise TrainerError("the pod was killed")
        return real(self, path, key, name)

    monkeypatch.setattr(MemoryBucket, "upload", dies_after_one_shard)
    monkeypatch.setattr(origins, "WORKERS", 1)
    with pytest.raises(TrainerError, match="killed"):
        importing.run(hub_task(server), where.store, tmp_path / "first")
    assert not where.exists(stage_record_key("n", "m", "baseline", "u", "weights"))
    monkeypatch.setattr(MemoryBucket, "upload", real)
    server.requests.clear()
    assert run(hub_task(server), where, tmp_path / "second").figures["weightsDigest"] == DIGEST
    assert server.asked(shards[0]) == [], "an uploaded shard stays uploaded"
    assert server.asked(shards[1]) == [None]


def test_a_mirror_that_promises_nothing_gives_the_same_model(server: HubServer, tmp_path: Path) -> None:
    server.repos["owner/base"].promises = False
    where = bucket()
    done = run(hub_task(server), where, tmp_path)
    assert done.figures["weightsDigest"] == DIGEST
    assert {file.path: file.bytes for file in done.files if file.path in TAKEN} == {name: len(llama()[name]) for name in TAKEN}


def test_the_token_is_taken_from_the_environment(server: HubServer, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with pytest.raises(InputError, match=r"tokenFrom: owner/gated is gated"):
        run(hub_task(server, "owner/gated"), bucket(), tmp_path)
    monkeypatch.setenv("HF_TOKEN", "hf_right")
    assert run(hub_task(server, "owner/gated"), bucket(), tmp_path).figures["weightsDigest"] == DIGEST


def changed(**files: bytes | None) -> dict[str, bytes]:
    """The model with other files; None removes. Underscores stand for the dots and dashes of names."""
    names = {"config": "config.json", "tokenizer": "tokenizer_config.json", "shard": "model-00002-of-00002.safetensors"}
    found: dict[str, bytes | None] = {**llama(), **{names[name]: data for name, data in files.items()}}
    return {name: data for name, data in found.items() if data is not None}


REFUSED = {
    "only pickles": ({name: data for name, data in llama().items() if not name.endswith(".safetensors")}, r"only as pickles \(pytorch_model"),
    "nothing": ({"README.md": b""}, r"must hold config\.json and model\.safetensors"),
    "another architecture": (llama(architectures=["FalconForCausalLM"]), "says FalconForCausalLM; supported are LlamaForCausalLM, Mistral"),
    "code of its own": (
        llama(architectures=["OwnForCausalLM"], auto_map={"AutoModelForCausalLM": "modeling_own.OwnForCausalLM"}),
        r"auto_map: the model \(OwnForCausalLM\) needs Python code from its repository, which is never run",
    ),
    "a tokenizer of its own": (changed(tokenizer=b'{"auto_map": {"AutoTokenizer": ["x.T", null]}}'), r"tokenizer_config\.json has an auto_map"),
    "quantised": (llama(quantization_config={"bits": 4}), "these weights are quantised; name the 16-bit weights"),
    "a shard is missing": (changed(shard=None), "names model-00002-of-00002.safetensors, which is not there"),
    "config and tensors differ": (llama(num_hidden_layers=3), "speaks of 3 layers of 32"),
    "no output layer": (
        changed(shard=safetensors({"model.layers.1.self_attn.q_proj.weight": (32, 32)})), r"lm_head\.weight is missing, and config\.json does"
    ),
    "8 bit": (changed(shard=safetensors({"lm_head.weight": (100, 32)}, "I8", 1)), "tensors are of type I8"),
    "cut off": (changed(shard=llama()["model-00002-of-00002.safetensors"][:-5]), "bytes, and its header speaks of"),
    "no safetensors at all": (changed(shard=b"\x80\x04pickle pickle"), "is not a safetensors file"),
    "no JSON": (changed(config=b"{"), r"config\.json is not JSON"),
}  # fmt: skip


@pytest.mark.parametrize("case", REFUSED)
def test_a_model_that_cannot_be_used_is_refused_with_the_reason(case: str, tmp_path: Path) -> None:
    files, says = REFUSED[case]
    with hub_server(base=Repo(files)) as server, pytest.raises(InputError, match=says):
        run(hub_task(server), bucket(), tmp_path / "hub")
    where = bucket(**{f"w/{name}": data for name, data in files.items()})
    with pytest.raises(InputError, match=says):
        run(task(s3={"uri": "s3://b/w/"}), where, tmp_path / "bucket")


def test_a_wrong_architecture_costs_no_gigabytes(tmp_path: Path) -> None:
    with hub_server(base=Repo(llama(architectures=["FalconForCausalLM"]))) as server, pytest.raises(InputError):
        run(hub_task(server), bucket(), tmp_path)
    assert server.asked(".safetensors") == []


def test_in_the_bucket_it_is_verified_and_stays(tmp_path: Path) -> None:
    where = bucket(**{f"w/{name}": data for name, data in llama().items()})
    done = run(task(s3={"uri": "s3://b/w/"}), where, tmp_path)
    assert done.figures["weightsDigest"] == DIGEST, "the same files have the same digest, wherever they come from"
    assert {file.uri for file in done.files} == {f"s3://b/w/{name}" for name in TAKEN} | {"s3://b/m.gguf"}
    assert not [key for key in where.writes if key.startswith("base/")]


def test_from_a_volume_into_the_bucket(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(origins, "CLAIM", tmp_path / "claim")
    write_folder(llama(), tmp_path / "claim/hf/base")
    where = bucket()
    done = run(task(persistentVolumeClaim={"claimName": "models", "path": "hf/base"}), where, tmp_path / "scratch")
    assert (done.figures["weightsDigest"], done.figures["source"]) == (DIGEST, "persistentVolumeClaim models/hf/base")
    assert {key for key in where.objects if key.startswith("base/")} == {f"base/n/base/{short(DIGEST)}/{name}" for name in TAKEN}
    assert done.shape is not None


def test_a_hub_s_cache_on_a_volume_works_and_a_way_out_does_not(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    claim = tmp_path / "claim"
    monkeypatch.setattr(origins, "CLAIM", claim)
    write_folder({"blobs/1": llama()["config.json"], **{f"snapshot/{name}": data for name, data in llama().items()}}, claim)
    (claim / "snapshot/config.json").unlink()
    (claim / "snapshot/config.json").symlink_to("../blobs/1")
    given = {"claimName": "models", "path": "snapshot"}
    assert run(task(persistentVolumeClaim=given), bucket(), tmp_path / "scratch").figures["weightsDigest"] == DIGEST
    (tmp_path / "secret.json").write_text("{}")
    (claim / "snapshot/extra.json").symlink_to(tmp_path / "secret.json")
    with pytest.raises(InputError, match=r"persistentVolumeClaim\.path: extra\.json leads out of the volume"):
        run(task(persistentVolumeClaim=given), bucket(), tmp_path / "scratch")
    (claim / "out").symlink_to(tmp_path)
    with pytest.raises(InputError, match=r"persistentVolumeClaim\.path: out leads out of the volume"):
        run(task(persistentVolumeClaim={**given, "path": "out"}), bucket(), tmp_path / "scratch")
    with pytest.raises(InputError, match=r"persistentVolumeClaim\.path: models has no folder nowhere"):
        run(task(persistentVolumeClaim={**given, "path": "nowhere"}), bucket(), tmp_path / "scratch")


def test_a_file_that_changes_while_it_is_copied_is_noticed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(origins, "CLAIM", write_folder(llama(), tmp_path / "claim"))
    real = origins.sha256_of
    monkeypatch.setattr(origins, "sha256_of", lambda path: real(path) if path.suffix != ".safetensors" else "0" * 64)
    with pytest.raises(TrainerError, match="changed while it was copied"):
        run(task(persistentVolumeClaim={"claimName": "models", "path": "."}), bucket(), tmp_path / "scratch")


def test_a_wrong_gguf_is_named(tmp_path: Path) -> None:
    with pytest.raises(InputError, match=r"gguf\[0\]\.sha256: s3://b/m\.gguf has digest"):
        run(task(), bucket(**{"m.gguf": GGUF + b"1"}), tmp_path)


def test_without_weights_only_ggufs_are_recorded(tmp_path: Path) -> None:
    done = run(task(), bucket(), tmp_path)
    assert ([file.path for file in done.files], done.figures["weightsDigest"], done.shape) == (["m.gguf"], None, None)


@pytest.mark.parametrize(
    ("sizes", "free", "workers"), [([], 0, 4), ([5, 5, 5, 5, 5], 100, 4), ([5, 5, 5], 11, 2), ([5, 5, 5], 5, 1), ([9, 1], 10, 4)]
)
def test_as_many_at_once_as_the_disk_holds(sizes: list[int], free: int, workers: int) -> None:
    assert side_by_side([size << 30 for size in sizes], (free << 30) + origins.SPARE) == workers


def test_a_disk_that_holds_no_shard_is_said() -> None:
    with pytest.raises(TrainerError, match=r"a shard has 5\.4 GB, and the node's disk has 4\.3 GB free"):
        side_by_side([5 << 30], 4 << 30)


@pytest.mark.parametrize("revision", ["main", "v1.0", "0123456", "F" * 40])
def test_a_branch_is_no_commit(revision: str) -> None:
    with pytest.raises(ValueError, match=f"revision {revision} is no commit: write its 40 hex digits.*git ls-remote"):
        HuggingFaceWeights(repo="owner/base", revision=revision)


@pytest.mark.parametrize("path", ["/etc", "../other", "a/../../b", "a/.."])
def test_a_path_stays_inside_the_volume(path: str) -> None:
    with pytest.raises(ValueError, match="must stay inside the volume"):
        ClaimWeights(claim_name="models", path=path)


def test_weights_have_one_source() -> None:
    for sources in ({}, {"s3": {"uri": "s3://b/w/"}, "huggingFace": {"repo": "o/r", "revision": COMMIT}}):
        with pytest.raises(ValueError, match="exactly one of s3, huggingFace and persistentVolumeClaim"):
            Weights.model_validate(sources)


def test_the_stage_s_image_is_in_its_record(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("REGIMEN_IMAGE", "registry.example/trainer@sha256:ab")
    where = bucket()
    StageRun(where.store, task(), "weights").finish([], {})
    assert record(where).image == "registry.example/trainer@sha256:ab"
