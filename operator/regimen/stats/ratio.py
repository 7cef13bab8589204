"""Whether subjects split between the arms as asked, and whether labels come to both alike. If not, something chooses who sees the candidate,
or what of it is judged: no figure can be trusted.

Knows counts of subjects and the share asked for, and each subject's audited and labelled answers. Source of the sequential test: Lindon and Malek, Anytime-valid inference
for multinomial count data, NeurIPS 2022 (a Dirichlet mixture against the expected shares; here two arms: beta-binomial).
"""

from math import log, sqrt
from typing import Literal

from scipy.special import bdtr, bdtrc, betaln

from regimen.stats.proportions import ArmSample, design_effect
from regimen.stats.sequential import mixture_boundary

SampleRatio = Literal["Ok", "Mismatch", "Unknown"]

LabelBalance = Literal["Ok", "Uneven", "Unknown"]

MIN_SUBJECTS = 40
"""Subjects of both arms together below which nothing is said."""
FALSE_ALARM = 0.001
"""Probability of ever calling a sound split a mismatch, over all moments (Ville's inequality)."""
CONCENTRATION = 20.0
"""Weight of the alternative's prior in subjects: shares about sqrt(p (1 - p) / 20) off, 9 points at 20 %. More would see small
faults sooner in thousands of subjects, but an arm that gets nobody later: at 20 %, 0 of 80
is a mismatch, which 100 in its place would miss."""


def sample_ratio_p(candidate_subjects: int, stable_subjects: int, expected_share: float) -> float:
    """Exact two-sided binomial p value of the split: twice the smaller tail, at most 1. For one look, not for watching.

    expected_share: the candidate's, between 0 and 1. Raises ValueError for impossible input.

    >>> sample_ratio_p(20, 80, 0.2), sample_ratio_p(40, 60, 0.2) < 0.001, sample_ratio_p(0, 0, 0.2)
    (1.0, True, 1.0)
    """
    _check(candidate_subjects, stable_subjects, expected_share)
    total = candidate_subjects + stable_subjects
    at_most = float(bdtr(candidate_subjects, total, expected_share))
    at_least = float(bdtrc(candidate_subjects - 1, total, expected_share)) if candidate_subjects else 1.0
    return min(1.0, 2 * min(at_most, at_least))


def log_bayes_factor(candidate_subjects: int, stable_subjects: int, expected_share: float) -> float:
    """Natural logarithm of the evidence for another share over the one asked for.

    B(a + x, b + n - x) / B(a, b) / (p^x (1 - p)^(n - x)) with a = 20 p, b = 20 (1 - p). Its exponential is a martingale of
    expectation 1 while subjects come as asked, so it ever reaches 1/alpha with probability alpha at most.

    >>> from math import exp
    >>> round(exp(log_bayes_factor(20, 80, 0.2)), 3), exp(log_bayes_factor(60, 40, 0.2)) > 1000
    (0.401, True)
    """
    _check(candidate_subjects, stable_subjects, expected_share)
    prior = CONCENTRATION * expected_share, CONCENTRATION * (1 - expected_share)
    mixture = float(betaln(prior[0] + candidate_subjects, prior[1] + stable_subjects) - betaln(*prior))
    return mixture - candidate_subjects * log(expected_share) - stable_subjects * log(1 - expected_share)


def sample_ratio(candidate_subjects: int, stable_subjects: int, expected_share: float) -> SampleRatio:
    """Whether the split is as asked; may be asked at any moment and as often as wished.

    expected_share must have been the same for all subjects counted.

    >>> sample_ratio(21, 79, 0.2), sample_ratio(60, 40, 0.2), sample_ratio(30, 5, 0.2)
    ('Ok', 'Mismatch', 'Unknown')
    """
    if candidate_subjects + stable_subjects < MIN_SUBJECTS:
        return "Unknown"
    evidence = log_bayes_factor(candidate_subjects, stable_subjects, expected_share)
    return "Mismatch" if evidence >= -log(FALSE_ALARM) else "Ok"


MIN_AUDITED = 40
"""Answers drawn for audit in each arm, as many as independent ones would be worth, below which nothing is said of their labels."""
UNEVEN_ALARM = 0.05
"""Probability of ever holding back an arm whose labels come like the other's. A hold is not the end: it passes when labels catch up."""


def label_balance(candidate: ArmSample, stable: ArmSample) -> LabelBalance:
    """Whether both arms' audited answers get labels alike; the samples are the answers drawn for audit, and of these the labelled ones, of
    each subject. May be asked at any moment.

    Labels that come more rarely or later in one arm are a sample that something has chosen: what experts skip, or leave for later, is not
    what they label at once. Tested as the difference of two shares against Robbins' mixture boundary, both sides together. The subject is
    the unit: one expert labels all of their answers and another none, and a hash deals out experts, not answers.

    >>> balance = lambda ours, theirs: label_balance(*(ArmSample(((1, 1),) * x + ((1, 0),) * (n - x)) for x, n in (ours, theirs)))
    >>> balance((400, 425), (1600, 1700)), balance((330, 425), (1600, 1700)), balance((9, 10), (90, 100))
    ('Ok', 'Uneven', 'Unknown')
    >>> experts = lambda diligent, others: ArmSample(((50, 50),) * diligent + ((50, 0),) * others)
    >>> label_balance(experts(10, 40), experts(60, 140))
    'Ok'
    """
    widened = design_effect(candidate, stable)
    n, m = candidate.answers / widened, stable.answers / widened
    if min(n, m) < MIN_AUDITED:
        return "Unknown"
    difference = candidate.hits / candidate.answers - stable.hits / stable.answers
    common = (candidate.hits + stable.hits + 1) / (candidate.answers + stable.answers + 2)
    error = sqrt(common * (1 - common) * (1 / n + 1 / m))
    boundary = mixture_boundary(min(n, m), MIN_AUDITED, UNEVEN_ALARM / 2)
    return "Uneven" if abs(difference) >= boundary * error else "Ok"


def _check(candidate_subjects: int, stable_subjects: int, expected_share: float) -> None:
    if candidate_subjects < 0 or stable_subjects < 0 or not 0 < expected_share < 1:
        raise ValueError(f"impossible split: {candidate_subjects} and {stable_subjects} subjects at share {expected_share}")
