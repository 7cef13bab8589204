"""Kill the job's pod, the node's kubelet and the operator at random moments of nights of minutes, and see that nothing is lost.

    PYTHONPATH=cluster:demo python benchmarks/night_kills.py [--seed 5] [--kills 20] [--minutes 18]

On a throwaway cluster of its own, with the demo's business serving meanwhile, FineTuneJobs run one after another in short windows until so many
kills were dealt; the last one then ends undisturbed. A pod dies by SIGKILL of its first process, in whatever stage it is; the kubelet of the
training's node by SIGKILL, and is started again after a few seconds; the operator's pod is removed without grace. The laws:

    every job ends Succeeded
    training goes on from the newest checkpoint, and repeats no more than one checkpoint interval (and the step in which that was over)
    every job publishes exactly one version
    the card is held whole, within windows, and given back: after a job nothing holds it and every replica serves

A line for each kill and for each going on, then a summary. Exit status 1 where a law was broken, or not all kills could be dealt in the time. Needs
root, like everything on that cluster; what is not built yet is built first. Once production serves, it takes `--minutes` at the most, and 2 more where
replicas do not come back.
"""

import argparse
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass, field
from functools import partial
from itertools import count, cycle, islice, pairwise
from pathlib import Path
from random import Random
from statistics import median
from typing import Any, Literal, get_args

import regimen_cluster
from regimen.act.parts import holds_place, pod_facts
from regimen.plan.common import owner_label
from regimen.spec.artifacts import MANIFEST, Progress, VersionManifest, progress_key
from regimen.spec.meta import parse_duration
from regimen.store import NotFoundError, StoreUnavailableError
from regimen_demo.install import NAMESPACE
from regimen_demo.nights import TRAINERS, Log, night
from regimen_demo.production import Production, production

Victim = Literal["pod", "kubelet", "operator"]
CLUSTER, NODE, MODEL, REPLICAS = "kills", "rtx3090", "openins", 4
SERVERS = f"regimen.dev/service={MODEL},app.kubernetes.io/component=server"
WINDOW = {"schedule": "*/3 * * * *", "duration": "150s"}
INTERVAL = "15s"
TOLD_EVERY = 4.0
"""Seconds: progress is written every 3, and read twice a second. That much of what a kill undid may have been seen or not."""
SHORTEST, LONGEST = 8.0, 32.0
"""Seconds between two kills."""
KUBELET_DOWN = 4.0
LOOK = 0.5
AFTERWARDS = 120.0
"""Seconds within which all replicas serve again after a job."""


@dataclass(frozen=True)
class Blow:
    """A kill to come: so many seconds after the one before it."""

    pause: float
    victim: Victim


def blows(seed: int, kills: int) -> Iterator[Blow]:
    """The kills, each victim as often as the others (give or take one), in random order at random distances."""
    random = Random(seed)
    victims: list[Victim] = list(islice(cycle(get_args(Victim)), kills))
    random.shuffle(victims)
    return (Blow(random.uniform(SHORTEST, LONGEST), victim) for victim in victims)


@dataclass(frozen=True)
class Again:
    """A training that went on: it had been seen at step `seen`, `kept` was its newest checkpoint then, and it went on after step `resumed`."""

    seen: int
    kept: int
    resumed: int
    seconds: float
    """Seconds of training between `resumed` and `seen`, as far as progress tells."""

    @property
    def steps(self) -> int:
        """Steps done twice."""
        return max(0, self.seen - self.resumed)


def goings_on(told: Sequence[Progress]) -> list[Again]:
    """Each going on of a training, from its progress over all attempts, oldest first.

    An attempt begins with progress without steps (it fetches and loads), and what it goes on from is the checkpoint that it names first.
    """
    found: list[Again] = []
    attempt: list[Progress] = []
    loads = False
    for progress in told:
        if not progress.total_steps:
            loads = True
            continue
        if loads and attempt:
            found.append(_again(attempt, progress.checkpoint_step or 0))
            attempt = []
        loads = False
        attempt.append(progress)
    return found


