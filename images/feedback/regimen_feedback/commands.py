"""`regimen join_feedback`: the experts' labels beside the rows of the next export."""

from pathlib import Path

import click

from regimen_feedback.join import JoinError, fetch, join


@click.command("join_feedback", epilog="The key: kubectl get secret SERVICE-router -o jsonpath='{.data.signing-key}' | base64 -d")
@click.option("--csv", "source", type=click.Path(exists=True, dir_okay=False, path_type=Path), required=True, help="The export, in UTF-8.")
@click.option("--reference", "column", required=True, help="Column whose value callers send as X-Reference, e.g. claim_id.")
@click.option("--service", required=True, metavar="NAMESPACE/NAME", help="ModelService that was asked.")
@click.option("--url", default="http://localhost:8090", show_default=True, help="Feedback service.")
@click.option("--key", envvar="REGIMEN_SERVICE_KEY", required=True, help="The service's signing key; better in REGIMEN_SERVICE_KEY.")
@click.option("--output", type=click.Path(dir_okay=False, path_type=Path), required=True, help="Where the joined rows go.")
@click.option("--trainable-only", is_flag=True, help="Leave out rows whose label the model may have influenced, unless it was audited.")
def join_feedback(source: Path, column: str, service: str, url: str, key: str, output: Path, trainable_only: bool) -> None:
    """Copy an export with what experts said through the feedback service, and mark the rows that the model influenced."""
    namespace, _, name = service.partition("/")
    if not name:
        raise click.BadParameter("is NAMESPACE/NAME", param_hint="--service")
    try:
        secret = bytes.fromhex(key.strip())
    except ValueError as error:
        raise click.BadParameter("is not hex", param_hint="--key") from error
    new = output.with_name(f"{output.name}.new")
    try:
        records = fetch(url, namespace, name, key.strip())
        with source.open(newline="", encoding="utf-8-sig") as rows, new.open("w", newline="", encoding="utf-8") as joined:
            done = join(rows, joined, column, secret, records, trainable_only)
    except (JoinError, UnicodeDecodeError) as error:
        new.unlink(missing_ok=True)
        raise click.ClickException(str(error)) from error
    new.replace(output)
    click.echo(f"{done.rows} rows, {done.asked} of them answered about, {done.influenced} influenced, {done.left_out} left out")
