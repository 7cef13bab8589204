"""Build Regimen's images and write each as an archive that containerd imports.

    python images/build.py [NAME ...] [--variant cpu|gpu] [--push REGISTRY] [--stage FOLDER]

An image is built from a staged folder: its Containerfile and the inputs it uses. The key is a hash of that folder and of the base, so an image
whose key has its archive already is left alone. Standard output is one JSON object, name -> {"ref", "archive"}; progress goes to standard error.

What lies in $REGIMEN_CACHE (default /var/cache/regimen):

    images/<name>-<key>.tar    OCI archive, layers not compressed (zstd's gain at import did not pay for compressing)
    images/layout/             every layer once; archives are made from it
    build/                     buildah's storage, the base, staged folders, downloads, logs

The CPU images stand on a base made here with debootstrap, so that no image registry is needed; the GPU images on public ones.
Knows nothing of clusters. Standard library only; runs debootstrap, buildah, skopeo and pip. Needs root.
"""

from __future__ import annotations

import argparse
import fcntl
import hashlib
import json
import os
import re
import shutil
import subprocess
import sys
import tarfile
import time
import tomllib
import venv
from collections.abc import Iterable, Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass
from functools import cached_property
from io import BytesIO
from pathlib import Path
from threading import Lock
from typing import IO, Any, Literal

ROOT = Path(__file__).resolve().parent.parent
REGISTRY = "regimen.local"  # a name, not a host: these images are loaded, never pulled
SUITE = "sid"
BASE_PACKAGES = "ca-certificates,python3,python3-venv"
LLAMA_CPP = "llama-cpp-python==0.3.36"
CONVERTER = ("LICENSE", "convert_hf_to_gguf.py", "convert_lora_to_gguf.py", "conversion", "gguf-py")
BUILD_TOOLS = ("hatchling==1.33.0", "pip>=23.2")
HOST_CERTIFICATES = Path("/etc/ssl/certs/ca-certificates.crt")
KEY_LENGTH = 12
REF_NAME = "org.opencontainers.image.ref.name"

Variant = Literal["cpu", "gpu"]


class BuildError(Exception):
    """Building stopped; the message says at what, with the last lines of its output."""


@dataclass(frozen=True)
class Image:
    """What goes into an image beside its Containerfile."""

    name: str
    extra: str | None = None  # the extra of the project whose dependencies it has; None: no Python of ours
    llama: bool = False  # llama.cpp: sources in the GPU variant
    converter: bool = False
    versitygw: bool = False


IMAGES = {
    image.name: image
    for image in (  # the longest first: they are started in this order
        Image("trainer", extra="trainer", llama=True, converter=True),
        Image("server", extra="server", llama=True),
        Image("operator", extra="operator"),
        Image("router", extra="router"),
        Image("feedback", extra="feedback"),
        Image("objectstore", versitygw=True),
    )
}


# ---- What an image is made of: pure ----------------------------------------------------------------------------------------------------------


def requirements_of(project: dict[str, Any], extra: str) -> list[str]:
    """The requirements of the project with one extra; extras that name the project itself are opened up."""
    itself = re.compile(rf"{re.escape(project['name'])}\[([\w,-]+)\]$")

    def opened(requirements: Iterable[str]) -> Iterator[str]:
        for requirement in requirements:
            if match := itself.match(requirement):
                for name in match[1].split(","):
                    yield from opened(project["optional-dependencies"][name])
            else:
                yield requirement

    return sorted({*project["dependencies"], *opened(project["optional-dependencies"][extra])})


# What Debian's torch brings with it: a pin would install a second copy of the same, or CUDA.
CUDA_AND_TORCH = re.compile(r"(?:torch|triton|sympy|networkx|mpmath|nvidia-[\w-]+|cuda-[\w-]+)==")


def constraints_of(lock: str, variant: Variant) -> str:
    """The lock file as constraints: without torch and CUDA where Debian's build of torch is used."""
    lines = lock.splitlines(keepends=True)
    return "".join(line for line in lines if variant == "gpu" or not CUDA_AND_TORCH.match(line))


