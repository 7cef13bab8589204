"""`make demo`: everything a user would do, in order, and a verdict at the end.

Exit 0: v1.0 was promoted and the bad candidate rolled back. Exit 1: something else happened; the last lines say what.
"""

import argparse
import os
import sys
import tempfile
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing
from pathlib import Path
from typing import TypeVar

import yaml
from kubernetes import client, config

import regimen_cluster
from regimen.act.cluster import Cluster
from regimen.store import Store
from regimen_demo import install
from regimen_demo.install import NAMESPACE, SYSTEM
from regimen_demo.summary import summary
from regimen_demo.target import DemoError, Target, build_everything, own_cluster, users_cluster
from regimen_demo.traffic import Office
from regimen_demo.view import View
from regimen_demo.watch import Watch

Result = TypeVar("Result")
QUIET, BUSY = 1.0, 0.02
"""Seconds that each of four clerks takes between two claims: at night, and while labels are waited for."""
ENDED = {"Promoted", "RolledBack", "Invalid"}


def main() -> int:
    parser = argparse.ArgumentParser(prog="make demo", description="From business CSVs to a promoted GGUF, on a real cluster.")
    parser.add_argument("--context", help="a context of your kubeconfig; without it the demo makes a cluster of its own")
    parser.add_argument("--push", metavar="REGISTRY", help="with --context: push the images there")
    parser.add_argument("--load", metavar="COMMAND", help="with --context: load each image, e.g. 'kind load image-archive {archive}'")
    parser.add_argument("--storage-class", help="with --context: for the volumes; the cluster's default without it")
    args = parser.parse_args()
    if args.context and not (args.push or args.load):
        parser.error("with --context say where the images go: --push REGISTRY or --load COMMAND")
    started = time.monotonic()
    with View(started) as view, tempfile.TemporaryDirectory() as folder:
        try:
            return _run(args, view, started, Path(folder))
        except (DemoError, regimen_cluster.ClusterError) as error:
            view.quiet()
            view.console.print(f"The demo stopped: {error}", style="bold red", markup=False)
            return 1


def _run(args: argparse.Namespace, view: View, started: float, folder: Path) -> int:
    with closing(_prepare(args, view, folder)) as target:  # its forwards are needed until the summary has read the bucket
        watch = Watch(Cluster(_api(target)), started)
        view.follow(lambda: watch.seen)
        office: Office | None = None
        try:
            store, office = _serve(target, view, watch, folder)
            _train_and_roll_out(target, view, watch, office, "v1-0", "openins-v1-0")
            _train_and_roll_out(target, view, watch, office, "bad", "openins-bad")
            view.step("looking once more")
            time.sleep(3)
        finally:
            if office is not None:
                office.close()
            watch.close()
            view.quiet()
        return summary(view, watch.seen, office.tally, target, store)


def _prepare(args: argparse.Namespace, view: View, folder: Path) -> Target:
    """Programs, images, data: side by side where they do not need each other."""
    view.step("building what is not built yet: Kubernetes, images; making the business's data")
    with ThreadPoolExecutor() as pool:
        data = pool.submit(install.make_data, folder)
        images = build_everything(args.push)
        data.result()
    if args.context:
        view.step(f"loading the images into {args.context}")
        return users_cluster(args.context, images, args.load, args.storage_class)
    view.step("bringing the cluster up and loading the images")
    name = os.environ.get("REGIMEN_DEMO_CLUSTER", "demo")
    target = own_cluster(name, images)
    install.reset(target)
    return target


def _api(target: Target) -> client.ApiClient:
    config.load_kube_config(config_file=str(target.kubeconfig), context=target.context)
    return client.ApiClient()


def _serve(target: Target, view: View, watch: Watch, folder: Path) -> tuple[Store, Office]:
    """Chart, data, baseline: production as it was before Regimen."""
    view.step("installing the chart")
    install.install_chart(target)
    store = install.bucket(target)
    install.upload_data(store, folder)
    view.step("making the model that production runs today (cached)")
    model = install.baseline_model(target, store)
    baseline = install.upload_model(store, model)
    view.step("serving the baseline from 4 replicas; preparing the training data")
    target.kubectl("create", "namespace", NAMESPACE)
    target.kubectl("apply", "-n", NAMESPACE, "-f", "-", stdin=yaml.safe_dump(baseline))
    install.apply(target, "claims.yaml")
    watch.start()
    view.live()
    _until(view, lambda: watch.until("ModelService", "openins", {"Ready"}, set(), 300))
    office = Office(
        target.forward(NAMESPACE, "openins", 80), target.forward(SYSTEM, "regimen-feedback", 8090),
        folder / "office/historical_claims.csv", workers=4, seed=1,
    )  # fmt: skip
    office.open()
    view.count(lambda: office.tally)
    _until(view, lambda: watch.until("TrainingDataset", "business", {"Ready"}, {"Invalid", "Failed"}, 300))
    return store, office


def _train_and_roll_out(target: Target, view: View, watch: Watch, office: Office, stem: str, name: str) -> None:
    view.step(f"fine-tuning: {stem}.yaml")
    install.apply(target, f"{stem}.yaml")
    _until(view, lambda: watch.until("FineTuneJob", name, {"Succeeded"}, {"Failed", "Cancelled"}, 900))
    _until(view, lambda: watch.until("ModelService", "openins", {"Ready"}, set(), 300))
    view.step(f"rolling out: {stem}-rollout.yaml")
    install.apply(target, f"{stem}-rollout.yaml")
    office.pause = BUSY
    _until(view, lambda: watch.until("ModelRollout", name, ENDED, set(), 1200))
    office.pause = QUIET


def _until(view: View, wait: Callable[[], Result]) -> Result:
    """Wait in a thread, so that changes are told meanwhile."""
    with ThreadPoolExecutor(max_workers=1) as pool:
        job = pool.submit(wait)
        while not job.done():
            view.tell()
            time.sleep(0.5)
        view.tell()
        return job.result()


if __name__ == "__main__":
    sys.exit(main())
