"""Make before break over real sockets: a goaway moves every subscription, and costs it nothing."""

import asyncio
from collections.abc import Callable
from typing import Any

import pytest

from harness.waiting import eventually
from integration.client.scripted_gateway import Json, Peer, ScriptedGateway
from tidewire_client import Client, Subscription

MakeClient = Callable[..., Client]
REFUSED_FOR_NOW: list[tuple[int, dict[str, str]]] = [(503, {})]


@pytest.fixture
def nodes(
    gateway: ScriptedGateway, second_gateway: ScriptedGateway
) -> tuple[ScriptedGateway, ScriptedGateway]:
    """Two nodes that serve one topic."""
    second_gateway.records = gateway.records
    return gateway, second_gateway


async def publish_on(nodes: tuple[ScriptedGateway, ...], key: str, data: Any) -> None:
    """Every node hands the same record to whoever is subscribed there."""
    first, *others = nodes
    await first.publish(key, data)
    for node in others:
        for peer in node.live:
            for sub in peer.subscriptions:
                await node.push(peer, sub, [len(node.records) - 1])


async def goaway(peer: Peer, to: ScriptedGateway, after_ms: int = 0) -> None:
    await peer.send("goaway", {"reason": "draining", "after_ms": after_ms, "url": to.url})


async def values(sub: Subscription, count: int) -> list[Any]:
    """The data of the next ``count`` events, and of none beyond them."""
    seen: list[Any] = []
    batches = aiter(sub)
    while len(seen) < count:
        batch = await asyncio.wait_for(anext(batches), 5)
        assert batch.kind == "updates"
        seen += [event.data for event in batch.events]
    return seen


async def test_nothing_is_lost_or_doubled_while_both_connections_deliver(
    nodes: tuple[ScriptedGateway, ScriptedGateway], make_client: MakeClient
) -> None:
    old, new = nodes
    held: list[Json] = []

    def hold_the_second(peer: Peer, request: Json) -> Json | None:
        if request["payload"].get("channel") != "notices/slow":
            return None
        held.append(request)
        return {}

    new.intercept = hold_the_second
    async with make_client() as client:
        quick = await client.subscribe("notices/quick", mode="every")
        slow = await client.subscribe("notices/slow", mode="every")
        await publish_on(nodes, "k", 0)
        await goaway(old.peers[0], new)
        await eventually(lambda: held and new.peers[0].subscriptions)
        for value in (1, 2, 3):
            await publish_on(nodes, "k", value)
        assert old.peers[0].is_open
        new.intercept = lambda peer, request: None
        await new._answer(new.peers[0], held[0])
        await eventually(lambda: not old.peers[0].is_open)
        await publish_on(nodes, "k", 4)
        for sub in (quick, slow):
            assert await values(sub, 5) == [0, 1, 2, 3, 4]
    assert len(old.peers) == len(new.peers) == 1


async def test_goaway_said_twice_moves_once(
    nodes: tuple[ScriptedGateway, ScriptedGateway], make_client: MakeClient
) -> None:
    old, new = nodes
    async with make_client() as client:
        sub = await client.subscribe("flights", mode="every")
        for _ in range(2):
            await goaway(old.peers[0], new)
        await eventually(lambda: not old.peers[0].is_open)
        await publish_on(nodes, "k", 1)
        assert await values(sub, 1) == [1]
    assert (len(old.peers), len(new.peers)) == (1, 1)


async def test_goaway_of_the_new_connection_moves_on_from_there(
    nodes: tuple[ScriptedGateway, ScriptedGateway], make_client: MakeClient, waits: Any
) -> None:
    old, new = nodes

    def send_away_at_once(peer: Peer, request: Json) -> Json | None:
        new.intercept = lambda peer, request: None
        asyncio.get_running_loop().create_task(goaway(peer, old))
        return None

    new.intercept = send_away_at_once
    async with make_client() as client:
        sub = await client.subscribe("flights", mode="every")
        await goaway(old.peers[0], new)
        await eventually(lambda: len(old.peers) == 2 and not new.live)
        await publish_on(nodes, "k", 1)
        assert await values(sub, 1) == [1]
        assert client.state == "connected"
    assert waits.asked == [0.0, 1.0], "sent away again at once it takes its time"


