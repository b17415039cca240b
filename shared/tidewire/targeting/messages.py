"""Messages to a user: in the targeted topic, and on their way to one node through its inbox."""

from collections.abc import Iterable
from typing import Final, NamedTuple

import orjson

from ..kafka.partitioning import partition_of
from ..kafka.records import Header, NewRecord, Record
from ..protocol.trace_context import TRACEPARENT, handed_on
from .errors import BadMessage, BadMessageError, InvalidUserError
from .users import check_user

__all__ = [
    "COLLAPSE_KEY",
    "MAX_DATA_BYTES",
    "TTL",
    "Letter",
    "Message",
    "inbox_record",
    "letter_of",
    "message_of",
]

TTL: Final = "tidewire-ttl-ms"
COLLAPSE_KEY: Final = "tidewire-collapse-key"
ID: Final = "ce_id"
MAX_DATA_BYTES: Final = 128 * 1024
MAX_TTL_MS: Final = 365 * 86_400_000
MAX_COLLAPSE_KEY_BYTES: Final = 255
MAX_ID_BYTES: Final = 255

_EPOCH, _PLACE, _PREV, _TIME, _EXPIRES, _KEPT = (
    "tidewire-epoch",
    "tidewire-offset",
    "tidewire-prev",
    "tidewire-ts",
    "tidewire-expires",
    "tidewire-kept",
)


class Message(NamedTuple):
    """One record of the targeted topic, at ``partition`` and ``offset``.

    ``ttl_ms`` None is the mailbox's own; 0: delivered now or never. Of those with one ``collapse_key`` only the newest
    stays in the mailbox. ``data`` is the publisher's JSON, never encoded again.
    """

    user: str
    id: str
    data: bytes
    ts_ms: int
    ttl_ms: int | None
    collapse_key: str | None
    partition: int
    offset: int
    traceparent: str | None = None

    @property
    def is_kept(self) -> bool:
        """Whether it stands in the mailbox until it is delivered."""
        return self.ttl_ms != 0

    def expires_at_ms(self, default_ttl_ms: int) -> int:
        """Unix milliseconds; ``default_ttl_ms`` is the mailbox's."""
        ttl = default_ttl_ms if self.ttl_ms is None else min(self.ttl_ms, default_ttl_ms)
        return self.ts_ms + ttl


class Letter(NamedTuple):
    """A message as a gateway delivers it, from an inbox or a mailbox.

    ``prev`` is the offset of the kept message before it in the user's mailbox, None where there was none: who has not
    had that one reads the mailbox first.
    """

    user: str
    id: str
    data: bytes
    ts_ms: int
    expires_at_ms: int
    partition: int
    offset: int
    prev: int | None
    is_kept: bool = True
    collapse_key: str | None = None
    traceparent: str | None = None


def message_of(record: Record, *, partitions: int | None = None) -> Message:
    """Read a record of the targeted topic; raises `BadMessageError`.

    ``partitions`` is how many the topic has: a record in another partition than its user's, where a mailbox would take it
    for an old one, is bad too.
    """
    headers = _by_name(record.headers)
    user = _user(record.key)
    if partitions is not None and record.partition != partition_of(user.encode(), partitions):
        raise BadMessageError(
            BadMessage.WRONG_PARTITION,
            f"the record stands in partition {record.partition} and its user in another: "
            "choose the partition by murmur2 of the key (librdkafka: partitioner murmur2_random)",
        )
    identity = headers.get(ID)
    if identity is None:
        raise BadMessageError(BadMessage.NO_ID, f"header {ID} is missing: name the message")
    collapse_key = headers.get(COLLAPSE_KEY)
    return Message(
        user=user,
        id=_text(identity, MAX_ID_BYTES, BadMessage.NO_ID, ID),
        data=_data(record.value),
        ts_ms=record.timestamp_ms,
        ttl_ms=_ttl(headers.get(TTL)),
        collapse_key=None
        if collapse_key is None
        else _text(collapse_key, MAX_COLLAPSE_KEY_BYTES, BadMessage.BAD_COLLAPSE_KEY, COLLAPSE_KEY),
        partition=record.partition,
        offset=record.offset,
        traceparent=_trace(headers.get(TRACEPARENT)),
    )


