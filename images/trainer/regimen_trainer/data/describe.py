"""What preparation did, as the report's document. Reads the tables of the preparation while they are there; changes nothing."""

from collections import Counter
from collections.abc import Mapping
from typing import cast

import numpy as np
from scipy.sparse import coo_array
from scipy.sparse.csgraph import connected_components

from regimen.spec.dataset import SourceName, TrainingDatasetSpec
from regimen_trainer.data import report
from regimen_trainer.data.checks import minimums
from regimen_trainer.data.columns import held, quoted
from regimen_trainer.data.outcome import Outcome, SourceOutcome
from regimen_trainer.data.report import Side

SAMPLES = 2
"""Whole examples of each task in the report."""
SIDE_NAMES: dict[int, Side] = {0: "train", 1: "test"}
SHOWN = 200
"""Pairs and quarantined rows that report.json lists; the counts tell of all."""


def describe(
    spec: TrainingDatasetSpec, outcome: Outcome, title: str, digest: str, previous: str | None, tokens: Mapping[str, report.TokenLengths]
) -> report.Report:
    """The document. `tokens` are token lengths by task, where a tokenizer was given."""
    warnings = list(outcome.warnings)
    if spec.deidentify.method == "None":
        warnings.append(f"deidentify.method is None: the texts are as they came. Attested: {spec.deidentify.attestation}")
    return report.Report(
        title=title,
        digest=digest,
        previous_digest=previous,
        sources=[_source(spec, name, source) for name, source in outcome.sources.items()],
        tasks=[
            report.TaskReport(
                name=task.name,
                train=task.train,
                test=task.test,
                mix={cast(Side, side): mix for side, mix in outcome.mixes[task.name].items()},
                tokens=tokens.get(task.name),
            )
            for task in outcome.tasks
        ],
        duplicates=_duplicates(outcome),
        deidentification=report.Deidentification(
            removed=dict(outcome.removed), residual=dict(outcome.residual), rows_changed=outcome.changed
        ),
        split=report.SplitReport(seed=spec.split.seed, test_fraction=spec.split.test_fraction, near_duplicates=spec.split.near_duplicates),
        quarantine=_quarantine(outcome),
        warnings=warnings,
        review=_review(spec, outcome),
    )


def _source(spec: TrainingDatasetSpec, name: SourceName, source: SourceOutcome) -> report.SourceReport:
    return report.SourceReport(
        name=name,
        read=source.read,
        used=source.used,
        left_out=source.shares(left_out=True),
        rejected=source.shares(left_out=False),
        quarantined=source.quarantined,
        by_type=source.by_type,
        minimum=[
            report.Minimum(what=what, asked=asked, found=found) for what, asked, found in minimums(getattr(spec.sources, name), source)
        ],
    )


def _duplicates(outcome: Outcome) -> report.Duplicates:
    sizes = sum((_clusters(outcome, name) for name in outcome.sources), Counter[int]())
    return report.Duplicates(
        exact=outcome.rejected["duplicate"],
        near_pairs=int(outcome.bench.one("SELECT count(*) FROM pairs")),
        clusters=[report.ClusterSize(size=size, count=count) for size, count in sorted(sizes.items())],
        largest=max(sizes, default=0),
        pairs=[pair for name in outcome.sources for pair in _pairs(outcome, name)][:SHOWN],
    )


def _clusters(outcome: Outcome, name: SourceName) -> Counter[int]:
    """How many clusters of near-duplicates there are of each size."""
    found = outcome.bench.arrays(f"SELECT l, r FROM pairs WHERE source = {quoted(name)}")
    left, right = (np.asarray(found[side], dtype=np.int64) for side in ("l", "r"))
    if not left.size:
        return Counter()
    rows = int(max(left.max(), right.max())) + 1
    graph = coo_array((np.ones(left.size, dtype=np.int8), (left, right)), shape=(rows, rows))
    members = np.bincount(connected_components(graph, directed=False)[1])
    values, counts = np.unique(members[members > 1], return_counts=True)
    return Counter(dict(zip(values.tolist(), counts.tolist(), strict=True)))


def _pairs(outcome: Outcome, name: SourceName) -> list[report.Pair]:
    """Most alike first, those between files before those within one."""
    rows = outcome.bench.run(
        f"SELECT a.file, a.place, b.file, b.place, p.similarity, s.side, t.side FROM pairs p JOIN all_{name} a ON a.seq = p.l JOIN all_{name} b ON b.seq = p.r "
        f"JOIN sides_{name} s ON s.seq = p.l JOIN sides_{name} t ON t.seq = p.r WHERE p.source = {quoted(name)} "
        f"ORDER BY a.file = b.file, p.similarity DESC, p.l, p.r LIMIT {SHOWN}"
    )
    return [
        report.Pair(
            source=name,
            left=f"{left}:{first}",
            right=f"{right}:{second}",
            similarity=round(similarity, 3),
            sides=[SIDE_NAMES[side] for side in sides if side in SIDE_NAMES],
        )
        for left, first, right, second, similarity, *sides in rows
    ]


def _quarantine(outcome: Outcome) -> list[report.QuarantinedRow]:
    return [
        report.QuarantinedRow(source=name, row=f"{file}:{place}", reason="it belongs to training and to held-out rows at once")
        for name in outcome.sources
        for file, place in outcome.bench.run(f"SELECT file, place FROM rows_{name} WHERE side = 2 ORDER BY seq LIMIT {SHOWN}")
    ]


def _review(spec: TrainingDatasetSpec, outcome: Outcome) -> list[report.ReviewText]:
    """De-identified texts for a person to read: a seeded choice among those in which something was replaced."""
    texts = []
    wanted = spec.deidentify.review_sample // max(1, len(outcome.sources))
    for name, source in outcome.sources.items():
        lengths = {
            text: outcome.bench.one(f"SELECT coalesce(avg(length({held(text)})), 0) FROM (FROM rows_{name} LIMIT 1000)")
            for text in source.shape.texts
        }
        column = max(lengths, key=lambda text: lengths[text])
        chosen = outcome.bench.run(
            f"SELECT id, {held(column)} FROM rows_{name} WHERE contains({held(column)}, '[') "
            f"ORDER BY md5('review {spec.split.seed} ' || id) LIMIT {wanted}"
        )
        texts += [report.ReviewText(source=name, id=identity, column=column, text=text) for identity, text in chosen]
    return texts
