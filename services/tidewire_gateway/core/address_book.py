"""What a node remembers of the addresses that clients come from: their connections, and how often they knock."""

from .handshake_rate import HandshakeRate
from .limits import Limits

__all__ = ["AddressBook"]

_MOST_IDLE = 16_384


class AddressBook:
    """An address is remembered while it has connections, and until its burst is whole again after the last of them.

    Of those without connections ``most_idle`` are kept: beyond, the one that was not seen for longest has its whole burst
    again, which many addresses together may use, as far as the node's own rate lets them.
    """

    def __init__(self, limits: Limits, *, most_idle: int = _MOST_IDLE) -> None:
        self._most_connections = limits.connections_per_address
        self._per_second = limits.address_handshakes_per_second
        self._burst = limits.address_handshakes_burst
        self._is_limited = bool(self._most_connections or self._per_second)
        self._rest = self._burst / self._per_second if self._per_second else 0.0
        self._most_idle = most_idle
        self._connected: dict[str, _Address] = {}
        self._idle: dict[str, _Address] = {}  # seen longest ago first

    def __len__(self) -> int:
        return len(self._connected) + len(self._idle)

    def is_full(self, address: str) -> bool:
        """Whether it has as many connections as it may."""
        known = self._connected.get(address)
        return known is not None and 0 < self._most_connections <= known.connections

    def knock(self, address: str, now: float) -> float:
        """One more handshake; returns 0, or after how many seconds it is its turn."""
        if not self._per_second:
            return 0.0
        known = self._connected.get(address)
        if known is None:
            known = self._idle.pop(address, None) or _Address()
            self._rest_idle(address, known, now)
        if known.rate is None:
            known.rate = HandshakeRate(self._per_second, self._burst, now)
        return known.rate.take(now)

    def opened(self, address: str) -> None:
        """One of its handshakes is a connection now."""
        if not self._is_limited:
            return
        known = self._connected.get(address)
        if known is None:
            known = self._idle.pop(address, None) or _Address()
            self._connected[address] = known
        known.connections += 1

    def closed(self, address: str, now: float) -> None:
        """A connection that was `opened` has ended."""
        if not self._is_limited:
            return
        known = self._connected[address]
        known.connections -= 1
        if not known.connections:
            del self._connected[address]
            self._rest_idle(address, known, now)

    def _rest_idle(self, address: str, known: "_Address", now: float) -> None:
        known.seen_at = now
        self._idle[address] = known
        for _ in range(2):  # so they go faster than they come
            oldest, first = next(iter(self._idle.items()))
            if first.seen_at + self._rest > now and len(self._idle) <= self._most_idle:
                return
            if first is known:
                return
            del self._idle[oldest]


class _Address:
    __slots__ = ("connections", "rate", "seen_at")

    def __init__(self) -> None:
        self.connections = 0
        self.rate: HandshakeRate | None = None
        self.seen_at = 0.0
