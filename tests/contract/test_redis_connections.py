"""Every form of a Redis URL leads to a real server, and a sentinel's to the one that is the primary."""

from pathlib import Path

import pytest

from contract.mailbox_stores import message, opened
from harness.certificate import make_certificate
from harness.redis import redis_process, watched_redis
from harness.waiting import eventually
from tidewire.targeting.errors import StoreUnavailableError
from tidewire.targeting.redis_urls import connect


async def is_usable(url: str) -> bool:
    client = connect(url)
    try:
        return bool(await client.ping())
    finally:
        await client.aclose()


async def test_a_server_that_wants_a_user_and_a_password_is_entered(tmp_path: Path) -> None:
    with redis_process(tmp_path) as redis:
        redis.tell("ACL", "SETUSER", "tide", "on", ">s@c/ret", "~*", "+@all")
        redis.tell("CONFIG", "SET", "requirepass", "other")
        assert await is_usable(redis.url.replace("//", "//tide:s%40c%2Fret@") + "/3")


async def test_a_socket_file_is_reached(tmp_path: Path) -> None:
    path = tmp_path / "redis.sock"
    with redis_process(tmp_path, "--unixsocket", str(path)):
        assert await is_usable(f"unix://{path}")


async def test_a_server_with_a_certificate_is_trusted_by_its_authority_alone(
    tmp_path: Path,
) -> None:
    certificate = make_certificate(tmp_path)
    with redis_process(tmp_path / "redis", tls=certificate) as redis:
        url = redis.url.replace("redis:", "rediss:")
        assert await is_usable(f"{url}?ssl_ca_certs={certificate.certificate}")
        async with opened(url) as strangers:
            with pytest.raises(StoreUnavailableError, match="ertificate"):
                await strangers.read("ada", -1)


@pytest.mark.timeout(90)
async def test_mailboxes_move_to_the_server_that_the_sentinel_makes_the_primary(
    tmp_path: Path,
) -> None:
    with watched_redis(tmp_path) as redis:
        async with opened(redis.url, replicas=1) as mailboxes:
            assert list(await mailboxes.append([message(1), message(2)])) == [None, 1]
        async with opened(redis.url) as mailboxes:
            assert (await mailboxes.read("ada", -1)).last == 2
            redis.primary.kill()

            async def prevs() -> list[int | None]:
                try:
                    return list(await mailboxes.append([message(2), message(3)]))
                except StoreUnavailableError:
                    return []

            assert await eventually(prevs, within=40.0, what="another primary") == [1, 2]
            assert [x.offset for x in (await mailboxes.read("ada", -1)).letters] == [1, 2, 3]
            assert "role:master" in redis.replica.tell("INFO", "replication")


async def test_nothing_counts_as_kept_that_too_few_replicas_have(tmp_path: Path) -> None:
    with redis_process(tmp_path / "primary", "--repl-diskless-sync-delay", "0") as primary:
        async with opened(primary.url, replicas=1) as mailboxes:
            for _ in range(2):  # the second finds it there, and still only there
                with pytest.raises(StoreUnavailableError, match=r"0 replicas.*and 1 must"):
                    await mailboxes.append([message(1)])
            options = ["--replicaof", f"127.0.0.1 {primary.port}"]
            with redis_process(tmp_path / "replica", *options) as replica:
                await eventually(
                    lambda: "master_link_status:up" in replica.tell("INFO", "replication"),
                    what="the replica",
                )
                assert list(await mailboxes.append([message(1)])) == [None]
                assert replica.tell("HGET", "tidewire:mailbox:{epoch:ada}:meta", "last") == "1"


async def test_sentinels_that_are_away_are_reported() -> None:
    url = "redis+sentinel://127.0.0.1:1,127.0.0.1:2/main"
    async with opened(url) as mailboxes:
        with pytest.raises(StoreUnavailableError, match="No master found for 'main'"):
            await mailboxes.read("ada", -1)
