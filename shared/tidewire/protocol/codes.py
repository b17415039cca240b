"""Every word and number that travels: modes, outcomes, error codes, close codes."""

from enum import IntEnum, StrEnum

__all__ = [
    "SUBPROTOCOL",
    "VERSION",
    "CloseCode",
    "ErrorCode",
    "FeedState",
    "GapReason",
    "Mode",
    "Recovered",
]

VERSION = 1
SUBPROTOCOL = "tidewire.v1.json"


class Mode(StrEnum):
    """What a subscription is promised (docs/protocol.md, "Delivery modes")."""

    LATEST = "latest"
    EVERY = "every"


class Recovered(StrEnum):
    """What became of a subscription's ``since``."""

    EXACT = "exact"
    CHANGES = "changes"
    SNAPSHOT = "snapshot"
    GAP = "gap"
    NONE = "none"


class GapReason(StrEnum):
    RETENTION = "retention"
    TRUNCATED = "truncated"
    RECREATED = "recreated"
    TOO_FAR = "too_far"


class FeedState(StrEnum):
    LIVE = "live"
    STALE = "stale"
    LAGGING = "lagging"


class ErrorCode(StrEnum):
    BAD_REQUEST = "bad_request"
    UNKNOWN_TYPE = "unknown_type"
    UNSUPPORTED_VERSION = "unsupported_version"
    UNKNOWN_CHANNEL = "unknown_channel"
    ALREADY_SUBSCRIBED = "already_subscribed"
    FORBIDDEN = "forbidden"
    LIMIT_EXCEEDED = "limit_exceeded"
    RATE_LIMITED = "rate_limited"
    UNSUPPORTED = "unsupported"
    UNAVAILABLE = "unavailable"
    INTERNAL = "internal"


class CloseCode(IntEnum):
    """Close codes carry a duty: 3000-3499 reconnect and resume, 3500-3999 stop and tell the user."""

    NORMAL = 1000
    GOING_AWAY = 1001
    MESSAGE_TOO_BIG = 1009
    SHUTTING_DOWN = 3001
    TOKEN_EXPIRED = 3005
    TOO_SLOW = 3008
    NO_PONG = 3012
    OVERLOADED = 3030
    INVALID_TOKEN = 3500
    BAD_REQUEST = 3501
    UNSUPPORTED_VERSION = 3502
    FORCED = 3503
    CONNECTION_LIMIT = 3504
