"""Rollouts drawn and judged by the thousand: the rules of `regimen.stats.verdict` once more, for all rollouts at once.

Written from the rules' words, not from their code, so that either may find the other's mistake: `judged` lets the operator's own rules judge
one of the same rollouts. Knows sums over subjects at eight moments; subjects come in the order in which they were drawn.
"""

from dataclasses import dataclass, field
from math import sqrt
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy.special import ndtri

from regimen.spec.rollout import Analysis
from regimen.spec.routing import ArmEvidence
from regimen.stats.sequential import even_boundaries
from regimen.stats.verdict import judge

Ints = NDArray[np.int64]
Floats = NDArray[np.float64]
DAY = 86_400.0
MOMENTS = 8
PER_SUBJECT = 4
CORRELATION = 0.1


@dataclass(frozen=True)
class Course:
    """One kind of rollout.

    agreements: true ones of candidate and stable; of pairs, the true gain and the share of cases on which the versions differ.
    labelled: the share of audited answers that experts label: of the candidate's and stable's, each of right and wrong answers.
    diligent: the share of subjects for whom any answer is labelled, alike in both arms.
    """

    name: str
    agreements: tuple[float, float]
    analysis: dict[str, Any] = field(default_factory=dict)
    labelled: tuple[tuple[float, float], tuple[float, float]] = ((1.0, 1.0), (1.0, 1.0))
    diligent: float = 1.0
    clustered: bool = True
    split: float = 0.2


@dataclass(frozen=True)
class Drawn:
    """All rollouts of a course: by arm int[rollouts, subjects] of audited, labelled and agreed answers; of pairs one, of cases, wins, losses."""

    course: Course
    analysis: Analysis
    arms: tuple[tuple[Ints, Ints, Ints], ...]

    @property
    def is_paired(self) -> bool:
        return self.analysis.primary.evidence == "Paired"


def design_effect_of_draws() -> float:
    """By what factor the drawn clusters widen a share's variance: 1 + (mean of squares / mean - 1) correlation."""
    mean, square = PER_SUBJECT, (PER_SUBJECT - 1) + PER_SUBJECT**2
    return 1 + (square / mean - 1) * CORRELATION


def draw(course: Course, rollouts: int, rng: np.random.Generator) -> Drawn:
    """Rollouts with a tenth more answers than are planned."""
    analysis = Analysis.model_validate(course.analysis)
    if analysis.primary.evidence == "Paired":
        return Drawn(course, analysis, (_pairs(course, rollouts, round(analysis.min_pairs * 1.1 / 2), rng),))
    # What is not labelled is made up for: so many are drawn that the plan is reached.
    small = analysis.min_labelled_per_arm * 1.1
    answers = (round(small), round(small * (1 - course.split) / course.split))
    arms = []
    for count, agreement, rates in zip(answers, course.agreements, course.labelled, strict=True):
        share = agreement * rates[0] + (1 - agreement) * rates[1]
        sizes, right = _subjects(rng, rollouts, round(count / share / course.diligent), agreement, course.clustered)
        diligent = rng.binomial(1, course.diligent, sizes.shape)
        agreed = diligent * rng.binomial(right, rates[0])
        arms.append((sizes, agreed + diligent * rng.binomial(sizes - right, rates[1]), agreed))
    return Drawn(course, analysis, tuple(arms))


def _subjects(rng: np.random.Generator, rollouts: int, answers: int, agreement: float, clustered: bool) -> tuple[Ints, Ints]:
    """Answers and right ones of every subject."""
    if not clustered:
        ones = np.ones((rollouts, answers), dtype=np.int64)
        return ones, rng.binomial(1, agreement, ones.shape)
    sizes = rng.poisson(PER_SUBJECT - 1, (rollouts, max(8, round(answers / PER_SUBJECT)))) + 1
    weight = 1 / CORRELATION - 1
    return sizes, rng.binomial(sizes, rng.beta(agreement * weight, (1 - agreement) * weight, sizes.shape))


def _pairs(course: Course, rollouts: int, groups: int, rng: np.random.Generator) -> tuple[Ints, Ints, Ints]:
    """Groups of two cases on average; whether the versions differ on them is alike within a group."""
    gain, discordance = course.agreements
    sizes = rng.poisson(1, (rollouts, groups)) + 1
    differing = rng.binomial(sizes, rng.beta(discordance * 9, (1 - discordance) * 9, sizes.shape))
    wins = rng.binomial(differing, (1 + gain / discordance) / 2)
    return sizes, wins, differing - wins


