"""run-task: the entry of trainer pods."""

import os
import sys

import click


@click.command("run-task", hidden=True)
def run_task() -> None:
    """Run the task in REGIMEN_TASK: the entry of trainer pods."""
    from regimen_trainer.run import main

    # Interpreter shutdown with torch loaded takes a second; everything is uploaded and flushed by now.
    code = main()
    sys.stdout.flush()
    sys.stderr.flush()
    os._exit(code)
