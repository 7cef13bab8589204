"""The work on each row's texts: identifiers out, grams for near-duplicates. Runs in worker processes, one batch of rows after another.

What a row gives depends on the row and the key alone, so that the number of workers never shows in a revision. Known values become marks
(one for each column, of the form of tags, which recognisers put out of their own way); the surrogates that stand for them are drawn later, in one place.
"""

import re
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from hashlib import blake2b

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from regimen_trainer.data import similar
from regimen_trainer.deid import Known, deidentify, residual

_PRIVATE = re.compile("[\ue000-\uf8ff]")
_CODE = re.compile(r"[A-Z]{0,2}\d{2,5}[A-Z]?(?:\.[0-9A-Z]{1,4})?(?:-[0-9A-Z]{2})?|[A-Z]\d[0-9A-Z](?:\.[0-9A-Z]{1,4})?", re.IGNORECASE)
"""A code as ICD-10, CPT and HCPCS have them. No telephone or social security number has this form."""
_BETWEEN = re.compile(r"[\s,;|/]+")
_MARK = re.compile(r"\[known ([0-9a-f]{8})\]")


@dataclass(frozen=True)
class Recipe:
    """What to do with a batch."""

    source: str
    key: bytes
    known: tuple[str, ...]
    texts: tuple[str, ...]
    similar: tuple[str, ...]
    group: tuple[str, ...]
    identity: str | None
    """Column that names a row; None: its content does."""
    codes: tuple[str, ...]
    """Texts that are lists of codes: a bare number, which nothing explains elsewhere, is one there."""
    scrub: bool


@dataclass(frozen=True)
class Worked:
    """A batch after the work: its texts with marks, the hashes of what the marks stand for, grams of `similar` columns, counts."""

    rows: pa.RecordBatch
    grams: similar.Grams
    offsets: NDArray[np.int64]
    removed: Counter[str]
    residual: Counter[str]
    changed: int


def mark(index: int) -> str:
    """What stands for the value of the known column of that index."""
    return f"[known {index:08x}]"


def keyed(key: bytes, kind: str, value: str) -> bytes:
    """16-byte keyed hash of a value of a kind. Case and outer spaces do not matter."""
    return blake2b(f"{kind}\0{value.strip().casefold()}".encode(), key=key, digest_size=16).digest()


def work(batch: pa.RecordBatch, recipe: Recipe) -> Worked:
    """Clean a batch of rows: print, the known columns, the texts, the groups; other columns go through as they are."""
    names = dict.fromkeys((*recipe.known, *recipe.texts, *recipe.group))
    columns = {name: [str(value or "") for value in batch.column(f"c {name}").to_pylist()] for name in names}
    removed, left, changed = Counter[str](), Counter[str](), 0
    cleaned: dict[str, list[str]] = {name: [] for name in recipe.texts}
    hashes: dict[str, list[bytes | None]] = {name: [] for name in recipe.known}
    for index in range(batch.num_rows):
        known = [Known(name, columns[name][index], mark(place)) for place, name in enumerate(recipe.known) if columns[name][index]]
        before, used = removed.total(), set[int]()
        for name in recipe.texts:
            text = columns[name][index]
            if name not in recipe.codes or not _only_codes(text, known):
                text = _clean(text, known, recipe, removed, left)
            cleaned[name].append(text)
            used.update(int(number, 16) for number in _MARK.findall(text))
        changed += removed.total() > before
        for place, name in enumerate(recipe.known):
            met = name == recipe.identity or place in used
            hashes[name].append(keyed(recipe.key, name, columns[name][index]) if met else None)
    grams, offsets = similar.grams(_comparable(cleaned, recipe, batch.num_rows))
    return Worked(_batch(batch, columns, cleaned, hashes, recipe), grams, offsets, removed, left, changed)


def _clean(text: str, known: Sequence[Known], recipe: Recipe, removed: Counter[str], left: Counter[str]) -> str:
    text = _MARK.sub("known", text if text.isascii() else _PRIVATE.sub(" ", text))
    if not recipe.scrub:
        return text
    done = deidentify(text, known)
    removed.update(done.found)
    left.update(residual(done.text))
    return done.text


def _only_codes(text: str, known: Sequence[Known]) -> bool:
    words = [word for word in _BETWEEN.split(text) if word]
    values = {entry.value.strip().casefold() for entry in known}
    return all(map(_CODE.fullmatch, words)) and values.isdisjoint(map(str.casefold, words))


def _comparable(cleaned: Mapping[str, Sequence[str]], recipe: Recipe, rows: int) -> list[str]:
    joined = (" ".join(cleaned[name][index] for name in recipe.similar) for index in range(rows))
    return [_MARK.sub(lambda match: f" {recipe.known[int(match[1], 16)]} ", text) for text in joined]


def _batch(
    batch: pa.RecordBatch,
    columns: Mapping[str, Sequence[str]],
    cleaned: Mapping[str, Sequence[str]],
    hashes: Mapping[str, Sequence[bytes | None]],
    recipe: Recipe,
) -> pa.RecordBatch:
    prints: list[bytes] = batch.column("print").to_pylist()
    identity = hashes[recipe.identity] if recipe.identity else [keyed(recipe.key, recipe.source, value.hex()) for value in prints]
    groups = [_group(recipe, [columns[name][index] for name in recipe.group], identity[index] or b"") for index in range(batch.num_rows)]
    untouched = (name for name in batch.schema.names if not name.startswith("c "))
    arrays = {
        **{name: batch.column(name) for name in untouched},
        "ident": pa.array(identity, pa.binary(16)),
        "grp": pa.array(groups, pa.int64()),
        **{f"known_{place}": pa.array(hashes[name], pa.binary(16)) for place, name in enumerate(recipe.known)},
        **{f"c {name}": pa.array(cleaned[name], pa.string()) for name in recipe.texts},
    }
    return pa.RecordBatch.from_pydict(arrays)


def _group(recipe: Recipe, values: Sequence[str], identity: bytes) -> int:
    """What a row is grouped by, hashed; a row without any value there stands alone."""
    whole = keyed(recipe.key, "group", "\0".join(values)) if any(value.strip() for value in values) else identity
    return int.from_bytes(whole[:8], "big", signed=True)
