"""What a client may say, as typed messages."""

from dataclasses import dataclass

from .codes import Mode
from .positions import Position

__all__ = [
    "ClientMessage",
    "Hello",
    "Refresh",
    "Subscribe",
    "Unsubscribe",
    "UpdateSubscription",
]


@dataclass(frozen=True, slots=True)
class Hello:
    """First message of a connection; ``token`` is None where it came by header or not at all."""

    id: int | None
    token: str | None
    client: str
    device: str | None


@dataclass(frozen=True, slots=True)
class Subscribe:
    """``mode`` None: the first that the stream allows; ``interval_ms`` None: the shortest."""

    id: int | None
    channel: str
    mode: Mode | None
    interval_ms: int | None
    snapshot: bool
    since: Position | None


@dataclass(frozen=True, slots=True)
class UpdateSubscription:
    """Change the rate of a live subscription; None leaves a property as it is."""

    id: int | None
    sub: int
    interval_ms: int | None
    paused: bool | None


@dataclass(frozen=True, slots=True)
class Unsubscribe:
    id: int | None
    sub: int


@dataclass(frozen=True, slots=True)
class Refresh:
    id: int | None
    token: str


ClientMessage = Hello | Subscribe | UpdateSubscription | Unsubscribe | Refresh
