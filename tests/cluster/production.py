"""A claims business that serves its baseline: what the cluster tests start from."""

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import yaml

from regimen.act.cluster import Cluster
from regimen.store import Store
from regimen_demo import install
from regimen_demo.install import NAMESPACE
from regimen_demo.target import Target
from regimen_demo.traffic import Office
from regimen_demo.watch import Watch


@dataclass
class Production:
    """A claims business that serves its baseline."""

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
