"""Why no broker lets aiokafka in: it logs that, and then says only that none could be reached."""

import asyncio
import ssl
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from aiokafka import errors as kafka
from aiokafka.conn import collect_hosts, create_conn

from .errors import BrokerUnavailableError
from .oauth import TokenRefusedError, token_source
from .refusals import credentials_refused, tls_failed
from .settings import KafkaSettings

__all__ = ["naming_refusals"]

_CREDENTIALS = (
    kafka.IllegalSaslStateError,
    kafka.SaslAuthenticationFailed,
    kafka.UnsupportedSaslMechanismError,
    TokenRefusedError,
)
_MOST_ATTEMPTS = 3
_ATTEMPT_TIMEOUT = 5.0


@asynccontextmanager
async def naming_refusals(settings: KafkaSettings) -> AsyncIterator[None]:
    """Where the block raises `BrokerUnavailableError`, look whether a broker is there that refuses us, or that we do not trust.

    Raises `CredentialsRefusedError` or `TlsFailedError` then.
    """
    try:
        yield
    except BrokerUnavailableError as error:
        found = None if settings.security.is_plain else await _refusal(settings)
        if found is None:
            raise
        raise found from error


async def _refusal(settings: KafkaSettings) -> BrokerUnavailableError | None:
    """Connect to brokers once more; None where one lets us in, or none is there."""
    found = None
    security = settings.security.aiokafka() | token_source(settings.security)
    for host, port, _ in collect_hosts(settings.bootstrap)[:_MOST_ATTEMPTS]:
        try:
            async with asyncio.timeout(_ATTEMPT_TIMEOUT):
                connection = await create_conn(host, port, client_id=settings.client_id, **security)
        except (OSError, kafka.KafkaError) as error:
            found = found or _told(error, settings.bootstrap)
        else:
            await connection.close()
            return None
    return found


def _told(error: Exception, bootstrap: str) -> BrokerUnavailableError | None:
    for one in (error, error.__cause__):
        if isinstance(one, _CREDENTIALS):
            return credentials_refused(bootstrap, f"{type(one).__name__}: {one}")
        if isinstance(one, ssl.SSLError):
            return tls_failed(bootstrap, str(one))
    return None
