"""A rollout while training has borrowed a card of its service: the night happens, and is no part of the test.

From the moment a card is lent until the replicas that stepped aside are back, no replica moves, no look is taken, traffic counts under no
epoch, and every clock stands still: the pause's, the analysis's, the progress deadline's. Only a rollback goes on.
"""

from regimen.plan.memory import Memory
from regimen.plan.progress import span
from regimen.plan.rollout_facts import Context
from regimen.spec.meta import parse_duration


def follow_loan(context: Context, memory: Memory) -> Memory:
    """Note that a card is lent, or that it is back; then the clocks are put forward by what they stood still for."""
    if context.facts.lending:
        if memory.lent_since is None:
            return memory.noting(
                context.iso, "a card is lent to training; the clock stands still", lent_since=context.now, growing_since=None
            )
        return memory.model_copy(update={"returned_at": None})
    if memory.lent_since is None:
        return memory
    if not _all_back(context):
        if memory.returned_at is None:
            return memory.model_copy(update={"returned_at": context.now})
        # Replicas that do not come back are no loan any more.
        if context.now - memory.returned_at <= parse_duration(context.spec.progress_deadline):
            return memory
    stood = context.now - memory.lent_since
    return memory.noting(
        context.iso, f"the card is back; the clock stood still for {span(stood)}", lent_since=None, returned_at=None,
        step_since=memory.step_since + stood, moved_at=memory.moved_at + stood,
    )  # fmt: skip


def _all_back(context: Context) -> bool:
    arms = (context.facts.stable, context.facts.candidate)
    return all(arm.ready >= arm.replicas for arm in arms)
