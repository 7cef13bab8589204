"""The base model in 16 or 4 bit, its adapters, and the optimiser that its card has room for."""

import json
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import torch
from peft import LoraConfig, get_peft_model
from transformers import AutoModelForCausalLM, AutoTokenizer, BitsAndBytesConfig
from transformers.utils.logging import disable_progress_bar

from regimen.spec.artifacts import ModelShape
from regimen.spec.finetune import Method
from regimen_trainer.errors import InputError
from regimen_trainer.generator.base_model import has_bfloat16
from regimen_trainer.training.batches import ROW_BY_ROW

AMPERE = (8, 0)
"""First compute capability that multiplies bfloat16 in hardware."""
SMALL_CARD = 16 * 2**30
"""On cards with less memory the optimiser's moments are kept in 8 bit, in pages that may move to main memory."""


def device() -> str:
    """cuda or cpu."""
    return "cuda" if torch.cuda.is_available() else "cpu"


def multiplies_bfloat16() -> bool:
    """Whether this device has bfloat16 in hardware."""
    return torch.cuda.get_device_capability() >= AMPERE if device() == "cuda" else has_bfloat16()


def memory_bytes(cgroup: Path = Path("/sys/fs/cgroup")) -> int:
    """Memory of the card; else that of the pod's limit (cgroup v2 or v1) or of the machine, whichever is less."""
    if device() == "cuda":
        return int(torch.cuda.mem_get_info()[1])
    found = [int(line.split()[1]) * 1024 for line in Path("/proc/meminfo").read_text().splitlines() if line.startswith("MemTotal")]
    for name in ("memory.max", "memory/memory.limit_in_bytes"):
        try:
            found.append(int((cgroup / name).read_text()))
        except (OSError, ValueError):  # no such file, or "max"
            continue
    return min(found)


def load_tokenizer(base: Path) -> Any:
    """The base's tokenizer. Raises InputError where it has no chat template."""
    tokenizer = AutoTokenizer.from_pretrained(base, trust_remote_code=False)
    if tokenizer.chat_template is None:
        raise InputError("baseRef: the base model's tokenizer has no chat template; add one, training and serving must agree on it")
    tokenizer.pad_token = tokenizer.pad_token or tokenizer.eos_token
    return tokenizer


def load_base(method: Method, base: Path) -> Any:
    """The base's weights on the device: 16 bit on a card and 32 on a CPU, or NF4 with quantized scales (QLoRA). Raises InputError."""
    if method.type == "QLoRA" and find_spec("bitsandbytes") is None:
        raise InputError("method.type: QLoRA needs the package bitsandbytes; install it, or train with LoRA")
    disable_progress_bar()
    on_card = device() == "cuda"
    dtype = torch.bfloat16 if multiplies_bfloat16() and (on_card or method.type == "QLoRA") else torch.float32
    quantization = BitsAndBytesConfig(
        load_in_4bit=True, bnb_4bit_quant_type="nf4", bnb_4bit_use_double_quant=True, bnb_4bit_compute_dtype=dtype
    )
    return AutoModelForCausalLM.from_pretrained(
        base,
        trust_remote_code=False,
        use_safetensors=True,
        dtype=dtype,
        device_map={"": 0 if on_card else "cpu"},
        attn_implementation=ROW_BY_ROW if method.packing else "sdpa",
        quantization_config=quantization if method.type == "QLoRA" else None,
    )


def with_adapters(model: Any, method: Method) -> Any:
    """The model with fresh adapters, always the same ones for a seed."""
    torch.manual_seed(method.seed)
    targets = method.target_modules[0] if method.target_modules == ["all-linear"] else method.target_modules
    config = LoraConfig(
        r=method.rank, lora_alpha=method.alpha, lora_dropout=method.dropout, bias="none", task_type="CAUSAL_LM", target_modules=targets
    )
    return get_peft_model(model, config)


def keep_adapters_in_32_bit(model: Any) -> None:
    """Undo TRL's rounding of QLoRA's adapters to bfloat16: late in training an update is smaller than what that can tell apart."""
    for parameter in model.parameters():
        if parameter.requires_grad:
            parameter.data = parameter.data.float()


def optimizer_name() -> str:
    """Which of transformers' optimisers this device has room for."""
    if device() == "cpu":
        return "adamw_torch"
    return "paged_adamw_8bit" if memory_bytes() < SMALL_CARD else "adamw_torch_fused"


def compute_activations_again(model: Any) -> None:
    """Switch activation checkpointing on."""
    enable = getattr(model, "activation_checkpointing_enable", None) or model.gradient_checkpointing_enable
    enable()
    # The base is frozen: without this the first checkpointed layer has no input that asks for a gradient.
    model.enable_input_require_grads()


def shape_of(model: Any, base: Path) -> ModelShape | None:
    """The base's shape, for the estimate of memory; None where its config.json has other words than Llama's."""
    config = json.loads((base / "config.json").read_text())
    if not {"num_attention_heads", "hidden_size", "num_hidden_layers", "intermediate_size", "vocab_size"} <= config.keys():
        return None
    heads, hidden = int(config["num_attention_heads"]), int(config["hidden_size"])
    return ModelShape(
        architecture=(config.get("architectures") or ["unknown"])[0],
        parameters=model.num_parameters(),
        layers=config["num_hidden_layers"],
        hidden_size=hidden,
        intermediate_size=config["intermediate_size"],
        vocabulary=config["vocab_size"],
        heads=heads,
        kv_heads=config.get("num_key_value_heads") or heads,
        head_dim=config.get("head_dim") or hidden // heads,
        tied=config.get("tie_word_embeddings", False),
    )


def peak_bytes() -> int:
    """The most memory that was in use: of the card, else of this process."""
    if device() == "cuda":
        return int(torch.cuda.max_memory_reserved())
    import resource

    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024
