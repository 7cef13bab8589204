"""The command download_base_models. Wired into `regimen` by an entry point."""

import os
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from threading import Lock

import click

from regimen.spec.version import HUB
from regimen_trainer.commands import FILE, FOLDER, SentenceError, option
from regimen_trainer.errors import TrainerError


@click.command("download_base_models")
@option("output_dir", default="models/hf", show_default=True, type=FOLDER, help="Folder to download to, one subfolder for each model.")
@option("model", multiple=True, metavar="NAME=REPO[@REVISION]", help="Model to download instead of the list's; may be given several times.")
@option("list", type=FILE, help="File with a line NAME REPO [REVISION] for each model.  [default: the business's three]")
@option("endpoint", default=HUB, show_default=True, envvar="HF_ENDPOINT", help="Hub, or a mirror of it.")
def download_base_models(output_dir: Path, model: tuple[str, ...], list: Path | None, endpoint: str) -> None:
    """Download base models from the Hugging Face hub: resumable, verified, at a commit that stays the same.

    HF_TOKEN is the access token for gated and private repositories.
    """
    from regimen_trainer.base_models import FIELDS, fetch, parse, read_list, resolve
    from regimen_trainer.hub import Hub

    failed = None
    try:
        models = [parse(text) for text in model] or read_list(list)
        output_dir.mkdir(parents=True, exist_ok=True)
        hub = Hub(endpoint, os.environ.get("HF_TOKEN"), FIELDS)
    except TrainerError as error:
        raise SentenceError(error) from error
    for wanted in models:
        try:
            revision = resolve(wanted, output_dir, hub)
            click.echo(f"{wanted.name}: {revision.repo} at {revision.commit}, licence {revision.license or 'not stated'}")
            with bar(wanted.name) as shown:
                fetched = fetch(revision, output_dir / wanted.name, hub, shown.expect, shown.seen)
            click.echo(f"{output_dir / wanted.name}: {'downloaded and verified' if fetched else 'there already, verified'}")
        except TrainerError as error:
            click.echo(f"{wanted.name}: {error}", err=True)
            failed = error
    if failed is not None:
        raise SystemExit(failed.exit_code)


@dataclass
class Shown:
    """Bytes of one model on their way, as a person sees them. Called from several threads."""

    name: str
    total: int = 0
    done: int = 0
    _lock: Lock = field(default_factory=Lock)
    _said: float = field(default_factory=time.monotonic)

    def expect(self, count: int) -> None:
        self.total += count

    def seen(self, count: int) -> None:
        with self._lock:
            self.done += count
            self._show()

    def _show(self) -> None:
        """A line every 10 seconds, for logs."""
        if time.monotonic() - self._said >= 10:
            self._said = time.monotonic()
            click.echo(f"{self.name}: {self.done / 1e9:.2f} of {self.total / 1e9:.2f} GB", err=True)


@contextmanager
def bar(name: str) -> Iterator[Shown]:
    """A progress bar on a terminal, lines elsewhere."""
    if not sys.stderr.isatty():
        yield Shown(name)
        return
    from rich.console import Console
    from rich.progress import BarColumn, DownloadColumn, Progress, TextColumn, TimeRemainingColumn, TransferSpeedColumn

    columns = (TextColumn("{task.description}"), BarColumn(), DownloadColumn(), TransferSpeedColumn(), TimeRemainingColumn())
    with Progress(*columns, console=Console(stderr=True)) as progress:
        task = progress.add_task(name, total=None)

        class Drawn(Shown):
            def _show(self) -> None:
                progress.update(task, completed=self.done, total=self.total)

        yield Drawn(name)
