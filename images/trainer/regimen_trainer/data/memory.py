"""What a dataset remembers between revisions, as restricted as the exports themselves.

    generation-000007.json      key, recipe, and the files of this generation; the highest number counts
    000001/surrogates.parquet   kind, hash, surrogate: random surrogates of hashed values
    000001/ledger.parquet       print, ident, grp, source, side: on which side every row was ever put; never forgotten
    000001/rows-claims.parquet  the de-identified rows themselves, so that a refresh works on new ones only
    000001/pairs-claims.parquet near-duplicates by seq, with their similarity
    000001/common-claims.npy    how common the grams of near-duplicates are

A generation adds files to those before it and is complete when its JSON is there. Rows are kept for one recipe: with other rules of
de-identification all rows are worked on again, while sides and surrogates stay. Knows files, not what is in them.
"""

import os
import secrets
import shutil
from collections import Counter
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Self

from pydantic import BaseModel, ConfigDict, ValidationError

from regimen_trainer.errors import InputError

FORMAT = 1


class Generation(BaseModel):
    """The document of a generation."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    format: int = FORMAT
    number: int = 0
    key: str
    """Hex; of the keyed hashes in which values are kept."""
    recipe: str = ""
    surrogates: list[str] = []
    ledger: list[str] = []
    rows: dict[str, list[str]] = {}
    common: dict[str, str] = {}
    pairs: dict[str, list[str]] = {}
    counts: dict[str, dict[str, int]] = {}
    """removed and residual identifiers by class, and rows changed, over all rows of this recipe."""
    revision: str | None = None
    """Digest of the revision that came of it."""

    def files(self) -> Iterator[str]:
        """Paths of every file of it."""
        yield from (*self.surrogates, *self.ledger, *self.common.values())
        for names in (*self.rows.values(), *self.pairs.values()):
            yield from names


class Memory:
    """A folder with the newest generation in it, and what the next one will add."""

    def __init__(self, folder: Path, generation: Generation, staging: Path | None = None) -> None:
        self.folder, self.generation = folder, generation
        self.staging = staging or folder
        """Where new files are written; the folder itself stays as it is until `keep`."""
        self._next = generation.model_copy(update={"number": generation.number + 1})
        self.grown = False

    @classmethod
    def load(cls, folder: Path, staging: Path | None = None, whole: bool = True) -> Self:
        """The newest generation in a folder, or an empty one. Raises InputError where it is damaged: guessing would move people."""
        newest = max(folder.glob("generation-*.json"), default=None)
        if newest is None:
            return cls(folder, Generation(key=secrets.token_bytes(32).hex()), staging)
        try:
            generation = Generation.model_validate_json(newest.read_bytes())
        except ValidationError as error:
            raise InputError(
                f"the dataset's memory {newest.name} is damaged; restore it from a backup, or remove it all to start anew"
            ) from error
        if generation.format != FORMAT:
            raise InputError(
                f"the dataset's memory has format {generation.format}, this release writes {FORMAT}; use the release that wrote it"
            )
        for name in generation.files() if whole else ():
            if not (folder / name).is_file():
                raise InputError(f"the dataset's memory lacks {name}; restore it from a backup, or remove it all to start anew")
        return cls(folder, generation, staging)

    @property
    def key(self) -> bytes:
        return bytes.fromhex(self.generation.key)

    def paths(self, names: list[str]) -> list[str]:
        """Where files of the generation are."""
        return [str(self.folder / name) for name in names]

    def rows(self, source: str) -> list[Path]:
        """The files of a source's rows, in order, the next generation's with them."""
        before = self.generation.rows.get(source, [])
        return [(self.folder if name in before else self.staging) / name for name in self._next.rows.get(source, [])]

    def forget_rows(self, recipe: str) -> None:
        """Begin anew with another recipe: rows go, sides and surrogates stay."""
        fresh: dict[str, object] = {"recipe": recipe, "rows": {}, "common": {}, "pairs": {}, "counts": {}}
        self.generation = self.generation.model_copy(update=fresh)
        self._next = self._next.model_copy(update=fresh)

    def count(self, what: str, more: Mapping[str, int]) -> Counter[str]:
        """Add to what is counted over all revisions; returns the sum."""
        total = Counter(self._next.counts.get(what, {})) + Counter(more)
        self._next = self._next.model_copy(update={"counts": {**self._next.counts, what: dict(total)}})
        return total

    def new_file(self, kind: str, suffix: str = "parquet", source: str | None = None) -> Path:
        """A path for a file of the next generation: surrogates, ledger, rows, pairs or common."""
        name = f"{self._next.number:06d}/{kind}{'-' + source if source else ''}.{suffix}"
        held = getattr(self._next, kind)
        if kind == "common":
            value: object = {**held, source: name}
        elif source is not None:
            value = {**held, source: [*held.get(source, []), name]}
        else:
            value = [*held, name]
        self._next = self._next.model_copy(update={kind: value})
        self.grown = True
        path = self.staging / name
        path.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
        return path

    def published(self, digest: str) -> str | None:
        """Note the digest of the revision that comes of the next generation; returns that of the one before."""
        self.grown |= self.generation.revision != digest
        self._next = self._next.model_copy(update={"revision": digest})
        return self.generation.revision if self.generation.revision != digest else None

    def added(self) -> list[str]:
        """Files that the next generation has and this one lacks."""
        before = set(self.generation.files())
        return [name for name in self._next.files() if name not in before]

    def document(self) -> tuple[str, bytes]:
        """Name and content of the next generation's JSON, to be written last."""
        return f"generation-{self._next.number:06d}.json", self._next.model_dump_json(indent=1).encode()

    def keep(self) -> None:
        """Make the next generation the newest of the folder, where there is something new: its files first, its document last."""
        if not self.grown:
            return
        self.folder.mkdir(parents=True, exist_ok=True, mode=0o700)
        for name in self.added():
            (self.folder / name).parent.mkdir(exist_ok=True, mode=0o700)
            shutil.move(self.staging / name, self.folder / name)
        name, content = self.document()
        write_private(self.folder / name, content)


def write_private(path: Path, data: bytes) -> None:
    """Write a file that only its owner may read, whole or not at all."""
    partial = path.with_name(f".{path.name}.partial")
    partial.unlink(missing_ok=True)
    with os.fdopen(os.open(partial, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "wb") as file:
        file.write(data)
        os.fsync(file.fileno())
    partial.replace(path)
