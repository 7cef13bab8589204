"""A namespace, an operator for it, and a trainer that does by hand what trainer pods would: read the Job's task, write its record."""

import json
import re
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any

from plan_builders import AT, DIGEST, example, merged

from regimen.act.cluster import KINDS, OUR_KINDS, Cluster, Object
from regimen.act.reconcile import Reconciler
from regimen.plan.common import Settings
from regimen.spec.artifacts import (
    Artifact,
    DatasetManifest,
    Stage,
    StageRecord,
    TaskFigures,
    dataset_prefix,
    prepared_key,
    stage_record_key,
)
from regimen.spec.tasks import AdoptTask, ConvertTask, EvaluateTask, ImportTask, PrepareTask, TaskAdapter, TrainTask
from regimen.store import AlreadyExistsError, Store

SOURCES = ("raw/historical_claims.csv", "raw/clinical_documents.csv")
FIGURES: dict[str, Any] = {
    "rows": 100,
    "agreement": 0.9,
    "falseDenialRate": 0.01,
    "quantizationDivergence": 0.004,
    "libraries": "trl 1",
} | {f"{metric}@{name}": value for name in ("Serving", "Baseline") for metric, value in (("agreement", 0.88), ("falseDenialRate", 0.02))}
SHOWN = (
    "Job",
    "Deployment",
    "ControllerRevision",
    "Service",
    "ConfigMap",
    "Secret",
    "ServiceAccount",
    "PodDisruptionBudget",
    "Role",
    "RoleBinding",
)


class Stopped(Exception):
    """The operator stops here, as by SIGKILL."""


@dataclass
class Countdown:
    """Writes left until the operator stops; None: it does not."""

    left: int | None = None
    writes: int = 0

    def wrote(self) -> None:
        self.writes += 1
        if self.left is not None:
            self.left -= 1
            if self.left == 0:
                self.left = None
                raise Stopped


class CountedCluster(Cluster):
    """Counts what it changed, and stops after the last one."""

    def __init__(self, cluster: Cluster, countdown: Countdown) -> None:
        super().__init__(cluster.api)
        self.countdown = countdown

    def _call(self, method: str, path: str, *args: Any, **kwargs: Any) -> Object | None:
        answer = super()._call(method, path, *args, **kwargs)
        if method != "GET":
            self.countdown.wrote()
        return answer


class CountedStore(Store):
    """Likewise."""

    def __init__(self, store: Store, countdown: Countdown) -> None:
        super().__init__(store._s3, store.bucket)
        self.countdown = countdown

    def put(self, key: str, data: bytes) -> None:
        super().put(key, data)
        self.countdown.wrote()

    def put_once(self, key: str, data: bytes) -> None:
        super().put_once(key, data)
        self.countdown.wrote()


