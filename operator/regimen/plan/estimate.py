"""What training takes on the card, said before it takes it; a job that cannot fit never takes it."""

from regimen.plan.borrow import CardFacts, candidates
from regimen.sizing.cards import MEMORY_LABEL
from regimen.sizing.memory import fits, training_memory
from regimen.spec.artifacts import ModelShape
from regimen.spec.finetune import Estimate, FineTuneJobSpec

GIB = 2**30


def estimate(spec: FineTuneJobSpec, shape: ModelShape | None, cards: tuple[CardFacts, ...]) -> Estimate | None:
    """Against the smallest card that the pod may land on. None on the CPU, and where the base's shape is not known."""
    if shape is None or not spec.placement.whole_card:
        return None
    known = [card.memory for card in candidates(cards) if card.memory is not None]
    if not known:
        least = training_memory(shape, spec.method, 1, activation_checkpointing=True).total
        note = f"the card's memory is not known: label its node {MEMORY_LABEL} (MiB); at least this much is needed"
        return Estimate(vram_bytes=least, note=note)
    fit = fits(shape, spec.method, min(known))
    how = f"{fit.micro_batch} at once, " + ("with" if fit.activation_checkpointing else "without") + " activation checkpointing"
    return Estimate(vram_bytes=fit.memory.total, card_bytes=min(known), fits=fit.fits, note=how if fit.fits else fit.hint)


def refusal(spec: FineTuneJobSpec, found: Estimate | None) -> str | None:
    """Why a job cannot be trained on any card it may get, and the change that would fit.

    The fields are named by their paths: this is all that a person reads.
    """
    if found is None or found.card_bytes is None or found.fits is not False:
        return None
    return (
        f"method: {spec.method.type} with maxLength {spec.method.max_length} takes {found.vram_bytes / GIB:.1f} GiB by the estimate, the card "
        f"has {found.card_bytes / GIB:.1f} GiB; {found.note}. Delete this job and create it so, or let placement.nodeSelector name a larger card"
    )
