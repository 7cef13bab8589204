"""FineTuneJob: fine-tune a version on a task of a dataset, and publish the result as a new version."""

from typing import Literal
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

from pydantic import Field, model_validator

from regimen.spec.dataset import DatasetRef
from regimen.spec.meta import Cache, Duration, KindStatus, NodeSelector, Quantization, Ref, Spec, Status, Text, parse_duration
from regimen.spec.phases import JobPhase

Metric = Literal[
    "agreement", "precision", "recall", "f1", "falseDenialRate", "falseApprovalRate", "unparseableRate",
    "rouge1", "rouge2", "rougeL", "editDistance", "quantizationDivergence", "flippedAnswers",
]  # fmt: skip
ABSOLUTE: tuple[Metric, ...] = ("quantizationDivergence", "flippedAnswers")
"""Metrics that are measured against the version's own 16-bit weights and not against another version."""


class Method(Spec):
    """How to train."""

    type: Literal["LoRA", "QLoRA"] = Field(
        "LoRA", description="LoRA: low-rank adapters on 16-bit base weights. QLoRA: on base weights in 4 bit, for cards with little memory."
    )
    rank: int = Field(16, ge=1, le=512, description="Rank of the adapters.")
    alpha: int = Field(32, ge=1, le=1024, description="Scale of the adapters; the update is multiplied by alpha / rank.")
    dropout: float = Field(0, ge=0, lt=1, description="Dropout inside the adapters.")
    target_modules: list[Text] = Field(
        default=["all-linear"],
        min_length=1,
        max_length=32,
        description="Modules that get adapters; all-linear: every linear layer.",
    )
    epochs: float = Field(3, gt=0, le=100, description="Passes over the training rows.")
    batch_size: int = Field(4, ge=1, le=4096, description="Effective batch size, in rows.")
    learning_rate: float = Field(2e-4, gt=0, le=1, description="Peak learning rate.")
    max_length: int = Field(2048, ge=16, le=131072, description="Longest row in tokens; longer ones are cut.")
    packing: bool = Field(True, description="Put several rows into one sequence of maxLength; rows never see each other.")
    seed: int = Field(42, ge=0, le=2**31 - 1, description="Seed of weights, order and dropout.")


class Output(Spec):
    """What files to make."""

    quantizations: list[Quantization] = Field(min_length=1, max_length=5, description="GGUF quantisations to make; the first is evaluated.")


class Placement(Spec):
    """Where the training pod runs."""

    node_selector: NodeSelector | None = Field(
        None, description="Labels the node must have, e.g. gpu: rtx3090. Default: the chart's training.nodeSelector."
    )
    gpu_resource: str = Field(
        "nvidia.com/gpu", min_length=1, max_length=253, description="Extended resource that names a card or its slices."
    )
    whole_card: bool = Field(True, description="Ask for every slice of the card. false: train on the CPU, ask for none.")


class Borrow(Spec):
    """Whether training may take the card from serving pods."""

    mode: Literal["None", "Preempt"] = Field(
        "None", description="Preempt: serving pods of lower priority step aside for training and return when it ends."
    )
    allow_outage: bool = Field(
        False, description="Let services fall below their minAvailable meanwhile. Otherwise the job waits and says which."
    )


class Window(Spec):
    """When training may hold the card. Before a window ends, training keeps a checkpoint and gives the card back; it goes on in the next."""

    schedule: str = Field(min_length=9, max_length=128, description="Cron expression of five fields: when a window opens, e.g. 0 2 * * *.")
    duration: Duration = Field(description="How long a window is, e.g. 4h; 2m at least.")
    time_zone: str = Field("UTC", max_length=64, description="IANA time zone of the schedule, e.g. America/Chicago.")

    @model_validator(mode="after")
    def _can_open(self) -> "Window":
        """What a cron library knows besides is asked when the operator plans (`regimen.plan.window.check`)."""
        if len(self.schedule.split()) != 5:
            raise ValueError(NO_CRON)
        if parse_duration(self.duration) < SHORTEST_WINDOW:
            raise ValueError(TOO_SHORT)
        try:
            ZoneInfo(self.time_zone)
        except (ZoneInfoNotFoundError, ValueError) as error:
            raise ValueError(f"timeZone: {self.time_zone} is no IANA time zone; write one like America/Chicago") from error
        return self


