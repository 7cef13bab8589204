"""How much of a step is computed at once: as much as fits, by an estimate first and by what happens then. Pure.

    whole step at once ─▶ half of it ─▶ … ─▶ one row ─▶ one row, activations computed twice ─▶ no way

The batch size stays what the method says: fewer rows at once are more accumulation.
"""

from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import TypeVar

from regimen.spec.finetune import Method
from regimen_trainer.errors import InputError

T = TypeVar("T")
Estimate = Callable[[int, bool], int]
"""Bytes at the peak of a step: of a micro-batch, with or without activation checkpointing."""
TOKENS_AT_ONCE = {"cuda": 16_384, "cpu": 8_192}
"""More tokens at once make a step no faster."""


@dataclass(frozen=True)
class AtOnce:
    """A way to compute a step."""

    micro_batch: int
    """Rows of the longest length that are computed at once; with packing their tokens, as however many rows."""
    activation_checkpointing: bool = False
    """Whether activations are computed again for the backward pass instead of being kept: less memory, a third more work."""

    def smaller(self) -> "AtOnce | None":
        """The next way that takes less memory, or None."""
        if self.micro_batch > 1:
            return replace(self, micro_batch=self.micro_batch // 2)
        return None if self.activation_checkpointing else replace(self, activation_checkpointing=True)

    def __str__(self) -> str:
        again = ", activations computed again" if self.activation_checkpointing else ""
        return f"micro-batch {self.micro_batch}{again}"


def most_at_once(batch_size: int, longest: int, device: str) -> int:
    """The largest micro-batch worth trying: the whole step where that is not too many tokens.

    >>> most_at_once(4, 200, "cuda"), most_at_once(64, 2048, "cuda"), most_at_once(4, 20_000, "cpu")
    (4, 8, 1)
    """
    return max(1, min(batch_size, TOKENS_AT_ONCE[device] // longest))


def estimated(estimate: Estimate, available: int, most: int) -> AtOnce:
    """The fastest way that fits by estimate: without checkpointing if one row fits so, then as many rows as fit.

    Where nothing fits by estimate, the smallest way: what really happens decides.
    """
    for checkpointing in (False, True):
        way = AtOnce(most, checkpointing)
        while estimate(way.micro_batch, checkpointing) > available:
            if way.micro_batch == 1:
                break
            way = replace(way, micro_batch=way.micro_batch // 2)
        else:
            return way
    return AtOnce(1, True)


def within_memory(
    attempt: Callable[[AtOnce], T], way: AtOnce, on_smaller: Callable[[AtOnce, AtOnce], None], method: Method, longest: int
) -> T:
    """Call `attempt` with ways of less and less memory until one is not out of memory; returns its result.

    `on_smaller(before, after)` is called between two attempts, when the failed one's tensors can be let go. `attempt` must be
    repeatable. Raises InputError, naming method.maxLength, where the smallest way does not fit.
    """
    while True:
        try:
            return attempt(way)
        except (MemoryError, RuntimeError) as error:
            if not is_out_of_memory(error):
                raise
        # Only here are the attempt's frames, and the tensors in them, gone.
        less = way.smaller()
        if less is None:
            raise out_of_memory(method, longest)
        on_smaller(way, less)
        way = less


def is_out_of_memory(error: BaseException) -> bool:
    """Whether an error says that there was no room: torch has a class of its own for cards and plain RuntimeErrors for CPUs."""
    said = str(error).lower()
    return (
        isinstance(error, MemoryError) or type(error).__name__ == "OutOfMemoryError" or "out of memory" in said or "allocate memory" in said
    )


def out_of_memory(method: Method, longest: int) -> InputError:
    """What to say where one row does not fit."""
    quantized = ", or set method.type to QLoRA" if method.type == "LoRA" else ""
    return InputError(
        f"method.maxLength: a row of {longest} tokens does not fit into memory even alone with activation checkpointing; "
        f"lower it{quantized}, or take a larger card"
    )
