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
        listed = [(item["uri"], _hex(item["sha256"], "GGUFS")) for item in json.loads(text)]
    except (json.JSONDecodeError, KeyError, TypeError) as error:
        raise SettingsError(f"GGUFS is not a JSON list of objects with uri and sha256: {type(error).__name__}") from error
    return listed


def needed(environ: Mapping[str, str] = os.environ) -> frozenset[str] | None:
    """NEEDED, a JSON list of the hex digests of GGUFs that must stay in the cache; None where it is not said, and everything must."""
    if not (text := environ.get("NEEDED")):
        return None
    try:
        return frozenset(_hex(item, "NEEDED") for item in json.loads(text))
    except (json.JSONDecodeError, TypeError) as error:
        raise SettingsError(f"NEEDED is not a JSON list of digests: {type(error).__name__}") from error


def digest(environ: Mapping[str, str] = os.environ) -> str:
    """The hex digits of GGUF_SHA256, with or without `sha256:` before them."""
    return _hex(required("GGUF_SHA256", environ), "GGUF_SHA256")


def _hex(value: object, name: str) -> str:
    bare = str(value).removeprefix("sha256:")
    if not DIGEST.fullmatch(bare):
        raise SettingsError(f"{name} is not 64 hex digits: {bare!r}")
    return bare


def cache_file(environ: Mapping[str, str] = os.environ) -> Path:
    """Where the GGUF to serve lies."""
    return cached(digest(environ), environ)


def cached(hex_digest: str, environ: Mapping[str, str] = os.environ) -> Path:
    """A GGUF's place: named by its digest, so versions with the same weights share it."""
    return Path(environ.get("CACHE_DIR") or "/cache") / "sha256" / f"{hex_digest}.gguf"


def api_keys(environ: Mapping[str, str] = os.environ) -> list[str]:
    """The keys that callers need, one in each file of API_KEYS_DIR; none where it is not set. Raises SettingsError where it is set in vain."""
    if not (folder := environ.get("API_KEYS_DIR")):
        return []
    # A Secret's volume has its files behind links whose names begin with dots.
    files = [path for path in sorted(Path(folder).iterdir()) if not path.name.startswith(".") and path.is_file()]
    keys = [key for path in files for key in path.read_text().split()]
    if not keys:
        raise SettingsError(f"API_KEYS_DIR: {folder} holds no key")
    return keys


def key_file(environ: Mapping[str, str] = os.environ) -> Path:
    """Where llama-server reads its keys when it starts."""
    return Path(environ.get("TMPDIR") or "/tmp") / "api-keys"


def authorization(environ: Mapping[str, str] = os.environ) -> dict[str, str]:
    """Headers by which this pod's own hooks may ask its llama-server: a key that it started with, since a Secret may have changed."""
    file = key_file(environ)
    return {"Authorization": f"Bearer {file.read_text().split()[0]}"} if environ.get("API_KEYS_DIR") and file.exists() else {}


def extra_arguments(environ: Mapping[str, str] = os.environ) -> list[str]:
    """EXTRA_ARGS, a JSON list of strings."""
    try:
        arguments = json.loads(environ.get("EXTRA_ARGS") or "[]")
    except json.JSONDecodeError as error:
        raise SettingsError(f"EXTRA_ARGS is not JSON: {error}") from error
    if not isinstance(arguments, list) or not all(isinstance(item, str) for item in arguments):
        raise SettingsError("EXTRA_ARGS is not a JSON list of strings")
    return arguments
