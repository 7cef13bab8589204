"""Trains an adapter: TRL's SFTTrainer with LoRA on frozen base weights, loss on the answers only.

It knows the base's weights and the training file; nothing of GGUF, serving or clusters. Reads top to bottom: fetch, load, train, upload.
"""

import json
import math
import os
import time
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime
from hashlib import sha256
from pathlib import Path
from typing import Any

from regimen.spec.artifacts import Progress
from regimen.spec.finetune import Method
from regimen.spec.tasks import TrainTask
from regimen.store import Store
from regimen_trainer.errors import InputError, NonFiniteLossError
from regimen_trainer.logs import log
from regimen_trainer.stage import StageRun, fetch_model, libraries

NON_FINITE_LIMIT = 3
MICRO_BATCH = {"cuda": 4, "cpu": 16}
WARMUP_SHARE = 0.05
PROBE = [{"role": "system", "content": "Probe."}, {"role": "user", "content": "One two three.\nFour"}]
"""A conversation without content, to compare the tokens that training saw with those that the served template makes."""


@dataclass
class Course:
    """How training went, as the callback sees it."""

    run: StageRun
    started: float = field(default_factory=time.monotonic)
    losses: list[tuple[int, float]] = field(default_factory=list)
    non_finite: int = 0
    tokens: int = 0

    @property
    def tokens_per_second(self) -> float:
        return self.tokens / max(1e-9, time.monotonic() - self.started)

    def logged(self, step: int, total: int, logs: Mapping[str, float]) -> None:
        """Take in a log line of the trainer. Raises NonFiniteLossError at the third loss in a row that is not finite."""
        if "loss" not in logs:
            return
        loss, self.tokens = float(logs["loss"]), int(logs.get("num_tokens", self.tokens))
        self.non_finite = 0 if math.isfinite(loss) else self.non_finite + 1
        if self.non_finite >= NON_FINITE_LIMIT:
            raise NonFiniteLossError(f"method.learningRate: the loss was not finite {NON_FINITE_LIMIT} times running; lower the rate")
        if math.isfinite(loss):
            self.losses.append((step, loss))
        elapsed = time.monotonic() - self.started
        self.run.progress(
            Progress(
                step=step,
                total_steps=total,
                loss=self.losses[-1][1] if self.losses else None,
                tokens_per_second=self.tokens_per_second,
                eta_seconds=elapsed / max(1, step) * (total - step),
                message="training",
                at=datetime.now(UTC),
            ),
            force=step >= total,
        )


def run(task: TrainTask, store: Store, scratch: Path) -> None:
    """Train and publish the adapter, unless that is done already. Raises InputError, NonFiniteLossError."""
    stage = StageRun(store, task, "adapter")
    if stage.is_done():
        log("done already", stage="adapter")
        return
    began = time.monotonic()
    stage.say("fetching base model")
    base = fetch_model(store, task.base_uri, scratch / "base", task.base_digest)
    store.download(task.train_uri, scratch / "train.jsonl")
    stage.say("loading libraries")
    set_threads()
    trainer, course, lengths = build(task.method, base, scratch, stage)
    course.started = time.monotonic()
    trainer.train()
    seconds = time.monotonic() - course.started
    folder = scratch / "adapter"
    names = save(trainer, course, folder)
    files = stage.upload(folder, names)
    stage.finish(
        files, {**figures(trainer, course, lengths), "trainSeconds": round(seconds, 1), "seconds": round(time.monotonic() - began, 1)}
    )


def score_answers_only() -> None:
    """Let TRL send only answers through the output layer on a CPU too.

    TRL does so where Triton is; elsewhere it scores every position, because some accelerators recompile for each new shape. A CPU
    does not, and with a short answer after a long prompt this is nine tenths of a step (TRL 1.16, trl/trainer/utils.py).
    """
    from trl.trainer import utils

    if hasattr(utils, "_use_triton"):
        utils._use_triton = lambda _device: True
    else:
        log("TRL scores every position on this device: training is slower", level="warning")


