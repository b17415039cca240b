"""Redis by its URL: one server, a socket file, or whichever server the sentinels name."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final
from urllib.parse import SplitResult, parse_qsl, unquote, urlsplit

from redis.asyncio import BlockingConnectionPool, Redis
from redis.asyncio.connection import SSLConnection, UnixDomainSocketConnection
from redis.asyncio.retry import Retry
from redis.asyncio.sentinel import Sentinel, SentinelConnectionPool
from redis.backoff import NoBackoff

from ..config.errors import ConfigError
from ..tls_files import TlsFileError, show_certificate, trusting

__all__ = ["connect"]

ANSWER_TIMEOUT: Final = 2.0
CONNECT_TIMEOUT: Final = 2.0
POOL_TIMEOUT: Final = 2.0
HEALTH_CHECK_INTERVAL: Final = 15.0
CONNECTIONS: Final = 32
PORT: Final = 6379
SENTINEL_PORT: Final = 26379
MAX_DATABASE: Final = 65_535

_FORMS: Final = (
    "redis://[USER:PASSWORD@]HOST[:PORT][/DB], rediss://…[?ssl_ca_certs=FILE][&ssl_certfile=FILE&ssl_keyfile=FILE] (TLS), unix:///PATH[?db=DB] or "
    "redis+sentinel://[USER:PASSWORD@]HOST[:PORT][,HOST[:PORT]…]/SERVICE[/DB]"
)
_TLS_OPTIONS: Final = frozenset({"ssl_ca_certs", "ssl_certfile", "ssl_keyfile"})
_WAITS: Final[Mapping[str, Any]] = {
    "socket_timeout": ANSWER_TIMEOUT,
    "socket_connect_timeout": CONNECT_TIMEOUT,
    "health_check_interval": HEALTH_CHECK_INTERVAL,
    "protocol": 2,
}


@dataclass(frozen=True, slots=True)
class _Place:
    """What a URL says. ``hosts`` are (host, port): of servers, or of the sentinels of ``service``."""

    hosts: tuple[tuple[str, int], ...] = ()
    service: str = ""
    options: Mapping[str, Any] = field(default_factory=dict)


class _BlockingSentinelPool(SentinelConnectionPool, BlockingConnectionPool):
    """At most so many connections to the primary of the moment; closes those to the sentinels with them."""

    async def aclose(self) -> None:
        try:
            await super().aclose()
        finally:
            await self.sentinel_manager.aclose()


def connect(url: str) -> Redis:
    """A client for ``url`` that has not connected yet; close it by ``aclose()``.

    A user and password are for Redis; sentinels are asked without. Over TLS the server's certificate is checked, and that the
    host is one of its names. Nobody waits longer than 2 s for a connection, for one
    of the pool's 32, or for an answer. A call is made once: whether to repeat it only its caller can know.
    Raises `ConfigError` for a URL that cannot be used, and tells none of its parts but the scheme.
    """
    place = _place_of(url)
    if place.service:
        return _by_sentinel(place)
    options = {**_common(), **place.options}
    if place.hosts:
        options["host"], options["port"] = place.hosts[0]
    return Redis.from_pool(
        BlockingConnectionPool(max_connections=CONNECTIONS, timeout=POOL_TIMEOUT, **options)
    )


def _common() -> dict[str, Any]:
    return {**_WAITS, "retry": Retry(NoBackoff(), 0)}


def _by_sentinel(place: _Place) -> Redis:
    sentinel = Sentinel(  # type: ignore[no-untyped-call] # redis-py types only part of itself
        place.hosts, sentinel_kwargs=_common()
    )
    pool = _BlockingSentinelPool(  # type: ignore[no-untyped-call] # likewise
        place.service,
        sentinel,
        max_connections=CONNECTIONS,
        timeout=POOL_TIMEOUT,
        **_common(),
        **place.options,
    )
    return Redis.from_pool(pool)


def _place_of(url: str) -> _Place:
    try:
        parts = urlsplit(url)
        reader = _READERS.get(parts.scheme)
        if reader is None:
            raise _unusable(f"has the scheme {parts.scheme!r}" if parts.scheme else "has no scheme")
        return reader(parts)
    except ValueError:  # of urlsplit; it repeats parts of the URL
        raise _unusable("is malformed") from None


def _tcp(parts: SplitResult) -> _Place:
    hosts = _hosts(parts, PORT)
    if len(hosts) != 1:
        raise _unusable("names several hosts, which only redis+sentinel:// can")
    options = _credentials(parts) | _database(parts.path.strip("/"))
    if parts.scheme == "rediss":
        return _Place(
            hosts, options=options | {"connection_class": SSLConnection} | _tls_files(parts)
        )
    _query(parts, frozenset())
    return _Place(hosts, options=options)


def _tls_files(parts: SplitResult) -> dict[str, str]:
    """Whom to trust and what to show; tried, or each connection would fail anew."""
    files = _query(parts, _TLS_OPTIONS)
    authorities, certificate = files.get("ssl_ca_certs"), files.get("ssl_certfile")
    key = files.get("ssl_keyfile", certificate)
    if key is not None and certificate is None:
        raise _unusable("has an ssl_keyfile without an ssl_certfile")
    try:
        context = trusting(Path(authorities) if authorities else None)
        if certificate and key:
            show_certificate(context, Path(certificate), Path(key))
    except TlsFileError as error:
        raise ConfigError(f"the Redis URL names a file that cannot be used: {error}") from None
    return files


def _unix(parts: SplitResult) -> _Place:
    if parts.netloc.rpartition("@")[2] or len(parts.path) < 2:
        raise _unusable("names no absolute path: write three slashes, unix:///run/redis.sock")
    query = _query(parts, frozenset({"db"}))
    where = {"connection_class": UnixDomainSocketConnection, "path": unquote(parts.path)}
    return _Place(options=_credentials(parts) | where | _database(query.get("db", "")))


def _sentinels(parts: SplitResult) -> _Place:
    service, _, database = parts.path.strip("/").partition("/")
    if not service:
        raise _unusable("names no service: its path must be the name that the sentinels know")
    _query(parts, frozenset())
    options = _credentials(parts) | _database(database)
    return _Place(_hosts(parts, SENTINEL_PORT), unquote(service), options)


_READERS: Final[Mapping[str, Callable[[SplitResult], _Place]]] = {
    "redis": _tcp,
    "rediss": _tcp,
    "unix": _unix,
    "redis+sentinel": _sentinels,
}


def _hosts(parts: SplitResult, default_port: int) -> tuple[tuple[str, int], ...]:
    found = []
    for place in parts.netloc.rpartition("@")[2].split(","):
        at = urlsplit(f"//{place}")
        if not at.hostname:
            raise _unusable("lacks a host")
        try:
            port = at.port
        except ValueError:
            raise _unusable("has a port that is no number up to 65535") from None
        found.append((unquote(at.hostname), port or default_port))
    return tuple(found)


def _credentials(parts: SplitResult) -> dict[str, Any]:
    credentials, at, _ = parts.netloc.rpartition("@")
    if not at:
        return {}
    user, _, password = credentials.partition(":")
    return {"username": unquote(user) or None, "password": unquote(password) or None}


def _database(text: str) -> dict[str, Any]:
    if not text:
        return {"db": 0}
    if not text.isascii() or not text.isdigit() or int(text) > MAX_DATABASE:
        raise _unusable("has a database that is no number")
    return {"db": int(text)}


def _query(parts: SplitResult, known: frozenset[str]) -> dict[str, str]:
    options = dict(parse_qsl(parts.query, keep_blank_values=True))
    if not options.keys() <= known:
        known_ones = f"other than {', '.join(sorted(known))}" if known else "where it takes none"
        raise _unusable(f"has an option {known_ones}")
    return options


def _unusable(what: str) -> ConfigError:
    """Tells no part of the URL but its scheme: a password with a slash or a question mark may stand anywhere in it."""
    return ConfigError(f"the Redis URL {what}: write {_FORMS}")
