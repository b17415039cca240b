"""Pushes: events that stand in no topic, for some connections of a user, now or never (pure)."""

from collections.abc import Sequence
from enum import StrEnum
from typing import NamedTuple

__all__ = ["NO_OFFSET", "Push", "PushOutcome"]

NO_OFFSET = -1
"""Stands in an event's place: clients compare it with nothing."""


class PushOutcome(StrEnum):
    DELIVERED = "delivered"
    OFFLINE = "offline"  # the connection is gone, or has no `@me`
    LIMITED = "limited"  # its socket is behind


class Push(NamedTuple):
    """``data`` is JSON, ``ts_ms`` Unix milliseconds, ``traceparent`` as it came; empty: none did."""

    user: str
    id: str
    data: bytes
    ts_ms: int
    connections: Sequence[str]
    traceparent: bytes = b""
