"""What a pass over a FineTuneJob knows."""

from collections.abc import Iterable
from dataclasses import dataclass, field

from regimen.plan.borrow import CardFacts, LenderFacts, RivalFacts
from regimen.plan.common import JobFacts
from regimen.plan.training import Spent, TrainingFacts
from regimen.spec.artifacts import Artifact, Claim, DatasetManifest, ModelShape, Progress, StageRecord, VersionManifest
from regimen.spec.dataset import DatasetTask
from regimen.spec.finetune import Estimate, Gate
from regimen.spec.version import ArtifactStatus, ModelVersionSpec, ModelVersionStatus


@dataclass(frozen=True)
class BaseFacts:
    """The ModelVersion to train from."""

    spec: ModelVersionSpec
    status: ModelVersionStatus
    imported: StageRecord | None = None
    """What its import recorded."""

    @property
    def weights(self) -> ArtifactStatus | None:
        """The weights that were verified or copied: not where the user has them, which may change."""
        return next((item for item in self.status.artifacts if item.kind == "weights"), None)

    @property
    def shape(self) -> ModelShape | None:
        return self.imported.shape if self.imported else None


@dataclass(frozen=True)
class DatasetFacts:
    """The dataset to train on."""

    manifest: DatasetManifest | None
    """The pinned revision, or the newest; None where none is published."""
    task: DatasetTask | None
    phase: str
    message: str
    bucket: str = ""


@dataclass(frozen=True)
class JobStageFacts:
    """One stage."""

    record: StageRecord | None = None
    job: JobFacts | None = None
    progress: Progress | None = None


@dataclass(frozen=True)
class FineTuneFacts:
    """What was seen of a job and of what it refers to."""

    base: BaseFacts | None
    dataset: DatasetFacts | None
    version: str | None
    """The version asked for, or the one to take for Next; None while the base is missing."""
    claim: Claim | None
    """Who holds that version."""
    manifest: VersionManifest | None
    """Whether it is published."""
    version_exists: bool
    """Whether the ModelVersion of that name exists."""
    holder_gone: bool = False
    """Whether the job that holds the version no longer exists."""
    contenders: tuple[tuple[str, str, Artifact | None], ...] = ()
    """(Serving, First or Baseline, ModelVersion, its GGUF) of evaluation.compareWith; without First where there is none yet."""
    gates: tuple[Gate, ...] = ()
    """evaluation.gates, for the status to say what each of them said."""
    adapter: TrainingFacts = field(default_factory=TrainingFacts)
    adoption: JobStageFacts = field(default_factory=JobStageFacts)
    """Of an adapter that was trained elsewhere; its record is `adapter`'s."""
    gguf: JobStageFacts = field(default_factory=JobStageFacts)
    evaluation: JobStageFacts = field(default_factory=JobStageFacts)
    cards: tuple[CardFacts, ...] = ()
    lenders: tuple[LenderFacts, ...] = ()
    rivals: tuple[RivalFacts, ...] = ()
    said: Spent = field(default_factory=Spent)
    """What the status says of attempts and time; it may be lost."""
    estimate: Estimate | None = None
    """Reckoned from these facts by `decide`."""
    stepped_aside: tuple[tuple[str, int], ...] = ()


def version_name(model: str, version: str) -> str:
    return f"{model}-{version}"


def fine_tuned(versions: Iterable[str], own: str) -> list[str]:
    """Those of a model's versions that are no baseline and not the job's own, lowest first.

    >>> fine_tuned(["v1.10", "baseline", "v1.9", "v1.11"], own="v1.11")
    ['v1.9', 'v1.10']
    """
    return sorted({version for version in versions if version not in ("baseline", own)}, key=lambda v: [int(n) for n in v[1:].split(".")])
