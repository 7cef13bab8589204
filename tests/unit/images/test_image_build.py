"""What images are made of, their keys and their archives: pure parts of images/build.py, without buildah."""

from __future__ import annotations

import hashlib
import importlib.util
import json
import os
import sys
import tarfile
import tomllib
from pathlib import Path
from types import ModuleType

import pytest

ROOT = Path(__file__).resolve().parents[3]


def _load() -> ModuleType:
    spec = importlib.util.spec_from_file_location("regimen_image_build", ROOT / "images" / "build.py")
    assert spec is not None and spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    sys.modules[spec.name] = module
    spec.loader.exec_module(module)
    return module


build = _load()

PROJECT = {
    "name": "thing",
    "dependencies": ["click>=8"],
    "optional-dependencies": {"data": ["polars"], "trainer": ["thing[data]", "trl>=1"], "server": ["httpx"]},
}
LOCK = """click==8.5.1
cuda-toolkit==13.2.2 ; sys_platform == 'linux'
nvidia-cublas==13.4.1.3
sympy==1.14.0
torch==2.15.0
torchvision==1
triton==3.9.0
"""


# ---- requirements and constraints


def test_requirements_open_up_extras_that_name_the_project() -> None:
    assert build.requirements_of(PROJECT, "trainer") == ["click>=8", "polars", "trl>=1"]


def test_requirements_of_one_extra_leave_out_the_others() -> None:
    assert build.requirements_of(PROJECT, "server") == ["click>=8", "httpx"]


def test_cpu_constraints_pin_neither_torch_nor_cuda() -> None:
    assert build.constraints_of(LOCK, "cpu") == "click==8.5.1\ntorchvision==1\n"


def test_gpu_constraints_are_the_lock() -> None:
    assert build.constraints_of(LOCK, "gpu") == LOCK


def test_every_image_has_a_containerfile_and_its_extra_exists() -> None:
    extras = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]["optional-dependencies"]
    for image in build.IMAGES.values():
        assert (ROOT / "images" / image.name / "Containerfile").is_file()
        assert image.extra is None or image.extra in extras


@pytest.mark.parametrize("name", list(build.IMAGES))
def test_images_run_as_a_numeric_user_and_our_code_comes_after_the_dependencies(name: str) -> None:
    text = (ROOT / "images" / name / "Containerfile").read_text()
    assert "USER 65532:65532" in text  # a name could not be checked by runAsNonRoot
    assert "ARG BASE_IMAGE=docker.io/" in text
    if build.IMAGES[name].extra:
        assert text.rindex("requirements.txt") < text.index("regimen_operator-*.whl")


# ---- keys


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    (tmp_path / "context" / "sub").mkdir(parents=True)
    (tmp_path / "context" / "Containerfile").write_text("FROM scratch\n")
    (tmp_path / "context" / "sub" / "a.py").write_text("1\n")
    return tmp_path / "context"


def test_key_ignores_times(folder: Path) -> None:
    before = build.key_of(folder, "base")
    os.utime(folder / "Containerfile", (1, 1))
    assert build.key_of(folder, "base") == before
    assert len(before) == build.KEY_LENGTH


def test_key_depends_on_content_name_mode_and_parameters(folder: Path) -> None:
    keys = [build.key_of(folder, "base"), build.key_of(folder, "other base"), build.key_of(folder, "base", "VARIANT=gpu")]
    (folder / "sub" / "a.py").chmod(0o755)
    keys.append(build.key_of(folder, "base"))
    (folder / "sub" / "a.py").write_text("2\n")
    keys.append(build.key_of(folder, "base"))
    (folder / "sub" / "a.py").rename(folder / "sub" / "b.py")
    keys.append(build.key_of(folder, "base"))
    assert len(set(keys)) == len(keys)


# ---- archives


def _put(layout: Path, content: bytes) -> str:
    digest = "sha256:" + hashlib.sha256(content).hexdigest()
    path = build.blob_path(layout, digest)
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(content)
    return digest


def _add_image(layout: Path, name: str, layers: list[bytes]) -> None:
    digests = [_put(layout, layer) for layer in layers]
    manifest = {"config": {"digest": _put(layout, json.dumps(digests).encode())}, "layers": [{"digest": digest} for digest in digests]}
    path = layout / "index.json"
    manifests = json.loads(path.read_text())["manifests"] if path.exists() else []
    for older in manifests:  # what the image tools do with a name that moves on
        if older.get("annotations", {}).get(build.REF_NAME) == name:
            del older["annotations"]
    manifests.append({"digest": _put(layout, json.dumps(manifest).encode()), "annotations": {build.REF_NAME: name}})
    path.write_text(json.dumps({"schemaVersion": 2, "manifests": manifests}))


