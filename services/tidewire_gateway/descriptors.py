"""File descriptors: the process may have as many as its connections need, or takes fewer connections."""

import resource
import sys
from dataclasses import dataclass
from typing import Final

from tidewire.telemetry.logging import get_logger

from .settings import PREFIX, GatewaySettings

__all__ = ["RESERVE", "Room", "fit_connections", "most_sockets", "room_of", "warn_of_shortage"]

RESERVE: Final = 512
"""Beside the WebSockets: half for sockets that are none (yet), half for Kafka, files and the internal port."""

_log = get_logger(__name__)


@dataclass(frozen=True, slots=True)
class Room:
    """What a limit of descriptors has room for. A small limit is shared: no reserve takes more than half."""

    connections: int
    """WebSockets."""
    sockets: int
    """All sockets of the public port."""


def room_of(limit: int) -> Room:
    reserve = min(RESERVE, limit // 2)
    return Room(connections=limit - reserve, sockets=limit - reserve // 2)


def most_sockets() -> int:
    """How many the public port may have at this moment, so that Kafka and files still get theirs."""
    return room_of(_limit()).sockets


def fit_connections(settings: GatewaySettings) -> GatewaySettings:
    """Raise the limit of descriptors as far as ``max_connections`` needs and the system allows.

    Returns the settings, with fewer connections where it does not allow enough.
    """
    wanted = settings.limits.max_connections
    _raise_limit(wanted + RESERVE)
    room = room_of(_limit()).connections
    if wanted <= room:
        return settings
    limits = settings.limits.model_copy(update={"max_connections": room})
    return settings.model_copy(update={"limits": limits})


def warn_of_shortage(configured: GatewaySettings, fitted: GatewaySettings) -> None:
    """Tell what is lacking and the cure, where `fit_connections` had to make do with less."""
    needed = configured.limits.max_connections + RESERVE
    room = fitted.limits.max_connections
    if room < configured.limits.max_connections:
        _log.warning(
            "too few file descriptors: fewer connections are accepted than configured",
            needed=needed,
            allowed=_limit(),
            max_connections=room,
            cure=f"ulimit -n {needed}, LimitNOFILE={needed} in the systemd unit, "
            f"or {PREFIX}LIMITS__MAX_CONNECTIONS={room}",
        )


def _limit() -> int:
    return _number(resource.getrlimit(resource.RLIMIT_NOFILE)[0])


def _raise_limit(needed: int) -> None:
    """The soft limit up to the hard one, and the hard one as far as needed where we may."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    if _number(soft) >= needed:
        return
    if hard == resource.RLIM_INFINITY:
        _set_limits(needed, hard)
    elif hard >= needed or not _set_limits(needed, needed):
        _set_limits(hard, hard)


def _set_limits(soft: int, hard: int) -> bool:
    try:
        resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))
    except (OSError, ValueError):  # we may not, or the kernel has no such limit
        return False
    return True


def _number(limit: int) -> int:
    return sys.maxsize if limit == resource.RLIM_INFINITY else limit
