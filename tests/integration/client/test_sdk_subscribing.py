"""Subscriptions over a real socket: batches, map, errors, rates, slow consumers."""

import asyncio
from collections.abc import Callable
from typing import Any

import pytest

from harness.waiting import eventually
from integration.client.scripted_gateway import Json, Peer, ScriptedGateway
from tidewire_client import (
    Batch,
    Client,
    ClientClosedError,
    ConnectionState,
    Gap,
    NotReadyError,
    Position,
    SubscriptionError,
)

MakeClient = Callable[..., Client]


async def next_batch(batches: Any) -> Batch:
    batch = await asyncio.wait_for(anext(batches), 5)
    assert isinstance(batch, Batch)
    return batch


async def test_iterating_a_subscription_gives_snapshot_then_updates(
    gateway: ScriptedGateway, make_client: MakeClient
) -> None:
    gateway.records = [("a", 1), ("b", 2), ("a", 3), ("b", None)]
    async with make_client() as client:
        batches = aiter(client.subscribe("flights"))
        first = await next_batch(batches)
        assert (first.kind, [(e.key, e.data) for e in first.events]) == ("snapshot", [("a", 3)])
        await gateway.publish("c", {"x": [1.0, None]})
        second = await next_batch(batches)
        assert (second.kind, second.position) == ("updates", Position("scripted", {0: 5}))
        assert [(e.key, e.data, e.offset) for e in second.events] == [("c", {"x": [1.0, None]}, 4)]


async def test_awaited_subscription_keeps_a_map_of_the_newest_values(
    gateway: ScriptedGateway, make_client: MakeClient
) -> None:
    gateway.records = [("a", 1), ("b", 2)]
    async with make_client() as client:
        sub = await client.subscribe("flights", interval_ms=250)
        await eventually(lambda: dict(sub.state) == {"a": 1, "b": 2})
        await gateway.publish("a", None)
        await gateway.publish("b", 5)
        await eventually(lambda: dict(sub.state) == {"b": 5})
        assert sub.state.event("b").offset == 3
        assert len(sub.state) == 1
        assert (sub.mode, sub.granted_interval_ms, sub.recovered) == ("latest", 250, "none")
        assert sub.feed_state == "live"


async def test_snapshot_in_parts_comes_as_one_batch(
    gateway: ScriptedGateway, make_client: MakeClient
) -> None:
    gateway.part_events = 3
    gateway.records = [(f"k{i}", i) for i in range(10)]
    async with make_client() as client:
        batch = await next_batch(aiter(client.subscribe("flights")))
        assert [event.offset for event in batch.events] == list(range(10))


async def test_hello_names_the_client_and_carries_the_token(
    gateway: ScriptedGateway, make_client: MakeClient
) -> None:
    async with make_client(token="t", client="board/2", device="kiosk") as client:
        await client.subscribe("flights")
        assert gateway.peers[0].hello == {"token": "t", "client": "board/2", "device": "kiosk"}
        assert gateway.peers[0].socket.subprotocol == "tidewire.v1.json"
        headers = gateway.peers[0].socket.request
        assert headers is not None
        assert headers.headers["Sec-WebSocket-Protocol"] == "tidewire.v1.json"


async def test_since_starts_where_an_earlier_program_ended(
    gateway: ScriptedGateway, make_client: MakeClient
) -> None:
    gateway.records = [("a", 1), ("a", 2), ("b", 3)]
    since = Position.parse('{"epoch":"scripted","offsets":{"0":1}}')
    async with make_client() as client:
        sub = client.subscribe("notices", mode="every", since=since)
        batch = await next_batch(aiter(sub))
        assert [event.offset for event in batch.events] == [1, 2]
        assert sub.recovered == "exact"


async def test_refused_subscription_tells_awaiter_and_iterator_and_leaves_others_alone(
    gateway: ScriptedGateway, make_client: MakeClient
) -> None:
    def refuse(peer: Peer, request: Json) -> Json | None:
        if request["payload"].get("channel") == "flihgts":
            return {"type": "error", "payload": {"code": "unknown_channel", "message": "no such"}}
        return None

    gateway.intercept = refuse
    async with make_client() as client:
        good, bad = client.subscribe("flights"), client.subscribe("flihgts")
        with pytest.raises(SubscriptionError) as refused:
            await bad
        assert (refused.value.code, refused.value.channel) == ("unknown_channel", "flihgts")
        with pytest.raises(SubscriptionError):
            await next_batch(aiter(bad))
        assert await good is good


