"""What callers may send. A label is one short word, so that no text of a claim or document can be kept by mistake."""

from typing import Annotated, Any

from pydantic import BaseModel, ConfigDict, Field, TypeAdapter, ValidationError
from pydantic.alias_generators import to_camel

BATCH = 1_000

Word = Annotated[str, Field(min_length=1, max_length=64, pattern=r"^[A-Za-z0-9_-]+$")]


class Outcome(BaseModel):
    """What became of one answer. A field that is left out keeps what was said before; null takes it back."""

    model_config = ConfigDict(alias_generator=to_camel, extra="forbid", frozen=True, strict=True, allow_inf_nan=False)

    request_id: str = Field(min_length=1, max_length=1024)
    predicted: Word | None = None
    expert: Word | None = None
    accepted: bool | None = None
    edit_rate: float | None = Field(None, ge=0, le=1)
    satisfaction: float | None = Field(None, ge=1, le=5)
    reviewer: str | None = Field(None, min_length=1, max_length=256)
    """Who says it, in any form: only a keyed hash is kept."""

    def said(self) -> dict[str, Any]:
        """What this outcome says, by column."""
        return {name: getattr(self, name) for name in self.model_fields_set if name != "request_id"}


OUTCOMES: TypeAdapter[list[Outcome]] = TypeAdapter(Annotated[list[Outcome], Field(max_length=BATCH)])
ONE: TypeAdapter[Outcome] = TypeAdapter(Outcome)


def outcomes_of(body: bytes) -> list[Outcome]:
    """One outcome or a list of them. Raises pydantic's ValidationError."""
    if body.lstrip()[:1] == b"[":
        return OUTCOMES.validate_json(body)
    return [ONE.validate_json(body)]


def problems(error: ValidationError) -> list[dict[str, str]]:
    """Field and reason of each error. Never the input: it may be what must not be kept, and answers get logged."""
    return [
        {"field": ".".join(str(part) for part in item["loc"]) or "body", "message": item["msg"]}
        for item in error.errors(include_url=False, include_context=False, include_input=False)
    ]
