"""A tiny cluster with one card, one FineTuneJob and its windows: Jobs, pods, a bucket, and a trainer that keeps checkpoints.

It knows the laws and checks them at every tick. Faults are the caller's: the operator stops between any two actions or is gone for hours, its
status is lost, pods are killed or told to stop.
"""

import json
from dataclasses import dataclass, field
from datetime import UTC, datetime
from functools import lru_cache
from typing import Any

from plan_builders import SETTINGS, artifact, job_spec, record
from test_plan_finetune import BASE, CONTENDERS, DATASET, FIGURES, GGUF, ME

from regimen.plan import finetune
from regimen.plan.actions import Action, Apply, Create, Delete, Plan, Put, PutOnce, Remove
from regimen.plan.borrow import CardFacts
from regimen.plan.common import JobFacts
from regimen.plan.finetune_facts import FineTuneFacts, JobStageFacts
from regimen.plan.training import Spent, TrainingFacts, TrainingJob, read
from regimen.plan.window import next_opening, opening
from regimen.spec.artifacts import Artifact, Claim, Progress, StageRecord, VersionManifest
from regimen.spec.finetune import FineTuneJobSpec
from regimen.spec.phases import TRANSITIONS, JobPhase

TICK = 15.0
"""Seconds between two looks at the world."""
STARTUP, STEPS, INTERVAL = 60.0, 600, 300.0
"""Of the trainer: seconds until its first step; steps in all, one a tick (more than one window has); seconds between two checkpoints."""
SCHEDULES = ("0 2 * * *", "0 1 * * *", "30 2 * * *", "0 12 * * *")
WHOLE = artifact("openins-v1.0-F16.gguf")
"""What conversion makes besides, for evaluation to compare with."""
OTHERS = {"gguf": "convert", "evaluation": "evaluate"}
"""Stages that need no card, by the verb in their Jobs' names."""


def key_of(file: Artifact) -> str:
    return file.uri.split("/", 3)[3]


@lru_cache
def spec_of(schedule: str, suspend: bool) -> FineTuneJobSpec:
    return job_spec(window={"schedule": schedule, "duration": "2h"}, suspend=suspend)


@dataclass
class Pod:
    """A training pod. It holds the card from its start to its end."""

    job: str
    since: float
    step: int
    stop_at: float
    ends: float
    kept_at: float
    told: float | None = None
    """When it got SIGTERM."""


@dataclass
class Job:
    """A Job with what its controller says of it."""

    manifest: dict[str, Any]
    created: float
    over: float | None = None
    succeeded: bool = False
    reason: str = ""
    pods: int = 0

    @property
    def task(self) -> dict[str, Any]:
        text = self.manifest["spec"]["template"]["spec"]["containers"][0]["env"][0]["value"]
        found: dict[str, Any] = json.loads(text)
        return found


