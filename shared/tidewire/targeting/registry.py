"""Who is connected where: the registry's words, and the port that nodes and routers use."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Protocol

__all__ = [
    "Batch",
    "Evicted",
    "Lease",
    "NodeAnnouncement",
    "NodeState",
    "Place",
    "Registry",
    "Session",
]


class NodeState(StrEnum):
    READY = "ready"
    DRAINING = "draining"


@dataclass(frozen=True, slots=True)
class NodeAnnouncement:
    """A node that wants a slot. ``address``: URL of its internal port. ``load``: figures by name, for operators."""

    node: str
    address: str
    state: NodeState = NodeState.READY
    zone: str | None = None
    load: Mapping[str, float] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Lease:
    """The right to an inbox slot, under a random ``epoch`` of 32 hex digits, for ``lease_ms`` from the sending of the request."""

    slot: int
    epoch: str
    lease_ms: int


@dataclass(frozen=True, slots=True)
class Session:
    """One connection of a user; ``since_ms`` is Unix milliseconds."""

    user: str
    connection: str
    since_ms: int
    device: str | None = None


@dataclass(frozen=True, slots=True)
class Batch:
    """What happened on a node since the last batch, in two sets; ``disconnected`` holds (user, connection).

    ``number`` grows with each batch of an epoch; the parts that a batch is sent in share it. One that is lower than the last that
    was taken is refused: it was overtaken, and would bring back who has gone. Who never gives one is never refused.
    """

    connected: Sequence[Session] = ()
    disconnected: Sequence[tuple[str, str]] = ()
    number: int = 0


@dataclass(frozen=True, slots=True)
class Evicted:
    """A user's oldest connection, one too many: to be closed 3504 by the node that holds it."""

    user: str
    connection: str
    node: str


@dataclass(frozen=True, slots=True)
class Place:
    """A node that holds a user: live, and under the epoch that its sessions were announced with."""

    node: str
    slot: int
    epoch: str
    address: str
    connections: tuple[str, ...]


class Registry(Protocol):
    """All raise `RegistryUnavailableError`; what names an epoch raises `LeaseLostError` where it is not the live one."""

    async def register(
        self, announcement: NodeAnnouncement, *, replaces: str | None = None
    ) -> Lease:
        """Take a slot; ``replaces`` is the epoch of a lease that this process itself holds or held.

        Raises `NoFreeSlotError`, `NodeNameTakenError`.
        """
        ...

    async def renew(
        self, node: str, epoch: str, state: NodeState, load: Mapping[str, float]
    ) -> int:
        """Hold the lease for as many milliseconds as are returned, from the sending of this call."""
        ...

    async def release(self, node: str, epoch: str) -> None:
        """Give the slot back; the node's sessions end with it. A lease that is not there is no error."""
        ...

    async def announce(self, node: str, epoch: str, batch: Batch) -> Sequence[Evicted]:
        """Tell who came and went; returns who had to go for those that came, whichever node holds them.

        Raises `BatchOvertakenError` where a batch of a higher number was taken under the epoch.
        """
        ...

    async def lookup(self, users: Sequence[str]) -> Mapping[str, Sequence[Place]]:
        """Where users are now; those who are nowhere are missing from the answer. At most 1,000 users."""
        ...

    async def close(self) -> None: ...
