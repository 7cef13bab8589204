"""What is said of a dataset revision in sentences: what came of its rows, and what somebody should look at. No value of a row is in them."""

from collections.abc import Iterable

from regimen_trainer.data.report import Report, TaskReport, total
from regimen_trainer.words import number, percent, plural

TRUNCATED_WORTH_SAYING, SHARE_WORTH_SAYING = 1.0, 10.0
"""Percent of truncated rows, and points between the shares of a label in training and held out, from which people should look."""
REASONS = {
    "duplicate": "the same row stands earlier in the export",
    "repeated claim_id": "an earlier row has this claim_id with other content",
    "pending": "the claim is not decided yet, so there is no decision to learn",
    "low quality": "its quality score is below the minimum asked for",
}


def summary(report: Report) -> list[str]:
    """What came in, what is used, what was left out and why."""
    if not report.read:
        return ["No rows came in."]
    each = " and ".join(f"{number(source.read)} from {source.name}" for source in report.sources)
    told = [
        f"{plural(report.read, 'row')} came in: {each}.",
        f"{number(report.used)} of them ({percent(report.used, report.read)}) are used.",
        *_not_used(report),
        *_tasks(report),
        *_repeats(report),
    ]
    removed = sum(report.deidentification.removed.values())
    if removed:
        changed = plural(report.deidentification.rows_changed, "row")
        told.append(f"{plural(removed, 'identifier was', 'identifiers were')} found in {changed} and replaced by tags.")
    return told


def _not_used(report: Report) -> Iterable[str]:
    """Sentences on rows that came in and are not used."""
    left, rejected = (sum(total(getattr(source, kind) for source in report.sources).values()) for kind in ("left_out", "rejected"))
    kept_back = sum(source.quarantined for source in report.sources)
    if left or rejected:
        reasons = total(table for source in report.sources for table in (source.left_out, source.rejected))
        often = ", ".join(f"{reason} ({number(count)})" for reason, count in reasons.most_common(3))
        yield f"{plural(left, 'row was', 'rows were')} left out by choice and {number(rejected)} rejected as unusable. Most often: {often}."
    if kept_back:
        yield f"{plural(kept_back, 'row is', 'rows are')} kept back because an identifier may remain."


def _tasks(report: Report) -> Iterable[str]:
    for task in report.tasks:
        golden = f", {number(task.golden)} more are the golden set" if task.golden else ""
        yield f"{task.name}: {plural(task.train, 'row')} to train on, {number(task.test)} held out to judge models by{golden}."


def _repeats(report: Report) -> Iterable[str]:
    found = report.duplicates
    if found.exact:
        yield f"{plural(found.exact, 'row repeats', 'rows repeat')} another one exactly; each text is used once."
    if found.near_pairs:
        pairs = plural(found.near_pairs, "pair of rows is", "pairs of rows are")
        yield f"{pairs} nearly the same; the largest group of such rows has {number(found.largest)}."


def attention(report: Report) -> list[str]:
    """What somebody should look at, most pressing first. Also fit for a status: plain sentences without values of rows."""
    residual = sum(report.deidentification.residual.values())
    kept_back = sum(source.quarantined for source in report.sources)
    return [
        *([f"{plural(residual, 'passage')} may still hold an identifier. Look into this before the data is used."] if residual else []),
        *([f"{plural(kept_back, 'row is', 'rows are')} quarantined. Correct them in the export or drop them there."] if kept_back else []),
        *(
            f"{source.name}: {number(entry.asked)} {entry.what} were asked for, {number(entry.found)} were found."
            for source in report.sources
            for entry in source.minimum
            if entry.found < entry.asked
        ),
        *(
            f"{source.name}: the rows read differ by {number(abs(source.unexplained))} from those used, left out, rejected and quarantined."
            for source in report.sources
            if source.unexplained
        ),
        *_leaks(report),
        *(sentence for task in report.tasks for sentence in _task_attention(task, report.split is not None)),
        *report.warnings,
    ]


def _leaks(report: Report) -> Iterable[str]:
    across = sum(len(set(pair.sides)) > 1 for pair in report.duplicates.pairs)
    if across:
        pairs = plural(across, "pair of near-duplicates lies", "pairs of near-duplicates lie")
        yield f"{pairs} on different sides of the split, so that figures on held-out rows may flatter a model."


def _task_attention(task: TaskReport, is_split: bool) -> Iterable[str]:
    """Sentences on a task whose sides are empty or unlike each other, or whose rows are cut."""
    if is_split and not task.test:
        yield f"{task.name}: no row is held out, so models of it cannot be judged."
    if task.tokens and task.tokens.truncated_percent >= TRUNCATED_WORTH_SAYING:
        yield (
            f"{task.name}: {task.tokens.truncated_percent:.1f} % of the rows are longer than {number(task.tokens.limit)} tokens and are cut."
        )
    train, test = (task.mix.get(side, {}) for side in ("train", "test"))
    if not train or not test:
        return
    for label in test:
        if label not in train:
            yield f"{task.name}: {label} is held out but never trained on."
    for label in train:
        shares = [100 * side.get(label, 0) / max(1, sum(side.values())) for side in (train, test)]
        if abs(shares[0] - shares[1]) >= SHARE_WORTH_SAYING:
            yield f"{task.name}: {label} is {shares[0]:.0f} % of the training rows but {shares[1]:.0f} % of the held-out ones."


def explained(reason: str) -> str:
    """A reason in plain words; nothing where the reason says it all."""
    if reason.startswith("invalid "):
        return f"{reason.removeprefix('invalid ')} is empty or cannot be read"
    return REASONS.get(reason, "")