async def test_goaway_right_after_a_reconnect_moves_like_any_other(
    nodes: tuple[ScriptedGateway, ScriptedGateway], make_client: MakeClient
) -> None:
    old, new = nodes

    def send_away_at_once(peer: Peer, request: Json) -> Json | None:
        if len(old.peers) == 2:
            asyncio.get_running_loop().create_task(goaway(peer, new))
        return None

    old.intercept = send_away_at_once
    async with make_client() as client:
        sub = await client.subscribe("flights", mode="every")
        old.peers[0].socket.transport.abort()
        await eventually(lambda: new.live and not old.live)
        await publish_on(nodes, "k", 1)
        assert await values(sub, 1) == [1]


async def test_connection_serves_on_while_no_other_can_be_had(
    nodes: tuple[ScriptedGateway, ScriptedGateway], make_client: MakeClient, waits: Any
) -> None:
    old, new = nodes
    async with make_client() as client:
        sub = await client.subscribe("flights", mode="every")
        old.refusals = REFUSED_FOR_NOW * 1_000_000
        new.refusals = REFUSED_FOR_NOW * 1_000_000
        await goaway(old.peers[0], new, after_ms=10_000)
        await eventually(lambda: len(waits.asked) > 3)
        await publish_on(nodes, "k", 1)
        assert await values(sub, 1) == [1]
        assert client.state == "connected"
        old.refusals = []
        await eventually(lambda: len(old.peers) == 2 and not old.peers[0].is_open)
        await publish_on(nodes, "k", 2)
        assert await values(sub, 1) == [2]
    assert waits.asked[0] == 8.0


async def test_move_that_is_refused_for_good_is_given_up_and_the_connection_serves_on(
    nodes: tuple[ScriptedGateway, ScriptedGateway], make_client: MakeClient
) -> None:
    old, new = nodes
    new.closings = [(3504, None)]
    async with make_client() as client:
        sub = await client.subscribe("flights", mode="every")
        await goaway(old.peers[0], new)
        await eventually(lambda: new.peers and not new.live)
        await publish_on(nodes, "k", 1)
        assert await values(sub, 1) == [1]
        assert (client.state, client.error) == ("connected", None)
        await old.peers[0].socket.close(3001, "time is up")
        await eventually(lambda: len(old.live) == 1)
        await publish_on(nodes, "k", 2)
        assert await values(sub, 1) == [2]


async def test_connection_closed_with_3001_before_its_move_is_resumed_and_nothing_is_lost(
    nodes: tuple[ScriptedGateway, ScriptedGateway], make_client: MakeClient, waits: Any
) -> None:
    old, new = nodes
    async with make_client() as client:
        sub = await client.subscribe("flights", mode="every")
        old.refusals = new.refusals = REFUSED_FOR_NOW * 1_000_000
        await goaway(old.peers[0], new)
        await eventually(lambda: len(waits.asked) > 2)
        await publish_on(nodes, "k", 1)
        await old.peers[0].socket.close(3001, "time is up")
        await eventually(lambda: client.state == "connecting")
        old.records.append(("k", 2))
        old.refusals = []
        assert await values(sub, 2) == [1, 2]
        assert sub.recovered == "exact"


@pytest.mark.parametrize("chance", [0.0, 0.25, 1.0])
async def test_moves_of_many_clients_are_spread_over_the_time_they_have(
    nodes: tuple[ScriptedGateway, ScriptedGateway],
    make_client: MakeClient,
    waits: Any,
    chance: float,
) -> None:
    old, new = nodes
    waits.chance = chance
    async with make_client() as client:
        await client.subscribe("flights")
        await goaway(old.peers[0], new, after_ms=30_000)
        await eventually(lambda: not old.peers[0].is_open)
    assert waits.asked == [24.0 * chance]


@pytest.mark.parametrize("code", [1001, 1012, 3001, 3008, 3012, 3030, 3499])
async def test_close_code_that_passes_is_followed_by_a_resume(
    gateway: ScriptedGateway, make_client: MakeClient, code: int
) -> None:
    async with make_client() as client:
        sub = await client.subscribe("flights", mode="every")
        await gateway.publish("k", 1)
        assert await values(sub, 1) == [1]
        await gateway.peers[0].socket.close(code)
        await eventually(lambda: len(gateway.peers) == 2)
        await eventually(lambda: gateway.peers[1].of_type("subscribe"))
        assert gateway.peers[1].of_type("subscribe")[0]["since"]["offsets"] == {"0": 1}
        await gateway.publish("k", 2)
        assert await values(sub, 1) == [2]
