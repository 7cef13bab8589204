"""What follows from the evidence: continue, promote or roll back, by a chain of named rules; the first that applies speaks.

Knows the arms' counts and the spec's Analysis; the time is an argument. Absence of evidence never promotes.

**Looks.** Promotion is tested at looks, evenly spaced in labelled answers of the smaller arm, and each look is spent once. A
look is taken only when its outcome may be acted on: before minDuration, and while a guardrail holds promotion back, it stays
due. Were it taken, a candidate that is superior on day 3 would find its look gone on day 7; were it tested at every pass
until then, it would have to stay superior all the time. Instead the newest look that is due is tested once, when promotion
may follow, with all evidence of that moment and with its own boundary. Older looks due by then are skipped, which costs no
alpha (see `even_boundaries`).

**Harm** needs no look: the same spending function has a boundary that holds at every moment (`continuous_boundary`), so a
candidate that is worse is stopped at the first pass that shows it, before minDuration too. Intervals shown between looks are
of that boundary.

**The deadline** is for what is undecided: a look that is due is read before maxDuration rolls back.
"""

from collections.abc import Callable
from dataclasses import dataclass, replace
from functools import cached_property
from typing import Literal

from regimen.spec.meta import parse_duration
from regimen.spec.rollout import Analysis, Verdict
from regimen.spec.routing import ArmEvidence
from regimen.stats.guardrails import Reading, read
from regimen.stats.proportions import ArmSample, Effect, difference, harmful, repeated_interval, superior
from regimen.stats.ratio import SampleRatio, sample_ratio
from regimen.stats.sequential import continuous_boundary, even_boundaries, information_fraction, look_due

Decision = Literal["Continue", "Promote", "RollBack"]


@dataclass(frozen=True)
class Judgement:
    """What the evidence says. effect and interval (shares) are None until both arms have labels.

    look: looks taken, this one included; hand it back as `looks_taken`. information_fraction: 0 to 1.
    harmed: the candidate was shown to agree less than allowed.
    """

    decision: Decision
    reason: str
    effect: Effect | None
    interval: tuple[float, float] | None
    look: int
    information_fraction: float
    sample_ratio: SampleRatio
    harmed: bool = False

    def as_verdict(self) -> Verdict:
        """The same as the resource's status shows it."""
        return Verdict(
            decision=self.decision,
            effect=self.effect.estimate if self.effect else None,
            interval=list(self.interval or ()),
            look=self.look,
            information_fraction=self.information_fraction,
            sample_ratio=self.sample_ratio,
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
    positive: str | None

    @cached_property
    def effect(self) -> Effect:
        ours, theirs = (ArmSample(tuple(arm.clusters)) for arm in (self.candidate, self.stable))
        return difference(ours, theirs, self.analysis.margin)

    @cached_property
    def labelled(self) -> int:
        """Labelled answers of the smaller arm."""
        return min(self.effect.labelled_candidate, self.effect.labelled_stable)

    @cached_property
    def fraction(self) -> float:
        return information_fraction(self.labelled, self.analysis.min_labelled_per_arm)

    @cached_property
    def due(self) -> int | None:
        return look_due(self.labelled, self.analysis.min_labelled_per_arm, self.analysis.looks, self.looks_taken)

    @cached_property
    def sample_ratio(self) -> SampleRatio:
        if self.candidate_share is None or not 0 < self.candidate_share < 1:
            return "Unknown"
        return sample_ratio(self.candidate.subjects, self.stable.subjects, self.candidate_share)

    @cached_property
    def guardrails(self) -> list[Reading]:
        rails = self.analysis.guardrails
        return [read(rail, self.candidate, self.stable, self.analysis.alpha, self.positive) for rail in rails]

    @cached_property
    def held(self) -> str:
        """Why no promotion may follow now, as a clause; empty if it may."""
        early = self.elapsed < parse_duration(self.analysis.min_duration)
        reasons = [f"minDuration {self.analysis.min_duration} is not over"] if early else []
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
        interval = repeated_interval(self.effect, self.boundary(look)) if self.labelled else None
        taken = self.looks_taken if look is None else look
        effect = self.effect if self.labelled else None
        return Judgement(decision, reason, effect, interval, taken, self.fraction, self.sample_ratio, harmed)

    def figures(self, look: int | None = None) -> str:
        """`+4.1 points agreement (repeated 90 % interval -0.3 to 8.5), 400 and 1600 labelled`."""
        if not self.labelled:
            return f"{self.effect.labelled_candidate} and {self.effect.labelled_stable} labelled"
        low, high = repeated_interval(self.effect, self.boundary(look))
        return (
            f"{100 * self.effect.estimate:+.1f} points agreement (repeated {100 - 200 * self.analysis.alpha:.4g} % interval "
            f"{100 * low:.1f} to {100 * high:.1f}), {self.effect.labelled_candidate} and {self.effect.labelled_stable} labelled"
        )


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
    """The candidate agrees less than allowed, by the lower boundary."""
    if not case.labelled or not harmful(case.effect, case.boundary(None), case.analysis.margin):
        return None
    return case.says("RollBack", f"The candidate is worse: {case.figures()}", harmed=True)


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
    looks, planned = case.analysis.looks, case.analysis.min_labelled_per_arm
    needed = -(-planned * (case.looks_taken + 1) // looks)
    wanted = f"Look {case.looks_taken + 1} of {looks} needs {needed} labelled per arm"
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
    positive: str | None = None,
) -> Judgement:
    """Decide. Call it while the analysis step is under way, and store `look` before acting on the decision.

    elapsed: seconds since the analysis began. candidate_share: the candidate's share of subjects, 0 to 1, the same since
    counting began (None: it was not, and the split is not tested). positive: the label a denial has. Raises ValueError for
    impossible counts.

    >>> arm = ArmEvidence(version="v", subjects=10, clusters=[(1, 1)] * 10)
    >>> judgement = judge(arm, arm, Analysis(), looks_taken=0, elapsed=60, candidate_share=0.5)
    >>> judgement.decision, judgement.sample_ratio, judgement.information_fraction
    ('Continue', 'Unknown', 0.025)
    >>> judgement.reason[:45]
    'Look 1 of 4 needs 100 labelled per arm; so fa'
    """
    case = Case(candidate, stable, analysis, looks_taken, elapsed, candidate_share, positive)
    return _first(RULES, case) or labels_missing(case)


def watch(
    candidate: ArmEvidence,
    stable: ArmEvidence,
    analysis: Analysis,
    *,
    looks_taken: int = 0,
    candidate_share: float | None = None,
    positive: str | None = None,
) -> Judgement:
    """Only what must stop a rollout at any step, before and after the analysis: split, guardrails, harm.

    Never promotes and takes no look.

    >>> arm = ArmEvidence(version="v", requests=100)
    >>> watch(arm, arm, Analysis()).decision
    'Continue'
    """
    case = Case(candidate, stable, analysis, looks_taken, 0.0, candidate_share, positive)
    return _first(SAFETY, case) or replace(labels_missing(case), reason=f"Nothing speaks against it: {case.figures()}")


def _first(rules: tuple[Rule, ...], case: Case) -> Judgement | None:
    return next((judgement for rule in rules if (judgement := rule(case))), None)


def _of(case: Case) -> str:
    return f"{case.due} of {case.analysis.looks}"


def _asked(case: Case) -> str:
    """What the criterion asks."""
    better = case.analysis.criterion == "Better"
    return "better than stable" if better else f"at most {100 * case.analysis.margin:.4g} points worse than stable"
