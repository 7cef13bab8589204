"""The six kinds as the API server and people meet them: names, short names, printer columns, CEL rules.

Knows which models make up a kind, and what a schema alone cannot say. A rule is written once, beside the model it is about,
and holds wherever that model occurs (in a job's `method` as in a schedule's template). Every rule that CEL states is also
stated by a pydantic validator or by the schema, except immutability, which needs the old object.
"""

import json
from dataclasses import dataclass, field

from pydantic import BaseModel

from regimen.spec.dataset import (
    OWN_TASKS,
    DatasetTask,
    Deidentify,
    Source,
    Sources,
    TaskOutput,
    TrainingDatasetSpec,
    TrainingDatasetStatus,
)
from regimen.spec.finetune import (
    ABSOLUTE,
    NO_CRON,
    NOTHING_TRAINED,
    TOO_SHORT,
    TRAINING_FIELDS,
    Evaluation,
    FineTuneJobSpec,
    FineTuneJobStatus,
    Gate,
    Window,
)
from regimen.spec.meta import KindStatus, Spec
from regimen.spec.rollout import (
    LIMITS,
    MORE_IS_BETTER,
    PAIRED_METRICS,
    Analysis,
    Guardrail,
    ModelRolloutSpec,
    ModelRolloutStatus,
    Primary,
    Step,
)
from regimen.spec.schedule import RetrainScheduleSpec, RetrainScheduleStatus
from regimen.spec.service import ONE_CACHE, ModelServiceSpec, ModelServiceStatus, ServiceCache
from regimen.spec.version import (
    COMMIT,
    FIND_COMMIT,
    ONE_SOURCE,
    STAY_INSIDE,
    ClaimWeights,
    HuggingFaceWeights,
    ModelVersionSpec,
    ModelVersionStatus,
    Weights,
)


@dataclass(frozen=True)
class Rule:
    """A CEL rule of x-kubernetes-validations. `message` names the field and the remedy."""

    rule: str
    message: str
    field_path: str | None = None
    reason: str | None = None


@dataclass(frozen=True)
class Column:
    """An additional printer column. Priority 1 shows with `-o wide` only."""

    name: str
    path: str
    type: str = "string"
    description: str = ""
    priority: int = 0


@dataclass(frozen=True)
class Kind:
    """One custom resource."""

    name: str
    plural: str
    short: str
    description: str
    spec: type[Spec]
    status: type[KindStatus]
    columns: tuple[Column, ...]
    immutable: bool = False
    mutable: frozenset[str] = field(default_factory=frozenset)
    """Fields (camelCase) of an otherwise immutable spec that may change."""


PHASE = Column("Phase", ".status.phase", description="Where the resource is in its life.")
READY = Column("Ready", '.status.conditions[?(@.type=="Ready")].status', description="Accepted and functioning.")
AGE = Column("Age", ".metadata.creationTimestamp", "date", "Time since creation.")
MESSAGE = Column("Message", ".status.message", description="What is happening now.")