@dataclass
class Night:
    """The live state."""

    now: float = field(default_factory=lambda: datetime(2026, 11, 1, 1, 50, tzinfo=UTC).timestamp())
    schedule: str = SCHEDULES[0]
    suspend: bool = False
    jobs: dict[str, Job] = field(default_factory=dict)
    pods: list[Pod] = field(default_factory=list)
    claim: Claim | None = None
    checkpoint: int | None = None
    progress: Progress | None = None
    records: dict[str, StageRecord] = field(default_factory=dict)
    manifests: list[bytes] = field(default_factory=list)
    versions: int = 0
    ggufs: set[str] = field(default_factory=set)
    """Keys of the GGUFs in the bucket."""
    said: Spent = field(default_factory=Spent)
    phases: list[JobPhase] = field(default_factory=list)
    began_at: list[int] = field(default_factory=list)
    """Step at which each training pod began."""
    lost: int = 0
    """Steps that were done and not kept."""

    @property
    def spec(self) -> FineTuneJobSpec:
        return spec_of(self.schedule, self.suspend)

    def is_open(self) -> bool:
        assert self.spec.window is not None
        return opening(self.spec.window, self.now) is not None

    # What is seen.

    def facts(self) -> FineTuneFacts:
        stages = {name: JobStageFacts(record=self.records.get(name), job=self._job_facts(verb)) for name, verb in OTHERS.items()}
        training = sorted((name for name in self.jobs if "-train-" in name), key=lambda name: (self.jobs[name].created, name))
        return FineTuneFacts(
            base=BASE, dataset=DATASET, version="v1.0", claim=self.claim,
            manifest=VersionManifest.model_validate_json(self.manifests[0]) if self.manifests else None,
            version_exists=self.versions > 0, contenders=CONTENDERS,
            adapter=TrainingFacts(
                record=self.records.get("adapter"), jobs=tuple(self._training(name) for name in training), progress=self.progress,
                holding=bool(self.pods),
            ),
            gguf=stages["gguf"], evaluation=stages["evaluation"], cards=(CardFacts("a", 4, 2),), said=self.said,
        )  # fmt: skip

    def _training(self, name: str) -> TrainingJob:
        job = self.jobs[name]
        ends, before = read(job.manifest["metadata"]["annotations"])
        return TrainingJob(self._seen(name), ends, before, job.created, job.over, job.pods)

    def _seen(self, name: str) -> JobFacts:
        job = self.jobs[name]
        return JobFacts(name, job.over is None, job.succeeded, job.over is not None and not job.succeeded, job.reason)

    def _job_facts(self, verb: str) -> JobFacts | None:
        return next((self._seen(name) for name in self.jobs if f"-{verb}-" in name), None)

    # What the operator does.

    def run(self, actions_done: int | None = None) -> Plan:
        """One pass that stops after so many actions, and then reports nothing; None: a whole one."""
        plan = finetune.decide(ME, self.spec, self.facts(), SETTINGS, self.now)
        for action in plan.actions[:actions_done]:
            self.perform(action)
        if actions_done is None:
            status = plan.status.model_dump()
            self.said = Spent(status["gpu_seconds"], status["attempts"])
            phase = JobPhase(status["phase"])
            if self.phases and self.phases[-1] is not phase:
                assert phase in TRANSITIONS[JobPhase][self.phases[-1]], f"{self.phases[-1]} → {phase}"
            self.phases.append(phase)
        return plan

    def perform(self, action: Action) -> None:
        match action:
            case Apply():
                pass
            case Create(manifest) if manifest["kind"] == "ModelVersion":
                self.versions = 1
            case Create(manifest):
                assert "-train-" not in manifest["metadata"]["name"] or self.is_open(), "a training Job is made outside its window"
                self.jobs.setdefault(manifest["metadata"]["name"], Job(manifest, self.now))
            case Delete("Job", _, name):
                self.jobs.pop(name, None)
                for pod in self.pods:
                    if pod.job == name:
                        pod.told = pod.told or self.now
            case PutOnce(key, data) | Put(key, data) if key.endswith("claim.json"):
                self.claim = self.claim or Claim.model_validate_json(data)
            case Remove(key):
                assert "evaluation" in self.records, "a file was removed that evaluation needs"
                self.ggufs.discard(key)
            case Put(key) if key.endswith("README.md"):
                assert not self.manifests, "the card of a version that exists was written again"
            case PutOnce(_, data):
                assert self.manifests in ([], [data]), "a version was published twice, differently"
                self.manifests = [data]
            case _:
                raise AssertionError(f"a FineTuneJob never does {action}")

    # What Kubernetes and the trainer do, with the operator down, too.

    def tick(self) -> None:
        self.now += TICK
        for name, job in list(self.jobs.items()):
            self._control(name, job)
        for pod in list(self.pods):
            self._train(pod)
        self.check()

    def _control(self, name: str, job: Job) -> None:
        """The Job controller, and a scheduler that knows one card."""
        if job.over is not None:
            return
        if "-train-" not in name:
            verb = name.split("-")[-2]
            stage = next(stage for stage, word in OTHERS.items() if word == verb)
            made = [GGUF, WHOLE] if stage == "gguf" else []
            self.ggufs |= {key_of(file) for file in made}
            self.records[stage] = record(stage, made, **(FIGURES if stage == "evaluation" else {}))
            job.over, job.succeeded = self.now, True
            return
        own = next((pod for pod in self.pods if pod.job == name), None)
        if self.now >= job.created + job.manifest["spec"]["activeDeadlineSeconds"]:
            job.over, job.reason = self.now, "DeadlineExceeded"
            if own is not None:
                own.told = own.told or self.now
        elif not self.pods:
            stop_at = datetime.fromisoformat(job.task["stopAt"]).timestamp()
            ends, _ = read(job.manifest["metadata"]["annotations"])
            assert ends is not None
            self.pods.append(Pod(name, self.now, self.checkpoint or 0, stop_at, ends, self.now))
            job.pods += 1
            self.began_at.append(self.checkpoint or 0)

    def _train(self, pod: Pod) -> None:
        if pod.told is None and self.now - pod.since >= STARTUP:
            pod.step = min(STEPS, pod.step + 1)
        if pod.step >= STEPS:
            self.records["adapter"] = record("adapter", [artifact("adapter.safetensors")])
        if pod.told is not None or self.now >= pod.stop_at or "adapter" in self.records:
            self.keep(pod)
            self.end(pod, succeeded=True)
        elif self.now - pod.kept_at >= INTERVAL:
            self.keep(pod)

    def keep(self, pod: Pod) -> None:
        """A checkpoint in the bucket. Attempts write below their own prefix; the newest counts."""
        pod.kept_at, self.checkpoint = self.now, max(pod.step, self.checkpoint or 0)
        at = datetime.fromtimestamp(self.now, UTC)
        self.progress = Progress(step=pod.step, total_steps=STEPS, checkpoint_step=self.checkpoint, at=at)

    def end(self, pod: Pod, succeeded: bool) -> None:
        """A pod that exits 0 completes its Job; one that is killed is replaced."""
        self.pods.remove(pod)
        job = self.jobs.get(pod.job)
        if job is not None and job.over is None and succeeded:
            job.over, job.succeeded = self.now, True

    def check(self) -> None:
        """At most one pod on the card, and none outside a window: Kubernetes and the trainer see to it, the operator or not."""
        assert len(self.pods) <= 1, "two trainings on one card"
        assert len(self.manifests) <= 1
        for pod in self.pods:
            assert self.now - TICK < pod.ends, "a pod holds the card after its window has closed"

    # Faults.

    def kill(self) -> None:
        """A node dies, a pod is killed without a word: what is not in a checkpoint is lost."""
        for pod in list(self.pods):
            self.lost += pod.step - (self.checkpoint or 0)
            self.end(pod, succeeded=False)

    def drain(self) -> None:
        """A pod is told to stop, and keeps a checkpoint."""
        for pod in self.pods:
            pod.told = self.now

    def lose_status(self) -> None:
        self.said = Spent()

    def settle(self, passes: int = 4000) -> None:
        """No more faults, until it has ended. Days are passed over."""
        self.suspend, self.schedule = False, SCHEDULES[0]
        assert self.spec.window is not None
        for _ in range(passes):
            if not self.is_open() and not self.pods and "adapter" not in self.records:
                self.now = next_opening(self.spec.window, self.now)
            self.tick()
            if self.run().status.model_dump()["phase"] is JobPhase.SUCCEEDED:
                return
        raise AssertionError(f"no end in sight: {self.phases[-1]}, checkpoint {self.checkpoint}")
