"""What the end of a connection asks of the client, and when to renew a token; pure."""

from dataclasses import dataclass
from enum import Enum

__all__ = ["Duty", "LinkEnd", "duty_of", "refresh_delay", "silence_timeout"]

TOKEN_EXPIRED = 3005
_PERMANENT = range(3500, 4000)
_PASSING_STATUSES = frozenset({408, 425, 429})


class Duty(Enum):
    """RETRY: with back-off. RENEW: likewise, with a new token. STOP: tell the user."""

    RETRY = "retry"
    RENEW = "renew"
    STOP = "stop"


@dataclass(frozen=True, slots=True)
class LinkEnd:
    """Why a connection ended or never began.

    ``code`` is a close code (1006: without one), ``status`` the HTTP status of a refused handshake;
    ``retry_after`` seconds where the server named a time.
    """

    reason: str
    code: int = 1006
    status: int | None = None
    retry_after: float | None = None


def duty_of(end: LinkEnd, *, was_connected: bool, can_renew: bool) -> Duty:
    """The client's duty (docs/protocol.md, "Close codes").

    A handshake refused with 4xx is final only while no connection ever stood: later it is more likely
    a proxy that is being changed.
    """
    if end.status is not None:
        is_final = 400 <= end.status < 500 and end.status not in _PASSING_STATUSES
        return Duty.STOP if is_final and not was_connected else Duty.RETRY
    if end.code in _PERMANENT:
        return Duty.STOP
    if end.code == TOKEN_EXPIRED:
        return Duty.RENEW if can_renew else Duty.STOP
    return Duty.RETRY


def refresh_delay(expires_in_ms: int) -> float:
    """Seconds until a token should be renewed: at four fifths of its life, at least a second."""
    return max(1.0, expires_in_ms * 0.8 / 1000)


def silence_timeout(ping_interval_ms: int) -> float | None:
    """Seconds without a frame after which a connection counts as dead: 2.5 ping intervals.

    None where the server says that it does not ping.
    """
    return ping_interval_ms * 2.5 / 1000 if ping_interval_ms > 0 else None
