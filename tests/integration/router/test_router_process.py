"""Routers as processes, over real Kafka, Redis and registry."""

import asyncio
import logging
import os
import signal
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from statistics import quantiles

import httpx
import pytest
from redis.asyncio import Redis

from harness.kafka_topics import KafkaTopics
from harness.redis import RedisProcess, redis_process
from harness.registry import registry_process
from harness.waiting import eventually, wait_until
from integration.router.crowd import Inboxes, Pace, announced
from integration.router.parts import targeted
from integration.router.processes import refusal, router_process
from tidewire.dev.brokers import embedded_broker
from tidewire.kafka.confluent_clients import ConfluentAdmin, ConfluentWriter
from tidewire.kafka.settings import KafkaSettings
from tidewire.targeting.mailboxes import MailboxLimits
from tidewire.targeting.mailboxes_redis import RedisMailboxes

pytestmark = pytest.mark.timeout(180)

PARTITIONS, SLOTS = 12, 4
_log = logging.getLogger(__name__)


@dataclass
class Scene:
    """Topics, a Redis and a registry of one test."""

    kafka: KafkaSettings
    redis_url: str
    registry_url: str
    targeted: str
    inbox: str
    dlq: str
    group: str

    def variables(self, **more: str) -> dict[str, str]:
        return {
            "KAFKA__BOOTSTRAP": self.kafka.bootstrap,
            "REDIS_URL": self.redis_url,
            "REGISTRY_URL": self.registry_url,
            "TARGETED_TOPIC": self.targeted,
            "INBOX_TOPIC": self.inbox,
            "DLQ_TOPIC": self.dlq,
            "GROUP_ID": self.group,
            "SESSION_TIMEOUT": "6",
            "WATCH_INTERVAL": "0.5",
            **more,
        }

    def mailboxes(self) -> RedisMailboxes:
        state = ConfluentAdmin(self.kafka).describe([self.targeted])[self.targeted]
        client = Redis.from_url(self.redis_url)
        return RedisMailboxes(
            client, state.topic_id or "0", MailboxLimits(), lambda: time.time_ns() // 1_000_000
        )

    def publish(self, *users: str) -> None:
        writer = ConfluentWriter(self.kafka)
        for number, user in enumerate(users):
            writer.offer(targeted(user, number, PARTITIONS, topic=self.targeted))
        assert writer.flush(20.0) == 0
        writer.close(20.0)


@pytest.fixture(scope="module")
def redis(tmp_path_factory: pytest.TempPathFactory) -> Iterator[RedisProcess]:
    with redis_process(tmp_path_factory.mktemp("redis")) as process:
        yield process