SHORTEST_WINDOW = 120
"""Seconds. A shorter one would be over before a model is loaded and a checkpoint kept."""
NO_CRON = "schedule: a cron expression has five fields, e.g. 0 2 * * *"
TOO_SHORT = "duration: a window is 2m at least, since loading a model and keeping a checkpoint take their time; lengthen it"


class Checkpoint(Spec):
    """How much work a lost pod may cost."""

    interval: Duration = Field("15m", description="Longest training time between two checkpoints: what an interruption may cost.")
    keep: int = Field(2, ge=1, le=10, description="Checkpoints kept in the bucket; the newest that is whole is used.")


class Gate(Spec):
    """A test that a version must pass before it exists."""

    metric: Metric = Field(
        description="What is measured on the held-out rows. quantizationDivergence (mean KL divergence of the GGUF from 16 bit, in nats) and "
        "flippedAnswers (share of answers that quantising changed) take max, the others are compared with each of compareWith."
    )
    criterion: Literal["Better", "NotWorse"] = Field("NotWorse", description="Against each of compareWith.")
    margin: float = Field(0, ge=0, le=1, description="NotWorse only: how much worse still counts as not worse.")
    bound: Literal["Point", "Lower"] = Field(
        "Point", description="Point: the estimate must pass. Lower: also its bound, what it may be at worst with 95 % confidence."
    )
    max: float | None = Field(None, ge=0, le=100, description="Highest value that passes; quantizationDivergence and flippedAnswers only.")

    @model_validator(mode="after")
    def _consistent(self) -> "Gate":
        if self.metric in ABSOLUTE and self.max is None:
            raise ValueError(f"{self.metric} needs max; add it, e.g. max: 0.05")
        if self.metric not in ABSOLUTE and self.max is not None:
            raise ValueError(f"max belongs to {' and '.join(ABSOLUTE)}; remove it, or set margin")
        if self.metric in ABSOLUTE and self.criterion == "Better":
            raise ValueError(f"criterion belongs to metrics that are compared; remove it, {self.metric} has max")
        if self.margin and (self.metric in ABSOLUTE or self.criterion == "Better"):
            raise ValueError("margin belongs to criterion NotWorse of a metric that is compared; remove it or change the criterion")
        return self

    @property
    def compares(self) -> bool:
        """Whether it is asked against each of compareWith."""
        return self.metric not in ABSOLUTE


class Evaluation(Spec):
    """How the quantised file is judged."""

    compare_with: list[Literal["Serving", "First", "Baseline"]] = Field(
        default=["Baseline"],
        max_length=3,
        description="Serving: what the model's services serve. First: the first fine-tuned version of the model, left out while there is "
        "none. Baseline: the base version's GGUF.",
    )
    gates: list[Gate] = Field(default_factory=list, max_length=16, description="All must pass, else the job fails.")
    max_rows: int = Field(2000, ge=1, le=1_000_000, description="Held-out rows to answer, at most; the first by row hash.")
    quantization_rows: int = Field(
        64, ge=1, le=100_000, description="Of these rows, how many the file and its 16-bit weights are compared on; the first by row hash."
    )

    @model_validator(mode="after")
    def _something_to_compare_with(self) -> "Evaluation":
        if not self.compare_with and any(gate.compares for gate in self.gates):
            raise ValueError("compareWith is empty but a gate compares; add Serving, First or Baseline, or remove the gate")
        return self

    @property
    def needs_16_bit(self) -> bool:
        """Whether a gate asks what quantising changed, for which the 16-bit GGUF is needed too."""
        return any(not gate.compares for gate in self.gates)


