"""The real command line as a process, with and without a terminal, while a rollout moves."""

import itertools
import os
import pty
import re
import select
import signal
import subprocess
import sys
import termios
import time
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager
from fcntl import ioctl
from pathlib import Path
from struct import pack

import pytest
from test_wire_rollout import ENDS, phase, production, record, replicas, specs, until
from wire_serving import Serving
from wire_world import Wire, at_work

from conftest import Machine

pytestmark = pytest.mark.wire
NAME = "openins-v1-0"
PROGRAM = str(Path(sys.executable).parent / "regimen")
PATIENCE = 240.0
"""Seconds after which what is awaited will not come."""


def serving_at_work(live: Serving) -> AbstractContextManager[None]:
    """Passes of the service and its rollouts, and the world around them, while a person types."""

    def turn() -> None:
        for obj in live.wire.all_of("ModelRollout"):
            live.rollout(str(obj["metadata"]["name"]))
        live.service()

    return at_work(turn, patience=120)


@pytest.fixture
def regimen(machine: Machine, wire: Wire) -> Callable[..., subprocess.CompletedProcess[str]]:
    """`regimen rollout …` without a terminal."""

    def run(*words: str) -> subprocess.CompletedProcess[str]:
        argv = [PROGRAM, "rollout", *words, "--namespace", wire.namespace]
        return subprocess.run(argv, env=environment(machine), capture_output=True, text=True, timeout=PATIENCE, check=False)

    return run


def environment(machine: Machine) -> dict[str, str]:
    bare = {key: value for key, value in os.environ.items() if key not in {"COLUMNS", "LINES", "NO_COLOR", "FORCE_COLOR"}}
    return {**bare, "KUBECONFIG": str(machine.kubeconfig), "TERM": "xterm-256color"}


def as_a_shell_would() -> None:
    """The terminal is the process's own, and Ctrl-C reaches it even where whoever runs the tests ignores it."""
    ioctl(0, termios.TIOCSCTTY, 0)
    signal.signal(signal.SIGINT, signal.SIG_DFL)


class Terminal:
    """A pseudo-terminal of so many columns in which the command runs as a person's shell would start it."""

    def __init__(self, machine: Machine, columns: int, *words: str) -> None:
        self.master, self.slave = pty.openpty()
        ioctl(self.slave, termios.TIOCSWINSZ, pack("HHHH", 40, columns, 0, 0))
        self.before = termios.tcgetattr(self.slave)
        self.text = ""
        slave = self.slave
        self.process = subprocess.Popen(
            [PROGRAM, "rollout", *words], env=environment(machine), stdin=slave, stdout=slave, stderr=slave, close_fds=True,
            start_new_session=True, preexec_fn=as_a_shell_would,
        )  # fmt: skip

    def read(self, done: Callable[[], bool]) -> None:
        """Until `done` holds."""
        deadline = time.monotonic() + PATIENCE
        while not done():
            assert time.monotonic() < deadline, self.text[-2000:]
            if select.select([self.master], [], [], 0.2)[0]:
                self.text += os.read(self.master, 65536).decode(errors="replace")

    def until_shown(self, words: str) -> None:
        self.read(lambda: words in self.text)

    def end(self) -> int:
        """Its exit status, with everything that it wrote."""
        self.read(lambda: self.process.poll() is not None and not select.select([self.master], [], [], 0.2)[0])
        assert termios.tcgetattr(self.slave) == self.before, "the terminal is as it was"
        assert self.text.rfind("\x1b[?25h") > self.text.rfind("\x1b[?25l"), "the cursor is back"
        return int(self.process.returncode)

    def interrupt(self) -> None:
        os.write(self.master, b"\x03")

    def close(self) -> None:
        if self.process.poll() is None:
            self.process.send_signal(signal.SIGKILL)
            self.process.wait()
        os.close(self.master)
        os.close(self.slave)


@contextmanager
def watched(machine: Machine, wire: Wire, columns: int, kept: Path) -> Iterator[Terminal]:
    made = Terminal(machine, columns, "status", NAME, "--watch", "--namespace", wire.namespace)
    try:
        yield made
    finally:
        kept.write_text(made.text)
        made.close()


