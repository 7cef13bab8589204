"""llama-server's command line. It becomes PID 1, so that Kubernetes' signals reach it."""

import os
from collections.abc import Mapping

from regimen_server.settings import SettingsError, api_keys, cache_file, extra_arguments, key_file, number

HTTP_THREADS = 128
"""Each request in flight or waiting holds a thread, and so does /health: with llama-server's own default (slots + 2), a replica that
is merely busy would fail its health checks. The router sends at most 100 at once."""

RESERVED = frozenset(
    {"-m", "--model", "--host", "--port", "--slots", "--props", "--slot-save-path", "--media-path", "--api-key", "--api-key-file"}
)
"""What may not be overridden: the model is the one that was judged, and the rest opens doors or breaks probes and draining."""


def command(environ: Mapping[str, str] = os.environ) -> list[str]:
    """The command line. Raises SettingsError."""
    extra = extra_arguments(environ)
    if refused := sorted(RESERVED & {argument.partition("=")[0] for argument in extra}):
        raise SettingsError(f"EXTRA_ARGS may not set {', '.join(refused)}")
    model = cache_file(environ)
    if not model.exists():
        raise SettingsError(f"{model} is not there: regimen-server fetch runs before")
    return [
        "llama-server",
        "--host",
        "0.0.0.0",
        "--port",
        str(number("PORT", 8080, environ)),
        "--model",
        str(model),
        "--alias",
        environ.get("MODEL_ALIAS") or "model",
        "--ctx-size",
        str(number("CONTEXT_SIZE", 4096, environ)),
        "--parallel",
        str(number("PARALLEL", 1, environ)),
        "--n-gpu-layers",
        str(number("GPU_LAYERS", 0, environ)),
        "--threads-http",
        str(HTTP_THREADS),
        "--metrics",
        "--no-slots",
        "--no-webui",
        "--jinja",
        *key_arguments(environ),
        *extra,
    ]


def key_arguments(environ: Mapping[str, str]) -> list[str]:
    """llama-server reads keys from a file, one a line: on the command line everybody would see them."""
    keys = api_keys(environ)
    if not keys:
        return []
    file = key_file(environ)
    file.touch(mode=0o600)
    file.write_text("".join(f"{key}\n" for key in keys))
    return ["--api-key-file", str(file)]


def run(environ: Mapping[str, str] = os.environ) -> None:
    """Become llama-server. Without the variables of the bucket: it needs no credentials."""
    arguments = command(environ)
    kept = {name: value for name, value in environ.items() if not name.startswith(("AWS_", "REGIMEN_S3_"))}
    os.execvpe(arguments[0], arguments, kept)
