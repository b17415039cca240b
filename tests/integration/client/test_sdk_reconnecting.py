"""The life of connections over real sockets: back-off, close codes, resume, goaway, liveness, tokens."""

import asyncio
from collections.abc import Callable
from typing import Any

import pytest
from websockets.asyncio.server import ServerConnection, serve

from harness.waiting import eventually
from integration.client.scripted_gateway import Json, Peer, ScriptedGateway
from tidewire_client import Client, PermanentCloseError, Position

MakeClient = Callable[..., Client]


async def test_lost_connection_is_resumed_from_the_last_position(
    gateway: ScriptedGateway, make_client: MakeClient
) -> None:
    gateway.records = [("a", 1), ("b", 2)]
    async with make_client() as client:
        sub = await client.subscribe("flights")
        await eventually(lambda: sub.position == Position("scripted", {0: 2}))
        gateway.peers[0].socket.transport.abort()
        await eventually(lambda: not gateway.peers[0].is_open)
        await gateway.publish("a", 3)
        await gateway.publish("b", None)
        await eventually(lambda: dict(sub.state) == {"a": 3})
        await eventually(lambda: len(gateway.peers) == 2)
        assert gateway.peers[1].of_type("subscribe")[0]["since"]["epoch"] == "scripted"
        assert sub.recovered in {"changes", "exact"}


async def test_every_subscription_is_resumed_and_every_event_delivered_once(
    gateway: ScriptedGateway, make_client: MakeClient
) -> None:
    async with make_client() as client:
        subs = [await client.subscribe(f"notices/{i}", mode="every") for i in range(5)]
        for i in range(6):
            await gateway.publish("k", i)
            if i % 2:
                cut = gateway.live[-1]
                cut.socket.transport.abort()
                await eventually(lambda: gateway.live and gateway.live[-1] is not cut)  # noqa: B023 -- awaited here
        for sub in subs:
            seen: list[int] = []
            batches = aiter(sub)
            while len(seen) < 6:
                batch = await asyncio.wait_for(anext(batches), 5)
                seen += [event.data for event in batch.events]
            assert seen == list(range(6))


async def test_snapshot_cut_off_is_asked_for_again(
    gateway: ScriptedGateway, make_client: MakeClient
) -> None:
    gateway.records = [("a", 1), ("b", 2)]
    cut = [True]

    def first_part_only(peer: Peer, request: Json) -> Json | None:
        if not cut:
            return None
        cut.clear()
        asyncio.get_running_loop().create_task(break_off(peer, request["id"]))
        return {}

    async def break_off(peer: Peer, id_: int) -> None:
        position = gateway.position
        answer = {"sub": 1, "channel": "flights", "mode": "latest", "interval_ms": 0}
        await peer.send("subscribed", {**answer, "position": position, "recovered": "none"}, id_)
        part = {"sub": 1, "position": position, "events": [gateway.event(0)], "more": True}
        await peer.send("snapshot", part)
        await peer.socket.close(3001)

    gateway.intercept = first_part_only
    async with make_client() as client:
        sub = client.subscribe("flights")
        await eventually(lambda: dict(sub.state) == {"a": 1, "b": 2})
        assert "since" not in gateway.peers[1].of_type("subscribe")[0]


async def test_backoff_doubles_while_the_server_keeps_closing(
    gateway: ScriptedGateway, make_client: MakeClient, waits: Any
) -> None:
    gateway.closings = [(3030, None)] * 7
    async with make_client() as client:
        await client.subscribe("flights")
    assert waits.asked == [0.5, 1, 2, 4, 8, 16, 20]


async def test_time_that_the_server_names_is_waited_for(
    gateway: ScriptedGateway, make_client: MakeClient, waits: Any
) -> None:
    waits.chance = 0.0
    gateway.refusals = [(503, {"Retry-After": "7"})]
    gateway.closings = [(3030, 2500)]
    async with make_client() as client:
        await client.subscribe("flights")
    assert waits.asked == [7.0, 2.5]


async def test_permanent_close_code_stops_the_client_and_tells_every_subscription(
    gateway: ScriptedGateway, make_client: MakeClient
) -> None:
    async with make_client() as client:
        subs = [await client.subscribe(name, mode="every") for name in ("a", "b")]
        await gateway.peers[0].socket.close(3503, "moved out")
        for sub in subs:
            with pytest.raises(PermanentCloseError) as stopped:
                await asyncio.wait_for(anext(aiter(sub)), 5)
            assert (stopped.value.code, stopped.value.reason) == (3503, "moved out")
        assert client.state == "disconnected"
        assert client.error is stopped.value
        with pytest.raises(PermanentCloseError):
            client.subscribe("c")
    assert len(gateway.peers) == 1


