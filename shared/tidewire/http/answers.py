"""Answers that every service gives."""

from collections.abc import Mapping
from http import HTTPStatus
from typing import Any

import orjson
from starlette.requests import Request
from starlette.responses import Response

from .problems import CONTENT_TYPE, Problem

__all__ = ["client_gone", "plain", "problem_response"]


def problem_response(
    problem: Problem,
    members: Mapping[str, Any] | None = None,
    headers: Mapping[str, str] | None = None,
) -> Response:
    """``members`` and ``headers`` are added to those of the problem, whose own headers hold."""
    return Response(
        orjson.dumps(problem.body(**(members or {}))),
        status_code=int(problem.status),
        headers={**(headers or {}), **problem.headers},
        media_type=CONTENT_TYPE,
    )


async def client_gone(_request: Request, _error: Exception) -> Response:
    """Handler of ``ClientDisconnect``: nobody is left to be answered, and nothing is wrong here."""
    return Response(status_code=HTTPStatus.BAD_REQUEST)


def plain(text: str, status: HTTPStatus = HTTPStatus.OK) -> Response:
    """A line of text."""
    return Response(text + "\n", status_code=int(status), media_type="text/plain")
