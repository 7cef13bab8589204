"""How much better one version is than another on the same cases, and how sure that is.

Knows numbers per case and which cases belong together. Every metric of an evaluation is a ratio of two sums over cases, so one
bootstrap serves them all. Cases of one policy or patient resemble each other: groups are drawn, not cases (Davison and Hinkley,
Bootstrap Methods and their Application, 1997, section 3.8). The bootstrap cannot imagine what never occurred: where two versions
differ on no case of forty it is certain that they never will. So the interval of a paired share is never tighter than that of
Agresti and Min, Statistics in Medicine 24 (2005) 729, which adds half a case to each cell of the table, and that of a version's own share
never tighter than Clopper and Pearson's; groups then count as one case each.
"""

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
from math import sqrt

import numpy as np
from numpy.typing import NDArray
from scipy.special import betaincinv, ndtri
from scipy.stats import binomtest

Array = NDArray[np.float64]

LEVEL = 0.95
"""Confidence of each bound, one-sided: the two together are a 90 % interval, as in rollouts with alpha 0.05."""
POWER = 0.8
DRAWS = 2000
SEED = 20_050_315
FEWEST_GROUPS = 10
"""With fewer groups a bootstrap says nothing, and no interval is given."""
CELLS = 1 << 23
"""Draws times groups that are held at once."""


@dataclass(frozen=True)
class Ratio:
    """A metric as sums over cases: numerator and denominator of each case, float64[cases]."""

    numerator: Array
    denominator: Array

    @property
    def value(self) -> float | None:
        """The metric; None where the denominator is empty."""
        whole = float(self.denominator.sum())
        return float(self.numerator.sum()) / whole if whole else None


@dataclass(frozen=True)
class Estimate:
    """A figure with its bounds, each of which holds with 95 % confidence; without bounds where there are too few groups."""

    value: float
    lower: float | None = None
    upper: float | None = None
    standard_error: float | None = None

    @property
    def detectable(self) -> float | None:
        """Smallest true difference that such evidence shows with 80 % power: (z_0.95 + z_0.8) standard errors.

        >>> round(Estimate(0.0, -0.1, 0.1, 0.02).detectable, 4)
        0.0497
        """
        return float(ndtri(LEVEL) + ndtri(POWER)) * self.standard_error if self.standard_error is not None else None


