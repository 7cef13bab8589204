"""Real pods: the whole of Regimen on a throwaway cluster, installed by the chart and driven as a user would.

Everything up to the point where production serves the baseline is the demo's own code; the tests go on from there.
"""

import os
from collections.abc import Iterator

import pytest

from regimen_demo import production as business
from regimen_demo.production import Production


@pytest.fixture(scope="session")
def production(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Production]:
    """Chart, data, baseline, 4 replicas, and an office that never stops asking."""
    if os.geteuid() != 0:
        pytest.fail("the cluster tests need root: they make network namespaces and run kubelets")
    with business.production("test", tmp_path_factory.mktemp("data")) as found:
        yield found
