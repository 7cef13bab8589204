"""Two ways to begin: prove in two minutes that everything needed is there and works together, and fine-tune all models in one go.

The proof is a small model's whole life on this machine: made-up claims, LoRA and QLoRA, merge, GGUF, an answer from the engine. What it
learns does not matter; each step uses what a real one uses, through the same functions.
"""

import math
import shutil
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory

from regimen.spec.finetune import Method
from regimen.spec.meta import Quantization
from regimen_trainer.errors import InputError, ToolError, TrainerError

Say = Callable[[str], None]
INTERVAL = 900.0
"""Seconds between checkpoints."""


@dataclass(frozen=True)
class Model:
    """One of the business's models: its base's folder, its training file, and what becomes of it."""

    name: str
    base: str
    dataset: str
    quantization: Quantization


MODELS = (
    Model("bimedix", "BiMediX2-8B", "bimedix_medical_analysis_train.jsonl", "Q6_K"),
    Model("openins", "openinsurancellm-llama3-8b", "openins_adjudication_train.jsonl", "Q5_K_M"),
    Model("biomistral", "BioMistral-7B", "scribe_clinical_docs_train.jsonl", "Q8_0"),
)


def quickstart(models: Path, data: Path, out: Path, version: str, method: Method, names: list[str], say: Say) -> list[Path]:
    """Fine-tune and convert each model whose name is given; what is done already is left alone. Returns the GGUF files.

    Raises InputError before anything is trained where a base or a training file is missing.
    """
    chosen = [model for model in MODELS if model.name in names]
    lacking = [
        f"{path} is missing; {remedy}"
        for model in chosen
        for path, remedy in (
            (models / model.base, "run regimen download_base_models"),
            (data / model.dataset, "run regimen prepare_data"),
        )
        if not path.exists()
    ]
    if lacking:
        raise InputError("; ".join(lacking))
    return [_one(model, models / model.base, data / model.dataset, out, version, method, say) for model in chosen]


def _one(model: Model, base: Path, dataset: Path, out: Path, version: str, method: Method, say: Say) -> Path:
    from regimen_trainer.training.desk import Request, finetune

    stem = f"{model.name}-{version}"
    gguf = out / "merged" / f"{stem}-{model.quantization}.gguf"
    if gguf.exists():
        say(f"{gguf}: there already")
        return gguf
    say(f"{model.name}: training on {dataset.name}")
    adapter = finetune(Request(base, dataset, out / stem, method, INTERVAL))
    say(f"{model.name}: merging and converting")
    return _converted(base, adapter, gguf, model.name, version, model.quantization)


def _converted(base: Path, adapter: Path, gguf: Path, name: str, version: str, quantization: Quantization) -> Path:
    from regimen.spec.artifacts import Lineage
    from regimen_trainer.conversion import About, write_ggufs
    from regimen_trainer.train import cpu_limit

    gguf.parent.mkdir(parents=True, exist_ok=True)
    write_ggufs(base, adapter, {quantization: gguf}, About(name, version, Lineage(base_ref=base.name)), cpu_limit())
    return gguf


def smoke_test(say: Say) -> None:
    """Prove the set-up. Raises TrainerError naming the step that failed."""
    with TemporaryDirectory(prefix="regimen-smoke-") as name:
        folder = Path(name)
        for title, step in STEPS:
            began = time.monotonic()
            try:
                found = step(folder)
            except TrainerError as error:
                raise ToolError(f"{title}: {error}") from error
            say(f"ok  {title}: {found} ({time.monotonic() - began:.1f} s)")


def _machine(_folder: Path) -> str:
    import torch

    for tool in ("llama-server", "llama-quantize"):
        if shutil.which(tool) is None:
            raise InputError(f"{tool} is not on the PATH; install llama.cpp, or run this in the trainer image")
    if not torch.cuda.is_available():
        return f"torch {torch.__version__} sees no GPU; training runs on the CPU, for small models only"
    card = torch.cuda.get_device_properties(0)
    kind = "bfloat16" if torch.cuda.is_bf16_supported() else "float16 only"
    return f"{card.name}, {card.total_memory / 2**30:.0f} GiB, {kind}; torch {torch.__version__}"


def _data(folder: Path) -> str:
    from regimen_trainer.data.local import Request, default_spec, prepare_local
    from regimen_trainer.generator.write import write_all

    claims_csv, *_ = write_all(folder / "raw", 300, 0, seed=1)
    spec = default_spec(["claims"], {}, ["patient_name", "member_id"])
    outcome = prepare_local(Request({"claims": [claims_csv]}, folder / "data", folder / "memory", True, spec, workers=1))
    return f"{outcome.used} of {outcome.read} claims prepared"


def _base(folder: Path) -> str:
    from regimen_trainer.generator import base_model
    from regimen_trainer.train import set_threads

    set_threads()
    base_model.make(folder / "base", 1, (base_model.Phase(4, 8, True, 0.6),))
    return "a small Llama with a real tokenizer"


def _trained(method: Method, name: str) -> Callable[[Path], str]:
    def train(folder: Path) -> str:
        import json

        from regimen_trainer.training.desk import Request, finetune

        made = finetune(Request(folder / "base", folder / "data/openins_adjudication_train.jsonl", folder / name, method, INTERVAL))
        losses = [point["loss"] for point in json.loads((made / "loss.json").read_text())]
        if not losses or not math.isfinite(losses[-1]) or losses[-1] >= losses[0]:
            raise ToolError(f"the loss went from {losses[:1]} to {losses[-1:]}; torch, transformers and peft do not fit together here")
        return f"loss {losses[0]:.2f} → {losses[-1]:.2f} in {len(losses)} steps"

    return train


def _gguf(folder: Path) -> str:
    path = _converted(folder / "base", folder / "lora", folder / "merged/smoke-v1.0-Q6_K.gguf", "smoke", "v1.0", "Q6_K")
    return f"{path.name}, {path.stat().st_size / 1e6:.1f} MB"


def _served(folder: Path) -> str:
    from regimen_trainer.engine import serving
    from regimen_trainer.tasks import Message
    from regimen_trainer.train import cpu_limit

    question = [Message(role="user", content="Adjudicate the claim. Answer APPROVED or DENIED.")]
    with serving(folder / "merged/smoke-v1.0-Q6_K.gguf", 1, 512, cpu_limit(), folder / "server.log") as engine:
        engine.answer(question, 4)
    return "llama-server loaded the file and answered"


FEW: Method = Method(epochs=0.4, batch_size=16, learning_rate=5e-3, max_length=512)
STEPS: tuple[tuple[str, Callable[[Path], str]], ...] = (
    ("machine", _machine),
    ("data", _data),
    ("base model", _base),
    ("LoRA", _trained(FEW, "lora")),
    ("QLoRA", _trained(FEW.model_copy(update={"type": "QLoRA"}), "qlora")),
    ("merge and convert", _gguf),
    ("serve", _served),
)
