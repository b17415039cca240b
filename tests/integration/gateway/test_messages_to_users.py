"""`@me` on real sockets: what the inbox brings, what the mailbox has, and what no fault may lose."""

import contextlib
from collections.abc import AsyncIterator, Callable
from contextlib import AbstractAsyncContextManager
from pathlib import Path
from typing import Any

import httpx
import pytest

from harness.gateway import FrameClient, Gateway, MemoryTopics, running_gateway, write_streams
from harness.targeted import TARGETED, TargetedWorld
from harness.waiting import eventually
from integration.gateway.conftest import STREAMS
from tidewire.identity.issuing import issue_token
from tidewire.identity.keys import load_key
from tidewire.kafka.records import TopicSpec
from tidewire.targeting.registry import Place
from tidewire_gateway.app import Clients
from tidewire_gateway.internal_app import create_internal_app
from tidewire_gateway.targeted import mail

KEY = "22" * 32
SOON = 0.2

Nodes = Callable[..., AbstractAsyncContextManager[Gateway]]


@pytest.fixture
def key_file(tmp_path: Path) -> Path:
    path = tmp_path / "token.key"
    path.write_text(KEY)
    return path


@pytest.fixture
def nodes(topics: MemoryTopics, tmp_path: Path, key_file: Path) -> Nodes:
    """Nodes of one world, by name."""
    path = write_streams(tmp_path, STREAMS)

    def make(world: TargetedWorld, name: str = "node-1", **options: Any) -> Any:
        clients = Clients(topics.broker.reader, topics.broker.admin, lambda _url: world.parts())
        return running_gateway(path, clients, node=name, token_key_file=key_file, **options)

    return make


@pytest.fixture
def world(topics: MemoryTopics) -> TargetedWorld:
    return TargetedWorld(topics.broker)


@pytest.fixture
def often(monkeypatch: pytest.MonkeyPatch) -> None:
    """What happens every second or five happens soon."""
    monkeypatch.setattr(mail, "_TICK", SOON / 4)
    monkeypatch.setattr(mail, "_POLL", SOON)
    monkeypatch.setattr(mail, "_RETRY", SOON / 4)


def token_of(user: str, key_file: Path) -> str:
    return issue_token(load_key(key_file), user, {}, ttl=600)


@contextlib.asynccontextmanager
async def client_of(gateway: Gateway, user: str, key_file: Path) -> AsyncIterator[FrameClient]:
    async with gateway.connect(token=token_of(user, key_file)) as client:
        yield client


async def is_held(world: TargetedWorld, user: str, connections: int = 1) -> list[Place]:
    """Wait until the registry knows so many connections of a user."""

    async def are_known() -> bool:
        return sum(len(place.connections) for place in await world.places(user)) == connections

    await eventually(are_known)
    return list(await world.places(user))


async def texts(client: FrameClient, count: int) -> list[Any]:
    """The data of the next events, however they are framed."""
    found: list[Any] = []
    while len(found) < count:
        found += [event["data"] for event in (await client.expect("updates"))["events"]]
    return found


def letters(gateway: Gateway, outcome: str) -> float:
    return float(gateway.node.instruments._letters[outcome]._value.get())


async def test_message_reaches_every_connection_of_its_user_and_no_other(
    nodes: Nodes, world: TargetedWorld, key_file: Path
) -> None:
    async with (
        nodes(world) as gateway,
        client_of(gateway, "ann", key_file) as phone,
        client_of(gateway, "ann", key_file) as laptop,
        client_of(gateway, "bob", key_file) as other,
    ):
        for client in (phone, laptop, other):
            assert (await client.subscribe("@me"))["recovered"] == "none"
        await is_held(world, "ann", 2)
        await is_held(world, "bob")
        letter = await world.post("ann", {"gate": 7})
        for client in (phone, laptop):
            (event,) = (await client.expect("updates"))["events"]
            assert event["data"] == {"gate": 7}
            assert event["id"] == letter.id
            assert event["offset"] == [letter.partition, letter.offset]
        await world.post("bob", "yours")
        assert await texts(other, 1) == ["yours"]
        assert letters(gateway, "inbox") == 3


