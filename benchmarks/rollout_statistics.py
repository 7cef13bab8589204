"""What a rollout's verdicts are worth: 10,000 simulated rollouts of each kind, and a check by another program.

    python benchmarks/rollout_statistics.py [--rollouts 10000] [--only NAME] [--peer /path/to/python-with-spotify-confidence]

Every rollout is asked at eight moments, so that looks, skipped looks and the harm boundary between them all have their chance. Answers come
from subjects who resemble themselves (beta-binomial, correlation 0.1, four labelled answers each on average). All rollouts of a kind are
drawn and judged at once by numpy (`simulated_rollouts`); of each kind, some are judged by the operator's own `regimen.stats.verdict.judge`
too, and every one of them must end alike. A share is at most what is allowed if it lies within three standard errors of it. The last part
drives 300 harmful or label-starved candidates through the operator's `decide`, with replicas, weights and time. With --peer the boundaries
and intervals are compared with spotify-confidence (development only; install it in an environment of its own). Exit status 1 if a line fails.
"""

import argparse
import json
import subprocess
import sys
import time
from collections import Counter
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from math import sqrt
from pathlib import Path

import numpy as np

ROOT = Path(__file__).parents[1]
sys.path[:0] = [str(ROOT / "operator"), str(ROOT / "tests/unit/plan"), str(ROOT / "tests/unit/stats")]

from plan_simulation import STABLE, World  # noqa: E402 (the checkout's own, not installed)
from simulated_rollouts import Course, design_effect_of_draws, draw, ends_of, judged  # noqa: E402 (the checkout's own, not installed)

from regimen.spec.phases import RolloutPhase  # noqa: E402
from regimen.stats.power import detectable_by_pairs, detectable_difference  # noqa: E402
from regimen.stats.proportions import ArmSample, difference, repeated_interval  # noqa: E402
from regimen.stats.sequential import boundaries_spending, spent_alpha  # noqa: E402

Check = Callable[[float, float], bool]
PEER_SAMPLES = [(400, 350, 1600, 1360), (1000, 850, 4000, 3300), (5000, 4300, 5000, 4200), (20_000, 17_000, 80_000, 67_900)]
"""Labelled and agreed of candidate and stable, for the intervals."""


@dataclass(frozen=True)
class Kind:
    """One kind of rollout; what the share of promotions must be, and in words."""

    group: str
    course: Course
    holds: Check
    asked: str


# What is asked of each kind.


def at_most(limit: float) -> Check:
    return lambda share, error: share <= limit + 3 * max(error, sqrt(limit * (1 - limit) / 10_000))


def at_least(wanted: float, most: float) -> Check:
    """What is promised, and not so much more that the plan would be wasteful; every plan is overrun by a tenth."""
    return lambda share, error: wanted - 3 * error <= share <= most + 3 * error


def kinds() -> Iterator[Kind]:
    """All that is simulated."""
    allowed, stated = (at_most(0.05), "at most 5 %"), (at_least(0.8, 0.9), "80 % are stated, at most 90")
    for looks in (1, 4, 20):
        yield Kind("A/A", Course(f"A/A, {looks} looks", (0.85, 0.85), {"looks": looks}), *allowed)
    yield Kind("A/A", Course("A/A, agreement 0.95", (0.95, 0.95)), *allowed)
    yield Kind("A/A", Course("A/A, one answer a subject", (0.85, 0.85), clustered=False), *allowed)
    yield Kind("A/A", Course("worse by just the margin", (0.82, 0.85), {"criterion": "NotWorse", "margin": 0.03}), *allowed)
    for planned in (400, 1600):
        gain = detectable_difference(0.85, planned, 4 * planned, 0.05, 4, design_effect=design_effect_of_draws())
        course = Course(f"true gain {100 * gain:.1f} points, {planned} planned", (0.85 + gain, 0.85), {"minLabelledPerArm": planned})
        yield Kind("gain", course, *stated)
    for words, labelled in (
        ("half of the candidate's wrong answers unlabelled", (1.0, 0.5)),
        ("a fifth of them unlabelled", (1.0, 0.8)),
        ("none of them labelled in time", (1.0, 0.0)),
        ("its labels come at 60 % of the rate", (0.6, 0.6)),
    ):
        yield Kind("labels", Course(words, (0.8, 0.8), labelled=(labelled, (1.0, 1.0))), *allowed)
    experts = Course("a tenth of the experts label, alike in both arms", (0.85, 0.85), labelled=((0.9, 0.9),) * 2, diligent=0.1)
    yield Kind("labels", experts, *allowed)
    paired = {"primary": {"evidence": "Paired", "datasetRef": {"name": "business", "task": "adjudication"}}}
    yield Kind("paired", Course("pairs, A/A", (0.0, 0.1), paired), *allowed)
    gain = detectable_by_pairs(0.1, 700, 0.05, 4) * sqrt(1.1)
    yield Kind("paired", Course(f"pairs, true gain {100 * gain:.1f} points", (gain, 0.1), paired), *stated)