def set_threads() -> None:
    """One thread per CPU that the pod may use: the kernel shows the node's count, which oversubscribes a limited pod."""
    import torch

    torch.set_num_threads(cpu_limit())


def cpu_limit(cgroup: Path = Path("/sys/fs/cgroup")) -> int:
    """CPUs of the pod's limit (cgroup v2 or v1), rounded up; else of the process's affinity."""
    available = len(os.sched_getaffinity(0))
    for quota, period in (("cpu.max", None), ("cpu/cpu.cfs_quota_us", "cpu/cpu.cfs_period_us")):
        try:
            words = (cgroup / quota).read_text().split() + ((cgroup / period).read_text().split() if period else [])
        except OSError:
            continue
        if words[0] not in {"max", "-1"}:
            return max(1, min(available, math.ceil(int(words[0]) / int(words[1]))))
    return available


def build(method: Method, base: Path, scratch: Path, stage: StageRun) -> tuple[Any, Course, dict[str, float]]:
    """The trainer, what watches it, and length statistics of the rows in tokens. Raises InputError for rows that do not fit."""
    import torch
    from datasets import Dataset, disable_progress_bars
    from peft import LoraConfig
    from transformers import AutoModelForCausalLM, AutoTokenizer, PrinterCallback
    from transformers.utils.logging import disable_progress_bar
    from trl import SFTTrainer

    disable_progress_bar()
    disable_progress_bars()
    torch.manual_seed(method.seed)
    tokenizer = AutoTokenizer.from_pretrained(base, trust_remote_code=False)
    if tokenizer.chat_template is None:
        raise InputError("baseRef: the base model's tokenizer has no chat template; add one, training and serving must agree on it")
    tokenizer.pad_token = tokenizer.pad_token or tokenizer.eos_token
    on_gpu = torch.cuda.is_available()
    if not on_gpu:
        score_answers_only()
    model = AutoModelForCausalLM.from_pretrained(
        base,
        trust_remote_code=False,
        use_safetensors=True,
        dtype=torch.bfloat16 if on_gpu else torch.float32,
        device_map={"": 0} if on_gpu else None,
    )
    records = read(scratch / "train.jsonl")
    lengths = length_statistics(tokenizer, records, method.max_length)
    course = Course(stage)
    lora = LoraConfig(
        r=method.rank,
        lora_alpha=method.alpha,
        lora_dropout=method.dropout,
        bias="none",
        task_type="CAUSAL_LM",
        target_modules=method.target_modules[0] if method.target_modules == ["all-linear"] else method.target_modules,
    )
    trainer = SFTTrainer(
        model=model,
        args=arguments(method, scratch, on_gpu),
        train_dataset=Dataset.from_list(records),
        processing_class=tokenizer,
        peft_config=lora,
        callbacks=[watcher(course)],
    )
    trainer.remove_callback(PrinterCallback)
    return trainer, course, lengths


def arguments(method: Method, scratch: Path, on_gpu: bool) -> Any:
    """The method as TRL's configuration. The effective batch is reached by accumulation where it exceeds what the device holds."""
    from trl import SFTConfig

    from regimen_trainer.generator.base_model import has_bfloat16

    micro = math.gcd(method.batch_size, MICRO_BATCH["cuda" if on_gpu else "cpu"])
    return SFTConfig(
        output_dir=str(scratch / "run"),
        per_device_train_batch_size=micro,
        gradient_accumulation_steps=method.batch_size // micro,
        num_train_epochs=method.epochs,
        learning_rate=method.learning_rate,
        lr_scheduler_type="linear",
        warmup_steps=WARMUP_SHARE,
        max_length=method.max_length,
        completion_only_loss=True,
        packing=False,
        seed=method.seed,
        data_seed=method.seed,
        bf16=on_gpu or has_bfloat16(),
        use_cpu=not on_gpu,
        gradient_checkpointing=on_gpu,
        max_grad_norm=1.0,
        weight_decay=0.0,
        logging_steps=1,
        logging_nan_inf_filter=False,
        save_strategy="no",
        report_to="none",
        disable_tqdm=True,
        dataloader_num_workers=0,
        dataloader_pin_memory=on_gpu,
    )