KINDS: tuple[Kind, ...] = (
    Kind(
        "TrainingDataset",
        "trainingdatasets",
        "tds",
        "TrainingDataset turns a business's exports into an immutable, de-identified revision of training data.",
        TrainingDatasetSpec,
        TrainingDatasetStatus,
        (
            PHASE,
            Column("Rows", ".status.rows.used", "integer", "Rows used in at least one task."),
            Column("Rejected", ".status.rows.rejected", "integer", "Rows rejected, for any reason."),
            Column("Revision", ".status.revision", description="Digest of the newest published revision.", priority=1),
            AGE,
            MESSAGE,
        ),
    ),
    Kind(
        "ModelVersion",
        "modelversions",
        "mv",
        "ModelVersion says that these weights and GGUFs are one version of a model. Users write baselines, the operator others.",
        ModelVersionSpec,
        ModelVersionStatus,
        (
            Column("Model", ".spec.model", description="Model that this is a version of."),
            Column("Version", ".spec.version", description="baseline, or v<major>.<minor>."),
            PHASE,
            Column("%", ".status.progress.percent", "number", "Share of the import that is done."),
            Column("Job", ".status.lineage.fineTuneJob", description="FineTuneJob that made it.", priority=1),
            AGE,
            MESSAGE,
        ),
        immutable=True,
    ),
    Kind(
        "FineTuneJob",
        "finetunejobs",
        "ftj",
        "FineTuneJob fine-tunes a version on a task of a dataset and publishes the result, judged, as a new ModelVersion.",
        FineTuneJobSpec,
        FineTuneJobStatus,
        (
            PHASE,
            Column("%", ".status.progress.percent", "number", "Share of the running stage that is done."),
            Column("Version", ".status.version", description="Version allocated to this job."),
            Column("Agreement", ".status.evaluation.agreement", "number", "Share of answers that agree with the experts."),
            Column("Base", ".spec.baseRef.name", description="ModelVersion trained from.", priority=1),
            Column("Task", ".spec.datasetRef.task", description="Task trained on.", priority=1),
            AGE,
            MESSAGE,
        ),
        immutable=True,
        mutable=frozenset({"suspend", "window"}),
    ),
    Kind(
        "ModelService",
        "modelservices",
        "msvc",
        "ModelService serves a model from several llama-server replicas behind a router, on the GPUs it is given.",
        ModelServiceSpec,
        ModelServiceStatus,
        (
            PHASE,
            Column("Ready", ".status.replicas.ready", "integer", "Replicas ready, of both arms."),
            Column("Desired", ".status.replicas.desired", "integer", "Replicas asked for."),
            Column("Serves", ".status.stableVersion", description="ModelVersion that serves."),
            Column("Rollout", ".status.rollout", description="ModelRollout under way."),
            Column("URL", ".status.url", description="Address inside the cluster.", priority=1),
            AGE,
            MESSAGE,
        ),
    ),
    Kind(
        "ModelRollout",
        "modelrollouts",
        "mro",
        "ModelRollout moves a ModelService to another version by steps, as far and as fast as the evidence allows.",
        ModelRolloutSpec,
        ModelRolloutStatus,
        (
            Column("Service", ".spec.serviceRef.name", description="ModelService to move."),
            Column("To", ".spec.toRef.name", description="ModelVersion to move to."),
            PHASE,
            Column("Step", ".status.currentStep", "integer", "Index of the step under way."),
            Column("Weight", ".status.weight.actual", "number", "Percent of subjects on the candidate."),
            Column("Verdict", ".status.verdict.decision", description="What follows from the evidence."),
            Column("Candidates", ".status.candidateReplicas", "integer", "Candidate replicas that are ready.", 1),
            AGE,
            MESSAGE,
        ),
        immutable=True,
        mutable=frozenset({"paused"}),
    ),
    Kind(
        "RetrainSchedule",
        "retrainschedules",
        "rts",
        "RetrainSchedule trains on the new data again and again, and rolls each result out: v1.0, v1.1, and so on.",
        RetrainScheduleSpec,
        RetrainScheduleStatus,
        (
            Column("Schedule", ".spec.schedule", description="Cron expression."),
            Column("Suspend", ".spec.suspend", "boolean", "Whether new runs are held back."),
            PHASE,
            Column("Next", ".status.nextScheduleTime", description="Due time of the next run."),
            Column("Last", ".status.lastScheduleTime", "date", "Time since the last run was due.", 1),
            Column("Job", ".status.activeJob", description="FineTuneJob under way.", priority=1),
            Column("Rollout", ".status.activeRollout", description="ModelRollout under way.", priority=1),
            AGE,
            MESSAGE,
        ),
    ),
)


def _task_needs(source: str, own: str) -> Rule:
    return Rule(
        f"self.tasks.all(t, (t.name in {own} || (has(t.source) && t.source == '{source}')) ? has(self.sources.{source}) : true)",
        f"tasks: a task of {source} needs sources.{source}; add it or remove the task",
        ".tasks",
    )


