"""A real WebSocket server that speaks the protocol from one partition in memory, and misbehaves on demand."""

import asyncio
import json
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from http import HTTPStatus
from typing import Any

from websockets.asyncio.server import Server, ServerConnection, serve
from websockets.exceptions import ConnectionClosed
from websockets.http11 import Request, Response
from websockets.typing import Subprotocol

from tidewire_client.codec import SUBPROTOCOL

__all__ = ["Peer", "ScriptedGateway", "scripted_gateway"]

EPOCH = "scripted"
Json = dict[str, Any]


@dataclass
class Peer:
    """One connection as the server sees it."""

    socket: ServerConnection
    hello: Json
    requests: list[Json] = field(default_factory=list)
    subscriptions: dict[int, Json] = field(default_factory=dict)
    is_open: bool = True

    def of_type(self, type_: str) -> list[Json]:
        return [request["payload"] for request in self.requests if request["type"] == type_]

    async def send(self, type_: str, payload: Json, id_: int | None = None) -> None:
        envelope = {"v": 1, "type": type_, "payload": payload}
        if id_ is not None:
            envelope["id"] = id_
        await self.socket.send(json.dumps(envelope))


Interceptor = Callable[[Peer, Json], Json | None]


class ScriptedGateway:
    """`refusals` (status, headers) answer handshakes, `closings` (code, retry_after_ms) answer hellos, first come first.

    `intercept` may answer a request with a message of its own, `{}` to stay silent, None for the rule.
    `traceparent` goes with what is pushed.
    """

    def __init__(self) -> None:
        self.records: list[tuple[str, Any]] = []
        self.peers: list[Peer] = []
        self.refusals: list[tuple[int, dict[str, str]]] = []
        self.closings: list[tuple[int, int | None]] = []
        self.welcome: Json = {
            "connection": "c",
            "node": "scripted-1",
            "ping_interval_ms": 25_000,
            "limits": {},
        }
        self.intercept: Interceptor = lambda peer, request: None
        self.part_events = 1000
        self.traceparent: str | None = None
        self.url = ""
        self._sub = 0

    @property
    def live(self) -> list[Peer]:
        return [peer for peer in self.peers if peer.is_open]

    @property
    def position(self) -> Json:
        return {"epoch": EPOCH, "offsets": {"0": len(self.records)}}

    async def publish(self, key: str, data: Any) -> None:
        """Append, and push to everybody who is subscribed; `data` None removes."""
        self.records.append((key, data))
        for peer in self.live:
            for sub in peer.subscriptions:
                await self.push(peer, sub, [len(self.records) - 1])

    async def push(self, peer: Peer, sub: int, offsets: list[int]) -> None:
        payload = {
            "sub": sub,
            "position": self.position,
            "events": [self.event(offset) for offset in offsets],
            "coalesced": 0,
        }
        if self.traceparent is not None:
            payload["traceparent"] = self.traceparent
        await peer.send("updates", payload)

    def event(self, offset: int) -> Json:
        key, data = self.records[offset]
        body = {"deleted": True} if data is None else {"data": data}
        return {"key": key, **body, "ts": 1_700_000_000_000 + offset, "offset": [0, offset]}

    def newest(self, since: int) -> list[int]:
        return sorted({key: o for o, (key, _) in enumerate(self.records) if o >= since}.values())

    async def handle(self, socket: ServerConnection) -> None:
        hello = json.loads(await socket.recv())
        peer = Peer(socket, hello["payload"])
        self.peers.append(peer)
        try:
            if self.closings:
                await self._close(peer, *self.closings.pop(0))
                return
            await peer.send("welcome", self.welcome, hello["id"])
            async for text in socket:
                frame = json.loads(text)
                for request in frame if isinstance(frame, list) else [frame]:
                    peer.requests.append(request)
                    await self._answer(peer, request)
        except ConnectionClosed:
            pass
        finally:
            peer.is_open = False

    def refuse(self, socket: ServerConnection, request: Request) -> Response | None:
        if not self.refusals:
            return None
        status, headers = self.refusals.pop(0)
        response = socket.respond(HTTPStatus(status), "no\n")
        response.headers.update(headers)
        return response

    async def _close(self, peer: Peer, code: int, retry_after_ms: int | None) -> None:
        if retry_after_ms is not None:
            error = {"code": "unavailable", "message": "busy", "retry_after_ms": retry_after_ms}
            await peer.send("error", error)
        await peer.socket.close(code, "scripted")

    async def _answer(self, peer: Peer, request: Json) -> None:
        own = self.intercept(peer, request)
        if own is not None:
            if own:
                await peer.send(own["type"], own["payload"], request["id"])
            return
        payload = request["payload"]
        match request["type"]:
            case "subscribe":
                await self._subscribe(peer, request["id"], payload)
            case "update_subscription":
                await self._update(peer, request["id"], payload)
            case "unsubscribe":
                peer.subscriptions.pop(payload["sub"], None)
                gone = {"sub": payload["sub"], "code": "requested", "reason": "as asked"}
                await peer.send("unsubscribed", gone, request["id"])
            case "refresh":
                await peer.send("refreshed", {"expires_in_ms": 3_600_000}, request["id"])

    async def _subscribe(self, peer: Peer, id_: int, payload: Json) -> None:
        mode = payload.get("mode", "latest")
        since = payload.get("since")
        recovered = "none" if since is None else "changes" if mode == "latest" else "exact"
        start = len(self.records) if since is None else since["offsets"]["0"]
        sub = await self._subscribed(peer, id_, payload, recovered=recovered, start=start)
        if since is not None:
            missed = range(start, len(self.records)) if mode == "every" else self.newest(start)
            await self.push(peer, sub, [*missed])
        elif mode == "latest" and payload.get("snapshot", True):
            await self._snapshot(peer, sub)

    async def _update(self, peer: Peer, id_: int, payload: Json) -> None:
        before = peer.subscriptions.pop(payload["sub"])
        start = len(self.records)
        await self._subscribed(peer, id_, {**before, **payload}, recovered="changes", start=start)

    async def _subscribed(
        self, peer: Peer, id_: int, payload: Json, *, recovered: str, start: int
    ) -> int:
        self._sub += 1
        answer = {
            "sub": self._sub,
            "channel": payload["channel"],
            "mode": payload.get("mode", "latest"),
            "interval_ms": payload.get("interval_ms", 0),
            "position": {"epoch": EPOCH, "offsets": {"0": start}},
            "recovered": recovered,
        }
        await peer.send("subscribed", answer, id_)
        if not payload.get("paused"):
            peer.subscriptions[self._sub] = payload
        return self._sub

    async def _snapshot(self, peer: Peer, sub: int) -> None:
        events = [self.event(o) for o in self.newest(0) if self.records[o][1] is not None]
        parts = [
            events[i : i + self.part_events] for i in range(0, len(events), self.part_events)
        ] or [[]]
        for index, part in enumerate(parts):
            more = {"more": True} if index < len(parts) - 1 else {}
            payload = {"sub": sub, "position": self.position, "events": part, **more}
            await peer.send("snapshot", payload)


@asynccontextmanager
async def scripted_gateway(given: ScriptedGateway | None = None) -> AsyncIterator[ScriptedGateway]:
    gateway = given or ScriptedGateway()
    server: Server
    async with serve(
        gateway.handle,
        "127.0.0.1",
        0,
        process_request=gateway.refuse,
        subprotocols=[Subprotocol(SUBPROTOCOL)],  # browsers go away where none is chosen
        ping_interval=None,
    ) as server:
        port = next(iter(server.sockets)).getsockname()[1]
        gateway.url = f"ws://127.0.0.1:{port}/v1/ws"
        yield gateway
        for peer in gateway.live:
            peer.socket.transport.abort()
        await asyncio.sleep(0)
