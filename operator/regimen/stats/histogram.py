"""Quantiles of values that are known by bucket only.

Knows counts and bounds; linear interpolation within a bucket, as Prometheus' histogram_quantile does.
"""

from collections.abc import Sequence


def quantile(counts: Sequence[int], bounds: Sequence[float], q: float) -> float | None:
    """The value below which a share q of the counted values lies.

    counts: one per bucket, len(bounds) + 1 of them; bucket i holds values up to bounds[i], the first from 0 on, the last is
    open above and returns its lower bound. bounds: increasing, in the unit of the result. q: in 0 to 1.
    None where nothing was counted. Raises ValueError for other shapes.

    >>> quantile([0, 10, 10, 0], [10, 20, 30], 0.75), quantile([0, 0, 0, 5], [10, 20, 30], 0.5), quantile([], [10], 0.5)
    (25.0, 30.0, None)
    """
    total = sum(counts)
    if not 0 <= q <= 1 or any(count < 0 for count in counts):
        raise ValueError(f"q must be within 0 to 1 ({q}) and no count negative")
    if total == 0:
        return None
    if len(counts) != len(bounds) + 1:
        raise ValueError(f"{len(counts)} counts need {len(counts) - 1} bounds, not {len(bounds)}")
    edges = [0.0, *map(float, bounds)]
    below, wanted = 0, q * total
    for i, count in enumerate(counts[:-1]):
        if count and below + count >= wanted:
            return edges[i] + (edges[i + 1] - edges[i]) * (wanted - below) / count
        below += count
    return edges[-1]


def share_above(counts: Sequence[int], bounds: Sequence[float], value: float) -> float:
    """The share of the counted values above `value`, linear within its bucket; of the open bucket all are. 0 where nothing was counted.

    >>> share_above([0, 10, 10, 0], [10, 20, 30], 15), share_above([0, 0, 0, 5], [10, 20, 30], 99)
    (0.75, 1.0)
    """
    total = sum(counts)
    if total == 0:
        return 0.0
    edges = [0.0, *map(float, bounds)]
    above = float(counts[-1])
    for i, count in enumerate(counts[:-1]):
        part = (edges[i + 1] - value) / (edges[i + 1] - edges[i])
        above += count * min(1.0, max(0.0, part))
    return above / total
