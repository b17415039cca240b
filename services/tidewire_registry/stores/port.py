"""What the registry needs of the place where it writes things down."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Protocol

from tidewire.targeting.registry import (
    Batch,
    Evicted,
    Lease,
    NodeAnnouncement,
    NodeState,
    Place,
)

__all__ = ["Device", "NodeSession", "NodeView", "Overview", "RegistryStore", "SessionsPage", "Tick"]


@dataclass(frozen=True, slots=True)
class NodeView:
    """A node for operators. ``lease_ms_left`` is negative for one whose lease has ended."""

    node: str
    slot: int
    epoch: str
    address: str
    zone: str | None
    state: NodeState
    load: Mapping[str, float]
    sessions: int
    lease_ms_left: int
    is_live: bool


@dataclass(frozen=True, slots=True)
class Overview:
    nodes: Sequence[NodeView]
    is_frozen: bool


@dataclass(frozen=True, slots=True)
class Device:
    """A connection of a user. ``node`` is None where the node of its epoch is no longer known."""

    connection: str
    node: str | None
    device: str | None
    since_ms: int
    is_live: bool


@dataclass(frozen=True, slots=True)
class NodeSession:
    user: str
    connection: str
    device: str | None
    since_ms: int


@dataclass(frozen=True, slots=True)
class SessionsPage:
    """Some sessions of a node; ``cursor`` asks for the next ones, None after the last."""

    epoch: str
    sessions: Sequence[NodeSession]
    cursor: str | None


@dataclass(frozen=True, slots=True)
class Tick:
    """What time did: leases that ended or froze by this very call, by node, and whether any is frozen now.

    ``doubted``: leases that are not renewed from now on, though their sessions are still found: the store may have lost the
    last of what it was told, so their nodes have to register and announce anew.
    """

    ended: Sequence[str]
    frozen: Sequence[str]
    is_frozen: bool
    doubted: int = 0


class RegistryStore(Protocol):
    """All raise `StoreUnavailableError`; time is the store's own clock, and passes when `settle` is called."""

    async def register(
        self, announcement: NodeAnnouncement, epoch: str, *, replaces: str | None = None
    ) -> Lease:
        """Take a slot under ``epoch``, in one step.

        ``replaces`` is the epoch of the present lease, or the one that this in turn replaced: an answer may get lost.
        Raises `NoFreeSlotError`, `NodeNameTakenError`.
        """
        ...

    async def renew(
        self, node: str, epoch: str, state: NodeState, load: Mapping[str, float]
    ) -> int:
        """Milliseconds that the lease goes on; raises `LeaseLostError`."""
        ...

    async def release(self, node: str, epoch: str) -> None:
        """End the lease; one that is not there is no error."""
        ...

    async def announce(self, node: str, epoch: str, batch: Batch) -> Sequence[Evicted]:
        """Who came and went; returns who has to go for those that came. Raises `LeaseLostError`.

        Raises `BatchOvertakenError`, also amid a batch, where one of a higher number was taken under the epoch.
        Who has to go is found until its node tells that it went, and is named again with the next that comes: an answer
        may get lost. Of one user, twice as many as there may be are kept at most, the newest.
        """
        ...

    async def lookup(self, users: Sequence[str]) -> Mapping[str, Sequence[Place]]:
        """The places of those users that have any, ordered by node."""
        ...

    async def settle(self) -> Tick:
        """End the leases that ran out, or freeze them; at once and at least twice a second."""
        ...

    async def tidy(self, most: int) -> int:
        """Remove at most about ``most`` sessions of leases that are gone, and keep as many live ones from expiring.

        Returns how many were removed.
        """
        ...

    async def overview(self) -> Overview:
        """Every node whose lease is live or ended a moment ago, ordered by name."""
        ...

    async def addresses(self, nodes: Sequence[str]) -> Mapping[str, str]:
        """The addresses of those nodes that are known."""
        ...

    async def sessions_of(self, node: str, cursor: str | None, limit: int) -> SessionsPage | None:
        """Sessions of a node's present lease, about ``limit``; None for a node that is not known."""
        ...

    async def devices_of(self, user: str) -> Sequence[Device]:
        """Every connection written down for a user, oldest first."""
        ...

    async def close(self) -> None: ...
