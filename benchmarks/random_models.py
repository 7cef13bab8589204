"""Models with random weights in Hugging Face layout, with real tokenizers, written shard by shard so that a large one needs no memory.

Tokenizers are Mistral's SentencePiece models from the package mistral-common: version 1 without a beginning-of-sequence token and with the product's
plain chat template (as `regimen generate-model` has it), version 3 as Mistral's instruct models use it.
"""

import json
import shutil
from collections.abc import Iterator
from dataclasses import dataclass
from importlib.util import find_spec
from pathlib import Path
from typing import Any, Literal

import torch
from safetensors.torch import save_file

INSTRUCT = (
    "{{ bos_token }}{% for message in messages %}"
    "{% if message['role'] == 'user' %}{{ '[INST] ' + message['content'] + '[/INST]' }}"
    "{% elif message['role'] == 'system' %}{{ '[INST] ' + message['content'] + '\\n\\n[/INST]' }}"
    "{% else %}{{ ' ' + message['content'] + eos_token }}{% endif %}{% endfor %}"
)
"""In the manner of Mistral's third instruct template: markers that are tokens, a space before content."""


@dataclass(frozen=True)
class Shape:
    """Sizes of a model. Keep them multiples of 256, or K-quants fall back to other types."""

    hidden: int = 256
    intermediate: int = 512
    layers: int = 4
    heads: int = 4
    kv_heads: int = 2
    tied: bool = False
    llama3_rope: bool = False
    vocabulary: int = 0
    """Rows of the embedding, where it should have more than the tokenizer has tokens."""

    @property
    def head(self) -> int:
        return self.hidden // self.heads


TINY = Shape()
LLAMA_1B = Shape(hidden=2048, intermediate=5632, layers=16, heads=32, kv_heads=8)
LLAMA_8B = Shape(hidden=4096, intermediate=14336, layers=32, heads=32, kv_heads=8, vocabulary=128_256)
"""Llama 3 8B's sizes: 8.03 billion weights, 16 GB on the disk."""
SHAPES = {"tiny": TINY, "llama-1b": LLAMA_1B, "llama-8b": LLAMA_8B}


def make_model(folder: Path, architecture: Literal["Llama", "Mistral"], shape: Shape, seed: int = 7, layers_per_shard: int = 2) -> Path:
    """Write weights (bfloat16), config.json and tokenizer; returns the folder."""
    folder.mkdir(parents=True, exist_ok=True)
    tokens = llama_tokenizer(folder) if architecture == "Llama" else mistral_tokenizer(folder)
    vocabulary = max(tokens, shape.vocabulary)
    write_config(folder, architecture, shape, vocabulary)
    generator, weight_map, total = torch.Generator().manual_seed(seed), {}, 0
    for number, names in enumerate(shards(shape, vocabulary, layers_per_shard), start=1):
        tensors = {name: random(size, generator) for name, size in names.items()}
        file = f"model-{number:05d}.safetensors"
        save_file(tensors, folder / file, metadata={"format": "pt"})
        weight_map |= dict.fromkeys(tensors, file)
        total += sum(tensor.nbytes for tensor in tensors.values())
    (folder / "model.safetensors.index.json").write_text(json.dumps({"metadata": {"total_size": total}, "weight_map": weight_map}))
    return folder


def make_adapter(folder: Path, shape: Shape, rank: int = 16, seed: int = 8, **settings: Any) -> Path:
    """Write an all-linear LoRA adapter with random A and B as peft names them; returns the folder."""
    from peft import LoraConfig

    settings = {"lora_alpha": 2 * rank, "target_modules": "all-linear", "task_type": "CAUSAL_LM", **settings}
    LoraConfig(r=rank, **settings).save_pretrained(folder)
    generator, tensors = torch.Generator().manual_seed(seed), {}
    for layer in range(shape.layers):
        for name, (rows, columns) in linear(shape).items():
            prefix = f"base_model.model.model.layers.{layer}.{name}"
            tensors[f"{prefix}.lora_A.weight"] = torch.randn(rank, columns, generator=generator) / rank
            tensors[f"{prefix}.lora_B.weight"] = torch.randn(rows, rank, generator=generator) * 0.01
    save_file(tensors, folder / "adapter_model.safetensors", metadata={"format": "pt"})
    return folder


def random(size: tuple[int, ...], generator: torch.Generator) -> torch.Tensor:
    """Vectors near one (norms), matrices near zero, as trained weights are."""
    values = torch.randn(size, generator=generator) * 0.02
    return (values + 1 if len(size) == 1 else values).to(torch.bfloat16)


