"""How a model in Hugging Face layout becomes a GGUF: names, order of rows, metadata, vocabulary. llama.cpp's converter decides all of it.

The converter is asked with row numbers instead of weights: what it makes of them shows where each row goes, so the weights themselves need
not pass through it. That holds for architectures whose tensors map one to one; it was compared for those that `weights` lets through.
"""

import json
import tempfile
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

from regimen.spec.artifacts import Lineage
from regimen_trainer.conversion import llama_cpp
from regimen_trainer.conversion.spaces import space_prefix
from regimen_trainer.conversion.weights import Stored, model_files, stored_tensors
from regimen_trainer.errors import InputError, ToolError
from regimen_trainer.weights import CONFIG, check_config, read_config

if TYPE_CHECKING:
    import torch

OWN_KEYS = "regimen."


@dataclass(frozen=True)
class About:
    """What the file says of itself."""

    model: str
    version: str | None = None
    lineage: Lineage = field(default_factory=Lineage)
    adapter_digest: str | None = None


@dataclass(frozen=True)
class Target:
    """A tensor of the GGUF: a tensor of the base with its rows in `order` (None: as they are), or `values` that the converter computed."""

    name: str
    shape: tuple[int, ...]
    full: bool
    """Kept in 32 bit whatever the quantization: norms, biases, vectors."""
    source: str | None = None
    stored: Stored | None = None
    order: "torch.Tensor | None" = None
    values: "torch.Tensor | None" = None


@dataclass(frozen=True)
class Layout:
    """Everything of a GGUF but the weights. `metadata` are gguf's own values by key, for a file of 16-bit weights."""

    architecture: str
    targets: list[Target]
    metadata: Mapping[str, Any]


def layout_of(base: Path, about: About) -> Layout:
    """Ask the converter. Raises InputError for a model that it, or this pass, does not convert; ToolError where it is missing."""
    check_base(base)
    llama_cpp.use()
    import gguf
    import torch

    stored = stored_tensors(model_files(base))
    with tempfile.TemporaryDirectory() as scratch, torch.inference_mode():
        override = Path(scratch) / "metadata.json"
        override.write_text(json.dumps(general_metadata(about)))
        try:
            converter = _converter(base, override)
            targets = sorted(_targets(converter, stored), key=_place)
            for target in targets:
                converter.gguf_writer.add_tensor_info(target.name, target.shape, None, 0, raw_dtype=gguf.GGMLQuantizationType.F16)
            converter.prepare_metadata(vocab_only=False)
        except (ValueError, KeyError, FileNotFoundError, NotImplementedError) as error:
            raise InputError(f"llama.cpp's converter refuses {base.name}: {str(error).splitlines()[0][:200]}") from error
        return Layout(converter.gguf_writer.arch, targets, all_metadata(converter.gguf_writer, base, about))


def all_metadata(writer: Any, base: Path, about: About) -> dict[str, Any]:
    """What the converter found, our own keys, and a setting of the tokenizer that it cannot know."""
    import gguf

    metadata, strings = dict(writer.kv_data[0]), gguf.GGUFValueType.STRING
    metadata |= {f"{OWN_KEYS}{key}": gguf.gguf_writer.GGUFValue(value, strings) for key, value in own_metadata(about).items()}
    if metadata[gguf.Keys.Tokenizer.MODEL].value == "llama" and (spaced := space_prefix(base)) is not None:  # SentencePiece
        metadata[gguf.Keys.Tokenizer.ADD_PREFIX] = gguf.gguf_writer.GGUFValue(spaced, gguf.GGUFValueType.BOOL)
    return metadata


def check_base(base: Path) -> None:
    """Raise InputError unless config.json says 16-bit weights of an architecture for which conversion was proven."""
    try:
        config = read_config(lambda name: (base / name).read_bytes())
    except OSError as error:
        raise InputError(f"{base.name} holds no readable {CONFIG}; name a folder in Hugging Face layout") from error
    check_config(config, {})


def general_metadata(about: About) -> dict[str, Any]:
    """The standard keys; what is not said here comes from the base's card (licence, languages) and configuration."""
    lineage = about.lineage
    said = {
        "general.name": about.model,
        "general.basename": about.model,
        "general.version": about.version,
        "general.finetune": lineage.task,
        "general.base_models": _named(lineage.base_ref, lineage.base_digest),
        "general.datasets": _named(lineage.dataset, lineage.dataset_revision),
    }
    return {key: value for key, value in said.items() if value is not None}


def _named(name: str | None, version: str | None) -> list[dict[str, str]] | None:
    return [{"name": name, **({"version": version} if version else {})}] if name else None


def own_metadata(about: About) -> dict[str, str]:
    """Lineage for which there is no standard key, `regimen.<key>`."""
    lineage = about.lineage
    said = {
        "base_digest": lineage.base_digest,
        "dataset_revision": lineage.dataset_revision,
        "task": lineage.task,
        "fine_tune_job": lineage.fine_tune_job,
        "adapter_digest": about.adapter_digest,
    }
    return {key: value for key, value in said.items() if value}


def _converter(base: Path, override: Path) -> Any:
    import gguf
    from conversion import ModelBase, ModelType, get_model_architecture, get_model_class

    architecture = get_model_architecture(ModelBase.load_hparams(base, False), ModelType.TEXT)
    return get_model_class(architecture)(base, gguf.LlamaFileType.MOSTLY_F16, base / "unused.gguf", metadata_override=override)


def _targets(converter: Any, stored: Mapping[str, Stored]) -> list[Target]:
    """Every tensor of the GGUF."""
    sources = {kept[0]: name for name in stored if (kept := converter.filter_tensors((name, None))) is not None}
    found = []
    for name, values in converter.generate_extra_tensors():
        (new_name, made), *_ = converter.modify_tensors(values, name, None)
        found.append(Target(new_name, tuple(made.shape), full=True, values=made))
    for name in converter.model_tensors:
        if not name.endswith((".attention.masked_bias", ".attention.bias", ".rotary_emb.inv_freq")):
            found.append(_placed(converter, name, sources[name], stored[sources[name]]))
    return found


def _placed(converter: Any, name: str, source: str, stored: Stored) -> Target:
    """A tensor under its new name, rows where the converter puts them."""
    import torch

    numbers = torch.arange(stored.rows).reshape(-1, *[1] * (len(stored.shape) - 1))
    block = next((int(part) for part in name.split(".") if part.isdecimal()), None)
    made = list(converter.modify_tensors(numbers, name, block))
    if len(made) != 1 or made[0][1].shape != numbers.shape or not torch.equal(made[0][1].sort(0).values, numbers):
        raise ToolError(f"llama.cpp's converter makes more of {name} than another order of its rows; this pass cannot")
    new_name, order = made[0][0], made[0][1].flatten()
    full = len(stored.shape) == 1 or new_name.endswith("_norm.weight") or not new_name.endswith(".weight")
    return Target(new_name, stored.shape, full, source, stored, None if torch.equal(order, numbers.flatten()) else order)


def _place(target: Target) -> tuple[int, str]:
    """Order of the file: what belongs to no layer, then layer by layer, by name; llama-quantize's own."""
    parts = target.name.split(".")
    return (int(parts[1]) if parts[0] == "blk" else -1, target.name)