def _untrained(name: str, model: type[Spec] | None) -> Rule:
    """With an adapter, a field that says how to train is as the API server fills it in, or absent."""
    if model is None:
        untouched = f"!has(self.{name})"
    else:
        # Integers and doubles are different types to CEL.
        doubles = {str(info.alias): float(info.default) for info in model.model_fields.values() if info.annotation is float}
        said = {**model().model_dump(by_alias=True), **doubles}
        untouched = " && ".join(f"self.{name}.{field} == {json.dumps(value)}" for field, value in said.items())
    return Rule(f"!has(self.adapter) || ({untouched})", f"{name} {NOTHING_TRAINED}")


_ABSOLUTE = list(ABSOLUTE)

_OWN = {source: str([name for name, (reads, _) in OWN_TASKS.items() if reads == source]) for source in ("claims", "documents")}

RULES: dict[type[BaseModel], tuple[Rule, ...]] = {
    Sources: (Rule("has(self.claims) || has(self.documents)", "sources is empty; give claims, documents or both"),),
    Source: (
        Rule(
            "(has(self.csv) && self.csv.size() > 0) != has(self.sql)",
            "exactly one of csv and sql says where the rows come from; write one, remove the other",
        ),
    ),
    DatasetTask: (
        Rule(
            f"self.name in {list(OWN_TASKS)} ? !has(self.source) && !has(self.completion) "
            ": has(self.source) && has(self.completion) && has(self.prompt)",
            f"tasks: {', '.join(OWN_TASKS)} know their source and completion; a task of your own needs source, completion and prompt",
        ),
    ),
    Deidentify: (
        Rule(
            "(has(self.method) && self.method == 'None') == has(self.attestation)",
            "deidentify: method None needs an attestation of who says that the texts are de-identified, and only None takes one",
        ),
    ),
    TrainingDatasetSpec: (
        _task_needs("claims", _OWN["claims"]),
        _task_needs("documents", _OWN["documents"]),
        Rule(
            "has(self.refresh) || !((has(self.sources.claims) && has(self.sources.claims.sql)) || "
            "(has(self.sources.documents) && has(self.sources.documents.sql)))",
            "sources: sql needs refresh, because a database does not say when its rows changed; write a schedule",
            ".sources",
        ),
    ),
    TaskOutput: (
        Rule(
            "self.type != 'Label' || (has(self.labels) && self.labels.size() >= 2 && has(self.positive) && self.positive in self.labels)",
            "output: a Label task needs at least two labels, and positive must be one of them",
        ),
        Rule(
            "self.type != 'Text' || ((!has(self.labels) || self.labels.size() == 0) && !has(self.positive))",
            "output: labels and positive belong to Label tasks; remove them or set type: Label",
        ),
    ),
    Window: (
        Rule(r"self.schedule.matches('^\\s*(\\S+\\s+){4}\\S+\\s*$')", NO_CRON, ".schedule"),
        # Durations are our own (with days), so what is less than 120 seconds is said as text.
        Rule(
            r"!self.duration.matches('^(0+[smhd])*((0*1m)?(0*[0-5]?[0-9]s)?|0*([6-9][0-9]|1[01][0-9])s)(0+[smhd])*$')",
            TOO_SHORT,
            ".duration",
        ),
        Rule(
            "!has(self.timeZone) || self.timeZone.matches('^[A-Za-z0-9_+-]+(/[A-Za-z0-9_+-]+)*$')",
            "timeZone: write an IANA time zone like America/Chicago",
            ".timeZone",
        ),
    ),
    Weights: (Rule("[has(self.s3), has(self.huggingFace), has(self.persistentVolumeClaim)].filter(x, x).size() == 1", ONE_SOURCE),),
    HuggingFaceWeights: (Rule(f"self.revision.matches('{COMMIT}')", f"revision is no commit: {FIND_COMMIT}", ".revision"),),
    ClaimWeights: (Rule("!self.path.startsWith('/') && !self.path.split('/').exists(p, p == '..')", f"path {STAY_INSIDE}", ".path"),),
    FineTuneJobSpec: tuple(_untrained(name, model) for name, model in TRAINING_FIELDS.items()),
    Gate: (
        Rule(
            f"(self.metric in {_ABSOLUTE}) == has(self.max)",
            f"{' and '.join(ABSOLUTE)} need max, and only they take it; the others are compared: set criterion and margin",
        ),
        Rule(
            f"!(self.metric in {_ABSOLUTE}) || self.criterion == 'NotWorse'",
            "criterion belongs to metrics that are compared; remove it where there is max",
            ".criterion",
        ),
        Rule(
            f"self.margin == 0.0 || (self.criterion == 'NotWorse' && !(self.metric in {_ABSOLUTE}))",
            "margin belongs to criterion NotWorse of a metric that is compared; remove it or change the criterion",
            ".margin",
        ),
    ),
    Evaluation: (
        Rule(
            "self.compareWith.size() > 0 || !has(self.gates) || self.gates.all(g, has(g.max))",
            "compareWith is empty but a gate compares; add Serving, First or Baseline, or remove the gate",
            ".compareWith",
        ),
    ),
    ServiceCache: (Rule("has(self.persistentVolumeClaim) != has(self.emptyDir)", ONE_CACHE),),
    ModelServiceSpec: (
        Rule(
            "self.minAvailable <= self.replicas",
            "minAvailable is more than replicas; lower minAvailable or raise replicas",
            ".minAvailable",
        ),
    ),
    Step: (
        Rule(
            "[has(self.setReplicas), has(self.setWeight), has(self.pause), has(self.analysis)].filter(x, x).size() == 1",
            "a step is exactly one of setReplicas, setWeight, pause, analysis; split it into several steps",
        ),
    ),
    Guardrail: (
        Rule(
            "[has(self.max), has(self.maxIncrease), has(self.maxDecrease)].filter(x, x).size() == 1",
            "a guardrail has exactly one of max, maxIncrease, maxDecrease; split it into several guardrails",
        ),
        Rule(f"!has(self.metric) || (self.metric in {list(MORE_IS_BETTER)}) == has(self.maxDecrease)", LIMITS),
        Rule("has(self.metric) != has(self.prometheus)", "a guardrail has exactly one of metric and prometheus; split it into two"),
        Rule("has(self.name) == has(self.prometheus)", "a guardrail with prometheus needs a name, and only it takes one"),
        Rule(
            "!has(self.prometheus) || (has(self.max) && (!has(self.bound) || self.bound == 'Point'))",
            "a guardrail with prometheus takes max and bound Point only: a query has no arms and no sample size",
        ),
    ),
    Primary: (
        Rule(
            "(has(self.evidence) && self.evidence == 'Paired') == has(self.datasetRef)",
            "primary.datasetRef belongs to evidence Paired, which needs it; add it or change the evidence",
        ),
        Rule(
            f"!has(self.evidence) || self.evidence != 'Paired' || !has(self.metric) || self.metric in {list(PAIRED_METRICS)}",
            f"primary.metric: Paired evidence compares {', '.join(PAIRED_METRICS)} only; use evidence Live",
            ".metric",
        ),
    ),
    Analysis: (
        Rule(
            "!has(self.margin) || self.margin == 0.0 || self.criterion == 'NotWorse'",
            "margin belongs to criterion NotWorse; remove it or change the criterion",
            ".margin",
        ),
    ),
}

SETS: frozenset[str] = frozenset({"labels", "quantizations", "compareWith", "targetModules", "knownValues", "groupBy"})
"""Lists of scalars in specs that say nothing by repeating an item."""

MAPS: dict[type[BaseModel], dict[str, str]] = {
    TrainingDatasetSpec: {"tasks": "name"},
    ModelVersionSpec: {"gguf": "quantization"},
    KindStatus: {"conditions": "type"},
}
"""Lists of objects that have a key, one item for each."""
