"""May training take the card now? Arithmetic over nodes and the serving pods on them; nothing else.

Kubernetes does the taking: training's PriorityClass is above serving's, and the pod asks for every slice (law 6).
"""

from dataclasses import dataclass

from regimen.spec.finetune import Borrow, Placement


@dataclass(frozen=True)
class CardFacts:
    """One node that matches the placement."""

    node: str
    slices: int
    """Allocatable amount of the resource."""
    taken: int
    """Asked for by pods on the node, training's own left out."""


@dataclass(frozen=True)
class LenderFacts:
    """A ModelService with pods on a matching node."""

    service: str
    ready: int
    """Ready replicas in all, wherever they are."""
    min_available: int
    on_cards: int
    """Replicas that would step aside, at most, over the matching nodes (one node is taken)."""
    rolling_out: str | None
    """Its rollout that is exchanging replicas now, if any."""


@dataclass(frozen=True)
class Answer:
    """Whether to start, with the number of slices to ask for; or why to wait."""

    slices: int
    reason: str = ""
    message: str = ""

    @property
    def go(self) -> bool:
        return not self.reason


def may_start(placement: Placement, borrow: Borrow, cards: tuple[CardFacts, ...], lenders: tuple[LenderFacts, ...]) -> Answer:
    """Decide whether a training pod may be created.

    >>> two_serve = (CardFacts("a", slices=4, taken=2),)
    >>> may_start(Placement(), Borrow(), two_serve, ()).reason
    'CardBusy'
    >>> may_start(Placement(), Borrow(mode="Preempt"), two_serve, (LenderFacts("openins", 4, 2, 2, None),))
    Answer(slices=4, reason='', message='')
    >>> may_start(Placement(), Borrow(mode="Preempt"), two_serve, (LenderFacts("openins", 4, 3, 2, None),)).reason
    'BorrowingWouldBreakMinAvailable'
    """
    if not placement.whole_card:
        return Answer(0)
    if not cards:
        return Answer(0, "NoNode", "no node matches placement.nodeSelector; label one or correct the selector")
    slices = max(card.slices for card in cards)
    if slices == 0:
        text = f"no matching node offers {placement.gpu_resource}; correct placement.gpuResource or set wholeCard: false"
        return Answer(0, "NoCard", text)
    if any(card.slices == slices and card.taken == 0 for card in cards):
        return Answer(slices)
    if borrow.mode == "None":
        taken = max(card.taken for card in cards)
        return Answer(0, "CardBusy", f"{taken} of {slices} slices are taken; wait, or set borrow.mode: Preempt")
    for lender in lenders:
        if lender.rolling_out and lender.on_cards:
            return Answer(0, "RolloutInProgress", f"rollout {lender.rolling_out} moves replicas of {lender.service}; training waits for it")
        left = lender.ready - lender.on_cards
        if left < lender.min_available and not borrow.allow_outage:
            text = (
                f"{lender.service} would keep {left} of minAvailable {lender.min_available} replicas; "
                "set borrow.allowOutage: true, or lower minAvailable"
            )
            return Answer(0, "BorrowingWouldBreakMinAvailable", text)
    return Answer(slices)
