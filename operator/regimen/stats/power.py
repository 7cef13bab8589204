"""What difference a number of labels can show, and how many labels a difference takes.

Knows normal approximations for two proportions (Chow, Shao and Wang, Sample Size Calculations in Clinical Research, section 4.2,
with the same variance in both arms). For one look at the end; looks of O'Brien-Fleming type add 1 to 3 %.
"""

from math import ceil, sqrt

from scipy.special import ndtri


def detectable_difference(
    p: float, labelled_candidate: int, labelled_stable: int, alpha: float, power: float = 0.8, design_effect: float = 1.0
) -> float:
    """Smallest true difference (or margin, for not worse) that is shown with the given power; 1.0 where none can be.

    (z_alpha + z_power) sqrt(design_effect p (1 - p) (1/n_candidate + 1/n_stable)). p: agreement expected; alpha: one-sided.

    >>> round(detectable_difference(0.85, 2460, 9840, 0.05), 4)
    0.02
    """
    _check(p, alpha, power)
    if labelled_candidate <= 0 or labelled_stable <= 0:
        return 1.0
    spread = sqrt(design_effect * p * (1 - p) * (1 / labelled_candidate + 1 / labelled_stable))
    return min(1.0, _quantiles(alpha, power) * spread)


def labelled_needed(
    p: float, difference: float, candidate_share: float, alpha: float, power: float = 0.8, design_effect: float = 1.0
) -> int:
    """Labelled answers of both arms together that show a difference (or margin). candidate_share: of the labels, 0 to 1.

    >>> labelled_needed(0.85, 0.02, 0.2, 0.05)
    12317
    """
    _check(p, alpha, power)
    if not 0 < difference <= 1 or not 0 < candidate_share < 1:
        raise ValueError(f"difference {difference} and share {candidate_share} must lie between 0 and 1")
    unit = design_effect * p * (1 - p) * (1 / candidate_share + 1 / (1 - candidate_share))
    return ceil(unit * (_quantiles(alpha, power) / difference) ** 2)


def _quantiles(alpha: float, power: float) -> float:
    return float(-ndtri(alpha) + ndtri(power))


def _check(p: float, alpha: float, power: float) -> None:
    if not 0 <= p <= 1 or not 0 < alpha < 0.5 or not 0.5 <= power < 1:
        raise ValueError(f"impossible plan: p {p}, alpha {alpha}, power {power}")
