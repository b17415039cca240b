"""Completes what OpenAPI says of a service: an example of every answer, and what its guards answer."""

import json
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import cache
from http import HTTPStatus
from types import MappingProxyType
from typing import Any, Final

from fastapi import FastAPI
from fastapi.routing import APIRoute
from pydantic import BaseModel

from .internal_guard import OPEN_PATHS
from .openapi import REFERENCE, ProblemDetails
from .page_guard import FOREIGN_PAGE
from .problems import CONTENT_TYPE, Problem

__all__ = ["Answer", "Guards", "complete", "operation_id"]

Answer = Problem | str | dict[str, Any]
"""An example: a refusal, a line of text, or JSON."""
_Json = dict[str, Any]

_KEY_MISSING: Final = Problem(
    "internal-key-missing",
    HTTPStatus.UNAUTHORIZED,
    "The internal key is needed",
    "send `Authorization: Bearer <key>` with a key of the file that this service's INTERNAL_KEY_FILE names",
)
_EMPTY: Final = frozenset({"204", "304"})
_SAFE: Final = frozenset({"get", "head"})
_UNCHECKED: Final = REFERENCE.format(model="HTTPValidationError")


@dataclass(frozen=True, slots=True)
class Guards:
    """What stands before the routes. ``key``: the internal key is asked for, where one is set; ``pages``: pages of other sites are refused."""

    key: bool = False
    pages: bool = False


def operation_id(route: APIRoute) -> str:
    """An operation is called like its function; generated clients call it so, too."""
    return route.name


def complete(
    app: FastAPI,
    *,
    problems: Mapping[int, Problem],
    answers: Mapping[str, Mapping[int, Answer]] | None = None,
    guards: Guards = Guards(),
    models: Sequence[type[BaseModel]] = (),
    security: Mapping[str, _Json] = MappingProxyType({}),
) -> None:
    """Let ``app`` tell its document completed; it is made when it is first asked for, and once.

    ``problems`` are examples by status, ``answers`` by operation, where one says more. ``models`` and ``security`` are
    what routes refer to by name.
    """
    told = app.openapi

    @cache
    def document() -> _Json:
        found = told()
        _add_components(found, models, security)
        _complete(found, problems, answers or {}, guards)
        return found

    app.openapi = document  # type: ignore[method-assign] # FastAPI's own way to extend it


def _add_components(
    document: _Json, models: Sequence[type[BaseModel]], security: Mapping[str, _Json]
) -> None:
    components: _Json = document.setdefault("components", {})
    schemas: _Json = components.setdefault("schemas", {})
    for model in models:
        own = model.model_json_schema(ref_template=REFERENCE)
        schemas.update(own.pop("$defs", {}))
        schemas[model.__name__] = own
    if security:
        components["securitySchemes"] = dict(security)


def _complete(
    document: _Json,
    problems: Mapping[int, Problem],
    answers: Mapping[str, Mapping[int, Answer]],
    guards: Guards,
) -> None:
    for path, method, operation in _operations(document):
        responses: _Json = operation["responses"]
        _forget_unchecked(responses)
        _add_guards(path, method, operation, guards)
        own = answers.get(operation["operationId"], {})
        for status, response in responses.items():
            answer = own.get(int(status), problems.get(int(status)))
            if status not in _EMPTY and answer is not None:
                _show(response, answer)
    _complete_components(document, guards)


def _operations(document: _Json) -> Iterator[tuple[str, str, _Json]]:
    for path, item in document["paths"].items():
        for method, operation in item.items():
            yield path, method, operation


def _forget_unchecked(responses: _Json) -> None:
    """FastAPI's own 422 where the path is text: nothing of it can be wrong."""
    if _UNCHECKED in json.dumps(responses.get("422", {})):
        del responses["422"]


def _add_guards(path: str, method: str, operation: _Json, guards: Guards) -> None:
    responses = operation["responses"]
    if guards.key and path not in OPEN_PATHS:
        responses["401"] = {"description": "The internal key is needed, where one is set"}
        operation["security"] = [{}, {"internalKey": []}]
        _show(responses["401"], _KEY_MISSING)
    if guards.pages and method not in _SAFE:
        responses.setdefault("403", {"description": FOREIGN_PAGE.title})
        _show(responses["403"], FOREIGN_PAGE)


def _show(response: _Json, answer: Answer) -> None:
    """Add the example, and what kind of body it is of where nothing says so."""
    media_type, schema, example = _body_of(answer)
    content = response.setdefault("content", {})
    shown: _Json = content.setdefault(media_type, {})
    shown.setdefault("schema", schema)
    if "example" not in shown and "examples" not in shown:
        shown["example"] = example


def _body_of(answer: Answer) -> tuple[str, _Json, Any]:
    match answer:
        case Problem():
            reference = {"$ref": REFERENCE.format(model=ProblemDetails.__name__)}
            return CONTENT_TYPE, reference, answer.body()
        case str():
            return "text/plain", {"type": "string"}, answer
        case _:
            return "application/json", {"type": "object"}, answer


def _complete_components(document: _Json, guards: Guards) -> None:
    components: _Json = document.setdefault("components", {})
    schemas: _Json = components.setdefault("schemas", {})
    if REFERENCE.format(model=ProblemDetails.__name__) in json.dumps(document["paths"]):
        own = ProblemDetails.model_json_schema(ref_template=REFERENCE)
        for name, schema in {**own.pop("$defs"), ProblemDetails.__name__: own}.items():
            schemas.setdefault(name, schema)
    for name in ("HTTPValidationError", "ValidationError"):
        if f'"{REFERENCE.format(model=name)}"' not in json.dumps(document):
            schemas.pop(name, None)
    if guards.key:
        components.setdefault("securitySchemes", {})["internalKey"] = {
            "type": "http",
            "scheme": "bearer",
            "description": "A line of the file that INTERNAL_KEY_FILE names",
        }
