"""Base models on one's own disk, without a cluster: which ones, at which commit, fetched and verified.

<output>/<name>/…            the model in Hugging Face layout, and what was verified of it (`kept`)
<output>/revisions.lock      name, repository and commit of each: what the next run takes again
"""

import shutil
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from importlib.resources import files
from pathlib import Path

from regimen_trainer.errors import InputError
from regimen_trainer.hub import Fields, Hub, HubFile, Revision
from regimen_trainer.kept import damaged, keep, remembered, sha256_of
from regimen_trainer.weights import CONFIG, INDEX, TOKENIZER_CONFIG, check_layout, members, read_model

LOCK = "revisions.lock"
FIELDS = Fields("--model", "--model", "HF_TOKEN", "--endpoint")


@dataclass(frozen=True)
class BaseModel:
    """A model to fetch."""

    name: str
    repo: str
    revision: str | None = None


def parse(text: str) -> BaseModel:
    """NAME=REPO[@REVISION]. Raises InputError.

    >>> parse("base=owner/model@refs/pr/3")
    BaseModel(name='base', repo='owner/model', revision='refs/pr/3')
    """
    name, _, rest = text.partition("=")
    repo, _, revision = rest.partition("@")
    if not name or "/" in name or repo.count("/") != 1:
        raise InputError(f"--model: {text} is not NAME=OWNER/REPO or NAME=OWNER/REPO@REVISION; correct it")
    return BaseModel(name, repo, revision or None)


def read_list(path: Path | None) -> list[BaseModel]:
    """The models of a list, by default of the one that is shipped. Raises InputError."""
    text = path.read_text() if path else (files("regimen_trainer") / "base_models.txt").read_text()
    lines = [line.split() for line in text.splitlines() if line.strip() and not line.startswith("#")]
    if wrong := next((line for line in lines if len(line) not in (2, 3)), None):
        raise InputError(f"--list: {' '.join(wrong)} is not NAME REPO [REVISION]; correct it")
    return [BaseModel(*line) for line in lines]


def locked(output: Path) -> dict[str, BaseModel]:
    """What an earlier run took, by name."""
    path = output / LOCK
    return {model.name: model for model in read_list(path)} if path.exists() else {}


def lock(output: Path, model: BaseModel) -> None:
    """Remember a model's commit."""
    entries = {**locked(output), model.name: model}
    partial = output / f"{LOCK}.partial"
    partial.write_text("".join(f"{entry.name} {entry.repo} {entry.revision}\n" for _, entry in sorted(entries.items())))
    partial.rename(output / LOCK)


def resolve(model: BaseModel, output: Path, hub: Hub) -> Revision:
    """The commit to fetch: the one that is asked for, else the one of an earlier run, else the newest; remembered from here on."""
    before = locked(output).get(model.name)
    known = before.revision if before and before.repo == model.repo else None
    found = hub.revision(model.repo, model.revision or known or "main")
    lock(output, BaseModel(model.name, model.repo, found.commit))
    return found


def fetch(revision: Revision, folder: Path, hub: Hub, expect: Callable[[int], None], seen: Callable[[int], None]) -> bool:
    """The model's files below `folder`; whatever is there and right is not fetched again. Returns whether anything was.

    Raises InputError for a model that cannot be used, before its weights are fetched.
    """
    there = [file.path for file in revision.files]
    check_layout(there, f"{revision.repo}@{revision.commit[:12]}", "--model")
    names = members(there)
    wanted = [file for file in revision.files if file.path in names]
    expect(sum(file.bytes for file in wanted))
    folder.mkdir(parents=True, exist_ok=True)
    missing = [file for file in wanted if not _is_there(file, folder)]
    seen(sum(file.bytes for file in wanted if file not in missing))
    if not missing and not _changed(folder, names):
        return False
    small = [file for file in missing if file.sha256 is None or file.path in {CONFIG, TOKENIZER_CONFIG, INDEX}]
    hub.fetch_all(revision, small, folder, seen)
    read_model(lambda name: (folder / name).read_bytes(), names)
    large = [file for file in missing if file not in small]
    _check_space(large, folder)
    hub.fetch_all(revision, large, folder, seen)
    keep(folder, {file.path: file.sha256 or sha256_of(folder / file.path) for file in wanted})
    return True


def _is_there(file: HubFile, folder: Path) -> bool:
    """Whether a file was verified and is unchanged, or turns out to be right."""
    path, marker = folder / file.path, remembered(folder) or {}
    if not path.is_file() or (file.bytes and path.stat().st_size != file.bytes):
        return False
    known = marker.get(file.path)
    if known is not None and not damaged(folder, {file.path: known}):
        return file.sha256 is None or known.sha256 == file.sha256
    return file.sha256 is not None and sha256_of(path) == file.sha256


def _changed(folder: Path, names: Sequence[str]) -> bool:
    marker = remembered(folder)
    return marker is None or sorted(marker) != sorted(names)


def _check_space(wanted: Sequence[HubFile], folder: Path) -> None:
    partials = [folder / f"{file.path}.partial" for file in wanted]
    needed = sum(file.bytes for file in wanted) - sum(path.stat().st_size for path in partials if path.exists())
    if needed > (free := shutil.disk_usage(folder).free):
        raise InputError(
            f"--output_dir: {needed / 1e9:.1f} GB are still to be fetched, and {free / 1e9:.1f} GB are free; choose another disk"
        )
