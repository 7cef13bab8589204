"""`regimen download_base_models`: commits that stay, cuts that are continued, what is there and right left alone."""

import json
from collections.abc import Iterator
from pathlib import Path

import pytest
from click.testing import CliRunner, Result

from hub_server import COMMIT, TAKEN, Hasty, HubServer, Repo, hub_server, llama, llava
from regimen_trainer.base_models import read_list
from regimen_trainer.commands.models import download_base_models

NEWER = "f" * 40


@pytest.fixture
def server(monkeypatch: pytest.MonkeyPatch) -> Iterator[HubServer]:
    monkeypatch.setattr("regimen_trainer.hub.Event", Hasty)
    with hub_server(base=Repo(llama()), other=Repo(llama())) as running:
        yield running


def call(server: HubServer, folder: Path, *args: str) -> Result:
    return CliRunner().invoke(download_base_models, ["--output_dir", str(folder), "--endpoint", server.endpoint, *args])


def test_the_business_s_three_models_are_the_default() -> None:
    assert [model.name for model in read_list(None)] == ["BiMediX2-8B", "openinsurancellm-llama3-8b", "BioMistral-7B"]


def test_a_model_is_downloaded_and_its_commit_is_kept(server: HubServer, tmp_path: Path) -> None:
    done = call(server, tmp_path, "--model", "one=owner/base")
    assert done.exit_code == 0, done.output
    assert f"one: owner/base at {COMMIT}, licence apache-2.0" in done.output
    assert {path.name for path in (tmp_path / "one").iterdir()} == {*TAKEN, ".complete", ".commit"}
    assert (tmp_path / "revisions.lock").read_text() == f"one owner/base {COMMIT}\n"


def test_a_new_commit_on_the_hub_changes_nothing_until_it_is_asked_for(server: HubServer, tmp_path: Path) -> None:
    call(server, tmp_path, "--model", "one=owner/base")
    server.repos["owner/base"].commit = NEWER
    again = call(server, tmp_path, "--model", "one=owner/base")
    assert (again.exit_code, f"no revision {COMMIT}" in again.output) == (2, True), "the double keeps one commit; the old one was asked for"
    asked = call(server, tmp_path, "--model", f"one=owner/base@{NEWER}")
    assert asked.exit_code == 0, asked.output
    assert (tmp_path / "revisions.lock").read_text() == f"one owner/base {NEWER}\n"


def test_what_is_there_is_not_fetched_again(server: HubServer, tmp_path: Path) -> None:
    call(server, tmp_path, "--model", "one=owner/base")
    server.requests.clear()
    again = call(server, tmp_path, "--model", "one=owner/base")
    assert "there already, verified" in again.output
    assert [path for path, _ in server.requests if "/resolve/" in path] == []


def test_a_damaged_file_is_fetched_again_alone(server: HubServer, tmp_path: Path) -> None:
    call(server, tmp_path, "--model", "one=owner/base")
    shard = tmp_path / "one/model-00001-of-00002.safetensors"
    shard.write_bytes(shard.read_bytes()[:-1] + b"!")
    server.requests.clear()
    assert call(server, tmp_path, "--model", "one=owner/base").exit_code == 0
    assert shard.read_bytes() == llama()[shard.name]
    assert {path.rsplit("/", 1)[1] for path, _ in server.requests if "/resolve/" in path} == {shard.name}


def test_a_run_that_was_killed_goes_on_byte_by_byte(server: HubServer, tmp_path: Path) -> None:
    name = "model-00001-of-00002.safetensors"
    (tmp_path / "one").mkdir()
    (tmp_path / f"one/{name}.partial").write_bytes(llama()[name][:3000])
    assert call(server, tmp_path, "--model", "one=owner/base").exit_code == 0
    assert server.asked(name) == ["bytes=3000-"]


def test_of_a_vision_language_model_the_language_model_is_kept(server: HubServer, tmp_path: Path) -> None:
    server.repos["owner/base"].files = llava()
    assert call(server, tmp_path, "--model", "one=owner/base").exit_code == 0
    config = json.loads((tmp_path / "one/config.json").read_text())
    assert config["architectures"] == ["LlamaForCausalLM"]
    assert not (tmp_path / "one/model-00003-of-00003.safetensors").exists()
    server.requests.clear()
    assert "there already, verified" in call(server, tmp_path, "--model", "one=owner/base").output
    assert [path for path, _ in server.requests if "/resolve/" in path] == []


def test_one_that_fails_does_not_keep_the_others_back(server: HubServer, tmp_path: Path) -> None:
    listed = tmp_path / "list.txt"
    listed.write_text(f"# mine\nnone owner/none\nother owner/other {COMMIT}\n")
    done = call(server, tmp_path / "hf", "--list", str(listed))
    assert done.exit_code == 2
    assert "none: --model: owner/none does not exist at http" in done.output
    assert (tmp_path / "hf/other/.complete").exists()


@pytest.mark.parametrize("model", ["base", "base=owner", "=owner/base", "a/b=owner/base"])
def test_a_model_that_cannot_be_understood_is_named(server: HubServer, tmp_path: Path, model: str) -> None:
    done = call(server, tmp_path, "--model", model)
    assert (done.exit_code, "is not NAME=OWNER/REPO" in done.output) == (2, True)


def test_both_spellings_of_options(server: HubServer, tmp_path: Path) -> None:
    done = CliRunner().invoke(
        download_base_models, ["--output-dir", str(tmp_path), "--endpoint", server.endpoint, "--model", "one=owner/base"]
    )
    assert done.exit_code == 0, done.output
