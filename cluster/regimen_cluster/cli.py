"""The command line: parses, calls one function, reports. Results go to stdout, progress to stderr."""

from __future__ import annotations

import argparse
import os
import sys
from pathlib import Path

from regimen_cluster import disks, forwards, images, lifecycle, network, preflight, programs
from regimen_cluster.errors import ClusterError
from regimen_cluster.layout import NODES


def main(argv: list[str] | None = None) -> int:
    """Run one command and return the exit status."""
    arguments = parser().parse_args(argv)
    try:
        return int(arguments.call(arguments) or 0)
    except ClusterError as error:
        print(f"error: {error}", file=sys.stderr)
        return 1
    except KeyboardInterrupt:
        print("interrupted; `up` and `down` cope with what is half done", file=sys.stderr)
        return 130


def parser() -> argparse.ArgumentParser:
    """All commands."""
    top = argparse.ArgumentParser(
        prog="regimen_cluster", description="A real Kubernetes on one machine, with no uplink, to be thrown away."
    )
    commands = top.add_subparsers(required=True, metavar="COMMAND")

    def command(name: str, call: object, text: str, *, named: bool = True) -> argparse.ArgumentParser:
        sub = commands.add_parser(name, help=text, description=text)
        sub.set_defaults(call=call)
        if named:
            sub.add_argument("name", metavar="NAME", help="the cluster's name")
        return sub

    command("preflight", _preflight, "check the machine; install missing Debian packages", named=False)
    command("build", _build, "build or fetch all programs into the cache", named=False)
    command("up", _up, "bring a cluster up; does nothing when it is up and healthy").add_argument(
        "--nodes", type=int, default=len(NODES), choices=(0, len(NODES)), help="0: etcd and the API server only"
    )
    command("down", _down, "take a cluster down and leave nothing behind")
    command("status", _status, "what runs, and how to reach it")
    command("shell", _shell, "a shell inside the cluster's network, or `-- COMMAND`").add_argument("command", nargs=argparse.REMAINDER)
    load = command("load", _load, "import an OCI or Docker archive into the nodes")
    load.add_argument("archive", type=Path)
    load.add_argument("--node", default="all", choices=("all", *(node.name for node in NODES)))
    forward = command("forward", _forward, "add forwards on the host's loopback")
    forward.add_argument(
        "wish", nargs="+", metavar="LOCALPORT=HOST:PORT", help="HOST: an address or NAME.NAMESPACE.svc; LOCALPORT 0: choose"
    )
    command("recycle", _recycle, "empty the volumes whose claims were deleted, and offer them anew")
    for name, call, text in (("kill", _kill, "kill one component, as a crash would"), ("restart", _restart, "restart one component")):
        command(name, call, text).add_argument("component", help="as `status` lists them")
    return top


def _preflight(_: argparse.Namespace) -> None:
    preflight.check()
    print("this machine can run a cluster")


def _build(_: argparse.Namespace) -> None:
    preflight.check()
    made = programs.ensure()
    print(f"{made.go}\n{made.tools}\n{made.pause}")


def _up(arguments: argparse.Namespace) -> None:
    kubeconfig = lifecycle.up(arguments.name, arguments.nodes)
    print(f"KUBECONFIG={kubeconfig}")
    _print_forwards(forwards.read(lifecycle.existing(arguments.name)))


def _print_forwards(known: dict[int, str]) -> None:
    for port, target in sorted(known.items()):
        print(f"127.0.0.1:{port} -> {target}")


def _down(arguments: argparse.Namespace) -> None:
    ended = lifecycle.down(arguments.name)
    print(f"{arguments.name} is down; {ended} processes ended")


def _status(arguments: argparse.Namespace) -> int:
    cluster = lifecycle.existing(arguments.name)
    health = lifecycle.examine(cluster)
    print(f"KUBECONFIG={cluster.kubeconfig}\nAPI server: {'ready' if health.api else 'NOT READY'}")
    for node, ready in health.nodes.items():
        print(f"node {node}: {'Ready' if ready else 'NOT READY'}")
    for component, pid in health.components.items():
        print(f"{component:24} {f'pid {pid}' if pid else 'NOT RUNNING'}")
    _print_forwards(health.forwards)
    return 0 if health.healthy else 1


def _shell(arguments: argparse.Namespace) -> None:
    cluster = lifecycle.existing(arguments.name)
    command = arguments.command[1:] if arguments.command[:1] == ["--"] else arguments.command
    tools = programs.ensure().tools
    environment = {**os.environ, "KUBECONFIG": str(cluster.inner_kubeconfig), "PATH": f"{tools}:{os.environ.get('PATH', preflight.PATH)}"}
    argv = network.inside(cluster, command or [os.environ.get("SHELL", "/bin/sh")])
    os.execvpe(argv[0], argv, environment)


def _load(arguments: argparse.Namespace) -> None:
    cluster = lifecycle.existing(arguments.name)
    nodes = list(cluster.nodes) if arguments.node == "all" else [cluster.node(arguments.node)]
    for node, done in images.load(cluster, arguments.archive, nodes).items():
        print(f"{node}: {'imported' if done else 'already there'}")


def _forward(arguments: argparse.Namespace) -> None:
    _print_forwards(forwards.add(lifecycle.existing(arguments.name), arguments.wish))


def _recycle(arguments: argparse.Namespace) -> None:
    print("\n".join(disks.recycle(lifecycle.existing(arguments.name))) or "nothing to recycle")


def _kill(arguments: argparse.Namespace) -> None:
    print("killed" if lifecycle.kill(arguments.name, arguments.component) else "was not running")


def _restart(arguments: argparse.Namespace) -> None:
    print(f"pid {lifecycle.restart(arguments.name, arguments.component)}")