def inbox_record(letter: Letter, topic: str, slot: int, epoch: str) -> NewRecord:
    """The record that brings a letter to the node that holds ``slot`` under ``epoch``."""
    headers: list[Header] = [
        (_EPOCH, epoch.encode()),
        (_PLACE, b"%d:%d" % (letter.partition, letter.offset)),
        (_TIME, b"%d" % letter.ts_ms),
        (_EXPIRES, b"%d" % letter.expires_at_ms),
        (_KEPT, b"1" if letter.is_kept else b"0"),
        (ID, letter.id.encode()),
    ]
    if letter.prev is not None:
        headers.append((_PREV, b"%d" % letter.prev))
    if letter.collapse_key is not None:
        headers.append((COLLAPSE_KEY, letter.collapse_key.encode()))
    if letter.traceparent is not None:
        headers.append((TRACEPARENT, letter.traceparent.encode()))
    return NewRecord(topic, slot, letter.user.encode(), letter.data, headers)


def letter_of(record: Record) -> tuple[str, Letter]:
    """The node epoch that an inbox record is meant for, and its letter; raises `BadMessageError`."""
    headers = _by_name(record.headers)
    try:
        partition, _, offset = headers[_PLACE].partition(b":")
        prev, collapse_key = headers.get(_PREV), headers.get(COLLAPSE_KEY)
        return headers[_EPOCH].decode(), Letter(
            user=check_user((record.key or b"").decode()),
            id=headers[ID].decode(),
            data=_data(record.value),
            ts_ms=int(headers[_TIME]),
            expires_at_ms=int(headers[_EXPIRES]),
            partition=int(partition),
            offset=int(offset),
            prev=None if prev is None else int(prev),
            is_kept=headers[_KEPT] == b"1",
            collapse_key=None if collapse_key is None else collapse_key.decode(),
            traceparent=_trace(headers.get(TRACEPARENT)),
        )
    except (KeyError, ValueError, InvalidUserError) as error:
        raise BadMessageError(
            BadMessage.BAD_HEADERS,
            f"this is no record of a router ({error!r}): only routers may write to the inbox topic",
        ) from None


def _by_name(headers: Iterable[Header]) -> dict[str, bytes]:
    return dict(headers)


def _user(key: bytes | None) -> str:
    if not key:
        raise BadMessageError(BadMessage.NO_USER, "the record has no key: give the user's id")
    try:
        return check_user(key.decode())
    except UnicodeDecodeError:
        raise BadMessageError(
            BadMessage.BAD_USER, "the record's key is not text: give the user's id in UTF-8"
        ) from None
    except InvalidUserError as error:
        raise BadMessageError(BadMessage.BAD_USER, str(error)) from None


def _data(value: bytes | None) -> bytes:
    if value is None:
        raise BadMessageError(BadMessage.NO_DATA, "the record has no value: give JSON")
    if len(value) > MAX_DATA_BYTES:
        raise BadMessageError(
            BadMessage.TOO_LARGE,
            f"the data is {len(value)} bytes, {MAX_DATA_BYTES} are allowed: publish a reference",
        )
    try:
        orjson.loads(value)
    except orjson.JSONDecodeError as error:
        raise BadMessageError(
            BadMessage.NOT_JSON, f"the data is not JSON ({error}): give JSON in UTF-8"
        ) from None
    return value


def _ttl(content: bytes | None) -> int | None:
    if content is None:
        return None
    if not content.isdigit() or len(content) > 12 or int(content) > MAX_TTL_MS:
        raise BadMessageError(
            BadMessage.BAD_TTL,
            f"header {TTL} must be 0 to {MAX_TTL_MS} milliseconds, in decimal digits",
        )
    return int(content)


def _text(content: bytes, most: int, reason: BadMessage, name: str) -> str:
    try:
        text = content.decode()
    except UnicodeDecodeError:
        raise BadMessageError(reason, f"header {name} is not text: give it in UTF-8") from None
    if not 0 < len(content) <= most:
        raise BadMessageError(
            reason, f"header {name} is {len(content)} bytes: give 1 to {most} bytes of text"
        )
    return text


def _trace(content: bytes | None) -> str | None:
    """One that is not as W3C writes it counts as none: it is no reason to lose the message."""
    return None if content is None else handed_on(content)