def key_of(folder: Path, *parameters: str) -> str:
    """A key for what is built from `folder`: names, executable bits and contents of all its files, and the parameters."""
    digest = hashlib.sha256("\0".join(parameters).encode())
    for path in sorted(path for path in folder.rglob("*") if path.is_file()):
        executable = bool(path.stat().st_mode & 0o100)
        with path.open("rb") as handle:
            content = hashlib.file_digest(handle, "sha256").hexdigest()
        digest.update(f"\n{path.relative_to(folder).as_posix()} {executable} {content}".encode())
    return digest.hexdigest()[:KEY_LENGTH]


# ---- Archives --------------------------------------------------------------------------------------------------------------------------------


def image_blobs(layout: Path, name: str) -> tuple[dict[str, Any], list[str]]:
    """The manifest descriptor that `name` has in an OCI layout, and all its blobs (`sha256:…`): layers from the base up, configuration, manifest."""
    index = json.loads((layout / "index.json").read_text())
    descriptor: dict[str, Any] = next(m for m in index["manifests"] if m.get("annotations", {}).get(REF_NAME) == name)
    manifest = json.loads(blob_path(layout, descriptor["digest"]).read_text())
    layers = [layer["digest"] for layer in manifest["layers"]]
    return descriptor, [*dict.fromkeys(layers), manifest["config"]["digest"], descriptor["digest"]]


def blob_path(layout: Path, digest: str) -> Path:
    """Where a layout keeps a blob; the same path is its name in an archive."""
    return layout / "blobs" / digest.replace(":", "/")


def write_archive(layout: Path, name: str, ref: str, target: Path, previous: Path | None = None) -> None:
    """Write the image `name` of a layout as an OCI archive called `ref`.

    `previous` is an older archive to make it from: the layers that both have stay where they are, and only what follows is written. Gigabytes
    of dependencies are then not copied because a line of code changed. `previous` is used up.
    """
    descriptor, blobs = image_blobs(layout, name)
    annotations = {"io.containerd.image.name": ref, REF_NAME: ref.rpartition(":")[2]}
    index = {"schemaVersion": 2, "manifests": [{**descriptor, "annotations": annotations}]}
    names = [blob_path(Path(), digest).as_posix() for digest in blobs]
    partial = target.with_suffix(".partial")
    if previous is not None and previous.exists():
        previous.replace(partial)
    with partial.open("r+b" if partial.exists() else "w+b") as handle:
        kept = _cut_after_common_prefix(handle, names)
        with tarfile.open(fileobj=handle, mode="w", format=tarfile.GNU_FORMAT) as tar:
            for digest in blobs[kept:]:
                with blob_path(layout, digest).open("rb") as blob:
                    _add(tar, blob_path(Path(), digest).as_posix(), blob, os.fstat(blob.fileno()).st_size)
            for member, content in (("oci-layout", {"imageLayoutVersion": "1.0.0"}), ("index.json", index)):
                data = json.dumps(content).encode()
                _add(tar, member, BytesIO(data), len(data))
    partial.replace(target)


def _cut_after_common_prefix(handle: IO[bytes], names: Sequence[str]) -> int:
    """Cut an archive off where its members stop being `names`, and stand there; how many of them are kept."""
    kept, end = 0, 0
    if handle.seek(0, os.SEEK_END):
        handle.seek(0)
        with tarfile.open(fileobj=handle, mode="r:") as tar:
            for member in tar:
                end = member.offset
                if kept == len(names) or member.name != names[kept]:
                    break
                kept += 1
    handle.seek(end)
    handle.truncate()
    return kept


def _add(tar: tarfile.TarFile, name: str, content: IO[bytes], size: int) -> None:
    member = tarfile.TarInfo(name)
    member.size, member.mode = size, 0o644
    tar.addfile(member, content)


def remove_unused_blobs(layout: Path) -> None:
    """Forget the images of a layout whose name another one took over, and remove the blobs that no image is left to use."""
    path = layout / "index.json"
    index = json.loads(path.read_text())
    index["manifests"] = [m for m in index["manifests"] if REF_NAME in m.get("annotations", {})]
    path.write_text(json.dumps(index))
    used = {digest for m in index["manifests"] for digest in image_blobs(layout, m["annotations"][REF_NAME])[1]}
    for blob in (layout / "blobs" / "sha256").iterdir():
        if f"sha256:{blob.name}" not in used:
            blob.unlink()


