"""Server messages as checker and recorder need them; written anew, so that no codec checks itself."""

from collections.abc import Sequence

import msgspec

from .entries import Position

__all__ = [
    "Heading",
    "HeadingPayload",
    "Message",
    "MessagePayload",
    "WireEvent",
    "headings",
    "messages",
]

_NO_DATA = msgspec.Raw(b"")


class WireEvent(msgspec.Struct, frozen=True):
    """An event; ``data`` holds the bytes that travelled, none at all for a removal."""

    key: str
    ts: int
    offset: tuple[int, int]
    data: msgspec.Raw = _NO_DATA
    deleted: bool = False


class HeadingPayload(msgspec.Struct, frozen=True):
    """Every field of every message but the events; absent ones have their default."""

    sub: int | None = None
    position: Position | None = None
    channel: str = ""
    mode: str = ""
    interval_ms: int = 0
    recovered: str = ""
    gap: dict[int, tuple[int, int]] | None = None
    reason: str = ""
    more: bool = False
    partial: bool = False
    coalesced: int = 0
    state: str = ""
    age_ms: int = 0
    code: str = ""
    message: str = ""
    retry_after_ms: int | None = None
    after_ms: int = 0
    url: str | None = None
    connection: str = ""
    node: str = ""
    ping_interval_ms: int = 0


class MessagePayload(HeadingPayload, frozen=True):
    events: tuple[WireEvent, ...] = ()


class Heading(msgspec.Struct, frozen=True):
    """A message without its events."""

    type: str
    id: int | None = None
    payload: HeadingPayload = HeadingPayload()


class Message(msgspec.Struct, frozen=True):
    type: str
    id: int | None = None
    payload: MessagePayload = MessagePayload()


_heading = msgspec.json.Decoder(Heading)
_headings = msgspec.json.Decoder(list[Heading])
_message = msgspec.json.Decoder(Message)
_messages = msgspec.json.Decoder(list[Message])


def headings(frame: bytes | memoryview) -> Sequence[Heading]:
    """The messages of a frame without events. Raises ``msgspec.DecodeError``."""
    return _headings.decode(frame) if frame[:1] == b"[" else (_heading.decode(frame),)


def messages(frame: bytes | memoryview) -> Sequence[Message]:
    """The messages of a frame. Raises ``msgspec.DecodeError``."""
    return _messages.decode(frame) if frame[:1] == b"[" else (_message.decode(frame),)
