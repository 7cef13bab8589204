"""What follows from the evidence: continue, promote or roll back, by a chain of named rules; the first that applies speaks.

Knows the arms' counts and the spec's Analysis; the time is an argument. Absence of evidence never promotes.

**Evidence** that decides is Live or Paired (see `primary`); what is watched besides, guardrails and the split, is live always.

**Looks.** Promotion is tested at looks, evenly spaced in labelled answers of the smaller arm, or in pairs, and each look is spent once. A
look is taken only when its outcome may be acted on: before minDuration, and while a guardrail holds promotion back, it stays
due. Were it taken, a candidate that is superior on day 3 would find its look gone on day 7; were it tested at every pass
until then, it would have to stay superior all the time. Instead the newest look that is due is tested once, when promotion
may follow, with all evidence of that moment and with its own boundary. Older looks due by then are skipped, which costs no
alpha (see `even_boundaries`).

**Harm** needs no look: the same spending function has a boundary that holds at every moment (`continuous_boundary`), so a
candidate that is worse is stopped at the first pass that shows it, before minDuration too. Intervals shown between looks are
of that boundary. Where pairs decide, live labels may show harm all the same.

**Labels** that come otherwise in one arm than in the other hold promotion back (`ratio.label_balance`): they may yet catch up.

**The deadline** is for what is undecided: a look that is due is read before maxDuration rolls back.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import cached_property
from math import inf
from typing import Literal

from regimen.spec.meta import parse_duration
from regimen.spec.rollout import Analysis, GuardrailReading, Verdict
from regimen.spec.routing import ArmEvidence
from regimen.stats.guardrails import Measured, Reading, read
from regimen.stats.metrics import better_sign
from regimen.stats.primary import Group, live_effect, paired_effect
from regimen.stats.proportions import ArmSample, Effect, harmful, repeated_interval, superior
from regimen.stats.ratio import LabelBalance, SampleRatio, label_balance, sample_ratio
from regimen.stats.sequential import continuous_boundary, even_boundaries, information_fraction, look_due

Decision = Literal["Continue", "Promote", "RollBack"]


@dataclass(frozen=True)
class Judgement:
    """What the evidence says. effect and interval (in the metric's unit, above 0: the candidate is better) are None until there is evidence.

    look: looks taken, this one included; hand it back as `looks_taken`. information_fraction: 0 to 1.
    harmed: the candidate was shown to be worse than allowed. z: effect plus margin in standard errors; boundary: what it is compared with.
    sign: -1 where less of the metric is better.
    """

    decision: Decision
    reason: str
    effect: Effect | None
    interval: tuple[float, float] | None
    look: int
    information_fraction: float
    sample_ratio: SampleRatio
    labels: LabelBalance = "Unknown"
    harmed: bool = False
    z: float | None = None
    boundary: float = inf
    sign: float = 1.0
    guardrails: tuple[Reading, ...] = ()

    def as_verdict(self) -> Verdict:
        """The same as the resource's status shows it: candidate minus stable, whichever is better."""
        return Verdict(
            decision=self.decision,
            effect=self.sign * self.effect.estimate if self.effect else None,
            interval=sorted(self.sign * end for end in self.interval or ()),
            look=self.look,
            information_fraction=self.information_fraction,
            sample_ratio=self.sample_ratio,
            labels=self.labels,
            guardrails=[GuardrailReading(name=rail.label, state=rail.state, message=rail.says[:256]) for rail in self.guardrails],
            reason=self.reason[:1024],
        )


@dataclass(frozen=True)
class Case:
    """The evidence and everything the rules ask of it."""

    candidate: ArmEvidence
    stable: ArmEvidence
    analysis: Analysis
    looks_taken: int
    elapsed: float
    candidate_share: float | None
    pairs: Sequence[Group] = ()
    measured: Mapping[str, Measured] = field(default_factory=dict)

    @cached_property
    def is_paired(self) -> bool:
        return self.analysis.primary.evidence == "Paired"

    @cached_property
    def live(self) -> Effect:
        """By live labels; not worse by the margin is asked of what decides, and of these they are not."""
        margin = 0.0 if self.is_paired else self.analysis.margin
        return live_effect(self.analysis.primary.metric, self.candidate, self.stable, margin, self.analysis.positive)

    @cached_property
    def effect(self) -> Effect:
        """By the evidence that decides."""
        return paired_effect(self.pairs) if self.is_paired else self.live

    @cached_property
    def samples(self) -> int:
        """Answers of the smaller arm, or pairs, that the metric is measured on."""
        return min(self.effect.labelled_candidate, self.effect.labelled_stable)

    @cached_property
    def fraction(self) -> float:
        return information_fraction(self.samples, self.analysis.planned)

    @cached_property
    def due(self) -> int | None:
        return look_due(self.samples, self.analysis.planned, self.analysis.looks, self.looks_taken)

    @cached_property
    def sample_ratio(self) -> SampleRatio:
        if self.candidate_share is None or not 0 < self.candidate_share < 1:
            return "Unknown"
        return sample_ratio(self.candidate.subjects, self.stable.subjects, self.candidate_share)

    @cached_property
    def labels(self) -> LabelBalance:
        """By the answers drawn for audit."""
        return label_balance(*(ArmSample(tuple(arm.audits)) for arm in (self.candidate, self.stable)))

    @cached_property
    def guardrails(self) -> list[Reading]:
        rails, alpha, positive = self.analysis.guardrails, self.analysis.alpha, self.analysis.positive
        return [read(rail, self.candidate, self.stable, alpha, positive, self.measured) for rail in rails]

    @cached_property
    def held(self) -> str:
        """Why no promotion may follow now, as a clause; empty if it may."""
        early = self.elapsed < parse_duration(self.analysis.min_duration)
        reasons = [f"minDuration {self.analysis.min_duration} is not over"] if early else []
        if self.labels == "Uneven" and not self.is_paired:
            counts = f"{self.candidate.labelled} and {self.stable.labelled} answers"
            reasons.append(f"labels do not come to both arms alike ({counts} labelled), so they may be chosen: label every audited answer")
        return "; ".join(reasons + [reading.says for reading in self.guardrails if not reading.permits])

    @cached_property
    def superior(self) -> bool:
        """Whether the look that is due shows what the criterion asks."""
        return self.due is not None and superior(self.effect, self.analysis.margin, self.boundary(self.due))

    def boundary(self, look: int | None) -> float:
        """z boundary of a look; of any moment for None."""
        if look is None:
            return continuous_boundary(self.fraction, self.analysis.alpha)
        return even_boundaries(self.analysis.looks, self.analysis.alpha)[look - 1]

    def says(self, decision: Decision, reason: str, look: int | None = None, harmed: bool = False) -> Judgement:
        """The judgement with all figures; `look` where one is taken."""
        known, boundary = self.samples > 0, self.boundary(look)
        return Judgement(
            decision, reason, self.effect if known else None, repeated_interval(self.effect, boundary) if known else None,
            self.looks_taken if look is None else look, self.fraction, self.sample_ratio, self.labels, harmed,
            z=(self.effect.estimate + self.analysis.margin) / self.effect.standard_error if known else None,
            boundary=boundary, sign=better_sign(self.analysis.primary.metric), guardrails=tuple(self.guardrails),
        )  # fmt: skip

    def figures(self, look: int | None = None) -> str:
        """`+4.1 points agreement (repeated 90 % interval -0.3 to 8.5), 400 and 1600 labelled`."""
        if not self.samples:
            return self.counted(self.effect)
        return self.described(self.effect, self.boundary(look))

    def described(self, effect: Effect, boundary: float) -> str:
        """An effect with its interval: the candidate minus stable, whichever is better."""
        sign = better_sign(self.analysis.primary.metric)
        low, high = sorted(sign * end for end in repeated_interval(effect, boundary))
        return (
            f"{100 * sign * effect.estimate:+.1f} points {self.analysis.primary.metric} (repeated "
            f"{100 - 200 * self.analysis.alpha:.4g} % interval {100 * low:.1f} to {100 * high:.1f}), {self.counted(effect)}"
        )

    def counted(self, effect: Effect) -> str:
        if self.is_paired and effect is self.effect:
            return f"{effect.labelled_candidate} pairs"
        return f"{effect.labelled_candidate} and {effect.labelled_stable} labelled"


Rule = Callable[[Case], Judgement | None]


def sample_ratio_mismatch(case: Case) -> Judgement | None:
    """Subjects did not split as asked: no figure can be trusted."""
    if case.sample_ratio != "Mismatch":
        return None
    ours, theirs = case.candidate.subjects, case.stable.subjects
    asked = f"{100 * (case.candidate_share or 0):.1f} % were asked for"
    split = f"{100 * ours / (ours + theirs):.1f} % of {ours + theirs} subjects are on the candidate, {asked}"
    return case.says("RollBack", f"The test is Invalid: {split}")


def guardrail_broken(case: Case) -> Judgement | None:
    """Something that must not get worse did."""
    broken = [reading.says for reading in case.guardrails if reading.broken]
    return case.says("RollBack", f"Guardrail broken: {'; '.join(broken)}") if broken else None


def harm_shown(case: Case) -> Judgement | None:
    """The candidate is worse than allowed, by the lower boundary of what decides; where that is pairs, by live labels too."""
    if case.samples and harmful(case.effect, case.boundary(None), case.analysis.margin):
        return case.says("RollBack", f"The candidate is worse: {case.figures()}", harmed=True)
    labelled = min(case.live.labelled_candidate, case.live.labelled_stable)
    if not case.is_paired or not labelled:
        return None
    boundary = continuous_boundary(information_fraction(labelled, case.analysis.min_labelled_per_arm), case.analysis.alpha)
    if not harmful(case.live, boundary, case.analysis.margin):
        return None
    return case.says("RollBack", f"The candidate is worse in live answers: {case.described(case.live, boundary)}", harmed=True)


def promotion(case: Case) -> Judgement | None:
    """A look is due, shows what the criterion asks, and nothing holds promotion back."""
    if case.due is None or case.held or not case.superior:
        return None
    return case.says("Promote", f"Look {_of(case)}: {case.figures(case.due)}; shown to be {_asked(case)}", case.due)


def last_look(case: Case) -> Judgement | None:
    """The planned evidence is in, and does not show what the criterion asks."""
    looks = case.analysis.looks
    if case.looks_taken >= looks:
        return case.says("RollBack", f"All {looks} looks were taken without showing it {_asked(case)}: {case.figures()}")
    if case.due != looks or case.held:
        return None
    return case.says("RollBack", f"Look {_of(case)}, the last: {case.figures(looks)}; not shown to be {_asked(case)}", looks)


def deadline(case: Case) -> Judgement | None:
    """Time is up and nothing was decided."""
    if case.elapsed < parse_duration(case.analysis.max_duration):
        return None
    why = f"; {case.held}" if case.held else ""
    return case.says("RollBack", f"Undecided after maxDuration {case.analysis.max_duration}: {case.figures()}{why}")


def look_waits(case: Case) -> Judgement | None:
    """A look is due, but promotion could not follow: it is left for when it can."""
    if case.due is None or not case.held:
        return None
    return case.says("Continue", f"Look {_of(case)} is due and waits: {case.held}; so far {case.figures()}")


def look_undecided(case: Case) -> Judgement | None:
    """A look is due and decides nothing: it is taken, and the next awaited."""
    if case.due is None:
        return None
    return case.says("Continue", f"Look {_of(case)}: {case.figures(case.due)}; not yet decided", case.due)


def labels_missing(case: Case) -> Judgement:
    """No look is due: say what is missing."""
    looks, planned = case.analysis.looks, case.analysis.planned
    needed = -(-planned * (case.looks_taken + 1) // looks)
    wanted = f"Look {case.looks_taken + 1} of {looks} needs {needed} {'pairs' if case.is_paired else 'labelled per arm'}"
    return case.says("Continue", f"{wanted}; so far {case.figures()}")


SAFETY: tuple[Rule, ...] = (sample_ratio_mismatch, guardrail_broken, harm_shown)
RULES: tuple[Rule, ...] = (*SAFETY, promotion, last_look, deadline, look_waits, look_undecided)


def judge(
    candidate: ArmEvidence,
    stable: ArmEvidence,
    analysis: Analysis,
    *,
    looks_taken: int,
    elapsed: float,
    candidate_share: float | None,
    pairs: Sequence[Group] = (),
    measured: Mapping[str, Measured] | None = None,
) -> Judgement:
    """Decide. Call it while the analysis step is under way, and store `look` before acting on the decision.

    elapsed: seconds since the analysis began. candidate_share: the candidate's share of subjects, 0 to 1, the same since
    counting began (None: it was not, and the split is not tested). pairs: what was compared case by case so far. measured: what
    Prometheus answers, by guardrail. Raises ValueError for impossible counts.

    >>> arm = ArmEvidence(version="v", subjects=10, clusters=[(1, 1)] * 10)
    >>> judgement = judge(arm, arm, Analysis(), looks_taken=0, elapsed=60, candidate_share=0.5)
    >>> judgement.decision, judgement.sample_ratio, judgement.information_fraction
    ('Continue', 'Unknown', 0.025)
    >>> judgement.reason[:45]
    'Look 1 of 4 needs 100 labelled per arm; so fa'
    """
    case = Case(candidate, stable, analysis, looks_taken, elapsed, candidate_share, pairs, measured or {})
    return _first(RULES, case) or labels_missing(case)


def watch(
    candidate: ArmEvidence,
    stable: ArmEvidence,
    analysis: Analysis,
    *,
    looks_taken: int = 0,
    candidate_share: float | None = None,
    measured: Mapping[str, Measured] | None = None,
) -> Judgement:
    """Only what must stop a rollout at any step, before and after the analysis: split, guardrails, harm.

    Never promotes and takes no look.

    >>> arm = ArmEvidence(version="v", requests=100)
    >>> watch(arm, arm, Analysis()).decision
    'Continue'
    """
    case = Case(candidate, stable, analysis, looks_taken, 0.0, candidate_share, (), measured or {})
    return _first(SAFETY, case) or replace(labels_missing(case), reason=f"Nothing speaks against it: {case.figures()}")


def _first(rules: tuple[Rule, ...], case: Case) -> Judgement | None:
    return next((judgement for rule in rules if (judgement := rule(case))), None)


def _of(case: Case) -> str:
    return f"{case.due} of {case.analysis.looks}"


def _asked(case: Case) -> str:
    """What the criterion asks."""
    better = case.analysis.criterion == "Better"
    return "better than stable" if better else f"at most {100 * case.analysis.margin:.4g} points worse than stable"
