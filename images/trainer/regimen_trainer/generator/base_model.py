"""Makes a small Llama that serves as the business's production model where no real one is at hand.

Its tokenizer is Mistral's own SentencePiece model; its weights start at random and learn `lessons` for about a minute. There is no
beginning-of-sequence token, no space is put before text, and the chat template is plain text: llama.cpp and transformers then tokenize alike.
"""

import json
import shutil
from collections.abc import Iterator
from dataclasses import dataclass
from importlib.util import find_spec
from itertools import islice
from pathlib import Path
from random import Random
from typing import TYPE_CHECKING

from regimen_trainer.errors import InputError
from regimen_trainer.generator.claims import Claim, claims
from regimen_trainer.generator.lessons import Lesson, lesson
from regimen_trainer.logs import log

if TYPE_CHECKING:
    import torch
    from transformers import LlamaForCausalLM, PreTrainedTokenizerBase

HIDDEN, INTERMEDIATE, LAYERS, HEADS, VOCABULARY = 256, 512, 2, 4, 32_000
"""Multiples of 256, or K-quants fall back to other types."""


@dataclass(frozen=True)
class Phase:
    """A part of the training: how many steps of how many lessons, whether they are short, how many state a criterion."""

    steps: int
    batch: int
    short: bool
    stated: float


PHASES = (Phase(90, 48, True, 0.6), Phase(50, 24, False, 0.5))
LEARNING_RATE = 3e-3
WARMUP = 10
IGNORED = -100
RIVALS = 2_048
Encoded = tuple[list[int], list[int]]


def make(folder: Path, seed: int, phases: tuple[Phase, ...] = PHASES) -> None:
    """Write a trained base model in Hugging Face layout (16-bit safetensors) into `folder`."""
    import torch

    torch.manual_seed(seed)
    tokenizer = load_tokenizer(folder)
    model = new_model()
    teach(model, tokenizer, seed, phases)
    model.to(torch.bfloat16).save_pretrained(folder)
    tokenizer.save_pretrained(folder)
    state_no_beginning(folder / "tokenizer_config.json")


def state_no_beginning(path: Path) -> None:
    """Say that no beginning-of-sequence token is added: transformers leaves that out, and llama.cpp would then add one."""
    settings = json.loads(path.read_text())
    path.write_text(json.dumps({**settings, "add_bos_token": False, "add_eos_token": False}, indent=2, sort_keys=True))


def load_tokenizer(folder: Path) -> "PreTrainedTokenizerBase":
    """Mistral's first tokenizer with the plain chat template; its SentencePiece file is copied beside the weights for converters."""
    from sentencepiece import SentencePieceProcessor
    from transformers import LlamaTokenizer
    from transformers.convert_slow_tokenizer import generate_merges

    found = find_spec("mistral_common")
    if found is None or not found.submodule_search_locations:
        raise InputError("generate-model needs the tokenizer in the package mistral-common; install it")
    folder.mkdir(parents=True, exist_ok=True)
    shutil.copyfile(Path(found.submodule_search_locations[0]) / "data" / "tokenizer.model.v1", folder / "tokenizer.model")
    pieces = SentencePieceProcessor(model_file=str(folder / "tokenizer.model"))
    vocabulary = {pieces.id_to_piece(index): index for index in range(pieces.vocab_size())}
    merges = generate_merges(vocabulary, {piece: pieces.get_score(index) for piece, index in vocabulary.items()})
    # No space before text: transformers would put one at the start only, llama.cpp after each special token, too.
    tokenizer = LlamaTokenizer(vocab=vocabulary, merges=merges, pad_token="<unk>", add_prefix_space=False)
    tokenizer.chat_template = (Path(__file__).parent.parent / "templates" / "chat_template.jinja").read_text().strip()
    return tokenizer


def new_model() -> "LlamaForCausalLM":
    """A Llama with random weights: 9.5 million, 8.2 of them embeddings that input and output share."""
    from transformers import LlamaConfig, LlamaForCausalLM

    return LlamaForCausalLM(
        LlamaConfig(
            vocab_size=VOCABULARY,
            hidden_size=HIDDEN,
            intermediate_size=INTERMEDIATE,
            num_hidden_layers=LAYERS,
            num_attention_heads=HEADS,
            num_key_value_heads=HEADS,
            max_position_embeddings=2048,
            tie_word_embeddings=True,
            bos_token_id=1,
            eos_token_id=2,
            pad_token_id=0,
        )
    )


