"""What a person asks of a rollout while it runs: one annotation with a nonce, carried out once, acknowledged in status.

The spec stays Git's (law 1), so a command is no change of it. The last nonce is in the rollout's memory: a pass that is repeated, a second
operator or a lost status repeat no command.

    regimen.dev/command: {"nonce": "3f9c…", "do": "pause | resume | skip | promote | abort"}
"""

from hashlib import sha256
from typing import Literal, NamedTuple

from pydantic import Field, ValidationError

from regimen.plan.common import Owner
from regimen.plan.memory import Memory
from regimen.plan.rollout_facts import Context, current_step
from regimen.spec.meta import GROUP, Spec
from regimen.spec.rollout import CommandResult, ModelRolloutSpec

ANNOTATION = f"{GROUP}/command"
Verb = Literal["pause", "resume", "skip", "promote", "abort"]


class Command(Spec):
    """A person's command, as the annotation has it."""

    nonce: str = Field(pattern=r"^[A-Za-z0-9-]{1,64}$", description="Unique: a command is carried out once.")
    do: Verb = Field(description="What is asked for.")


class Answer(NamedTuple):
    """What comes of a command: whether it is carried out, in which words, and the memory after it."""

    accepted: bool
    message: str
    memory: Memory


def take_up(context: Context, memory: Memory) -> Memory:
    """Carry out a command that is new. Before any other rule but deletion: a person's word is not overtaken by a step."""
    command = _new(context.owner, memory)
    if command is None:
        return memory
    if isinstance(command, CommandResult):
        return memory.model_copy(update={"command": command.model_copy(update={"at": context.iso})})
    answer = _refusal(memory) or _DOINGS[command.do](context, memory)
    result = CommandResult(nonce=command.nonce, do=command.do, at=context.iso, accepted=answer.accepted, message=answer.message[:512])
    changed = answer.memory.noting(context.iso, f"{command.do}, by hand: {answer.message}") if answer.accepted else answer.memory
    return changed.model_copy(update={"command": result})


def refuse_after_end(owner: Owner, memory: Memory, at: str) -> Memory:
    """An ended rollout answers, too."""
    command = _new(owner, memory)
    if command is None:
        return memory
    message = "the rollout has ended; `kubectl regimen rollout retry` runs it again, `undo` goes back to the version before"
    result = CommandResult(nonce=command.nonce, do=command.do, at=at, accepted=False, message=message)
    return memory.model_copy(update={"command": result})


def _new(owner: Owner, memory: Memory) -> Command | CommandResult | None:
    """The command that was not taken up yet; one that cannot be read is answered, by a nonce of its own."""
    text = (owner.annotations or {}).get(ANNOTATION)
    if not text:
        return None
    done = memory.command.nonce if memory.command else None
    try:
        command = Command.model_validate_json(text)
    except ValidationError as error:
        nonce = sha256(text.encode()).hexdigest()[:16]
        where = ".".join(str(part) for part in error.errors()[0]["loc"]) or "the annotation"
        message = f"{ANNOTATION}: {where}: {error.errors()[0]['msg']}"[:512]
        return None if nonce == done else CommandResult(nonce=nonce, do="unknown", at="", accepted=False, message=message)
    return None if command.nonce == done else command


def _refusal(memory: Memory) -> Answer | None:
    if memory.outcome == "RollBack":
        return Answer(False, f"it is rolling back already: {memory.why}", memory)
    return None


def _pause(_: Context, memory: Memory) -> Answer:
    if memory.outcome is not None:
        return Answer(False, "every step is done; it is being promoted", memory)
    return Answer(True, "held at the present step; guardrails go on", memory.model_copy(update={"held": True}))


def _resume(context: Context, memory: Memory) -> Answer:
    if context.spec.paused:
        return Answer(False, "spec.paused is true; set it to false where the manifest is kept", memory.model_copy(update={"held": False}))
    if not memory.held:
        return Answer(False, "it is not paused by hand", memory)
    return Answer(True, "goes on", memory.model_copy(update={"held": False, "moved_at": context.now}))


def _skip(context: Context, memory: Memory) -> Answer:
    step = current_step(context.spec, memory)
    if step is None or step.pause is None:
        return Answer(False, "only a pause can be skipped; an analysis is decided by evidence, or by hand with promote or abort", memory)
    return Answer(True, f"the pause of {step.pause.duration} ends", _at_step(context, memory, memory.step + 1))


def _promote(context: Context, memory: Memory) -> Answer:
    last = last_exchange(context.spec)
    if memory.by_hand or memory.outcome is not None or memory.step > last:
        return Answer(False, "it is being promoted already", memory)
    moved = _at_step(context, memory, max(last, memory.step)).model_copy(update={"by_hand": True, "passed": True, "held": False})
    return Answer(True, "what is left of pauses and analyses is left out; guardrails still roll back", moved)


def _abort(context: Context, memory: Memory) -> Answer:
    serving = context.facts.serving
    if serving is not None and serving.version_ref == context.spec.to_ref.name:
        return Answer(False, "it is promoted and recorded; use undo", memory)
    return Answer(True, "rolling back", memory.rolling_back(context.iso, context.now, "Aborted", "aborted by hand"))


def last_exchange(spec: ModelRolloutSpec) -> int:
    """Index of the step that moves the last replica."""
    return max((index for index, step in enumerate(spec.strategy.steps) if step.set_replicas is not None), default=0)


def _at_step(context: Context, memory: Memory, step: int) -> Memory:
    return memory.model_copy(update={"step": step, "step_since": context.now, "moved_at": context.now})


_DOINGS = {"pause": _pause, "resume": _resume, "skip": _skip, "promote": _promote, "abort": _abort}
