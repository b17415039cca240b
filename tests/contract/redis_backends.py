"""The Redis servers that contract suites of stores run over. Import the fixtures that a module uses.

`redis_url` runs a test over both, each of them shared by the module; `redis_client` finds it empty.
"""

from collections.abc import AsyncIterator, Iterator

import pytest
from redis.asyncio import Redis

from tidewire.dev.brokers import embedded_redis, redis_server
from tidewire.targeting.redis_urls import connect

__all__ = ["EVERY_REDIS", "embedded_redis_url", "real_redis_url", "redis_client", "redis_url"]

EVERY_REDIS = ["embedded_redis", "redis"]


@pytest.fixture(scope="module")
def embedded_redis_url(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """The embedded broker's Redis."""
    with embedded_redis(tmp_path_factory.mktemp("embedded_redis")) as redis:
        yield redis.url


@pytest.fixture(scope="module")
def real_redis_url(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """The machine's redis-server."""
    with redis_server(tmp_path_factory.mktemp("redis")) as redis:
        yield redis.url


@pytest.fixture(params=EVERY_REDIS)
def redis_url(request: pytest.FixtureRequest) -> str:
    name = "real_redis_url" if request.param == "redis" else "embedded_redis_url"
    url: str = request.getfixturevalue(name)
    return url


@pytest.fixture
async def redis_client(redis_url: str) -> AsyncIterator[Redis]:
    """A client as the services have it, of a server that holds nothing."""
    client = connect(redis_url)
    await client.flushdb()
    yield client
    await client.aclose()
