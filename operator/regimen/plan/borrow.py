"""May training take the card now? Arithmetic over nodes, the serving pods on them and other trainings; nothing else.

Kubernetes does the taking: training's PriorityClass is above serving's, and the pod asks for every slice (law 6).
"""

from dataclasses import dataclass

from regimen.plan.window import check, opening
from regimen.spec.finetune import Borrow, Placement, Window

GOES_FIRST = frozenset({"", "Claiming", "CardBusy", "RolloutInProgress", "GivingBack", "GoingOn", "WindowClosed"})
"""Reasons of an older job that may take the card as soon as its window is open; any other holds it back for longer."""


@dataclass(frozen=True)
class CardFacts:
    """One node that matches the placement."""

    node: str
    slices: int
    """Allocatable amount of the resource."""
    taken: int
    """Asked for by pods on the node."""
    memory: int | None = None
    """Bytes of the card, where the node's labels say so."""


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

    @property
    def left(self) -> int:
        return self.ready - self.on_cards

    @property
    def falls_short(self) -> bool:
        return self.left < self.min_available


@dataclass(frozen=True)
class RivalFacts:
    """Another FineTuneJob that wants a card of the same nodes and has not ended."""

    name: str
    older: bool
    training: bool
    """Whether it has a training Job, or a pod of one."""
    node: str = ""
    """Where its pod is, if it has one there."""
    reason: str = ""
    """Of its Ready condition."""
    window: Window | None = None


@dataclass(frozen=True)
class Answer:
    """Whether to start, with the number of slices to ask for; or why to wait."""

    slices: int
    reason: str = ""
    message: str = ""

    @property
    def go(self) -> bool:
        return not self.reason


def candidates(cards: tuple[CardFacts, ...]) -> tuple[CardFacts, ...]:
    """The cards that training may get: those with the most slices, since it asks for so many."""
    most = max((card.slices for card in cards), default=0)
    return tuple(card for card in cards if card.slices == most)


def may_start(
    placement: Placement,
    borrow: Borrow,
    cards: tuple[CardFacts, ...],
    lenders: tuple[LenderFacts, ...],
    rivals: tuple[RivalFacts, ...] = (),
    now: float = 0.0,
) -> Answer:
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
    wanted = candidates(cards)
    slices = wanted[0].slices
    if slices == 0:
        text = f"no matching node offers {placement.gpu_resource}; correct placement.gpuResource or set wholeCard: false"
        return Answer(0, "NoCard", text)
    ahead = comes_first(wanted, rivals, now)
    if ahead is not None:
        return Answer(
            0, "CardBusy", f"FineTuneJob {ahead} {'trains on' if _trains(ahead, rivals) else 'comes first on'} the card; waiting for it"
        )
    wanted = tuple(card for card in wanted if card.node not in {rival.node for rival in rivals})
    if any(card.taken == 0 for card in wanted):
        return Answer(slices)
    if borrow.mode == "None":
        taken = max(card.taken for card in wanted)
        return Answer(0, "CardBusy", f"{taken} of {slices} slices are taken; wait, or set borrow.mode: Preempt")
    for lender in lenders:
        if lender.rolling_out and lender.on_cards:
            return Answer(0, "RolloutInProgress", f"rollout {lender.rolling_out} moves replicas of {lender.service}; training waits for it")
    short = shortfall(borrow, lenders)
    if short and not borrow.allow_outage:
        return Answer(0, "BorrowingWouldBreakMinAvailable", short)
    return Answer(slices)


def comes_first(cards: tuple[CardFacts, ...], rivals: tuple[RivalFacts, ...], now: float) -> str | None:
    """The training that this one waits for, where every card is held by one or wanted by an older one.

    >>> card = (CardFacts("a", 4, 0),)
    >>> comes_first(card, (RivalFacts("older", older=True, training=False),), 0)
    'older'
    >>> comes_first(card, (RivalFacts("younger", older=False, training=False),), 0)
    """
    nodes = {card.node for card in cards}
    placed = [rival for rival in rivals if rival.node in nodes]
    ahead = [rival for rival in rivals if not rival.node and (rival.training or (rival.older and _wants(rival, now)))]
    if len(nodes - {rival.node for rival in placed}) > len(ahead):
        return None
    return (ahead or placed)[0].name if cards else None


def _wants(rival: RivalFacts, now: float) -> bool:
    if rival.reason not in GOES_FIRST:
        return False
    if rival.window is None:
        return True
    try:
        check(rival.window)
    except ValueError:
        return False
    now_open = opening(rival.window, now)
    return now_open is not None and now_open.worth_it(now)


def _trains(name: str, rivals: tuple[RivalFacts, ...]) -> bool:
    return any(rival.name == name and rival.training for rival in rivals)


def shortfall(borrow: Borrow, lenders: tuple[LenderFacts, ...]) -> str:
    """What would fall below minAvailable while the card is lent, and the remedy; empty where nothing would.

    >>> shortfall(Borrow(mode="Preempt"), (LenderFacts("openins", 4, 3, 2, None),))
    'openins would keep 2 of minAvailable 3 replicas; set borrow.allowOutage: true, or lower minAvailable'
    """
    if borrow.mode == "None":
        return ""
    short = [
        f"{lender.service} would keep {lender.left} of minAvailable {lender.min_available} replicas"
        for lender in lenders
        if lender.falls_short
    ]
    remedy = "allowed by borrow.allowOutage" if borrow.allow_outage else "set borrow.allowOutage: true, or lower minAvailable"
    return f"{' and '.join(short)}; {remedy}" if short else ""