# ---- Running programs ------------------------------------------------------------------------------------------------------------------------


def say(text: str) -> None:
    """One line of progress."""
    print(text, file=sys.stderr, flush=True)


@contextmanager
def step(text: str) -> Iterator[None]:
    """Say what was done and how many seconds it took."""
    started = time.monotonic()
    yield
    say(f"{text}: {time.monotonic() - started:.1f} s")


def run(command: Iterable[str | Path], log: Path, env: dict[str, str] | None = None) -> None:
    """Run a program with its output in `log`. Raises BuildError with the last 30 lines of it."""
    command = list(command)
    log.parent.mkdir(parents=True, exist_ok=True)
    with log.open("w") as handle:
        environment = {**os.environ, **(env or {})}
        done = subprocess.run(command, stdin=subprocess.DEVNULL, stdout=handle, stderr=subprocess.STDOUT, env=environment, check=False)
    if done.returncode:
        tail = "\n".join(log.read_text(errors="replace").splitlines()[-30:])
        raise BuildError(f"{' '.join(map(str, command[:3]))} … failed ({done.returncode}); the end of {log}:\n{tail}")


def need(*programs: str) -> None:
    """Raises BuildError when one of the programs is not installed."""
    if missing := [program for program in programs if shutil.which(program) is None]:
        raise BuildError(f"not installed: {', '.join(missing)} (Debian: apt-get install buildah debootstrap skopeo)")


# ---- The workshop ----------------------------------------------------------------------------------------------------------------------------


