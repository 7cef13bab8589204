"""Full rollbacks on real pods, under load, with the bucket and the feedback store stopped: how long, and what was lost.

    python benchmarks/rollback.py [--times 20] [--replicas 3] [--cluster test]

Each time a twin of the serving version is brought to so many of four replicas and has their share of the traffic. Then both stores are stopped
and the rollout is deleted. Two figures from there: the last request that the candidate was given, and every replica back. The peer is
the estimate that the rollout gave beforehand.
"""

import argparse
import tempfile
import time
from dataclasses import dataclass
from pathlib import Path

from regimen_demo.install import NAMESPACE
from regimen_demo.load import Load
from regimen_demo.production import production
from regimen_demo.trial import Trial, rollout


@dataclass(frozen=True)
class Back:
    """One rollback."""

    traffic_off: float
    restored: float
    estimated: float
    sent: int
    lost: int
    slowest: float


def one(trial: Trial, number: int, replicas: int, url: str) -> Back:
    """There and back."""
    serving, candidate, name = trial.serving(), "openins-v8.0", f"back-{number:02}"
    trial.business.apply(rollout(name, candidate, [{"setReplicas": replicas}, {"analysis": {}}, {"setReplicas": 4}]))
    status = trial.until(name, lambda status: status.get("phase") == "Analyzing", 400)
    with Load(url, workers=4, seed=number) as load:
        with trial.without_stores():
            began = time.time()
            trial.target.kubectl("-n", NAMESPACE, "delete", "modelrollout", name, "--wait=false")
            restored = trial.all_stable(serving, 400) - began
            trial.target.kubectl("-n", NAMESPACE, "wait", "--for=delete", f"modelrollout/{name}", "--timeout=60s")
        counts = load.counts
    off = counts.last.get(candidate, began) - began
    estimated = float(status["estimatedRollbackSeconds"]["capacityRestored"])
    return Back(max(0.0, off), restored, estimated, counts.sent, counts.lost, counts.slowest)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--times", type=int, default=20)
    parser.add_argument("--replicas", type=int, default=3, choices=[1, 2, 3, 4])
    parser.add_argument("--cluster", default="bench")
    asked = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder, production(asked.cluster, Path(folder)) as business:
        business.office.close()
        trial = Trial(business)
        trial.twin("v8.0")
        url = trial.target.forward(NAMESPACE, "openins", 80)
        backs = []
        for number in range(asked.times):
            back = one(trial, number, asked.replicas, url)
            backs.append(back)
            print(f"{number + 1:3}: {back}", flush=True)
    print(
        f"{len(backs)} rollbacks of {asked.replicas} of 4 replicas, bucket and feedback store stopped: last request given to the candidate after "
        f"{max(back.traffic_off for back in backs):.1f} s at most, every replica back after {max(back.restored for back in backs):.0f} s at most "
        f"(estimated {max(back.estimated for back in backs):.0f} s, budget 300 s); {sum(back.sent for back in backs)} requests, "
        f"{sum(back.lost for back in backs)} lost, slowest {max(back.slowest for back in backs):.1f} s"
    )


if __name__ == "__main__":
    main()
