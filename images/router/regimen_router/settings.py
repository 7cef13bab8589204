"""What the environment says to the containers of a router pod. See docs/architecture.md."""

import os
import re
from base64 import b64encode
from collections.abc import Mapping
from dataclasses import dataclass
from hashlib import sha256
from hmac import digest
from pathlib import Path
from typing import Self

HEADER_NAME = re.compile(r"[A-Za-z0-9-]{1,64}")
REVIEW_URL = re.compile(r"(https?://[A-Za-z0-9._~:/?@&=+,;*()!-]*\{reference\}[A-Za-z0-9._~:/?@&=+,;*()!#-]*)?")
"""The same characters as spec.feedback.reviewURLTemplate: none of them means anything to HAProxy."""
PLAIN_NAME = re.compile(r"[a-z0-9]([-a-z0-9.]*[a-z0-9])?")


class SettingsError(Exception):
    """The environment lacks something, or holds something that cannot be written into a configuration."""


@dataclass(frozen=True)
class Settings:
    """One router pod. Ports and folder have defaults that fit a pod; tests choose others."""

    namespace: str
    service: str
    signing_key: str
    """Hex."""
    subject_header: str = "X-Subject"
    feedback_url: str = ""
    decides_label: bool = False
    review_url_template: str = ""
    """Where a person opens the record of an answer; {reference} is the caller's X-Reference."""
    drain_timeout: int = 20
    """Seconds after which a stopping HAProxy cuts what still runs."""
    pod: str = "router"
    folder: Path = Path("/run/regimen")
    port: int = 8080
    agent_port: int = 9100
    log_port: int = 5140
    grace: int = 5
    """Seconds for which HAProxy still accepts after it was asked to stop."""

    def __post_init__(self) -> None:
        for what, value, pattern in (
            ("SERVICE_NAMESPACE", self.namespace, PLAIN_NAME),
            ("SERVICE_NAME", self.service, PLAIN_NAME),
            ("SUBJECT_HEADER", self.subject_header, HEADER_NAME),
            ("REVIEW_URL_TEMPLATE", self.review_url_template, REVIEW_URL),
            ("SIGNING_KEY", self.signing_key, re.compile(r"([0-9a-f]{2}){16,}")),
        ):
            if not pattern.fullmatch(value):
                shown = "" if what == "SIGNING_KEY" else f": {value!r}"
                raise SettingsError(f"{what} is not of the form {pattern.pattern}{shown}")

    @classmethod
    def from_env(cls, environ: Mapping[str, str] = os.environ) -> Self:
        """Raises SettingsError naming what is missing or malformed."""
        try:
            return cls(
                namespace=environ["SERVICE_NAMESPACE"],
                service=environ["SERVICE_NAME"],
                signing_key=environ["SIGNING_KEY"],
                subject_header=environ.get("SUBJECT_HEADER") or "X-Subject",
                feedback_url=environ.get("FEEDBACK_URL", "").rstrip("/"),
                decides_label=environ.get("DECIDES_LABEL", "").lower() == "true",
                review_url_template=environ.get("REVIEW_URL_TEMPLATE", ""),
                drain_timeout=_seconds(environ.get("DRAIN_TIMEOUT") or "20"),
                pod=environ.get("POD_NAME", "router"),
                folder=Path(environ.get("RUN_DIR", "/run/regimen")),
            )
        except KeyError as error:
            raise SettingsError(f"environment variable {error.args[0]} is not set") from error

    @property
    def signing_key_base64(self) -> str:
        """The key as HAProxy's hmac converter wants it."""
        return b64encode(bytes.fromhex(self.signing_key)).decode()

    @property
    def reference_key_base64(self) -> str:
        """The key that hashes records' references; from it nobody can sign. The feedback service derives the same."""
        return b64encode(digest(bytes.fromhex(self.signing_key), b"reference", sha256)).decode()

    @property
    def config(self) -> Path:
        return self.folder / "haproxy.cfg"

    @property
    def socket(self) -> Path:
        return self.folder / "haproxy.sock"

    @property
    def route_map(self) -> Path:
        return self.folder / "route.map"

    @property
    def lua(self) -> Path:
        return self.folder / "hold.lua"

    @property
    def body_lua(self) -> Path:
        return self.folder / "body.lua"

    @property
    def fields(self) -> Path:
        """The expression that a completion's body must match."""
        return self.folder / "body.re"

    @property
    def large_config(self) -> Path:
        return self.folder / "large.cfg"

    @property
    def large_lua(self) -> Path:
        return self.folder / "large.lua"

    @property
    def large_fields(self) -> Path:
        return self.folder / "large.re"

    @property
    def bodies(self) -> Path:
        """Where the second HAProxy takes large bodies."""
        return self.folder / "bodies.sock"

    @property
    def checked(self) -> Path:
        """Where the first one takes them back."""
        return self.folder / "checked.sock"

    @property
    def last_good(self) -> Path:
        """The last Routing that could be carried out; outlives its containers, not the pod."""
        return self.folder / "routing.json"

    @property
    def lock(self) -> Path:
        """Held by HAProxy for as long as it lives."""
        return self.folder / "haproxy.lock"


def _seconds(text: str) -> int:
    if not text.isdigit() or int(text) < 1:
        raise SettingsError(f"DRAIN_TIMEOUT is not a number of seconds: {text!r}")
    return int(text)