class Workshop:
    """The cache folder and what is made in it: inputs that several images share, the base, images, archives."""

    def __init__(self, cache: Path, variant: Variant, versitygw: Path | None = None) -> None:
        self.cache, self.variant, self._versitygw = cache, variant, versitygw
        self.build, self.images = cache / "build", cache / "images"
        self.layout = self.images / "layout"
        self.runroot = f"/run/regimen-build-{hashlib.sha256(bytes(cache.resolve())).hexdigest()[:8]}"  # of buildah: must not outlive a boot
        self._export = Lock()  # a layout's index is one file
        self._replaced: list[str] = []
        for folder in (self.build, self.images):
            folder.mkdir(parents=True, exist_ok=True)

    # -- inputs

    @cached_property
    def tools(self) -> Path:
        """A Python with what builds the wheel, made once."""
        home = self.build / ("tools-" + hashlib.sha256(" ".join((sys.version, *BUILD_TOOLS)).encode()).hexdigest()[:KEY_LENGTH])
        python = home / "bin" / "python"
        if not (home / "complete").exists():
            with step("Python tools"):
                venv.create(home, with_pip=True, clear=True)
                run([python, "-m", "pip", "install", "-q", *BUILD_TOOLS], self.log("tools"))
                (home / "complete").touch()
        return python

    @cached_property
    def wheel(self) -> Path:
        """The project's wheel, from the tree as it is."""
        folder = self.build / "wheel"
        shutil.rmtree(folder, ignore_errors=True)
        with step("wheel of the project"):
            code = f"import os, sys; os.chdir({str(ROOT)!r}); from hatchling.build import build_wheel; build_wheel(sys.argv[1])"
            folder.mkdir()
            run([self.tools, "-c", code, folder], self.log("wheel"))
        return next(folder.glob("*.whl"))

    @cached_property
    def llama_cpp(self) -> Path:
        """The source distribution that vendors llama.cpp. pip asks its build backend for the metadata; nothing is compiled."""
        folder = self.build / ("llama-" + LLAMA_CPP.rpartition("=")[2])
        if not (folder / "complete").exists():
            with step(f"sources of {LLAMA_CPP}"):
                package = LLAMA_CPP.partition("=")[0]
                run(
                    [self.tools, "-m", "pip", "download", "-q", "--no-deps", "--no-binary", package, "--dest", folder, LLAMA_CPP],
                    self.log("llama"),
                )
                (folder / "complete").touch()
        return next(folder.glob("*.tar.gz"))

    @cached_property
    def converter(self) -> Path:
        """llama.cpp's converter from those sources."""
        folder = self.llama_cpp.parent / "converter"
        if not folder.exists():
            partial = folder.with_name("converter.partial")
            shutil.rmtree(partial, ignore_errors=True)
            with tarfile.open(self.llama_cpp) as tar:
                top = f"{self.llama_cpp.name.removesuffix('.tar.gz')}/vendor/llama.cpp/"
                for member in tar:
                    inner = member.name.removeprefix(top)
                    if member.isfile() and inner != member.name and inner.split("/")[0] in CONVERTER:
                        tar.extract(member.replace(name=inner, uid=0, gid=0), partial, filter="data")
            partial.replace(folder)
        return folder

    @property
    def versitygw(self) -> Path:
        """The S3 gateway's program: as given, else the newest that cluster/ has built."""
        found = [self._versitygw] if self._versitygw else sorted(self.cache.glob("go-*/versitygw"), key=lambda path: path.stat().st_mtime)
        if not found or not found[-1].is_file():
            raise BuildError("objectstore needs the versitygw program: --versitygw PATH, or build the cluster's programs first")
        return found[-1]

    def stage(self, image: Image, folder: Path) -> Path:
        """Fill a folder with all that the image is built from, and nothing else."""
        shutil.rmtree(folder, ignore_errors=True)
        folder.mkdir(parents=True)
        for path in (ROOT / "images" / image.name).iterdir():
            if path.is_file():
                shutil.copy(path, folder)
        if image.extra:
            project = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
            (folder / "requirements.txt").write_text("".join(f"{line}\n" for line in requirements_of(project, image.extra)))
            (folder / "constraints.txt").write_text(constraints_of((ROOT / "requirements.lock").read_text(), self.variant))
            shutil.copy(self.wheel, folder)
        if image.converter:
            shutil.copytree(self.converter, folder / "llama.cpp")
        if image.llama and self.variant == "gpu":
            shutil.copy(self.llama_cpp, folder / "llama-cpp-python.tar.gz")
        if image.versitygw:
            shutil.copy(self.versitygw, folder / "versitygw")
        for path in folder.rglob("*"):
            os.utime(path, (0, 0))  # a file's time would end in the layers
        return folder

    # -- buildah

    def log(self, name: str) -> Path:
        return self.build / "logs" / f"{name}.log"

    def buildah(self, log: str, *arguments: str | Path) -> None:
        """Run buildah with its storage in the cache."""
        storage = ("--root", str(self.build / "storage"), "--runroot", self.runroot)
        run(["buildah", *storage, *arguments], self.log(log), env={"STORAGE_DRIVER": "overlay"})  # vfs would copy every layer

    def bud(self, log: str, tag: str, folder: Path, arguments: Sequence[str] = ()) -> None:
        """Build an image; the host's certificates are there while it builds and not in the image."""
        mount = ("-v", f"{HOST_CERTIFICATES}:{HOST_CERTIFICATES}:ro") if HOST_CERTIFICATES.exists() else ()
        self.buildah(log, "bud", "--isolation", "chroot", "--layers", *mount, *arguments, "-t", tag, folder)

    @cached_property
    def base(self) -> str:
        """The local base image: Debian with Python. Made once; remove build/base to have a newer Debian."""
        folder = self.build / "base"
        containerfile = ROOT / "images" / "base" / "Containerfile"
        recipe = hashlib.sha256(f"{SUITE} {BASE_PACKAGES} {containerfile.read_text()}".encode()).hexdigest()
        stamp = folder / "complete"
        if not stamp.exists() or not stamp.read_text().startswith(recipe):
            shutil.rmtree(folder, ignore_errors=True)
            folder.mkdir()
            with step("base root file system (debootstrap)"):
                make_rootfs(folder / "rootfs", folder / "rootfs.tar", self.log("debootstrap"))
            shutil.copy(containerfile, folder)
            key = key_of(folder)
            with step("base image"):
                self.bud("base", f"{REGISTRY}/base:{key}", folder)
            (folder / "rootfs.tar").unlink()
            stamp.write_text(f"{recipe} {REGISTRY}/base:{key}")
        return stamp.read_text().split()[1]

    def make(self, image: Image, registry: str | None) -> dict[str, str]:
        """Build one image where its key has no archive yet; its name and archive."""
        folder = self.stage(image, self.build / "context" / image.name)
        arguments = ["--build-arg", f"VARIANT={self.variant}"] if image.llama else []
        if self.variant == "cpu" or not image.llama:
            arguments += ["--build-arg", f"BASE_IMAGE={self.base}"]
        key = key_of(folder, *arguments)
        ref = f"{REGISTRY}/{image.name}:{key}"
        label = image.name if self.variant == "cpu" else f"{image.name}-gpu"
        archive = self.images / f"{label}-{key}.tar"
        if archive.exists() and registry is None:
            say(f"{label}: nothing changed ({key})")
            return {"ref": ref, "archive": str(archive)}
        with step(f"{label}: built {key}"):
            self.bud(label, ref, folder, arguments)
        if registry:
            return {"ref": self.push(label, ref, f"{registry}/{image.name}:{key}")}
        self.export(label, ref, archive)
        return {"ref": ref, "archive": str(archive)}

    def push(self, label: str, ref: str, target: str) -> str:
        """Push an image to a registry; the name it has there."""
        with step(f"{label}: pushed to {target}"):
            self.buildah(f"{label}-push", "push", ref, f"docker://{target}")
        return target

    def export(self, label: str, ref: str, archive: Path) -> None:
        """Write the archive, from the label's older one where there is one; of each label only the newest is kept."""
        with self._export, step(f"{label}: archive"):
            older = sorted(self.images.glob(f"{label}-{'[0-9a-f]' * KEY_LENGTH}.tar"), key=lambda path: path.stat().st_mtime)
            for leftover in self.images.glob(f"{label}-*.partial"):
                leftover.unlink()
            # Not compressed: an unchanged layer has a known digest then, and is neither read nor written again. buildah itself would compress.
            stored = f"containers-storage:[overlay@{self.build / 'storage'}+{self.runroot}]{ref}"
            accept = "--dest-oci-accept-uncompressed-layers"
            run(["skopeo", "--insecure-policy", "copy", "-q", accept, stored, f"oci:{self.layout}:{label}"], self.log(f"{label}-export"))
            write_archive(self.layout, label, ref, archive, previous=older[-1] if older else None)
            remove_unused_blobs(self.layout)
            for path in older:
                path.unlink(missing_ok=True)
                self._replaced.append(f"{ref.partition(':')[0]}:{path.stem[-KEY_LENGTH:]}")

    def forget_replaced(self) -> None:
        """Remove from buildah's storage what newer images replaced. Not while an image is being built: it may stand on the same layers."""
        for ref in self._replaced:
            try:
                self.buildah("forget", "rmi", ref)
            except BuildError:
                say(f"{ref}: kept, in use or already gone")
        self._replaced.clear()