@dataclass
class Wire:
    """One namespace."""

    namespace: str
    cluster: Cluster
    store: Store
    settings: Settings
    reconciler: Reconciler
    countdown: Countdown = field(default_factory=Countdown)

    def mortal(self) -> "Wire":
        """The same with an operator that can be stopped by `countdown`."""
        countdown = Countdown()
        cluster, store = CountedCluster(self.cluster, countdown), CountedStore(self.store, countdown)
        reconciler = Reconciler(cluster, store, self.settings, AT.timestamp)
        return Wire(self.namespace, self.cluster, self.store, self.settings, reconciler, countdown)

    # What a person does.

    def give(self, number_and_kind: str, name: str | None = None, **spec: Any) -> str:
        """Create an example, with changes; returns its name."""
        document = example(number_and_kind)
        document["metadata"] |= {"namespace": self.namespace, **({"name": name} if name else {})}
        document["spec"] = merged(document["spec"], spec)
        for path in (f"s3://{self.store.bucket}/{key}" for key in SOURCES):
            document = json.loads(json.dumps(document).replace(path, path.replace("raw/", f"{self.namespace}/raw/")))
        assert self.cluster.create(document)
        return str(document["metadata"]["name"])

    def upload(self, *keys: str) -> None:
        for key in keys or SOURCES:
            self.store.put(f"{self.namespace}/{key}", b"claim_id\n1\n")

    def claim(self) -> None:
        """The cache's PersistentVolumeClaim."""
        self.cluster.create(
            {"apiVersion": "v1", "kind": "PersistentVolumeClaim", "metadata": {"name": "model-cache", "namespace": self.namespace},
             "spec": {"accessModes": ["ReadWriteOnce"], "resources": {"requests": {"storage": "1Gi"}}}}
        )  # fmt: skip

    def job_on_cpu(self, name: str = "openins-v1-0", **spec: Any) -> str:
        return self.give("3-finetunejob", name, **merged({"placement": {"wholeCard": False}, "borrow": {"mode": "None"}}, spec))

    # What is seen.

    def get(self, kind: str, name: str) -> Object:
        found = self.cluster.get(kind, self.namespace, name)
        assert found is not None, f"no {kind} {name}"
        return found

    def phase(self, kind: str, name: str) -> str:
        return str(self.get(kind, name).get("status", {}).get("phase"))

    def said(self, kind: str, name: str) -> tuple[str, str, str]:
        """Phase, reason of Ready, message."""
        status = self.get(kind, name)["status"]
        reason = next(item["reason"] for item in status["conditions"] if item["type"] == "Ready")
        return status["phase"], reason, status["message"]

    def all_of(self, kind: str) -> list[Object]:
        return self.cluster.items(kind, self.namespace)

    def versions(self) -> dict[str, str]:
        """resourceVersion of everything but events, by kind and name."""
        kinds = [kind for kind in KINDS if kind not in {"Event", "Node"}]
        return {f"{kind}/{obj['metadata']['name']}": obj["metadata"]["resourceVersion"] for kind in kinds for obj in self.all_of(kind)}

    def keys(self) -> list[str]:
        return [key for key in self.store.keys("") if f"/{self.namespace}/" in key]

    def picture(self, *words: str) -> dict[str, Any]:
        """Objects and documents whose name has one of the words (all where none is given), without what differs from run to run."""
        uids = {obj["metadata"]["uid"]: f"{kind}-uid" for kind in OUR_KINDS for obj in self.all_of(kind)}
        found: dict[str, Any] = {
            f"{kind}/{obj['metadata']['name']}": _bare(kind, obj) for kind in (*OUR_KINDS, *SHOWN) for obj in self.all_of(kind)
        }  # fmt: skip
        found |= {key: self.store.get(key).decode() for key in self.keys()}
        text = json.dumps({name: item for name, item in found.items() if any(word in name for word in words or ("",))}, sort_keys=True)
        for uid, word in uids.items():
            text = text.replace(uid, word).replace(uid[:8], word)
        for word in (self.namespace, *words):
            text = text.replace(word, "WORD")
        # Digests over a namespace's name or a uid: of inputs, of signing keys.
        same: dict[str, Any] = json.loads(re.sub(r"(?<![0-9a-f.])[0-9a-f]{16,64}(?![0-9a-f])", "H", text))
        return same

    # What the operator and the trainer do.

    def turn(self) -> None:
        """One pass of every resource."""
        for kind in OUR_KINDS:
            for obj in self.all_of(kind):
                self.reconciler.reconcile(kind, self.namespace, obj["metadata"]["name"])

    def work_on(self, kind: str, name: str, passes: int = 16) -> None:
        """Passes of one resource, with its trainers."""
        for _ in range(passes):
            self.reconciler.reconcile(kind, self.namespace, name)
            self.train()

    def work(self, until: Callable[[], bool] | None = None, turns: int = 40) -> None:
        """Operator and trainer, until nothing changes any more or `until` holds."""
        for _ in range(turns):
            before = self.versions(), self.keys()
            self.turn()
            self.train()
            if until is not None and until():
                return
            if (self.versions(), self.keys()) == before:
                assert until is None, "nothing moves any more"
                return
        raise AssertionError("no rest")

    def train(self) -> None:
        """Every Job's trainer writes its record."""
        for job in self.all_of("Job"):
            container = job["spec"]["template"]["spec"]["containers"][0]
            if container["name"] != "trainer":
                continue
            try:
                self._do(next(item["value"] for item in container["env"] if item["name"] == "REGIMEN_TASK"))
            except AlreadyExistsError:
                raise AssertionError("a record was written twice, differently") from None

    def _do(self, task_json: str) -> None:
        match TaskAdapter.validate_json(task_json):
            case PrepareTask() as task:
                manifest = revision_of(task.dataset, self.store)
                text = manifest.model_dump_json(by_alias=True).encode()
                self.store.put_once(dataset_prefix(task.namespace, task.dataset, manifest.digest) + "manifest.json", text)
                self.store.put_once(prepared_key(task.namespace, task.dataset, task.spec_hash), text)
            case ImportTask() as task:
                weights = [self._file("model.safetensors")] if task.weights else []
                files = [file.model_copy(update={"bytes": 7}) for file in task.gguf]
                self._record(task, "weights", [*weights, *files], {"weightsDigest": f"sha256:{DIGEST}"})
            case TrainTask() as task:
                self._record(task, "adapter", [self._file("adapter.safetensors")], {"libraries": "trl 1"})
            case AdoptTask() as task:
                self._record(task, "adapter", [self._file("adapter_model.safetensors")], {"source": task.adapter_uri})
            case ConvertTask() as task:
                made = [self._file(f"{task.model}-{task.version}-{q}.gguf") for q in task.written]
                if not self.store.exists(stage_record_key(task.namespace, task.model, task.version, task.uid, "gguf")):
                    for file in made:
                        self.store.put(f"{self.namespace}/{file.path}", b"GGUF and so")
                self._record(task, "gguf", made, {})
            case EvaluateTask() as task:
                self._record(task, "evaluation", [], FIGURES)

    def _file(self, path: str) -> Artifact:
        return Artifact(path=path, uri=self.store.uri(f"{self.namespace}/{path}"), sha256=DIGEST, bytes=9)

    def _record(self, task: Any, stage: Stage, files: list[Artifact], figures: dict[str, Any]) -> None:
        done = StageRecord(stage=stage, job=getattr(task, "job", "import"), uid=task.uid, files=files, figures=figures, finished_at=AT)
        self.store.put_once(
            stage_record_key(task.namespace, task.model, task.version, task.uid, stage), done.model_dump_json(by_alias=True).encode()
        )