def at_moments(values: Ints) -> Ints:
    """Sums over the subjects that are there at each moment: int[rollouts, moments]."""
    stops = [values.shape[1] * moment // MOMENTS for moment in range(1, MOMENTS + 1)]
    return np.cumsum(values, axis=1)[:, [stop - 1 for stop in stops]]


def ends_of(drawn: Drawn) -> list[str]:
    """How each rollout ends."""
    estimate, error, samples = _paired_effect(drawn) if drawn.is_paired else _live_effect(drawn)
    uneven = np.zeros(samples.shape, dtype=bool) if drawn.is_paired else _uneven(drawn)
    analysis = drawn.analysis
    z = (estimate + analysis.margin) / error
    bounds = np.array([np.inf, *even_boundaries(analysis.looks, analysis.alpha)])
    ends = np.full(len(z), "undecided", dtype="U16")
    taken = np.zeros(len(z), dtype=np.int64)
    for moment in range(MOMENTS):
        now, going = z[:, moment], ends == "undecided"
        fraction = np.minimum(1.0, samples[:, moment] / analysis.planned)
        harm = going & (now <= ndtri(analysis.alpha / 2) / np.sqrt(fraction))
        due = np.minimum(analysis.looks, samples[:, moment] * analysis.looks // analysis.planned)
        due = np.where(due > taken, due, 0)
        free = going & ~harm & ~uneven[:, moment]
        promoted = free & (due > 0) & (now >= bounds[due])
        ended = going & ~harm & ~promoted & (((due == analysis.looks) & ~uneven[:, moment]) | (taken >= analysis.looks))
        late = going & ~harm & ~promoted & ~ended & (moment == MOMENTS - 1)
        ends[harm], ends[promoted], ends[ended] = "harm", "promoted", "rolled back"
        ends[late] = np.where(uneven[late, moment], "held by labels", "rolled back")
        taken = np.where(free & (due > 0), due, taken)
    return [str(end) for end in ends]


def _live_effect(drawn: Drawn) -> tuple[Floats, Floats, Ints]:
    """Estimate, standard error, answers of the smaller arm, at every moment."""
    shares, effective, totals = zip(*(_share(labelled, agreed) for _, labelled, agreed in drawn.arms), strict=True)
    (p, q), (n, m), margin = shares, effective, drawn.analysis.margin
    common = (n * (p + margin) + m * q) / (n + m)
    own = _moderated(p, n) + _moderated(q, m)
    at_margin = _moderated(np.maximum(0, common - margin), n) + _moderated(np.minimum(1, common), m)
    return p - q, np.sqrt(np.maximum(own, at_margin)), np.minimum(*totals)


def _share(labelled: Ints, agreed: Ints) -> tuple[Floats, Floats, Ints]:
    """Share that agrees, effective number of answers, answers."""
    subjects, total, right = at_moments((labelled > 0).astype(np.int64)), at_moments(labelled), at_moments(agreed)
    share = right / total
    worst = at_moments(labelled**2) / total
    apart = at_moments(agreed**2) - 2 * share * at_moments(agreed * labelled) + share**2 * at_moments(labelled**2)
    rare = np.minimum(right, total - right)
    with np.errstate(divide="ignore", invalid="ignore"):
        robust = subjects / (subjects - 3) * apart / total**2 / (share * (1 - share) / total)
        effect = (rare * np.maximum(1, robust) + worst) / (rare + 1)
    return share, total / np.where((subjects <= 3) | (rare == 0), worst, effect), total


def _moderated(share: Floats, effective: Floats) -> Floats:
    middle = (share * effective + 1) / (effective + 2)
    return np.asarray(middle * (1 - middle) / (effective + 2))


def _paired_effect(drawn: Drawn) -> tuple[Floats, Floats, Ints]:
    cases, wins, losses = drawn.arms[0]
    groups = np.array([cases.shape[1] * moment // MOMENTS for moment in range(1, MOMENTS + 1)])
    gained = wins - losses
    total, net, differing = at_moments(cases), at_moments(gained), at_moments(wins + losses)
    mean, worst = net / total, at_moments(cases**2) / total
    apart = at_moments(gained**2) - 2 * mean * at_moments(gained * cases) + mean**2 * at_moments(cases**2)
    plain = (differing / total - mean**2) / total
    with np.errstate(divide="ignore", invalid="ignore"):
        robust = groups / (groups - 3) * apart / total**2 / plain
    effect = (differing * np.minimum(worst, np.maximum(1, robust)) + worst) / (differing + 1)
    effective = total / np.where(differing == 0, worst, effect)
    scale = effective / total
    whole = effective + 2
    return mean, np.sqrt(differing * scale + 1 - (net * scale) ** 2 / whole) / whole, total


def _uneven(drawn: Drawn) -> "NDArray[np.bool_]":
    """Whether labels come otherwise in one arm: two shares of the audited, against Robbins' mixture at 2.5 % a side, tuned for 40. Subjects
    cluster in both arms alike, each around its arm's own share."""
    arms = [(sizes, labelled) for sizes, labelled, _ in drawn.arms]
    totals, labels = ([at_moments(values) for values in each] for each in zip(*arms, strict=True))
    shares = [hits / total for hits, total in zip(labels, totals, strict=True)]
    apart = sum(at_moments(y**2) - 2 * p * at_moments(y * a) + p**2 * at_moments(a**2) for (a, y), p in zip(arms, shares, strict=True))
    plain = sum(total * p * (1 - p) for total, p in zip(totals, shares, strict=True))
    rare = sum(np.minimum(hits, total - hits) for hits, total in zip(labels, totals, strict=True))
    subjects = sum(at_moments((sizes > 0).astype(np.int64)) for sizes, _ in arms)
    worst = sum(at_moments(sizes**2) for sizes, _ in arms) / sum(totals)
    with np.errstate(divide="ignore", invalid="ignore"):
        effect = (rare * np.maximum(1, subjects / (subjects - 6) * apart / plain) + worst) / (rare + 1)
    effect = np.where(rare == 0, worst, effect)
    n, m = (total / effect for total in totals)
    common = (sum(labels) + 1) / (sum(totals) + 2)
    error = np.sqrt(common * (1 - common) * (1 / n + 1 / m))
    smaller = np.minimum(n, m)
    boundary = np.sqrt((smaller + 40) / smaller * np.log((smaller + 40) / (40 * 0.05**2)))
    return np.asarray((np.abs(shares[0] - shares[1]) >= boundary * error) & (smaller >= 40))


def ever_uneven(drawn: Drawn) -> float:
    """Share of the rollouts whose labels are called uneven at any moment."""
    return float(_uneven(drawn).any(axis=1).mean())


def judged(drawn: Drawn, row: int) -> str:
    """The same rollout by the operator's own rules."""
    taken, uneven = 0, False
    for moment in range(1, MOMENTS + 1):
        parts = [[tuple(values[row][: values.shape[1] * moment // MOMENTS].tolist()) for values in each] for each in drawn.arms]
        elapsed = (7 + 7 * moment / MOMENTS) * DAY  # between minDuration and maxDuration, which is the last moment
        pairs = list(zip(*parts[0], strict=True)) if drawn.is_paired else []
        ours, theirs = (ArmEvidence(version="v"),) * 2 if drawn.is_paired else (_arm(*parts[0]), _arm(*parts[1]))
        found = judge(ours, theirs, drawn.analysis, looks_taken=taken, elapsed=elapsed, candidate_share=None, pairs=pairs)
        taken, uneven = found.look, found.labels == "Uneven"
        if found.decision == "Promote":
            return "promoted"
        if found.decision == "RollBack":
            return "harm" if found.harmed else "held by labels" if uneven and "Undecided" in found.reason else "rolled back"
    raise AssertionError("maxDuration ends it")


def _arm(sizes: tuple[int, ...], labelled: tuple[int, ...], agreed: tuple[int, ...]) -> ArmEvidence:
    clusters = [(n, a) for n, a in zip(labelled, agreed, strict=True) if n]
    return ArmEvidence(
        version="v", requests=5 * sum(sizes), audited=sum(sizes), subjects=len(sizes), labelled=sum(labelled), agreed=sum(agreed),
        clusters=clusters, audits=list(zip(sizes, labelled, strict=True)),
    )  # fmt: skip


def share_promoted(ends: list[str]) -> tuple[float, float]:
    """Share of the rollouts that were promoted, and its standard error."""
    share = ends.count("promoted") / len(ends)
    return share, sqrt(share * (1 - share) / len(ends))
