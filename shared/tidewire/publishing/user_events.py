"""Events to one user, and the records of the targeted topic that they become."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field, replace
from datetime import timedelta
from typing import Final

from ..kafka.records import Header, NewRecord
from ..targeting.errors import InvalidUserError
from ..targeting.messages import (
    COLLAPSE_KEY,
    MAX_COLLAPSE_KEY_BYTES,
    MAX_DATA_BYTES,
    MAX_ID_BYTES,
    MAX_TTL_MS,
    TTL,
)
from ..targeting.topics import TARGETED as TARGETED_TOPIC
from ..targeting.users import check_user
from .errors import InvalidEventError
from .events import Destination, Event, EventLimits, Origin, build_record, utf8

__all__ = ["TARGETED_TOPIC", "UserEvent", "build_user_record", "targeted"]

_TYPE: Final = "tidewire.targeted"
_MAX_TTL: Final = MAX_TTL_MS // 1000


@dataclass(frozen=True, slots=True)
class UserEvent:
    """What a caller wants to tell one user, wherever it is connected.

    ``data`` is as an `Event` has it, but for None, which tells nothing. ``ttl`` is in seconds: how long the
    event waits for a user who is away; 0: delivered now or never, None: as long as mailboxes keep events.
    Of those that wait with one ``collapse_key`` only the newest is delivered. ``id`` None: a fresh one.
    """

    user: str
    data: object
    ttl: float | timedelta | None = None
    collapse_key: str | None = None
    id: str | None = None
    headers: Mapping[str, str | bytes] = field(default_factory=dict)
    trace: Mapping[str, str] = field(default_factory=dict)


def targeted(topic: str, partitions: int) -> Destination:
    """The targeted topic; a user's partition is chosen by the whole id."""
    return Destination(topic, _TYPE, partitions)


def build_user_record(
    event: UserEvent, to: Destination, origin: Origin, limits: EventLimits | None = None
) -> NewRecord:
    """The record of an event to a user: one that `message_of` takes.

    Raises `InvalidEventError` naming the field and the cure.
    """
    user = _user(event.user)
    if event.data is None:
        raise InvalidEventError("data", "is missing: there is nothing to tell the user; give JSON")
    if isinstance(event.id, str):
        utf8("id", event.id, MAX_ID_BYTES)
    limits = limits or EventLimits()
    return build_record(
        Event(user, event.data, event.headers, id=event.id, trace=event.trace),
        to,
        origin,
        replace(limits, max_data_bytes=min(limits.max_data_bytes, MAX_DATA_BYTES)),
        delivery=tuple(_delivery(event)),
    )


def _user(user: object) -> str:
    try:
        return check_user(user)
    except InvalidUserError as error:
        raise InvalidEventError("user", str(error)) from None


def _delivery(event: UserEvent) -> Iterator[Header]:
    if event.ttl is not None:
        yield TTL, b"%d" % _ttl_ms(event.ttl)
    if event.collapse_key is not None:
        yield COLLAPSE_KEY, _collapse_key(event.collapse_key)


def _ttl_ms(ttl: object) -> int:
    """Whole milliseconds; what is not 0 stays above it, since 0 has a meaning of its own."""
    seconds = ttl.total_seconds() if isinstance(ttl, timedelta) else ttl
    if isinstance(seconds, bool) or not isinstance(seconds, int | float):
        raise InvalidEventError(
            "ttl", f"is {type(ttl).__name__}: give seconds as a number, or a timedelta"
        )
    if not 0 <= seconds <= _MAX_TTL:  # holds for NaN, too
        raise InvalidEventError(
            "ttl",
            f"must be 0 (now or never) to {_MAX_TTL} seconds: "
            "leave it out to keep the event as long as mailboxes do",
        )
    return max(round(seconds * 1000), 1) if seconds else 0


def _collapse_key(key: object) -> bytes:
    if not isinstance(key, str) or not key:
        raise InvalidEventError("collapse_key", "must be text and not empty: leave it out for none")
    return utf8("collapse_key", key, MAX_COLLAPSE_KEY_BYTES)