def _again(before: Sequence[Progress], resumed: int) -> Again:
    last = before[-1]
    since = [progress for progress in before if progress.step <= resumed] or [before[0]]
    return Again(last.step, last.checkpoint_step or 0, resumed, (last.at - since[-1].at).total_seconds())


def slowest_step(told: Sequence[Progress]) -> float:
    """Seconds of the slowest step, as far as progress tells: whether a checkpoint is due is asked between two steps."""
    forward = [(one, two) for one, two in pairwise(told) if one.total_steps and two.step > one.step]
    return max(((two.at - one.at).total_seconds() / (two.step - one.step) for one, two in forward), default=0.0)


@dataclass
class Run:
    """One job and what was seen of it."""

    name: str
    log: Log
    told: list[Progress] = field(default_factory=list)
    """Its training's progress, as it changed."""
    end: str = ""
    """The phase in which it ended, with the message where that is not Succeeded."""
    versions: list[str] = field(default_factory=list)
    """What was published for it: manifests in the bucket, then ModelVersions of those names."""
    holds: list[str] = field(default_factory=list)
    """Training pods that held the card after it."""
    serves: bool = False
    """Whether all replicas served again after it."""


def broken(run: Run) -> list[str]:
    """The laws that did not hold for a job, a sentence each."""
    wrong = [f"{run.name}: {text}" for text in run.log.wrong()]
    if run.end != "Succeeded":
        wrong.append(f"{run.name} ended {run.end or 'not at all'}")
    allowed = parse_duration(INTERVAL) + slowest_step(run.told) + TOLD_EVERY
    for again in goings_on(run.told):
        if again.resumed < again.kept:
            wrong.append(f"{run.name} went on after step {again.resumed}, though step {again.kept} was kept")
        if again.seconds > allowed:
            wrong.append(f"{run.name} repeated {again.seconds:.0f} s of training, and {INTERVAL} is the checkpoint interval")
    if run.end == "Succeeded" and (len(run.versions) != 2 or len(set(run.versions)) != 1):
        wrong.append(f"{run.name} published {run.versions}, not one manifest and its one ModelVersion")
    wrong += [f"{run.name}: {pod} held the card after it" for pod in run.holds]
    if not run.serves:
        wrong.append(f"{run.name}: not all replicas served again {AFTERWARDS:.0f} s after it")
    return wrong


@dataclass(frozen=True)
class Scene:
    """Where it all happens, and since when."""

    business: Production
    began: float

    def say(self, text: str) -> None:
        print(f"[{time.monotonic() - self.began:6.1f} s] {text}", flush=True)