def read(path: Path) -> list[dict[str, Any]]:
    """Prompt and completion of every row. Raises InputError for an empty file or a row that is not in the expected form."""
    rows = []
    with path.open(encoding="utf-8") as file:
        for number, line in enumerate(file, start=1):
            try:
                row = json.loads(line)
                rows.append({"prompt": row["prompt"], "completion": row["completion"]})
            except (ValueError, KeyError, TypeError) as error:
                raise InputError(
                    f"datasetRef: line {number} of the training file has no prompt and completion; prepare it again"
                ) from error
    if not rows:
        raise InputError("datasetRef: the training file is empty; check the dataset's labels and split")
    return rows


def length_statistics(tokenizer: Any, records: list[dict[str, Any]], max_length: int) -> dict[str, float]:
    """Tokens per row (median, 95th percentile, longest) and the percentage of rows cut at `max_length`."""
    texts = [tokenizer.apply_chat_template(row["prompt"] + row["completion"], tokenize=False) for row in records]
    counts = sorted(len(ids) for ids in tokenizer(texts, add_special_tokens=False)["input_ids"])
    cut = sum(count > max_length for count in counts)
    if cut == len(counts):
        raise InputError(
            f"method.maxLength: every row is longer than {max_length} tokens, so no answer would be seen; raise it to {counts[-1]}"
        )
    return {
        "rows": len(counts),
        "tokensP50": counts[len(counts) // 2],
        "tokensP95": counts[int(0.95 * (len(counts) - 1))],
        "tokensMax": counts[-1],
        "truncatedPercent": round(100 * cut / len(counts), 3),
    }


def watcher(course: Course) -> Any:
    """A callback of transformers that hands log lines to `course`."""
    from transformers import TrainerCallback

    class Watcher(TrainerCallback):  # type: ignore[misc]
        def on_log(self, _args: Any, state: Any, _control: Any, logs: Mapping[str, float] | None = None, **_: Any) -> None:
            course.logged(state.global_step, state.max_steps, logs or {})

    return Watcher()


def save(trainer: Any, course: Course, folder: Path) -> list[str]:
    """Write the adapter (safetensors), its configuration and the loss curve; returns the file names."""
    trainer.model.save_pretrained(folder, safe_serialization=True)
    curve = [{"step": step, "loss": round(loss, 6)} for step, loss in course.losses]
    (folder / "loss.json").write_text(json.dumps(curve))
    return ["adapter_config.json", "adapter_model.safetensors", "loss.json"]


def figures(trainer: Any, course: Course, lengths: dict[str, float]) -> dict[str, float | int | str | None]:
    """Numbers of the record."""
    last = [loss for _, loss in course.losses[-10:]]
    return {
        **lengths,
        "steps": trainer.state.global_step,
        "finalLoss": round(sum(last) / len(last), 5) if last else None,
        "tokensPerSecond": round(course.tokens_per_second, 1),
        "probeTokens": probe_digest(trainer.processing_class),
        **libraries("torch", "transformers", "trl", "peft", "accelerate", "datasets"),
    }


def probe_digest(tokenizer: Any) -> str:
    """Digest of the token ids of PROBE as training would see it."""
    text = tokenizer.apply_chat_template(PROBE, add_generation_prompt=True, tokenize=False)
    return digest_of_ids(tokenizer(text, add_special_tokens=False)["input_ids"])


def digest_of_ids(ids: list[int]) -> str:
    return sha256(" ".join(map(str, ids)).encode()).hexdigest()[:16]
