"""The registry over HTTP: the client that nodes, routers and publishers hold."""

import asyncio
from collections.abc import Mapping, Sequence
from typing import Any, Final, NoReturn
from urllib.parse import quote

import httpx
import orjson

from ..errors import TidewireError
from .errors import (
    BatchOvertakenError,
    InvalidUserError,
    LeaseLostError,
    NodeNameTakenError,
    NoFreeSlotError,
    RegistryUnavailableError,
)
from .registry import Batch, Evicted, Lease, NodeAnnouncement, NodeState, Place
from .users import check_user

__all__ = ["MOST_USERS", "HttpRegistry"]

MOST_USERS: Final = 1000
CALL_TIMEOUT: Final = 2.0
CONNECTIONS: Final = 32
_MOST_SESSIONS: Final = 500
_MOST_DETAIL: Final = 500

_ERRORS: Final[Mapping[str, type[TidewireError]]] = {
    "urn:tidewire:problem:lease-lost": LeaseLostError,
    "urn:tidewire:problem:batch-overtaken": BatchOvertakenError,
    "urn:tidewire:problem:no-free-slot": NoFreeSlotError,
    "urn:tidewire:problem:node-name-taken": NodeNameTakenError,
}


class HttpRegistry:
    """Port `Registry`. ``url`` is the service's, ``headers`` go with every call; no call takes longer than ``timeout`` seconds, and none is repeated.

    Close it in the loop that used it.
    """

    def __init__(
        self,
        url: str,
        *,
        timeout: float = CALL_TIMEOUT,
        headers: Mapping[str, str] | None = None,
        transport: httpx.AsyncBaseTransport | None = None,
    ) -> None:
        self._url = url.rstrip("/")
        self._timeout = timeout
        self._client = httpx.AsyncClient(
            headers=headers,
            timeout=timeout,
            limits=httpx.Limits(
                max_connections=CONNECTIONS,
                max_keepalive_connections=CONNECTIONS,
                keepalive_expiry=60.0,  # the service's is longer, so that it is not the one that hangs up
            ),
            trust_env=False,
            transport=transport,
        )

    async def register(
        self, announcement: NodeAnnouncement, *, replaces: str | None = None
    ) -> Lease:
        body = {
            "node": announcement.node,
            "address": announcement.address,
            "state": announcement.state.value,
            "zone": announcement.zone,
            "load": dict(announcement.load),
            "replaces": replaces,
        }
        answer = await self._ask("POST", "/v1/nodes", body)
        with _Reading(self._url):
            return Lease(int(answer["slot"]), str(answer["epoch"]), int(answer["lease_ms"]))

    async def renew(
        self, node: str, epoch: str, state: NodeState, load: Mapping[str, float]
    ) -> int:
        body = {"epoch": epoch, "state": state.value, "load": dict(load)}
        answer = await self._ask("PUT", f"/v1/nodes/{_step(node)}/lease", body)
        with _Reading(self._url):
            return int(answer["lease_ms"])

    async def release(self, node: str, epoch: str) -> None:
        await self._ask("DELETE", f"/v1/nodes/{_step(node)}?epoch={_step(epoch)}", None)

    async def announce(self, node: str, epoch: str, batch: Batch) -> Sequence[Evicted]:
        """In calls of 500 entries, one after the other, the disconnected first.

        Sessions of what can be nobody's id are left out: no message can be meant for them, and the others must not wait.
        """
        entries: list[tuple[str, dict[str, Any]]] = [
            ("disconnected", {"user": user, "connection": connection})
            for user, connection in batch.disconnected
            if _is_user(user)
        ]
        entries += (
            (
                "connected",
                {
                    "user": session.user,
                    "connection": session.connection,
                    "since_ms": session.since_ms,
                    "device": session.device and session.device.encode(errors="replace").decode(),
                },
            )
            for session in batch.connected
            if _is_user(session.user)
        )
        evicted: list[Evicted] = []
        for first in range(0, len(entries) or 1, _MOST_SESSIONS):
            body: dict[str, Any] = {
                "node": node,
                "epoch": epoch,
                "number": batch.number,
                "connected": [],
                "disconnected": [],
            }
            for kind, entry in entries[first : first + _MOST_SESSIONS]:
                body[kind].append(entry)
            answer = await self._ask("POST", "/v1/sessions", body)
            with _Reading(self._url):
                evicted += (
                    Evicted(one["user"], one["connection"], one["node"])
                    for one in answer["evicted"]
                )
        return evicted

    async def lookup(self, users: Sequence[str]) -> Mapping[str, Sequence[Place]]:
        assert len(users) <= MOST_USERS
        asked = [user for user in users if _is_user(user)]
        answer = await self._ask("POST", "/v1/lookup", {"users": asked})
        with _Reading(self._url):
            return {
                user: [_place(place) for place in places]
                for user, places in answer["places"].items()
            }

    async def close(self) -> None:
        await self._client.aclose()

    async def _ask(self, method: str, path: str, body: Mapping[str, Any] | None) -> Any:
        headers = {} if body is None else {"Content-Type": "application/json"}
        content = None if body is None else orjson.dumps(body)
        try:
            async with asyncio.timeout(self._timeout):
                answer = await self._client.request(
                    method, self._url + path, content=content, headers=headers
                )
        except (TimeoutError, httpx.TimeoutException):
            raise RegistryUnavailableError(
                f"the registry at {self._url} did not answer within {self._timeout:g} s: see that it "
                "runs and is not overloaded; what was asked for may have been done or not"
            ) from None
        except (httpx.HTTPError, httpx.InvalidURL) as error:
            raise RegistryUnavailableError(
                f"the registry at {self._url} cannot be reached "
                f"({str(error) or type(error).__name__}): see that it runs there"
            ) from error
        if not answer.is_success:
            self._refuse(answer)
        with _Reading(self._url):
            return orjson.loads(answer.content) if answer.content else None

    def _refuse(self, answer: httpx.Response) -> NoReturn:
        try:
            problem = orjson.loads(answer.content)
            kind, detail = str(problem["type"]), str(problem["detail"])
        except (ValueError, KeyError, TypeError):
            kind, detail = "", answer.text
        if kind in _ERRORS:
            raise _ERRORS[kind](detail)
        raise RegistryUnavailableError(
            f"the registry at {self._url} answered {answer.status_code}: {detail[:_MOST_DETAIL]}"
        )


class _Reading:
    """Turns what an answer lacks into `RegistryUnavailableError`: it is no registry's."""

    def __init__(self, url: str) -> None:
        self._url = url

    def __enter__(self) -> None:
        return

    def __exit__(self, _kind: object, error: BaseException | None, _trace: object) -> None:
        if isinstance(error, KeyError | TypeError | ValueError | AttributeError):
            raise RegistryUnavailableError(
                f"what answers at {self._url} is no registry: see that the URL names its internal port"
            ) from error


def _place(place: Mapping[str, Any]) -> Place:
    return Place(
        place["node"],
        int(place["slot"]),
        place["epoch"],
        place["address"],
        tuple(place["connections"]),
    )


def _is_user(user: str) -> bool:
    try:
        check_user(user)
    except InvalidUserError:
        return False
    return True


def _step(name: str) -> str:
    """One step of a path; dots too, so that none is a step up."""
    return quote(name, safe="").replace(".", "%2E")
