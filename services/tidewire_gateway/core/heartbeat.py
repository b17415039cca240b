"""Liveness of one connection: pings with a nonce, counted until a pong or drained bytes answer."""

import math
from enum import Enum, auto

__all__ = ["Beat", "Heartbeat", "beat_together"]

_TOGETHER = 0.05


def beat_together(at: float) -> float:
    """The moment, at ``at`` (seconds) or a little later, that the beats of all connections share.

    Waking up for each of thousands costs more than the pings do.
    """
    return math.ceil(at / _TOGETHER) * _TOGETHER


class Beat(Enum):
    PING = auto()
    DEAD = auto()


class Heartbeat:
    """Dead after ``unanswered`` pings without any sign of life; latency is measured by the pong.

    A sign of life is a pong, any message, or bytes that drained (a slow client that reads is alive,
    although its pong stands behind what it has not read). A ping also tells of what was written just before it:
    whoever answers it has had that.
    """

    __slots__ = ("_limit", "_sent_by_nonce", "_unanswered", "age", "round_trip")

    def __init__(self, unanswered: int) -> None:
        self._limit = unanswered
        self._unanswered = 0
        self._sent_by_nonce: dict[bytes, tuple[float, float | None]] = {}
        self.round_trip: float | None = None
        self.age: float | None = None
        """How old what was written just before the last answered ping was when the answer came."""

    def beat(self, nonce: bytes, now: float, oldest_at: float | None = None) -> Beat:
        """The interval has passed: send a ping with ``nonce``, or give up.

        ``oldest_at`` is when the oldest event came about that was written just before; None where nothing was.
        """
        if self._unanswered >= self._limit:
            return Beat.DEAD
        self._unanswered += 1
        self._sent_by_nonce[nonce] = now, oldest_at
        while len(self._sent_by_nonce) > self._limit:
            del self._sent_by_nonce[next(iter(self._sent_by_nonce))]
        return Beat.PING

    def pong(self, nonce: bytes, now: float) -> float | None:
        """Seconds the round trip took, when this answers a ping that is out; it answers older ones too."""
        sent = self._sent_by_nonce.get(nonce)
        if sent is None:
            return None
        while next(iter(self._sent_by_nonce)) != nonce:
            del self._sent_by_nonce[next(iter(self._sent_by_nonce))]
        del self._sent_by_nonce[nonce]
        self._unanswered = 0
        sent_at, oldest_at = sent
        self.age = None if oldest_at is None else now - oldest_at
        self.round_trip = now - sent_at
        return self.round_trip

    def sign_of_life(self) -> None:
        self._unanswered = 0