def teach(model: "LlamaForCausalLM", tokenizer: "PreTrainedTokenizerBase", seed: int, phases: tuple[Phase, ...]) -> None:
    """Train all weights on lessons. bfloat16 where the processor has it: oneDNN then is several times faster."""
    import torch

    total = sum(phase.steps for phase in phases)
    optimizer = torch.optim.AdamW(model.parameters(), lr=LEARNING_RATE, betas=(0.9, 0.95), weight_decay=0.01)
    schedule = torch.optim.lr_scheduler.LambdaLR(optimizer, lambda step: min((step + 1) / WARMUP, max(0.05, 1 - step / total)))
    for step, batch in enumerate(batches(tokenizer, seed, phases), start=1):
        with torch.autocast("cpu", torch.bfloat16, enabled=has_bfloat16()):
            loss = answer_loss(model, *padded(batch))
        loss.backward()
        torch.nn.utils.clip_grad_norm_(model.parameters(), 1.0)
        optimizer.step()
        schedule.step()
        optimizer.zero_grad(set_to_none=True)
        if step % 20 == 0 or step == total:
            log("teaching", step=step, steps=total, loss=round(loss.item(), 4))


def has_bfloat16() -> bool:
    """Whether oneDNN multiplies bfloat16 in hardware here."""
    import torch

    return bool(torch.ops.mkldnn._is_mkldnn_bf16_supported()) and torch.backends.cpu.get_cpu_capability() == "AVX512"


def batches(tokenizer: "PreTrainedTokenizerBase", seed: int, phases: tuple[Phase, ...]) -> Iterator[list[Encoded]]:
    """Batches of encoded lessons, each lesson on another claim."""
    source: Iterator[Claim] = claims(Random(f"lessons {seed}"))
    rng = Random(f"questions {seed}")
    for phase in phases:
        for _ in range(phase.steps):
            yield [encode(tokenizer, lesson(claim, rng, phase.stated, phase.short)) for claim in islice(source, phase.batch)]


def encode(tokenizer: "PreTrainedTokenizerBase", one: Lesson) -> Encoded:
    """Token ids of a lesson, and labels that ignore all but the assistant's turns.

    The whole text is tokenized once; which tokens are answers follows from their place in it.
    """
    text = tokenizer.apply_chat_template(one.messages, tokenize=False)
    encoded = tokenizer(text, add_special_tokens=False, return_offsets_mapping=True)
    spans, start = [], 0
    for message in one.messages:
        start = text.index(message["content"], start)
        end = start + len(message["content"])
        if message["role"] == "assistant":
            spans.append((start, end + len(tokenizer.eos_token)))
        start = end
    ids = encoded["input_ids"]
    answers = [any(first < end and last > begin for begin, end in spans) for first, last in encoded["offset_mapping"]]
    return ids, [token if answer else IGNORED for token, answer in zip(ids, answers, strict=True)]


def padded(batch: list[Encoded]) -> tuple["torch.Tensor", "torch.Tensor", "torch.Tensor"]:
    """Ids, attention mask and labels as tensors of shape (rows, longest)."""
    import torch

    longest = max(len(ids) for ids, _ in batch)
    pad = [longest - len(ids) for ids, _ in batch]
    return (
        torch.tensor([ids + [0] * gap for (ids, _), gap in zip(batch, pad, strict=True)]),
        torch.tensor([[1] * len(ids) + [0] * gap for (ids, _), gap in zip(batch, pad, strict=True)]),
        torch.tensor([labels + [IGNORED] * gap for (_, labels), gap in zip(batch, pad, strict=True)]),
    )


def answer_loss(model: "LlamaForCausalLM", ids: "torch.Tensor", mask: "torch.Tensor", labels: "torch.Tensor") -> "torch.Tensor":
    """Mean cross-entropy of the answers, against `RIVALS` random tokens instead of all 32,000: the output layer costs little then."""
    import torch

    hidden = model.model(input_ids=ids, attention_mask=mask, use_cache=False).last_hidden_state[:, :-1]
    wanted = labels[:, 1:]
    answers = wanted != IGNORED
    tokens, index = torch.unique(wanted[answers], return_inverse=True)
    rivals = torch.randperm(VOCABULARY)[:RIVALS]
    candidates = torch.cat([tokens, rivals[~torch.isin(rivals, tokens)]])
    logits = torch.nn.functional.linear(hidden[answers], model.lm_head.weight[candidates])
    return torch.nn.functional.cross_entropy(logits.float(), index)
