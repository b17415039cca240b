"""Answers that OpenAPI shows: refusals by status, and what operations answer."""

from collections.abc import Mapping
from http import HTTPStatus
from typing import Any, Final

from tidewire.http.health import HEALTH_EXAMPLES
from tidewire.http.openapi_completed import Answer
from tidewire.http.problems import Problem
from tidewire.ingest.errors import FieldProblem
from tidewire.targeting.errors import (
    LeaseLostError,
    NoFreeSlotError,
    StoreUnavailableError,
)

from .core.problems import (
    bad_json,
    body_timeout,
    body_too_large,
    invalid_request,
    problem_of,
    unknown_node,
    unknown_path,
)

__all__ = ["ANSWERS", "PROBLEMS"]

_EPOCH: Final = "6b1f0c9e2d3a4b5c6d7e8f9001122334"
_MOST: Final = 1 << 20
_NODE: Final[dict[str, Any]] = {
    "node": "gateway-0",
    "slot": 3,
    "epoch": _EPOCH,
    "address": "http://10.0.0.7:9100",
}

PROBLEMS: Final[Mapping[int, Problem]] = {
    400: bad_json("unexpected end of data"),
    404: unknown_node("gateway-9"),
    408: body_timeout(10),
    409: problem_of(LeaseLostError("node gateway-0 holds no lease of this epoch: register anew")),
    413: body_too_large(_MOST),
    422: invalid_request((FieldProblem("node", "is missing"),)),
    503: problem_of(StoreUnavailableError("Redis does not answer: ask again in a moment")),
}
_NO_USER: Final = unknown_path(HTTPStatus.NOT_FOUND, {})
ANSWERS: Final[Mapping[str, Mapping[int, Answer]]] = {
    **HEALTH_EXAMPLES,
    "register": {
        201: {"slot": 3, "epoch": _EPOCH, "lease_ms": 15_000},
        409: problem_of(NoFreeSlotError("all 16 slots are held: raise SLOTS")),
    },
    "nodes": {
        200: {
            "nodes": [
                {
                    **_NODE,
                    "zone": "a",
                    "state": "ready",
                    "load": {"connections": 412.0},
                    "sessions": 390,
                    "lease_ms_left": 11_250,
                    "is_live": True,
                }
            ],
            "slots": {"total": 16, "used": 1},
            "frozen": False,
        }
    },
    "renew": {200: {"lease_ms": 15_000}},
    "node_sessions": {
        200: {
            "node": "gateway-0",
            "epoch": _EPOCH,
            "sessions": [
                {
                    "user": "ann",
                    "connection": "c-8f2k",
                    "device": "kiosk-4",
                    "since_ms": 1_764_460_800_000,
                }
            ],
            "next": None,
        }
    },
    "announce": {200: {"evicted": [], "of_this_node": []}},
    "lookup": {200: {"places": {"ann": [{**_NODE, "connections": ["c-8f2k"]}]}}},
    "disconnect": {
        200: {"connections": 1, "nodes": [{"node": "gateway-0", "connections": 1}]},
        404: _NO_USER,
    },
    "user": {
        200: {
            "user": "ann",
            "devices": [
                {
                    "connection": "c-8f2k",
                    "node": "gateway-0",
                    "device": "kiosk-4",
                    "since_ms": 1_764_460_800_000,
                    "is_live": True,
                }
            ],
        },
        404: _NO_USER,
    },
}
