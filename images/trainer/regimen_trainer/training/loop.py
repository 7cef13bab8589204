"""One step after another: TRL's SFTTrainer computes losses and gradients; which rows, how many at once and until when is said here.

Transformers' loop sees a training of one batch a step, which our trainer computes in as many parts as fit. So a step can be tried
again with less memory, or given up when the card must be returned, and steps before it never change.
"""

import shutil
import time
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from datasets import Dataset
from torch.optim.lr_scheduler import LambdaLR
from torch.utils.data import DataLoader
from transformers import PrinterCallback, TrainerCallback
from trl import SFTConfig, SFTTrainer

from regimen.spec.finetune import Method
from regimen.store import StoreError
from regimen_trainer.errors import TrainerError
from regimen_trainer.logs import log
from regimen_trainer.training import state
from regimen_trainer.training.batches import Batch, packed_batch, padded_batch
from regimen_trainer.training.checkpoints import Checkpoints
from regimen_trainer.training.course import Course
from regimen_trainer.training.memory import AtOnce, within_memory
from regimen_trainer.training.model import compute_activations_again, device, keep_adapters_in_32_bit, multiplies_bfloat16, optimizer_name
from regimen_trainer.training.pace import Pace
from regimen_trainer.training.rows import Row
from regimen_trainer.training.steps import Steps, packed, padded
from regimen_trainer.training.stop import Stop


class StepGivenUp(TrainerError):
    """A step was not finished because the card must be returned. Its gradients are let go; the step before it stands."""


@dataclass
class Training:
    """A training under way."""

    method: Method
    rows: list[Row]
    steps: Steps
    model: Any
    tokenizer: Any
    checkpoints: Checkpoints
    course: Course
    pace: Pace
    stop: Stop
    way: AtOnce
    scratch: Path
    step: int = 0
    """Steps done."""
    kept: int = 0
    """Steps in the newest checkpoint."""

    def __post_init__(self) -> None:
        self.longest = max(len(row) for row in self.rows)
        if self.way.activation_checkpointing:
            compute_activations_again(self.model)
        self.trainer = self._trainer()
        keep_adapters_in_32_bit(self.model)
        create, settings = SFTTrainer.get_optimizer_cls_and_kwargs(self.trainer.args, self.model)
        trained = [parameter for parameter in self.model.parameters() if parameter.requires_grad]
        self.optimizer = create(trained, weight_decay=0.0, **settings)

    def resume(self, folder: Path, step: int) -> None:
        """Go on from a checkpoint's files."""
        self.course.points = state.load(folder, self.model, self.optimizer)
        self.step = self.kept = self.course.checkpoint_step = step
        self.note(f"going on after step {step} of {self.steps.total}")

    def run(self) -> bool:
        """Train to the end. Returns False where it had to stop before; what was done is then in a checkpoint."""
        for group in self.optimizer.param_groups:
            group["initial_lr"] = self.method.learning_rate
        self.trainer.optimizer = self.optimizer
        self.trainer.lr_scheduler = LambdaLR(self.optimizer, self.steps.rate, last_epoch=self.step - 1)
        self.trainer.args.max_steps = max(1, self.steps.total - self.step)
        try:
            if self.step < self.steps.total and not self.must_end():
                self.trainer.train()
        except StepGivenUp:
            self.note(f"step {self.step + 1} given up: the card must be returned")
        if self.step >= self.steps.total:
            return True
        if self.step > self.kept:
            self.keep()
        return False

    def compute(self, rows: list[Row]) -> float:
        """Loss and gradients of a step, in as many parts as fit. Returns the mean loss of its answers' tokens."""
        loss = within_memory(lambda way: self._attempt(rows, way), self.way, self._take_less, self.method, self.longest)
        if not self.course.is_usable(loss):
            self.model.zero_grad(set_to_none=True)  # no gradients: the optimiser leaves everything as it is
        return loss

    def _attempt(self, rows: list[Row], way: AtOnce) -> float:
        # Random numbers (dropout) depend on the step alone, so that a repeated step repeats them.
        torch.manual_seed(self.method.seed * 1_000_003 + self.step)
        batches = self.batches(rows, way)
        answers = torch.tensor(sum(len(row) - max(1, row.answer) for row in rows), device=self.model.device)
        loss = 0.0
        for part, batch in enumerate(batches):
            if part and self.must_end():
                raise StepGivenUp("told to stop within a step")
            loss += self.trainer.part(batch, answers)
        return loss

    def batches(self, rows: list[Row], way: AtOnce) -> list[Batch]:
        """A step's rows as the tensors that are computed at once."""
        lengths = [len(row) for row in rows]
        if self.method.packing:
            return [packed_batch([rows[at] for at in group]) for group in packed(lengths, way.micro_batch * self.longest)]
        return [padded_batch([rows[at] for at in group], self.tokenizer.pad_token_id) for group in padded(lengths, way.micro_batch)]

    def _take_less(self, before: AtOnce, after: AtOnce) -> None:
        self.way = after
        self.model.zero_grad(set_to_none=True)
        if device() == "cuda":
            torch.cuda.empty_cache()
        if after.activation_checkpointing and not before.activation_checkpointing:
            compute_activations_again(self.model)
        self.note(
            f"out of memory at step {self.step + 1} with {before}; going on with {after}, the batch size stays {self.method.batch_size}"
        )

    def must_end(self) -> bool:
        """Whether there is time for no more than a checkpoint."""
        return self.stop.by is not None or self.pace.must_end(time.time())

    def stepped(self, loss: float, tokens: int, seconds: float) -> bool:
        """Take in a step that is done. Returns whether to go on."""
        self.step += 1
        self.pace.stepped(seconds)
        self.course.stepped(self.step, loss, tokens, seconds)
        if self.step >= self.steps.total:
            return False
        if self.stop.by is not None or self.pace.must_end_before_step(time.time()):
            return False
        if self.pace.is_due(time.time()):
            try:
                self.keep()
            except StoreError as error:
                self.pace.failed(time.time())
                self.note(f"no checkpoint kept at step {self.step}: {error}; training goes on, another try follows")
        return True

    def keep(self) -> None:
        """Keep a checkpoint of the step just done: whole on this disk first, then in its place."""
        began = time.time()
        folder = self.scratch / "checkpoint"
        shutil.rmtree(folder, ignore_errors=True)
        folder.mkdir(parents=True)
        state.save(folder, self.model, self.optimizer, self.course.points)
        self.checkpoints.put(folder, self.step, self.steps.total, self.way)
        shutil.rmtree(folder)
        self.pace.kept(began, time.time())
        self.kept = self.course.checkpoint_step = self.step
        self.note(f"checkpoint kept at step {self.step}")

    def note(self, message: str) -> None:
        """Say what happened, beside the numbers of the newest step."""
        self.course.note(self.step, message)

    def _trainer(self) -> Any:
        if device() == "cpu":
            score_answers_only()
        # TRL looks at one row to see what kind of data it has; the steps come from our own loader.
        sample = Dataset.from_dict({"input_ids": [self.rows[0].ids.tolist()]})
        settings = arguments(self.scratch)
        settings.learning_rate = self.method.learning_rate
        trainer = StepTrainer(
            model=self.model, args=settings, train_dataset=sample, processing_class=self.tokenizer, callbacks=[EndOfStep(self)]
        )
        trainer.remove_callback(PrinterCallback)
        trainer.training = self
        return trainer


