"""Connections whose token was revoked are closed, as soon as that is known."""

import asyncio
from collections.abc import Collection
from itertools import islice
from typing import TYPE_CHECKING, Final

from tidewire.protocol.codes import CloseCode
from tidewire.revocation.reading import RevocationReader
from tidewire.telemetry.logging import get_logger

from .instruments import Instruments

if TYPE_CHECKING:
    from .connection import Connection

__all__ = ["Revoking"]

_SLICE: Final = 500
"""Connections looked at before the loop may do something else."""
_PAUSE: Final = 0.1
"""Between two looks, seconds: what is told meanwhile is looked for together."""

_log = get_logger(__name__)


class Revoking:
    """`run` looks through all connections, once for all that was revoked since the look before.

    A look costs as much as there are connections, however many revocations there are. One that comes meanwhile has had its token
    checked against them.
    """

    def __init__(
        self,
        revocations: RevocationReader,
        connections: "Collection[Connection]",
        instruments: Instruments,
    ) -> None:
        self._revocations = revocations
        self._connections = connections
        self._instruments = instruments
        self._told = asyncio.Event()
        revocations.on_revoked = self._told.set

    async def run(self) -> None:
        """Look until cancelled."""
        while True:
            await self._told.wait()
            self._told.clear()
            closed = await self._look()
            if closed:
                _log.info("connections closed, their tokens were revoked", connections=closed)
            await asyncio.sleep(_PAUSE)

    async def _look(self) -> int:
        closed = 0
        connections = iter(list(self._connections))
        while part := list(islice(connections, _SLICE)):
            for connection in part:
                identity = connection.identity
                if identity is None or connection.is_over:
                    continue
                if self._revocations.is_revoked(identity):
                    connection.close(CloseCode.FORCED, "the token was revoked")
                    self._instruments.revocation_closes.inc()
                    closed += 1
            await asyncio.sleep(0)
        return closed