@pytest.mark.parametrize("code", [3500, 3502, 3504])
async def test_refused_hello_stops_the_client(
    gateway: ScriptedGateway, make_client: MakeClient, code: int
) -> None:
    gateway.closings = [(code, None)]
    async with make_client() as client:
        with pytest.raises(PermanentCloseError):
            await client.subscribe("flights")


async def test_refused_first_handshake_stops_the_client(
    gateway: ScriptedGateway, make_client: MakeClient
) -> None:
    gateway.refusals = [(403, {})]
    async with make_client() as client:
        with pytest.raises(PermanentCloseError, match="403"):
            await client.subscribe("flights")


async def test_expired_token_is_replaced_by_a_new_one(
    gateway: ScriptedGateway, make_client: MakeClient
) -> None:
    tokens = iter(["old", "new"])

    async def get_token() -> str:
        return next(tokens)

    gateway.closings = [(3005, None)]
    async with make_client(get_token=get_token) as client:
        await client.subscribe("flights")
        assert [peer.hello["token"] for peer in gateway.peers] == ["old", "new"]
        gateway.live[0].socket.transport.abort()
        await eventually(lambda: len(gateway.peers) == 3)
        assert gateway.peers[2].hello["token"] == "new"


async def test_expired_token_that_nobody_can_replace_stops_the_client(
    gateway: ScriptedGateway, make_client: MakeClient
) -> None:
    gateway.closings = [(3005, None)]
    async with make_client(token="old") as client:
        with pytest.raises(PermanentCloseError):
            await client.subscribe("flights")


async def test_failing_token_source_is_tried_again(
    gateway: ScriptedGateway, make_client: MakeClient, waits: Any
) -> None:
    failures = [OSError("token service is down"), OSError("still")]

    async def get_token() -> str:
        if failures:
            raise failures.pop()
        return "fresh"

    async with make_client(get_token=get_token) as client:
        await client.subscribe("flights")
    assert waits.asked == [0.5, 1.0]
    assert gateway.peers[0].hello["token"] == "fresh"


async def test_token_is_refreshed_on_the_live_connection_before_it_expires(
    gateway: ScriptedGateway, make_client: MakeClient, waits: Any
) -> None:
    issued = iter(range(1_000_000))

    async def get_token() -> str:
        return f"token-{next(issued)}"

    def stop_refreshing(peer: Peer, request: Json) -> Json | None:
        if request["type"] == "refresh" and len(peer.of_type("refresh")) >= 3:
            return {"type": "error", "payload": {"code": "unavailable", "message": "enough"}}
        return None

    gateway.welcome["expires_in_ms"] = 100_000
    gateway.intercept = stop_refreshing
    async with make_client(get_token=get_token) as client:
        await client.subscribe("flights")
        await eventually(lambda: len(gateway.peers[0].of_type("refresh")) == 3)
    assert gateway.peers[0].hello["token"] == "token-0"
    assert [r["token"] for r in gateway.peers[0].of_type("refresh")] == [
        "token-1",
        "token-2",
        "token-3",
    ]
    assert waits.asked[:2] == [80.0, 2880.0]
    assert len(gateway.peers) == 1


async def test_token_that_cannot_be_renewed_now_is_renewed_later(
    gateway: ScriptedGateway, make_client: MakeClient, waits: Any
) -> None:
    answers: list[str | OSError] = ["first", OSError("down"), OSError("down"), "second"]

    async def get_token() -> str:
        answer = answers.pop(0)
        if isinstance(answer, OSError):
            raise answer
        return answer

    def last_one(peer: Peer, request: Json) -> Json | None:
        if request["type"] != "refresh":
            return None
        return {"type": "error", "payload": {"code": "unavailable", "message": "enough"}}

    gateway.welcome["expires_in_ms"] = 100_000
    gateway.intercept = last_one
    async with make_client(get_token=get_token) as client:
        await client.subscribe("flights")
        await eventually(lambda: gateway.peers[0].of_type("refresh") == [{"token": "second"}])
        assert waits.asked == [80.0, 0.5, 1.0]
        assert len(gateway.peers) == 1


