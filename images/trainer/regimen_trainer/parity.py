"""Whether training and serving make the same tokens of the same messages.

Training tokenises what transformers' chat template renders; serving tokenises what llama.cpp's own template engine renders of the copy in the GGUF. A
beginning-of-sequence token too many, or a space, and the model answers a prompt that it never saw. Differences are told as places and
token numbers, never as text.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from regimen_trainer.engine import Engine
from regimen_trainer.tasks import Message


@dataclass(frozen=True)
class Parity:
    """How many rows of how many agree, and the first difference of each that does not."""

    rows: int
    differences: tuple[str, ...]

    @property
    def same(self) -> int:
        return self.rows - len(self.differences)


def compare(engine: Engine, tokenizer: Any, rows: Sequence[Mapping[str, Any]]) -> Parity:
    """Compare rows with `prompt` and `completion`, lists of messages as training files have them."""
    found = (difference(engine, tokenizer, row["prompt"], row["completion"]) for row in rows)
    return Parity(len(rows), tuple(f"row {number}: {text}" for number, text in enumerate(found, start=1) if text is not None))


def difference(engine: Engine, tokenizer: Any, prompt: list[Message], completion: list[Message]) -> str | None:
    """What differs first: in the prompt that is answered, or in prompt, answer and end as one text.

    The server never renders an answer of its own (one that comes last is taken for the start of another), so what follows its prompt is
    training's rendering of the completion.
    """
    asked = training_ids(tokenizer, prompt, add_generation_prompt=True)
    if text := _first("prompt", asked, engine.template_ids(prompt)):
        return text
    whole = training_ids(tokenizer, [*prompt, *completion])
    if text := _first("prompt within the conversation", whole[: len(asked)], asked):
        return text
    rendered = tokenizer.apply_chat_template([*prompt, *completion], tokenize=False)
    answer = rendered.removeprefix(tokenizer.apply_chat_template(prompt, add_generation_prompt=True, tokenize=False))
    return _first("conversation", whole, engine.ids(engine.prompt(prompt) + answer, special=True))


def training_ids(tokenizer: Any, messages: Sequence[Message], add_generation_prompt: bool = False) -> list[int]:
    """Token ids as TRL's SFTTrainer makes them of a row's messages."""
    made = tokenizer.apply_chat_template(list(messages), add_generation_prompt=add_generation_prompt, tokenize=True, return_dict=True)
    return list(made["input_ids"])


def _first(what: str, training: list[int], serving: list[int]) -> str | None:
    if training == serving:
        return None
    place = next(
        (place for place, (one, other) in enumerate(zip(training, serving, strict=False)) if one != other), min(len(training), len(serving))
    )
    return f"{what}: training has {training[place : place + 4]} at token {place} of {len(training)}, serving {serving[place : place + 4]} of {len(serving)}"
