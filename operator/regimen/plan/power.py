"""What a rollout's test can show in the time it has, said before it is spent; with what would be enough where it is not."""

from dataclasses import dataclass

from regimen.plan.evidence import find_arm
from regimen.plan.memory import Memory
from regimen.plan.rollout_facts import Context, iso
from regimen.spec.meta import parse_duration
from regimen.spec.rollout import Analysis, ModelRolloutSpec, Power
from regimen.spec.routing import ArmEvidence
from regimen.stats.metrics import measure
from regimen.stats.power import detectable_by_pairs, detectable_difference

DAY = 86_400.0
USUAL_SHARE = 0.85
"""Agreement (or another share) reckoned with until stable's own is known."""
USUAL_DISCORDANCE = 0.1
"""Share of the cases on which two versions differ, reckoned with until it is known."""
FEWEST = 30
"""Samples from which a figure or a rate of one's own counts."""


@dataclass(frozen=True)
class Rate:
    """How fast evidence comes: samples of the smaller arm, or pairs, a day; and how many are there."""

    per_day: float | None
    there: int


def estimate(context: Context, memory: Memory, pairs: int = 0) -> Power:
    """The estimate of now: by the plan alone at first, then by the service's usual labels, then by the rollout's own."""
    analysis = context.spec.analysis
    share = test_share(context.spec, context.service.replicas)
    detectable = _detectable(context, memory, analysis.planned, share)
    shown = f"{analysis.planned} {_unit(analysis)} show a difference of {100 * detectable:.1f} points with 80 % power"
    rate = _rate(context, memory, share, pairs)
    if rate.per_day is None:
        how = "how many there are in newer revisions" if analysis.primary.evidence == "Paired" else "how fast labels come"
        return Power(detectable=round(detectable, 4), note=f"{shown}; {how} is not known yet")
    began = analysis_begins(context.spec, memory)
    deadline = began + parse_duration(analysis.max_duration)
    left = max(0, analysis.planned - rate.there)
    if rate.per_day <= 0:
        return Power(detectable=round(detectable, 4), enough=False, note=f"{shown}, but none come: {_remedy(context, None)}")
    by = context.now + left / rate.per_day * DAY
    enough = by <= deadline
    note = f"{shown}; at {rate.per_day:.3g} a day they are there by {iso(by)}"
    if not enough:
        reached = rate.there + rate.per_day * max(0.0, deadline - context.now) / DAY
        worse = _detectable(context, memory, reached, share)
        seen = (
            f"the {reached:.0f} there will be show no less than {100 * worse:.1f} points" if reached >= 2 else "none will be there in time"
        )
        needed = (by - began) / DAY
        note += f", after maxDuration {analysis.max_duration} ends on {iso(deadline)}: {seen}. {_remedy(context, needed)}"
    return Power(detectable=round(detectable, 4), by=iso(by), enough=enough, note=note[:1024])


def test_share(spec: ModelRolloutSpec, replicas: int) -> float:
    """The candidate's share of subjects in the analysis, 0 to 1, as the steps before it ask.

    A setReplicas gives the share of the replicas, a setWeight may lower it.
    """
    share = 0.0
    for step in spec.strategy.steps:
        if step.analysis is not None:
            break
        if step.set_replicas is not None:
            share = min(1.0, step.set_replicas / replicas)
        elif step.set_weight is not None:
            share = min(share, step.set_weight / 100)
    return share


def analysis_begins(spec: ModelRolloutSpec, memory: Memory) -> float:
    """When the analysis began, or will begin if replicas take no time: now's step's start and the pauses up to it."""
    steps = spec.strategy.steps
    first = next((index for index, step in enumerate(steps) if step.analysis is not None), len(steps))
    return memory.step_since + sum(parse_duration(step.pause.duration) for step in steps[memory.step : first] if step.pause is not None)


def _unit(analysis: Analysis) -> str:
    return "pairs" if analysis.primary.evidence == "Paired" else "labelled answers of the smaller arm"


def _detectable(context: Context, memory: Memory, samples: float, share: float) -> float:
    analysis = context.spec.analysis
    if analysis.primary.evidence == "Paired":
        return detectable_by_pairs(USUAL_DISCORDANCE, samples, analysis.alpha, analysis.looks)
    if not 0 < share < 1:
        return 1.0
    smaller = min(share, 1 - share)
    other = samples * (1 - smaller) / smaller
    return detectable_difference(_share_of_stable(context, memory), samples, other, analysis.alpha, analysis.looks)


def _share_of_stable(context: Context, memory: Memory) -> float:
    """The primary metric of what serves: by this rollout's evidence, by what came before it, by what is usual."""
    for evidence in (context.facts.evidence, context.facts.usual):
        arm = find_arm(evidence, memory.stable_ref) if evidence is not None else None
        figure = measure(context.spec.analysis.primary.metric, arm, context.spec.analysis.positive) if arm is not None else None
        if figure is not None and figure.samples >= FEWEST and 0 < figure.value < 1:
            return figure.value
    return USUAL_SHARE


def _samples(context: Context, arm: ArmEvidence) -> int:
    figure = measure(context.spec.analysis.primary.metric, arm, context.spec.analysis.positive)
    return figure.samples if figure is not None else 0


def _rate(context: Context, memory: Memory, share: float, pairs: int) -> Rate:
    facts, smaller = context.facts, min(share, 1 - share)
    if context.spec.analysis.primary.evidence == "Paired":
        elapsed = context.now - memory.begun_at
        return Rate(pairs / elapsed * DAY if pairs and elapsed > 0 else None, pairs)
    if facts.evidence is not None and memory.epoch_since is not None:
        arms = (find_arm(facts.evidence, memory.stable_ref), find_arm(facts.evidence, context.spec.to_ref.name))
        there, elapsed = min(_samples(context, arm) for arm in arms), context.now - memory.epoch_since
        if elapsed >= DAY / 24 or there >= FEWEST:
            return Rate(there / elapsed * DAY if elapsed > 0 else None, there)
    if facts.usual is not None and facts.serving_since is not None and context.now - facts.serving_since >= DAY / 24:
        known = _samples(context, find_arm(facts.usual, memory.stable_ref))
        if known >= FEWEST:
            return Rate(known / (context.now - facts.serving_since) * DAY * smaller, 0)
    return Rate(None, 0)


def _remedy(context: Context, days: float | None) -> str:
    """What would be enough."""
    analysis, fraction = context.spec.analysis, context.service.feedback.audit_fraction
    if analysis.primary.evidence == "Paired":
        return "To decide in time, refresh the dataset more often or give it more labelled cases"
    ways = []
    if days is not None:
        ways.append(f"maxDuration of {days:.0f} days")
        wanted = fraction * days * DAY / parse_duration(analysis.max_duration)
        if wanted <= 1:
            ways.append(f"feedback.auditFraction of {wanted:.2g}")
    share = test_share(context.spec, context.service.replicas)
    if share < 0.5:
        ways.append(f"a setWeight nearer 50 than {100 * share:g}")
    if analysis.primary.metric == "agreement":
        ways.append("evidence Paired, which needs some 700 cases")
    return f"What would decide in time: {', or '.join(ways)}" if ways else "What would decide in time: more labels"
