"""The report of a rollout that has ended: one HTML page without network or scripts, from its spec and its memory.

For whoever answers for the claims: what was asked, what both versions did side by side, how sure that is, when which replica moved, and
that a person decides every denial. It holds counts and names of versions, nothing of any request (law 8).
"""

from dataclasses import dataclass
from functools import cache

from jinja2 import Environment, PackageLoader, Template

from regimen.plan.common import Owner
from regimen.plan.memory import EvidencePoint, Memory
from regimen.plan.rollout_plots import BOTTOM, HEIGHT, LEFT, RIGHT, TOP, WIDTH, Frame, around, duration, nice_step, seconds_of
from regimen.spec.rollout import MORE_IS_BETTER, Analysis, ArmFigures, Guardrail, ModelRolloutSpec
from regimen.stats.sequential import continuous_boundary, even_boundaries

SHARE, MILLISECONDS, COUNT, SCALE = "share", "ms", "count", "scale"
ROWS: tuple[tuple[str, str, str], ...] = (
    ("requests", "Requests answered", COUNT),
    ("errors", "Failed requests or attempts", COUNT),
    ("labelled", "Audited answers with an expert's label", COUNT),
    ("label_coverage", "Of the answers drawn for audit, labelled", SHARE),
    ("agreement", "Agreement with the experts", SHARE),
    ("precision", "Precision of {positive}", SHARE),
    ("recall", "Recall of {positive}", SHARE),
    ("false_denial_rate", "Answered {positive} where experts did not", SHARE),
    ("false_approval_rate", "Not answered {positive} where experts did", SHARE),
    ("unparseable_rate", "Answers that name no label", SHARE),
    ("acceptance", "Drafts accepted by reviewers", SHARE),
    ("edit_rate", "Share of a draft that reviewers changed", SHARE),
    ("satisfaction", "Satisfaction, 1 to 5", SCALE),
    ("latency_p50_ms", "Time to answer, median", MILLISECONDS),
    ("latency_p95_ms", "Time to answer, 95th percentile", MILLISECONDS),
    ("latency_p99_ms", "Time to answer, 99th percentile", MILLISECONDS),
    ("time_to_first_token_p95_ms", "Time to the first token, 95th percentile", MILLISECONDS),
)
"""Rows of the table of both arms: figure, plain words, unit."""
OUTCOMES = {"Promote": ("Promoted", "good"), "RollBack": ("Rolled back", "bad"), "Invalid": ("Invalid", "bad")}


@dataclass(frozen=True)
class Row:
    """One figure of both arms, as text."""

    name: str
    stable: str
    candidate: str
    difference: str
    primary: bool


def report_page(owner: Owner, spec: ModelRolloutSpec, memory: Memory, at: str) -> str:
    """The page of a rollout as it ended at `at`."""
    invalid = memory.reason == "SampleRatioMismatch"
    word, tone = OUTCOMES["Invalid" if invalid else memory.outcome or "RollBack"]
    began = seconds_of(memory.history[0].at) if memory.history else memory.begun_at
    ended = seconds_of(memory.history[-1].at) if memory.history else seconds_of(at)
    points = [point for point in memory.points if point.fraction < 1 or point.look is not None]
    zframe = z_frame(points, spec.analysis)
    return _template().render(
        owner=owner, spec=spec, memory=memory, points=points, word=word, tone=tone, took=duration(ended - began), began=began, ended=ended,
        rows=rows(spec.analysis, memory), power=memory.power, verdict=memory.verdict, level=f"{100 - 200 * spec.analysis.alpha:.4g} %",
        effect=effect_frame(points, spec.analysis), zframe=zframe,
        looks=planned_looks(spec.analysis), harm=[(x, z) for x, z in harm_curve(spec.analysis) if z > zframe.y_low], more=spec.analysis.primary.metric in MORE_IS_BETTER,
        limit=margin_line(spec.analysis), replicas=replica_frame(memory, began, ended), weights=Frame(began, max(ended, began + 1), 0, 100),
        clock=clock_ticks(began, ended), seconds_of=seconds_of, limits=limits, box=(WIDTH, HEIGHT, LEFT, RIGHT, TOP, BOTTOM),
    )  # fmt: skip


@cache
def _template() -> Template:
    environment = Environment(loader=PackageLoader("regimen.plan"), autoescape=True, trim_blocks=True, lstrip_blocks=True)
    environment.filters |= {"points": lambda value: f"{100 * value:+.1f}"}
    return environment.get_template("rollout_report.html.jinja")


