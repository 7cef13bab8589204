"""Real pods: the whole of Regimen on a throwaway cluster, installed by the chart and driven as a user would.

Everything here is the demo's own code up to the point where production serves the baseline; the tests go on from there.
"""

import os
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

import regimen_cluster
from regimen_demo.install import NAMESPACE, SYSTEM
from regimen_demo.stage import stage
from regimen_demo.traffic import Office

sys.path.insert(0, str(Path(__file__).parent))
from production import Production

NAME = "test"


@pytest.fixture(scope="session")
def production(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Production]:
    """Chart, data, baseline, 4 replicas, and an office that never stops asking."""
    if os.geteuid() != 0:
        pytest.fail("the cluster tests need root: they make network namespaces and run kubelets")
    folder = tmp_path_factory.mktemp("data")
    office = None
    try:
        with stage(NAME, folder) as live:
            live.watch.until("TrainingDataset", "business", {"Ready"}, {"Invalid", "Failed"}, 300)
            service, feedback = live.target.forward(NAMESPACE, "openins", 80), live.target.forward(SYSTEM, "regimen-feedback", 8090)
            office = Office(service, feedback, folder / "office/historical_claims.csv", workers=4, seed=2)
            office.pause = 0.05
            office.open()
            yield Production(live.target, live.cluster, live.store, live.watch, office, folder)
    finally:
        if office is not None:
            office.close()
        if os.environ.get("REGIMEN_KEEP_CLUSTER") != "1":
            regimen_cluster.down(NAME)
