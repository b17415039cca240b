"""One ordinary client before the load: the load client only waits where a gateway refuses."""

import asyncio
import logging
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final

from tidewire_client import (
    Client,
    NotReadyError,
    Options,
    PermanentCloseError,
    SubscriptionError,
    TidewireClientError,
)

from ...protocol.codes import CloseCode, ErrorCode
from ..errors import RefusedError
from .plan import Plan
from .subscribing import CLIENT

__all__ = ["Granted", "probe"]

READY_TIMEOUT: Final = 10.0
_CURES: Final[Mapping[str, str]] = {
    ErrorCode.FORBIDDEN: "give a token that allows it with --token",
    ErrorCode.UNKNOWN_CHANNEL: "a channel is STREAM or STREAM/GROUP, with a stream of streams.yaml",
    ErrorCode.UNSUPPORTED: "choose another --mode",
}


@dataclass(frozen=True, slots=True)
class Granted:
    """What a subscription got."""

    mode: str
    interval_ms: int


def probe(plan: Plan, url: str, token: str | None) -> Granted:
    """Subscribe once, as the load will. Raises `RefusedError` with the gateway's own code."""
    # What the client says on the way is in the error, if one comes.
    logging.getLogger("tidewire_client").addHandler(logging.NullHandler())
    try:
        return asyncio.run(_subscribe(plan, url, token))
    except TidewireClientError as error:
        raise RefusedError(_explained(error, url)) from error


async def _subscribe(plan: Plan, url: str, token: str | None) -> Granted:
    options = Options(ready_timeout=READY_TIMEOUT)
    async with Client(url, token=token, client=CLIENT, options=options) as client:
        subscription = await client.subscribe(
            plan.channel, mode=plan.mode, interval_ms=plan.interval_ms, snapshot=False
        )
        return Granted(subscription.mode, subscription.granted_interval_ms)


def _explained(error: TidewireClientError, url: str) -> str:
    match error:
        case NotReadyError():
            return (
                f"{url} does not serve: {error}; is a gateway there, and does it take connections? "
                "Name another with --url"
            )
        case SubscriptionError() if cure := _CURES.get(error.code):
            return f"{error}: {cure}"
        case PermanentCloseError(code=CloseCode.INVALID_TOKEN):
            return f"{error}: give a valid token with --token"
        case PermanentCloseError() if error.code < CloseCode.NORMAL:
            return f"{url} is no gateway's WebSocket: {error}; give ws://HOST:PORT/v1/ws with --url"
        case _:
            return str(error)
