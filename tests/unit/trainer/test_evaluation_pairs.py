"""A rollout's comparison: which rows count as new, what is kept of the answers, and that it is done once."""

import json
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest
from memory_bucket import MemoryBucket

from regimen.spec.artifacts import Artifact, PairedEvidence, StageRecord
from regimen.spec.tasks import CompareTask
from regimen_trainer.evaluation import pairs
from regimen_trainer.evaluation.answers import Answer
from regimen_trainer.evaluation.cases import Case

A, D = "APPROVED", "DENIED"


def row(number: int, expected: str = A, group: str = "g", ask: str | None = None) -> str:
    prompt = [{"role": "user", "content": ask or f"case {number}"}]
    return json.dumps({"id": number, "prompt": prompt, "completion": [{"role": "assistant", "content": expected}], "group": group})


def file(name: str) -> dict[str, Any]:
    return Artifact(path=name, uri=f"s3://b/{name}", sha256=name[0] * 64, bytes=1).model_dump(by_alias=True)


def compare_task(**changes: Any) -> CompareTask:
    document = {
        "namespace": "claims", "job": "claims/openins-v1-0", "uid": "u-0123", "model": "openins", "version": "v1.0", "revision": "sha256:new",
        "candidate": {"name": "candidate", "version": "openins-v1.0", "gguf": file("c.gguf")},
        "stable": {"name": "stable", "version": "openins-baseline", "gguf": file("s.gguf")},
        "rows": ["s3://b/new/train.jsonl", "s3://b/new/test.jsonl"], "known": ["s3://b/old/train.jsonl"], "labels": [A, D], "maxCases": 100,
    }  # fmt: skip
    return CompareTask.model_validate(document | changes)


class Said:
    """A file that answers as it is told."""

    def __init__(self, wrong: set[str]) -> None:
        self.wrong = wrong

    def answers(self, cases: Sequence[Case]) -> list[Answer]:
        return [Answer(case.key, 1, 0.1, False, case.expected if case.id not in self.wrong else None) for case in cases]


@pytest.fixture
def bucket(monkeypatch: pytest.MonkeyPatch) -> MemoryBucket:
    found = MemoryBucket(
        {
            "old/train.jsonl": "\n".join([row(1), row(2)]).encode(),
            "new/train.jsonl": "\n".join([row(1), row(9, ask="case 2"), row(3, D, "x"), row(4, A, "x")]).encode(),
            "new/test.jsonl": "\n".join([row(5, D, "y"), row(6, A, "z"), row(6, A, "z")]).encode(),
        }
    )
    wrong = {"candidate": {"3"}, "stable": {"4", "5"}}

    @contextmanager
    def served(asking: Any, name: str, file: Artifact) -> Iterator[Said]:
        yield Said(wrong[name])

    monkeypatch.setattr(pairs, "served", served)
    return found


def evidence(bucket: MemoryBucket) -> PairedEvidence:
    record = StageRecord.model_validate_json(bucket.get("models/claims/openins/v1.0/jobs/u-0123/evaluation.json"))
    return PairedEvidence.model_validate_json(bucket.get_uri(record.files[0].uri))


def test_only_new_cases_are_compared_group_by_group(bucket: MemoryBucket, tmp_path: Path) -> None:
    pairs.run(compare_task(), bucket.store, tmp_path)
    found = evidence(bucket)
    assert found.groups == [(1, 0, 0), (1, 1, 0), (2, 1, 1)], "cases 1 and 2 were trained on, case 6 is there twice"
    assert (found.candidate, found.stable, found.revision) == ("openins-v1.0", "openins-baseline", "sha256:new")
    assert bucket.writes[-1].endswith("evaluation.json"), "the record is last"
    written = b"".join(bucket.objects[key] for key in bucket.writes)
    assert b"case 3" not in written and b'"x"' not in written


def test_it_is_done_once(bucket: MemoryBucket, tmp_path: Path) -> None:
    pairs.run(compare_task(), bucket.store, tmp_path)
    before = len(bucket.writes)
    pairs.run(compare_task(), bucket.store, tmp_path)
    assert len(bucket.writes) == before


def test_nothing_new_is_no_failure_and_no_evidence(bucket: MemoryBucket, tmp_path: Path) -> None:
    pairs.run(compare_task(known=["s3://b/new/train.jsonl", "s3://b/new/test.jsonl"]), bucket.store, tmp_path)
    assert evidence(bucket).groups == []


def test_no_more_cases_than_asked_for(bucket: MemoryBucket, tmp_path: Path) -> None:
    pairs.run(compare_task(maxCases=2), bucket.store, tmp_path)
    assert sum(cases for cases, _, _ in evidence(bucket).groups) == 2