async def test_goaway_moves_subscriptions_before_the_old_connection_closes(
    gateway: ScriptedGateway, second_gateway: ScriptedGateway, make_client: MakeClient
) -> None:
    second_gateway.records = gateway.records  # two nodes of one topic
    async with make_client() as client:
        sub = await client.subscribe("notices", mode="every")
        await gateway.publish("k", 0)
        held: list[Json] = []

        def hold(peer: Peer, request: Json) -> Json | None:
            held.append(request)
            return {} if len(held) == 1 else None

        second_gateway.intercept = hold
        goaway = {"reason": "draining", "after_ms": 0, "url": second_gateway.url}
        await gateway.peers[0].send("goaway", goaway)
        await eventually(lambda: held)
        await gateway.publish("k", 1)
        await eventually(lambda: sub.position == Position("scripted", {0: 2}))
        assert gateway.peers[0].is_open, "the old connection serves until the new one does"
        second_gateway.intercept = lambda peer, request: None
        await second_gateway._answer(second_gateway.peers[0], held[0])
        await eventually(lambda: not gateway.peers[0].is_open)
        assert gateway.peers[0].socket.close_code == 1000
        await second_gateway.publish("k", 2)
        seen: list[int] = []
        batches = aiter(sub)
        while len(seen) < 3:
            batch = await asyncio.wait_for(anext(batches), 5)
            seen += [event.data for event in batch.events]
        assert seen == [0, 1, 2]
        assert client.state == "connected"


async def test_goaway_waits_a_random_share_of_the_time_that_is_left(
    gateway: ScriptedGateway, make_client: MakeClient, waits: Any
) -> None:
    async with make_client() as client:
        await client.subscribe("flights")
        await gateway.peers[0].send("goaway", {"reason": "age", "after_ms": 20_000})
        await eventually(lambda: not gateway.peers[0].is_open)
    assert waits.asked == [16.0]
    assert len(gateway.peers) == 2


async def test_connection_that_ends_before_the_move_is_replaced_the_ordinary_way(
    gateway: ScriptedGateway, second_gateway: ScriptedGateway, make_client: MakeClient
) -> None:
    async with make_client() as client:
        sub = await client.subscribe("flights")
        second_gateway.closings = [(3030, None)] * 1_000_000
        goaway = {"reason": "draining", "after_ms": 0, "url": second_gateway.url}
        gateway.refusals = [(503, {})] * 3
        await gateway.peers[0].send("goaway", goaway)
        await gateway.peers[0].socket.close(3001, "time is up")
        await eventually(lambda: len(gateway.peers) == 2)
        await gateway.publish("a", 1)
        await eventually(lambda: dict(sub.state) == {"a": 1})


async def test_silent_server_is_left_after_two_and_a_half_ping_intervals(
    gateway: ScriptedGateway, make_client: MakeClient
) -> None:
    gateway.welcome["ping_interval_ms"] = 40
    async with make_client() as client:
        await client.subscribe("flights")
        await eventually(lambda: len(gateway.peers) >= 2)
        assert "no sign of life" in client.failure


async def test_pings_keep_a_quiet_connection(
    gateway: ScriptedGateway, make_client: MakeClient
) -> None:
    gateway.welcome["ping_interval_ms"] = 800  # silence of 2 s would end it
    async with make_client() as client:
        await client.subscribe("flights")
        for _ in range(6):
            await gateway.peers[0].send("ping", {})
            await asyncio.sleep(0.4)
        assert len(gateway.peers) == 1


async def test_request_without_an_answer_ends_the_connection(
    gateway: ScriptedGateway, make_client: MakeClient
) -> None:
    gateway.intercept = lambda peer, request: {} if len(gateway.peers) == 1 else None
    async with make_client(request_timeout=0.05) as client:
        await client.subscribe("flights")
        assert len(gateway.peers) == 2
        assert "subscribe was not answered" in client.failure


async def test_server_without_a_welcome_is_left_at_the_connect_timeout(
    make_client: MakeClient,
) -> None:
    async def mute(socket: ServerConnection) -> None:
        await socket.wait_closed()

    async with serve(mute, "127.0.0.1", 0) as server:
        port = next(iter(server.sockets)).getsockname()[1]
        async with make_client(url=f"ws://127.0.0.1:{port}/v1/ws", connect_timeout=0.05) as client:
            await eventually(lambda: "no welcome within" in client.failure)


@pytest.mark.parametrize("frame", ["gibberish", '{"v":2,"type":"ping"}', b"\x00\x01"])
async def test_frame_that_breaks_the_protocol_ends_the_connection(
    gateway: ScriptedGateway, make_client: MakeClient, frame: str | bytes
) -> None:
    async with make_client() as client:
        await client.subscribe("flights")
        await gateway.peers[0].socket.send(frame)
        await eventually(lambda: len(gateway.peers) == 2)
        await eventually(lambda: gateway.peers[0].socket.close_code == 1002)
        assert client.error is None


async def test_error_that_answers_no_request_does_not_end_the_connection(
    gateway: ScriptedGateway, make_client: MakeClient
) -> None:
    async with make_client() as client:
        sub = await client.subscribe("flights")
        await gateway.peers[0].send("error", {"code": "bad_request", "message": "x"})
        await gateway.publish("a", 1)
        await eventually(lambda: dict(sub.state) == {"a": 1})
        assert len(gateway.peers) == 1