async def test_refusal_that_passes_is_tried_again_when_the_server_said(
    gateway: ScriptedGateway, make_client: MakeClient, waits: Any
) -> None:
    waits.chance = 0.0
    answers = [{"code": "rate_limited", "message": "slower", "retry_after_ms": 20}]

    def refuse_once(peer: Peer, request: Json) -> Json | None:
        return {"type": "error", "payload": answers.pop()} if answers else None

    gateway.intercept = refuse_once
    async with make_client() as client:
        await client.subscribe("flights")
        assert len(gateway.peers[0].of_type("subscribe")) == 2


async def test_subscription_that_the_server_ends_raises_after_its_last_batch(
    gateway: ScriptedGateway, make_client: MakeClient
) -> None:
    async with make_client() as client:
        sub = await client.subscribe("flights", mode="every")
        await gateway.publish("a", 1)
        gone = {"sub": 1, "code": "forbidden", "reason": "rights shrank"}
        await gateway.peers[0].send("unsubscribed", gone)
        batches = aiter(sub)
        assert (await next_batch(batches)).events[0].data == 1
        with pytest.raises(SubscriptionError, match="rights shrank"):
            await next_batch(batches)


async def test_unsubscribe_ends_the_iteration_and_tells_the_server(
    gateway: ScriptedGateway, make_client: MakeClient
) -> None:
    async with make_client() as client:
        sub = await client.subscribe("flights", mode="every")
        await sub.unsubscribe()
        assert [batch async for batch in sub] == []
        assert gateway.peers[0].of_type("unsubscribe") == [{"sub": 1}]


async def test_closing_the_client_ends_its_iterations(
    gateway: ScriptedGateway, make_client: MakeClient
) -> None:
    states: list[ConnectionState] = []
    async with make_client(on_state=states.append) as client:
        sub = await client.subscribe("flights", mode="every")
    assert [batch async for batch in sub] == []
    with pytest.raises(ClientClosedError):
        client.subscribe("flights")
    with pytest.raises(ClientClosedError):
        await client.__aenter__()
    await eventually(lambda: states == ["connecting", "connected", "disconnected"])
    await eventually(lambda: gateway.peers[0].socket.close_code == 1000)


async def test_status_and_gap_reach_the_application(
    gateway: ScriptedGateway, make_client: MakeClient
) -> None:
    heard: list[str] = []
    async with make_client() as client:
        sub = await client.subscribe("notices", mode="every", on_status=heard.append)
        peer = gateway.peers[0]
        await peer.send("status", {"state": "stale", "age_ms": 5})
        gap = {"sub": 1, "gap": {"0": [0, 4]}, "reason": "too_far"}
        await peer.send("gap", gap)
        batch = await next_batch(aiter(sub))
        assert batch.kind == "gap"
        assert batch.gap is not None
        assert (batch.gap.ranges, batch.gap.reason) == ({0: (0, 4)}, "too_far")
        assert batch.position == sub.position == Position("scripted", {0: 4})
        await eventually(lambda: heard == ["live", "stale"])
        assert (sub.feed_state, sub.feed_age) == ("stale", 0.005)


async def test_gap_that_names_no_range_reaches_the_application_once(
    gateway: ScriptedGateway, make_client: MakeClient
) -> None:
    answer = {"sub": 1, "channel": "@me", "mode": "every", "interval_ms": 0, "recovered": "gap"}
    position = {"epoch": "new", "offsets": {"2": 0}}
    told = {**answer, "position": position, "reason": "recreated"}
    gateway.intercept = lambda _peer, _request: {"type": "subscribed", "payload": told}
    async with make_client() as client:
        sub = await client.subscribe("@me", mode="every", since=Position("old", {2: 40}))
        batches = aiter(sub)
        batch = await next_batch(batches)
        assert (batch.kind, batch.gap) == ("gap", Gap({}, "recreated"))
        assert batch.position == sub.position == Position("new", {2: 0})
        event = {"key": "a", "data": 1, "ts": 1, "offset": [2, 0]}
        updates = {"sub": 1, "position": {"epoch": "new", "offsets": {"2": 1}}, "events": [event]}
        await gateway.peers[0].send("updates", updates)
        assert (await next_batch(batches)).kind == "updates"


async def test_update_changes_the_rate_of_a_live_subscription(
    gateway: ScriptedGateway, make_client: MakeClient
) -> None:
    gateway.records = [("a", 1)]
    async with make_client() as client:
        sub = await client.subscribe("flights")
        await eventually(lambda: sub.position is not None)
        await sub.update(interval_ms=1000)
        assert sub.granted_interval_ms == 1000
        await gateway.publish("b", 2)
        await eventually(lambda: dict(sub.state) == {"a": 1, "b": 2})
        gateway.peers[0].socket.transport.abort()
        await eventually(lambda: len(gateway.live) == 1 and len(gateway.peers) == 2)
        await eventually(lambda: gateway.peers[1].of_type("subscribe"))
        assert gateway.peers[1].of_type("subscribe")[0]["interval_ms"] == 1000


