"""Run a command inside an image as it was built, with this work tree in place of the code in it.

    python images/inside.py trainer -- python -m pytest tests/images

For what can only be tried where torch and llama.cpp are: tests and benchmarks. The tree is at /src, read-only; the rest of the file system
is the image's and is thrown away afterwards. pytest is put beside it, since no image has it, and the cache read-only, for the S3 server
in it. Knows build.py; needs root, like it.
"""

import hashlib
import os
import subprocess
import sys
from pathlib import Path

from build import IMAGES, KEY_LENGTH, ROOT, BuildError, Workshop, build_images, only_one, run

PYTEST = ("pytest", "pytest-timeout")
CODE = ("operator", "images/trainer", "images/server", "tests")
TREE, TOOLS = "/src", "/opt/tests"


def pytest_of(workshop: Workshop) -> Path:
    """A folder with pytest in the locked versions, made once; it has no compiled parts, so that any Python of an image takes it."""
    lock = ROOT / "requirements.lock"
    folder = workshop.build / ("pytest-" + hashlib.sha256(" ".join(PYTEST).encode() + lock.read_bytes()).hexdigest()[:KEY_LENGTH])
    if not (folder / "complete").exists():
        log = workshop.log("pytest")
        run([workshop.tools, "-m", "pip", "install", "-q", "--no-compile", "--target", folder, "--constraint", lock, *PYTEST], log)
        (folder / "complete").touch()
    return folder


def inside(image: str, command: list[str]) -> int:
    """Run the command; returns its exit status. Raises BuildError where the image cannot be built."""
    cache = Path(os.environ.get("REGIMEN_CACHE", "/var/cache/regimen"))
    workshop = Workshop(cache, "cpu")
    with only_one(workshop.build):
        ref = build_images([image], workshop)[image]["ref"]
        beside = pytest_of(workshop)
    buildah = ["buildah", "--root", str(workshop.build / "storage"), "--runroot", workshop.runroot]
    environment = {**os.environ, "STORAGE_DRIVER": "overlay"}
    made = subprocess.run([*buildah, "from", "--pull-never", ref], env=environment, capture_output=True, text=True, check=False)
    if made.returncode:
        raise BuildError(
            f"{ref} is not in the storage of {workshop.build}: {made.stderr.strip()}; remove its archive, and it is built again"
        )
    container = made.stdout.strip()
    paths = ":".join([*(f"{TREE}/{folder}" for folder in CODE), TOOLS])
    options = [
        "--isolation",
        "chroot",
        "--workingdir",
        TREE,
        "--env",
        f"PYTHONPATH={paths}",
        "--env",
        f"REGIMEN_CACHE={cache}",
        "-v",
        f"{cache}:{cache}:ro",
        "-v",
        f"{ROOT}:{TREE}:ro",
        "-v",
        f"{beside}:{TOOLS}:ro",
    ]
    try:
        return subprocess.run([*buildah, "run", *options, container, "--", *command], env=environment, check=False).returncode
    finally:
        subprocess.run([*buildah, "rm", container], env=environment, stdout=subprocess.DEVNULL, check=True)


def main(arguments: list[str]) -> int:
    """Entry point: the command's exit status, or 1 with a sentence where there is no image."""
    if len(arguments) < 3 or arguments[0] not in IMAGES or arguments[1] != "--":
        print(__doc__, file=sys.stderr)
        return 2
    try:
        return inside(arguments[0], arguments[2:])
    except BuildError as error:
        print(error, file=sys.stderr)
        return 1


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
