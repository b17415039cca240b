"""What every call of Redis has in common: it ends in time, and its errors are told as ours."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Final

from redis.asyncio import Redis
from redis.asyncio.connection import SSLConnection
from redis.exceptions import (
    AuthenticationError,
    BusyLoadingError,
    NoPermissionError,
    OutOfMemoryError,
    ReadOnlyError,
    RedisError,
)

from .errors import StoreUnavailableError

__all__ = ["asking"]

CALL_TIMEOUT: Final = 5.0

_CURES: Final[tuple[tuple[type[RedisError] | tuple[type[RedisError], ...], str], ...]] = (
    (OutOfMemoryError, "give it more memory (maxmemory)"),
    (ReadOnlyError, "it is a replica: wait for the failover's end, or name the primary"),
    (BusyLoadingError, "it is starting: wait until it has loaded its data"),
    (
        (AuthenticationError, NoPermissionError),
        "see that the user and password in its URL may do this",
    ),
)
_TLS_CURES: Final = (
    (
        "verify failed",
        "see that its authority is ssl_ca_certs in its URL, that its host is one of its certificate's names, and that it has not expired",
    ),
    (
        "alert",
        "it refuses our certificate, or wants one: name it by ssl_certfile and ssl_keyfile in its URL",
    ),
    (
        "reset",  # the alert may be lost with the connection
        "see that it runs, and trusts what ssl_certfile and ssl_keyfile in its URL name",
    ),
)
_CURE: Final = "see that it runs and can be reached under its URL"


@asynccontextmanager
async def asking(client: Redis) -> AsyncIterator[None]:
    """A call of Redis, or several; raises `StoreUnavailableError` for all that goes wrong with it, after 5 s at the latest.

    A server that has become a replica is left: the next connection asks anew where the primary is.
    """
    try:
        async with asyncio.timeout(CALL_TIMEOUT):
            yield
    except ReadOnlyError as error:
        await client.connection_pool.disconnect(inuse_connections=False)
        raise _unavailable(error, client) from error
    except (RedisError, OSError) as error:  # a timeout of asyncio is an OSError too
        raise _unavailable(error, client) from error


def _unavailable(error: Exception, client: Redis) -> StoreUnavailableError:
    what = str(error) or f"no answer within {CALL_TIMEOUT:g} s"
    cure = next((cure for kind, cure in _CURES if isinstance(error, kind)), None) or _tls_cure(
        what, client
    )
    return StoreUnavailableError(f"Redis failed ({what}): {cure}")


def _tls_cure(what: str, client: Redis) -> str:
    """By what OpenSSL says; that of a server that is away where it says nothing."""
    is_tls = issubclass(client.connection_pool.connection_class, SSLConnection)
    said = what.lower() if is_tls else ""
    return next((cure for telling, cure in _TLS_CURES if telling in said), _CURE)