async def test_two_nodes_hold_a_user_and_both_deliver(
    nodes: Nodes, world: TargetedWorld, key_file: Path
) -> None:
    async with (
        nodes(world) as first,
        nodes(world, "node-2") as second,
        client_of(first, "ann", key_file) as one,
        client_of(second, "ann", key_file) as two,
    ):
        for client in (one, two):
            await client.subscribe("@me")
        places = await is_held(world, "ann", 2)
        assert {place.node for place in places} == {"node-1", "node-2"}
        await world.post("ann", "both")
        assert [await texts(client, 1) for client in (one, two)] == [["both"], ["both"]]


async def test_messages_of_while_a_user_was_away_come_when_it_is_back(
    nodes: Nodes, world: TargetedWorld, key_file: Path
) -> None:
    async with nodes(world) as gateway:
        await world.post("ann", "before anything")
        async with client_of(gateway, "ann", key_file) as client:
            position = (await client.subscribe("@me"))["position"]
            batch = await client.expect("updates")
            assert [event["data"] for event in batch["events"]] == ["before anything"]
            position["offsets"] |= batch["position"]["offsets"]
        for text in ("missed", "missed too"):
            await world.post("ann", text)
        async with client_of(gateway, "ann", key_file) as client:
            assert (await client.subscribe("@me", since=position))["recovered"] == "exact"
            assert await texts(client, 2) == ["missed", "missed too"]


async def test_fresh_subscription_without_snapshot_begins_now(
    nodes: Nodes, world: TargetedWorld, key_file: Path
) -> None:
    async with nodes(world) as gateway, client_of(gateway, "ann", key_file) as client:
        await world.post("ann", "old")
        await client.subscribe("@me", snapshot=False)
        await is_held(world, "ann")
        await world.post("ann", "new")
        assert await texts(client, 1) == ["new"]


async def test_letter_whose_predecessor_was_lost_brings_both(
    nodes: Nodes, world: TargetedWorld, key_file: Path
) -> None:
    async with nodes(world) as gateway, client_of(gateway, "ann", key_file) as client:
        await client.subscribe("@me")
        await is_held(world, "ann")
        await eventually(lambda: letters(gateway, "mailbox") == 0)
        await world.post("ann", 1)
        await world.post("ann", "lost on the way", to=())
        await world.post("ann", 3)
        assert await texts(client, 3) == [1, "lost on the way", 3]


async def test_second_look_finds_what_was_routed_before_routers_knew_of_the_connection(
    nodes: Nodes, topics: MemoryTopics, key_file: Path, often: None
) -> None:
    world = TargetedWorld(topics.broker, second_look=SOON)
    async with nodes(world) as gateway, client_of(gateway, "ann", key_file) as client:
        await client.subscribe("@me")
        await is_held(world, "ann")
        await world.post("ann", "for a router that remembers nobody", to=())
        assert await texts(client, 1) == ["for a router that remembers nobody"]


async def test_letter_under_another_epoch_is_not_delivered(
    nodes: Nodes, world: TargetedWorld, key_file: Path
) -> None:
    async with nodes(world) as gateway, client_of(gateway, "ann", key_file) as client:
        await client.subscribe("@me")
        (place,) = await is_held(world, "ann")
        old = Place(place.node, place.slot, "0" * 32, place.address, place.connections)
        await world.post("ann", "for the node before", to=[old], ttl_ms=0)
        await eventually(lambda: letters(gateway, "fenced") == 1)
        await world.post("ann", "for this one")
        assert await texts(client, 1) == ["for this one"]


async def test_node_without_registry_keeps_its_sockets_and_asks_the_mailboxes(
    nodes: Nodes, topics: MemoryTopics, key_file: Path, often: None
) -> None:
    world = TargetedWorld(topics.broker, lease=1.0)
    async with nodes(world) as gateway, client_of(gateway, "ann", key_file) as client:
        await client.subscribe("@me")
        (place,) = await is_held(world, "ann")
        world.registry.is_away = True
        await eventually(lambda: gateway.node.instruments.lease_held._value.get() == 0)
        await world.post("ann", "while nobody knows", to=[place])
        assert await texts(client, 1) == ["while nobody knows"]
        assert letters(gateway, "mailbox") == 1
        world.registry.is_away = False
        await eventually(lambda: gateway.node.instruments.lease_held._value.get() == 1)
        (again,) = await is_held(world, "ann")
        assert again.epoch != place.epoch
        before = letters(gateway, "inbox")
        await world.post("ann", "back", to=[again])
        assert await texts(client, 1) == ["back"]
        assert letters(gateway, "inbox") + letters(gateway, "mailbox") == before + 2


