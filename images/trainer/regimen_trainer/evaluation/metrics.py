"""How answers are judged. Pure: answers in, numbers out. Names are those of `regimen.spec.finetune.Metric`.

Every metric is a ratio of sums over cases, so that `regimen.stats.paired` can resample it. An answer that names no label counts as
wrong, and as not positive; it is never left out, so a model can't improve by saying nothing.
"""

import re
from collections import Counter
from collections.abc import Mapping, Sequence

import numpy as np

from regimen.stats.paired import Array, Ratio

TEXT_METRICS = ("rouge1", "rouge2", "rougeL", "editDistance")
_WORD = re.compile(r"\w+")
_PIECE = re.compile(r"\w+|[^\w\s]")


def label_ratios(expert: Sequence[str], answers: Sequence[str | None], labels: Sequence[str], positive: str) -> dict[str, Ratio]:
    """Metrics of a label task; precision, recall and f1 are of the positive label, `f1[<label>]` and so on of each.

    falseDenialRate: of the claims that experts did not deny, the share answered with the positive label (DENIED);
    falseApprovalRate: of those that experts denied, the share answered with another label.

    >>> label_ratios(["DENIED", "APPROVED"], ["DENIED", None], ["APPROVED", "DENIED"], "DENIED")["agreement"].value
    0.5
    """
    wanted, given = np.array(expert, dtype=object), np.array(answers, dtype=object)
    every = np.ones(len(wanted))
    actual, denied, silent = wanted == positive, given == positive, np.array([answer is None for answer in answers], dtype=np.bool_)
    ratios = {
        "agreement": Ratio(_column(wanted == given), every),
        "falseDenialRate": Ratio(_column(denied & ~actual), _column(~actual)),
        "falseApprovalRate": Ratio(_column(actual & ~denied & ~silent), _column(actual)),
        "unparseableRate": Ratio(_column(silent), every),
    }
    for label in labels:
        is_, said = _column(wanted == label), _column(given == label)
        of_label = {
            f"precision[{label}]": Ratio(is_ * said, said),
            f"recall[{label}]": Ratio(is_ * said, is_),
            f"f1[{label}]": Ratio(2 * is_ * said, is_ + said),
        }
        ratios |= of_label
        if label == positive:
            ratios |= {name.partition("[")[0]: ratio for name, ratio in of_label.items()}
    return ratios


def text_ratios(scores: Sequence[Mapping[str, float]]) -> dict[str, Ratio]:
    """Metrics of a text task: means of each case's scores."""
    every = np.ones(len(scores))
    return {name: Ratio(np.array([score[name] for score in scores], dtype=np.float64), every) for name in TEXT_METRICS}


def confusion(expert: Sequence[str], answers: Sequence[str | None], labels: Sequence[str]) -> dict[str, dict[str, int]]:
    """Cases by the experts' label and by the answer; an answer without a label stands under the empty name."""
    counts = Counter(zip(expert, (answer or "" for answer in answers), strict=True))
    return {wanted: {said: counts[wanted, said] for said in [*labels, ""]} for wanted in labels}


def text_scores(reference: str, answer: str) -> dict[str, float]:
    """ROUGE-1, -2 and -L F1 over lower-case words (Lin, 2004), without stemming, and editDistance: the words and signs that one has to
    insert, delete or replace to get the reference, as a share of the longer text.

    >>> scores = text_scores("the cat sat", "the cat")
    >>> scores["rougeL"], round(scores["editDistance"], 3)
    (0.8, 0.333)
    """
    from rapidfuzz.distance import LCSseq, Levenshtein

    wanted, said = (_WORD.findall(text.casefold()) for text in (reference, answer))
    return {
        "rouge1": _overlap(wanted, said, 1),
        "rouge2": _overlap(wanted, said, 2),
        "rougeL": _f1(LCSseq.similarity(wanted, said), len(wanted), len(said), wanted == said),
        "editDistance": Levenshtein.normalized_distance(_PIECE.findall(reference), _PIECE.findall(answer)),
    }


def _overlap(wanted: Sequence[str], said: Sequence[str], size: int) -> float:
    left, right = (Counter(zip(*(words[start:] for start in range(size)), strict=False)) for words in (wanted, said))
    return _f1((left & right).total(), left.total(), right.total(), wanted == said)


def _f1(common: int, wanted: int, said: int, equal: bool) -> float:
    """F1 of what two texts share. Where neither has anything to share, all depends on whether they are equal."""
    return 2 * common / (wanted + said) if wanted + said else float(equal)


def _column(flags: "np.ndarray[tuple[int], np.dtype[np.bool_]]") -> Array:
    return flags.astype(np.float64)
