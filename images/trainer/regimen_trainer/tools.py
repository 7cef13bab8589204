"""Runs programs of the image and turns their failure into one sentence."""

import subprocess
from collections.abc import Sequence
from pathlib import Path

from regimen_trainer.errors import ToolError


def run_tool(command: Sequence[str | Path], log_file: Path) -> None:
    """Run a program to its end, its output into `log_file`. Raises ToolError with its name and exit status."""
    name = Path(command[0]).name
    with log_file.open("ab") as output:
        try:
            done = subprocess.run([str(part) for part in command], stdout=output, stderr=subprocess.STDOUT, check=False)
        except OSError as error:
            raise ToolError(f"{name} could not be started: {error.strerror}") from error
    if done.returncode != 0:
        raise ToolError(f"{name} ended with status {done.returncode}: {last_line(log_file)}")


def last_line(path: Path) -> str:
    """The last line that a program wrote, shortened."""
    lines = path.read_text(errors="replace").strip().splitlines() or ["no output"]
    return lines[-1][:200]
