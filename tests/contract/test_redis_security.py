"""Both stores work over TLS, with a user, a password and a certificate; what keeps them out is named at once."""

import time
from collections.abc import AsyncIterator, Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest

from contract.mailbox_stores import message, opened
from harness.authority import Authority, make_authority
from harness.certificate import Certificate
from harness.connections import connections_end
from harness.leaks import CANARY
from harness.redis import RedisProcess, redis_process
from tidewire.targeting.errors import StoreUnavailableError
from tidewire.targeting.redis_urls import connect
from tidewire.targeting.registry import NodeAnnouncement
from tidewire_registry.stores.redis import RedisStore

AT_ONCE = 4.0
PASSWORD, WRONG = f"redis-{CANARY}", f"wrong-{CANARY}"


@dataclass(frozen=True)
class Place:
    """One server; ``files`` are the options of a URL that leads into it."""

    server: RedisProcess
    authority: Authority
    files: dict[str, Path]

    def url(self, *, scheme: str = "rediss", who: str = f"tide:{PASSWORD}@", **files: Path) -> str:
        named = "&".join(
            f"{name}={path}" for name, path in (self.files | files).items() if path.name
        )
        return f"{scheme}://{who}127.0.0.1:{self.server.port}/0" + (f"?{named}" if named else "")


@pytest.fixture(scope="module")
def authority(tmp_path_factory: pytest.TempPathFactory) -> Authority:
    return make_authority(tmp_path_factory.mktemp("authority"))


@pytest.fixture(autouse=True)
async def _connections_end() -> AsyncIterator[None]:
    yield
    await connections_end()


def place(folder: Path, authority: Authority, certificate: Certificate) -> Iterator[Place]:
    client = authority.issue(f"client-of-{folder.name}")
    files = {
        "ssl_ca_certs": authority.certificate,
        "ssl_certfile": client.certificate,
        "ssl_keyfile": client.key,
    }
    user = ["--user", "tide", "on", f">{PASSWORD}", "~*", "&*", "+@all"]
    user += ["--requirepass", f"other-{CANARY}"]
    with redis_process(folder, *user, tls=certificate, clients=authority.certificate) as server:
        yield Place(server, authority, files)


@pytest.fixture(scope="module")
def good(authority: Authority, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Place]:
    yield from place(tmp_path_factory.mktemp("good"), authority, authority.issue("redis"))


@pytest.fixture(scope="module")
def expired(authority: Authority, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Place]:
    certificate = authority.issue("redis-expired", days=-1)
    yield from place(tmp_path_factory.mktemp("expired"), authority, certificate)


@pytest.fixture(scope="module")
def elsewhere(authority: Authority, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Place]:
    certificate = authority.issue("redis-elsewhere", names="DNS:elsewhere.example")
    yield from place(tmp_path_factory.mktemp("elsewhere"), authority, certificate)


async def test_mailboxes_are_kept_over_tls_by_a_user_with_a_certificate(good: Place) -> None:
    async with opened(good.url()) as mailboxes:
        assert list(await mailboxes.append([message(1)])) == [None]
        assert (await mailboxes.read("ada", -1)).last == 1


@pytest.mark.parametrize("who", [f"tide:{PASSWORD}@", f":other-{CANARY}@"])
async def test_the_registry_is_kept_over_tls_by_a_user_or_the_password_alone(
    good: Place, who: str
) -> None:
    store = RedisStore(connect(good.url(who=who)))
    try:
        lease = await store.register(NodeAnnouncement("node", "http://node:1"), "e" * 32)
        await store.release("node", lease.epoch)
    finally:
        await store.close()


async def why(url: str) -> list[str]:
    """What both stores say of a server that they cannot enter."""
    begin = time.monotonic()
    store = RedisStore(connect(url))
    try:
        with pytest.raises(StoreUnavailableError) as of_registry:
            await store.lookup(["ada"])
    finally:
        await store.close()
    async with opened(url) as mailboxes:
        with pytest.raises(StoreUnavailableError) as of_mailboxes:
            await mailboxes.read("ada", -1)
    assert time.monotonic() - begin < AT_ONCE
    told = [str(of_registry.value), str(of_mailboxes.value)]
    assert CANARY not in "".join(told)
    return told


@pytest.mark.parametrize("who", [f"tide:{WRONG}@", f"nobody:{PASSWORD}@", f":{WRONG}@", ""])
async def test_a_user_or_password_that_is_wrong_is_told(good: Place, who: str) -> None:
    for told in await why(good.url(who=who)):
        assert "see that the user and password in its URL may do this" in told


async def test_a_server_that_cannot_be_trusted_is_told(
    good: Place, expired: Place, elsewhere: Place, tmp_path: Path
) -> None:
    stranger = make_authority(tmp_path)
    for url in (
        good.url(ssl_ca_certs=stranger.certificate),
        expired.url(),
        elsewhere.url(),
    ):
        for told in await why(url):
            assert "see that its authority is ssl_ca_certs in its URL" in told


async def test_a_server_that_does_not_trust_us_is_told(good: Place, tmp_path: Path) -> None:
    stranger = make_authority(tmp_path).issue("stranger")
    none = Path()
    for url in (
        good.url(ssl_certfile=none, ssl_keyfile=none),
        good.url(ssl_certfile=stranger.certificate, ssl_keyfile=stranger.key),
    ):
        for told in await why(url):
            assert "ssl_certfile and ssl_keyfile in its URL" in told
