import ssl
from pathlib import Path
from typing import Any

import pytest
from redis.asyncio import BlockingConnectionPool, Redis
from redis.asyncio.connection import SSLConnection, UnixDomainSocketConnection

from harness.authority import make_authority
from tidewire.config.errors import ConfigError
from tidewire.targeting.redis_urls import connect


def options(client: Redis) -> dict[str, Any]:
    kwargs: dict[str, Any] = client.connection_pool.connection_kwargs
    return kwargs


@pytest.mark.parametrize(
    ("url", "expected"),
    [
        ("redis://redis.local", {"host": "redis.local", "port": 6379, "db": 0}),
        ("redis://10.0.0.1:7000/3", {"host": "10.0.0.1", "port": 7000, "db": 3}),
        ("redis://[::1]:7000/", {"host": "::1", "port": 7000, "db": 0}),
        ("redis://:s%40c%2Fret@h", {"username": None, "password": "s@c/ret"}),
        ("redis://ada:secret@h", {"username": "ada", "password": "secret"}),
        ("unix:///run/redis.sock", {"path": "/run/redis.sock", "db": 0}),
        ("unix://ada:secret@/run/a%20b.sock?db=2", {"path": "/run/a b.sock", "db": 2}),
        ("rediss://ada:secret@h:7000/3", {"port": 7000, "password": "secret", "db": 3}),
    ],
)
def test_a_url_names_the_server(url: str, expected: dict[str, Any]) -> None:
    found = options(connect(url))
    assert {name: found[name] for name in expected} == expected


@pytest.mark.parametrize(
    ("url", "kind"),
    [("rediss://h", SSLConnection), ("unix:///run/redis.sock", UnixDomainSocketConnection)],
)
def test_a_url_says_how_the_server_is_reached(url: str, kind: type) -> None:
    assert connect(url).connection_pool.connection_class is kind


def test_sentinels_are_asked_in_the_order_of_the_url() -> None:
    pool: Any = connect("redis+sentinel://ada:s%2Cecret@a:1,b,[::1]:3/main/4").connection_pool
    places = [s.connection_pool.connection_kwargs for s in pool.sentinel_manager.sentinels]
    assert [(p["host"], p["port"]) for p in places] == [("a", 1), ("b", 26379), ("::1", 3)]
    assert pool.service_name == "main"
    found = {name: pool.connection_kwargs[name] for name in ("username", "password", "db")}
    assert found == {"username": "ada", "password": "s,ecret", "db": 4}


def test_a_url_names_the_files_of_tls_which_are_tried(tmp_path: Path) -> None:
    authority = make_authority(tmp_path)
    mine, locked = authority.issue("mine"), authority.locked("locked", "hush")
    found = options(connect(f"rediss://h?ssl_ca_certs={authority.certificate}"))
    assert found["ssl_ca_certs"] == str(authority.certificate)
    found = options(connect(f"rediss://h?ssl_certfile={mine.certificate}&ssl_keyfile={mine.key}"))
    assert (found["ssl_certfile"], found["ssl_keyfile"]) == (str(mine.certificate), str(mine.key))
    for query, told in {
        "ssl_ca_certs=/no/ca.pem": "/no/ca.pem cannot be read",
        f"ssl_ca_certs={mine.key}": "holds no certificate",
        f"ssl_keyfile={mine.key}": "an ssl_keyfile without an ssl_certfile",
        f"ssl_certfile={mine.certificate}": "is not the PEM key of the certificate",
        f"ssl_certfile={locked.certificate}&ssl_keyfile={locked.key}": "or has it a password",
    }.items():
        with pytest.raises(ConfigError, match=told):
            connect(f"rediss://h?{query}")


def test_over_tls_the_server_must_be_who_it_says_it_is() -> None:
    pool: Any = connect("rediss://h").connection_pool
    connection = pool.make_connection()
    assert connection.check_hostname
    assert connection.cert_reqs is ssl.CERT_REQUIRED


@pytest.mark.parametrize(
    "url", ["redis://h", "rediss://h", "unix:///run/redis.sock", "redis+sentinel://h/main"]
)
def test_every_client_is_bounded_in_connections_and_in_time(url: str) -> None:
    pool = connect(url).connection_pool
    assert isinstance(pool, BlockingConnectionPool)
    assert pool.timeout == 2.0
    assert pool.max_connections == 32
    found = {**pool.connection_kwargs}
    assert (found["socket_timeout"], found["socket_connect_timeout"]) == (2.0, 2.0)
    assert found["health_check_interval"] > 0
    assert found["retry"].get_retries() == 0


@pytest.mark.parametrize(
    ("url", "what"),
    [
        ("", "no scheme"),
        ("localhost", "no scheme"),
        ("localhost:6379", "scheme 'localhost'"),
        ("http://h", "scheme 'http'"),
        ("redis://", "lacks a host"),
        ("redis://:6379", "lacks a host"),
        ("redis://h:port", "no number"),
        ("redis://h:70000", "no number"),
        ("redis://h/main", "database"),
        ("redis://h/-1", "database"),
        ("redis://h/1/2", "database"),
        ("redis://h/99999999", "database"),
        ("redis://a,b", "several hosts"),
        ("redis://[::1", "malformed"),
        ("redis://h?socket_timeout=0", "option where it takes none"),
        ("rediss://h?ssl=1", "option other than ssl_ca_certs"),
        ("unix://run/redis.sock", "three slashes"),
        ("unix://", "three slashes"),
        ("unix:///run/redis.sock?db=x", "database"),
        ("redis+sentinel://h", "names no service"),
        ("redis+sentinel://h,/main", "lacks a host"),
        ("redis+sentinel://h/main/x", "database"),
    ],
)
def test_a_url_that_cannot_be_used_is_told_what_it_lacks_and_how_it_is_written(
    url: str, what: str
) -> None:
    with pytest.raises(ConfigError, match=f"{what}.*write redis://"):
        connect(url)


@pytest.mark.parametrize(
    "url",
    [
        "redis://:se/cret@h",
        "redis://ada:se/cret@h",
        "redis://ada:1/cret@h",
        "redis://ada:1?cret@h",
        "redis://:se#cret@h",
        "redis://:cret@[h",
        "redis+sentinel://ada:cret@h:port/main",
    ],
)
def test_an_error_tells_nothing_of_a_password(url: str) -> None:
    with pytest.raises(ConfigError) as caught:
        connect(url)
    assert "cret" not in str(caught.value)
    assert caught.value.__cause__ is None
