"""A claims business that serves its baseline: what the cluster tests and the benchmarks on real pods start from.

It is the demo's own way up to there: chart, data, baseline, 4 replicas, and an office that never stops asking.
"""

import os
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import yaml
from kubernetes import client, config

import regimen_cluster
from regimen.act.cluster import Cluster
from regimen.store import Store
from regimen_demo import install
from regimen_demo.install import NAMESPACE, SYSTEM
from regimen_demo.target import Target, build_everything, own_cluster
from regimen_demo.traffic import Office
from regimen_demo.watch import Watch


@dataclass
class Production:
    """The business, and the hands that change it."""

    target: Target
    cluster: Cluster
    store: Store
    watch: Watch
    office: Office
    data: Path

    def apply(self, *documents: dict[str, Any]) -> None:
        self.target.kubectl("apply", "-n", NAMESPACE, "-f", "-", stdin=yaml.safe_dump_all(documents))

    def manifest(self, name: str) -> list[dict[str, Any]]:
        """One of the demo's manifests, to be changed and applied."""
        return list(yaml.safe_load_all((install.MANIFESTS / name).read_text()))

    def kill_operator(self) -> None:
        """Let the operator's pod go without grace; its Deployment makes another."""
        selector = "app.kubernetes.io/component=operator"
        self.target.kubectl("-n", SYSTEM, "delete", "pod", "-l", selector, "--force", "--grace-period=0", "--wait=false")

    @contextmanager
    def operator_killed_at_each(self, look: Callable[[], str], after: float = 0.0) -> Iterator[list[str]]:
        """Whenever `look` says something new, the operator is killed, so many seconds later; gives what was said."""
        said: list[str] = []
        stop = threading.Event()

        def work() -> None:
            while not stop.wait(0.2):
                if (now := look()) and now not in said:
                    said.append(now)
                    time.sleep(after)
                    self.kill_operator()

        thread = threading.Thread(target=work)
        thread.start()
        try:
            yield said
        finally:
            stop.set()
            thread.join()


@contextmanager
def production(name: str, folder: Path) -> Iterator[Production]:
    """The business on a throwaway cluster of this name, which is taken down at the end (unless REGIMEN_KEEP_CLUSTER=1).

    `folder` takes its exports. Raises DemoError or ClusterError where it does not get as far as serving.
    """
    started = time.monotonic()
    install.make_data(folder)
    target = own_cluster(name, build_everything(None))
    install.reset(target)
    office = watch = None
    try:
        install.install_chart(target)
        store = install.bucket(target)
        install.upload_data(store, folder)
        baseline = install.upload_model(store, install.baseline_model(target, store))
        target.kubectl("create", "namespace", NAMESPACE)
        config.load_kube_config(config_file=str(target.kubeconfig))
        cluster = Cluster(client.ApiClient())
        watch = Watch(cluster, started)
        watch.start()
        target.kubectl("apply", "-n", NAMESPACE, "-f", "-", stdin=yaml.safe_dump(baseline))
        install.apply(target, "claims.yaml")
        watch.until("ModelService", "openins", {"Ready"}, set(), 300)
        watch.until("TrainingDataset", "business", {"Ready"}, {"Invalid", "Failed"}, 300)
        service, feedback = target.forward(NAMESPACE, "openins", 80), target.forward(SYSTEM, "regimen-feedback", 8090)
        office = Office(service, feedback, folder / "office/historical_claims.csv", workers=4, seed=2)
        office.pause = 0.05
        office.open()
        yield Production(target, cluster, store, watch, office, folder)
    finally:
        if office is not None:
            office.close()
        if watch is not None:
            watch.close()
        target.close()
        if os.environ.get("REGIMEN_KEEP_CLUSTER") != "1":
            regimen_cluster.down(name)
