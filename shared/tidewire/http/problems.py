"""Refusals as RFC 9457 problem details."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from http import HTTPStatus
from typing import Any

from ..ingest.errors import FieldProblem

__all__ = ["CONTENT_TYPE", "Problem", "ProblemError"]

CONTENT_TYPE = "application/problem+json"
_URN = "urn:tidewire:problem:"


@dataclass(frozen=True, slots=True)
class Problem:
    """``outcome`` is the label that the service's metric counts it under."""

    kind: str
    status: HTTPStatus
    title: str
    detail: str
    errors: tuple[FieldProblem, ...] = ()
    headers: Mapping[str, str] = field(default_factory=dict)
    outcome: str = "invalid"

    def body(self, **more: Any) -> dict[str, Any]:
        """The members of the answer; ``more`` are extension members."""
        members: dict[str, Any] = {
            "type": _URN + self.kind,
            "title": self.title,
            "status": int(self.status),
            "detail": self.detail,
        }
        if self.errors:
            members["errors"] = [{"field": e.field, "message": e.message} for e in self.errors]
        return members | more


class ProblemError(Exception):
    """Ends the handling of a request; the shell answers with the problem."""

    def __init__(self, problem: Problem) -> None:
        super().__init__(problem.detail)
        self.problem = problem
