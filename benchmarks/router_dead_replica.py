"""From a replica's death until the router sends it nothing, while requests come in: how long, and what they saw of it.

    python benchmarks/router_dead_replica.py --times 20

Two deaths: the process is killed, so that connections are refused; and its node is gone, so that nothing answers at all (here a socket whose
queue is full: the kernel drops what would open a connection).
"""

import argparse
import os
import signal
import socket
import statistics
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path

from regimen_router.runtime import Runtime

sys.path.insert(0, str(Path(__file__).parents[1] / "tests/unit/router"))
from router_pod import Load, farm, running, until
from stub_backend import free_port


@contextmanager
def silent(port: int) -> Iterator[None]:
    """A port on which nothing answers."""
    with socket.socket() as listener:
        listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        until(lambda: bound(listener, port))  # the killed process gives its port back a moment later
        listener.listen(0)
        queued = [socket.socket() for _ in range(4)]
        for one in queued:
            one.setblocking(False)
            one.connect_ex(("127.0.0.1", port))
        yield
        for one in queued:
            one.close()


def bound(listener: socket.socket, port: int) -> bool:
    try:
        listener.bind(("127.0.0.1", port))
    except OSError:
        return False
    return True


def usable(runtime: Runtime) -> int:
    """Replicas that HAProxy would send a request to, by its own account."""
    return sum(server.usable for server in runtime.observe().servers)


def die(runtime: Runtime, load: Load, folder: Path, port: int, gone: bool) -> tuple[float, int, list[str], float]:
    """Seconds until it was out, requests since, those that failed, and the slowest of them."""
    with ExitStack() as stack:
        with farm(folder, {"b": port}) as pid:
            until(lambda: usable(runtime) == 2)
            load.sent.clear()
            died = time.monotonic()
            os.kill(pid, signal.SIGKILL)
            if gone:
                stack.enter_context(silent(port))
            until(lambda: usable(runtime) == 1, every=0.005)
            out = time.monotonic() - died
        time.sleep(1.5)
        seen = list(load.sent)
    return out, len(seen), [version for _, version, _ in seen if version != "v1"], max(took for _, _, took in seen)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--times", type=int, default=20)
    times = parser.parse_args().times
    a, b = free_port(), free_port()
    with tempfile.TemporaryDirectory() as name, ExitStack() as stack:
        folder = Path(name)
        for part in ("a", "b"):
            (folder / part).mkdir()
        stack.enter_context(farm(folder / "a", {"a": a}))
        with farm(folder / "b", {"b": b}):
            pod = stack.enter_context(running(folder / "pod", {"v1": {"a": a, "b": b}}, 0))
        runtime, load = Runtime(pod.folder / "haproxy.sock", pod.folder / "route.map"), Load(pod)
        stack.callback(load.close)
        for what, gone in (("killed", False), ("its node gone", True)):
            found = [die(runtime, load, folder / "b", b, gone) for _ in range(times)]
            outs, failed = [out for out, _, _, _ in found], sum(len(bad) for _, _, bad, _ in found)
            print(f"{what}, {times} times: out after median {statistics.median(outs):.2f} s, largest {max(outs):.2f} s; "
                  f"{sum(count for _, count, _, _ in found)} requests, {failed} failed, slowest {max(slow for *_, slow in found):.2f} s")  # fmt: skip


if __name__ == "__main__":
    main()