class Killer:
    """Deals the blows while jobs run, one at a time."""

    def __init__(self, scene: Scene, seed: int, kills: int) -> None:
        self.dealt: list[tuple[Victim, str]] = []
        """Whom, and in which phase of the job."""
        self._scene = scene
        self._left = blows(seed, kills)
        self._next: Blow | None = next(self._left, None)
        self._again = Random(seed + 1)
        self._due = time.monotonic() + (self._next.pause if self._next else 0)
        self._hand = ThreadPoolExecutor(max_workers=1)
        self._under_way: Future[object] | None = None

    @property
    def done(self) -> bool:
        return self._next is None and self._under_way is None

    def turn(self, run: Run) -> None:
        """Strike if it is time. Where there is nothing to kill at that moment, another moment is drawn."""
        if self._under_way is not None:
            if not self._under_way.done():
                return
            self._under_way.result()
            self._under_way = None
            self._due = time.monotonic() + (self._next.pause if self._next else 0)
        if self._next is None or time.monotonic() < self._due:
            return
        strike = self._aim(self._next.victim, run)
        if strike is None:
            self._due = time.monotonic() + self._again.uniform(2, 20)
            return
        self._say(self._next.victim, run)
        self._under_way = self._hand.submit(strike)
        self._next = next(self._left, None)

    def close(self) -> None:
        """Wait for the blow under way: a kubelet that is down is started again."""
        self._hand.shutdown()

    def _aim(self, victim: Victim, run: Run) -> Callable[[], object] | None:
        """What to call, or None where there is nothing to kill now."""
        if victim == "operator":
            return self._scene.business.kill_operator
        if victim == "kubelet":
            return _kill_kubelet
        selector = ",".join(f"{key}={value}" for key, value in owner_label("FineTuneJob", run.name).items())
        found = running_container(self._scene.business.cluster.items("Pod", NAMESPACE, selector))
        return partial(regimen_cluster.kill_container, CLUSTER, *found) if found else None

    def _say(self, victim: Victim, run: Run) -> None:
        phase, last = run.log.phases[-1] if run.log.phases else "new", run.told[-1] if run.told else None
        at = f" at step {last.step} of {last.total_steps}, step {last.checkpoint_step or 0} kept" if phase == "Training" and last else ""
        self.dealt.append((victim, phase))
        self._scene.say(f"kill {len(self.dealt):2}: {victim}, {run.name} is {phase}{at}")


def running_container(pods: Sequence[dict[str, Any]]) -> tuple[str, str] | None:
    """Node and id of the container that runs, if one does."""
    for pod in pods:
        for container in pod.get("status", {}).get("containerStatuses", []):
            if "running" in container.get("state", {}):
                return pod["spec"]["nodeName"], container["containerID"]
    return None


def _kill_kubelet() -> None:
    regimen_cluster.kill(CLUSTER, f"kubelet-{NODE}")
    time.sleep(KUBELET_DOWN)
    regimen_cluster.restart(CLUSTER, f"kubelet-{NODE}")


def follow(scene: Scene, number: int, killer: Killer, deadline: float) -> Run:
    """Create a job and watch it to its end, or to the deadline."""
    business, name, version = scene.business, f"killed-{number}", f"v8.{number}"
    run = Run(name, Log(name, WINDOW))
    business.apply(job(business, name, version))
    scene.say(f"{name} begins")
    uid = (business.cluster.get("FineTuneJob", NAMESPACE, name) or {})["metadata"]["uid"]
    key = progress_key(NAMESPACE, MODEL, version, uid, "adapter")
    while time.monotonic() < deadline:
        status = run.log.look(business)
        for again in look_at_progress(business, key, run):
            scene.say(f"         {name} goes on after step {again.resumed} of training; {again.steps} steps done twice")
        if status.get("phase") in {"Succeeded", "Failed", "Cancelled"}:
            run.end = status["phase"] if status["phase"] == "Succeeded" else f"{status['phase']}: {status.get('message', '')}"
            break
        killer.turn(run)
        time.sleep(LOOK)
    look_afterwards(business, run)
    scene.say(f"{name} ended {run.end or 'not in time'}; phases {' '.join(run.log.phases)}")
    return run


def job(business: Production, name: str, version: str) -> dict[str, Any]:
    """About a minute of training, so that it takes a window or two with kills in it; a pod may fail as often as it is killed."""
    asked = night(business, name, version, WINDOW, INTERVAL, epochs=0.4, batchSize=16)
    asked["spec"]["backoffLimit"] = 20
    return asked


def look_at_progress(business: Production, key: str, run: Run) -> list[Again]:
    """Take in the training's progress where it changed; returns the goings on that this shows."""
    before = len(goings_on(run.told))
    try:
        progress = Progress.model_validate_json(business.store.get(key))
    except (NotFoundError, StoreUnavailableError):
        return []  # while an object is overwritten, the demo's bucket may give its old checksum with its new bytes: look again
    if not run.told or progress != run.told[-1]:
        run.told.append(progress)
    return goings_on(run.told)[before:]


