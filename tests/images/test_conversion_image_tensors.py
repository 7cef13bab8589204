"""Our one pass against the usual way (peft merge, llama.cpp's script, llama-quantize): the same tensors, byte for byte. Runs in the trainer image."""

import importlib
import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any, get_args

import pytest

from regimen.spec.artifacts import Lineage
from regimen.spec.meta import Quantization
from regimen_trainer.conversion import About, llama_cpp, weights, write, write_ggufs
from regimen_trainer.errors import InputError, ToolError

pytestmark = pytest.mark.trainer_image

BENCHMARKS = Path(__file__).parents[2] / "benchmarks"
SPACES = "tokenizer.ggml.add_space_prefix"
KINDS: tuple[Quantization, ...] = get_args(Quantization)
LINEAGE = Lineage(
    base_ref="openins-baseline", base_digest="sha256:aa", dataset="business", dataset_revision="sha256:bb", task="adjudication",
    fine_tune_job="openins-v1-0",
)  # fmt: skip
CASES: dict[str, tuple[str, dict[str, Any], dict[str, Any]]] = {
    "llama, grouped queries, untied, three files": ("Llama", {}, {}),
    "llama, tied, scaled rope": ("Llama", {"tied": True, "llama3_rope": True, "kv_heads": 4}, {"use_rslora": True}),
    "mistral, one key head, alpha by module": ("Mistral", {"kv_heads": 1}, {"alpha_pattern": {"q_proj": 8, "layers.1.mlp.down_proj": 64}}),
}


@pytest.fixture(scope="module")
def tools() -> Any:
    """The benchmark's modules: random models, and the usual way."""
    with pytest.MonkeyPatch.context() as patch:
        patch.syspath_prepend(str(BENCHMARKS))
        yield importlib.import_module("random_models"), importlib.import_module("stock_conversion")


@pytest.fixture(scope="module", params=CASES)
def both(request: pytest.FixtureRequest, tools: Any, tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Path, Path]:
    """Base, our files and theirs, in every quantization."""
    models, _ = tools
    architecture, sizes, settings = CASES[request.param]
    folder, shape = tmp_path_factory.mktemp("conversion"), models.Shape(**sizes)
    base = models.make_model(folder / "base", architecture, shape)
    (base / "README.md").write_text("---\nlicense: apache-2.0\n---\n")
    adapter = models.make_adapter(folder / "adapter", shape, rank=8, **settings)
    outputs = {kind: folder / "ours" / f"{kind}.gguf" for kind in KINDS}
    write_ggufs(base, adapter, outputs, About("openins", "v1.0", LINEAGE), 2)
    command = [sys.executable, BENCHMARKS / "stock_conversion.py", "--base", base, "--adapter", adapter, "--out", folder / "theirs"]
    (folder / "theirs").mkdir()
    subprocess.run([*map(str, command), "--quantizations", ",".join(KINDS)], check=True)
    return base, folder / "ours", folder / "theirs"


@pytest.mark.parametrize("kind", KINDS)
def test_tensors_are_those_of_the_usual_way(tools: Any, both: tuple[Path, Path, Path], kind: str) -> None:
    _, stock = tools
    _, ours, theirs = both
    assert stock.differences(ours / f"{kind}.gguf", theirs / f"{kind}.gguf") == {}


def test_metadata_names_version_licence_template_and_lineage(both: tuple[Path, Path, Path]) -> None:
    base, ours, theirs = both
    mine, usual = fields(ours / "Q5_K_M.gguf"), fields(theirs / "Q5_K_M.gguf")
    expected = {
        "general.name": "openins", "general.version": "v1.0", "general.finetune": "adjudication", "general.license": "apache-2.0",
        "general.base_model.0.name": "openins-baseline", "general.base_model.0.version": "sha256:aa",
        "general.dataset.0.name": "business", "general.dataset.0.version": "sha256:bb",
        "regimen.fine_tune_job": "openins-v1-0", "regimen.base_digest": "sha256:aa", "regimen.dataset_revision": "sha256:bb",
    }  # fmt: skip
    assert {key: mine[key] for key in expected} == expected
    assert mine["regimen.adapter_digest"].startswith("sha256:")
    template = json.loads((base / "tokenizer_config.json").read_text()).get("chat_template") or (base / "chat_template.jinja").read_text()
    assert mine["tokenizer.chat_template"] == template
    # Ours says whether text begins with a space as training had it; the usual way leaves that to llama.cpp's default.
    named = {key for key in mine.keys() | usual.keys() if key.startswith(("general.", "regimen."))} | {"GGUF.kv_count", SPACES}
    assert {key: mine[key] for key in mine.keys() - named} == {key: usual[key] for key in usual.keys() - named}
    assert mine["general.file_type"] == usual["general.file_type"]


def fields(path: Path) -> dict[str, Any]:
    llama_cpp.use()
    import gguf

    return {name: field.contents() for name, field in gguf.GGUFReader(path).fields.items()}


