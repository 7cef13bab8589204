"""Synthetic exports: the same for the same seed, with everything that real ones suffer from."""

import csv
from collections import Counter
from itertools import islice, pairwise
from pathlib import Path
from random import Random

from regimen_trainer.generator.claims import claim_rows, claims
from regimen_trainer.generator.documents import document_rows
from regimen_trainer.generator.lessons import lesson
from regimen_trainer.generator.policy import decide, decide_old
from regimen_trainer.generator.write import write_all


def test_same_seed_same_rows_and_other_seed_other_rows() -> None:
    assert list(claim_rows(200, 7)) == list(claim_rows(200, 7))
    assert list(claim_rows(200, 7)) != list(claim_rows(200, 8))
    assert list(document_rows(50, 7)) == list(document_rows(50, 7))


def test_more_rows_begin_with_the_same_rows() -> None:
    assert list(claim_rows(500, 7))[:200] == list(claim_rows(200, 7))


def test_rows_are_made_one_at_a_time() -> None:
    assert len(list(islice(claim_rows(10**9, 7), 3))) == 3


def test_claims_have_the_flaws_of_real_exports() -> None:
    rows = list(claim_rows(3000, 7))
    decisions = Counter(row["final_decision"] for row in rows)
    assert 0.04 < decisions["PENDING"] / len(rows) < 0.08
    assert 0.02 < sum(left == right for left, right in pairwise(rows)) / len(rows) < 0.04
    assert any(row["patient_name"] in row["medical_analysis"] for row in rows)
    assert decisions["MAYBE"] > 0


def test_old_policy_agrees_with_experts_somewhat() -> None:
    facts = [claim.facts for claim in islice(claims(Random(1)), 3000)]
    assert 0.55 < sum(decide(one) == decide_old(one) for one in facts) / len(facts) < 0.70


def test_shuffled_labels_keep_their_mix_and_lose_their_meaning(tmp_path: Path) -> None:
    plain, _ = write_all(tmp_path / "plain", 1500, 0, 7)
    shuffled, _ = write_all(tmp_path / "shuffled", 1500, 0, 7, shuffle_labels=True)
    with plain.open() as left, shuffled.open() as right:
        pairs = [
            (one["final_decision"], other["final_decision"]) for one, other in zip(csv.DictReader(left), csv.DictReader(right), strict=True)
        ]
    assert Counter(one for one, _ in pairs) == Counter(other for _, other in pairs)
    assert sum(one == other for one, other in pairs) / len(pairs) < 0.65


def test_lessons_teach_the_old_policy_unless_a_criterion_is_stated() -> None:
    rng = Random(1)
    for claim in islice(claims(Random(2)), 50):
        plain, short = lesson(claim, rng, stated=0, short=False), lesson(claim, rng, stated=1, short=True)
        assert plain.messages[2]["content"] == decide_old(claim.facts)
        assert " by " in short.messages[0]["content"]
        assert len(short.messages[1]["content"]) < len(plain.messages[1]["content"])