class S3Adapter(Spec):
    """A LoRA adapter as peft writes it."""

    uri: str = Field(
        pattern=r"^s3://[^/]+/.+/$",
        max_length=1024,
        description="s3://bucket/prefix/ of adapter_config.json and adapter_model.safetensors.",
    )


class AdapterSource(Spec):
    """An adapter that was trained elsewhere: in a cloud, by another tool."""

    s3: S3Adapter = Field(description="An adapter in the bucket.")


class FineTuneJobSpec(Spec):
    """Fine-tune version X on task T. Immutable but for suspend and window."""

    base_ref: Ref = Field(description="ModelVersion with 16-bit weights to train from.")
    dataset_ref: DatasetRef = Field(description="Dataset and task to train on; the newest revision when the job starts.")
    version: str = Field(
        pattern=r"^(Next|v[0-9]+\.[0-9]+)$",
        max_length=16,
        description="Version to publish, e.g. v1.0, or Next: the next free minor version.",
    )
    method: Method = Field(default_factory=lambda: Method(), description="How to train.")
    adapter: AdapterSource | None = Field(
        None, description="Use this adapter instead of training one; it is converted, evaluated and published all the same."
    )
    output: Output = Field(description="What files to make.")
    placement: Placement = Field(default_factory=lambda: Placement(), description="Where to train.")
    window: Window | None = Field(None, description="When training may run; without it, whenever the card is there. May be changed.")
    borrow: Borrow = Field(default_factory=lambda: Borrow(), description="Whether to take the card from serving pods.")
    checkpoint: Checkpoint = Field(default_factory=lambda: Checkpoint(), description="How much work a lost pod may cost.")
    cache: Cache | None = Field(None, description="Where base weights are kept on the nodes; without it they are fetched for each pod.")
    evaluation: Evaluation = Field(default_factory=lambda: Evaluation(), description="How the result is judged.")
    max_duration: Duration = Field(
        "6h",
        description="Longest time that one training Job may hold the card where there is no window; Kubernetes ends it then, operator or not.",
    )
    backoff_limit: int = Field(3, ge=0, le=20, description="Retries of each stage after a failed pod.")
    suspend: bool = Field(False, description="true: stop and give the card back; false: go on.")

    @model_validator(mode="after")
    def _nothing_is_trained(self) -> "FineTuneJobSpec":
        if self.adapter is not None:
            asked = [name for name, model in TRAINING_FIELDS.items() if getattr(self, name) != (model() if model else None)]
            if asked:
                raise ValueError(f"{asked[0]} {NOTHING_TRAINED}")
        return self


TRAINING_FIELDS: dict[str, type[Spec] | None] = {"method": Method, "borrow": Borrow, "checkpoint": Checkpoint, "window": None}
"""Fields of a job that say how to train, and the model whose defaults mean that nothing was said."""
NOTHING_TRAINED = "says how to train, and an adapter that is there already is not trained; remove it or remove adapter"


class JobProgress(Status):
    """How far the running stage is."""

    step: int = Field(0, description="Optimiser steps done, or rows answered.")
    total_steps: int = Field(0, description="Steps in all.")
    percent: float = Field(0, description="Share done, 0 to 100.")
    loss: float | None = Field(None, description="Training loss, last logged.")
    tokens_per_second: float | None = Field(None, description="Training throughput.")
    eta_seconds: float | None = Field(None, description="Estimated seconds left in this stage.")
    checkpoint_step: int | None = Field(None, description="Step of the newest checkpoint in the bucket: what an interruption goes back to.")


class Estimate(Status):
    """What training takes on the card, reckoned before it takes it."""

    vram_bytes: int = Field(description="Memory at the peak of a step.")
    card_bytes: int | None = Field(None, description="Memory of the card, as its node's labels say; absent where they do not.")
    fits: bool | None = Field(None, description="Whether it fits; absent where the card's memory is not known.")
    note: str | None = Field(None, max_length=512, description="How it fits, or what would.")