async def test_sessions_are_announced_anew_when_the_store_has_lost_everything(
    nodes: Nodes, topics: MemoryTopics, key_file: Path
) -> None:
    world = TargetedWorld(topics.broker, lease=1.0)
    async with (
        nodes(world) as gateway,
        client_of(gateway, "ann", key_file) as client,
        client_of(gateway, "bob", key_file),
    ):
        await client.subscribe("@me")
        await is_held(world, "ann")
        await is_held(world, "bob")
        world.forget_registry()
        assert not await world.places("ann")
        await is_held(world, "ann")
        await is_held(world, "bob")
        await world.post("ann", "found again")
        assert await texts(client, 1) == ["found again"]


async def test_sessions_end_with_their_connections_and_with_their_node(
    nodes: Nodes, world: TargetedWorld, key_file: Path
) -> None:
    async with nodes(world) as gateway:
        async with client_of(gateway, "ann", key_file), client_of(gateway, "ann", key_file):
            await is_held(world, "ann", 2)
        await is_held(world, "ann", 0)
        async with client_of(gateway, "ann", key_file):
            await is_held(world, "ann")
            gateway.stop()
            await gateway.ended.wait()
    assert not await world.places("ann")


async def test_message_without_time_to_live_comes_now_or_never(
    nodes: Nodes, world: TargetedWorld, key_file: Path
) -> None:
    async with nodes(world) as gateway:
        await world.post("ann", "never", ttl_ms=0)
        async with client_of(gateway, "ann", key_file) as client:
            await client.subscribe("@me")
            await is_held(world, "ann")
            await world.post("ann", "now", ttl_ms=0)
            await world.post("ann", "kept")
            assert await texts(client, 2) == ["now", "kept"]


async def test_what_was_trimmed_while_a_user_was_away_is_an_announced_gap(
    nodes: Nodes, topics: MemoryTopics, key_file: Path
) -> None:
    world = TargetedWorld(topics.broker, length=2)
    async with nodes(world) as gateway:
        sent = [await world.post("ann", n) for n in range(5)]
        async with client_of(gateway, "ann", key_file) as client:
            first = sent[0]
            since = {"epoch": world.epoch(), "offsets": {str(first.partition): first.offset}}
            reply = await client.subscribe("@me", since=since)
            assert (reply["recovered"], reply["reason"]) == ("gap", "retention")
            assert reply["gap"] == {str(first.partition): [first.offset, sent[3].offset]}
            assert await texts(client, 2) == [3, 4]


async def test_position_of_another_topic_is_told_as_recreated(
    nodes: Nodes, world: TargetedWorld, key_file: Path
) -> None:
    async with nodes(world) as gateway, client_of(gateway, "ann", key_file) as client:
        await world.post("ann", "here")
        since = {"epoch": "of-before", "offsets": {"0": 500}}
        reply = await client.subscribe("@me", since=since, snapshot=False)
        assert (reply["recovered"], reply["reason"]) == ("gap", "recreated")
        assert await texts(client, 1) == ["here"]


@pytest.mark.parametrize(
    ("options", "code"), [({"mode": "latest"}, "unsupported"), ({}, "already_subscribed")]
)
async def test_what_cannot_be_is_refused(
    nodes: Nodes, world: TargetedWorld, key_file: Path, options: dict[str, str], code: str
) -> None:
    async with nodes(world) as gateway, client_of(gateway, "ann", key_file) as client:
        if code == "already_subscribed":
            await client.subscribe("@me")
        await client.send("subscribe", channel="@me", **options)
        assert (await client.expect("error"))["code"] == code


async def test_anonymous_client_has_no_messages(nodes: Nodes, world: TargetedWorld) -> None:
    async with nodes(world) as gateway, gateway.connect() as client:
        await client.send("subscribe", channel="@me")
        fault = await client.expect("error")
        assert fault["code"] == "forbidden"
        assert "token" in fault["message"]


