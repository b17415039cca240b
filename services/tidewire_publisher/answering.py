"""Problems as HTTP answers."""

from collections.abc import Mapping
from typing import Any

import orjson
from fastapi import Response

from .core.problems import CONTENT_TYPE, Problem

__all__ = ["problem_response"]


def problem_response(problem: Problem, members: Mapping[str, Any] | None = None) -> Response:
    return Response(
        orjson.dumps(problem.body(**(members or {}))),
        status_code=int(problem.status),
        headers=problem.headers,
        media_type=CONTENT_TYPE,
    )
