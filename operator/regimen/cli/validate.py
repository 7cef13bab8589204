"""`regimen validate`: reads the files, prints the problems, sets the exit status. What is wrong is decided in `regimen.spec`."""

import sys
from collections.abc import Iterator
from pathlib import Path

import click
import yaml

from regimen.cli.references import doubts
from regimen.spec.validate import Document, check, read


def _files(paths: tuple[str, ...]) -> Iterator[Path]:
    """The files meant: folders give every *.yaml and *.yml below them."""
    for path in map(Path, paths):
        if path.is_dir():
            yield from sorted(found for pattern in ("*.yaml", "*.yml") for found in path.rglob(pattern))
        else:
            yield path


def _read(path: Path) -> list[Document]:
    text = sys.stdin.read() if str(path) == "-" else path.read_text()
    return read("<stdin>" if str(path) == "-" else str(path), text)


@click.command()
@click.argument("files", nargs=-1, required=True, metavar="FILE…", type=click.Path(exists=True, allow_dash=True))
@click.option("--strict", is_flag=True, help="Let warnings fail too.")
def validate(files: tuple[str, ...], strict: bool) -> None:
    """Check manifests without a cluster.

    Every YAML document of Regimen's API group in the FILEs (folders are searched, - is standard input) is checked against the
    models the operator itself uses. Documents of other groups are left alone. References that none of the files answers are
    warnings. Exit status 1 if anything is wrong.
    """
    documents: list[Document] = []
    broken = 0
    for path in _files(files):
        try:
            documents += _read(path)
        except yaml.YAMLError as error:
            broken += 1
            click.echo(f"{path}: not YAML: {' '.join(str(error).split())}", err=True)
    errors = check(documents)
    warnings = [] if errors or broken else doubts(documents)
    for problem in [*errors, *warnings]:
        click.echo(str(problem), err=True)
    ours = sum(document.ours for document in documents)
    click.echo(f"{ours} checked, {len(documents) - ours} of other groups skipped, {len(errors) + broken} wrong, {len(warnings)} doubtful")
    if errors or broken or (strict and warnings):
        raise SystemExit(1)