class StepTrainer(SFTTrainer):  # type: ignore[misc]
    """SFTTrainer whose batches are whole steps."""

    training: Training
    began = 0.0
    loss = 0.0
    tokens = 0

    def get_train_dataloader(self) -> Any:
        """The numbers of the steps that are left; a step's rows are read when its turn comes."""
        left: Any = [{"step": step} for step in range(self.training.step, self.training.steps.total)]
        return DataLoader(left, batch_size=None)

    def training_step(self, _model: Any, inputs: dict[str, int], _answers: Any = None) -> torch.Tensor:
        """Loss and gradients of a step."""
        self.began = time.monotonic()
        rows = [self.training.rows[at] for at in self.training.steps.rows_of(inputs["step"])]
        self.tokens = sum(len(row) for row in rows)
        self.loss = self.training.compute(rows)
        return torch.tensor(self.loss, device=self.args.device)

    def part(self, batch: Batch, answers: torch.Tensor) -> float:
        """Loss and gradients of a part of a step that has so many tokens of answers in all."""
        return float(super().training_step(self.model_wrapped, batch, answers))

    def floating_point_ops(self, _inputs: Any) -> int:
        """Not counted: it would be asked of a step's number."""
        return 0


class EndOfStep(TrainerCallback):  # type: ignore[misc]
    """Hands finished steps to the training, after the optimiser."""

    def __init__(self, training: Training) -> None:
        self._training = training

    def on_step_end(self, _args: Any, _state: Any, control: Any, **_: Any) -> None:
        """Called by transformers."""
        trainer = self._training.trainer
        goes_on = self._training.stepped(trainer.loss, trainer.tokens, time.monotonic() - trainer.began)
        control.should_training_stop = not goes_on


def arguments(scratch: Path) -> SFTConfig:
    """What transformers' loop still needs to know. Steps, batches, optimiser and checkpoints are ours."""
    return SFTConfig(
        output_dir=str(scratch / "run"),
        per_device_train_batch_size=1,
        gradient_accumulation_steps=1,
        dataset_kwargs={"skip_prepare_dataset": True},
        bf16=multiplies_bfloat16(),
        use_cpu=device() == "cpu",
        optim=optimizer_name(),
        gradient_checkpointing=False,
        max_grad_norm=1.0,
        logging_steps=100,
        logging_nan_inf_filter=False,
        save_strategy="no",
        report_to="none",
        disable_tqdm=True,
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
