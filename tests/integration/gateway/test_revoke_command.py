"""`tidewire revoke` over real brokers, and what nodes make of it."""

import asyncio
import contextlib
import json
import subprocess
import sys
from collections.abc import AsyncIterator, Callable
from pathlib import Path
from typing import Any

import pytest

from harness.gateway import FrameClient, Gateway, running_gateway, write_streams
from harness.ports import LOOPBACK, free_port
from tidewire.identity.issuing import issue_token
from tidewire.identity.keys import ensure_key
from tidewire.kafka.confluent_clients import ConfluentAdmin, ConfluentReader
from tidewire.kafka.records import TopicSpec
from tidewire.kafka.settings import KafkaSettings
from tidewire.revocation.presented import presented_token
from tidewire_gateway.app import Clients

REVOKED = (3503, "the token was revoked")


class Site:
    """A topic of revocations on a broker, the command that writes it, and nodes that read it."""

    def __init__(self, folder: Path, bootstrap: str, topic: str) -> None:
        self.topic = topic
        self._folder = folder
        self._bootstrap = bootstrap
        self._key_file = folder / "token.key"
        self._key = ensure_key(self._key_file)
        self._streams = write_streams(folder, {"flights": {"topic": f"{topic}-flights"}})

    def make_topic(self) -> None:
        admin = ConfluentAdmin(KafkaSettings(bootstrap=self._bootstrap))
        admin.create(TopicSpec(self.topic, 1, {"cleanup.policy": "compact"}))
        admin.close()

    def token(self, user: str = "ann", ttl: float = 600) -> str:
        return issue_token(self._key, user, {}, ttl=ttl)

    async def revoke(
        self, *arguments: str, text: str = "", kafka: str = ""
    ) -> subprocess.CompletedProcess[str]:
        broker = ("--kafka", kafka or self._bootstrap, "--topic", self.topic)
        command = [sys.executable, "-m", "tidewire.cli", "revoke", *arguments, *broker]
        return await asyncio.to_thread(
            subprocess.run,
            command,
            input=text,
            cwd=self._folder,
            capture_output=True,
            text=True,
            timeout=60,
            check=False,
        )

    async def revoked(self) -> list[dict[str, Any]]:
        listed = await self.revoke("--list", "--json")
        assert listed.returncode == 0, listed.stderr
        return [json.loads(line) for line in listed.stdout.splitlines()]

    @contextlib.asynccontextmanager
    async def node(self, name: str) -> AsyncIterator[Gateway]:
        kafka = KafkaSettings(bootstrap=self._bootstrap)
        clients = Clients(lambda: ConfluentReader(kafka), lambda: ConfluentAdmin(kafka))
        async with running_gateway(
            self._streams,
            clients,
            node=name,
            token_key_file=self._key_file,
            revocations_topic=self.topic,
            topic_poll_interval=0.1,
        ) as gateway:
            yield gateway


@pytest.fixture(params=["embedded_kafka", "real_kafka"])
def site(request: pytest.FixtureRequest, tmp_path: Path, unique_name: Callable[[str], str]) -> Site:
    """Without its topic."""
    return Site(tmp_path, request.getfixturevalue(request.param), unique_name("revocations"))


async def refusal(gateway: Gateway, token: str) -> int | None:
    async with gateway.connect(hello=False) as client:
        await client.send("hello", client="test/1", token=token)
        return (await client.closed())[0]


async def closed(client: FrameClient) -> tuple[int | None, str | None]:
    async with asyncio.timeout(20):
        await client.connection.wait_closed()
    return client.connection.close_code, client.connection.close_reason


async def test_user_is_shut_out_of_every_node_until_it_is_lifted(site: Site) -> None:
    site.make_topic()
    token = site.token()
    async with site.node("node-1") as first, site.node("node-2") as second:
        async with (
            first.connect(token=token) as one,
            second.connect(token=token) as two,
            second.connect(token=site.token("bob")) as other,
        ):
            told = await site.revoke("--user", "ann", "--reason", "left")
            assert told.returncode == 0, told.stderr
            assert told.stdout.startswith("tokens of ann: revoked, issued before ")
            assert await closed(one) == REVOKED
            assert await closed(two) == REVOKED
            await other.send("subscribe", channel="@me")
            assert (await other.expect("error"))["code"]
        assert await refusal(first, token) == 3500
    async with site.node("node-1") as again:
        assert await refusal(again, token) == 3500
        (revoked,) = await site.revoked()
        assert (revoked["user"], revoked["reason"], revoked["until"]) == ("ann", "left", None)
        lifted = await site.revoke("--user", "ann", "--lift")
        assert (lifted.returncode, lifted.stdout) == (0, "tokens of ann: no longer revoked\n")
        assert await site.revoked() == []
    async with site.node("node-1") as at_last, at_last.connect(token=token):
        assert len(at_last.node.connections) == 1


async def test_token_from_stdin_is_revoked_and_not_shown(site: Site) -> None:
    site.make_topic()
    lost, kept = site.token(), site.token()
    presented = presented_token(lost)
    async with site.node("node-1") as gateway, gateway.connect(token=kept):
        told = await site.revoke("--token", "-", "--json", text=f"{lost}\n")
        assert told.returncode == 0, told.stderr
        assert lost not in told.stdout + told.stderr
        document = json.loads(told.stdout)
        assert document["token_id"] == presented.token_id
        assert document["until"] == presented.expires_at
        assert document["offset"] == 0
    async with site.node("node-1") as gateway, gateway.connect(token=kept):
        assert await refusal(gateway, lost) == 3500


async def test_topic_that_is_not_there_is_told_with_its_cure(site: Site) -> None:
    for arguments in (("--user", "ann"), ("--list",)):
        told = await site.revoke(*arguments)
        assert (told.returncode, told.stdout) == (2, "")
        assert "tidewire topics apply" in told.stderr
        assert len(told.stderr.splitlines()) == 1


async def test_node_takes_the_topic_up_when_it_is_made(site: Site) -> None:
    async with site.node("node-1") as gateway, gateway.connect(token=site.token()) as client:
        site.make_topic()
        assert (await site.revoke("--user", "ann")).returncode == 0
        assert await closed(client) == REVOKED


async def test_broker_that_is_away_is_told(tmp_path: Path) -> None:
    """Nobody may think that the token is revoked."""
    site = Site(tmp_path, f"{LOOPBACK}:{free_port()}", "revocations")
    told = await site.revoke("--user", "ann")
    assert (told.returncode, told.stdout) == (2, "")
    assert told.stderr.startswith("tidewire: ")
    assert len(told.stderr.splitlines()) == 1
