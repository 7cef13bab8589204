"""Small simulations of whole rollouts, always the same ones: what `benchmarks/rollout_statistics.py` shows of 10,000. Each can fail: the
limits are those of the plan with three standard errors, and a rule that is broken on purpose goes beyond them."""

from dataclasses import replace
from math import sqrt

import numpy as np
import pytest
from simulated_rollouts import Course, design_effect_of_draws, draw, ends_of, ever_uneven, judged, share_promoted

from regimen.spec.rollout import Analysis
from regimen.stats import verdict
from regimen.stats.power import detectable_by_pairs, detectable_difference

PAIRED = {"primary": {"evidence": "Paired", "datasetRef": {"name": "business", "task": "adjudication"}}}
MANY = 2000

FALSE = [
    Course("one look", (0.85, 0.85), {"looks": 1}),
    Course("four looks", (0.85, 0.85)),
    Course("twenty looks", (0.85, 0.85), {"looks": 20}),
    Course("near the top", (0.95, 0.95)),
    Course("worse by the margin", (0.82, 0.85), {"criterion": "NotWorse", "margin": 0.03}),
    Course("pairs", (0.0, 0.1), PAIRED),
]


@pytest.mark.parametrize("course", FALSE, ids=lambda course: course.name)
def test_false_promotions_are_at_most_alpha(course: Course) -> None:
    share, _ = share_promoted(ends_of(draw(course, MANY, np.random.default_rng(1))))
    assert share <= 0.05 + 3 * sqrt(0.05 * 0.95 / MANY)


def test_a_rule_that_looks_without_spending_would_be_caught() -> None:
    """The same rollouts, with the boundary of a single look at every look: beyond what the test above allows."""
    drawn = draw(FALSE[1], MANY, np.random.default_rng(1))
    naive = replace(drawn, analysis=Analysis.model_validate({"alpha": 0.139}))  # 1.645 at the last of four looks
    assert share_promoted(ends_of(naive))[0] > 0.05 + 3 * sqrt(0.05 * 0.95 / MANY)


def gains() -> list[tuple[str, Course]]:
    live = detectable_difference(0.85, 400, 1600, 0.05, 4, design_effect=design_effect_of_draws())
    pairs = detectable_by_pairs(0.1, 700, 0.05, 4) * sqrt(1.1)
    return [("live", Course("gain", (0.85 + live, 0.85))), ("pairs", Course("gain", (pairs, 0.1), PAIRED))]


@pytest.mark.parametrize(("name", "course"), gains(), ids=[name for name, _ in gains()])
def test_the_stated_gain_is_shown_with_the_stated_power(name: str, course: Course) -> None:
    share, error = share_promoted(ends_of(draw(course, MANY, np.random.default_rng(2))))
    assert 0.8 - 3 * error <= share <= 0.9 + 3 * error, "as stated, and every plan is overrun by a tenth"


@pytest.mark.parametrize("rates", [(1.0, 0.5), (1.0, 0.8), (1.0, 0.0), (0.6, 0.6)], ids=str)
def test_labels_that_depend_on_the_arm_hold_promotion_back(rates: tuple[float, float]) -> None:
    drawn = draw(Course("labels", (0.8, 0.8), labelled=(rates, (1.0, 1.0))), MANY, np.random.default_rng(3))
    assert share_promoted(ends_of(drawn))[0] <= 0.02


@pytest.mark.parametrize("diligent", [1.0, 0.5, 0.1])
def test_experts_who_label_all_or_nothing_hold_nothing_back(diligent: float) -> None:
    """A hash deals out experts, not answers: those who label may fall on one arm more than on the other, and more evidence does not mend it."""
    drawn = draw(Course("experts", (0.8, 0.8), labelled=((0.9, 0.9),) * 2, diligent=diligent), MANY, np.random.default_rng(7))
    assert ever_uneven(drawn) <= 0.05 + 3 * sqrt(0.05 * 0.95 / MANY)


def test_without_that_hold_chosen_labels_would_promote() -> None:
    """Half of the wrong answers unlabelled makes an equal version look better: it is the balance of labels that stops it."""
    drawn = draw(Course("labels", (0.8, 0.8), labelled=((1.0, 0.5), (1.0, 1.0))), 200, np.random.default_rng(4))
    ours, theirs = drawn.arms
    unseen = replace(drawn, arms=((ours[1], ours[1], ours[2]), (theirs[1], theirs[1], theirs[2])))
    assert share_promoted(ends_of(unseen))[0] > 0.5


@pytest.mark.parametrize(
    "course",
    [
        *FALSE[1:],
        *(course for _, course in gains()),
        Course("labels", (0.8, 0.8), labelled=((1.0, 0.8), (1.0, 1.0))),
        Course("experts", (0.9, 0.85), labelled=((0.9, 0.8), (0.9, 0.9)), diligent=0.3),
        Course("worse", (0.7, 0.85)),
    ],
    ids=lambda course: course.name,
)
def test_the_operators_rules_end_the_same_rollouts_alike(course: Course) -> None:
    drawn = draw(course, 12, np.random.default_rng(5))
    assert [judged(drawn, row) for row in range(12)] == ends_of(drawn)


def test_the_comparison_notices_another_rule(monkeypatch: pytest.MonkeyPatch) -> None:
    drawn = draw(Course("gain", (0.93, 0.85)), 12, np.random.default_rng(6))
    monkeypatch.setattr(verdict, "even_boundaries", lambda looks, alpha: (9.0,) * looks)
    assert [judged(drawn, row) for row in range(12)] != ends_of(drawn)