class Bootstrap:
    """The same draws of groups for every metric and version, so that figures can be compared. The seed is fixed: the same cases give
    the same bounds."""

    def __init__(self, groups: Sequence[object], draws: int = DRAWS, seed: int = SEED) -> None:
        self._code = np.unique(np.array([str(group) for group in groups]), return_inverse=True)[1]
        self.groups = int(self._code.max()) + 1 if len(self._code) else 0
        self._draws, self._seed = draws, seed
        self._kept: list[NDArray[np.uint16]] | None = None

    def sums(self, columns: Sequence[Array]) -> Array:
        """Sums of each column in each draw: float64[draws, columns]."""
        by_group = np.stack([np.bincount(self._code, weights=column, minlength=self.groups) for column in columns], axis=1)
        return np.concatenate([counts.astype(np.float64) @ by_group for counts in self._counts()])

    def _counts(self) -> Iterable[NDArray[np.uint16]]:
        """How often each draw holds each group, [some draws, groups] at a time; drawn once where all fit at once."""
        if self._draws * self.groups > CELLS:
            return self._drawn()
        if self._kept is None:
            self._kept = list(self._drawn())
        return self._kept

    def _drawn(self) -> Iterator[NDArray[np.uint16]]:
        rng = np.random.default_rng(self._seed)
        left = self._draws
        while left:
            some = max(1, min(left, CELLS // max(1, self.groups)))
            drawn = rng.integers(0, self.groups, size=(some, self.groups)) + self.groups * np.arange(some)[:, None]
            yield np.bincount(drawn.ravel(), minlength=some * self.groups).reshape(some, self.groups).astype(np.uint16)
            left -= some

    def estimate(self, metric: Ratio) -> Estimate | None:
        """A version's own figure. None where the denominator is empty.

        >>> never = Bootstrap(range(40)).estimate(Ratio(np.zeros(40), np.ones(40)))
        >>> never.lower, round(never.upper, 3)
        (0.0, 0.072)
        """
        value = metric.value
        if value is None:
            return None
        if self.groups < FEWEST_GROUPS:
            return Estimate(value)
        sums = self.sums([metric.numerator, metric.denominator])
        found = _bounded(value, _divided(sums[:, 0], sums[:, 1]))
        if found.lower is None or found.upper is None or not _are_flags(metric.numerator, metric.denominator):
            return found
        low, high = clopper_pearson(value, self._independent(metric.denominator > 0))
        return replace(found, lower=min(found.lower, low), upper=max(found.upper, high))

    def _independent(self, base: "np.ndarray[tuple[int], np.dtype[np.bool_]]") -> int:
        """Groups among some cases."""
        return len(np.unique(self._code[base]))

    def difference(self, ours: Ratio, theirs: Ratio) -> Estimate | None:
        """Ours minus theirs, over the same cases. None where either has no cases.

        >>> right, wrong = np.ones(40), np.zeros(40)
        >>> same = Bootstrap(range(40)).difference(Ratio(right, right), Ratio(right, right))
        >>> same.value, round(same.lower, 3)
        (0.0, -0.039)
        """
        if ours.value is None or theirs.value is None:
            return None
        value = ours.value - theirs.value
        if self.groups < FEWEST_GROUPS:
            return Estimate(value)
        sums = self.sums([ours.numerator, ours.denominator, theirs.numerator, theirs.denominator])
        found = _bounded(value, _divided(sums[:, 0], sums[:, 1]) - _divided(sums[:, 2], sums[:, 3]))
        return self._moderated(found, ours, theirs)

    def _moderated(self, found: Estimate, ours: Ratio, theirs: Ratio) -> Estimate:
        """No tighter than Agresti and Min's interval, for shares of the same cases; groups count as one case each."""
        base = ours.denominator > 0
        shares = np.array_equal(ours.denominator, theirs.denominator) and _are_flags(ours.numerator, theirs.numerator, ours.denominator)
        if not shares or found.lower is None or found.upper is None or found.standard_error is None:
            return found
        cases, independent = int(base.sum()), self._independent(base)
        scale = independent / cases
        wins = scale * float(((ours.numerator > theirs.numerator) & base).sum())
        losses = scale * float(((theirs.numerator > ours.numerator) & base).sum())
        middle, error = agresti_min(wins, losses, independent)
        reach = float(ndtri(LEVEL)) * error
        return Estimate(
            found.value, min(found.lower, middle - reach), max(found.upper, middle + reach), max(found.standard_error, error)
        )  # fmt: skip


def agresti_min(wins: float, losses: float, cases: float) -> tuple[float, float]:
    """Difference of two paired shares and its standard error, half a case added to each of the four cells.

    >>> middle, error = agresti_min(0, 0, 40)
    >>> middle, round(error, 4)
    (0.0, 0.0238)
    """
    whole = cases + 2
    return (wins - losses) / whole, sqrt(wins + losses + 1 - (wins - losses) ** 2 / whole) / whole


def mcnemar(ours: Sequence[bool], theirs: Sequence[bool]) -> float:
    """Exact two-sided McNemar p-value over the same cases, each right or wrong; 1 where the two never differ.

    >>> mcnemar([True] * 10, [False] * 10)
    0.001953125
    """
    wins = sum(a and not b for a, b in zip(ours, theirs, strict=True))
    losses = sum(b and not a for a, b in zip(ours, theirs, strict=True))
    return float(binomtest(wins, wins + losses, 0.5).pvalue) if wins + losses else 1.0


def clopper_pearson(share: float, of: float) -> tuple[float, float]:
    """Bounds of a share of so many independent cases, each with 95 % confidence (Clopper and Pearson, Biometrika 26 (1934) 404).

    >>> low, high = clopper_pearson(0.0, 64)
    >>> low, round(high, 4)
    (0.0, 0.0457)
    """
    count = share * of
    low = float(betaincinv(count, of - count + 1, 1 - LEVEL)) if count > 0 else 0.0
    return low, float(betaincinv(count + 1, of - count, LEVEL)) if count < of else 1.0


def share_seen(of: int) -> float:
    """Smallest share of which at least one case is seen with 80 % probability among so many.

    >>> round(share_seen(64), 4)
    0.0248
    """
    return float(1 - (1 - POWER) ** (1 / of))


def _are_flags(*columns: Array) -> bool:
    """Whether all are of zeros and ones."""
    return all(bool(np.isin(column, (0.0, 1.0)).all()) for column in columns)


def _divided(part: Array, whole: Array) -> Array:
    """Ratios; nan where a draw holds no case that counts."""
    ratios: Array = np.divide(part, whole, out=np.full(len(part), np.nan), where=whole > 0)
    return ratios


def _bounded(value: float, drawn: Array) -> Estimate:
    known = drawn[~np.isnan(drawn)]
    if len(known) < len(drawn) / 2:
        return Estimate(value)
    lower, upper = np.quantile(known, [1 - LEVEL, LEVEL])
    return Estimate(value, float(lower), float(upper), float(known.std()))
