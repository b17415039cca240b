"""Who may come in: a node that is full, late or on its way out refuses before the upgrade, and so it does who has had enough."""

from collections import Counter
from dataclasses import dataclass
from enum import StrEnum

from .address_book import AddressBook
from .handshake_rate import HandshakeRate
from .limits import Limit, Limits

__all__ = ["Admission", "Load", "Overload", "Refused", "overload_of"]


class Overload(StrEnum):
    """Why nobody new is accepted; also the outcome that `handshakes_total` counts."""

    DRAINING = "draining"
    CONNECTIONS = "overloaded_connections"
    HANDSHAKES = "overloaded_handshakes"
    LOOP = "overloaded_loop"
    MEMORY = "overloaded_memory"
    RATE = "overloaded_rate"


@dataclass(frozen=True, slots=True)
class Load:
    """What a node carries.

    ``handshakes``: accepted and not yet welcomed. ``loop_lag`` in seconds. ``memory``: resident bytes, 0 where
    they are not known.
    """

    connections: int
    handshakes: int
    loop_lag: float
    memory: int
    is_moving: bool


def overload_of(load: Load, limits: Limits) -> Overload | None:
    """Why a node with this load accepts nobody; None where it does."""
    if load.is_moving:
        return Overload.DRAINING
    if load.connections >= limits.max_connections:
        return Overload.CONNECTIONS
    if load.handshakes >= limits.max_handshakes:
        return Overload.HANDSHAKES
    if load.loop_lag > limits.max_loop_lag:
        return Overload.LOOP
    if 0 < limits.max_memory < load.memory:
        return Overload.MEMORY
    return None


@dataclass(frozen=True, slots=True)
class Refused:
    """To come back after ``wait`` seconds, and up to ``spread`` more by chance; ``reason`` is an address's limit, or the node's."""

    reason: Limit | Overload
    wait: float = 0.0
    spread: float = 0.0


class Admission:
    """What one client may have of a node that has room: by its address, by its user, and in its turn.

    Addresses are those of `client_address.group_of`.
    """

    def __init__(self, limits: Limits, now: float) -> None:
        self._limits = limits
        self.addresses = AddressBook(limits)
        self._rate: HandshakeRate | None = None
        if limits.handshakes_per_second:
            self._rate = HandshakeRate(limits.handshakes_per_second, limits.handshakes_burst, now)
        self._connections_by_user: Counter[str] = Counter()

    def refuse(self, address: str, now: float) -> Refused | None:
        """Why a handshake from ``address`` is refused now; None where it is one of those that may come.

        An address that is refused takes nothing of what the node has for all of them.
        """
        wait = self.addresses.knock(address, now)
        if wait:
            return Refused(Limit.ADDRESS_HANDSHAKES, wait)
        if self.addresses.is_full(address):
            return Refused(Limit.ADDRESS_CONNECTIONS, spread=_FULL_SPREAD)
        wait = 0.0 if self._rate is None else self._rate.take(now)
        return Refused(Overload.RATE, wait) if wait else None

    def turn(self, now: float) -> float:
        """After how many seconds one should come back for whom the node is too busy now; 0: whenever it likes."""
        return 0.0 if self._rate is None else self._rate.turn(now)

    def claim(self, user: str) -> bool:
        """Count one more connection of ``user``; False, and it is not counted, where that is one too many."""
        if 0 < self._limits.connections_per_user <= self._connections_by_user[user]:
            return False
        self._connections_by_user[user] += 1
        return True

    def release(self, user: str) -> None:
        """A connection that was claimed has ended."""
        self._connections_by_user[user] -= 1
        if not self._connections_by_user[user]:
            del self._connections_by_user[user]


_FULL_SPREAD = 30.0
"""Nobody knows when one of them ends."""
