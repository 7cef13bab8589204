"""`regimen rollout`: see a rollout, and decide what only people decide. Nothing here changes a spec, which may be Git's (law 1).

pause, resume, skip, promote and abort are annotations with a nonce, which the operator answers in status. retry and undo create another
ModelRollout: a test is fixed before it starts, so another try is another test.
"""

import json
import sys
import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, TypeVar
from uuid import uuid4

import click

from regimen.cli.rollout_view import console, fitted, history_table, line_of, render
from regimen.errors import ClusterError, ClusterUnavailableError, ConfigurationError
from regimen.plan.commands import ANNOTATION
from regimen.plan.common import dns_name
from regimen.spec.meta import API_VERSION
from regimen.spec.phases import RolloutPhase

if TYPE_CHECKING:
    from regimen.act.cluster import Cluster

Object = dict[str, Any]
ENDED = frozenset({RolloutPhase.PROMOTED, RolloutPhase.ROLLED_BACK, RolloutPhase.INVALID})
EVERY = 1.0
"""Seconds between two looks."""
INTERRUPTED = 130
"""Exit status after Ctrl-C, as shells have it: 1 says that the rollout was not promoted."""
PATIENCE = 60.0
"""Seconds for which a watch bears with an API server that does not answer."""
F = TypeVar("F", bound=Callable[..., Any])


@dataclass(frozen=True)
class Where:
    """Which cluster and namespace a command speaks of."""

    cluster: "Cluster"
    namespace: str

    def rollout(self, name: str) -> Object:
        """The ModelRollout. Raises ClickException where there is none."""
        found = self.cluster.get("ModelRollout", self.namespace, name)
        if found is None:
            raise click.ClickException(f"no ModelRollout {name} in namespace {self.namespace}; see kubectl get modelrollouts")
        return found

    def service(self, name: str) -> Object:
        found = self.cluster.get("ModelService", self.namespace, name)
        if found is None:
            raise click.ClickException(f"no ModelService {name} in namespace {self.namespace}; see kubectl get modelservices")
        return found


def _connect(namespace: str | None, context: str | None) -> Where:
    try:
        from regimen.act.cluster import connect
    except ModuleNotFoundError as error:
        text = f"rollout needs the extra 'operator' (module {error.name} is missing); install it: pip install 'regimen-operator[operator]'"
        raise click.ClickException(text) from error
    try:
        cluster, own = connect(context)
    except ConfigurationError as error:
        raise click.ClickException(str(error)) from error
    return Where(cluster, namespace or own)


def _where(command: F) -> F:
    """Options that every command has."""
    command = click.option("-n", "--namespace", help="Namespace; the kubeconfig's by default.")(command)
    return click.option("--context", help="Context of the kubeconfig.")(command)


class Group(click.Group):
    """Says what the API server says, without a trace."""

    def invoke(self, ctx: click.Context) -> Any:
        try:
            return super().invoke(ctx)
        except ClusterError as error:
            raise click.ClickException(str(error)) from error


@click.group(cls=Group)
def rollout() -> None:
    """See a rollout, and decide what only people decide."""


@rollout.command()
@click.argument("name")
@click.option(
    "-w",
    "--watch",
    is_flag=True,
    help="Go on until it has ended; exit status 1 unless it was promoted, 2 if the API server was away for a minute.",
)
@_where
def status(name: str, watch: bool, namespace: str | None, context: str | None) -> None:
    """Show a rollout: both arms, how sure the difference is, replicas, weights and what happened."""
    where = _connect(namespace, context)
    if not watch:
        console().print(render(where.rollout(name)))
        return
    try:
        phase = _follow(where, name)
    except KeyboardInterrupt:
        raise SystemExit(INTERRUPTED) from None
    if phase != RolloutPhase.PROMOTED:
        raise SystemExit(1)


def _follow(where: Where, name: str) -> str:
    """Show it until it has ended; on a terminal in place, elsewhere a line for each change. Returns its last phase."""
    from rich.live import Live

    out, told = console(), ""
    with Live(console=out, auto_refresh=False, transient=False) if out.is_terminal else _Silent() as live:
        answered = time.monotonic()
        while True:
            try:
                found = where.rollout(name)
            except ClusterUnavailableError as error:
                if time.monotonic() - answered > PATIENCE:
                    raise Lost(f"{error}; the rollout goes on: kubectl regimen rollout status {name} --watch") from error
                time.sleep(EVERY)
                continue
            answered = time.monotonic()
            phase = str(found.get("status", {}).get("phase", ""))
            if isinstance(live, Live):
                live.update(fitted(found, out), refresh=True)
            elif (line := line_of(found)) != told:
                click.echo(line)
                told = line
            if phase in ENDED:
                return phase
            time.sleep(EVERY)


class Lost(click.ClickException):
    """What is watched can't be seen. Its exit status is not that of a rollout that was not promoted."""

    exit_code = 2


class _Silent:
    """In a live view's place where there is no terminal."""

    def __enter__(self) -> "_Silent":
        return self

    def __exit__(self, *_: object) -> None:
        return