ROOTFS_HABITS = {
    # A container's file system need not survive a power cut while it is built.
    "etc/dpkg/dpkg.cfg.d/regimen": "force-unsafe-io\n"
    "path-exclude /usr/share/doc/*\npath-include /usr/share/doc/*/copyright\n"
    "path-exclude /usr/share/man/*\npath-exclude /usr/share/info/*\npath-exclude /usr/share/locale/*\npath-exclude /usr/share/lintian/*\n",
    # The mirror may be a frozen snapshot, whose Release file has expired; signatures are checked all the same.
    "etc/apt/apt.conf.d/regimen": 'Acquire::Check-Valid-Until "false";\nAcquire::Languages "none";\n',
    "usr/sbin/policy-rc.d": "#!/bin/sh\nexit 101\n",  # no package starts a service
}


def make_rootfs(folder: Path, target: Path, log: Path) -> None:
    """debootstrap a minimal Debian with Python, without what nobody reads in a container, as a tar file."""
    command: list[str | Path] = ["debootstrap", "--variant=minbase", "--merged-usr", f"--include={BASE_PACKAGES}", SUITE, folder]
    run(command, log, env={"DPKG_FORCE": "unsafe-io", "DEBIAN_FRONTEND": "noninteractive"})
    for name, text in ROOTFS_HABITS.items():
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_text(text)
    (folder / "usr/sbin/policy-rc.d").chmod(0o755)
    for unread in ("usr/share/man", "usr/share/info", "usr/share/locale", "usr/share/lintian"):
        shutil.rmtree(folder / unread, ignore_errors=True)
    for path in (folder / "usr/share/doc").glob("*/*"):
        if path.is_file() and path.name != "copyright":
            path.unlink()
    caches = ("./var/cache/apt", "./var/lib/apt/lists", "./var/log", "./dev", "./proc", "./sys")
    excluded = (f"--exclude={path}/*" for path in caches)
    run(["tar", "-C", folder, "--sort=name", *excluded, "-cf", target, "."], log.with_name("rootfs.log"))
    shutil.rmtree(folder)


