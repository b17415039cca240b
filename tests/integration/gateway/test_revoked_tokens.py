"""Tokens that are revoked: the connections that they opened end, and they open no other."""

import asyncio
import contextlib
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import httpx
import pytest
import websockets

from harness.gateway import FrameClient, Gateway, MemoryTopics, running_gateway, write_streams
from harness.targeted import TargetedWorld
from harness.waiting import eventually
from integration.gateway.conftest import STREAMS
from tidewire.identity.issuing import issue_token
from tidewire.identity.keys import ensure_key
from tidewire.identity.rights import Action
from tidewire.kafka.memory import MemoryBroker
from tidewire.kafka.records import NewRecord, TopicSpec
from tidewire.revocation.presented import presented_token
from tidewire.revocation.records import (
    REVOCATIONS,
    Kind,
    Revocation,
    Subject,
    revocation_record,
)
from tidewire_gateway import revoking
from tidewire_gateway.app import Clients
from tidewire_gateway.internal_app import create_internal_app

FOREVER = Revocation(4e9)
ANN = Subject(Kind.USER, "ann")
REVOKED = (3503, "the token was revoked")


class Site:
    """Nodes that check tokens, over one broker in memory."""

    def __init__(self, topics: MemoryTopics, folder: Path) -> None:
        self.topics = topics
        self.broker: MemoryBroker = topics.broker
        self._streams = write_streams(folder, STREAMS)
        self._key_file = folder / "token.key"
        self._key = ensure_key(self._key_file)

    def make_topic(self) -> None:
        self.broker.create(TopicSpec(REVOCATIONS, 1, {}))

    def token(self, user: str = "ann", ttl: float = 600) -> str:
        return issue_token(self._key, user, {"**": [Action.SUBSCRIBE]}, ttl=ttl)

    def revoke(self, *subjects: Subject, revocation: Revocation | None = FOREVER) -> None:
        for subject in subjects:
            self.broker.append(revocation_record(REVOCATIONS, subject, revocation))

    @asynccontextmanager
    async def node(self, **options: Any) -> AsyncIterator[Gateway]:
        clients = Clients(self.broker.reader, self.broker.admin, options.pop("targeted", None))
        options = {"topic_poll_interval": 0.05, "token_key_file": self._key_file, **options}
        async with running_gateway(self._streams, clients, **options) as gateway:
            yield gateway


@pytest.fixture
def site(topics: MemoryTopics, tmp_path: Path) -> Site:
    site = Site(topics, tmp_path)
    site.make_topic()
    return site


def token_id(token: str) -> Subject:
    return Subject(Kind.TOKEN, presented_token(token).token_id)


def metric(gateway: Gateway, name: str) -> float:
    exposed: str = gateway.app.state.instruments.metrics.render()[0].decode()
    return float(
        next(line for line in exposed.splitlines() if line.startswith(f"{name} ")).split()[1]
    )


async def refusal(gateway: Gateway, token: str) -> int | None:
    """The code that a connection with this token is closed with."""
    async with gateway.connect(hello=False) as client:
        await client.send("hello", client="test/1", token=token)
        return (await client.closed())[0]


async def test_connections_on_every_node_are_closed_and_stay_out(site: Site) -> None:
    token = site.token()
    async with (
        site.node(node="node-1") as first,
        site.node(node="node-2") as second,
        first.connect(token=token) as one,
        second.connect(token=token) as two,
        second.connect(token=site.token("bob")) as other,
        second.connect() as anonymous,
    ):
        for client in (one, two, other, anonymous):
            await client.subscribe("flights")
            await client.expect("snapshot")
        site.revoke(ANN)
        assert await one.closed() == REVOKED
        assert await two.closed() == REVOKED
        await site.topics.publish("flights", "JFK/1", {"n": 1})
        for client in (other, anonymous):
            assert len((await client.expect("updates"))["events"]) == 1
        for gateway in (first, second):
            assert await refusal(gateway, token) == 3500
        assert metric(second, "tidewire_revocation_closes_total") == 1
        assert metric(second, "tidewire_revocations") == 1


