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
from regimen_trainer.language import is_inside, take_out
from regimen_trainer.weights import CONFIG, INDEX, TOKENIZER_CONFIG, check_layout, members, read_config, read_model

LOCK = "revisions.lock"
COMMIT_FILE = ".commit"
"""Beside a model's marker: the commit that it is of."""
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
    if _is_complete(folder, revision.commit):
        seen(sum(file.bytes for file in wanted))
        return False
    missing = [file for file in wanted if not _is_there(file, folder)]
    seen(sum(file.bytes for file in wanted if file not in missing))
    small = [file for file in missing if file.sha256 is None or file.path in {CONFIG, TOKENIZER_CONFIG, INDEX}]
    hub.fetch_all(revision, small, folder, seen)
    inside = is_inside(read_config(lambda name: (folder / name).read_bytes()))
    if not inside:
        read_model(lambda name: (folder / name).read_bytes(), names)
    large = [file for file in missing if file not in small]
    _check_space(large, folder)
    hub.fetch_all(revision, large, folder, seen)
    digests = {file.path: file.sha256 or sha256_of(folder / file.path) for file in wanted}
    keep(folder, _only_language(folder, names) if inside else digests)
    (folder / COMMIT_FILE).write_text(revision.commit)
    return True


def _only_language(folder: Path, names: Sequence[str]) -> dict[str, str]:
    """Put the language model inside a vision-language model in the place of the whole; returns its files' digests."""
    out = folder / "language"
    shutil.rmtree(out, ignore_errors=True)
    kept = take_out({name: folder / name for name in names}, out)
    read_model(lambda name: (out / name).read_bytes(), kept)
    for name in names:
        (folder / name).unlink()
    for name in kept:
        (out / name).rename(folder / name)
    out.rmdir()
    return {name: sha256_of(folder / name) for name in kept}


def _is_complete(folder: Path, commit: str) -> bool:
    """Whether all of that commit is here, as it was when it was verified."""
    marker, of = remembered(folder), folder / COMMIT_FILE
    return marker is not None and of.exists() and of.read_text() == commit and not damaged(folder, marker)


def _is_there(file: HubFile, folder: Path) -> bool:
    """Whether a file was verified and is unchanged, or turns out to be right."""
    path, marker = folder / file.path, remembered(folder) or {}
    if not path.is_file() or (file.bytes and path.stat().st_size != file.bytes):
        return False
    known = marker.get(file.path)
    if known is not None and not damaged(folder, {file.path: known}):
        return file.sha256 is None or known.sha256 == file.sha256
    return file.sha256 is not None and sha256_of(path) == file.sha256


def _check_space(wanted: Sequence[HubFile], folder: Path) -> None:
    partials = [folder / f"{file.path}.partial" for file in wanted]
    needed = sum(file.bytes for file in wanted) - sum(path.stat().st_size for path in partials if path.exists())
    if needed > (free := shutil.disk_usage(folder).free):
        raise InputError(
            f"--output_dir: {needed / 1e9:.1f} GB are still to be fetched, and {free / 1e9:.1f} GB are free; choose another disk"
        )
