"""How a rollout looks in a terminal. Knows status as the operator writes it; without a terminal the same is plain text."""

from dataclasses import dataclass
from datetime import datetime
from typing import Any

from rich.console import Console, Group
from rich.table import Table
from rich.text import Text

from regimen.spec.phases import RolloutPhase

Object = dict[str, Any]
WIDTH = 41
"""Characters of a drawn axis: odd, so that zero has a place."""
COLORS: dict[str, str] = {
    RolloutPhase.PROMOTED: "bold green", RolloutPhase.ROLLED_BACK: "bold red", RolloutPhase.ROLLING_BACK: "bold red", RolloutPhase.INVALID: "bold red",
    RolloutPhase.PAUSED: "bold yellow",
}  # fmt: skip
STATES = {"Within": "green", "Beyond": "yellow", "Broken": "red", "Silent": "dim"}
FIGURES = (
    ("requests", "requests", "{:,.0f}", 1), ("errors", "errors", "{:,.0f}", 1), ("labelled", "labelled", "{:,.0f}", 1), ("labelCoverage", "of the audited", "{:.1f} %", 100),
    ("agreement", "agreement", "{:.1f} %", 100), ("precision", "precision", "{:.1f} %", 100), ("recall", "recall", "{:.1f} %", 100), ("falseDenialRate", "false denials", "{:.1f} %", 100),
    ("falseApprovalRate", "false approvals", "{:.1f} %", 100), ("unparseableRate", "unparseable", "{:.1f} %", 100), ("acceptance", "accepted", "{:.1f} %", 100),
    ("editRate", "edited", "{:.1f} %", 100), ("satisfaction", "satisfaction", "{:.2f}", 1), ("latencyP50Ms", "p50", "{:,.0f} ms", 1), ("latencyP95Ms", "p95", "{:,.0f} ms", 1),
    ("latencyP99Ms", "p99", "{:,.0f} ms", 1), ("timeToFirstTokenP95Ms", "first token p95", "{:,.0f} ms", 1),
)  # fmt: skip
"""Figures of an arm: field, name, format, factor."""


def console() -> Console:
    """Where to print: as wide as the terminal, and no narrower than a pipe is read at."""
    out = Console(highlight=False)
    return out if out.is_terminal else Console(highlight=False, width=max(120, out.width))


def line_of(found: Object) -> str:
    """One line for logs: what changed."""
    status = found.get("status", {})
    weight = (status.get("weight") or {}).get("actual", 0)
    return f"{status.get('phase', 'new')}: weight {weight:g} %, {status.get('candidateReplicas', 0)} candidate replicas: {status.get('message', '')}"


@dataclass(frozen=True)
class Detail:
    """How much of a rollout is shown: figures of each arm, what happened last, the estimate of power."""

    figures: int = len(FIGURES)
    history: int = 8
    power: bool = True


LESS = (Detail(), Detail(history=3), Detail(history=3, power=False), Detail(8, 3, False), Detail(4, 2, False), Detail(0, 2, False))
"""What is left out first where a terminal is short."""


def fitted(found: Object, out: Console) -> Group:
    """As much of the picture as the terminal has lines for."""
    pictures = (render(found, detail) for detail in LESS)
    return next((picture for picture in pictures if len(out.render_lines(picture, pad=False)) < out.height), render(found, LESS[-1]))


def render(found: Object, detail: Detail = LESS[0]) -> Group:
    """The whole picture, or as much as `detail` says."""
    status, spec = found.get("status", {}), found["spec"]
    parts: list[Any] = [_title(found), _steps(spec, status), Text()]
    if status.get("arms") and detail.figures:
        parts += [_arms(status["arms"], detail.figures), Text()]
    parts += [*_verdict(spec, status), *_guardrails(status), *(_power(status) if detail.power else []), *_history(status, detail.history)]
    return Group(*parts)


def _title(found: Object) -> Group:
    status, spec = found.get("status", {}), found["spec"]
    phase = str(status.get("phase", "new"))
    stable = ((status.get("arms") or {}).get("stable") or {}).get("version") or (spec.get("fromRef") or {}).get("name", "what serves")
    head = Text.assemble(
        (found["metadata"]["name"], "bold"), "  ", (phase, COLORS.get(phase, "bold cyan")),
        f"  {spec['serviceRef']['name']}: {stable} → {spec['toRef']['name']}",
    )  # fmt: skip
    lines = [head, Text(str(status.get("message", "")))]
    if answer := status.get("command"):
        word = "carried out" if answer["accepted"] else "refused"
        lines.append(Text(f"{answer['do']} {word} at {answer['at']}: {answer['message']}", "dim"))
    if status.get("reportUri"):
        lines.append(Text(f"report: {status['reportUri']}", "dim"))
    return Group(*lines)


def _steps(spec: Object, status: Object) -> Table:
    """The steps in a row, and both bars."""
    current, phase = status.get("currentStep", 0) or 0, status.get("phase")
    steps = Text()
    for index, step in enumerate(spec["strategy"]["steps"]):
        (kind, value), *_ = step.items()
        name = {
            "setReplicas": f"replicas {value}", "setWeight": f"weight {value} %", "pause": f"pause {(value or {}).get('duration', '') if kind == 'pause' else ''}",
            "analysis": "analysis",
        }[kind].strip()  # fmt: skip
        done = index < current or phase == RolloutPhase.PROMOTED
        under_way = index == current and phase not in {RolloutPhase.PROMOTED, RolloutPhase.ROLLED_BACK, RolloutPhase.INVALID}
        steps.append(f"{'✓' if done else '▶' if under_way else '·'} {name}", "green" if done else "bold cyan" if under_way else "dim")
        steps.append("   ")
    weight = status.get("weight") or {}
    measured = f", measured {weight['measured']:g} %" if weight.get("measured") is not None else ""
    table = Table(box=None, show_header=False, pad_edge=False)
    table.add_column()
    table.add_column()
    table.add_row("steps", steps)
    table.add_row(
        "weight",
        Text(
            f"{_bar(weight.get('actual', 0))} {weight.get('actual', 0):g} % of subjects on the candidate, asked {weight.get('requested', 0):g} %{measured}"
        ),
    )
    table.add_row("replicas", f"{status.get('candidateReplicas', 0) or 0} of the candidate ready")
    return table


