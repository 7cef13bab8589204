"""From a changed document in Kubernetes to the last request that the old share sent to the candidate, while requests come in.

    python benchmarks/router_weight_change.py --changes 100

The whole router pod beside a stub of the Kubernetes API on the loopback: what a real API server takes to tell is not in it.
"""

import argparse
import statistics
import sys
import tempfile
import time
from contextlib import ExitStack
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parents[1] / "tests/unit/router"))
from router_pod import Load, farm, running
from stub_backend import free_port


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--changes", type=int, default=100)
    options = parser.parse_args()
    ports = {"v1": {"a": free_port()}, "v2": {"b": free_port()}}
    took, requests = [], 0
    with tempfile.TemporaryDirectory() as folder, ExitStack() as stack:
        stack.enter_context(farm(Path(folder), {name: port for found in ports.values() for name, port in found.items()}))
        pod = stack.enter_context(running(Path(folder) / "pod", ports, 50))
        load = Load(pod)
        stack.callback(load.close)
        for _ in range(options.changes):
            pod.want(50)
            time.sleep(0.2)
            load.sent.clear()
            decided = time.monotonic()
            pod.want(0)
            time.sleep(0.2)
            seen = list(load.sent)
            requests += len(seen)
            if failed := {version for _, version, _ in seen} - {"v1", "v2"}:
                raise SystemExit(f"answered {failed}")
            took.append(max((sent - decided for sent, version, _ in seen if version == "v2"), default=0.0))
    print(f"{len(took)} changes, {requests} requests, none failed: last request on the candidate after median {statistics.median(took) * 1000:.0f} ms, "
          f"largest {max(took) * 1000:.0f} ms")  # fmt: skip


if __name__ == "__main__":
    main()