def line(kind: Kind, rollouts: int, sample: int, seed: int) -> bool:
    """Simulate a kind and print what came of it; whether it holds, and whether the operator's rules ended the sample alike."""
    began = time.monotonic()
    drawn = draw(kind.course, rollouts, np.random.default_rng(seed))
    ends = ends_of(drawn)
    others = sum(judged(drawn, row) != ends[row] for row in range(min(sample, rollouts)))
    counts = Counter(ends)
    share = counts["promoted"] / rollouts
    error = sqrt(share * (1 - share) / rollouts)
    holds = kind.holds(share, error) and not others
    rest = ", ".join(f"{end} {100 * count / rollouts:.1f} %" for end, count in counts.most_common() if end != "promoted")
    print(
        f"{'ok  ' if holds else 'FAIL'} {kind.course.name:<50} {rollouts} rollouts, promoted {100 * share:5.2f} % ({kind.asked}); {rest}; "
        f"judge ends {min(sample, rollouts) - others} of {min(sample, rollouts)} alike; {time.monotonic() - began:.0f} s",
        flush=True,
    )
    return holds


def _wait_for(world: World) -> RolloutPhase:
    try:
        return world.settle(250, 7200)
    except AssertionError as error:
        if "no end in sight: Analyzing" not in str(error):
            raise
        return world.phases[-1]


def refused(count: int) -> bool:
    """Harmful and label-starved candidates through the operator's own `decide`: none may be promoted."""
    began, ends = time.monotonic(), Counter[str]()
    rng = np.random.default_rng(300)
    for number in range(count):
        kind = ("bad", "empty", "missing")[number % 3]
        replicas = int(rng.integers(1, 5))
        steps: list[dict[str, object]] = [
            {"setReplicas": 1}, {"setWeight": 20}, {"pause": {"duration": "1m"}}, {"analysis": {}}, {"setReplicas": replicas},
        ]  # fmt: skip
        world = World(replicas, replicas - 1, steps, evidence=kind)
        try:
            end = world.settle(60)
        except AssertionError as error:
            if "no end in sight: Analyzing" not in str(error):
                raise
            # Starved: hours go by until maxDuration; where the feedback service cannot be asked, nothing ends, and nothing is promoted.
            end = _wait_for(world)
        ends[f"{kind}: {end}"] += 1
        if end is RolloutPhase.PROMOTED or world.record.version_ref != STABLE:
            ends["promoted"] += 1
    told = ", ".join(f"{end} {number}" for end, number in sorted(ends.items()))
    print(
        f"{'FAIL' if ends['promoted'] else 'ok  '} {count} harmful or label-starved candidates through decide: promoted {ends['promoted']}; {told}; {time.monotonic() - began:.0f} s"
    )
    return not ends["promoted"]


PEER = """
import json, sys
import numpy as np, pandas
from scipy.stats import norm
import spotify_confidence as sc
from spotify_confidence.analysis.frequentist import sequential_bound_solver as solver
asked = json.load(sys.stdin)
power = solver._alphas
def obrien_fleming(alpha, phi, t):
    pe = 2 - 2 * norm.cdf(norm.ppf(1 - alpha / 2) / np.sqrt(t))
    return pe, np.diff(np.concatenate([[0.0], pe]))
answer = {"bounds": [], "intervals": []}
for item in asked["bounds"]:
    solver._alphas = obrien_fleming if item["phi"] is None else power
    empty = solver.ComputationState(pandas.DataFrame(columns=["za","zb","ya","yb","pe","pd","stdv","sdproc","nints","information_ratio"], dtype=float), None)
    found, _ = solver.landem(np.array(item["times"]), item["alpha"], item["phi"] or 1.0, 10.0, empty)
    answer["bounds"].append([float(z) for z in found["zb"]])
for n, x, m, y in asked["samples"]:
    frame = pandas.DataFrame({"arm": ["a", "b"], "right": [y, x], "of": [m, n]})
    test = sc.ZTest(frame, numerator_column="right", numerator_sum_squares_column=None, denominator_column="of", categorical_group_columns="arm", interval_size=0.9)
    row = test.difference(level_1="a", level_2="b").iloc[0]
    answer["intervals"].append([float(row["difference"]), float(row["ci_lower"]), float(row["ci_upper"])])
json.dump(answer, sys.stdout)
"""


