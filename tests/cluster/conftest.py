"""Real pods: the whole of Regimen on a throwaway cluster, installed by the chart and driven as a user would.

Everything here is the demo's own code up to the point where production serves the baseline; the tests go on from there.
"""

import os
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import pytest
import yaml
from kubernetes import client, config

import regimen_cluster
from regimen.act.cluster import Cluster
from regimen_demo import install
from regimen_demo.install import NAMESPACE, SYSTEM
from regimen_demo.target import build_everything, own_cluster
from regimen_demo.traffic import Office
from regimen_demo.watch import Watch

sys.path.insert(0, str(Path(__file__).parent))
from production import Production

NAME = "test"


@pytest.fixture(scope="session")
def production(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Production]:
    """Chart, data, baseline, 4 replicas, and an office that never stops asking."""
    if os.geteuid() != 0:
        pytest.fail("the cluster tests need root: they make network namespaces and run kubelets")
    started = time.monotonic()
    folder = tmp_path_factory.mktemp("data")
    install.make_data(folder)
    target = own_cluster(NAME, build_everything(None))
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
            regimen_cluster.down(NAME)
