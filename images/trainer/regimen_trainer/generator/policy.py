"""The hidden adjudication policy of the synthetic insurer: what a fine-tuned model has to find out from decisions alone.

A claim is denied when the medical review does not support the procedure, or when it costs `LIMIT` or more without prior
authorization. The insurer's old policy, which the generated baseline model follows, looked at the amount alone.
"""

from dataclasses import dataclass
from random import Random

LIMIT = 5_000
OLD_LIMIT = 2_000
FLIPS = 0.03
PENDING_SHARE = 0.06


@dataclass(frozen=True)
class Circumstances:
    """What the policy looks at."""

    supported: bool
    authorized: bool
    amount: float


def decide(facts: Circumstances) -> str:
    """The decision of an expert who makes no mistakes.

    >>> decide(Circumstances(supported=True, authorized=False, amount=4_999.0))
    'APPROVED'
    >>> decide(Circumstances(supported=True, authorized=False, amount=5_000.0))
    'DENIED'
    """
    denied = not facts.supported or (facts.amount >= LIMIT and not facts.authorized)
    return "DENIED" if denied else "APPROVED"


def decide_old(facts: Circumstances) -> str:
    """The decision under the old policy."""
    return "DENIED" if facts.amount >= OLD_LIMIT else "APPROVED"


def expert_decision(facts: Circumstances, rng: Random) -> str:
    """An expert's decision: now and then wrong, now and then still pending."""
    if rng.random() < PENDING_SHARE:
        return "PENDING"
    decision = decide(facts)
    if rng.random() < FLIPS:
        return "APPROVED" if decision == "DENIED" else "DENIED"
    return decision
