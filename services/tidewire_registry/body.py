"""Bodies of requests: bounded in bytes and in time, then checked."""

import asyncio
from typing import Any, Final, TypeVar

import orjson
from fastapi import Request
from pydantic import BaseModel, ValidationError

from tidewire.config.explain import explain
from tidewire.http.bodies import BodyTooLargeError, read_bounded
from tidewire.ingest.errors import FieldProblem

from .core.problems import (
    ProblemError,
    bad_json,
    body_timeout,
    body_too_large,
    invalid_request,
    too_many,
)
from .models import MOST_USERS, field_name

__all__ = ["checked", "read_body", "users_of"]

M = TypeVar("M", bound=BaseModel)

MOST_BYTES: Final = 2 * 1024 * 1024
BODY_TIMEOUT: Final = 10.0
_TOLD_ERRORS: Final = 10


async def read_body(request: Request) -> bytes:
    """The whole body; raises ``ProblemError`` (408, 413), ``ClientDisconnect``."""
    declared = request.headers.get("content-length", "")
    if declared.isdigit() and int(declared) > MOST_BYTES:
        raise ProblemError(body_too_large(MOST_BYTES))
    try:
        async with asyncio.timeout(BODY_TIMEOUT):
            return await read_bounded(request, MOST_BYTES)
    except BodyTooLargeError:
        raise ProblemError(body_too_large(MOST_BYTES)) from None
    except TimeoutError:
        raise ProblemError(body_timeout(BODY_TIMEOUT)) from None


def checked(model: type[M], body: bytes) -> M:
    """Raises ``ProblemError`` that names the fields at fault, ten at most."""
    try:
        return model.model_validate_json(body)
    except ValidationError as error:
        faults = error.errors(include_url=False)
        if faults[0]["type"] == "json_invalid":
            raise ProblemError(bad_json(faults[0]["msg"])) from None
        told = tuple(
            FieldProblem(field_name(fault["loc"]), explain(fault, (), {}))
            for fault in faults[:_TOLD_ERRORS]
        )
        raise ProblemError(invalid_request(told)) from None


def users_of(body: bytes) -> list[str]:
    """The users of a lookup, each once. Checked by hand: there may be a thousand, twenty times a second."""
    try:
        document: Any = orjson.loads(body)
    except orjson.JSONDecodeError as error:
        raise ProblemError(bad_json(str(error))) from None
    users = document.get("users") if isinstance(document, dict) else None
    if not isinstance(users, list) or not all(isinstance(user, str) for user in users):
        fault = FieldProblem("users", "must be a list of user ids, which are text")
        raise ProblemError(invalid_request((fault,)))
    if len(users) > MOST_USERS:
        raise ProblemError(too_many("users", len(users), MOST_USERS))
    return list(dict.fromkeys(users))
