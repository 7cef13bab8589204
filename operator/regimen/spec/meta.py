"""What every kind shares: API group, base models, references, conditions.

Knows pydantic and nothing of Kubernetes clients. `Spec` models are what users write: unknown fields are errors, because a
field that is not carried out must be refused. `Status` models are what the operator writes: CRD schemas are generated from
both, so what the operator writes is never pruned.
"""

from typing import Annotated, Literal

from pydantic import BaseModel, ConfigDict, Field
from pydantic.alias_generators import to_camel

GROUP = "regimen.dev"
VERSION = "v1alpha1"
API_VERSION = f"{GROUP}/{VERSION}"

Name = Annotated[str, Field(min_length=1, max_length=63, pattern=r"^[a-z0-9]([-a-z0-9.]*[a-z0-9])?$")]
Digest = Annotated[str, Field(pattern=r"^sha256:[0-9a-f]{64}$")]
S3Uri = Annotated[str, Field(pattern=r"^s3://[^/]+/.+$", max_length=1024)]
Duration = Annotated[str, Field(pattern=r"^([0-9]+(s|m|h|d))+$", max_length=16)]
"""Go-like durations with days: 90s, 15m, 24h, 1h30m."""
Label = Annotated[str, Field(min_length=1, max_length=64)]
Text = Annotated[str, Field(min_length=1, max_length=253)]
"""A short free word, such as an item of a list. Everything users write is bounded: CEL rules are costed by the bounds."""
NodeSelector = Annotated[dict[str, Annotated[str, Field(max_length=63)]], Field(max_length=16)]
"""Labels that a node must have."""
Quantization = Literal["F16", "Q8_0", "Q6_K", "Q5_K_M", "Q4_K_M"]


class Spec(BaseModel):
    """A part of what the user says. Frozen, camelCase outside, unknown fields refused."""

    model_config = ConfigDict(alias_generator=to_camel, populate_by_name=True, extra="forbid", frozen=True)


class Status(BaseModel):
    """A part of what the operator says. Frozen and camelCase; fields of a newer operator are ignored."""

    model_config = ConfigDict(alias_generator=to_camel, populate_by_name=True, extra="ignore", frozen=True)


class Ref(Spec):
    """A resource of the same namespace, by name."""

    name: Name = Field(description="Name of the resource, in this namespace.")


class SecretKeyRef(Spec):
    """One key of a Secret of the same namespace."""

    name: Name = Field(description="Name of the Secret, in this namespace.")
    key: str = Field(min_length=1, max_length=253, description="Key in the Secret's data.")


class VolumeClaim(Spec):
    """A PersistentVolumeClaim of the same namespace."""

    claim_name: Name = Field(description="PersistentVolumeClaim, e.g. of a local volume that a group of nodes has.")


class Cache(Spec):
    """Where models are kept on the nodes, by digest."""

    persistent_volume_claim: VolumeClaim = Field(description="The node group's disk.")


class Condition(Status):
    """A condition as Kubernetes defines it (metav1.Condition)."""

    type: str = Field(max_length=64, description="What the condition says, e.g. Ready.")
    status: Literal["True", "False", "Unknown"] = Field(description="True, False or Unknown.")
    reason: str = Field(max_length=128, description="One CamelCase word for programs.")
    message: str = Field(max_length=4096, description="One sentence for people, with the remedy where there is one.")
    observed_generation: int = Field(description="metadata.generation that this was said of.")
    last_transition_time: str = Field(description="When status last changed, RFC 3339.")


class KindStatus(Status):
    """What the status of every kind begins with."""

    observed_generation: int | None = Field(None, description="metadata.generation that this status speaks of.")
    message: str | None = Field(None, max_length=4096, description="What is happening now, in one sentence.")
    conditions: list[Condition] = Field(default_factory=list, max_length=16, description="Conditions, one of each type.")


def parse_duration(text: str) -> int:
    """Seconds in a `Duration`.

    >>> parse_duration("1h30m"), parse_duration("2d")
    (5400, 172800)
    """
    unit = {"s": 1, "m": 60, "h": 3600, "d": 86400}
    seconds, digits = 0, ""
    for char in text:
        if char.isdigit():
            digits += char
        else:
            seconds += int(digits) * unit[char]
            digits = ""
    return seconds