async def test_subscription_is_refused_in_time_while_the_mailboxes_are_away(
    nodes: Nodes, world: TargetedWorld, key_file: Path, often: None
) -> None:
    world.mailboxes.set_available(False)
    async with (
        nodes(world, limits={"live_timeout": SOON}) as gateway,
        client_of(gateway, "ann", key_file) as client,
    ):
        await client.send("subscribe", channel="@me")
        fault = await client.expect("error")
        assert (fault["code"], fault["retry_after_ms"]) == ("unavailable", 1000)
        world.mailboxes.set_available(True)
        await client.subscribe("@me")


async def test_who_is_subscribed_is_told_that_the_mailboxes_are_away_and_loses_nothing(
    nodes: Nodes, world: TargetedWorld, key_file: Path, often: None
) -> None:
    async with nodes(world) as gateway, client_of(gateway, "ann", key_file) as client:
        await client.subscribe("@me")
        await is_held(world, "ann")
        await world.post("ann", "lost on the way", to=())
        world.mailboxes.set_available(False)
        gateway.node.targeted.mail.look()  # type: ignore[union-attr]
        assert (await client.expect("status"))["state"] == "stale"
        world.mailboxes.set_available(True)
        assert (await client.expect("status"))["state"] == "live"
        assert await texts(client, 1) == ["lost on the way"]


async def test_paused_subscription_gets_what_came_when_it_goes_on(
    nodes: Nodes, world: TargetedWorld, key_file: Path
) -> None:
    async with nodes(world) as gateway, client_of(gateway, "ann", key_file) as client:
        sub = (await client.subscribe("@me"))["sub"]
        await is_held(world, "ann")
        await client.send("update_subscription", sub=sub, paused=True)
        await client.expect("subscribed")
        await world.post("ann", "meanwhile")
        await eventually(lambda: letters(gateway, "inbox") + letters(gateway, "mailbox") == 0)
        await client.send("update_subscription", sub=sub, paused=False)
        await client.expect("subscribed")
        assert await texts(client, 1) == ["meanwhile"]


async def test_unsubscribed_client_gets_nothing_more_and_may_come_back(
    nodes: Nodes, world: TargetedWorld, key_file: Path
) -> None:
    async with nodes(world) as gateway, client_of(gateway, "ann", key_file) as client:
        sub = (await client.subscribe("@me"))["sub"]
        await is_held(world, "ann")
        await client.send("unsubscribe", sub=sub)
        assert (await client.expect("unsubscribed"))["code"] == "requested"
        await world.post("ann", "unheard")
        await eventually(lambda: letters(gateway, "nobody") == 1)
        await client.subscribe("@me")
        assert await texts(client, 1) == ["unheard"]


async def test_token_of_another_user_ends_the_connection_and_its_channel(
    nodes: Nodes, world: TargetedWorld, key_file: Path
) -> None:
    async with nodes(world) as gateway, client_of(gateway, "ann", key_file) as client:
        await client.subscribe("@me")
        await is_held(world, "ann")
        await client.send("refresh", token=token_of("bob", key_file))
        assert (await client.closed())[0] == 3500
        await is_held(world, "ann", 0)
        await is_held(world, "bob", 0)


async def test_oldest_connection_of_a_user_goes_when_there_are_too_many(
    nodes: Nodes, world: TargetedWorld, key_file: Path
) -> None:
    async with nodes(world) as gateway, contextlib.AsyncExitStack() as stack:
        clients: list[FrameClient] = []
        for count in range(1, 18):
            clients.append(await stack.enter_async_context(client_of(gateway, "ann", key_file)))
            await is_held(world, "ann", min(count, 16))
        assert (await clients[0].closed())[0] == 3504
        await clients[1].subscribe("@me")


async def test_recreated_topic_begins_anew_for_who_is_connected(
    nodes: Nodes, topics: MemoryTopics, world: TargetedWorld, key_file: Path
) -> None:
    async with (
        nodes(world, topic_poll_interval=0.05) as gateway,
        client_of(gateway, "ann", key_file) as client,
    ):
        await client.subscribe("@me")
        await is_held(world, "ann")
        admin = topics.broker.admin()
        admin.delete(TARGETED)
        admin.create(TopicSpec(TARGETED, 3, {}))
        assert (await client.expect("gap"))["reason"] == "recreated"
        await world.post("ann", "under the new one")
        assert await texts(client, 1) == ["under the new one"]


