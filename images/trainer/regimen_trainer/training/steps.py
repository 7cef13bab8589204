"""Which rows make which step, and how a step's rows are computed. Pure, and the same on every machine.

Step k takes the same rows whatever the memory, with packing or without: packing and micro-batches only say how a step is computed. A
training that goes on after an interruption therefore needs no more than the number of its next step.
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass, field
from random import Random

WARMUP_SHARE = 0.05


@dataclass
class Steps:
    """The order of a training. An epoch's last step takes what is left."""

    rows: int
    batch_size: int
    epochs: float
    seed: int
    _epoch: tuple[int, list[int]] = field(default=(-1, []), init=False, repr=False)

    @property
    def per_epoch(self) -> int:
        return -(-self.rows // self.batch_size)

    @property
    def total(self) -> int:
        return math.ceil(self.epochs * self.per_epoch)

    def rows_of(self, step: int) -> list[int]:
        """Indexes of the rows of a step, counted from 0."""
        epoch, place = divmod(step, self.per_epoch)
        if self._epoch[0] != epoch:
            order = list(range(self.rows))
            Random(f"order {self.seed} {epoch}").shuffle(order)
            self._epoch = (epoch, order)
        return self._epoch[1][place * self.batch_size : (place + 1) * self.batch_size]

    def rate(self, step: int) -> float:
        """Share of the peak learning rate at a step: up for the first twentieth, then down, in lines.

        >>> [Steps(40, 1, 1, 0).rate(step) for step in (0, 1, 2, 21, 39)]
        [0.5, 1.0, 1.0, 0.5, 0.02631578947368421]
        """
        warmup = math.ceil(WARMUP_SHARE * self.total)
        return (step + 1) / warmup if step < warmup else (self.total - step) / max(1, self.total - warmup)


def packed(lengths: Sequence[int], capacity: int) -> list[list[int]]:
    """Places of rows grouped so that no group has more than `capacity` tokens, the longest first into the first group with room.

    A row longer than that is alone.

    >>> packed([3, 7, 5, 2], 8)
    [[1], [2, 0], [3]]
    """
    groups: list[list[int]] = []
    room: list[int] = []
    for place in sorted(range(len(lengths)), key=lambda at: -lengths[at]):
        group = next((index for index, left in enumerate(room) if left >= lengths[place]), None)
        if group is None:
            groups.append([place])
            room.append(capacity - lengths[place])
        else:
            groups[group].append(place)
            room[group] -= lengths[place]
    return groups


def padded(lengths: Sequence[int], rows: int) -> list[list[int]]:
    """Places of rows in groups of `rows`, alike in length so that little is padding.

    >>> padded([3, 7, 5, 2], 2)
    [[1, 2], [0, 3]]
    """
    order = sorted(range(len(lengths)), key=lambda at: -lengths[at])
    return [order[start : start + rows] for start in range(0, len(order), rows)]