async def test_nothing_is_delivered_to_who_is_being_closed(site: Site) -> None:
    async with site.node() as gateway, gateway.connect(token=site.token()) as client:
        await client.subscribe("flights", mode="every")
        site.revoke(ANN)
        await eventually(lambda: metric(gateway, "tidewire_revocation_closes_total") == 1)
        await site.topics.publish("flights", "JFK/1", {"n": 1})
        await eventually(lambda: metric(gateway, "tidewire_events_consumed_total") == 1)
        assert await frames_until_closed(client) == []


async def test_one_token_is_revoked_and_the_users_others_are_not(site: Site) -> None:
    lost, kept = site.token(), site.token()
    async with (
        site.node() as gateway,
        gateway.connect(token=lost) as phone,
        gateway.connect(token=kept) as laptop,
    ):
        site.revoke(token_id(lost))
        assert await phone.closed() == REVOKED
        await laptop.subscribe("secret/a")
        assert await refusal(gateway, lost) == 3500


async def test_token_that_was_issued_later_is_good(site: Site) -> None:
    site.revoke(ANN, revocation=Revocation(1000.0))
    async with site.node() as gateway, gateway.connect(token=site.token()) as client:
        await client.subscribe("secret/a")


async def test_revoked_token_is_refused_by_a_node_that_starts_afterwards(site: Site) -> None:
    """Also where the node had let it in before it was started anew."""
    token = site.token()
    async with site.node() as gateway, gateway.connect(token=token):
        pass
    site.revoke(token_id(token))
    async with site.node() as gateway:
        assert await refusal(gateway, token) == 3500


async def test_token_that_is_known_already_is_refused_once_it_is_revoked(site: Site) -> None:
    token = site.token()
    async with site.node() as gateway:
        async with gateway.connect(token=token):
            site.revoke(ANN)
            await eventually(lambda: metric(gateway, "tidewire_revocations") == 1)
        assert await refusal(gateway, token) == 3500


async def test_revoked_token_does_not_refresh_a_connection(site: Site) -> None:
    revoked = site.token()
    site.revoke(token_id(revoked))
    async with site.node() as gateway, gateway.connect(token=site.token()) as client:
        await client.send("refresh", token=revoked)
        assert (await client.closed())[0] == 3500


async def test_connection_that_has_another_token_by_now_stays(site: Site) -> None:
    first = site.token()
    async with site.node() as gateway, gateway.connect(token=first) as client:
        await client.send("refresh", token=site.token())
        await client.expect("refreshed")
        site.revoke(token_id(first))
        await eventually(lambda: metric(gateway, "tidewire_revocations") == 1)
        assert await refusal(gateway, first) == 3500
        await client.subscribe("secret/a")
        assert metric(gateway, "tidewire_revocation_closes_total") == 0


async def test_token_whose_revocation_was_lifted_is_good_again(site: Site) -> None:
    token = site.token()
    site.revoke(ANN)
    async with site.node() as gateway:
        assert await refusal(gateway, token) == 3500
        site.revoke(ANN, revocation=None)
        await eventually(lambda: metric(gateway, "tidewire_revocations") == 0)
        async with gateway.connect(token=token) as client:
            await client.subscribe("secret/a")


async def test_record_that_is_no_revocation_closes_nobody(site: Site) -> None:
    site.broker.append(NewRecord(REVOCATIONS, 0, b"user/ann", b"poison"))
    site.revoke(Subject(Kind.USER, "bob"))
    async with site.node() as gateway, gateway.connect(token=site.token()) as client:
        await client.subscribe("secret/a")
        assert await refusal(gateway, site.token("bob")) == 3500
        counted = 'tidewire_revocation_records_total{outcome="skipped"} 1.0'
        exposed, _ = gateway.app.state.instruments.metrics.render()
        assert counted in exposed.decode()


async def test_channel_is_not_read_over_http_with_a_revoked_token(site: Site) -> None:
    token = site.token()
    async with site.node() as gateway, httpx.AsyncClient(base_url=gateway.http) as http:
        headers = {"Authorization": f"Bearer {token}"}
        good = await http.get("/v1/channels/secret", headers=headers)
        assert good.status_code == 200
        site.revoke(ANN)
        await eventually(lambda: metric(gateway, "tidewire_revocations") == 1)
        answer = await http.get("/v1/channels/secret", headers=headers)
        assert (answer.status_code, answer.json()["detail"]) == (401, "the token was revoked")


