"""Kernel settings that a kubelet changes for the whole machine: remembered before the first cluster, put back after the last."""

from __future__ import annotations

import json
from pathlib import Path

from regimen_cluster.layout import STATE_ROOT, cache_root

# kubelet --protect-kernel-defaults=false writes these at every start.
NAMES = (
    "vm/overcommit_memory",
    "vm/panic_on_oom",
    "kernel/panic",
    "kernel/panic_on_oops",
    "kernel/keys/root_maxkeys",
    "kernel/keys/root_maxbytes",
)
SYSCTL = Path("/proc/sys")


def record_path() -> Path:
    """Kept in the cache, as a cluster's state is thrown away."""
    return cache_root() / "tunables.json"


def remember() -> None:
    """Record the settings, unless an earlier cluster that is still there already did."""
    if record_path().exists():
        return
    values = {name: (SYSCTL / name).read_text(encoding="utf-8").strip() for name in NAMES if (SYSCTL / name).exists()}
    record_path().write_text(json.dumps(values, indent=1), encoding="utf-8")


def put_back() -> None:
    """Restore what was recorded once no cluster's state is left."""
    if not record_path().exists() or (STATE_ROOT.is_dir() and any(STATE_ROOT.iterdir())):
        return
    for name, value in json.loads(record_path().read_text(encoding="utf-8")).items():
        setting = SYSCTL / name
        if setting.read_text(encoding="utf-8").strip() != value:
            setting.write_text(value, encoding="utf-8")
    record_path().unlink()
