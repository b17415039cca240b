"""Calls of nodes' internal ports: end a user's connections, close the evicted ones."""

import asyncio
import secrets
from collections import defaultdict
from collections.abc import Iterable, Sequence
from typing import Any, Final
from urllib.parse import quote

import httpx

from tidewire.identity.internal_keys import InternalKeys, headers_of
from tidewire.protocol.codes import CloseCode
from tidewire.targeting.errors import StoreUnavailableError
from tidewire.targeting.registry import Evicted, Place
from tidewire.telemetry.logging import get_logger

from .instruments import Instruments
from .stores.port import RegistryStore

__all__ = ["NodeCalls"]

_log = get_logger("tidewire_registry.node_calls")

_ATTEMPTS: Final = 3
_LONGEST_PAUSE: Final = 1.0
_MOST_PENDING: Final = 200
_MOST_ERROR_LETTERS: Final = 200


class NodeCalls:
    """``timeout``: seconds for one call. What nodes are told in the background is tried three times.

    ``keys``: what nodes ask for.
    """

    def __init__(
        self,
        store: RegistryStore,
        instruments: Instruments,
        timeout: float,
        transport: httpx.AsyncBaseTransport | None = None,
        *,
        keys: InternalKeys | None = None,
    ) -> None:
        self._store = store
        self._instruments = instruments
        self._timeout = timeout
        self._client = httpx.AsyncClient(
            headers=headers_of(keys),
            timeout=timeout,
            trust_env=False,
            transport=transport,
        )
        self._pending: set[asyncio.Task[None]] = set()

    async def disconnect(self, user: str, places: Iterable[Place]) -> list[dict[str, Any]]:
        """What each node that holds the user answered: ``connections`` ended, or ``error``."""
        return await asyncio.gather(*(self._disconnect_at(place, user) for place in places))

    def tell_evicted(self, evicted: Sequence[Evicted]) -> None:
        """Tell nodes in the background which connections to close; at 200 calls under way, it is given up and counted."""
        by_node: defaultdict[str, list[str]] = defaultdict(list)
        for one in evicted:
            by_node[one.node].append(one.connection)
        for node, connections in by_node.items():
            if len(self._pending) >= _MOST_PENDING:
                self._give_up(node, connections, "too many calls are under way")
                continue
            task = asyncio.create_task(self._close_at(node, connections), name="tell-evicted")
            self._pending.add(task)
            task.add_done_callback(self._pending.discard)

    async def close(self) -> None:
        """Give what is under way one more timeout."""
        if self._pending:
            _, late = await asyncio.wait(self._pending, timeout=self._timeout)
            for task in late:
                task.cancel()
            await asyncio.gather(*late, return_exceptions=True)
        await self._client.aclose()

    async def _disconnect_at(self, place: Place, user: str) -> dict[str, Any]:
        # Dots too: a user called ".." must not become a step up.
        name = quote(user, safe="").replace(".", "%2E")
        try:
            answer = await self._post(place.address, f"/internal/users/{name}/disconnect", {})
            return {"node": place.node, "connections": int(answer["connections"])}
        except (httpx.HTTPError, httpx.InvalidURL, TimeoutError) as error:
            return {"node": place.node, "error": _told(error, self._timeout)}
        except (KeyError, TypeError, ValueError):
            return {"node": place.node, "error": "the node's answer names no connections"}

    async def _close_at(self, node: str, connections: Sequence[str]) -> None:
        reason = ""
        for attempt in range(_ATTEMPTS):
            if attempt:
                await asyncio.sleep(secrets.SystemRandom().uniform(0, _LONGEST_PAUSE))
            try:
                address = (await self._store.addresses([node])).get(node)
                if address is None:
                    return  # it announces its sessions anew when it is back
                body = {"connections": list(connections), "code": int(CloseCode.CONNECTION_LIMIT)}
                await self._post(address, "/internal/connections/close", body)
            except (httpx.HTTPError, httpx.InvalidURL, TimeoutError) as error:
                reason = _told(error, self._timeout)
            except StoreUnavailableError as error:
                reason = str(error)
            except ValueError:
                return  # it took the call, and answered with something else than JSON
            else:
                return
        self._give_up(node, connections, reason)

    def _give_up(self, node: str, connections: Sequence[str], reason: str) -> None:
        self._instruments.evictions_untold.inc(len(connections))
        _log.warning(
            "a node could not be told which connections are one too many",
            node=node,
            connections=len(connections),
            reason=reason,
        )

    async def _post(self, address: str, path: str, body: dict[str, Any]) -> Any:
        async with asyncio.timeout(self._timeout):
            answer = await self._client.post(address + path, json=body)
            answer.raise_for_status()
            return answer.json() if answer.content else {}


def _told(error: Exception, timeout: float) -> str:
    if isinstance(error, TimeoutError | httpx.TimeoutException):
        return f"no answer within {timeout:g} s"
    return str(error)[:_MOST_ERROR_LETTERS] or type(error).__name__
