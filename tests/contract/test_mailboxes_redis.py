"""What mailboxes make of Redis: its keys, its scripts, its faults."""

import asyncio
import secrets
from collections.abc import AsyncIterator, Iterator
from pathlib import Path

import pytest
from redis.asyncio import Redis

from contract.mailbox_stores import TTL_MS, Clock, message, opened
from contract.redis_backends import embedded_redis_url, real_redis_url, redis_client, redis_url
from harness.faults import Faults, fault_proxy
from harness.ports import free_port
from harness.redis import RedisProcess, redis_process
from harness.waiting import eventually
from tidewire.targeting.errors import PartitionsChangedError, StoreUnavailableError
from tidewire.targeting.mailboxes import MailboxLimits
from tidewire.targeting.mailboxes_redis import META_TTL_MS, RedisMailboxes, claim_topic
from tidewire.targeting.redis_urls import connect

__all__ = ["embedded_redis_url", "real_redis_url", "redis_client", "redis_url"]  # fixtures

EPOCH = "q0Zt-epoch_"
STREAM = "tidewire:mailbox:{q0Zt-epoch_:ada}"


def mailboxes_of(client: Redis, *, length: int = 3) -> RedisMailboxes:
    return RedisMailboxes(client, EPOCH, MailboxLimits(length, TTL_MS), Clock())


async def test_a_mailbox_is_three_keys_that_expire(redis_client: Redis) -> None:
    mailboxes = mailboxes_of(redis_client)
    await mailboxes.append([message(7, collapse_key="k"), message(8)])

    assert sorted(await redis_client.keys()) == [
        STREAM.encode(),
        f"{STREAM}:keys".encode(),
        f"{STREAM}:meta".encode(),
    ]
    entries = await redis_client.xrange(STREAM)
    assert entries is not None
    assert [entry for entry, _ in entries] == [b"7-1", b"8-1"]
    for key, ttl_ms in [("", TTL_MS), (":keys", TTL_MS), (":meta", META_TTL_MS)]:
        assert ttl_ms - 20_000 < await redis_client.pttl(STREAM + key) <= ttl_ms


async def test_keys_that_collapse_are_remembered_no_longer_than_their_messages(
    redis_client: Redis,
) -> None:
    mailboxes = mailboxes_of(redis_client)
    await mailboxes.append([message(n, collapse_key=f"k{n}") for n in range(10)])
    assert await redis_client.hgetall(f"{STREAM}:keys") == {b"k7": b"7", b"k8": b"8", b"k9": b"9"}


async def test_a_message_that_is_not_kept_leaves_nothing_behind(redis_client: Redis) -> None:
    await mailboxes_of(redis_client).append([message(7, ttl_ms=0)])
    assert await redis_client.dbsize() == 0


async def test_a_mailbox_whose_last_message_has_expired_is_known_to_have_had_it(
    redis_client: Redis,
) -> None:
    mailboxes = mailboxes_of(redis_client)
    await mailboxes.append([message(7), message(8)])
    await redis_client.delete(STREAM)  # as its expiry does

    assert (await mailboxes.read("ada", -1))[1:] == (8, 8, True, 7)
    assert (await mailboxes.read("ada", 8))[1:] == (-1, 8, True, 7)
    assert list(await mailboxes.append([message(9)])) == [8]
    assert [x.offset for x in (await mailboxes.read("ada", -1)).letters] == [9]


async def test_of_a_mailbox_that_an_older_release_began_it_is_not_known_with_what(
    redis_client: Redis,
) -> None:
    mailboxes = mailboxes_of(redis_client)
    await mailboxes.append([message(7)])
    await redis_client.hdel(f"{STREAM}:meta", "first")
    await mailboxes.append([message(8)])
    assert (await mailboxes.read("ada", -1))[1:] == (-1, 8, True, None)


async def test_a_server_that_has_forgotten_the_script_is_told_it_again(
    redis_client: Redis,
) -> None:
    mailboxes = mailboxes_of(redis_client)
    users = [f"user-{n}" for n in range(20)]
    await mailboxes.append([message(1, user) for user in users])
    await redis_client.script_flush()
    assert list(await mailboxes.append([message(2, user) for user in users])) == [1] * 20


async def test_routers_that_append_the_same_at_once_get_the_same(redis_url: str) -> None:
    epoch = secrets.token_hex(8)
    routers = [
        RedisMailboxes(connect(redis_url), epoch, MailboxLimits(), Clock()) for _ in range(4)
    ]
    batch = [message(offset, f"user-{offset % 7}") for offset in range(70)]
    answers = await asyncio.gather(*(router.append(batch) for router in routers))
    expected = [None if offset < 7 else offset - 7 for offset in range(70)]
    assert [list(answer) for answer in answers] == [expected] * 4
    for router in routers:
        await router.close()


async def test_the_partition_count_of_a_topic_is_remembered(redis_client: Redis) -> None:
    await claim_topic(redis_client, "epoch-1", 12)
    await claim_topic(redis_client, "epoch-1", 12)
    await claim_topic(redis_client, "epoch-2", 24)
    with pytest.raises(PartitionsChangedError, match=r"24 partitions.*begun with 12.*anew"):
        await claim_topic(redis_client, "epoch-1", 24)
    await claim_topic(redis_client, "epoch-1", 12)