def rows(analysis: Analysis, memory: Memory) -> list[Row]:
    """The figures that at least one arm has.

    Differences are candidate minus stable; of latencies in percent.
    """
    arms = memory.arms
    if arms is None or arms.stable is None or arms.candidate is None:
        return []
    found = []
    for name, words, unit in ROWS:
        stable, candidate = _value(arms.stable, name), _value(arms.candidate, name)
        if stable is None and candidate is None:
            continue
        primary = ArmFigures.model_fields[name].alias == analysis.primary.metric
        found.append(
            Row(
                words.format(positive=analysis.positive), _shown(stable, unit), _shown(candidate, unit), _apart(stable, candidate, unit),
                primary,
            )
        )  # fmt: skip
    return found


def _value(arm: ArmFigures, name: str) -> float | None:
    value = getattr(arm, name)
    return float(value) if value is not None else None


def _shown(value: float | None, unit: str) -> str:
    if value is None:
        return "–"
    return {SHARE: f"{100 * value:.1f} %", MILLISECONDS: f"{value:,.0f} ms", COUNT: f"{value:,.0f}", SCALE: f"{value:.2f}"}[unit]


def _apart(stable: float | None, candidate: float | None, unit: str) -> str:
    if stable is None or candidate is None or unit == COUNT:
        return ""
    if unit == MILLISECONDS:
        return f"{100 * (candidate / stable - 1):+.0f} %" if stable else ""
    return f"{100 * (candidate - stable):+.1f} points" if unit == SHARE else f"{candidate - stable:+.2f}"


def limits(rail: Guardrail) -> str:
    """What a guardrail asks, in words.

    >>> limits(Guardrail(metric="latencyP95", max_increase=0.1)), limits(Guardrail(metric="satisfaction", max_decrease=0.2))
    ('at most 10 % above stable', 'at most 0.2 below stable')
    """
    if rail.max is not None:
        return f"at most {rail.max:g}"
    change = rail.max_increase if rail.max_increase is not None else rail.max_decrease or 0.0
    relative = rail.metric is not None and rail.metric.startswith(("latency", "timeToFirstToken"))
    amount = f"{100 * change:g} %" if relative else f"{change:g}"
    return f"at most {amount} {'below' if rail.max_decrease is not None else 'above'} stable"


def effect_frame(points: list[EvidencePoint], analysis: Analysis) -> Frame:
    """From information to effect. Early intervals are as wide as the scale; the axis shows those of looks, and what others leave room for."""
    shown = [end for point in points if point.look is not None for end in (point.low, point.high)]
    shown += [point.effect for point in points] + [margin_line(analysis)]
    last = points[-1] if points else None
    shown += [last.low, last.high] if last is not None else []
    low, high = around(shown, least=0.05, low=-1, high=1)
    return Frame(0, 1, max(low, -0.6), min(high, 0.6))


def margin_line(analysis: Analysis) -> float:
    """The effect at which `not worse` ends: 0 for `better`."""
    return -analysis.margin if analysis.primary.metric in MORE_IS_BETTER else analysis.margin


def z_frame(points: list[EvidencePoint], analysis: Analysis) -> Frame:
    bounds = [boundary for _, boundary in planned_looks(analysis)]
    low, high = around([*(point.z for point in points), *bounds, -min(bounds)], least=3.0)
    return Frame(0, 1, max(low, -9.0), min(high, 9.0))


def planned_looks(analysis: Analysis) -> list[tuple[float, float]]:
    """Information and boundary of every planned look."""
    return [((index + 1) / analysis.looks, z) for index, z in enumerate(even_boundaries(analysis.looks, analysis.alpha))]


def harm_curve(analysis: Analysis) -> list[tuple[float, float]]:
    """The lower boundary, at which a candidate is stopped at any moment."""
    return [(k / 50, -continuous_boundary(k / 50, analysis.alpha)) for k in range(2, 51)]


def replica_frame(memory: Memory, began: float, ended: float) -> Frame:
    most = max((point.stable + point.candidate for point in memory.timeline), default=1)
    return Frame(began, max(ended, began + 1), 0, max(1, most))


def clock_ticks(began: float, ended: float) -> list[tuple[float, str]]:
    """Round moments on the time axis, and what they are called: the time since the rollout began."""
    length = max(1.0, ended - began)
    steps = (1, 5, 15, 30, 60, 300, 900, 1800, 3600, 3 * 3600, 6 * 3600, 12 * 3600, 86_400, 2 * 86_400, 7 * 86_400)
    step = next((step for step in steps if length / step <= 8), nice_step(length / 8))
    return [(began + k * step, duration(k * step) if k else "0") for k in range(int(length // step) + 1)]
