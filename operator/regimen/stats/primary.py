"""What decides: how much better the candidate is than stable in the primary metric, by either kind of evidence.

Live: two independent samples of live answers. Paired: both versions answered the same cases; only cases on which they differ say anything,
so a few hundred cases show what takes thousands of live labels. Cases of one policy or patient resemble each other: the group is the unit.
"""

from collections.abc import Iterable, Sequence
from math import inf, sqrt

from regimen.spec.rollout import PrimaryMetric
from regimen.spec.routing import ArmEvidence
from regimen.stats.metrics import better_sign, measure
from regimen.stats.paired import agresti_min
from regimen.stats.proportions import Effect, share_error

Group = tuple[int, int, int]
"""Cases of one group: how many, on how many the candidate alone was right, on how many stable alone."""


def live_effect(metric: PrimaryMetric, candidate: ArmEvidence, stable: ArmEvidence, margin: float, positive: str) -> Effect:
    """From labels of live answers.

    >>> arm = lambda right: ArmEvidence(version="v", clusters=[(1, 1)] * right + [(1, 0)] * (100 - right))
    >>> effect = live_effect("agreement", arm(90), arm(80), 0.0, "DENIED")
    >>> round(effect.estimate, 3), round(effect.standard_error, 3)
    (0.1, 0.052)
    """
    ours, theirs = measure(metric, candidate, positive), measure(metric, stable, positive)
    if ours is None or theirs is None:
        return Effect(0.0, inf, ours.samples if ours else 0, theirs.samples if theirs else 0)
    sign = better_sign(metric)
    if ours.effective is not None and theirs.effective is not None:
        p, q = (figure.value if sign > 0 else 1 - figure.value for figure in (ours, theirs))
        error = share_error(p, ours.effective, q, theirs.effective, margin)
    else:
        error = sqrt(ours.variance + theirs.variance)
    return Effect(sign * (ours.value - theirs.value), error, ours.samples, theirs.samples)


def paired_effect(groups: Sequence[Group]) -> Effect:
    """From cases that both versions answered. Variance: that of Agresti and Min, which no sample makes zero, widened by how much cases of
    one group are alike (variance of a ratio of group totals, Cochran, section 6.3, with Student's degrees of freedom).

    >>> effect = paired_effect([(1, 1, 0)] * 50 + [(1, 0, 1)] * 20 + [(1, 0, 0)] * 630)
    >>> round(effect.estimate, 4), round(effect.standard_error, 4), effect.labelled_candidate
    (0.0429, 0.0119, 700)
    """
    check(groups)
    cases, wins, losses = (sum(column) for column in zip(*groups, strict=True)) if groups else (0, 0, 0)
    if cases == 0:
        return Effect(0.0, inf, 0, 0)
    effective = cases / paired_design_effect(groups)
    scale = effective / cases
    _, error = agresti_min(wins * scale, losses * scale, effective)
    return Effect((wins - losses) / cases, error, cases, cases)


def paired_design_effect(groups: Iterable[Group]) -> float:
    """By what factor groups widen the variance of the difference, at least 1; the worst case for few groups or few differing cases.

    >>> paired_design_effect([(1, 1, 0)] * 30 + [(1, 0, 1)] * 30), round(paired_design_effect([(5, 5, 0)] * 30 + [(5, 0, 5)] * 30), 2)
    (1.0, 5.0)
    """
    found = [group for group in groups if group[0] > 0]
    count, total = len(found), sum(cases for cases, _, _ in found)
    differing = sum(wins + losses for _, wins, losses in found)
    if total == 0:
        return 1.0
    worst = sum(cases**2 for cases, _, _ in found) / total
    if count <= 3 or differing == 0:
        return worst
    mean = sum(wins - losses for _, wins, losses in found) / total
    robust = count / (count - 3) * sum((wins - losses - mean * cases) ** 2 for cases, wins, losses in found) / total**2
    plain = (differing / total - mean**2) / total
    estimated = min(worst, max(1.0, robust / plain)) if plain > 0 else worst
    return (differing * estimated + worst) / (differing + 1)


def check(groups: Iterable[Group]) -> None:
    """Raises ValueError for impossible counts."""
    for cases, wins, losses in groups:
        if min(cases, wins, losses) < 0 or wins + losses > cases:
            raise ValueError(f"of {cases} cases, {wins} cannot be won and {losses} lost")