def _bar(percent: float, width: int = 20) -> str:
    full = round(percent / 100 * width)
    return "█" * full + "░" * (width - full)


def _arms(arms: Object, most: int) -> Table:
    """Both arms side by side; figures that neither has are left out."""
    stable, candidate = arms.get("stable") or {}, arms.get("candidate") or {}
    table = Table(box=None, pad_edge=False, header_style="dim")
    table.add_column("")
    for arm, role in ((stable, "stable"), (candidate, "candidate")):
        table.add_column(f"{role} {arm.get('version', '')}", justify="right")
    known = [entry for entry in FIGURES if any(arm.get(entry[0]) is not None for arm in (stable, candidate))]
    for field, name, form, factor in known[:most]:
        values = [arm.get(field) for arm in (stable, candidate)]
        table.add_row(name, *("–" if value is None else form.format(factor * value) for value in values))
    return table


def _verdict(spec: Object, status: Object) -> list[Any]:
    verdict = status.get("verdict")
    if not verdict:
        return []
    metric = ((spec.get("analysis") or {}).get("primary") or {}).get("metric", "agreement")
    lines: list[Any] = []
    low_high = verdict.get("interval") or []
    if verdict.get("effect") is not None and len(low_high) == 2:
        low, high = low_high
        reach = max(0.05, min(1.0, max(abs(low), abs(high))))
        lines.append(Text(f"{metric} {100 * verdict['effect']:+.1f} points, {100 * low:+.1f} to {100 * high:+.1f}"))
        lines.append(Text(f"{-100 * reach:+6.1f} {axis(verdict['effect'], low, high, reach)} {100 * reach:+.1f}"))
    fraction = verdict.get("informationFraction", 0)
    lines.append(Text(f"evidence {_bar(100 * fraction)} {100 * fraction:.0f} % of the plan, {verdict.get('look', 0)} looks taken; "
                      f"subjects {verdict.get('sampleRatio', 'Unknown')}, labels {verdict.get('labels', 'Unknown')}"))  # fmt: skip
    return [*lines, Text()]


def axis(effect: float, low: float, high: float, reach: float) -> str:
    """An interval on an axis from -reach to reach with zero in the middle.

    >>> axis(0.02, -0.01, 0.05, 0.05)
    '────────────────├───┼───────●───────────┤'
    """

    def place(value: float) -> int:
        return round((max(-reach, min(reach, value)) + reach) / (2 * reach) * (WIDTH - 1))

    cells = ["─"] * WIDTH
    cells[WIDTH // 2] = "┼"
    cells[place(low)], cells[place(high)] = "├", "┤"
    cells[place(effect)] = "●"
    return "".join(cells)


def _guardrails(status: Object) -> list[Any]:
    rails = (status.get("verdict") or {}).get("guardrails") or []
    rows = [(Text(rail["state"], STATES.get(rail["state"], "")), Text(rail["message"])) for rail in rails]
    return [_hanging(rows), Text()] if rows else []


def _hanging(rows: list[tuple[Text, Text]]) -> Table:
    """What begins a row stays alone in its column, however narrow the terminal."""
    table = Table.grid(padding=(0, 2, 0, 0))
    table.add_column(no_wrap=True)
    table.add_column()
    for row in rows:
        table.add_row(*row)
    return table


def _power(status: Object) -> list[Any]:
    power = status.get("power") or {}
    if not power.get("note"):
        return []
    return [Text(f"power: {power['note']}", "yellow" if power.get("enough") is False else "dim"), Text()]


def _history(status: Object, last: int) -> list[Any]:
    rows = [(Text(entry["at"], "dim"), Text(entry["what"], "dim")) for entry in (status.get("history") or [])[-last:]]
    return [_hanging(rows)] if rows else []


def history_table(service: Object, rollouts: list[Object]) -> Table:
    """What a service served and serves."""
    status = service.get("status", {})
    title = f"{service['metadata']['name']} serves {status.get('stableVersion') or 'nothing yet'}"
    before = status.get("previousVersion")
    table = Table(
        title=title + (f", before {before}" if before else ""),
        box=None,
        pad_edge=False,
        header_style="dim",
        title_justify="left",
        title_style="bold",
    )
    for column in ("created", "rollout", "to", "phase", "effect", "message"):
        table.add_column(column, overflow="fold", no_wrap=column not in {"message"})
    for found in rollouts:
        said = found.get("status", {})
        effect = (said.get("verdict") or {}).get("effect")
        phase = str(said.get("phase", "new"))
        table.add_row(
            _day(found["metadata"]["creationTimestamp"]), found["metadata"]["name"], found["spec"]["toRef"]["name"],
            Text(phase, COLORS.get(phase, "")), f"{100 * effect:+.1f}" if effect is not None else "", str(said.get("message", "")),
        )  # fmt: skip
    return table


def _day(at: str) -> str:
    return datetime.fromisoformat(at.replace("Z", "+00:00")).strftime("%Y-%m-%d %H:%M")
