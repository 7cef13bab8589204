"""Whether a service's replicas fit their cards, beside whoever else is on them.

Slices place pods and isolate no memory: two models on one card that do not fit it together fail when they load, at night, one of them
long after it was accepted. So estimates are added up before a replica is asked for. A node counts as one card.
"""

from collections.abc import Sequence
from dataclasses import dataclass

from regimen.sizing.cards import MEMORY_LABEL
from regimen.sizing.memory import serving_memory
from regimen.spec.artifacts import ModelShape
from regimen.spec.meta import GROUP
from regimen.spec.service import ModelServiceSpec, ServingEstimate

VRAM = f"{GROUP}/vram-bytes"
"""Annotation of a version's Deployment: bytes of the card that each of its pods takes."""


@dataclass(frozen=True)
class ModelSize:
    """What a version's file says of its size."""

    gguf_bytes: int
    shape: ModelShape | None
    """None where nobody ever brought the weights: then only the file itself is counted."""


@dataclass(frozen=True)
class CardLoad:
    """A card that replicas of the service may land on."""

    node: str
    memory: int | None
    """Bytes, where the node's labels say so."""
    free: int
    """Slices that nobody else who serves asks for."""
    own: int
    """Replicas of the service that are there."""
    others: tuple[tuple[str, int], ...] = ()
    """Service and bytes of each other replica that is there."""
    cordoned: bool = False
    """Takes no new pods."""


@dataclass(frozen=True)
class Unplaced:
    """A replica of another service that waits for a card, and the nodes it may land on."""

    bytes: int
    nodes: frozenset[str]


def serving_bytes(spec: ModelServiceSpec, size: ModelSize | None) -> int | None:
    """Bytes of a card that a replica takes; None on the CPU, or while nobody knows."""
    if size is None or not size.gguf_bytes or not spec.placement.gpus:
        return None
    return serving_memory(size.shape, size.gguf_bytes, spec.engine.context_size, spec.engine.parallel)


def places(spec: ModelServiceSpec, each: int, cards: Sequence[CardLoad], unplaced: Sequence[Unplaced] = ()) -> int:
    """Replicas of `each` bytes that have a place, those that are there included. Who waits for a card is put on the emptiest first.

    >>> spec = ModelServiceSpec.model_validate({"model": "m", "baselineRef": {"name": "b"}, "quantization": "Q6_K",
    ...     "cache": {"persistentVolumeClaim": {"claimName": "c"}}})
    >>> card = CardLoad("a", memory=24, free=3, own=0, others=(("other", 8),))
    >>> places(spec, 7, [card]), places(spec, 7, [card], [Unplaced(8, frozenset("a"))]), places(spec, 2, [card])
    (2, 1, 3)
    """
    left = {card.node: card.memory - sum(size for _, size in card.others) for card in cards if card.memory is not None}
    for waiting in sorted(unplaced, key=lambda item: item.bytes, reverse=True):
        if mine := [node for node in left if node in waiting.nodes]:
            left[max(mine, key=lambda node: (left[node], node))] -= waiting.bytes
    found = 0
    for card in cards:
        fit = card.free // spec.placement.gpus
        if card.node in left:
            fit = min(fit, max(0, left[card.node]) // each)
        found += min(fit, card.own) if card.cordoned else fit
    return found


def estimate(
    spec: ModelServiceSpec, size: ModelSize | None, cards: Sequence[CardLoad], unplaced: Sequence[Unplaced]
) -> ServingEstimate | None:
    """For status; None on the CPU."""
    each = serving_bytes(spec, size)
    if each is None:
        return None
    known = [card.memory for card in cards if card.memory is not None]
    others = sorted({name for card in cards for name, _ in card.others})
    note = None
    if size is not None and size.shape is None:
        note = "the file and the runtime alone: the model's shape is not known, since no version of it has weights"
    if not known:
        note = f"the cards' memory is not known: label the nodes {MEMORY_LABEL} (MiB)"
    fits = places(spec, each, cards, unplaced) >= spec.replicas if cards else None
    return ServingEstimate(vram_bytes=each, card_bytes=min(known, default=None), co_resident=others, fits=fits, note=note)


def refusal(spec: ModelServiceSpec, found: ServingEstimate | None, cards: Sequence[CardLoad], running: int) -> str | None:
    """Why more replicas than run now are not asked for. What runs is never taken away."""
    if found is None or found.fits is not False or spec.replicas <= running:
        return None
    beside = f" beside {', '.join(found.co_resident)}" if found.co_resident else ""
    have = ", ".join(f"{card.node} {_gb(card.memory)} in {card.free} free slices" for card in cards)
    return (
        f"replicas: {spec.replicas} of {_gb(found.vram_bytes)} each do not fit{beside} ({have}); lower replicas or engine.contextSize, "
        "or let placement.nodeSelector name other nodes"
    )


def _gb(size: int | None) -> str:
    return "of unknown memory" if size is None else f"{size / 1e9:.1f} GB"
