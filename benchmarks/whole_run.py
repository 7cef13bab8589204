"""Time one command as its user would meet it, with what the whole machine needed meanwhile.

    python3 benchmarks/whole_run.py make demo

Only the standard library, so that it also times a run on a machine with nothing installed. Memory is the whole machine's, since what a cluster
runs is no child of the command: MemTotal - MemAvailable of /proc/meminfo, twice a second. The exit status is the command's.
"""

import os
import shutil
import subprocess
import sys
import threading
import time
from pathlib import Path

GIB = 1 << 30


def used_memory() -> int:
    """Bytes of memory that no process could be given now."""
    fields = dict(line.split(":", 1) for line in Path("/proc/meminfo").read_text().splitlines())
    total, available = (int(fields[name].split()[0]) * 1024 for name in ("MemTotal", "MemAvailable"))
    return total - available


def main(command: list[str]) -> int:
    """Run `command`, then print a line with its wall time, peak memory and what it left on the disk."""
    if not command:
        print(__doc__)
        return 2
    before, disk_before, started = used_memory(), shutil.disk_usage("/").used, time.monotonic()
    peak, ended = [before], threading.Event()

    def sample() -> None:
        while not ended.wait(0.5):
            peak[0] = max(peak[0], used_memory())

    sampler = threading.Thread(target=sample)
    sampler.start()
    status = subprocess.call(command)
    wall = time.monotonic() - started
    ended.set()
    sampler.join()
    disk = shutil.disk_usage("/").used - disk_before
    print(
        f"{' '.join(command)}: exit status {status}, {int(wall // 60)} min {wall % 60:.0f} s on {os.cpu_count()} cores; memory of the machine "
        f"{before / GIB:.1f} GiB before, {peak[0] / GIB:.1f} GiB at the peak; disk {disk / GIB:+.1f} GiB",
        flush=True,
    )
    return status


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