@pytest.fixture(scope="module")
def small(tools: Any, tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Path]:
    """A base of two layers and an adapter for it."""
    models, _ = tools
    folder, shape = tmp_path_factory.mktemp("small"), models.Shape(layers=2)
    return models.make_model(folder / "base", "Llama", shape), models.make_adapter(folder / "adapter", shape)


def test_a_second_run_writes_the_same_bytes_over_what_an_aborted_one_left(small: tuple[Path, Path], tmp_path: Path) -> None:
    first, second = tmp_path / "one.gguf", tmp_path / "two.gguf"
    write_ggufs(*small, {"Q8_0": first}, About("m"), 2)
    second.with_name("two.gguf.partial").write_bytes(b"half a file")
    write_ggufs(*small, {"Q8_0": second}, About("m"), 1)
    assert first.read_bytes() == second.read_bytes()
    assert sorted(path.name for path in tmp_path.iterdir()) == ["one.gguf", "two.gguf"]


def test_a_failure_half_way_leaves_no_file(small: tuple[Path, Path], tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    calls = 0
    real = write.encode

    def failing(values: Any, kind: Any) -> Any:
        nonlocal calls
        calls += 1
        if calls > 5:
            raise ToolError("stopped by the test")
        return real(values, kind)

    monkeypatch.setattr(write, "encode", failing)
    with pytest.raises(ToolError, match="stopped by the test"):
        write_ggufs(*small, {"Q8_0": tmp_path / "a.gguf", "F16": tmp_path / "b.gguf"}, About("m"), 2)
    assert list(tmp_path.iterdir()) == []


def test_memory_does_not_depend_on_the_size_of_a_tensor(small: tuple[Path, Path], tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """No read is larger than a slab (or one row), and no more than three slabs a worker are under way."""
    reads: list[int] = []
    under_way: set[Any] = set()
    most = 0
    submit, real = write.ThreadPoolExecutor.submit, weights.Stored.read

    def counted(self: Any, first: int, last: int) -> Any:
        values = real(self, first, last)
        reads.append(values.numel())
        return values

    def watched(self: Any, *arguments: Any) -> Any:
        nonlocal most
        future = submit(self, *arguments)
        under_way.add(future)
        most = max(most, sum(not one.done() for one in under_way))
        return future

    monkeypatch.setattr(write, "SLAB_WEIGHTS", 1 << 14)
    monkeypatch.setattr(weights.Stored, "read", counted)
    monkeypatch.setattr(write.ThreadPoolExecutor, "submit", watched)
    write_ggufs(*small, {"Q6_K": tmp_path / "a.gguf"}, About("m"), 2)
    assert max(reads) <= 1 << 14
    assert most <= 6


def test_weights_that_a_type_cannot_hold_are_said(small: tuple[Path, Path], tmp_path: Path) -> None:
    import torch

    from regimen_trainer.conversion.ggml import encode

    llama_cpp.use()
    import gguf

    with pytest.raises(ToolError, match="do not fit F16"):
        encode(torch.full((1, 256), 1e6), gguf.GGMLQuantizationType.F16)


def test_an_adapter_of_another_base_is_refused(tools: Any, small: tuple[Path, Path], tmp_path: Path) -> None:
    models, _ = tools
    adapter = models.make_adapter(tmp_path / "adapter", models.Shape(hidden=512, layers=2))
    with pytest.raises(InputError, match="name the base that it was trained from"):
        write_ggufs(small[0], adapter, {"F16": tmp_path / "a.gguf"}, About("m"), 1)


def test_another_architecture_is_refused(small: tuple[Path, Path], tmp_path: Path) -> None:
    config = json.loads((small[0] / "config.json").read_text())
    (tmp_path / "config.json").write_text(json.dumps({**config, "architectures": ["GPT2LMHeadModel"]}))
    with pytest.raises(InputError, match="GPT2LMHeadModel"):
        write_ggufs(tmp_path, None, {"F16": tmp_path / "a.gguf"}, About("m"), 1)


def test_the_command_names_files_beside_the_folder(small: tuple[Path, Path], tmp_path: Path) -> None:
    """The command as the business typed it, in a process of its own."""
    command = [sys.executable, "-c", "from regimen_trainer.commands.conversion import merge_and_convert; merge_and_convert()"]
    options = ["--base_model", small[0], "--lora-adapter", small[1], "--output_dir", "models/business/merged/bimedix-v1.0"]
    done = subprocess.run(
        [*command, *map(str, options), "--quantize", "q6_k,F16"], cwd=tmp_path, env=os.environ, capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr
    merged = Path("models/business/merged")
    assert done.stdout.split() == [str(merged / "bimedix-v1.0-Q6_K.gguf"), str(merged / "bimedix-v1.0-F16.gguf")]
    assert "100 %" in done.stderr
    said = fields(tmp_path / merged / "bimedix-v1.0-Q6_K.gguf")
    assert (said["general.name"], said["general.version"]) == ("bimedix", "v1.0")
