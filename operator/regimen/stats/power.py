"""What difference the planned evidence can show, and whether the time allowed is enough for it.

Knows normal approximations for two proportions (Chow, Shao and Wang, Sample Size Calculations in Clinical Research, section 4.2, with the
same variance in both arms) and for pairs (Connor, Biometrics 43 (1987) 207), and the drift that a sequential test shows.
"""

from math import ceil, sqrt

from regimen.stats.sequential import drift_shown

POWER = 0.8


def detectable_difference(
    p: float, candidate: float, stable: float, alpha: float, looks: int = 1, power: float = POWER, design_effect: float = 1.0
) -> float:
    """Smallest true difference (or margin, for not worse) that is shown with the given power; 1.0 where none can be.

    drift sqrt(design_effect p (1 - p) (1/candidate + 1/stable)). p: share expected; candidate, stable: answers; alpha: one-sided.

    >>> round(detectable_difference(0.85, 2460, 9840, 0.05), 4)
    0.02
    """
    _check(p, alpha, power)
    if candidate <= 0 or stable <= 0:
        return 1.0
    spread = sqrt(design_effect * p * (1 - p) * (1 / candidate + 1 / stable))
    return min(1.0, drift_shown(looks, alpha, power) * spread)


def labelled_needed(
    p: float, difference: float, candidate_share: float, alpha: float, looks: int = 1, power: float = POWER, design_effect: float = 1.0
) -> int:
    """Labelled answers of both arms together that show a difference (or margin). candidate_share: of the labels, 0 to 1.

    >>> labelled_needed(0.85, 0.02, 0.2, 0.05)
    12317
    """
    _check(p, alpha, power)
    if not 0 < difference <= 1 or not 0 < candidate_share < 1:
        raise ValueError(f"difference {difference} and share {candidate_share} must lie between 0 and 1")
    unit = design_effect * p * (1 - p) * (1 / candidate_share + 1 / (1 - candidate_share))
    return ceil(unit * (drift_shown(looks, alpha, power) / difference) ** 2)


def detectable_by_pairs(discordance: float, pairs: float, alpha: float, looks: int = 1, power: float = POWER) -> float:
    """Smallest true difference that pairs show. discordance: share of the cases on which the versions differ.

    >>> round(detectable_by_pairs(0.1, 690, 0.05), 3)
    0.03
    """
    _check(discordance, alpha, power)
    return min(1.0, drift_shown(looks, alpha, power) * sqrt(discordance / pairs)) if pairs > 0 else 1.0


def _check(p: float, alpha: float, power: float) -> None:
    if not 0 <= p <= 1 or not 0 < alpha < 0.5 or not 0.5 <= power < 1:
        raise ValueError(f"impossible plan: p {p}, alpha {alpha}, power {power}")
