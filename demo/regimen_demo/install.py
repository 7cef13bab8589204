"""Install the chart, make the business's data and the model that it serves today, put both into the bucket."""

import hashlib
import json
import os
import shutil
import subprocess
import sys
from base64 import b64decode
from pathlib import Path
from typing import Any

import yaml

import regimen_cluster
from regimen.store import Store
from regimen_demo.target import ROOT, DemoError, Target

SYSTEM, NAMESPACE = "regimen-system", "claims"
MANIFESTS = Path(__file__).resolve().parents[1] / "manifests"
CLAIMS, DOCUMENTS, SEED = 4000, 300, 7


def cache() -> Path:
    return Path(os.environ.get("REGIMEN_CACHE", "/var/cache/regimen"))


def make_data(folder: Path) -> None:
    """The business's exports, another year's claims for the office, and the same claims with shuffled decisions."""
    _regimen("generate", "--claims", str(CLAIMS), "--documents", str(DOCUMENTS), "--seed", str(SEED), "--out", str(folder))
    _regimen("generate", "--claims", "2000", "--documents", "0", "--seed", str(SEED + 1), "--out", str(folder / "office"))
    shuffled = ["generate", "--claims", str(CLAIMS), "--documents", "0", "--seed", str(SEED), "--shuffle-labels"]
    _regimen(*shuffled, "--out", str(folder / "shuffled"))


def _regimen(*args: str) -> None:
    done = subprocess.run([sys.executable, "-m", "regimen.cli.main", *args], capture_output=True, text=True, check=False)
    if done.returncode:
        raise DemoError(f"regimen {args[0]}: {done.stderr or done.stdout}")


def reset(target: Target) -> None:
    """Remove what an earlier run left on the throwaway cluster; its images stay. Nothing is left to be rolled back."""
    if target.name is None:
        raise DemoError("a cluster of the user's is never reset")
    if SYSTEM not in target.kubectl("get", "namespaces", "-o", "name"):
        return
    for name in target.kubectl("get", "modelrollouts", "-n", NAMESPACE, "-o", "name", "--ignore-not-found").split():
        target.kubectl("patch", "-n", NAMESPACE, name, "--type=merge", "-p", '{"metadata":{"finalizers":null}}')
    target.helm("uninstall", "regimen", "-n", SYSTEM, "--ignore-not-found", "--wait")
    target.kubectl("delete", "namespace", NAMESPACE, SYSTEM, "--ignore-not-found", "--wait=false")
    # Nobody's requests are left to be drained, and in a namespace that ends nothing makes new pods.
    for namespace in (NAMESPACE, SYSTEM):
        target.kubectl("delete", "pods", "--all", "-n", namespace, "--force", "--grace-period=0", "--ignore-not-found")
    target.kubectl("wait", "--for=delete", f"namespace/{NAMESPACE}", f"namespace/{SYSTEM}", "--timeout=120s")
    regimen_cluster.recycle_disks(target.name)


def install_chart(target: Target) -> None:
    """`helm upgrade --install`, as a user does; values say where images and volumes are."""
    values = cache() / "demo-values.yaml"
    values.write_text(yaml.safe_dump(_values(target)))
    target.helm(
        "upgrade", "--install", "regimen", str(ROOT / "charts/regimen"), "--namespace", SYSTEM, "--create-namespace",
        "--values", str(values), "--wait", "--timeout", "5m",
    )  # fmt: skip


def _values(target: Target) -> dict[str, Any]:
    images, disk = target.images, {"storageClassName": target.storage_class, "size": "5Gi"}
    node = {"gpu": "rtx3060"} if target.own else {}
    small = {"requests": {"cpu": "50m", "memory": "128Mi"}, "limits": {"memory": "4Gi"}}
    return {
        "operator": {"image": {"ref": images["operator"]}, "resyncSeconds": 5, "nodeSelector": node},
        "training": {"image": {"ref": images["trainer"]}, "resources": small, "nodeSelector": {"gpu": "rtx3090"} if target.own else {}},
        "serving": {"image": {"ref": images["server"]}, "resources": small},
        "router": {"image": {"ref": images["router"]}},
        "feedback": {"image": {"ref": images["feedback"]}, "persistence": disk, "nodeSelector": node},
        "objectStore": {"embedded": {"image": {"ref": images["objectstore"]}, "persistence": disk, "nodeSelector": node}},
    }


def bucket(target: Target) -> Store:
    """The embedded object store, through a forward, with the chart's own credentials."""
    secret = json.loads(target.kubectl("-n", SYSTEM, "get", "secret", "regimen-objectstore", "-o", "json"))["data"]
    store = Store.from_env(
        {
            "REGIMEN_S3_ENDPOINT": target.forward(SYSTEM, "regimen-objectstore", 9000), "REGIMEN_S3_BUCKET": "regimen",
            "AWS_ACCESS_KEY_ID": b64decode(secret["accessKey"]).decode(), "AWS_SECRET_ACCESS_KEY": b64decode(secret["secretKey"]).decode(),
        }
    )  # fmt: skip
    store.ensure_bucket()
    return store