@contextlib.asynccontextmanager
async def internal_port(gateway: Gateway) -> AsyncIterator[httpx.AsyncClient]:
    transport = httpx.ASGITransport(create_internal_app(gateway.app))
    async with httpx.AsyncClient(transport=transport, base_url="http://internal") as client:
        yield client


async def test_push_tells_of_each_connection_what_became_of_it(
    nodes: Nodes, world: TargetedWorld, key_file: Path
) -> None:
    async with (
        nodes(world) as gateway,
        client_of(gateway, "ann", key_file) as client,
        client_of(gateway, "ann", key_file),
        internal_port(gateway) as internal,
    ):
        await client.subscribe("@me")
        (place,) = await is_held(world, "ann", 2)
        body = {
            "user": "ann",
            "id": "p1",
            "epoch": place.epoch,
            "connections": [*place.connections, "gone"],
            "ts_ms": 5,
            "data": {"n": 1.0},
        }
        answer = (await internal.post("/internal/push", json=body)).raise_for_status().json()
        assert sorted(answer["outcomes"].values()) == ["delivered", "offline", "offline"]
        assert answer["outcomes"]["gone"] == "offline"
        batch = await client.expect("updates")
        assert batch["position"]["offsets"] == {}
        (event,) = batch["events"]
        assert (event["id"], event["data"], event["offset"][1]) == ("p1", {"n": 1.0}, -1)
        stale = await internal.post("/internal/push", json=body | {"epoch": "0" * 32})
        assert stale.status_code == 409
        for spoilt in (body | {"connections": 5}, {"user": "ann"}):
            assert (await internal.post("/internal/push", json=spoilt)).status_code == 422


async def test_operator_may_close_a_users_connections(
    nodes: Nodes, world: TargetedWorld, key_file: Path
) -> None:
    async with (
        nodes(world) as gateway,
        client_of(gateway, "ann/1", key_file) as client,
        internal_port(gateway) as internal,
    ):
        await is_held(world, "ann/1")
        answer = await internal.post("/internal/users/ann%2F1/disconnect")
        assert answer.json() == {"connections": 1}
        assert (await client.closed())[0] == 3503
        await is_held(world, "ann/1", 0)


async def test_internal_port_says_that_there_are_no_messages_to_users(gateway: Gateway) -> None:
    async with internal_port(gateway) as internal:
        answer = await internal.post("/internal/users/ann/disconnect")
        assert answer.status_code == 503


async def test_who_had_messages_of_a_mailbox_that_is_lost_is_told_once(
    nodes: Nodes, world: TargetedWorld, key_file: Path
) -> None:
    async with nodes(world) as gateway:
        letter = await world.post("ann", "before", to=())
        async with client_of(gateway, "ann", key_file) as client:
            await client.subscribe("@me")
            since = (await client.expect("updates"))["position"]
    world.forget_mailboxes()
    place = str(letter.partition)
    async with nodes(world) as gateway:
        async with client_of(gateway, "ann", key_file) as client:
            answer = await client.subscribe("@me", since=since)
            assert (answer["recovered"], answer["reason"]) == ("gap", "truncated")
            assert answer["gap"] == {place: [letter.offset + 1, 0]}
            assert answer["position"]["offsets"] == {place: 0}
        async with client_of(gateway, "ann", key_file) as client:
            answer = await client.subscribe("@me", since=answer["position"])
            assert answer["recovered"] == "exact"
            await is_held(world, "ann")
            await world.post("ann", "after")
            assert await texts(client, 1) == ["after"]


async def test_who_had_only_messages_that_nobody_keeps_is_told_of_no_loss(
    nodes: Nodes, world: TargetedWorld, key_file: Path
) -> None:
    async with nodes(world) as gateway:
        async with client_of(gateway, "ann", key_file) as client:
            since = (await client.subscribe("@me"))["position"]
            await is_held(world, "ann")
            await world.post("ann", "now", ttl_ms=0)
            told = await client.expect("updates")
            assert [event["data"] for event in told["events"]] == ["now"]
            assert told["position"]["offsets"] == {}
        async with client_of(gateway, "ann", key_file) as client:
            assert (await client.subscribe("@me", since=since))["recovered"] == "exact"
