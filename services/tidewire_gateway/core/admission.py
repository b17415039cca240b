"""Who may come in: a node that is full, late or on its way out refuses before the upgrade."""

from dataclasses import dataclass
from enum import StrEnum

from .limits import Limits

__all__ = ["Load", "Overload", "overload_of"]


class Overload(StrEnum):
    """Why nobody new is accepted; also the outcome that `handshakes_total` counts."""

    DRAINING = "draining"
    CONNECTIONS = "overloaded_connections"
    HANDSHAKES = "overloaded_handshakes"
    LOOP = "overloaded_loop"
    MEMORY = "overloaded_memory"


@dataclass(frozen=True, slots=True)
class Load:
    """What a node carries.

    ``handshakes``: accepted and not yet welcomed. ``loop_lag`` in seconds. ``memory``: resident bytes, 0 where
    they are not known.
    """

    connections: int
    handshakes: int
    loop_lag: float
    memory: int
    is_moving: bool


def overload_of(load: Load, limits: Limits) -> Overload | None:
    """Why a node with this load accepts nobody; None where it does."""
    if load.is_moving:
        return Overload.DRAINING
    if load.connections >= limits.max_connections:
        return Overload.CONNECTIONS
    if load.handshakes >= limits.max_handshakes:
        return Overload.HANDSHAKES
    if load.loop_lag > limits.max_loop_lag:
        return Overload.LOOP
    if 0 < limits.max_memory < load.memory:
        return Overload.MEMORY
    return None
