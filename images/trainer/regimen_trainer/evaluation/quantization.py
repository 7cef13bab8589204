"""What quantising changed: the file against the 16-bit GGUF of the same weights, both asked by the engine that serves.

On a sample of the held-out rows, at the places where an answer is decided:

    label tasks   the first token at which the labels differ, after the prompt as it is served
    text tasks    up to 8 places spread evenly over the expert's text, each after all that stands before it

llama-server gives the most probable tokens with their probabilities over the whole vocabulary. The Kullback-Leibler divergence of the
file from 16 bit, in nats, is taken over the tokens that stand among the first 1,000 of both; all others count as one outcome. That makes
it a lower bound of the divergence over the vocabulary; `outside`, the probability that 16 bit gives to those others, says how much may
be missing. Rows are known by their keys, and no token is kept: next tokens of a clinical text would tell it.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import takewhile

import numpy as np
from numpy.typing import NDArray

from regimen.spec.artifacts import Artifact
from regimen.stats.paired import Array, Bootstrap, Estimate, Ratio, clopper_pearson, share_seen
from regimen_trainer.engine import Engine
from regimen_trainer.evaluation.answers import Answer, Asking, Served, served
from regimen_trainer.evaluation.cases import Case

TOP = 1000
PLACES = 8
LEAST = 1e-12
"""Probability below which rounding speaks and not the model."""


@dataclass(frozen=True)
class Spread:
    """The most probable next tokens, by id, with their log probabilities."""

    ids: NDArray[np.int64]
    logs: Array

    @classmethod
    def of(cls, tokens: Sequence[tuple[int, float]]) -> "Spread":
        ordered = sorted(tokens)
        return cls(np.array([id_ for id_, _ in ordered], dtype=np.int64), np.array([log for _, log in ordered], dtype=np.float64))


@dataclass(frozen=True)
class Changed:
    """What quantising changed on the sample: mean divergence of each row, and the share of answers with another label."""

    divergences: list[float]
    outside: float
    places: int
    flips: int | None
    groups: list[str]

    @property
    def divergence(self) -> Estimate:
        """Mean over rows, with bounds by groups."""
        values = np.array(self.divergences, dtype=np.float64)
        found = Bootstrap(self.groups).estimate(Ratio(values, np.ones(len(values))))
        return found or Estimate(0.0)

    def figures(self) -> dict[str, float | int | str | None]:
        """As the stage record has them."""
        rows, mean = len(self.divergences), self.divergence
        told: dict[str, float | int | str | None] = {
            "quantizationDivergence": mean.value, "quantizationDivergence:upper": mean.upper,
            "quantizationDivergence:detectable": mean.detectable, "quantizationRows": rows, "quantizationPlaces": self.places,
            "quantizationOutside": self.outside,
        }  # fmt: skip
        if self.flips is not None:
            told |= {
                "flippedAnswers": self.flips / rows, "flippedAnswers:upper": clopper_pearson(self.flips / rows, rows)[1],
                "flippedAnswers:detectable": share_seen(rows), "flippedRows": self.flips,
            }  # fmt: skip
        return told


def divergence(sixteen: Spread, quantized: Spread) -> tuple[float, float]:
    """KL(16 bit ‖ quantised) in nats over the tokens of both, others as one; and what 16 bit gives to those others.

    >>> even = Spread.of([(1, np.log(0.5)), (2, np.log(0.5))])
    >>> divergence(even, even)
    (0.0, 0.0)
    >>> round(divergence(even, Spread.of([(1, np.log(0.25)), (2, np.log(0.75))]))[0], 4)
    0.1438
    """
    _, ours, theirs = np.intersect1d(sixteen.ids, quantized.ids, assume_unique=True, return_indices=True)
    p, q = sixteen.logs[ours], quantized.logs[theirs]
    weights = np.exp(p)
    rest, other = max(0.0, 1.0 - float(weights.sum())), max(0.0, 1.0 - float(np.exp(q).sum()))
    apart = rest * float(np.log(max(rest, LEAST) / max(other, LEAST))) if rest > LEAST else 0.0
    return max(0.0, float((weights * (p - q)).sum()) + apart), rest


class Beside:
    """A file beside its 16-bit weights on the sample: one after the other, so that both need not fit the memory at once."""

    def __init__(self, asking: Asking, file: Artifact, sixteen: Artifact, sample: Sequence[Case]) -> None:
        self._asking, self._sixteen, self._sample = asking, sixteen, sample
        self._ledger = asking.ledger(sixteen, "divergence", file.sha256, TOP, PLACES)
        self._missing = [case for case in sample if case.key not in self._ledger.entries]
        self._seen: dict[str, list[Spread]] = {}

    def ask(self, candidate: Served) -> None:
        """What the file expects next, of the rows whose divergence is not known yet. Raises ToolError."""
        self._seen = {case.key: spreads for case, spreads in candidate.asked(self._missing, self._spreads, "probabilities")}

    def changed(self, answers: Sequence[Answer]) -> Changed:
        """The same of 16 bit, and what differs. `answers`: the file's own, in the sample's order. Raises ToolError."""
        flips, ledger = None, self._ledger
        with served(self._asking, "16 bit", self._sixteen) as whole:
            try:
                for case, spreads in whole.asked(self._missing, self._spreads, "probabilities"):
                    ledger.add(_entry(case, spreads, self._seen[case.key]))
            finally:
                ledger.flush()
            if self._asking.task.output == "Label":
                flips = sum(ours.label != theirs.label for ours, theirs in zip(answers, whole.answers(self._sample), strict=True))
        entries = [ledger.entries[case.key] for case in self._sample]
        return Changed(
            [entry["divergence"] for entry in entries], float(np.mean([entry["outside"] for entry in entries])),
            sum(entry["places"] for entry in entries), flips, [case.group for case in self._sample],
        )  # fmt: skip

    def _spreads(self, engine: Engine, case: Case) -> list[Spread]:
        """The next tokens at each of a case's places."""
        prompt, task = engine.prompt(case.prompt), self._asking.task
        if task.output == "Label":
            asked = [shared_start([engine.ids(prompt + label, special=True) for label in task.labels])]
        else:
            whole = engine.ids(prompt + case.expected, special=True)
            start = len(shared_start([engine.ids(prompt, special=True), whole]))
            asked = [whole[: start + place] for place in spread_over(len(whole) - start)]
        return [Spread.of(engine.next_token(ids, TOP)) for ids in asked]


def _entry(case: Case, sixteen: Sequence[Spread], quantized: Sequence[Spread]) -> dict[str, str | float | int]:
    """What is kept of a row."""
    pairs = [divergence(left, right) for left, right in zip(sixteen, quantized, strict=True)]
    apart, outside = (float(np.mean(column)) for column in zip(*pairs, strict=True))
    return {"id": case.key, "divergence": apart, "outside": outside, "places": len(pairs)}


def shared_start(texts: Sequence[Sequence[int]]) -> list[int]:
    """The tokens with which all texts begin.

    >>> shared_start([[1, 2, 3], [1, 2, 4]])
    [1, 2]
    """
    return [column[0] for column in takewhile(lambda column: len(set(column)) == 1, zip(*texts, strict=False))]


def spread_over(length: int, places: int = PLACES) -> list[int]:
    """Places spread evenly over a text of `length` tokens, the first among them.

    >>> spread_over(16, 4), spread_over(2, 4), spread_over(0, 4)
    ([0, 4, 8, 12], [0, 1], [0])
    """
    return sorted({place * length // places for place in range(places)})
