"""regimen-router haproxy | large | agent | drain: what the containers of a router pod run."""

import argparse
import sys

from regimen import logs
from regimen_router import haproxy, large
from regimen_router.settings import Settings, SettingsError


def main(arguments: list[str] | None = None) -> int:
    """Exit 2: the environment is at fault."""
    parser = argparse.ArgumentParser(prog="regimen-router", description=__doc__)
    parser.add_argument("command", choices=["haproxy", "large", "agent", "drain"])
    command = parser.parse_args(arguments).command
    logs.configure("httpx")
    if command == "drain":
        haproxy.drain()
    try:
        settings = Settings.from_env()
    except SettingsError as error:
        print(f"regimen-router: {error}", file=sys.stderr)
        return 2
    if command == "haproxy":
        haproxy.run(settings)
    if command == "large":
        large.run(settings)
    from regimen_router import agent  # the Kubernetes client takes a second to import, which HAProxy's start need not wait for

    agent.run(settings)
    return 0


if __name__ == "__main__":
    sys.exit(main())
