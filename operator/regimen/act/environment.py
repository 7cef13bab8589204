"""The operator's own environment, as the chart sets it. Read once, at start-up."""

import json
import os
from collections.abc import Mapping
from dataclasses import dataclass

from regimen.errors import ConfigurationError
from regimen.plan.common import Settings

BUCKET_VARIABLES = ("REGIMEN_S3_ENDPOINT", "REGIMEN_S3_BUCKET", "AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY")


@dataclass(frozen=True)
class Environment:
    """What the process itself needs, besides `Settings`."""

    namespace: str
    pod: str
    resync_seconds: float
    port: int


def read(environ: Mapping[str, str] = os.environ) -> tuple[Environment, Settings]:
    """Both halves. Raises ConfigurationError naming the variable."""

    def need(name: str) -> str:
        try:
            return environ[name]
        except KeyError as error:
            raise ConfigurationError(f"environment variable {name} is not set; the chart sets it") from error

    def table(name: str, default: str) -> dict[str, object]:
        try:
            value = json.loads(environ.get(name) or default)
        except ValueError as error:
            raise ConfigurationError(f"environment variable {name} is not JSON: {error}") from error
        if not isinstance(value, dict):
            raise ConfigurationError(f"environment variable {name} is not a JSON object")
        return value

    bucket = {name: need(name) for name in BUCKET_VARIABLES} | {"AWS_REGION": environ.get("AWS_REGION", "us-east-1")}
    settings = Settings(
        trainer_image=need("REGIMEN_TRAINER_IMAGE"),
        server_image=need("REGIMEN_SERVER_IMAGE"),
        router_image=need("REGIMEN_ROUTER_IMAGE"),
        pull_policy=environ.get("REGIMEN_IMAGE_PULL_POLICY", "IfNotPresent"),
        feedback_url=need("REGIMEN_FEEDBACK_URL").rstrip("/"),
        signing_key=need("REGIMEN_SIGNING_KEY"),
        training_node_selector={key: str(value) for key, value in table("REGIMEN_TRAINING_NODE_SELECTOR", "{}").items()},
        serving_priority_class=need("REGIMEN_SERVING_PRIORITY_CLASS"),
        training_priority_class=need("REGIMEN_TRAINING_PRIORITY_CLASS"),
        trainer_resources=table("REGIMEN_TRAINER_RESOURCES", "{}"),
        server_resources=table("REGIMEN_SERVER_RESOURCES", "{}"),
        bucket=bucket["REGIMEN_S3_BUCKET"],
        bucket_env=bucket,
        prometheus_url=environ.get("REGIMEN_PROMETHEUS_URL", ""),
    )
    own = Environment(
        namespace=need("REGIMEN_NAMESPACE"), pod=need("POD_NAME"), resync_seconds=float(environ.get("REGIMEN_RESYNC_SECONDS", "10")),
        port=int(environ.get("REGIMEN_PORT", "8080")),
    )  # fmt: skip
    return own, settings
