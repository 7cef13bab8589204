"""Click commands of the trainer, a module for each subject. Wired into `regimen` by entry points.

Options are accepted in both spellings, `--claims_csv` and `--claims-csv`. Nothing heavy is imported before a command runs.
"""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import click

from regimen_trainer.errors import TrainerError

FOLDER = click.Path(file_okay=False, path_type=Path)
EXISTING_FOLDER = click.Path(exists=True, file_okay=False, path_type=Path)
FILE = click.Path(exists=True, dir_okay=False, path_type=Path)


def option(name: str, **settings: Any) -> Callable[[Any], Any]:
    """An option in both spellings."""
    return click.option(f"--{name.replace('_', '-')}", *([f"--{name}"] if "_" in name else []), name, **settings)


class SentenceError(click.ClickException):
    """An error of ours as click shows it: one sentence, and the exit code of the contract."""

    def __init__(self, error: TrainerError) -> None:
        super().__init__(str(error))
        self._code = error.exit_code

    @property
    def exit_code(self) -> int:  # type: ignore[override]
        """What click exits with."""
        return self._code
