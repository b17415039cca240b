"""What OpenAPI says beyond what the routes say themselves."""

from typing import Any

from fastapi import FastAPI
from fastapi.openapi.utils import get_openapi
from pydantic import BaseModel, Field

from .core.problems import CONTENT_TYPE
from .models import BODIES

__all__ = ["body_of", "openapi_of", "responses_of"]

_REFERENCE = "#/components/schemas/{model}"


class FieldError(BaseModel):
    field: str = Field(description="as sent, such as `connected[3].user`")
    message: str


class ProblemDetails(BaseModel):
    """RFC 9457 problem details."""

    type: str = Field(description="urn:tidewire:problem:<name>")
    title: str
    status: int
    detail: str
    errors: list[FieldError] | None = None


_REFUSALS = {
    400: "The body is not JSON",
    404: "There is no such node",
    408: "The body did not arrive in time",
    413: "The body or the batch is too large",
    422: "A field cannot be used; `errors` names it",
    503: "The store does not answer, or too much is in work; ask again after `Retry-After` seconds",
}


def body_of(model: type[BaseModel]) -> dict[str, Any]:
    """The part of an operation that describes its body; `openapi_of` adds the schema."""
    reference = {"$ref": _REFERENCE.format(model=model.__name__)}
    return {
        "requestBody": {"required": True, "content": {"application/json": {"schema": reference}}}
    }


def responses_of(*statuses: int, conflict: str = "") -> dict[int | str, dict[str, Any]]:
    """Refusals by status, those that any operation may answer with included; ``conflict`` explains 409."""
    told = {status: _REFUSALS[status] for status in (*statuses, 503)}
    if conflict:
        told[409] = conflict
    return {
        status: {
            "description": text,
            "content": {
                CONTENT_TYPE: {"schema": {"$ref": _REFERENCE.format(model="ProblemDetails")}}
            },
        }
        for status, text in sorted(told.items())
    }


def openapi_of(app: FastAPI) -> dict[str, Any]:
    if app.openapi_schema is None:
        schema = get_openapi(
            title=app.title, version=app.version, summary=app.summary, routes=app.routes
        )
        schemas = schema.setdefault("components", {}).setdefault("schemas", {})
        models: list[type[BaseModel]] = [*BODIES, ProblemDetails]
        for model in models:
            own = model.model_json_schema(ref_template=_REFERENCE)
            schemas.update(own.pop("$defs", {}))
            schemas[model.__name__] = own
        app.openapi_schema = schema
    return app.openapi_schema
