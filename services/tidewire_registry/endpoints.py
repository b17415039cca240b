"""What each route does: nodes, sessions, users, health, metrics."""

import secrets
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import asdict
from http import HTTPStatus
from typing import Annotated, Any, Final

import orjson
from fastapi import Query, Request, Response
from starlette.requests import ClientDisconnect

from tidewire.errors import TidewireError
from tidewire.http.answers import problem_response
from tidewire.http.health import Stage
from tidewire.targeting.users import check_user

from .body import checked, read_body, users_of
from .core.problems import (
    Problem,
    ProblemError,
    gone_away,
    overloaded,
    problem_of,
    too_many,
    unknown_node,
)
from .housekeeping import Housekeeping
from .instruments import Instruments
from .models import (
    MOST_SESSIONS,
    AnnounceBody,
    NodeBody,
    RenewBody,
)
from .node_calls import NodeCalls
from .stores.port import RegistryStore

__all__ = ["Endpoints"]

_Work = Callable[[], Awaitable[Response]]
_MOST_IN_WORK: Final = 1000


class Endpoints:
    """Every route of the service, over the parts that `create_app` puts together."""

    def __init__(
        self,
        store: RegistryStore,
        *,
        housekeeping: Housekeeping,
        node_calls: NodeCalls,
        instruments: Instruments,
        slots: int,
    ) -> None:
        self._store = store
        self._housekeeping = housekeeping
        self._node_calls = node_calls
        self._instruments = instruments
        self._slots = slots
        self._in_work = 0
        self.stage = Stage.STARTING

    async def register(self, request: Request) -> Response:
        return await self._answer("register", lambda: self._register(request))

    async def renew(self, node: str, request: Request) -> Response:
        return await self._answer("renew", lambda: self._renew(node, request))

    async def release(self, node: str, epoch: Annotated[str, Query(max_length=64)]) -> Response:
        """A lease that is not there, or not under this epoch, is no error."""
        return await self._answer("release", lambda: self._release(node, epoch))

    async def nodes(self) -> Response:
        return await self._answer("nodes", lambda: self._nodes())

    async def node_sessions(
        self,
        node: str,
        cursor: Annotated[str | None, Query(pattern=r"^[0-9]{1,20}$")] = None,
        limit: Annotated[int, Query(ge=1, le=10_000)] = 1000,
    ) -> Response:
        """`limit` is about how many a page holds. A session that comes or goes meanwhile may be missing or told twice."""
        return await self._answer("node_sessions", lambda: self._node_sessions(node, cursor, limit))

    async def announce(self, request: Request) -> Response:
        return await self._answer("announce", lambda: self._announce(request))

    async def lookup(self, request: Request) -> Response:
        return await self._answer("lookup", lambda: self._lookup(request))

    async def user(self, user: str) -> Response:
        return await self._answer("user", lambda: self._user(user))

    async def disconnect(self, user: str) -> Response:
        """Asks every node that holds the user; one that does not answer in time is named with its error."""
        return await self._answer("disconnect", lambda: self._disconnect(user))

    async def metrics(self, request: Request) -> Response:
        text, content_type = self._instruments.render(request.headers.get("accept", ""))
        return Response(text, headers={"Content-Type": content_type})

    async def _register(self, request: Request) -> Response:
        body = checked(NodeBody, await read_body(request))
        await self._housekeeping.settle()  # so that a slot whose lease ran out is free
        epoch = secrets.token_hex(16)
        lease = await self._store.register(body.announcement(), epoch, replaces=body.replaces)
        return _json(asdict(lease), HTTPStatus.CREATED)

    async def _renew(self, node: str, request: Request) -> Response:
        body = checked(RenewBody, await read_body(request))
        return _json({"lease_ms": await self._store.renew(node, body.epoch, body.state, body.load)})

    async def _release(self, node: str, epoch: str) -> Response:
        await self._store.release(node, epoch)
        return Response(status_code=int(HTTPStatus.NO_CONTENT))

    async def _nodes(self) -> Response:
        overview = await self._store.overview()
        used = sum(view.is_live for view in overview.nodes)
        return _json(
            {
                "nodes": overview.nodes,
                "slots": {"total": self._slots, "used": used},
                "frozen": overview.is_frozen,
            }
        )

    async def _node_sessions(self, node: str, cursor: str | None, limit: int) -> Response:
        page = await self._store.sessions_of(node, cursor, limit)
        if page is None:
            raise ProblemError(unknown_node(node))
        return _json(
            {"node": node, "epoch": page.epoch, "sessions": page.sessions, "next": page.cursor}
        )

    async def _announce(self, request: Request) -> Response:
        body = checked(AnnounceBody, await read_body(request))
        entries = len(body.connected) + len(body.disconnected)
        if entries > MOST_SESSIONS:
            raise ProblemError(too_many("sessions", entries, MOST_SESSIONS))
        evicted = await self._store.announce(body.node, body.epoch, body.batch())
        self._instruments.connected.inc(len(body.connected))
        self._instruments.disconnected.inc(len(body.disconnected))
        self._instruments.evicted.inc(len(evicted))
        self._node_calls.tell_evicted([one for one in evicted if one.node != body.node])
        own = [one.connection for one in evicted if one.node == body.node]
        return _json({"evicted": evicted, "of_this_node": own})

    async def _lookup(self, request: Request) -> Response:
        users = users_of(await read_body(request))
        self._instruments.users_looked_up.inc(len(users))
        return _json({"places": await self._store.lookup(users)})

    async def _user(self, user: str) -> Response:
        devices = await self._store.devices_of(check_user(user))
        return _json({"user": user, "devices": devices})

    async def _disconnect(self, user: str) -> Response:
        places = (await self._store.lookup([check_user(user)])).get(user, ())
        nodes = await self._node_calls.disconnect(user, places)
        ended = sum(node.get("connections", 0) for node in nodes)
        return _json({"connections": ended, "nodes": nodes})

    async def _answer(self, operation: str, work: _Work) -> Response:
        try:
            with self._instruments.timed():
                response = await self._bounded(work)
        except ProblemError as error:
            return self._refused(operation, error.problem)
        except TidewireError as error:
            return self._refused(operation, problem_of(error))
        except ClientDisconnect:
            return self._refused(operation, gone_away())
        self._instruments.answered(operation, "done")
        return response

    async def _bounded(self, work: _Work) -> Response:
        self._in_work += 1
        try:
            if self._in_work > _MOST_IN_WORK:
                raise ProblemError(overloaded(_MOST_IN_WORK))
            return await work()
        finally:
            self._in_work -= 1

    def _refused(self, operation: str, problem: Problem) -> Response:
        outcome = "refused" if problem.status < HTTPStatus.INTERNAL_SERVER_ERROR else "unavailable"
        self._instruments.answered(operation, outcome)
        return problem_response(problem)


def _json(document: Mapping[str, Any], status: HTTPStatus = HTTPStatus.OK) -> Response:
    """Dataclasses are written as objects."""
    return Response(orjson.dumps(document), status_code=int(status), media_type="application/json")
