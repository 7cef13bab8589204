"""What the environment says. See docs/architecture.md, "Server pods"."""

import json
import os
import re
from collections.abc import Mapping
from pathlib import Path

DIGEST = re.compile(r"[0-9a-f]{64}")


class SettingsError(Exception):
    """The environment lacks something, or holds something that makes no sense."""


def required(name: str, environ: Mapping[str, str] = os.environ) -> str:
    """Raises SettingsError where it is missing or empty."""
    if not (value := environ.get(name)):
        raise SettingsError(f"environment variable {name} is not set")
    return value


def number(name: str, default: int, environ: Mapping[str, str] = os.environ) -> int:
    """A whole number."""
    try:
        return int(environ.get(name) or default)
    except ValueError as error:
        raise SettingsError(f"{name} is not a whole number: {environ[name]!r}") from error


def files(environ: Mapping[str, str] = os.environ) -> list[tuple[str, str]]:
    """(uri, hex digest) of the GGUFs to bring: GGUFS, a JSON list of {uri, sha256}, else the one of GGUF_URI and GGUF_SHA256."""
    if not (text := environ.get("GGUFS")):
        return [(required("GGUF_URI", environ), digest(environ))]
    try:
        listed = [(item["uri"], digest({"GGUF_SHA256": item["sha256"]})) for item in json.loads(text)]
    except (json.JSONDecodeError, KeyError, TypeError) as error:
        raise SettingsError(f"GGUFS is not a JSON list of objects with uri and sha256: {type(error).__name__}") from error
    return listed


def digest(environ: Mapping[str, str] = os.environ) -> str:
    """The hex digits of GGUF_SHA256, with or without `sha256:` before them."""
    value = required("GGUF_SHA256", environ).removeprefix("sha256:")
    if not DIGEST.fullmatch(value):
        raise SettingsError(f"GGUF_SHA256 is not 64 hex digits: {value!r}")
    return value


def cache_file(environ: Mapping[str, str] = os.environ) -> Path:
    """Where the GGUF to serve lies."""
    return cached(digest(environ), environ)


def cached(hex_digest: str, environ: Mapping[str, str] = os.environ) -> Path:
    """A GGUF's place: named by its digest, so versions with the same weights share it."""
    return Path(environ.get("CACHE_DIR") or "/cache") / "sha256" / f"{hex_digest}.gguf"


def extra_arguments(environ: Mapping[str, str] = os.environ) -> list[str]:
    """EXTRA_ARGS, a JSON list of strings."""
    try:
        arguments = json.loads(environ.get("EXTRA_ARGS") or "[]")
    except json.JSONDecodeError as error:
        raise SettingsError(f"EXTRA_ARGS is not JSON: {error}") from error
    if not isinstance(arguments, list) or not all(isinstance(item, str) for item in arguments):
        raise SettingsError("EXTRA_ARGS is not a JSON list of strings")
    return arguments