def _members(archive: Path) -> dict[str, bytes]:
    with tarfile.open(archive) as tar:
        names = tar.getnames()
        assert len(names) == len(set(names))
        return {member.name: handle.read() for member in tar if (handle := tar.extractfile(member))}


def test_archive_holds_every_blob_and_the_name(tmp_path: Path) -> None:
    _add_image(tmp_path, "trainer", [b"base", b"dependencies", b"code"])
    build.write_archive(tmp_path, "trainer", "regimen.local/trainer:abc", tmp_path / "a.tar")
    members = _members(tmp_path / "a.tar")
    (manifest,) = json.loads(members["index.json"])["manifests"]
    assert manifest["annotations"]["io.containerd.image.name"] == "regimen.local/trainer:abc"
    assert {b"base", b"dependencies", b"code"} <= set(members.values())
    blobs = {name: content for name, content in members.items() if name.startswith("blobs/")}
    assert all(name == f"blobs/sha256/{hashlib.sha256(content).hexdigest()}" for name, content in blobs.items())


@pytest.mark.parametrize(
    "layers",
    [
        pytest.param([b"base", b"dependencies", b"newer code"], id="code changed"),
        pytest.param([b"base", b"newer dependencies", b"code"], id="dependencies changed"),
        pytest.param([b"newer base"], id="all changed"),
        pytest.param([b"base", b"dependencies", b"code"], id="nothing changed"),
        pytest.param([b"base", b"dependencies"], id="a layer less"),
    ],
)
def test_an_archive_made_from_an_older_one_is_the_one_written_anew(tmp_path: Path, layers: list[bytes]) -> None:
    _add_image(tmp_path, "trainer", [b"base", b"dependencies", b"code" * 9000])
    build.write_archive(tmp_path, "trainer", "r/trainer:old", tmp_path / "old.tar")
    _add_image(tmp_path, "trainer", layers)
    build.write_archive(tmp_path, "trainer", "r/trainer:new", tmp_path / "new.tar", previous=tmp_path / "old.tar")
    build.write_archive(tmp_path, "trainer", "r/trainer:new", tmp_path / "fresh.tar")
    assert _members(tmp_path / "new.tar") == _members(tmp_path / "fresh.tar")
    assert not (tmp_path / "old.tar").exists()


def test_shared_layers_are_not_written_again(tmp_path: Path) -> None:
    _add_image(tmp_path, "trainer", [b"base" * 100_000, b"code"])
    build.write_archive(tmp_path, "trainer", "r/trainer:old", tmp_path / "old.tar")
    node = (tmp_path / "old.tar").stat().st_ino
    layer = build.blob_path(tmp_path, "sha256:" + hashlib.sha256(b"base" * 100_000).hexdigest())
    _add_image(tmp_path, "trainer", [b"base" * 100_000, b"newer code"])
    layer.unlink()  # whoever would copy it fails
    build.write_archive(tmp_path, "trainer", "r/trainer:new", tmp_path / "new.tar", previous=tmp_path / "old.tar")
    assert (tmp_path / "new.tar").stat().st_ino == node


def test_blobs_of_replaced_images_go_and_shared_ones_stay(tmp_path: Path) -> None:
    _add_image(tmp_path, "trainer", [b"base", b"old code"])
    _add_image(tmp_path, "server", [b"base", b"server code"])
    _add_image(tmp_path, "trainer", [b"base", b"new code"])
    build.remove_unused_blobs(tmp_path)
    contents = {path.read_bytes() for path in (tmp_path / "blobs" / "sha256").iterdir()}
    assert {b"base", b"server code", b"new code"} <= contents
    assert b"old code" not in contents


# ---- the command


def test_an_unknown_name_is_refused(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit):
        build.parse(["trainner"])
    assert "no such image: trainner; there are trainer" in capsys.readouterr().err


def test_a_failing_program_shows_the_end_of_its_output(tmp_path: Path) -> None:
    with pytest.raises(build.BuildError) as error:
        build.run(["sh", "-c", "seq 100; exit 3"], tmp_path / "logs" / "x.log")
    assert "failed (3)" in str(error.value)
    assert str(error.value).splitlines()[1:] == [str(number) for number in range(71, 101)]