def test_undo_goes_back_by_a_rollout_of_its_own_and_what_git_owns_stays(
    wire: Wire, regimen: Callable[..., subprocess.CompletedProcess[str]]
) -> None:
    live = production(wire)
    live.routers.evidence_is = "good"
    until(live, lambda: phase(live) in ENDS)
    live.service()
    live.routers.evidence_is = "missing"
    owned = specs(wire)
    with serving_at_work(live):
        asked = regimen("undo", "openins")
        assert asked.returncode == 0, asked.stderr
        found = re.search(r"modelrollout/(openins-undo-\w+) created", asked.stdout)
        assert found is not None
        seen = regimen("status", found[1], "--watch")
        assert regimen("undo", "openins", "--to", "openins-baseline").stderr == "Error: openins serves openins-baseline already\n"
    assert seen.returncode == 0, seen.stdout + seen.stderr
    lines = seen.stdout.splitlines()
    assert "\x1b" not in seen.stdout
    assert len(lines) > 2
    assert all(before != after for before, after in itertools.pairwise(lines)), "a line for each change"
    assert lines[-1] == "Promoted: weight 100 %, 4 candidate replicas: openins-baseline serves"
    assert (record(live).version_ref, record(live).previous_ref) == ("openins-baseline", "openins-v1.0")
    assert {name: item for name, item in specs(wire).items() if name in owned} == owned, "Git finds nothing to mend"
    live.rollout()
    live.service()
    assert phase(live) == "Promoted", "the rollout that Git keeps does not run again"
    assert replicas(live) == {"openins-openins-baseline": 4}


def test_a_terminal_shows_each_step_and_ends_with_the_rollout_or_by_ctrl_c(
    wire: Wire, machine: Machine, regimen: Callable[..., subprocess.CompletedProcess[str]], tmp_path: Path
) -> None:
    live = production(wire)
    live.rollout()
    generation = wire.get("ModelRollout", NAME)["metadata"]["generation"]
    with watched(machine, wire, 80, tmp_path / "80") as narrow:
        narrow.until_shown("▶ replicas 1")
        with serving_at_work(live):
            narrow.until_shown("▶ analysis")
            narrow.interrupt()
            assert narrow.end() == 130, narrow.text[-500:]
            assert "Traceback" not in narrow.text
            with watched(machine, wire, 120, tmp_path / "120") as wide:
                wide.until_shown("Analyzing")
                assert regimen("pause", NAME).returncode == 0
                wide.until_shown("Paused")
                assert regimen("resume", NAME).returncode == 0
                promoted = regimen("promote", NAME)
                assert "what is left of pauses and analyses is left out" in promoted.stdout
                wide.until_shown("▶ replicas 4")
                assert wide.end() == 0
                assert "Promoted" in wide.text
    assert wire.get("ModelRollout", NAME)["metadata"]["generation"] == generation, "no command changes the spec"
    assert record(live).version_ref == "openins-v1.0"


def test_abort_rolls_back_and_the_watch_says_so_by_its_exit_status(
    wire: Wire, machine: Machine, regimen: Callable[..., subprocess.CompletedProcess[str]], tmp_path: Path
) -> None:
    live = production(wire)
    until(live, lambda: phase(live) == "Analyzing")
    with watched(machine, wire, 80, tmp_path / "80") as seen:
        seen.until_shown("Analyzing")
        with serving_at_work(live):
            assert regimen("abort", NAME).returncode == 0
            assert seen.end() == 1
    assert "RolledBack" in seen.text
    assert replicas(live)["openins-openins-baseline"] == 4


def test_a_pause_of_an_hour_ends_when_somebody_skips_it(wire: Wire, regimen: Callable[..., subprocess.CompletedProcess[str]]) -> None:
    live = production(wire, strategy={"steps": [{"setReplicas": 1}, {"pause": {"duration": "1h"}}, {"analysis": {}}, {"setReplicas": 4}]})
    until(live, lambda: phase(live) == "Paused")
    began = live.clock.now
    with serving_at_work(live):
        skipped = regimen("skip", NAME)
    assert skipped.returncode == 0, skipped.stderr
    assert "the pause of 1h ends" in skipped.stdout
    until(live, lambda: phase(live) == "Analyzing", passes=5)
    assert live.clock.now - began < 3600, "nobody waited for the hour"
    assert wire.get("ModelRollout", NAME)["status"]["currentStep"] == 2
