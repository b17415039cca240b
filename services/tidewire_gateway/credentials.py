"""What a connection shows of itself: looked at, waited with while its key is fetched, accepted or refused."""

import asyncio
import time
from typing import TYPE_CHECKING

from tidewire.identity.errors import (
    ExpiredTokenError,
    IdentityError,
    InvalidTokenError,
    KeyNeededError,
    Refusal,
    UndecidedError,
)
from tidewire.identity.tokens import Identity
from tidewire.protocol.codes import CloseCode, ErrorCode
from tidewire.protocol.errors import ProtocolError
from tidewire.protocol.frames import Hello, Refresh
from tidewire.protocol.server_frames import encode_refreshed, encode_welcome

from .host import Host

if TYPE_CHECKING:
    from .connection import Connection

__all__ = ["Credentials", "encode_acceptance"]

_NEVER = float("inf")


class Credentials:
    """Those of one connection, until they are accepted; a task only while a key is fetched for its token.

    ``token`` came with the handshake's headers; the one in `hello` goes before it.
    """

    __slots__ = ("_token", "_waiting")

    def __init__(self, token: str | None = None) -> None:
        self._token = token
        self._waiting: asyncio.Task[None] | None = None

    @property
    def is_waiting(self) -> bool:
        """Whether the key of a token is being fetched."""
        return self._waiting is not None

    def check(self, message: Hello | Refresh, connection: "Connection", node: Host) -> None:
        """Tell the connection what becomes of it: now, or when the key is there."""
        if self._waiting is not None:
            reason = "another token is being looked at; try again"
            connection.send_error(_put_off(message, reason, 1.0))
            return
        try:
            identity = node.identify(message.token or self._token)
            if connection.identity is not None:
                _check_user(identity, connection.identity, node)
        except KeyNeededError as need:
            waiting = self._check_later(message, connection, node, need=need)
            self._waiting = asyncio.create_task(waiting)
            return
        except IdentityError as error:
            _refuse(message, connection, error)
            return
        if identity is not None and not node.claim(connection, identity.user):
            reason = "the user has too many connections"
            connection.refuse("limited", CloseCode.CONNECTION_LIMIT, reason)
            return
        connection.accept(message, identity, _time_left(identity))

    async def _check_later(
        self,
        message: Hello | Refresh,
        connection: "Connection",
        node: Host,
        *,
        need: KeyNeededError,
    ) -> None:
        """The end of the connection is the end of the wait; so is, for a `hello`, its deadline."""
        await need.arrival()
        self._waiting = None
        self.check(message, connection, node)
        if isinstance(message, Hello):
            connection.release()

    def stop_waiting(self) -> None:
        """Nobody is told anything from here on."""
        if self._waiting is not None:
            self._waiting.cancel()
            self._waiting = None


def encode_acceptance(
    message: Hello | Refresh, connection_id: str, node: Host, ttl: float | None
) -> bytes:
    """`welcome` or `refreshed`; ``ttl`` in seconds, None where what was accepted never ends."""
    if isinstance(message, Refresh):
        return encode_refreshed(message.id, round((ttl or 0.0) * 1000))
    expiry = {} if ttl is None else {"expires_in_ms": round(ttl * 1000)}
    return encode_welcome(
        message.id,
        connection=connection_id,
        node=node.name,
        ping_interval_ms=round(node.limits.ping_interval * 1000),
        **expiry,
        limits=node.limits.to_wire(),
    )


def _check_user(identity: Identity | None, known: Identity, node: Host) -> None:
    """A connection that speaks for a user never does for another; raises ``InvalidTokenError``."""
    if identity is None or identity.user != known.user:
        error = InvalidTokenError(
            "the token is another user's: connect anew with it", Refusal.OTHER_USER
        )
        node.instruments.refused_tokens.count(error)
        raise error


def _time_left(identity: Identity | None) -> float | None:
    """Seconds; None where it never ends."""
    if identity is None or identity.expires_at == _NEVER:
        return None
    return max(0.0, identity.expires_at - time.time())


def _refuse(message: Hello | Refresh, connection: "Connection", error: IdentityError) -> None:
    if isinstance(error, ExpiredTokenError):
        connection.refuse("expired_token", CloseCode.TOKEN_EXPIRED, str(error))
    elif not isinstance(error, UndecidedError):
        connection.refuse("invalid_token", CloseCode.INVALID_TOKEN, str(error))
    elif isinstance(message, Hello):
        connection.refuse("undecided_token", CloseCode.OVERLOADED, str(error))
    else:
        connection.send_error(_put_off(message, str(error), error.retry_after))


def _put_off(message: Hello | Refresh, reason: str, retry_after: float) -> ProtocolError:
    """The token that the connection has is good until it expires."""
    return ProtocolError(
        ErrorCode.UNAVAILABLE,
        reason,
        request_id=message.id,
        retry_after_ms=round(retry_after * 1000),
    )
