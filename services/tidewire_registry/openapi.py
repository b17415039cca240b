"""What OpenAPI says beyond what the routes say themselves."""

from typing import Any

from fastapi import FastAPI
from pydantic import BaseModel

from tidewire.http import openapi_completed
from tidewire.http.openapi import PROBLEM_CONTENT, REFERENCE, ProblemDetails
from tidewire.http.openapi_completed import Guards

from .models import BODIES
from .openapi_examples import ANSWERS, PROBLEMS

__all__ = ["body_of", "complete", "responses_of"]

_REFUSALS = {
    400: "The body is not JSON",
    404: "There is no such node, or nobody can have this name",
    408: "The body did not arrive in time",
    413: "The body or the batch is too large",
    422: "A field cannot be used; `errors` names it",
    503: "The store does not answer, or too much is in work; ask again after `Retry-After` seconds",
}


def body_of(model: type[BaseModel]) -> dict[str, Any]:
    """The part of an operation that describes its body; `complete` adds the schema."""
    reference = {"$ref": REFERENCE.format(model=model.__name__)}
    return {
        "requestBody": {"required": True, "content": {"application/json": {"schema": reference}}}
    }


def responses_of(*statuses: int, conflict: str = "") -> dict[int | str, dict[str, Any]]:
    """Refusals by status, those that any operation may answer with included; ``conflict`` explains 409."""
    told = {status: _REFUSALS[status] for status in (*statuses, 503)}
    if conflict:
        told[409] = conflict
    return {
        status: {"description": text, "content": PROBLEM_CONTENT}
        for status, text in sorted(told.items())
    }


def complete(app: FastAPI) -> None:
    openapi_completed.complete(
        app,
        problems=PROBLEMS,
        answers=ANSWERS,
        guards=Guards(key=True, pages=True),
        models=(*BODIES, ProblemDetails),
    )