def linear(shape: Shape) -> dict[str, tuple[int, int]]:
    """Linear layers of a block: (out, in)."""
    hidden, keys = shape.hidden, shape.kv_heads * shape.head
    return {
        "self_attn.q_proj": (hidden, hidden),
        "self_attn.k_proj": (keys, hidden),
        "self_attn.v_proj": (keys, hidden),
        "self_attn.o_proj": (hidden, hidden),
        "mlp.gate_proj": (shape.intermediate, hidden),
        "mlp.up_proj": (shape.intermediate, hidden),
        "mlp.down_proj": (hidden, shape.intermediate),
    }


def shards(shape: Shape, vocabulary: int, layers_per_shard: int) -> Iterator[dict[str, tuple[int, ...]]]:
    """Shapes by name, a file at a time."""
    outer: dict[str, tuple[int, ...]] = {"model.embed_tokens.weight": (vocabulary, shape.hidden), "model.norm.weight": (shape.hidden,)}
    yield outer if shape.tied else {**outer, "lm_head.weight": (vocabulary, shape.hidden)}
    for first in range(0, shape.layers, layers_per_shard):
        names: dict[str, tuple[int, ...]] = {}
        for layer in range(first, min(first + layers_per_shard, shape.layers)):
            prefix = f"model.layers.{layer}."
            names |= {f"{prefix}{name}.weight": size for name, size in linear(shape).items()}
            names |= {f"{prefix}{norm}.weight": (shape.hidden,) for norm in ("input_layernorm", "post_attention_layernorm")}
        yield names


def write_config(folder: Path, architecture: str, shape: Shape, vocabulary: int) -> None:
    from transformers import LlamaConfig, MistralConfig

    settings: dict[str, Any] = {}
    if shape.llama3_rope:
        settings["rope_parameters"] = {
            "rope_type": "llama3", "rope_theta": 500_000.0, "factor": 8.0, "low_freq_factor": 1.0, "high_freq_factor": 4.0,
            "original_max_position_embeddings": 1024,
        }  # fmt: skip
    kind = LlamaConfig if architecture == "Llama" else MistralConfig
    config = kind(
        vocab_size=vocabulary, hidden_size=shape.hidden, intermediate_size=shape.intermediate, num_hidden_layers=shape.layers,
        num_attention_heads=shape.heads, num_key_value_heads=shape.kv_heads, head_dim=shape.head, max_position_embeddings=4096,
        tie_word_embeddings=shape.tied, bos_token_id=1, eos_token_id=2, architectures=[f"{architecture}ForCausalLM"], dtype="bfloat16", **settings,
    )  # fmt: skip
    config.save_pretrained(folder)


def llama_tokenizer(folder: Path) -> int:
    """The product's own choice for its generated model; returns the number of tokens."""
    from regimen_trainer.generator.base_model import load_tokenizer, state_no_beginning

    tokenizer = load_tokenizer(folder)
    tokenizer.save_pretrained(folder)
    state_no_beginning(folder / "tokenizer_config.json")
    return len(tokenizer)


def mistral_tokenizer(folder: Path) -> int:
    """Mistral's third tokenizer, which begins every text with <s>; returns the number of tokens.

    Put together from the SentencePiece file as transformers would, which needs a library that the image does not have.
    """
    from sentencepiece import SentencePieceProcessor
    from transformers import LlamaTokenizer
    from transformers.convert_slow_tokenizer import generate_merges

    found = find_spec("mistral_common")
    assert found is not None and found.submodule_search_locations
    source = Path(found.submodule_search_locations[0]) / "data" / "mistral_instruct_tokenizer_240323.model.v3"
    shutil.copyfile(source, folder / "tokenizer.model")
    pieces = SentencePieceProcessor(model_file=str(source))
    vocabulary = {pieces.id_to_piece(index): index for index in range(pieces.vocab_size())}
    merges = generate_merges(vocabulary, {piece: pieces.get_score(index) for piece, index in vocabulary.items()})
    tokenizer = LlamaTokenizer(vocab=vocabulary, merges=merges, bos_token="<s>", eos_token="</s>", unk_token="<unk>", add_bos_token=True)
    controls = [piece for piece, index in vocabulary.items() if pieces.is_control(index) and piece not in ("<s>", "</s>")]
    tokenizer.add_special_tokens({"additional_special_tokens": controls})
    tokenizer.chat_template = INSTRUCT
    tokenizer.save_pretrained(folder)
    return len(tokenizer)
