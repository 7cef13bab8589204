"""Four replicas exchanged under at least 30,000 requests, half of them streaming: what failed, what was cut, the slowest; and with faults.

    python benchmarks/rollout_under_load.py [--requests 30000] [--workers 8] [--pause 2m] [--faults none operator router node] [--cluster bench]

For each fault a rollout of a twin under its own load: `none`; `operator`: its pod is killed in the middle of every step; `router`: one of two router
pods is killed without grace; `node`: the node with two of the four replicas is drained during the exchange. `--pause` lies between the exchanges of
two replicas, so that the requests are made while they go on: how many were is said. No request is tried again: a failure is one that a caller
would have had.
"""

import argparse
import tempfile
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from regimen_demo.install import NAMESPACE
from regimen_demo.load import Load
from regimen_demo.production import production
from regimen_demo.trial import ENDS, ROUTER, Object, Trial, rollout

FAULTS = ("none", "operator", "router", "node")


@contextmanager
def faults(trial: Trial, name: str, which: str) -> Iterator[list[str]]:
    """What goes wrong while a rollout is under way."""
    if which == "operator":
        with trial.operator_killed_at_every_step(name) as killed:
            yield killed
        return
    done: list[str] = []

    def later() -> None:
        trial.until(name, lambda status: (status.get("candidateReplicas") or 0) >= 1, 300)
        if which == "router":
            trial.kill(NAMESPACE, ROUTER)
            done.append("router pod killed")
        else:
            with trial.drained("rtx3060"):
                done.append("rtx3060 drained")
                time.sleep(30)
            done.append("rtx3060 back")

    thread = threading.Thread(target=later)
    if which != "none":
        thread.start()
    try:
        yield done
    finally:
        if which != "none":
            thread.join()


def steps(pause: str) -> list[Object]:
    """Each of four replicas, and time between them."""
    waiting: Object = {"pause": {"duration": pause}}
    one_by_one: list[Object] = [{"setReplicas": 1}, waiting, {"analysis": {}}]
    for count in (2, 3, 4):
        one_by_one += [{"setReplicas": count}, waiting]
    return one_by_one


def one(trial: Trial, number: int, which: str, requests: int, workers: int, pause: str) -> None:
    """A rollout under load."""
    name, version, url = f"load-{number}-{which}", trial.twin(f"v9.{number}"), trial.target.forward(NAMESPACE, "openins", 80)
    began = time.monotonic()
    with Load(url, workers=workers) as load:
        trial.business.apply(rollout(name, version, steps(pause), promotes=True))
        with faults(trial, name, which) as done:
            status = trial.until(name, lambda status: status.get("phase") in ENDS, 3600)
        exchanged, during = time.monotonic() - began, load.counts.sent
        while load.counts.sent < requests:
            time.sleep(0.5)
    took, counts = time.monotonic() - began, load.counts
    print(
        f"{which}: {status['phase']} after {exchanged:.0f} s; {counts.sent} requests in {took:.0f} s, {during} of them during the exchange, "
        f"{counts.streamed} streaming; failed {dict(counts.failed)}, cut {counts.cut}, slowest {counts.slowest:.2f} s; by version "
        f"{dict(counts.versions)}; {done}",
        flush=True,
    )
    for at, what in counts.failures[:20]:
        print(f"   {time.strftime('%H:%M:%S', time.gmtime(at))} {what}", flush=True)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--requests", type=int, default=30_000)
    parser.add_argument("--workers", type=int, default=8)
    parser.add_argument("--pause", default="2m")
    parser.add_argument("--faults", nargs="+", choices=FAULTS, default=list(FAULTS))
    parser.add_argument("--cluster", default="bench")
    asked = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder, production(asked.cluster, Path(folder)) as business:
        business.office.pause = 0.4  # experts who label a few answers, so that a twin is judged and promoted
        trial = Trial(business)
        for number, which in enumerate(asked.faults):
            one(trial, number, which, asked.requests, asked.workers, asked.pause)


if __name__ == "__main__":
    main()