def upload_data(store: Store, folder: Path) -> None:
    store.upload(folder / "historical_claims.csv", "raw/historical_claims.csv", "historical_claims.csv")
    store.upload(folder / "clinical_documents.csv", "raw/clinical_documents.csv", "clinical_documents.csv")
    store.upload(folder / "shuffled/historical_claims.csv", "raw/shuffled_claims.csv", "shuffled_claims.csv")


def model_key() -> str:
    """Names the model that production runs today: by the code that makes it."""
    digest = hashlib.sha256()
    for path in sorted((ROOT / "images/trainer/regimen_trainer/generator").glob("*.py")):
        digest.update(path.read_bytes())
    return digest.hexdigest()[:12]


def baseline_model(target: Target, store: Store) -> Path:
    """The small Llama that serves as the baseline. Made once by a pod of the trainer image, then kept in the cache."""
    folder = cache() / f"model-{model_key()}"
    if not folder.exists():
        target.kubectl("apply", "-n", SYSTEM, "-f", "-", stdin=yaml.safe_dump(_model_job(target)))
        target.kubectl("wait", "-n", SYSTEM, "--for=condition=complete", "job/make-model", "--timeout=15m")
        partial = folder.with_suffix(".partial")
        shutil.rmtree(partial, ignore_errors=True)
        for key in store.keys("made/"):
            store.download(store.uri(key), partial / key.removeprefix("made/"))
        partial.rename(folder)
        target.kubectl("delete", "-n", SYSTEM, "job/make-model", "--wait=false")
    return folder


def _model_job(target: Target) -> dict[str, Any]:
    store = {
        "REGIMEN_S3_ENDPOINT": f"http://regimen-objectstore.{SYSTEM}.svc:9000", "REGIMEN_S3_BUCKET": "regimen",
    }  # fmt: skip
    keys = {"AWS_ACCESS_KEY_ID": "accessKey", "AWS_SECRET_ACCESS_KEY": "secretKey"}
    env: list[dict[str, Any]] = [{"name": name, "value": value} for name, value in {**store, "HOME": "/scratch"}.items()]
    env += [{"name": name, "valueFrom": {"secretKeyRef": {"name": "regimen-objectstore", "key": key}}} for name, key in keys.items()]
    container = {
        "name": "make-model", "image": target.images["trainer"], "env": env,
        "args": ["generate-model", "--out", "/scratch/model", "--upload", "made/"],
        "volumeMounts": [{"name": "scratch", "mountPath": "/scratch"}, {"name": "tmp", "mountPath": "/tmp"}],
    }  # fmt: skip
    pod = {
        "restartPolicy": "Never", "containers": [container], "nodeSelector": {"gpu": "rtx3090"} if target.own else {},
        "volumes": [{"name": "scratch", "emptyDir": {}}, {"name": "tmp", "emptyDir": {}}],
    }  # fmt: skip
    spec = {"backoffLimit": 1, "template": {"spec": pod}}
    return {"apiVersion": "batch/v1", "kind": "Job", "metadata": {"name": "make-model"}, "spec": spec}


def upload_model(store: Store, folder: Path) -> dict[str, Any]:
    """Weights and GGUF into the bucket; returns the baseline's ModelVersion as a user would write it."""
    for path in sorted((folder / "weights").iterdir()):
        store.upload(path, f"base/openins/{path.name}", path.name)
    gguf = next(folder.glob("*.gguf"))
    artifact = store.upload(gguf, f"base/{gguf.name}", gguf.name)
    return {
        "apiVersion": "regimen.dev/v1alpha1", "kind": "ModelVersion", "metadata": {"name": "openins-baseline"},
        "spec": {
            "model": "openins", "version": "baseline", "weights": {"s3": {"uri": store.uri("base/openins/")}},
            "gguf": [{"quantization": "Q6_K", "uri": artifact.uri, "sha256": artifact.sha256}],
        },
    }  # fmt: skip


def apply(target: Target, name: str) -> None:
    """Apply one of the demo's manifests; on a cluster of the user's, serve and train on the CPU."""
    documents = list(yaml.safe_load_all((MANIFESTS / name).read_text()))
    if not target.own:
        documents = [_for_any_cluster(document, target) for document in documents]
    target.kubectl("apply", "-n", NAMESPACE, "-f", "-", stdin=yaml.safe_dump_all(documents))


def _for_any_cluster(document: dict[str, Any], target: Target) -> dict[str, Any]:
    spec = document["spec"]
    if document["kind"] == "ModelService":
        spec["placement"] = {"gpus": 0}
    if document["kind"] == "FineTuneJob":
        spec["placement"], spec["borrow"] = {"nodeSelector": {}, "wholeCard": False}, {"mode": "None"}
    if document["kind"] == "PersistentVolumeClaim":
        document["spec"] = {"accessModes": ["ReadWriteOnce"], "resources": spec["resources"], "storageClassName": target.storage_class}
        if target.storage_class is None:
            del document["spec"]["storageClassName"]
    return document
