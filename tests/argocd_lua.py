"""Argo CD's health scripts, run by a real Lua as Argo CD runs them."""

from pathlib import Path
from typing import Any

import lupa.lua51 as lupa

ARGOCD = Path(__file__).parents[1] / "charts/regimen/argocd"


def health(resource: dict[str, Any]) -> dict[str, Any]:
    """status and message that the script of the resource's kind says."""
    lua = lupa.LuaRuntime(unpack_returned_tuples=True)
    lua.globals()["obj"] = lua.table_from(resource, recursive=True)
    return dict(lua.execute((ARGOCD / resource["kind"] / "health.lua").read_text()))
