"""What the operator asks of the trainer image: one JSON document per pod, in the environment variable REGIMEN_TASK.

The operator writes these and the trainer reads them, so neither can drift. The bucket's address and credentials come by
the usual variables (REGIMEN_S3_ENDPOINT, REGIMEN_S3_BUCKET, AWS_ACCESS_KEY_ID, AWS_SECRET_ACCESS_KEY), never in here. A pod
that fails writes one sentence without content of any record to its termination log.
"""

from datetime import datetime
from typing import Annotated, Literal

from pydantic import Field, TypeAdapter

from regimen.spec.artifacts import Artifact, Lineage
from regimen.spec.dataset import TrainingDatasetSpec
from regimen.spec.finetune import Checkpoint, Evaluation, Method
from regimen.spec.meta import Quantization, Spec
from regimen.spec.version import Weights

CLAIM_MOUNT = "/claim"
"""Where an import pod finds the volume that weights are copied from."""


class PrepareTask(Spec):
    """Read the sources, de-identify, split, publish a revision. Result: DatasetManifest at `prepared_key`."""

    kind: Literal["prepare"] = "prepare"
    namespace: str
    dataset: str
    spec_hash: str = Field(description="Names the record of what this spec gave: `prepared_key`.")
    spec: TrainingDatasetSpec
    tokenizer_uri: str | None = Field(None, description="s3:// prefix of weights whose tokenizer measures lengths (Hugging Face layout).")


def sql_variable(source: str) -> str:
    """Environment variable in which a prepare pod finds a source's SQLAlchemy URL."""
    return f"REGIMEN_SQL_{source.upper()}"


class ImportTask(Spec):
    """Verify a baseline's files against the stated digests; copy weights that are not in the bucket yet. Result: StageRecord `weights`.

    The hub's token comes in HF_TOKEN. A volume with weights is mounted, read-only, at `CLAIM_MOUNT`.
    """

    kind: Literal["import"] = "import"
    namespace: str
    name: str
    uid: str
    model: str
    version: str
    weights: Weights | None
    gguf: list[Artifact] = Field(description="As the user states them: uri and sha256; bytes 0 until measured.")


class TrainTask(Spec):
    """Train an adapter, from the newest whole checkpoint if there is one. Result: StageRecord `adapter`.

    At `stop_at`, or told to stop by SIGTERM, the pod keeps a checkpoint and ends with exit code 0 and without a record: paused. The
    environment says which attempt it is (REGIMEN_ATTEMPT, the pod's name) and where weights are kept on the node (REGIMEN_CACHE_DIR).
    """

    kind: Literal["train"] = "train"
    namespace: str
    job: str
    uid: str
    model: str
    version: str
    base_uri: str = Field(description="s3:// prefix of the base model's 16-bit weights (Hugging Face layout).")
    base_digest: str | None = Field(
        None, description="sha256:… over the weights' files, as the base's import recorded it; names them in the cache."
    )
    train_uri: str = Field(description="s3:// address of the training JSONL.")
    method: Method
    checkpoint: Checkpoint = Field(default_factory=lambda: Checkpoint())
    stop_at: datetime | None = Field(None, description="When the card must be given back.")


class AdoptTask(Spec):
    """Take an adapter that was trained elsewhere, once it is clear that it fits the base. Result: StageRecord `adapter`."""

    kind: Literal["adopt"] = "adopt"
    namespace: str
    job: str
    uid: str
    model: str
    version: str
    base_uri: str
    base_digest: str | None = None
    adapter_uri: str = Field(description="s3:// prefix of adapter_config.json and adapter_model.safetensors.")


class ConvertTask(Spec):
    """Merge the adapter into the base, write GGUFs. Result: StageRecord `gguf`."""

    kind: Literal["convert"] = "convert"
    namespace: str
    job: str
    uid: str
    model: str
    version: str
    base_uri: str
    base_digest: str | None = None
    quantizations: list[Quantization] = Field(description="Files to serve.")
    keep_f16: bool = Field(
        False, description="Write and record an F16 file too, for evaluation to compare with; the operator removes it when the job ends."
    )
    lineage: Lineage = Field(default_factory=lambda: Lineage(), description="Written into the files' metadata.")

    @property
    def written(self) -> list[Quantization]:
        """The files to write and record."""
        return [*self.quantizations, "F16"] if self.keep_f16 and "F16" not in self.quantizations else self.quantizations


class Contender(Spec):
    """A GGUF to be evaluated, by digest."""

    name: str = Field(description="Serving, First or Baseline.")
    version: str = Field("", description="ModelVersion it is of.")
    gguf: Artifact


class EvaluateTask(Spec):
    """Answer the held-out rows with the candidate's GGUF and with those to beat, through llama-server. Result: StageRecord
    `evaluation`, whose figures are named as regimen.stats.gates says."""

    kind: Literal["evaluate"] = "evaluate"
    namespace: str
    job: str
    uid: str
    model: str
    version: str
    quantization: Quantization
    test_uri: str
    output: Literal["Label", "Text"]
    labels: list[str]
    positive: str | None
    against: list[Contender]
    evaluation: Evaluation
    lineage: Lineage


Task = Annotated[PrepareTask | ImportTask | TrainTask | AdoptTask | ConvertTask | EvaluateTask, Field(discriminator="kind")]
TaskAdapter: TypeAdapter[Task] = TypeAdapter(Task)