def look_afterwards(business: Production, run: Run) -> None:
    """What a job left: versions, pods on the card, replicas."""
    published = [
        VersionManifest.model_validate_json(business.store.get(key))
        for key in business.store.keys(f"models/{NAMESPACE}/{MODEL}/")
        if key.endswith(f"/{MANIFEST}")
    ]
    names = [manifest.name for manifest in published if manifest.lineage.fine_tune_job == run.name]
    objects = [item["metadata"]["name"] for item in business.cluster.items("ModelVersion", NAMESPACE)]
    run.versions = names + [name for name in objects if name in names]
    pods = business.cluster.items("Pod", NAMESPACE, TRAINERS)
    run.holds = [pod["metadata"]["name"] for pod in pods if holds_place(pod)]
    until = time.monotonic() + AFTERWARDS
    while not run.serves and time.monotonic() < until:
        time.sleep(1)
        servers = business.cluster.items("Pod", NAMESPACE, SERVERS)
        run.serves = sum(pod_facts(pod).ready for pod in servers) == REPLICAS


def summary(runs: Sequence[Run], dealt: Sequence[tuple[Victim, str]], kills: int) -> list[str]:
    """What the whole run says, and every law that was broken."""
    agains = [again for run in runs for again in goings_on(run.told)]
    spare = [seconds for run in runs for seconds in run.log.spare().values()]
    lines = [
        f"{len(dealt)} kills: {_counted(victim for victim, _ in dealt)}; in {_counted(phase for _, phase in dealt)}",
        f"{len(runs)} jobs: {_counted(run.end.partition(':')[0] or 'NotInTime' for run in runs)}; versions {' '.join(sorted({name for run in runs for name in run.versions}))}",
    ]
    if agains:
        steps, seconds = [again.steps for again in agains], [again.seconds for again in agains]
        lines.append(
            f"{len(agains)} times training went on: steps done twice {sum(steps)} in all, {max(steps)} at most, {median(steps):g} in the middle; "
            f"seconds repeated {max(seconds):.1f} at most, with a checkpoint every {INTERVAL}"
        )
    if spare:
        lines.append(f"{len(spare)} windows: the card was back {min(spare):.0f} s before the end at the latest")
    wrong = [text for run in runs for text in broken(run)]
    if len(dealt) < kills:
        wrong.append(f"only {len(dealt)} of {kills} kills were dealt in the time; give it more with --minutes")
    return lines + [f"BROKEN {text}" for text in wrong] if wrong else [*lines, "every law held"]


def _counted(words: Iterable[str]) -> str:
    return ", ".join(f"{number} {word}" for word, number in Counter(words).most_common())


def main() -> int:
    """Bring production up, kill, look, and say."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--seed", type=int, default=5, help="Of the moments and of the order of victims.")
    parser.add_argument("--kills", type=int, default=20)
    parser.add_argument("--minutes", type=float, default=18, help="For all jobs together, from the moment production serves.")
    asked = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder, production(CLUSTER, Path(folder)) as business:
        business.office.pause = 1.0
        scene, runs = Scene(business, time.monotonic()), list[Run]()
        scene.say(f"production serves; {asked.kills} kills follow, seed {asked.seed}")
        killer = Killer(scene, asked.seed, asked.kills)
        try:
            for number in count():
                runs.append(follow(scene, number, killer, scene.began + asked.minutes * 60))
                if killer.done or runs[-1].end != "Succeeded":
                    break
        finally:
            killer.close()
        tally, lines = business.office.tally, summary(runs, killer.dealt, asked.kills)
        print(f"{tally.sent} requests to the service meanwhile, {tally.failed} failed {dict(tally.errors) or ''}")
        print("\n".join(lines), flush=True)
        return int(any(line.startswith("BROKEN") for line in lines))


if __name__ == "__main__":
    sys.exit(main())