async def test_mailbox_is_not_handed_to_a_revoked_token(site: Site) -> None:
    world = TargetedWorld(site.broker)
    async with site.node(targeted=lambda _url: world.parts()) as gateway:
        token = site.token()
        async with gateway.connect(token=token) as client:
            await client.subscribe("@me")
            site.revoke(ANN)
            assert await client.closed() == REVOKED
        await eventually(lambda: has_left(world, "ann"))
        await world.post("ann", "not for a thief")
        async with gateway.connect(hello=False) as client:
            await client.send("hello", client="test/1", token=token)
            await client.send("subscribe", channel="@me")
            assert await frames_until_closed(client) == []


async def test_all_of_many_connections_are_closed(
    site: Site, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(revoking, "_SLICE", 3)
    async with site.node() as gateway:
        async with asyncio.TaskGroup() as tasks:
            ended = [tasks.create_task(stay(gateway, site.token())) for _ in range(20)]
            await eventually(lambda: len(gateway.node.connections) == 20)
            await eventually(lambda: gateway.node.handshakes == 0)
            site.revoke(ANN)
        assert [task.result() for task in ended] == [REVOKED] * 20
        assert metric(gateway, "tidewire_revocation_closes_total") == 20


# Starting, and brokers that are away


async def test_node_listens_once_it_knows_what_is_revoked(site: Site) -> None:
    token = site.token()
    site.revoke(token_id(token))
    site.broker.set_available(False)
    starting = asyncio.create_task(refused_by_new_node(site, token))
    with pytest.raises(TimeoutError):
        async with asyncio.timeout(0.5):  # the proof that something does not happen
            await asyncio.shield(starting)
    site.broker.set_available(True)
    assert await starting == 3500


async def test_missing_topic_keeps_nobody_out_and_is_taken_up_when_it_comes(
    topics: MemoryTopics, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    site = Site(topics, tmp_path)
    token = site.token()
    async with site.node() as gateway, gateway.connect(token=token) as client:
        assert "tidewire topics apply" in caplog.text
        await client.subscribe("secret/a")
        site.make_topic()
        site.revoke(ANN)
        assert await client.closed() == REVOKED


async def test_node_that_has_started_stays_ready_while_the_broker_is_away(
    site: Site, caplog: pytest.LogCaptureFixture
) -> None:
    site.revoke(Subject(Kind.USER, "bob"))
    async with site.node() as gateway, health_of(gateway) as health:
        site.broker.set_available(False)
        await eventually(lambda: "revocations cannot be read" in caplog.text)
        for path in ("/readyz", "/startupz"):
            assert (await health.get(path)).status_code == 200
        assert await refusal(gateway, site.token("bob")) == 3500
        async with gateway.connect(token=site.token()) as client:
            site.broker.set_available(True)
            site.revoke(ANN)
            assert await client.closed() == REVOKED


async def test_node_that_takes_no_tokens_waits_for_no_revocations(site: Site) -> None:
    site.broker.set_available(False)
    async with site.node(token_key_file=None) as gateway, gateway.connect() as client:
        assert client.connection.close_code is None


def health_of(gateway: Gateway) -> httpx.AsyncClient:
    app = create_internal_app(gateway.app)
    return httpx.AsyncClient(transport=httpx.ASGITransport(app=app), base_url="http://internal")


async def refused_by_new_node(site: Site, token: str) -> int | None:
    async with site.node() as gateway:
        return await refusal(gateway, token)


async def stay(gateway: Gateway, token: str) -> tuple[int | None, str | None]:
    async with gateway.connect(token=token) as client:
        return await client.closed()


async def has_left(world: TargetedWorld, user: str) -> bool:
    return not any(place.connections for place in await world.places(user))


async def frames_until_closed(client: FrameClient) -> list[Any]:
    """What still comes; the close is not among it."""
    frames: list[Any] = []
    async with asyncio.timeout(10):
        with contextlib.suppress(websockets.ConnectionClosed):
            while True:
                frames.append(await client.connection.recv())
    return frames
