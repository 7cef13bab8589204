"""How much memory of a card training or serving a model takes, before any card is asked: sums over a model's shape.

An estimate from the shapes alone, for decoders of the Llama family (Llama, Mistral). Each term says where it comes from. The terms were
not measured on a card here: `overhead` is the margin for that. Where it is wrong by a little, training halves its micro-batch.

8 B means Llama 3 8B in the examples: 32 layers, hidden 4096, intermediate 14336, 8 key-value heads of 32, vocabulary 128256.
"""

from dataclasses import dataclass, fields, replace
from typing import Final

from pydantic.alias_generators import to_camel

from regimen.spec.artifacts import ModelShape
from regimen.spec.finetune import Method

MIB: Final = 2**20
SIXTEEN_BIT: Final = 2.0
NF4: Final = 4 / 8 + 1 / 64 + 4 / (64 * 256)
"""Bytes of a weight: 4 bit; a scale of 8 bit for 64 weights; a 32-bit scale for 256 of those (QLoRA, Dettmers et al. 2023, section 3)."""
ADAM_STATES: Final = 2 * 4
"""Bytes of a trained weight: two moments in 32 bit. A paged 8-bit optimiser needs a quarter of it."""
LOSS_BYTES: Final = 2 + 4 + 4 + 4
"""Bytes of a logit at the peak: 16 bit, its copy in 32 bit, the log-softmax kept for backward, the gradient. A fused loss needs less."""
RUNTIME: Final = 768 * MIB
"""CUDA context, cuBLAS workspace and what the driver keeps to itself."""
FRAGMENTS: Final = 0.05
"""Share of what comes and goes with each step that the allocator cannot reuse."""
UBATCH: Final = 512
"""Tokens that llama-server computes at once (its default)."""
SHORTEST, LOWEST_RANK = 256, 4
"""How far a hint goes."""


@dataclass(frozen=True)
class TrainingMemory:
    """Bytes on the card at the peak of a step."""

    weights: int
    adapters: int
    gradients: int
    optimizer: int
    activations: int
    logits: int
    overhead: int

    @property
    def total(self) -> int:
        return sum(getattr(self, item.name) for item in fields(self))


@dataclass(frozen=True)
class Fit:
    """Whether training fits a card, how, and what would make it fit."""

    memory: TrainingMemory
    """Of the way that fits, else of the smallest way there is."""
    micro_batch: int
    """Sequences at once."""
    activation_checkpointing: bool
    fits: bool
    hint: str = ""
    """Where it does not fit: the fields to change, and to what; or how large a card must be."""


def linear_layers(shape: ModelShape) -> dict[str, tuple[int, int]]:
    """(inputs, outputs) of the linear layers in one decoder layer, by module name.

    For 8 B: k_proj (4096, 1024), down_proj (14336, 4096), 218 M weights in all.
    """
    hidden, inner = shape.hidden_size, shape.intermediate_size
    query, key = shape.heads * shape.head_dim, shape.kv_heads * shape.head_dim
    return {
        "q_proj": (hidden, query), "k_proj": (hidden, key), "v_proj": (hidden, key), "o_proj": (query, hidden),
        "gate_proj": (hidden, inner), "up_proj": (hidden, inner), "down_proj": (inner, hidden),
    }  # fmt: skip


def adapter_parameters(shape: ModelShape, method: Method) -> int:
    """Weights that are trained: rank x (inputs + outputs) of each module that gets an adapter.

    41.9 M for 8 B with rank 16 on all linear layers. A name that is none of them counts as all of them.
    """
    layers = linear_layers(shape)
    named = set(method.target_modules)
    wanted = [sizes for name, sizes in layers.items() if name in named or not named <= layers.keys()]
    return shape.layers * method.rank * sum(inputs + outputs for inputs, outputs in wanted)


def training_memory(shape: ModelShape, method: Method, micro_batch: int, activation_checkpointing: bool) -> TrainingMemory:
    """Memory at the peak of a step with `micro_batch` sequences of maxLength tokens (packing or not: the longest row decides).

    8 B, maxLength 2048, rank 16, one sequence, with checkpointing, in GB: weights 16.1 (LoRA) or 5.7 (QLoRA), adapters 0.17,
    gradients 0.17, optimiser 0.34, activations 0.91, logits 3.7, overhead 1.0 (LoRA) or 1.2 (QLoRA): in all 22.4 and 12.1.
    Without checkpointing the activations are 12.1.
    """
    trained = adapter_parameters(shape, method)
    tokens = micro_batch * method.max_length
    activations = tokens * _activation_bytes(shape, activation_checkpointing)
    logits = tokens * shape.vocabulary * LOSS_BYTES
    gradients = 4 * trained
    # A 4-bit weight is expanded to 16 bit where it is multiplied: room for the largest.
    expanded = max(inputs * outputs for inputs, outputs in linear_layers(shape).values()) * SIXTEEN_BIT if method.type == "QLoRA" else 0
    return TrainingMemory(
        weights=_weight_bytes(shape, method),
        # peft keeps adapters, and so their gradients, in 32 bit.
        adapters=4 * trained,
        gradients=gradients,
        optimizer=ADAM_STATES * trained,
        activations=activations,
        logits=logits,
        overhead=int(RUNTIME + expanded + FRAGMENTS * (activations + logits + gradients)),
    )


