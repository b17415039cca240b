"""Whether two URLs of Redis lead to the same mailboxes, however they are written (pure)."""

from typing import Any, Final, NamedTuple
from urllib.parse import SplitResult, parse_qsl, urlsplit

__all__ = ["are_others", "may_be_others"]

_REDIS_PORT: Final = 6379
_SENTINEL_PORT: Final = 26379


class _Redis(NamedTuple):
    """Which Redis and which database, however it is written, and whoever asks. ``where`` are hosts or a file."""

    where: tuple[Any, ...]
    service: str = ""
    database: str = "0"


def _redis(url: str) -> _Redis | None:
    """None for what is no URL of a Redis: that is told elsewhere."""
    try:
        parts = urlsplit(url)
        match parts.scheme:
            case "redis" | "rediss":
                return _Redis(_hosts(parts, _REDIS_PORT), "", parts.path.strip("/") or "0")
            case "redis+sentinel":
                service, _, database = parts.path.strip("/").partition("/")
                return _Redis(_hosts(parts, _SENTINEL_PORT), service, database or "0")
            case "unix":
                return _Redis((parts.path,), "", dict(parse_qsl(parts.query)).get("db", "0"))
    except ValueError:
        pass
    return None


def _hosts(parts: SplitResult, port: int) -> tuple[tuple[str, int], ...]:
    places = [urlsplit(f"//{place}") for place in parts.netloc.rpartition("@")[2].split(",")]
    if not all(place.hostname for place in places):
        raise ValueError("a host has no name")
    return tuple(sorted((place.hostname or "", place.port or port) for place in places))


def are_others(ours: str | None, theirs: str) -> bool:
    """Whether two URLs lead to two databases or services for certain. None: there are no mailboxes."""
    one, other = _redis(ours or ""), _redis(theirs)
    if one is None or other is None:
        return False
    are_named = bool(one.service and other.service)
    return one.database != other.database or (are_named and one.service != other.service)


def may_be_others(ours: str | None, theirs: str) -> bool:
    """Whether nothing but their hosts differs: two names may be those of one."""
    if ours is None or are_others(ours, theirs):
        return False
    one, other = _redis(ours), _redis(theirs)
    return ours != theirs if one is None or other is None else one != other
