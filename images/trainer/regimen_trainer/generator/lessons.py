"""What the generated base model reads before anyone fine-tunes it: short reviews with questions, and the old policy's decisions.

A lesson is a conversation as the chat template renders it. It teaches to read a review (is it supported, authorized, expensive?) and to
decide by one stated criterion; asked without a criterion, the model decides as the old policy did. So the base is parseable and
wrong in a way that experts' decisions can correct.
"""

from dataclasses import dataclass
from random import Random

from regimen_trainer.generator.claims import Claim
from regimen_trainer.generator.policy import LIMIT, Circumstances, decide_old
from regimen_trainer.tasks import DEFAULT_LABELS, Message, render

CRITERIA = ("necessity", "authorization", "necessity and authorization", "cost and authorization")


@dataclass(frozen=True)
class Lesson:
    """A conversation; the model learns the assistant's turns."""

    messages: list[Message]


def lesson(claim: Claim, rng: Random, stated: float, short: bool) -> Lesson:
    """A lesson on a claim. `stated`: share of lessons that state a criterion; `short`: only the telling sentences."""
    system, user = render("adjudication", claim.row, DEFAULT_LABELS)
    if short:
        tier = user["content"].rpartition("\n")[2]
        user = {**user, "content": f"Review: {telling(claim.row['medical_analysis'])}\n{tier}"}
    answer = decide_old(claim.facts)
    if rng.random() < stated:
        criterion = rng.choice(CRITERIA)
        system = {**system, "content": system["content"].replace("claim.", f"claim by {criterion}.")}
        answer = by_criterion(claim.facts, criterion)
    return Lesson([system, user, _says(answer), *questions(claim.facts, rng)])


def telling(analysis: str) -> str:
    """The reviewer's view and the authorization, without the opening and the contact."""
    from regimen_trainer.generator import vocabulary as words

    sentences = (*words.SUPPORTED, *words.UNSUPPORTED, *words.AUTHORIZED, *words.UNAUTHORIZED)
    return " ".join(sentence for sentence in sentences if sentence in analysis)


def by_criterion(facts: Circumstances, criterion: str) -> str:
    """The decision when one criterion is stated."""
    denied = {
        "necessity": not facts.supported,
        "authorization": not facts.authorized,
        "necessity and authorization": not facts.supported or not facts.authorized,
        "cost and authorization": facts.amount >= LIMIT and not facts.authorized,
    }[criterion]
    return "DENIED" if denied else "APPROVED"


def questions(facts: Circumstances, rng: Random) -> list[Message]:
    """Two questions about what the review says, in any order, with their answers."""
    asked = [("Supported?", facts.supported), ("Authorized?", facts.authorized)]
    rng.shuffle(asked)
    return [turn for question, true in asked for turn in (Message(role="user", content=question), _says("yes" if true else "no"))]


def _says(text: str) -> Message:
    return Message(role="assistant", content=text)
