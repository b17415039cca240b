from http import HTTPStatus

import pytest

from tidewire.errors import TidewireError
from tidewire.ingest.errors import FieldProblem
from tidewire.targeting.errors import (
    BatchOvertakenError,
    InvalidUserError,
    LeaseLostError,
    NodeNameTakenError,
    NoFreeSlotError,
    PartitionsChangedError,
    StoreUnavailableError,
)
from tidewire_registry.core.problems import (
    Problem,
    bad_json,
    body_timeout,
    body_too_large,
    gone_away,
    internal,
    invalid_request,
    overloaded,
    problem_of,
    too_many,
    unknown_node,
    unknown_path,
)


@pytest.mark.parametrize(
    ("error", "status", "kind"),
    [
        (LeaseLostError, 409, "lease-lost"),
        (BatchOvertakenError, 409, "batch-overtaken"),
        (NoFreeSlotError, 409, "no-free-slot"),
        (NodeNameTakenError, 409, "node-name-taken"),
        (InvalidUserError, 422, "invalid-user"),
        (StoreUnavailableError, 503, "store-unavailable"),
        (PartitionsChangedError, 500, "internal"),
    ],
)
def test_each_error_has_its_problem(error: type[TidewireError], status: int, kind: str) -> None:
    problem = problem_of(error("do this"))
    assert (problem.status, problem.kind, problem.detail) == (status, kind, "do this")
    assert ("Retry-After" in problem.headers) == (status == 503)


@pytest.mark.parametrize(
    ("problem", "status", "cure"),
    [
        (bad_json("line 1"), 400, "line 1"),
        (body_timeout(10.0), 408, "not complete after 10 s: send it faster"),
        (body_too_large(5), 413, "send several smaller requests"),
        (too_many("users", 7, 5), 413, "7 users were sent, 5 are taken at once"),
        (overloaded(3), 503, "ask again later"),
        (unknown_node("x"), 404, "GET /v1/nodes"),
        (gone_away(), 400, "nothing was done"),
        (internal(), 500, "log"),
        (unknown_path(HTTPStatus.METHOD_NOT_ALLOWED, {"Allow": "GET"}), 405, "/openapi.json"),
    ],
)
def test_each_refusal_names_its_cure(problem: Problem, status: int, cure: str) -> None:
    assert problem.status == status
    assert cure in problem.detail


def test_an_invalid_request_names_each_field() -> None:
    problem = invalid_request((FieldProblem("a", "is missing"), FieldProblem("b", "is wrong")))
    assert problem.detail == "a: is missing; b: is wrong"
    assert problem.body()["errors"][1] == {"field": "b", "message": "is wrong"}
