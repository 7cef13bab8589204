"""Running programs and telling people about it: the one place that calls `subprocess` for short commands."""

from __future__ import annotations

import fcntl
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

from regimen_cluster.errors import ClusterError, CommandFailed
from regimen_cluster.layout import cache_root

STARTED = time.monotonic()


def say(text: str) -> None:
    """One line of progress, with the seconds since the start, on stderr so that stdout stays for results."""
    print(f"[{time.monotonic() - STARTED:6.1f} s] {text}", file=sys.stderr, flush=True)


def run(argv: list[str], *, stdin: str | None = None, env: dict[str, str] | None = None, timeout: float = 120) -> str:
    """Run a program to its end and return its stdout. Raises CommandFailed with what it wrote to stderr."""
    done = attempt(argv, stdin=stdin, env=env, timeout=timeout)
    if done.returncode != 0:
        raise CommandFailed(argv, done.returncode, done.stderr or done.stdout)
    return done.stdout


def attempt(
    argv: list[str], *, stdin: str | None = None, env: dict[str, str] | None = None, timeout: float = 120
) -> subprocess.CompletedProcess[str]:
    """Run a program whose failure is an answer, not an error."""
    try:
        return subprocess.run(argv, input=stdin, env=env, timeout=timeout, capture_output=True, text=True, check=False)
    except FileNotFoundError as gone:
        raise ClusterError(f"{argv[0]} is not installed; `preflight` names the package") from gone
    except subprocess.TimeoutExpired as late:
        raise ClusterError(f"{' '.join(argv)[:200]} did not end in {timeout:.0f} s") from late


def wait_for(what: str, ready: Callable[[], bool], *, seconds: float, check: Callable[[], None] | None = None, every: float = 0.2) -> None:
    """Poll `ready` until it holds. `check` may raise earlier, for example because the process died."""
    deadline = time.monotonic() + seconds
    next_word = time.monotonic() + 5
    while not ready():
        if check is not None:
            check()
        if time.monotonic() > deadline:
            raise ClusterError(f"{what}: not so after {seconds:.0f} s")
        if time.monotonic() > next_word:
            say(f"waiting: {what}")
            next_word = time.monotonic() + 5
        time.sleep(every)


@contextmanager
def lock(name: str) -> Iterator[None]:
    """Hold a file lock, so that two commands on the same thing take turns. The files stay in the cache, not with the cluster."""
    folder = cache_root() / "locks"
    folder.mkdir(parents=True, exist_ok=True)
    with Path(folder / f"{name}.lock").open("w", encoding="utf-8") as handle:
        try:
            fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            say(f"{name} is busy: waiting")
            fcntl.flock(handle, fcntl.LOCK_EX)
        yield