async def test_all_keys_of_a_user_live_in_one_slot_of_a_cluster(tmp_path: Path) -> None:
    options = ["--cluster-enabled", "yes", "--cluster-port", str(free_port())]
    with redis_process(tmp_path, *options) as redis:
        redis.tell("CLUSTER", "ADDSLOTSRANGE", "0", "16383")
        await eventually(
            lambda: "cluster_state:ok" in redis.tell("CLUSTER", "INFO"), what="the cluster"
        )
        async with opened(redis.url) as mailboxes:
            users = ["ada", "{bob}", "}{", "a}b{c", "{}", "👩‍🚀"]
            batch = [message(n, user, collapse_key="k") for n, user in enumerate(users)]
            assert list(await mailboxes.append(batch)) == [None] * len(users)
            for n, user in enumerate(users):
                assert (await mailboxes.read(user, -1)).last == n


@pytest.fixture
def redis(tmp_path: Path) -> Iterator[RedisProcess]:
    """A server of this test alone."""
    with redis_process(tmp_path) as process:
        yield process


@pytest.fixture
async def mailboxes(redis: RedisProcess) -> AsyncIterator[RedisMailboxes]:
    async with opened(redis.url) as mailboxes:
        await mailboxes.append([message(0)])
        yield mailboxes


async def fails(mailboxes: RedisMailboxes, cure: str) -> None:
    """Both calls raise within the time that a call may take."""
    async with asyncio.timeout(12):
        with pytest.raises(StoreUnavailableError, match=cure):
            await mailboxes.append([message(1)])
        with pytest.raises(StoreUnavailableError, match=cure):
            await mailboxes.read("ada", -1)


async def works_again(mailboxes: RedisMailboxes) -> None:
    async def appended() -> bool:
        try:
            await mailboxes.append([message(1)])
        except StoreUnavailableError:
            return False
        return (await mailboxes.read("ada", -1)).last == 1

    await eventually(appended, within=20.0, what="a call that succeeds")


async def test_a_server_that_is_gone_is_reported_and_used_again_when_it_is_back(
    redis: RedisProcess, mailboxes: RedisMailboxes
) -> None:
    redis.kill()
    await fails(mailboxes, "see that it runs")
    redis.on()
    await works_again(mailboxes)


async def test_a_server_that_says_nothing_holds_nobody_up(
    redis: RedisProcess, mailboxes: RedisMailboxes
) -> None:
    with redis.silenced():
        await fails(mailboxes, "see that it runs")
    await works_again(mailboxes)


async def test_more_callers_than_connections_are_all_told_of_a_server_that_says_nothing(
    redis: RedisProcess, mailboxes: RedisMailboxes
) -> None:
    with redis.silenced():
        async with asyncio.timeout(12):
            calls = (mailboxes.read(f"user-{n}", -1) for n in range(100))
            answers = await asyncio.gather(*calls, return_exceptions=True)
    assert {type(answer) for answer in answers} == {StoreUnavailableError}
    await works_again(mailboxes)


async def test_a_full_server_takes_nothing_and_says_what_it_needs(
    redis: RedisProcess, mailboxes: RedisMailboxes
) -> None:
    redis.tell("CONFIG", "SET", "maxmemory", "1")
    with pytest.raises(StoreUnavailableError, match="maxmemory"):
        await mailboxes.append([message(1)])
    assert (await mailboxes.read("ada", -1)).last == 0
    redis.tell("CONFIG", "SET", "maxmemory", "0")
    await works_again(mailboxes)


async def test_a_server_that_became_a_replica_takes_nothing_and_its_connections_are_left(
    redis: RedisProcess, mailboxes: RedisMailboxes, tmp_path: Path
) -> None:
    with redis_process(tmp_path / "primary") as primary:
        before = redis.tell("CLIENT", "LIST", "TYPE", "normal")
        redis.tell("REPLICAOF", "127.0.0.1", str(primary.port))
        with pytest.raises(StoreUnavailableError, match="name the primary"):
            await mailboxes.append([message(1)])
        addresses = {line.split()[1] for line in before.splitlines()}
        await eventually(
            lambda: (
                not any(
                    line.split()[1] in addresses
                    for line in redis.tell("CLIENT", "LIST", "TYPE", "normal").splitlines()
                )
            ),
            what="the end of the connections to what is no primary any more",
        )
        redis.tell("REPLICAOF", "NO", "ONE")
    await works_again(mailboxes)


async def test_a_wrong_password_is_told_without_being_repeated(redis: RedisProcess) -> None:
    redis.tell("CONFIG", "SET", "requirepass", "right")
    wrong = redis.url.replace("//", "//:hushhush@")
    async with opened(wrong) as mailboxes:
        with pytest.raises(StoreUnavailableError, match="password in its URL") as caught:
            await mailboxes.read("ada", -1)
    assert "hushhush" not in str(caught.value)


async def test_a_cancelled_call_leaves_no_answer_for_the_next(
    redis: RedisProcess, mailboxes: RedisMailboxes
) -> None:
    await mailboxes.append([message(5, "bob")])
    async with fault_proxy(redis.port) as proxy, opened(f"redis://127.0.0.1:{proxy.port}") as slow:
        await slow.read("bob", -1)
        asked = proxy.bytes_up
        proxy.down = Faults(is_black_hole=True)
        reading = asyncio.create_task(slow.read("bob", -1))
        await eventually(lambda: proxy.bytes_up > asked, what="the question")
        reading.cancel()
        await asyncio.gather(reading, return_exceptions=True)
        proxy.heal()
        assert (await slow.read("ada", -1)).last == 0
