"""The node, as its connections see it: those of clients, or those of operators."""

from typing import TYPE_CHECKING, Protocol

from tidewire.identity.tokens import Identity
from tidewire.protocol.frames import Subscribe, Unsubscribe, UpdateSubscription

from .core.limits import Limits
from .core.resolving import check_channel
from .instruments import Instruments
from .sweep import Sweep

if TYPE_CHECKING:
    from .connection import Connection

__all__ = ["Host", "Performer", "Request", "perform"]

Request = Subscribe | UpdateSubscription | Unsubscribe


class Performer(Protocol):
    """Who carries out requests about subscriptions; all raise ``ProtocolError``."""

    def subscribe(self, subscriber: "Connection", request: Subscribe, /) -> None: ...

    def update(self, subscriber: "Connection", request: UpdateSubscription, /) -> None: ...

    def unsubscribe(self, subscriber: "Connection", request: Unsubscribe, /) -> None: ...


class Host(Protocol):
    """What a connection asks and tells."""

    name: str
    limits: Limits
    instruments: Instruments
    sweep: Sweep

    def identify(self, token: str | None) -> Identity | None:
        """Whom a connection speaks for, None an anonymous one; raises ``IdentityError``.

        ``KeyNeededError``: to be asked again when keys have come.
        """
        ...

    def claim(self, connection: "Connection", user: str) -> bool:
        """Count the connection as this user's; False where those are as many as they may be."""
        ...

    def opened(self, connection: "Connection") -> None: ...

    def welcomed(self, connection: "Connection", device: str | None) -> None: ...

    def closed(self, connection: "Connection", code: int) -> None: ...

    def performer(self, connection: "Connection", request: Request) -> Performer: ...

    def drained(self, connection: "Connection") -> None:
        """The socket has taken what was unsent."""
        ...

    def rights_changed(self, connection: "Connection") -> None: ...

    def drop(self, connection: "Connection") -> None:
        """Nothing more is written to it; it may be told more than once."""
        ...


def perform(request: Request, connection: "Connection", node: Host) -> None:
    """Have a connection's request carried out; raises ``ProtocolError``."""
    performer = node.performer(connection, request)
    if isinstance(request, Subscribe):
        check_channel(request.channel, node.limits, request.id)
        performer.subscribe(connection, request)
    elif isinstance(request, UpdateSubscription):
        performer.update(connection, request)
    else:
        performer.unsubscribe(connection, request)
