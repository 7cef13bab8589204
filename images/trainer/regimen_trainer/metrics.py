"""How answers are judged. Pure: answers in, numbers out. Names are those of `regimen.spec.finetune.Metric`.

An answer that names no label counts as wrong, and as not positive; it is never left out, so a model can't improve by saying nothing.
"""

import re
from collections.abc import Sequence

_WORD = re.compile(r"\w+")


def label_metrics(expert: Sequence[str], answers: Sequence[str | None], positive: str) -> dict[str, float | None]:
    """Figures of a label task. A figure whose denominator is empty is None.

    falseDenialRate: of the claims that experts did not deny, the share answered with the positive label (DENIED);
    falseApprovalRate: of those that experts denied, the share answered with another label.

    >>> label_metrics(["DENIED", "APPROVED"], ["DENIED", None], "DENIED")["agreement"]
    0.5
    """
    pairs = list(zip(expert, answers, strict=True))
    actual = [answer for wanted, answer in pairs if wanted == positive]
    others = [answer for wanted, answer in pairs if wanted != positive]
    true_positive, false_positive = actual.count(positive), others.count(positive)
    false_approvals = sum(answer not in (None, positive) for answer in actual)
    return {
        "agreement": _share(sum(wanted == answer for wanted, answer in pairs), len(pairs)),
        "precision": _share(true_positive, true_positive + false_positive),
        "recall": _share(true_positive, len(actual)),
        "falseDenialRate": _share(false_positive, len(others)),
        "falseApprovalRate": _share(false_approvals, len(actual)),
        "unparseableRate": _share(sum(answer is None for _, answer in pairs), len(pairs)),
    }


def _share(part: int, whole: int) -> float | None:
    return part / whole if whole else None


def mcnemar(candidate: Sequence[bool], contender: Sequence[bool]) -> float:
    """Exact two-sided McNemar p-value over the same cases, each right or wrong; 1 where the two never differ.

    >>> mcnemar([True] * 10, [False] * 10)
    0.001953125
    """
    from scipy.stats import binomtest

    wins = sum(ours and not theirs for ours, theirs in zip(candidate, contender, strict=True))
    losses = sum(theirs and not ours for ours, theirs in zip(candidate, contender, strict=True))
    return float(binomtest(wins, wins + losses, 0.5).pvalue) if wins + losses else 1.0


def rouge_l(reference: str, answer: str) -> float:
    """ROUGE-L F1 over lower-case words (Lin, 2004), without stemming; 1 for equal texts, 0 where no word is shared.

    >>> rouge_l("the cat sat", "the cat")
    0.8
    """
    left, right = (_WORD.findall(text.casefold()) for text in (reference, answer))
    if not left or not right:
        return float(left == right)
    common = _longest_common(left, right)
    precision, recall = common / len(right), common / len(left)
    return 2 * precision * recall / (precision + recall) if common else 0.0


def _longest_common(left: Sequence[str], right: Sequence[str]) -> int:
    """Length of the longest common subsequence, in len(right) memory."""
    row = [0] * (len(right) + 1)
    for word in left:
        diagonal = 0
        for column, other in enumerate(right, start=1):
            diagonal, row[column] = row[column], diagonal + 1 if word == other else max(row[column], row[column - 1])
    return row[-1]
