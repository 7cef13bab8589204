"""`regimen`, also `kubectl regimen`: one command line in front of everything.

Its own commands need nothing but this package. Those of the images are entry points of the group `regimen.commands`: they are
listed whether or not what they need is installed, are imported only when called, and say which extra is missing.
Underscores and dashes mean the same in names of commands and options: `prepare_data --claims_csv`, `prepare-data --claims-csv`.
"""

import sys
from importlib.metadata import EntryPoint, entry_points
from pathlib import Path
from typing import Any

import click

from regimen import __version__
from regimen.cli.validate import validate

GROUP = "regimen.commands"
EXTRAS = dict.fromkeys(("download-base-models", "generate", "prepare-data"), "data") | {"join-feedback": "feedback"}
"""What commands need that can do without the extra trainer."""
HELP = {
    "download-base-models": "Download base models from the Hugging Face hub, verified, at a fixed commit.",
    "finetune-lora": "Train an adapter on this machine.",
    "generate": "Write made-up claims and clinical documents to try everything with.",
    "generate-model": "Write a small random model to try everything with.",
    "join-feedback": "Put experts' labels beside the rows of an export, and mark what the model influenced.",
    "merge-and-convert": "Merge an adapter into its base and write GGUF files.",
    "prepare-data": "Turn exports into training data.",
    "quickstart": "The same as quickstart-finetune.",
    "quickstart-finetune": "Fine-tune and convert all models.",
    "run-task": "Carry out one task of the operator (in its pods).",
    "smoke-test": "The same as test-finetune.",
    "test-finetune": "Prove in two minutes that training works on this machine.",
}
"""What the list says of commands that are not imported for it: some of them import for seconds."""


def dashed(name: str) -> str:
    """A command or option name in its one true form."""
    return name.replace("_", "-")


def missing(name: str, error: ModuleNotFoundError) -> click.ClickException:
    """What to say where a command's dependency is not installed."""
    extra = EXTRAS.get(name, "trainer")
    return click.ClickException(
        f"{name} needs the extra '{extra}' (module {error.name} is missing); install it: pip install 'regimen-operator[{extra}]'"
    )


class Commands(click.Group):
    """This package's commands and the entry points', the latter imported when they are called."""

    def _entry_points(self) -> dict[str, EntryPoint]:
        return {dashed(point.name): point for point in entry_points(group=GROUP)}

    def list_commands(self, ctx: click.Context) -> list[str]:
        return sorted({*super().list_commands(ctx), *self._entry_points()})

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        name = dashed(cmd_name)
        own = super().get_command(ctx, name)
        return own or (self._load(name) if name in self._entry_points() else None)

    def _load(self, name: str) -> click.Command:
        try:
            command: click.Command = self._entry_points()[name].load()
        except ModuleNotFoundError as error:
            raise missing(name, error) from error
        return command

    def format_commands(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        rows = []
        for name in self.list_commands(ctx):
            own = super().get_command(ctx, name)
            rows.append((name, own.get_short_help_str() if own else HELP.get(name, "")))
        with formatter.section("Commands"):
            formatter.write_dl(rows)

    def invoke(self, ctx: click.Context) -> Any:
        try:
            return super().invoke(ctx)
        except ModuleNotFoundError as error:
            name = dashed(ctx.invoked_subcommand or "")
            if name not in self._entry_points() or (error.name or "").startswith("regimen."):
                raise
            raise missing(name, error) from error


@click.group(
    cls=Commands,
    context_settings={"token_normalize_func": dashed, "help_option_names": ["-h", "--help"]},
    epilog="Also installed as a kubectl plugin: kubectl regimen …",
)
@click.version_option(__version__, "--version", "-V", prog_name="regimen", message="%(prog)s %(version)s")
def commands() -> None:
    """Keep a business's own language models in training."""


@commands.command()
def version() -> None:
    """Print the version."""
    click.echo(f"regimen {__version__}")


commands.add_command(validate)


def main() -> None:
    """Entry point of both scripts; as a plugin it calls itself what the user typed."""
    plugin = Path(sys.argv[0]).name.startswith("kubectl-")
    commands(prog_name="kubectl regimen" if plugin else "regimen")


if __name__ == "__main__":
    main()
