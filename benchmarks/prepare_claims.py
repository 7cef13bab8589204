"""Preparing a large export, stage by stage, beside a straightforward pandas script; then a refresh with one percent of new rows.

    python benchmarks/prepare_claims.py --rows 1000000 --folder FOLDER

The peer (`pandas_prepare.py`) does what most teams write first: read, validate, drop duplicates, hold out whole policies, fill in the prompts,
write JSON lines. It has no near-duplicates, no surrogates and no de-identification, so the ratio is over the stages that both have, in one run
on the same file. Memory is the proportional set size of a run's processes together, four times a second. Needs pandas.
"""

import argparse
import shutil
import subprocess
import sys
import threading
import time
from dataclasses import dataclass, field
from pathlib import Path

HERE = Path(__file__).parent
STAGES = {
    "reading": "read and validate",
    "de-identifying": "de-identify",
    "comparing": "find near-duplicates",
    "splitting": "group and split",
    "writing": "map and write",
}
SHARED = ("read and validate", "group and split", "map and write")
MIB = 1 << 20


@dataclass
class Measured:
    """Seconds of each stage, of the whole, and the peak of memory in MiB."""

    stages: dict[str, float] = field(default_factory=dict)
    wall: float = 0
    peak: float = 0

    @property
    def shared(self) -> float:
        return sum(self.stages.get(stage, 0) for stage in SHARED)


def main() -> None:
    """Generate what is missing, run all three, print the table."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rows", type=int, default=1_000_000)
    parser.add_argument("--folder", type=Path, required=True, help="Scratch; the generated exports stay in it.")
    arguments = parser.parse_args()
    first, grown = (export(arguments.folder, int(arguments.rows * share)) for share in (1, 1.01))
    out = arguments.folder / "prepared"
    shutil.rmtree(out, ignore_errors=True)
    ours = ["-m", "regimen.cli.main", "prepare_data", "--output_dir", str(out), "--split", "--claims_csv"]
    runs = {
        "regimen, first run": measured([*ours, str(first)]),
        "pandas script": measured([str(HERE / "pandas_prepare.py"), str(first), str(arguments.folder / "pandas")]),
        "regimen, 1 % new rows": measured([*ours, str(grown)]),
    }
    names = list(STAGES.values())
    print(f"{arguments.rows} claims, {first.stat().st_size / MIB:.0f} MiB\n")
    print("| | " + " | ".join(f"{name}, s" for name in names) + " | stages both have, s | wall, s | peak memory, MiB |")
    print("|---" * (len(names) + 4) + "|")
    for name, run in runs.items():
        cells = [f"{run.stages[stage]:.1f}" if stage in run.stages else "–" for stage in names]
        print(f"| {name} | " + " | ".join(cells) + f" | {run.shared:.1f} | {run.wall:.1f} | {run.peak:.0f} |")
    whole, peer, again = runs.values()
    print(
        f"\npandas / regimen on the stages both have: {peer.shared / whole.shared:.2f}; refresh / first run: {again.wall / whole.wall:.3f}"
    )


def export(folder: Path, rows: int) -> Path:
    """A generated export of that many rows, made once. A longer one begins with the rows of a shorter."""
    path = folder / f"claims-{rows}" / "historical_claims.csv"
    if not path.exists():
        command = ["-m", "regimen.cli.main", "generate", "--claims", str(rows), "--documents", "0", "--detailed", "--out", str(path.parent)]
        subprocess.run([sys.executable, *command], check=True, stdout=subprocess.DEVNULL)
    return path


def measured(command: list[str]) -> Measured:
    """Run a Python command that says on standard error when a stage begins."""
    result, begun = Measured(), [("start", time.monotonic())]
    started = time.monotonic()
    process = subprocess.Popen([sys.executable, *command], stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True)
    ended = threading.Event()
    sampler = threading.Thread(target=_sample, args=(process.pid, result, ended))
    sampler.start()
    assert process.stderr is not None
    for line in process.stderr:
        word = line.split(maxsplit=1)[0] if line.strip() else ""
        if word in STAGES:
            if STAGES[word] != begun[-1][0]:
                begun.append((STAGES[word], time.monotonic()))
        else:
            sys.stderr.write(line)
    status = process.wait()
    ended.set()
    sampler.join()
    result.wall = time.monotonic() - started
    if status:
        raise SystemExit(f"{' '.join(command)} ended with status {status}")
    for (stage, start), (_, end) in zip(begun, [*begun[1:], ("end", time.monotonic())], strict=True):
        if stage != "start":
            result.stages[stage] = result.stages.get(stage, 0) + end - start
    return result


def _sample(pid: int, result: Measured, ended: threading.Event) -> None:
    while not ended.wait(0.25):
        result.peak = max(result.peak, sum(_share(member) for member in _tree(pid)) / MIB)


def _tree(pid: int) -> list[int]:
    """A process and all its descendants."""
    found, waiting = [], [pid]
    while waiting:
        member = waiting.pop()
        found.append(member)
        try:
            waiting += [int(child) for task in Path(f"/proc/{member}/task").iterdir() for child in (task / "children").read_text().split()]
        except OSError:  # it ended meanwhile
            continue
    return found


def _share(pid: int) -> int:
    """Bytes of a process's proportional set size; memory that processes share counts once in their sum."""
    try:
        lines = Path(f"/proc/{pid}/smaps_rollup").read_text().splitlines()
    except OSError:  # it ended meanwhile
        return 0
    return next(int(line.split()[1]) * 1024 for line in lines if line.startswith("Pss:"))


if __name__ == "__main__":
    main()
