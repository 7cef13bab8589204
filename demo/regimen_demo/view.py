"""The live view: what happens now, the resources' phases, both arms, the office's counts. And the table at the end."""

import time
from collections.abc import Callable
from typing import Any

from rich.console import Console, Group
from rich.live import Live
from rich.table import Table
from rich.text import Text

from regimen_demo.traffic import Tally
from regimen_demo.watch import Seen


class View:
    """Shows itself on a terminal; into a pipe it writes a line for each step and each change of phase."""

    def __init__(self, started: float) -> None:
        self.console = Console(force_terminal=None, width=None)
        self._started = started
        self._steps: list[tuple[str, float, float | None]] = []
        self._seen: Callable[[], Seen] | None = None
        self._tally: Callable[[], Tally] | None = None
        self._told = 0
        self._live: Live | None = None

    def follow(self, seen: Callable[[], Seen]) -> None:
        self._seen = seen

    def count(self, tally: Callable[[], Tally]) -> None:
        self._tally = tally

    def __enter__(self) -> "View":
        return self

    def __exit__(self, *_: object) -> None:
        self.quiet()

    def live(self) -> None:
        """Begin the live view, once nothing else writes to the terminal."""
        if self.console.is_terminal and self._live is None:
            self._live = Live(get_renderable=self._render, console=self.console, refresh_per_second=2)
            self._live.start()

    def quiet(self) -> None:
        if self._live is not None:
            self._live.stop()
            self._live = None

    def step(self, text: str) -> None:
        """A new step begins; the one before is done."""
        now = time.monotonic() - self._started
        if self._steps and self._steps[-1][2] is None:
            name, began, _ = self._steps[-1]
            self._steps[-1] = (name, began, now)
        self._steps.append((text, now, None))
        if self._live is None:
            self.console.print(f"[{now:6.1f} s] {text}", highlight=False, markup=False)

    def tell(self) -> None:
        """In a pipe: what changed since the last call."""
        if self._live is not None or self._seen is None:
            return
        story = self._seen().story
        for at, kind, name, phase in story[self._told :]:
            self.console.print(f"[{at:6.1f} s]   {kind} {name}: {phase}", highlight=False, markup=False)
        self._told = len(story)

    def finish(self) -> list[tuple[str, float]]:
        """The steps with their seconds."""
        now = time.monotonic() - self._started
        return [(name, (ended if ended is not None else now) - began) for name, began, ended in self._steps]

    def _render(self) -> Group:
        now = time.monotonic() - self._started
        parts: list[Any] = [Text(f"Regimen demo, {now:.0f} s: {self._steps[-1][0] if self._steps else ''}", style="bold")]
        if self._seen is not None:
            parts.append(_resources(self._seen()))
        if self._tally is not None:
            parts.append(_office(self._tally()))
        return Group(*parts)


def _resources(seen: Seen) -> Table:
    table = Table(box=None, pad_edge=False)
    for column in ("resource", "phase", "message"):
        table.add_column(column, overflow="ellipsis", no_wrap=True)
    for (kind, name), obj in sorted(seen.objects.items()):
        status = obj.get("status", {})
        table.add_row(f"{kind}/{name}", str(status.get("phase", "")), str(status.get("message", "")))
        for arm in ("stable", "candidate"):
            figures = (status.get("arms") or {}).get(arm)
            if figures and status.get("phase") not in {"Promoted", "RolledBack"}:
                table.add_row(f"    {arm} {figures['version']}", "", _figures(figures))
    return table


def _figures(arm: dict[str, Any]) -> str:
    agreement = f"{arm['agreement']:.3f}" if arm.get("agreement") is not None else "-"
    return f"{arm['requests']} requests, {arm['errors']} errors, {arm['labelled']} labelled, agreement {agreement}"


def _office(tally: Tally) -> Text:
    shares = ", ".join(f"{version} {count}" for version, count in sorted(tally.answered.items()))
    return Text(f"office: {tally.sent} sent, {tally.failed} failed; {shares}")
