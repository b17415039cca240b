"""Liveness of one connection: pings with a nonce, counted until a pong or drained bytes answer."""

from enum import Enum, auto

__all__ = ["Beat", "Heartbeat"]


class Beat(Enum):
    PING = auto()
    DEAD = auto()


class Heartbeat:
    """Dead after ``unanswered`` pings without any sign of life; latency is measured by the pong.

    A sign of life is the pong of the last ping, any message, or bytes that drained (a slow client that
    reads is alive, although its pong stands behind what it has not read).
    """

    __slots__ = ("_nonce", "_sent_at", "_unanswered", "_unanswered_limit", "round_trip")

    def __init__(self, unanswered: int) -> None:
        self._unanswered_limit = unanswered
        self._unanswered = 0
        self._nonce = b""
        self._sent_at = 0.0
        self.round_trip: float | None = None

    def beat(self, nonce: bytes, now: float) -> Beat:
        """The interval has passed: send a ping with ``nonce``, or give up."""
        if self._unanswered >= self._unanswered_limit:
            return Beat.DEAD
        self._unanswered += 1
        self._nonce = nonce
        self._sent_at = now
        return Beat.PING

    def pong(self, nonce: bytes, now: float) -> float | None:
        """Seconds the round trip took, when this answers the last ping."""
        if not self._nonce or nonce != self._nonce:
            return None
        self._nonce = b""
        self._unanswered = 0
        self.round_trip = now - self._sent_at
        return self.round_trip

    def sign_of_life(self) -> None:
        self._unanswered = 0
