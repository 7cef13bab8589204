"""What a preparation did, in numbers: filled stage by stage, read by the report and by whoever publishes."""

from collections import Counter
from dataclasses import dataclass, field

from regimen.spec.artifacts import TaskFigures
from regimen.spec.dataset import SourceName
from regimen_trainer.data.cleaning import Texts
from regimen_trainer.data.columns import Shape
from regimen_trainer.data.sides import Placed
from regimen_trainer.data.table import Workbench

LEFT_OUT = frozenset({"pending", "low quality"})
"""Reasons that are choices and not faults: they do not count against maxRejectedPercent."""


@dataclass
class SourceOutcome:
    """What became of a source's rows."""

    shape: Shape
    read: int = 0
    used: int = 0
    reasons: Counter[str] = field(default_factory=Counter)
    quarantined: int = 0
    golden: int = 0
    by_type: dict[str, int] = field(default_factory=dict)
    texts: Texts | None = None
    placed: Placed | None = None

    def shares(self, left_out: bool) -> dict[str, int]:
        """Reasons that are choices, or those that are faults, most frequent first."""
        return {reason: count for reason, count in self.reasons.most_common() if (reason in LEFT_OUT) == left_out}


@dataclass
class Outcome:
    """What preparation did; `bench` still holds the tables until it is closed."""

    bench: Workbench
    sources: dict[SourceName, SourceOutcome] = field(default_factory=dict)
    tasks: list[TaskFigures] = field(default_factory=list)
    mixes: dict[str, dict[str, dict[str, int]]] = field(default_factory=dict)
    warnings: list[str] = field(default_factory=list)
    content: list[str] = field(default_factory=list)
    removed: Counter[str] = field(default_factory=Counter)
    residual: Counter[str] = field(default_factory=Counter)
    changed: int = 0

    @property
    def read(self) -> int:
        return sum(source.read for source in self.sources.values())

    @property
    def used(self) -> int:
        return sum(source.used for source in self.sources.values())

    @property
    def rejected(self) -> Counter[str]:
        return sum((source.reasons for source in self.sources.values()), Counter[str]())