def revision_of(dataset: str, store: Store) -> DatasetManifest:
    names = ("medicalAnalysis", "adjudication", "clinicalDocs")
    tasks = [TaskFigures(name=n, train=900, test=100, train_path=f"{n}/train.jsonl", test_path=f"{n}/test.jsonl") for n in names]
    files = [Artifact(path=p, uri=store.uri(p), sha256=DIGEST, bytes=1) for task in tasks for p in (task.train_path, task.test_path)]
    return DatasetManifest(
        dataset=dataset, digest=f"sha256:{DIGEST}", files=files, tasks=tasks, rows_read=3000, rows_used=3000, published_at=AT
    )


def _bare(kind: str, obj: Object) -> Object:
    meta = obj["metadata"]
    kept = {key: meta[key] for key in ("labels", "annotations", "ownerReferences", "finalizers") if key in meta}
    body = {key: value for key, value in obj.items() if key not in {"metadata", "apiVersion", "kind"}}
    if kind == "Secret":
        body["data"] = sorted(body["data"])
    if kind == "Job":
        kept["labels"] = {key: value for key, value in kept.get("labels", {}).items() if "uid" not in key}
        body = {"template": body["spec"]["template"]["spec"], "deadline": body["spec"].get("activeDeadlineSeconds")}
    if kind == "Service":
        body["spec"] = {key: value for key, value in body["spec"].items() if not key.startswith(("clusterIP", "ipFamil"))}
    return {"metadata": kept, **body}


@contextmanager
def at_work(turn: Callable[[], object], patience: float = 60) -> Iterator[None]:
    """The operator's passes, one after the other in a thread of their own, while a person types. patience: seconds that the last may take."""
    stop = threading.Event()

    def work() -> None:
        while not stop.is_set():
            turn()

    thread = threading.Thread(target=work, name="operator")
    thread.start()
    try:
        yield
    finally:
        stop.set()
        thread.join(timeout=patience)
        assert not thread.is_alive()
