"""ModelVersion: weights and GGUFs that exist, as the user's baseline or published by a FineTuneJob."""

from typing import Literal

from pydantic import Field, model_validator

from regimen.spec.meta import KindStatus, Name, Quantization, S3Uri, Spec, Status
from regimen.spec.phases import VersionPhase

HexDigest = Field(pattern=r"^[0-9a-f]{64}$", max_length=64, description="Hex sha256 of the file.")


class S3Weights(Spec):
    """Weights in the bucket."""

    uri: str = Field(
        pattern=r"^s3://[^/]+/.+/$",
        max_length=1024,
        description="s3://bucket/prefix/ of a Hugging Face layout: config.json, *.safetensors, tokenizer.",
    )


class Weights(Spec):
    """16-bit weights to train from."""

    s3: S3Weights = Field(description="Weights in the bucket.")


class Gguf(Spec):
    """One GGUF file."""

    quantization: Quantization = Field(description="Quantisation of the file.")
    uri: S3Uri = Field(description="s3://bucket/key of the file.")
    sha256: str = HexDigest


class ModelVersionSpec(Spec):
    """These weights and these GGUFs are one version of a model. Immutable."""

    model: Name = Field(description="Model that this is a version of, e.g. openins.")
    version: str = Field(pattern=r"^(baseline|v[0-9]+\.[0-9]+)$", max_length=16, description="baseline, or v<major>.<minor>.")
    weights: Weights | None = Field(None, description="16-bit weights to train from; without them only serving is possible.")
    gguf: list[Gguf] = Field(min_length=1, max_length=8, description="Files to serve, one for each quantisation.")

    @model_validator(mode="after")
    def _one_file_per_quantization(self) -> "ModelVersionSpec":
        names = [file.quantization for file in self.gguf]
        if len(set(names)) < len(names):
            raise ValueError("gguf lists a quantization twice; keep one file for each")
        return self


class ArtifactStatus(Status):
    """A verified file."""

    kind: Literal["weights", "gguf", "adapter"] = Field(description="weights, gguf or adapter.")
    quantization: str | None = Field(None, description="Of a GGUF.")
    uri: str = Field(description="Where it lies.")
    sha256: str = Field(description="Hex digest; of weights, over all their files.")
    bytes: int = Field(description="Size in bytes.")


class LineageStatus(Status):
    """Where the version comes from."""

    base_ref: str | None = Field(None, description="ModelVersion that was trained from.")
    dataset_revision: str | None = Field(None, description="Dataset revision that was trained on.")
    fine_tune_job: str | None = Field(None, description="FineTuneJob that made it.")


class ModelVersionStatus(KindStatus):
    """Whether the version is there and verified."""

    phase: VersionPhase | None = Field(None, description="Where the version is in its life.")
    artifacts: list[ArtifactStatus] = Field(default_factory=list, max_length=32, description="Verified files.")
    lineage: LineageStatus | None = Field(None, description="Where the version comes from.")