@pytest.fixture(scope="module")
def stores(
    redis: RedisProcess, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[tuple[str, str]]:
    """The URLs of a Redis and of a registry over it, whose leases outlast a test."""
    with registry_process(tmp_path_factory.mktemp("registry"), redis.url, LEASE="600") as registry:
        yield redis.url, registry.url


def make_scene(bootstrap: str, stores: tuple[str, str], unique_name: Callable[[str], str]) -> Scene:
    scene = Scene(
        KafkaSettings(bootstrap=bootstrap),
        *stores,
        *(unique_name(name) for name in ("targeted", "inbox", "dlq", "group")),
    )
    topics = KafkaTopics(bootstrap)
    topics.create(scene.targeted, PARTITIONS)
    topics.create(scene.inbox, SLOTS)
    topics.create(scene.dlq, 1)
    return scene


@pytest.fixture
def scene(real_kafka: str, stores: tuple[str, str], unique_name: Callable[[str], str]) -> Scene:
    return make_scene(real_kafka, stores, unique_name)


def test_settings_that_cannot_be_used_are_named(tmp_path: Path) -> None:
    assert "TIDEWIRE_ROUTER__LOOKUP_TTL" in refusal(2, LOOKUP_TTL="0")
    assert "TIDEWIRE_ROUTER__REDIS_URL" in refusal(2, REDIS_ULR="redis://x")
    assert "Redis URL" in refusal(2, REDIS_URL="http://x")


async def test_over_the_embedded_broker_a_killed_router_goes_on_under_its_instance_id(
    embedded_kafka: str, stores: tuple[str, str], unique_name: Callable[[str], str]
) -> None:
    """That broker lets nobody else join while it waits for a member that was killed."""
    scene = make_scene(embedded_kafka, stores, unique_name)
    variables = scene.variables(EPOCH="first", INSTANCE_ID="router-0")
    inboxes = Inboxes(scene.inbox)
    async with announced(scene.registry_url, ["ann"], 1) as crowd:
        reading = asyncio.create_task(inboxes.read(scene.kafka, SLOTS))
        with router_process(**variables) as router:
            scene.publish("ann")
            await eventually(lambda: inboxes.ids("ann", crowd.leases[0]) == ["ann:0"])
            await eventually(lambda: router.metric("router_lag_records") == 0)
            router.kill()
        scene.publish("bob", "ann")
        with router_process(**variables):
            await eventually(
                lambda: inboxes.ids("ann", crowd.leases[0]) == ["ann:0", "ann:1"], within=40.0
            )
        reading.cancel()


async def test_a_router_says_how_it_is_and_drains_on_sigterm(scene: Scene) -> None:
    inboxes = Inboxes(scene.inbox)
    async with announced(scene.registry_url, ["ann", "bob"], 2) as crowd:
        reading = asyncio.create_task(inboxes.read(scene.kafka, SLOTS))
        with router_process(**scene.variables(INSTANCE_ID="router-0")) as router:
            async with httpx.AsyncClient(base_url=router.url) as client:
                assert (await client.get("/healthz")).status_code == 200
                assert (await client.get("/readyz")).status_code == 200
                assert (await client.get("/openapi.json")).json()["info"]["title"] == (
                    "Tidewire router"
                )
            await asyncio.to_thread(scene.publish, "ann", "bob", "cid")
            await eventually(lambda: inboxes.count == 3, within=20.0)
            assert inboxes.ids("bob", crowd.leases[1]) == ["bob:1"]
            await eventually(
                lambda: router.metric('router_messages_total{outcome="mailbox_only"}') == 1
            )
            await eventually(lambda: router.metric("router_partitions") == PARTITIONS)
            assert await asyncio.to_thread(router.terminate) == 0

        with router_process(**scene.variables(INSTANCE_ID="router-1")) as router:
            await eventually(lambda: router.metric("router_partitions") == PARTITIONS, within=5.0)
            await eventually(lambda: router.metric("router_lag_records") == 0)
            await asyncio.to_thread(scene.publish, "ann")
            await eventually(lambda: inboxes.count == 5, within=20.0)
            assert router.metric('router_messages_total{outcome="routed"}') == 1
        reading.cancel()


def test_a_topic_that_was_given_more_partitions_is_refused(scene: Scene) -> None:
    with router_process(**scene.variables()) as router:
        KafkaTopics(scene.kafka.bootstrap).grow(scene.targeted, PARTITIONS + 1)
        wait_until(lambda: router.process.poll() is not None, within=20.0, what="its end")
        assert router.process.returncode == 1

    said = refusal(2, **scene.variables())

    assert f"has {PARTITIONS + 1} partitions" in said
    assert "make it anew" in said


async def test_while_redis_is_silent_messages_wait_and_then_find_their_way(
    scene: Scene, redis: RedisProcess
) -> None:
    users = [f"user-{number}" for number in range(30)]
    inboxes = Inboxes(scene.inbox)
    async with announced(scene.registry_url, users, 3) as crowd:
        reading = asyncio.create_task(inboxes.read(scene.kafka, SLOTS))
        with router_process(**scene.variables()) as router:
            await asyncio.to_thread(scene.publish, *users)
            await eventually(lambda: len(inboxes.first_seen) == 30, within=20.0)
            with redis.silenced():
                await asyncio.to_thread(scene.publish, "user-0", *users)
                await eventually(lambda: router.metric('router_failures_total{of="store"}') >= 1)
                assert len(inboxes.first_seen) == 30
                assert router.metric("router_lag_records") > 0
            await eventually(lambda: len(inboxes.first_seen) >= 60, within=30.0)
            assert inboxes.ids("user-1", crowd.leases[1])[-1] == "user-1:2"
        reading.cancel()


async def test_a_message_counts_as_kept_when_as_many_replicas_have_it_as_were_asked_for(
    scene: Scene, tmp_path: Path
) -> None:
    with redis_process(tmp_path / "primary", "--repl-diskless-sync-delay", "0") as primary:
        variables = scene.variables(REDIS_URL=primary.url, MAILBOX_REPLICAS="1")
        with router_process(**variables) as router:
            await asyncio.to_thread(scene.publish, "ann")
            await eventually(
                lambda: router.metric('router_failures_total{of="store"}') >= 1, within=20.0
            )
            await eventually(lambda: router.metric("router_lag_records") == 1)
            options = ["--replicaof", f"127.0.0.1 {primary.port}"]
            with redis_process(tmp_path / "replica", *options) as replica:
                await eventually(
                    lambda: router.metric('router_messages_total{outcome="mailbox_only"}') == 1,
                    within=30.0,
                )
                assert len(replica.tell("KEYS", "tidewire:mailbox:*:meta").splitlines()) == 1


def test_a_router_ends_in_time_while_kafka_is_silent(
    tmp_path: Path, stores: tuple[str, str], unique_name: Callable[[str], str]
) -> None:
    with embedded_broker(tmp_path) as broker:
        scene = make_scene(broker.bootstrap, stores, unique_name)
        with router_process(**scene.variables()) as router:
            wait_until(lambda: router.metric("router_partitions") == PARTITIONS, within=20.0)
            os.kill(broker.pid, signal.SIGSTOP)
            try:
                assert router.terminate() == 0
            finally:
                os.kill(broker.pid, signal.SIGCONT)


async def test_nothing_is_lost_when_one_of_two_routers_is_killed_under_load(
    scene: Scene,
) -> None:
    users = [f"user-{number}" for number in range(500)]
    inboxes = Inboxes(scene.inbox)
    async with announced(scene.registry_url, users, 3) as crowd:
        reading = asyncio.create_task(inboxes.read(scene.kafka, SLOTS))
        pace = Pace(scene.kafka, scene.targeted, PARTITIONS)
        with (
            router_process(**scene.variables(INSTANCE_ID="router-0")) as killed,
            router_process(**scene.variables(INSTANCE_ID="router-1")) as other,
        ):
            await eventually(
                lambda: other.metric("router_partitions") == PARTITIONS / 2, within=30.0
            )
            await pace.publish(users, rate=2000, seconds=3.0)
            before = list(inboxes.first_seen.values())
            await asyncio.to_thread(killed.kill)
            await pace.publish(users, rate=2000, seconds=2.0)
            await pace.close()
            await eventually(lambda: len(inboxes.first_seen) == pace.count, within=60.0)
            expected = sum(
                len(ids) * len(crowd.leases_by_user[user]) for user, ids in pace.ids_by_user.items()
            )
            await eventually(lambda: inboxes.count >= expected)
            assert await asyncio.to_thread(other.terminate) == 0
        reading.cancel()

    mailboxes = scene.mailboxes()
    for user, ids in pace.ids_by_user.items():
        for lease in crowd.leases_by_user[user]:
            assert inboxes.ids(user, lease) == ids
        page = await mailboxes.read(user, -1, limit=1000)
        assert [letter.id for letter in page.letters] == ids
    assert {(user, epoch) for user, epoch in inboxes.letters} == {
        (user, lease.epoch) for user in users for lease in crowd.leases_by_user[user]
    }
    await mailboxes.close()
    percentiles = quantiles(before, n=100)
    _log.info(
        "%d messages, %d inbox records came twice, published to inbox in ms: p50 %.1f, p99 %.1f",
        pace.count,
        inboxes.count - expected,
        percentiles[49],
        percentiles[98],
    )
