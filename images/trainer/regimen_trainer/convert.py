"""Merges the adapter into the base's 16-bit weights and writes the GGUF files that will be served.

Merging is into 16-bit weights, never into 4-bit ones, and always from the base: adapters do not stack on merged weights.
"""

import time
from datetime import UTC, datetime
from pathlib import Path

from regimen.spec.artifacts import Progress, StageRecord
from regimen.spec.tasks import ConvertTask
from regimen.store import Store
from regimen_trainer import gguf
from regimen_trainer.logs import log
from regimen_trainer.stage import StageRun, fetch_model, libraries
from regimen_trainer.train import cpu_limit


def run(task: ConvertTask, store: Store, scratch: Path) -> None:
    """Make one GGUF for each quantization and publish them, unless that is done already. Raises InputError, ToolError."""
    stage = StageRun(store, task, "gguf")
    if stage.is_done():
        log("done already", stage="gguf")
        return
    began = time.monotonic()
    stage.say("fetching base model and adapter")
    adapter = fetch_adapter(store, stage.record_of("adapter"), scratch / "adapter")
    base = fetch_model(store, task.base_uri, scratch / "base", task.base_digest)
    stage.say("merging")
    merged = merge(base, adapter, scratch / "merged")
    names = write_ggufs(task, stage, merged, scratch / "gguf")
    files = stage.upload(scratch / "gguf", names)
    stage.finish(files, {"seconds": round(time.monotonic() - began, 1), **libraries("torch", "transformers", "peft", "gguf")})


def fetch_adapter(store: Store, record: StageRecord, folder: Path) -> Path:
    """Download the adapter, each file checked against its digest."""
    for file in record.files:
        store.download(file.uri, folder / file.path, file.sha256)
    return folder


def merge(base: Path, adapter: Path, out: Path) -> Path:
    """Write base + adapter as 16-bit safetensors, tokenizer files beside them. The sum is made in 32 bit and rounded once."""
    import torch
    from peft import PeftModel
    from transformers import AutoModelForCausalLM

    torch.set_num_threads(cpu_limit())
    model = AutoModelForCausalLM.from_pretrained(base, trust_remote_code=False, use_safetensors=True, dtype=torch.float32)
    kept = model.config.dtype if hasattr(model.config, "dtype") else torch.bfloat16
    merged = PeftModel.from_pretrained(model, adapter, use_safetensors=True).merge_and_unload(safe_merge=True)
    merged.to(torch.float16 if kept == torch.float16 else torch.bfloat16).save_pretrained(out, safe_serialization=True)
    copy_tokenizer(base, out)
    return out


def copy_tokenizer(base: Path, out: Path) -> None:
    """Copy what is not weights: tokenizer, chat template, generation settings."""
    for path in base.iterdir():
        if path.is_file() and path.suffix != ".safetensors" and not (out / path.name).exists() and not path.name.endswith(".index.json"):
            (out / path.name).write_bytes(path.read_bytes())


def write_ggufs(task: ConvertTask, stage: StageRun, merged: Path, folder: Path) -> list[str]:
    """Write `<model>-<version>-<quantization>.gguf` for each quantization; returns their names."""
    folder.mkdir(parents=True, exist_ok=True)
    tool_log = folder.parent / "tools.log"
    stage.say("converting")
    whole = gguf.convert(merged, task.model, task.version, folder / "whole.gguf", tool_log)
    names = []
    for index, quantization in enumerate(task.quantizations):
        stage.progress(
            Progress(step=index, total_steps=len(task.quantizations), message=f"writing {quantization}", at=datetime.now(UTC)), force=True
        )
        names.append(f"{task.model}-{task.version}-{quantization}.gguf")
        gguf.quantize(whole, quantization, folder / names[-1], cpu_limit(), tool_log)
    whole.unlink()
    return names
