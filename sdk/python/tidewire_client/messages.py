"""What a server may say, as frozen messages."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from .position import Position

__all__ = [
    "ErrorReply",
    "Event",
    "Gap",
    "GapNotice",
    "Goaway",
    "Ping",
    "Refreshed",
    "ServerMessage",
    "Snapshot",
    "Status",
    "Subscribed",
    "Unsubscribed",
    "Updates",
    "Welcome",
]


@dataclass(frozen=True, slots=True)
class Event:
    """One event; ``data`` is None where ``deleted``.

    ``ts`` is the record's time in ms since 1970, ``partition`` and ``offset`` its place in Kafka. ``id`` is that of a
    message on `@me`; one that was pushed stands in no topic, and its offset is -1.
    """

    key: str
    data: Any
    ts: int
    partition: int
    offset: int
    deleted: bool = False
    id: str | None = None


@dataclass(frozen=True, slots=True)
class Gap:
    """Events that this subscription will never see.

    ``ranges``: partition → first missing offset, next delivered offset; empty where the server cannot say
    which events are missing. ``reason`` is None where the server gave none.
    """

    ranges: Mapping[int, tuple[int, int]]
    reason: str | None = None


@dataclass(frozen=True, slots=True)
class Welcome:
    connection: str
    node: str
    ping_interval_ms: int
    expires_in_ms: int | None = None
    limits: Mapping[str, Any] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Subscribed:
    """``reason``: why events are missing, or why a snapshot replaces what was asked for.

    ``gap`` may be None where ``recovered`` is `gap`: which events are missing is not known.
    """

    sub: int
    channel: str
    mode: str
    interval_ms: int
    position: Position
    recovered: str
    gap: Gap | None = None
    reason: str | None = None


@dataclass(frozen=True, slots=True)
class Snapshot:
    """One part of a snapshot; ``more``: further parts follow and count together with this one."""

    sub: int
    position: Position
    events: tuple[Event, ...]
    partial: bool = False
    more: bool = False


@dataclass(frozen=True, slots=True)
class Updates:
    sub: int
    position: Position
    events: tuple[Event, ...]
    coalesced: int = 0
    traceparent: str | None = None


@dataclass(frozen=True, slots=True)
class Status:
    """``sub`` None: every subscription of the connection. ``partitions``: those that are not live."""

    state: str
    age_ms: int
    sub: int | None = None
    partitions: tuple[int, ...] = ()


@dataclass(frozen=True, slots=True)
class GapNotice:
    sub: int
    gap: Gap


@dataclass(frozen=True, slots=True)
class Unsubscribed:
    sub: int
    code: str
    reason: str


@dataclass(frozen=True, slots=True)
class Refreshed:
    expires_in_ms: int


@dataclass(frozen=True, slots=True)
class Goaway:
    reason: str
    after_ms: int
    url: str | None = None


@dataclass(frozen=True, slots=True)
class ErrorReply:
    code: str
    message: str
    retry_after_ms: int | None = None


@dataclass(frozen=True, slots=True)
class Ping:
    """A sign of life."""


ServerMessage = (
    Welcome
    | Subscribed
    | Snapshot
    | Updates
    | Status
    | GapNotice
    | Unsubscribed
    | Refreshed
    | Goaway
    | ErrorReply
    | Ping
)
