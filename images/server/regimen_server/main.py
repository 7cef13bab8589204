"""regimen-server fetch | run | answers | drain: what the containers of a server pod run."""

import argparse
import logging
import os
import sys
from pathlib import Path

from regimen import logs
from regimen_server import settings

TERMINATION_LOG = Path("/dev/termination-log")
CONTAINER_LOG = Path("/proc/1/fd/2")
LOG = logging.getLogger("regimen.server")


def fetch() -> int:
    """Exit 1 with one sentence in the termination log, where the operator reads it."""
    from regimen.store import Store, StoreError
    from regimen_server.fetch import FetchError
    from regimen_server.fetch import fetch as bring

    try:
        for uri, digest in settings.files():
            bring(uri, digest, settings.cached(digest), Store.from_env, settings.needed())
    except (FetchError, StoreError, settings.SettingsError, OSError) as error:
        say(f"fetch: {error}", TERMINATION_LOG)
        return 1
    return 0


def run() -> int:
    """Exit 2 where the environment is at fault; else llama-server takes over."""
    from regimen_server import run

    try:
        run.run()
    except (settings.SettingsError, OSError) as error:
        say(f"run: {error}", TERMINATION_LOG)
    return 2


def answers() -> int:
    """Exit 0 once llama-server has answered a completion; else 1, with a word that Kubernetes shows in the pod's events."""
    from regimen_server.answers import why_not

    reason = why_not(f"http://127.0.0.1:{settings.number('PORT', 8080)}", settings.authorization())
    if reason is None:
        return 0
    sys.stdout.write(f"{reason}\n")
    return 1


def drain() -> int:
    """Exit 0 in any case: a hook that fails would end the pod sooner, not later."""
    from regimen_server.drain import ask
    from regimen_server.drain import drain as wait

    timeout, settle = settings.number("DRAIN_TIMEOUT", 600), settings.number("DRAIN_SETTLE", 3)
    headers = settings.authorization()
    ended = wait(f"http://127.0.0.1:{settings.number('PORT', 8080)}/metrics", settle, timeout, lambda url: ask(url, headers))
    if ended.idle:
        say(f"drain: idle after {ended.seconds:.0f} s", CONTAINER_LOG)
    else:
        left = "an unknown number of" if ended.busy is None else f"{ended.busy:.0f}"
        say(f"drain: gave up after {ended.seconds:.0f} s with {left} requests left", CONTAINER_LOG)
    return 0


def say(message: str, where: Path) -> None:
    """To stderr and to a file that Kubernetes shows: a hook's own output is shown nowhere."""
    LOG.warning(message)
    try:
        with os.fdopen(os.open(where, os.O_WRONLY | os.O_APPEND), "w") as file:
            file.write(f"{message}\n")
    except OSError as error:
        LOG.info("cannot write", extra={"fields": {"where": str(where), "error": error.strerror}})


def main(arguments: list[str] | None = None) -> int:
    parser = argparse.ArgumentParser(prog="regimen-server", description=__doc__)
    parser.add_argument("command", choices=["fetch", "run", "answers", "drain"])
    command = parser.parse_args(arguments).command
    logs.configure()
    return {"fetch": fetch, "run": run, "answers": answers, "drain": drain}[command]()


if __name__ == "__main__":
    sys.exit(main())