async def test_update_before_the_answer_waits_for_it_and_asks_no_second_time(
    gateway: ScriptedGateway, make_client: MakeClient
) -> None:
    async with make_client() as client:
        await client.subscribe("other")
        sub = client.subscribe("flights")
        await sub.update(interval_ms=500)
        assert sub.granted_interval_ms == 500
        assert len(gateway.peers[0].of_type("subscribe")) == 2
        assert len(gateway.peers[0].of_type("update_subscription")) == 1


async def test_subscription_left_before_its_answer_is_ended_on_the_server(
    gateway: ScriptedGateway, make_client: MakeClient
) -> None:
    async with make_client() as client:
        await client.subscribe("other")
        sub = client.subscribe("flights")
        await sub.unsubscribe()
        await eventually(lambda: gateway.peers[0].of_type("unsubscribe") == [{"sub": 2}])
        assert [batch async for batch in sub] == []


async def test_refused_update_leaves_the_subscription_as_it_was(
    gateway: ScriptedGateway, make_client: MakeClient
) -> None:
    def refuse(peer: Peer, request: Json) -> Json | None:
        if request["type"] == "update_subscription":
            return {"type": "error", "payload": {"code": "already_subscribed", "message": "x"}}
        return None

    gateway.intercept = refuse
    async with make_client() as client:
        sub = await client.subscribe("flights", interval_ms=250)
        with pytest.raises(SubscriptionError, match="already_subscribed"):
            await sub.update(interval_ms=1000)
        await gateway.publish("a", 1)
        await eventually(lambda: dict(sub.state) == {"a": 1})


async def test_paused_subscription_holds_its_position_through_a_reconnection(
    gateway: ScriptedGateway, make_client: MakeClient
) -> None:
    async with make_client() as client:
        sub = await client.subscribe("flights")
        await eventually(lambda: sub.position is not None)
        await sub.update(paused=True)
        gateway.peers[0].socket.transport.abort()
        await eventually(lambda: len(gateway.peers) == 2)
        await gateway.publish("a", 1)
        await eventually(lambda: client.state == "connected")
        assert gateway.peers[1].of_type("subscribe") == []
        await sub.update(paused=False)
        await eventually(lambda: dict(sub.state) == {"a": 1})
        assert sub.recovered == "changes"


async def test_slow_consumer_of_every_lets_go_and_misses_nothing(
    gateway: ScriptedGateway, make_client: MakeClient
) -> None:
    heard: list[str] = []
    async with make_client(buffer_events=10) as client:
        sub = await client.subscribe("notices", mode="every", on_status=heard.append)
        for i in range(25):
            await gateway.publish("k", i)
        await eventually(lambda: gateway.peers[0].of_type("unsubscribe"))
        await eventually(lambda: not gateway.peers[0].subscriptions)
        for i in range(25, 40):
            await gateway.publish("k", i)
        assert sub.feed_state == "lagging"
        seen: list[int] = []
        batches = aiter(sub)
        while len(seen) < 40:
            seen += [event.data for event in (await next_batch(batches)).events]
        assert seen == list(range(40))
        assert heard == ["live", "lagging", "live"]


async def test_slow_consumer_of_latest_gets_one_batch_of_the_newest(
    gateway: ScriptedGateway, make_client: MakeClient
) -> None:
    async with make_client() as client:
        sub = await client.subscribe("flights")
        batches = aiter(sub)
        await next_batch(batches)
        for i in range(50):
            await gateway.publish(f"k{i % 2}", i)
        await eventually(lambda: sub.position == Position("scripted", {0: 50}))
        batch = await next_batch(batches)
        assert [event.data for event in batch.events] == [48, 49]
        assert batch.coalesced == 48


async def test_server_that_cannot_be_reached_is_named_when_the_wait_ends(
    make_client: MakeClient, gateway: ScriptedGateway
) -> None:
    gateway.refusals = [(503, {})] * 1_000_000
    async with make_client(ready_timeout=0.1) as client:
        with pytest.raises(NotReadyError, match="HTTP 503"):
            await client.subscribe("flights")


@pytest.mark.parametrize("url", ["http://127.0.0.1/v1/ws", "ws://", "127.0.0.1:8080", ""])
def test_what_is_no_websocket_address_is_refused_at_once(url: str) -> None:
    with pytest.raises(ValueError, match="is no address"):
        Client(url)
