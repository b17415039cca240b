"""Connections of the internal port: operators, who may have every stream, the system's own included.

Nobody is asked for a token there: who reaches the internal port may do all that it offers. It listens on loopback unless it is
told otherwise, and belongs to operators alone.
"""

from math import inf
from typing import TYPE_CHECKING, Final

from tidewire.identity.rights import Action
from tidewire.identity.tokens import Identity
from tidewire.protocol.codes import ErrorCode
from tidewire.protocol.errors import ProtocolError
from tidewire.protocol.frames import Subscribe, Unsubscribe, UpdateSubscription

from ..core.resolving import Operator
from ..host import Performer, Request
from ..instruments import Instruments
from ..node import Node
from ..sweep import Sweep
from ..targeted.mail import CHANNEL

if TYPE_CHECKING:
    from ..connection import Connection

__all__ = ["MOST_OPERATORS", "OPERATOR", "Operators"]

MOST_OPERATORS: Final = 64
OPERATOR: Final = Operator("", {"**": frozenset({Action.SUBSCRIBE})}, inf)


class Operators:
    """The node as operators' connections see it: they are no clients, are nobody's, and are not drained.

    ``instruments`` count what they do apart from what clients do; someone has to run ``sweep``. What they subscribe to stands in
    the node's feeds, beside clients.
    """

    def __init__(self, node: Node, instruments: Instruments) -> None:
        self.name = node.name
        self.limits = node.limits
        self.instruments = instruments
        self.connections: set[Connection] = set()
        self.sweep = Sweep(self.connections, instruments)
        self._node = node

    @property
    def is_full(self) -> bool:
        return len(self.connections) >= MOST_OPERATORS

    def identify(self, token: str | None) -> Identity:
        """An operator, with any token or none."""
        return OPERATOR

    def claim(self, connection: "Connection", user: str) -> bool:
        return True

    def opened(self, connection: "Connection") -> None:
        self.connections.add(connection)

    def welcomed(self, connection: "Connection", device: str | None) -> None:
        return

    def closed(self, connection: "Connection", code: int) -> None:
        self.connections.discard(connection)
        self.sweep.discard(connection)
        self.drop(connection)

    def performer(self, connection: "Connection", request: Request) -> Performer:
        is_personal = isinstance(request, Subscribe) and request.channel == CHANNEL
        return _NOBODY if is_personal else self._node.delivery

    def drained(self, connection: "Connection") -> None:
        self._node.delivery.drained(connection)

    def rights_changed(self, connection: "Connection") -> None:
        return

    def drop(self, connection: "Connection") -> None:
        self._node.delivery.drop(connection)


class _Nobody:
    """`@me` of a connection that is no user's."""

    def subscribe(self, subscriber: "Connection", request: Subscribe, /) -> None:
        raise _refusal(request)

    def update(self, subscriber: "Connection", request: UpdateSubscription, /) -> None:
        raise _refusal(request)

    def unsubscribe(self, subscriber: "Connection", request: Unsubscribe, /) -> None:
        raise _refusal(request)


def _refusal(request: Request) -> ProtocolError:
    return ProtocolError(
        ErrorCode.FORBIDDEN, "@me is a user's own: no operator has it", request_id=request.id
    )


_NOBODY: Final = _Nobody()
