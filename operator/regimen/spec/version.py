"""ModelVersion: weights and GGUFs that exist, as the user's baseline or published by a FineTuneJob."""

import re
from typing import Literal

from pydantic import Field, model_validator

from regimen.spec.artifacts import ModelShape
from regimen.spec.meta import KindStatus, Name, Quantization, S3Uri, SecretKeyRef, Spec, Status, VolumeClaim
from regimen.spec.phases import VersionPhase

HexDigest = Field(pattern=r"^[0-9a-f]{64}$", max_length=64, description="Hex sha256 of the file.")


COMMIT = "^[0-9a-f]{40}$"
HUB = "https://huggingface.co"


class S3Weights(Spec):
    """Weights in the bucket. They are verified and stay where they are."""

    uri: str = Field(
        pattern=r"^s3://[^/]+/.+/$",
        max_length=1024,
        description="s3://bucket/prefix/ of a Hugging Face layout: config.json, *.safetensors, tokenizer.",
    )


class Token(Spec):
    """An access token that nobody should read in a manifest."""

    secret_key_ref: SecretKeyRef = Field(description="Secret of this namespace, and its key that holds the token.")


class HuggingFaceWeights(Spec):
    """A repository of the Hugging Face hub at one commit. Its files are copied into the bucket."""

    repo: str = Field(
        pattern=r"^[A-Za-z0-9][A-Za-z0-9._-]*/[A-Za-z0-9][A-Za-z0-9._-]*$", max_length=200, description="<owner>/<name> of the repository."
    )
    revision: str = Field(min_length=1, max_length=64, description="Commit, 40 hex digits. A branch changes, so it is refused.")
    token_from: Token | None = Field(None, description="Access token, for a private or gated repository.")
    endpoint: str = Field(
        HUB, pattern=r"^https?://[^/ ]+(/[^ ]*)?$", max_length=253, description="Hub, or a mirror that speaks its HTTP interface."
    )

    @model_validator(mode="after")
    def _commit(self) -> "HuggingFaceWeights":
        if not re.fullmatch(COMMIT, self.revision):
            raise ValueError(f"revision {self.revision} is no commit: {FIND_COMMIT}")
        return self


FIND_COMMIT = (
    "write its 40 hex digits, because a branch or tag may move; find them under Files, History of the repository's page, "
    "or by git ls-remote https://huggingface.co/<owner>/<name>"
)


class ClaimWeights(VolumeClaim):
    """A folder of a volume. Its files are copied into the bucket."""

    path: str = Field(min_length=1, max_length=512, description="Folder with config.json and *.safetensors, relative to the volume's root.")

    @model_validator(mode="after")
    def _inside(self) -> "ClaimWeights":
        if self.path.startswith("/") or ".." in self.path.split("/"):
            raise ValueError(f"path {self.path} {STAY_INSIDE}")
        return self


STAY_INSIDE = "must stay inside the volume; write it relative to the volume's root, without '..'"


class Weights(Spec):
    """16-bit weights to train from, in Hugging Face layout; exactly one source."""

    s3: S3Weights | None = Field(None, description="Weights in the bucket.")
    hugging_face: HuggingFaceWeights | None = Field(None, description="A repository of the Hugging Face hub.")
    persistent_volume_claim: ClaimWeights | None = Field(None, description="A folder of a volume.")

    @model_validator(mode="after")
    def _one_source(self) -> "Weights":
        if [self.s3, self.hugging_face, self.persistent_volume_claim].count(None) != 2:
            raise ValueError(ONE_SOURCE)
        return self


ONE_SOURCE = "exactly one of s3, huggingFace and persistentVolumeClaim says where the weights are; write one, remove the others"


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


class ImportProgress(Status):
    """How far the import is."""

    bytes: int = Field(description="Bytes fetched and verified.")
    total_bytes: int = Field(description="Bytes in all.")
    percent: float = Field(description="Share done, 0 to 100.")


class LineageStatus(Status):
    """Where the version comes from."""

    base_ref: str | None = Field(None, description="ModelVersion that was trained from.")
    dataset_revision: str | None = Field(None, description="Dataset revision that was trained on.")
    fine_tune_job: str | None = Field(None, description="FineTuneJob that made it.")


class ModelVersionStatus(KindStatus):
    """Whether the version is there and verified."""

    phase: VersionPhase | None = Field(None, description="Where the version is in its life.")
    progress: ImportProgress | None = Field(None, description="How far the import is, while it runs.")
    artifacts: list[ArtifactStatus] = Field(default_factory=list, max_length=32, description="Verified files.")
    shape: ModelShape | None = Field(None, description="Of the weights: what memory and time depend on.")
    lineage: LineageStatus | None = Field(None, description="Where the version comes from.")
