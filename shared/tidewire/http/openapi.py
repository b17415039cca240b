"""What OpenAPI says of problem details."""

from typing import Any, Final

from pydantic import BaseModel, Field

from .problems import CONTENT_TYPE

__all__ = ["PROBLEM_CONTENT", "REFERENCE", "ProblemDetails"]

REFERENCE: Final = "#/components/schemas/{model}"


class FieldError(BaseModel):
    field: str = Field(description="as sent, such as `connected[3].user`, or `[3].key` in a batch")
    message: str


class ProblemDetails(BaseModel):
    """RFC 9457 problem details."""

    type: str = Field(description="urn:tidewire:problem:<name>")
    title: str
    status: int
    detail: str
    errors: list[FieldError] | None = None


PROBLEM_CONTENT: Final[dict[str, Any]] = {
    CONTENT_TYPE: {"schema": {"$ref": REFERENCE.format(model=ProblemDetails.__name__)}}
}
"""Of a refusal's response. A service with further members calls its own model `ProblemDetails` too."""