def _weight_bytes(shape: ModelShape, method: Method) -> int:
    """Base weights: 16 bit; under QLoRA the decoder's linear layers in NF4, embedding, output layer and norms still in 16 bit."""
    if method.type == "LoRA":
        return int(SIXTEEN_BIT * shape.parameters)
    linear = shape.layers * sum(inputs * outputs for inputs, outputs in linear_layers(shape).values())
    return int(NF4 * linear + SIXTEEN_BIT * max(0, shape.parameters - linear))


def _activation_bytes(shape: ModelShape, checkpointing: bool) -> int:
    """Bytes a token that backward needs.

    A layer keeps, for each token: two norms' inputs in 32 bit (8 h), their outputs (4 h), the rotated query and the attention's
    output (4 q), key and value (4 k), and four vectors of the MLP: gate, its SiLU, up, their product (8 i). Attention keeps no matrix of
    scores (SDPA or flash kernels). With checkpointing only a layer's input is kept (2 h), and one layer is computed again at a time.
    """
    query, key = shape.heads * shape.head_dim, shape.kv_heads * shape.head_dim
    layer = 12 * shape.hidden_size + 4 * query + 4 * key + 8 * shape.intermediate_size
    return shape.layers * 2 * shape.hidden_size + layer if checkpointing else shape.layers * layer


def fits(shape: ModelShape, method: Method, card_bytes: int) -> Fit:
    """The fastest way to train that fits a card: without checkpointing if it can be, then with as many sequences at once as fit.

    8 B, maxLength 2048: LoRA does not fit 12 GB (QLoRA would), and fits 24 GB with checkpointing; QLoRA fits 12 GB, one sequence at
    a time with checkpointing.
    """
    found = _best(shape, method, card_bytes)
    if found.fits:
        return found
    for change in _changes(method):
        if _best(shape, method.model_copy(update=change), card_bytes).fits:
            return replace(found, hint=f"{' and '.join(f'method.{to_camel(key)} {value}' for key, value in change.items())} would fit")
    least = training_memory(shape, method.model_copy(update={"type": "QLoRA"}), 1, True).total
    hint = f"with method.type QLoRA it takes a card of {_gib(least)} GiB; choose one by placement.nodeSelector, or a smaller base"
    return replace(found, hint=hint)


def _best(shape: ModelShape, method: Method, card_bytes: int) -> Fit:
    for checkpointing in (False, True):
        micro_batch = method.batch_size
        while micro_batch >= 1:
            memory = training_memory(shape, method, micro_batch, checkpointing)
            if memory.total <= card_bytes:
                return Fit(memory, micro_batch, checkpointing, True)
            micro_batch //= 2
    return Fit(training_memory(shape, method, 1, True), 1, True, False)


def _changes(method: Method) -> list[dict[str, object]]:
    """Fields of other ways to train, all with a 4-bit base, the one that changes least of the result first."""
    lengths: list[dict[str, object]] = [{"max_length": value} for value in _halvings(method.max_length, SHORTEST)]
    ranks: list[dict[str, object]] = [{"rank": value} for value in _halvings(method.rank, LOWEST_RANK)]
    smallest = {key: value for change in (*lengths[-1:], *ranks[-1:]) for key, value in change.items()}
    quantized = {} if method.type == "QLoRA" else {"type": "QLoRA"}
    return [{**quantized, **other} for other in ({}, *lengths, *ranks, smallest)]


def _halvings(value: int, least: int) -> list[int]:
    """
    >>> _halvings(2048, 256)
    [1024, 512, 256]
    """
    return [value >> times for times in range(1, value.bit_length()) if value >> times >= least]


def _gib(count: int) -> int:
    return -(-count // (1024 * MIB))


def serving_memory(shape: ModelShape | None, gguf_bytes: int, context_size: int, parallel: int) -> int:
    """Bytes on the card that a replica of llama-server takes: weights, KV cache, compute buffers, CUDA context.

    `context_size` tokens are shared by `parallel` slots, each rounded up to 256. Key and value are kept in 16 bit for every token
    (llama.cpp's default): 8 B takes 128 KiB a token, so a context of 8192 takes 1 GiB. The compute buffer holds the logits and hidden
    states of one batch of 512 tokens in 32 bit: 258.5 MiB for 8 B, with flash attention, which keeps no scores. Where the shape is
    not known, cache and buffers are not counted: it takes more than that.
    """
    if shape is None:
        return gguf_bytes + RUNTIME
    slot = -(-context_size // (parallel * 256)) * 256
    cache = 2 * SIXTEEN_BIT * shape.layers * shape.kv_heads * shape.head_dim * slot * parallel
    compute = 4 * UBATCH * (shape.vocabulary + shape.hidden_size)
    return int(gguf_bytes + cache + compute + RUNTIME)


def training_seconds(shape: ModelShape, tokens: int, flops: float, activation_checkpointing: bool) -> float:
    """Seconds that training on so many tokens takes at best, on a card that does `flops` operations a second in 16 bit.

    A frozen base costs 2 operations a weight and token forward and 2 backward, and 2 more where activations are computed again; the
    embedding is only looked up. 8 B: 45 GFLOP a token, so a card of 71 TFLOPS (RTX 3090) does 1,580 tokens a second, one of 25.6
    (RTX 3060) 570. Real runs reach a share of it.
    """
    multiplied = max(0, shape.parameters - (0 if shape.tied else shape.vocabulary * shape.hidden_size))
    return tokens * (6 if activation_checkpointing else 4) * multiplied / flops
