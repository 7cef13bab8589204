"""HAProxy's runtime socket: read what is, send what shall be."""

import fcntl
import os
import socket
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from regimen_router.route import KEY, SLOTS, Route, RouteError

Admin = Literal["ready", "drain", "maint"]
MAINT_BITS = 0x01 | 0x02 | 0x20 | 0x40
"""Not 0x04: it says that a server began in maintenance, and stays."""
DRAIN_BITS = 0x08 | 0x10
RUNNING = 2


class HaproxyError(Exception):
    """HAProxy cannot be reached, or says something that cannot be understood."""


@dataclass(frozen=True)
class Server:
    """One server of a slot, as HAProxy has it."""

    slot: str
    name: str
    address: str
    """ip:port."""
    admin: Admin
    up: bool
    sessions: int = 0

    @property
    def path(self) -> str:
        return f"{self.slot}/{self.name}"

    @property
    def usable(self) -> bool:
        return self.admin == "ready" and self.up


@dataclass(frozen=True)
class Actual:
    """All that HAProxy has been told, and how its servers are."""

    route: Route | None
    servers: tuple[Server, ...]
    queued: dict[str, int]
    """Requests waiting in a slot, by slot."""


def parse_servers(states: str, sessions: dict[str, int]) -> tuple[Server, ...]:
    """The answer to `show servers state`. Columns are taken by the name in the header: they differ between versions of HAProxy."""
    lines = [line for line in states.splitlines() if line.strip()]
    header = next((line for line in lines if line.startswith("#")), "#").removeprefix("#").split()
    rows = [dict(zip(header, line.split(" "), strict=False)) for line in lines if not line.startswith("#") and " " in line]
    return tuple(_server(row, sessions) for row in rows if row["be_name"] in SLOTS)


def _server(row: dict[str, str], sessions: dict[str, int]) -> Server:
    bits = int(row["srv_admin_state"])
    admin: Admin = "maint" if bits & MAINT_BITS else "drain" if bits & DRAIN_BITS else "ready"
    return Server(
        slot=row["be_name"],
        name=row["srv_name"],
        address=f"{row['srv_addr']}:{row['srv_port']}",
        admin=admin,
        up=int(row["srv_op_state"]) == RUNNING,
        sessions=sessions.get(f"{row['be_name']}/{row['srv_name']}", 0),
    )


def parse_sessions(stat: str) -> tuple[dict[str, int], dict[str, int]]:
    """The answer to `show stat -1 6 -1`: current sessions by slot/server, and requests waiting by slot."""
    sessions, queued = {}, {}
    for line in stat.splitlines():
        fields = line.split(",")
        if fields[0] not in SLOTS:
            continue
        if fields[1] == "BACKEND":
            queued[fields[0]] = int(fields[2] or 0)
        else:
            sessions[f"{fields[0]}/{fields[1]}"] = int(fields[4] or 0)
    return sessions, queued


def parse_route(shown: str) -> Route | None:
    """The answer to `show map`: lines of reference, key and value. None before the first route."""
    for line in shown.splitlines():
        parts = line.split(" ", 2)
        if len(parts) == 3 and parts[1] == KEY:
            return Route.decode(parts[2])
    return None


class Runtime:
    """The socket. One connection a command: HAProxy answers one and closes."""

    def __init__(self, path: Path, route_map: Path, timeout: float = 2) -> None:
        self._path, self._map, self._timeout = path, route_map, timeout

    def ask(self, command: str) -> str:
        """Send one command and return the answer. Raises HaproxyError."""
        try:
            with socket.socket(socket.AF_UNIX) as connection:
                connection.settimeout(self._timeout)
                connection.connect(str(self._path))
                connection.sendall(f"{command}\n".encode())
                return b"".join(iter(lambda: connection.recv(65536), b"")).decode()
        except OSError as error:
            raise HaproxyError(f"runtime socket: {error}") from error

    def observe(self) -> Actual:
        """All of it. Raises HaproxyError."""
        try:
            sessions, queued = parse_sessions(self.ask("show stat -1 6 -1"))
            servers = parse_servers(self.ask("show servers state"), sessions)
            return Actual(parse_route(self.ask(f"show map {self._map}")), servers, queued)
        except (KeyError, ValueError, IndexError, RouteError) as error:
            raise HaproxyError(f"answer not understood: {type(error).__name__}: {error}") from error

    def stopping(self) -> bool:
        """Whether HAProxy was asked to finish."""
        return "\nStopping: 1" in self.ask("show info")


def lives(lock: Path) -> bool:
    """Whether a HAProxy holds its lock."""
    try:
        handle = os.open(lock, os.O_RDWR)
    except FileNotFoundError:
        return False
    try:
        fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return True
    finally:
        os.close(handle)
    return False
