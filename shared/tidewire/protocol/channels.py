"""Channel names: ``flights`` (a whole stream), ``flights/JFK`` (one group), ``@me``."""

import re
from dataclasses import dataclass

from .codes import ErrorCode
from .errors import ChannelSizeError, ProtocolError

__all__ = ["CHANNEL_PATTERN", "STREAM_PATTERN", "Channel", "parse_channel"]

MAX_BYTES = 255
CHANNEL_PATTERN = r"[A-Za-z0-9._~:@/-]{1,255}"
STREAM_PATTERN = r"[A-Za-z0-9][A-Za-z0-9._~-]{0,126}"
_CHANNEL = re.compile(CHANNEL_PATTERN)


@dataclass(frozen=True, slots=True)
class Channel:
    """A parsed channel; ``group`` is None for the whole stream."""

    stream: str
    group: str | None = None

    def __str__(self) -> str:
        return self.stream if self.group is None else f"{self.stream}/{self.group}"


def parse_channel(name: str) -> Channel:
    """Split ``stream[/group]``; the group is everything after the first slash.

    Raises ``ProtocolError`` (``bad_request``) for a name outside the alphabet or too long.
    """
    if not _CHANNEL.fullmatch(name):
        kind = ChannelSizeError if len(name) > MAX_BYTES else ProtocolError
        raise kind(
            ErrorCode.BAD_REQUEST,
            f"channel must be 1 to {MAX_BYTES} characters of A-Z a-z 0-9 . _ ~ : @ / -",
        )
    stream, slash, group = name.partition("/")
    if not stream or (slash and not group):
        raise ProtocolError(
            ErrorCode.BAD_REQUEST, "channel is STREAM or STREAM/GROUP, neither of them empty"
        )
    return Channel(stream, group if slash else None)