class ComparedWith(Status):
    """A figure of one of compareWith, on the same rows."""

    name: str = Field(description="Serving, First or Baseline.")
    version: str = Field(description="ModelVersion that was compared with.")
    agreement: float | None = Field(None, description="Its share of answers that agree with the experts (label tasks).")
    rouge_l: float | None = Field(None, description="Its ROUGE-L F1 against the final document (text tasks).")
    difference: float | None = Field(None, description="Agreement, for text tasks ROUGE-L, of the new version minus this one.")
    interval: list[float] = Field(
        default_factory=list,
        max_length=2,
        description="Of the difference; each end holds with 95 % confidence, rows of a group counted as one.",
    )
    mcnemar_p: float | None = Field(None, description="Exact McNemar p-value of the difference (label tasks).")


class GateResult(Status):
    """What a gate said."""

    metric: str = Field(description="What was measured.")
    against: str = Field(description="Serving, First, Baseline, or 16 bit.")
    asked: str = Field(description="What had to be, e.g. at most 0.02 worse; shown: the bound had to pass too.")
    passed: bool = Field(description="Whether it passed.")
    estimate: float | None = Field(None, description="New version minus the other; for a metric with max, its value.")
    bound: float | None = Field(None, description="What the estimate may be at worst, with 95 % confidence.")
    limit: float = Field(description="Worst value that passes; of criterion Better, the value to surpass.")
    detectable: float | None = Field(None, description="Smallest true difference that these rows show with 80 % power.")
    message: str = Field(description="The same in a sentence.")


class EvaluationFigures(Status):
    """What the evaluation found."""

    rows: int = Field(description="Held-out rows answered.")
    groups: int | None = Field(None, description="Groups (of one policy or patient) that they are of.")
    agreement: float | None = Field(None, description="Share of answers that agree with the experts (label tasks).")
    precision: float | None = Field(None, description="Of the positive label.")
    recall: float | None = Field(None, description="Of the positive label.")
    false_denials: int | None = Field(None, description="Rows answered with the positive label that experts gave another.")
    false_approvals: int | None = Field(None, description="Rows answered with another label that experts gave the positive one.")
    unparseable: int | None = Field(None, description="Answers that name no label or several; they count as wrong.")
    rouge_l: float | None = Field(None, description="ROUGE-L F1 against the final document (text tasks).")
    edit_distance: float | None = Field(None, description="Share of words to be changed to get the final document (text tasks).")
    quantization_divergence: float | None = Field(None, description="Mean KL divergence of the GGUF from 16 bit, in nats.")
    flipped_answers: float | None = Field(None, description="Share of answers whose label quantising changed.")
    template_matches_training: bool | None = Field(
        None,
        description="Whether the served chat template makes the tokens that training saw; absent where that is not known, as of an adapter "
        "that was trained elsewhere.",
    )
    compared: list[ComparedWith] = Field(default_factory=list, max_length=3, description="Against compareWith.")
    gates: list[GateResult] = Field(default_factory=list, max_length=48, description="What each gate said.")


class SteppedAside(Status):
    """Serving pods that gave the card to training."""

    model_service: str = Field(description="ModelService whose pods stepped aside.")
    pods: int = Field(description="How many.")


class FineTuneJobStatus(KindStatus):
    """How far the job is."""

    phase: JobPhase | None = Field(None, description="Where the job is in its life.")
    version: str | None = Field(None, description="Version allocated to this job.")
    dataset_revision: str | None = Field(None, description="Revision pinned when training started.")
    progress: JobProgress | None = Field(None, description="How far the running stage is.")
    estimate: Estimate | None = Field(None, description="Memory that training takes; absent where the base's shape is not known.")
    attempts: int | None = Field(None, description="Training pods started so far.")
    gpu_seconds: int | None = Field(None, description="Seconds for which training Jobs held the card so far.")
    stepped_aside: list[SteppedAside] = Field(default_factory=list, max_length=32, description="Who gave the card.")
    version_ref: Ref | None = Field(None, description="ModelVersion that the job published.")
    evaluation: EvaluationFigures | None = Field(None, description="What the evaluation found.")
