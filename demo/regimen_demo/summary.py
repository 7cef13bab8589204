"""The end of the demo: baseline against v1.0, what the office saw, where pods ran, what lies in the bucket, where to look further."""

import hashlib
import time
from typing import Any

from rich.table import Table

from regimen.spec.artifacts import VersionManifest
from regimen.store import Store
from regimen_demo.install import NAMESPACE
from regimen_demo.target import Target
from regimen_demo.traffic import Tally
from regimen_demo.view import View
from regimen_demo.watch import Seen


def summary(view: View, seen: Seen, tally: Tally, target: Target, store: Store) -> int:
    """Print everything; return the exit code."""
    good = _status(seen, "ModelRollout", "openins-v1-0")
    bad = _status(seen, "ModelRollout", "openins-bad")
    serves = _status(seen, "ModelService", "openins").get("stableVersion")
    print_ = view.console.print
    print_(_arms(good, "Baseline against v1.0, live"))
    print_(_arms(bad, "v1.0 against the bad candidate, live"))
    print_(_places(seen))
    print_(_steps(view))
    print_(
        f"The office sent {tally.sent} requests during the whole demo; {tally.failed} failed {dict(tally.errors) or ''}; "
        f"by version {dict(tally.answered)}; slowest {tally.slowest:.2f} s; labels refused {tally.labels_refused}.",
        markup=False,
    )
    if tally.failures:
        print_(
            "Failures: " + ", ".join(f"{time.strftime('%H:%M:%S', time.gmtime(at))} {what}" for at, what in tally.failures), markup=False
        )
    wrong = _digests(store)
    print_(f"Published versions: {_versions(store)}; files whose digest differs from the manifest: {wrong or 'none'}", markup=False)
    print_(f"v1.0: {good.get('phase')} ({good.get('message')})", markup=False)
    print_(f"bad candidate: {bad.get('phase')} ({bad.get('message')}); {serves} serves", markup=False)
    ok = good.get("phase") == "Promoted" and bad.get("phase") == "RolledBack" and serves == "openins-v1.0" and not wrong
    print_("OK: v1.0 promoted, bad candidate rolled back" if ok else "NOT as it should be", style="bold green" if ok else "bold red")
    print_(_further(target), markup=False)
    return 0 if ok else 1


def _status(seen: Seen, kind: str, name: str) -> dict[str, Any]:
    status: dict[str, Any] = seen.objects.get((kind, name), {}).get("status", {})
    return status


def _arms(rollout: dict[str, Any], title: str) -> Table:
    arms = rollout.get("arms") or {}
    stable, candidate = arms.get("stable") or {}, arms.get("candidate") or {}
    table = Table(title=title)
    for column in ("figure", str(stable.get("version")), str(candidate.get("version"))):
        table.add_column(column)
    for figure in ("requests", "errors", "latencyP95Ms", "labelled", "agreement", "precision", "recall", "falseDenialRate"):
        table.add_row(figure, str(stable.get(figure, "-")), str(candidate.get(figure, "-")))
    verdict = rollout.get("verdict") or {}
    table.add_row("verdict", "", f"{verdict.get('decision')}: {verdict.get('effect')} {verdict.get('interval')}")
    return table


def _places(seen: Seen) -> Table:
    table = Table(title="Where each pod ran")
    for column in ("pod", "node", "slices of the card"):
        table.add_column(column)
    for pod, (node, slices) in sorted(seen.places.items()):
        table.add_row(pod, node, str(slices))
    return table


def _steps(view: View) -> Table:
    table = Table(title="Time")
    table.add_column("step")
    table.add_column("seconds", justify="right")
    for name, seconds in view.finish():
        table.add_row(name, f"{seconds:.1f}")
    return table


def _versions(store: Store) -> list[str]:
    return [key.split("/")[3] for key in store.keys("models/") if key.endswith("/manifest.json")]


def _digests(store: Store) -> list[str]:
    """Read every file of every published version and compare with its manifest."""
    wrong = []
    for key in store.keys("models/"):
        if key.endswith("/manifest.json"):
            manifest = VersionManifest.model_validate_json(store.get(key))
            for file in (*manifest.adapter, *manifest.gguf, *manifest.evaluation):
                if hashlib.sha256(store.get_uri(file.uri)).hexdigest() != file.sha256:
                    wrong.append(file.uri)
    return wrong


def _further(target: Target) -> str:
    lines = ["", "To look further:"]
    if target.own:
        lines += [f"  export KUBECONFIG={target.kubeconfig}", f"  cluster/shell {target.name}          # inside the cluster's network"]
    lines += [
        f"  kubectl get regimen -n {NAMESPACE}",
        f"  kubectl describe modelrollout openins-bad -n {NAMESPACE}",
        "  kubectl explain finetunejob.spec.method",
    ]
    if target.own:
        lines.append("  make cluster-down                 # nothing of it remains")
    return "\n".join(lines)
