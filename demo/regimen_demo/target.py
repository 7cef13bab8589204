"""Where the demo runs: the throwaway cluster of this project, or a cluster that the user names."""

import json
import os
import shlex
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from pathlib import Path

import regimen_cluster

ROOT = Path(__file__).resolve().parents[2]
IMAGES = ("trainer", "server", "operator", "router", "feedback", "objectstore")
NODES_OF_IMAGE: Mapping[str, str | None] = {
    "trainer": "rtx3090", "operator": "rtx3060", "feedback": "rtx3060", "objectstore": "rtx3060", "server": None, "router": None,
}  # fmt: skip
"""Where an image is needed on the throwaway cluster; None: on every node."""


class DemoError(Exception):
    """The demo cannot go on; the message says why and what to do."""


@dataclass
class Target:
    """A cluster with the images in it."""

    kubeconfig: Path
    context: str | None
    images: Mapping[str, str]
    name: str | None = None
    """Of the throwaway cluster; None for a cluster of the user's."""
    storage_class: str | None = None
    _forwards: "list[Forward]" = field(default_factory=list)

    @property
    def own(self) -> bool:
        return self.name is not None

    def kubectl(self, *args: str, stdin: str | None = None) -> str:
        return self._run(regimen_cluster.kubectl_path(), *args, stdin=stdin)

    def helm(self, *args: str) -> str:
        return self._run(regimen_cluster.helm_path(), *args)

    def _run(self, program: Path, *args: str, stdin: str | None = None) -> str:
        flag = "--kube-context" if program.name == "helm" else "--context"
        context = [flag, self.context] if self.context else []
        done = subprocess.run(
            [str(program), *context, *args], input=stdin, capture_output=True, text=True, check=False, timeout=600,
            env={**os.environ, "KUBECONFIG": str(self.kubeconfig)},
        )  # fmt: skip
        if done.returncode:
            raise DemoError(f"{program.name} {shlex.join(args[:6])}: {done.stderr.strip() or done.stdout.strip()}")
        return done.stdout

    def forward(self, namespace: str, service: str, port: int | str) -> str:
        """A loopback URL for a service in the cluster."""
        if self.name is not None:
            found = regimen_cluster.forward(self.name, f"0={service}.{namespace}.svc:{port}")
            return f"http://127.0.0.1:{next(iter(found))}"
        local = _free_port()
        context = ["--context", self.context] if self.context else []
        command = [str(regimen_cluster.kubectl_path()), *context, "-n", namespace, "port-forward", f"svc/{service}", f"{local}:{port}"]
        env = {**os.environ, "KUBECONFIG": str(self.kubeconfig)}
        self._forwards.append(Forward(command, env))
        _wait_for_port(local)
        return f"http://127.0.0.1:{local}"

    def close(self) -> None:
        for forward in self._forwards:
            forward.close()


class Forward:
    """`kubectl port-forward`, started again when it ends: it does so whenever its pod or one connection is lost."""

    def __init__(self, command: Sequence[str], env: Mapping[str, str]) -> None:
        self._command, self._env, self._closed = command, env, threading.Event()
        self._process = self._start()
        self._keeper = threading.Thread(target=self._keep, daemon=True)
        self._keeper.start()

    def close(self) -> None:
        self._closed.set()
        self._process.terminate()
        self._keeper.join()

    def _start(self) -> subprocess.Popen[bytes]:
        return subprocess.Popen(self._command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, env=self._env)

    def _keep(self) -> None:
        while not self._closed.is_set():
            self._process.wait()
            if not self._closed.wait(0.2):
                self._process = self._start()
        self._process.terminate()
        self._process.wait()


def own_cluster(name: str, images: Mapping[str, Mapping[str, str]]) -> Target:
    """Bring the throwaway cluster up and load the images, each node at its own pace."""
    kubeconfig = regimen_cluster.up(name)
    with ThreadPoolExecutor(max_workers=2) as pool:
        jobs = [
            pool.submit(regimen_cluster.load_image, name, Path(item["archive"]), NODES_OF_IMAGE.get(key)) for key, item in images.items()
        ]
        for job in jobs:
            job.result()
    return Target(kubeconfig, None, {key: item["ref"] for key, item in images.items()}, name=name, storage_class="node-disk")


def users_cluster(context: str, images: Mapping[str, Mapping[str, str]], load: str | None, storage_class: str | None) -> Target:
    """A cluster that the user has. `load` is a command with {archive}; without it the images must have been pushed."""
    kubeconfig = Path(os.environ.get("KUBECONFIG", Path.home() / ".kube/config"))
    if load:
        for item in images.values():
            command = [part.format(archive=item["archive"], ref=item["ref"]) for part in shlex.split(load)]
            subprocess.run(command, check=True, timeout=1200)
    return Target(kubeconfig, context, {key: item["ref"] for key, item in images.items()}, storage_class=storage_class)


def build_everything(push: str | None) -> dict[str, dict[str, str]]:
    """Programs and images, side by side; only the object store's image needs a program. Progress goes to the terminal."""
    regimen_cluster.check_machine()  # installs what both sides need, before either looks for it
    with ThreadPoolExecutor(max_workers=2) as pool:
        most = pool.submit(_build_images, [name for name in IMAGES if name != "objectstore"], push)
        regimen_cluster.build()
        return {**most.result(), **_build_images(["objectstore"], push)}


def _build_images(names: list[str], push: str | None) -> dict[str, dict[str, str]]:
    command = [sys.executable, str(ROOT / "images/build.py"), *names, *(["--push", push] if push else [])]
    if "objectstore" in names:
        command += ["--versitygw", str(regimen_cluster.program_path("versitygw"))]
    done = subprocess.run(command, stdout=subprocess.PIPE, text=True, check=False)
    if done.returncode:
        raise DemoError("the images could not be built; the lines above say why")
    found: dict[str, dict[str, str]] = json.loads(done.stdout)
    return found


def _free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
        return port


def _wait_for_port(port: int) -> None:
    for _ in range(100):
        with socket.socket() as probe:
            if probe.connect_ex(("127.0.0.1", port)) == 0:
                return
        time.sleep(0.1)
    raise DemoError(f"no forward on port {port} within 10 s")


if __name__ == "__main__":
    sys.stdout.write(json.dumps(build_everything(sys.argv[2] if len(sys.argv) > 2 else None), indent=1) + "\n")