def _ask(verb: str, name: str, namespace: str | None, context: str | None, timeout: float) -> None:
    """Send a command and wait for the operator's answer."""
    where = _connect(namespace, context)
    phase = where.rollout(name).get("status", {}).get("phase")
    if phase in {None, RolloutPhase.PENDING}:
        raise click.ClickException(f"{name} has not begun; delete it, or wait: kubectl regimen rollout status {name} --watch")
    nonce = uuid4().hex[:16]
    text = json.dumps({"nonce": nonce, "do": verb})
    where.cluster.patch("ModelRollout", where.namespace, name, {"metadata": {"annotations": {ANNOTATION: text}}})
    deadline = time.monotonic() + timeout
    while time.monotonic() < deadline:
        answer = where.rollout(name).get("status", {}).get("command") or {}
        if answer.get("nonce") == nonce:
            if not answer.get("accepted"):
                raise click.ClickException(f"{verb} refused: {answer.get('message')}")
            click.echo(f"{name}: {answer.get('message')}")
            return
        time.sleep(0.2)
    raise click.ClickException(
        f"the operator has not answered within {timeout:g} s; it will when it runs: kubectl regimen rollout status {name}"
    )


def _command(verb: str, text: str, confirm: str = "") -> None:
    @rollout.command(name=verb, help=text)
    @click.argument("name")
    @click.option("--timeout", default=30.0, show_default=True, help="Seconds to wait for the operator's answer.")
    @click.option("-y", "--yes", is_flag=True, hidden=not confirm, help="Do not ask.")
    @_where
    def ask(name: str, timeout: float, yes: bool, namespace: str | None, context: str | None) -> None:
        if confirm and not yes and sys.stdin.isatty():
            click.confirm(confirm, abort=True)
        _ask(verb, name, namespace, context, timeout)


_command("pause", "Hold at the present step. Guardrails still roll back.")
_command("resume", "Go on after a pause by hand.")
_command("skip", "End the pause step under way.")
_command(
    "promote",
    "Decide by hand: leave out what is left of pauses and analyses. Guardrails still roll back.",
    "The evidence has not decided. Promote all the same?",
)
_command("abort", "Roll back.")


@rollout.command()
@click.argument("name")
@_where
def retry(name: str, namespace: str | None, context: str | None) -> None:
    """Run an ended rollout again, as another test: a new ModelRollout with the same spec, whose evidence starts from nothing."""
    where = _connect(namespace, context)
    found = where.rollout(name)
    phase = found.get("status", {}).get("phase")
    if phase not in ENDED:
        raise click.ClickException(f"{name} is {phase or 'new'}; only an ended rollout can be run again")
    if phase == RolloutPhase.PROMOTED:
        raise click.ClickException(f"{name} was promoted; there is nothing to try again")
    spec = {key: value for key, value in found["spec"].items() if key != "paused"}
    _create(where, dns_name(name, "retry", uuid4().hex[:5], limit=52), spec)


@rollout.command()
@click.argument("service")
@click.option("--to", "version", metavar="VERSION", help="ModelVersion that served before; the previous one by default.")
@_where
def undo(service: str, version: str | None, namespace: str | None, context: str | None) -> None:
    """Return a service to a version that served before, at once and without analysis."""
    where = _connect(namespace, context)
    found = where.service(service)
    said = found.get("status", {})
    if said.get("rollout"):
        raise click.ClickException(f"rollout {said['rollout']} is under way; abort it: kubectl regimen rollout abort {said['rollout']}")
    target, serves = version or said.get("previousVersion"), said.get("stableVersion")
    if not target:
        raise click.ClickException(f"{service} has served one version only; say --to VERSION")
    if target == serves:
        raise click.ClickException(f"{service} serves {target} already")
    spec: Object = {
        "serviceRef": {"name": service}, "toRef": {"name": target}, "undo": True,
        "strategy": {"allowOutage": True, "steps": [{"setReplicas": found["spec"].get("replicas", 1)}]},
    }  # fmt: skip
    if serves:
        spec["fromRef"] = {"name": serves}
    _create(where, dns_name(service, "undo", uuid4().hex[:5], limit=52), spec)


def _create(where: Where, name: str, spec: Object) -> None:
    document = {
        "apiVersion": API_VERSION, "kind": "ModelRollout", "metadata": {"name": name, "namespace": where.namespace}, "spec": spec,
    }  # fmt: skip
    if not where.cluster.create(document):
        raise click.ClickException(f"ModelRollout {name} exists already; try again")
    click.echo(f"modelrollout/{name} created; see kubectl regimen rollout status {name} --watch")


@rollout.command()
@click.argument("service", required=False)
@_where
def history(service: str | None, namespace: str | None, context: str | None) -> None:
    """List the rollouts of a service, or of all, and what serves."""
    where = _connect(namespace, context)
    services = [where.service(service)] if service else where.cluster.items("ModelService", where.namespace)
    rollouts = where.cluster.items("ModelRollout", where.namespace)
    for found in services:
        own = [item for item in rollouts if item["spec"]["serviceRef"]["name"] == found["metadata"]["name"]]
        console().print(history_table(found, sorted(own, key=lambda item: str(item["metadata"]["creationTimestamp"]))))
