"""The held-out rows that files are asked."""

import json
from collections.abc import Sequence
from dataclasses import dataclass
from hashlib import sha256
from pathlib import Path

from regimen_trainer.errors import InputError
from regimen_trainer.tasks import Message


@dataclass(frozen=True)
class Case:
    """A held-out row."""

    id: str
    prompt: Sequence[Message]
    expected: str
    group: str = ""
    """What rows of one policy or patient share. Revisions made before files said it: the row alone."""

    @property
    def key(self) -> str:
        """Digest of what is asked and what is expected: the same row of a later revision need not be asked again."""
        return sha256(json.dumps([list(self.prompt), self.expected], sort_keys=True).encode()).hexdigest()[:32]


def read_cases(path: Path) -> list[Case]:
    """Held-out rows. Raises InputError for an empty file or a row that is not in the expected form."""
    cases = []
    with path.open(encoding="utf-8") as file:
        for number, line in enumerate(file, start=1):
            try:
                row = json.loads(line)
                id_ = str(row["id"])
                cases.append(Case(id_, row["prompt"], str(row["completion"][-1]["content"]), str(row.get("group", f"row {id_}"))))
            except (ValueError, KeyError, TypeError, IndexError) as error:
                raise InputError(
                    f"datasetRef: line {number} of the held-out file has no prompt and completion; prepare it again"
                ) from error
    if not cases:
        raise InputError("datasetRef: no rows are held out; raise split.testFraction or give more rows")
    return cases


def chosen(cases: Sequence[Case], limit: int) -> list[Case]:
    """The first `limit` cases by hash of their id: the same ones for every version, whatever the file's order."""
    return sorted(cases, key=lambda case: sha256(case.id.encode()).hexdigest())[:limit]


def digest_of(*settings: object) -> str:
    """sha256:… over what answers and their scores depend on."""
    return f"sha256:{sha256(json.dumps(settings, sort_keys=True).encode()).hexdigest()}"


def longest(cases: Sequence[Case], extra: int) -> int:
    """Tokens of context that every case fits in, with `extra` for the answer. No tokenizer is loaded: no token is shorter than a byte."""
    return max(sum(len(turn["content"].encode()) for turn in case.prompt) + len(case.expected.encode()) for case in cases) + extra