def peer(python: str) -> bool:
    """Boundaries and intervals beside spotify-confidence's."""
    looks = [[0.25, 0.5, 0.75, 1.0], [0.2, 0.4, 0.6, 0.8, 1.0], [0.1, 0.35, 0.5, 1.0], [k / 10 for k in range(1, 11)]]
    bounds = [
        {"times": times, "alpha": alpha, "phi": phi} for times in looks for alpha in (0.025, 0.05, 0.1) for phi in (None, 1.0, 2.0, 3.0)
    ]
    asked = json.dumps({"bounds": bounds, "samples": PEER_SAMPLES})
    done = subprocess.run([python, "-W", "ignore", "-c", PEER], input=asked, capture_output=True, text=True, timeout=600, check=False)
    if done.returncode:
        print(f"FAIL the peer did not run: {done.stderr.strip().splitlines()[-1]}")
        return False
    answer = json.loads(done.stdout)
    worst = 0.0
    for item, theirs in zip(bounds, answer["bounds"], strict=True):
        spend = spent_alpha if item["phi"] is None else lambda t, alpha, phi=item["phi"]: alpha * t**phi
        ours = boundaries_spending(item["times"], [spend(t, item["alpha"]) for t in item["times"]])
        # The peer resolves probabilities to 1e-7, so boundaries beyond 4 are its noise.
        worst = max(worst, *(abs(a - b) for a, b in zip(ours, theirs, strict=True) if a < 4))
    near = worst < 0.01
    print(
        f"{'ok  ' if near else 'FAIL'} {len(bounds)} sets of boundaries beside spotify-confidence: largest difference of z {worst:.5f} where z is below 4 (below 0.01)"
    )
    return _compare_intervals(answer["intervals"]) and near


def _compare_intervals(theirs: list[list[float]]) -> bool:
    """Our interval of one look is theirs, or a little wider: its variance adds a success and a failure, and a common share."""
    narrowest, widest, apart = 9.0, 0.0, 0.0
    for (n, x, m, y), (middle, low, high) in zip(PEER_SAMPLES, theirs, strict=True):
        effect = difference(ArmSample(((1, 1),) * x + ((1, 0),) * (n - x)), ArmSample(((1, 1),) * y + ((1, 0),) * (m - y)))
        ours = repeated_interval(effect, 1.6448536)
        ratio = (ours[1] - ours[0]) / (high - low)
        narrowest, widest, apart = min(narrowest, ratio), max(widest, ratio), max(apart, abs(effect.estimate - middle))
    holds = narrowest > 0.995 and widest < 1.08 and apart < 1e-9
    print(
        f"{'ok  ' if holds else 'FAIL'} {len(PEER_SAMPLES)} intervals beside its z-test: estimates differ by {apart:.1e}, "
        f"ours are {100 * (narrowest - 1):+.1f} to {100 * (widest - 1):+.1f} % as wide (within -0.5 to +8)"
    )
    return holds


def main() -> int:
    """Run all, print a line for each, exit 1 if one fails."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rollouts", type=int, default=10_000)
    parser.add_argument("--sample", type=int, default=100, help="rollouts of each kind that the operator's own rules judge, too")
    parser.add_argument("--only", choices=["A/A", "gain", "labels", "paired", "refused", "peer"])
    parser.add_argument("--peer", metavar="PYTHON", help="a Python that has spotify-confidence")
    asked = parser.parse_args()
    held = []
    for seed, kind in enumerate(kinds()):
        if asked.only in {None, kind.group}:
            held.append(line(kind, asked.rollouts, asked.sample, seed))
    if asked.only in {None, "refused"}:
        held.append(refused(300))
    if asked.peer and asked.only in {None, "peer"}:
        held.append(peer(asked.peer))
    return 0 if held and all(held) else 1


if __name__ == "__main__":
    sys.exit(main())