# ---- The command -----------------------------------------------------------------------------------------------------------------------------


def build_images(names: Sequence[str], workshop: Workshop, registry: str | None = None) -> dict[str, dict[str, str]]:
    """Build the images two at a time. Raises the BuildError of the first that fails."""
    images = [image for name, image in IMAGES.items() if name in names]
    with ThreadPoolExecutor(2) as pool:
        shared: list[Future[object]] = [pool.submit(lambda: workshop.base), pool.submit(lambda: prefetch(workshop, images))]
        for future in shared:
            future.result()
        made = {image.name: pool.submit(workshop.make, image, registry) for image in images}
        results = {name: future.result() for name, future in made.items()}
    workshop.forget_replaced()
    return results


def prefetch(workshop: Workshop, images: Iterable[Image]) -> None:
    """Make what several images need before two of them ask at once."""
    if any(image.extra for image in images):
        _ = workshop.wheel
    if any(image.converter for image in images):
        _ = workshop.converter


@contextmanager
def only_one(folder: Path) -> Iterator[None]:
    """One build at a time in a cache: staged folders and the layout are shared."""
    with (folder / "lock").open("w") as handle:
        try:
            fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            say("another build is running in this cache: waiting for it")
            fcntl.flock(handle, fcntl.LOCK_EX)
        yield


def parse(arguments: Sequence[str] | None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(description="Build Regimen's images.")
    parser.add_argument("names", nargs="*", metavar="NAME", help=f"which ones; all by default: {', '.join(IMAGES)}")
    parser.add_argument("--variant", choices=("cpu", "gpu"), default="cpu", help="of trainer and server")
    parser.add_argument(
        "--push", metavar="REGISTRY", help="push to this registry instead of writing archives, e.g. registry.example.com/regimen"
    )
    parser.add_argument(
        "--stage", metavar="FOLDER", type=Path, help="only write what each image is built from into FOLDER/NAME, for another builder"
    )
    parser.add_argument("--versitygw", metavar="PATH", type=Path, help="the S3 gateway's program, for objectstore")
    chosen = parser.parse_args(arguments)
    if unknown := set(chosen.names) - set(IMAGES):
        parser.error(f"no such image: {', '.join(sorted(unknown))}; there are {', '.join(IMAGES)}")
    return chosen


def main(arguments: Sequence[str] | None = None) -> int:
    """Entry point: 0 when every image is there, 1 with a sentence when not."""
    chosen = parse(arguments)
    names = chosen.names or list(IMAGES)
    cache = Path(os.environ.get("REGIMEN_CACHE", "/var/cache/regimen"))
    try:
        workshop = Workshop(cache, chosen.variant, chosen.versitygw)
        with only_one(workshop.build), step("all"):
            if chosen.stage:
                made = {name: {"folder": str(workshop.stage(IMAGES[name], chosen.stage / name))} for name in names}
            else:
                need("buildah", "debootstrap", "skopeo", "tar")
                made = build_images(names, workshop, chosen.push)
    except BuildError as error:
        say(str(error))
        return 1
    print(json.dumps(made, indent=2))
    return 0


if __name__ == "__main__":
    sys.exit(main())
