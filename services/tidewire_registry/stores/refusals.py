"""How a store says no."""

from tidewire.targeting.errors import (
    BatchOvertakenError,
    LeaseLostError,
    NodeNameTakenError,
    NoFreeSlotError,
)

__all__ = ["lease_lost", "name_taken", "no_free_slot", "overtaken"]


def lease_lost(node: str) -> LeaseLostError:
    return LeaseLostError(
        f"node {node} holds no live lease under this epoch: register again and announce its sessions"
    )


def name_taken(node: str) -> NodeNameTakenError:
    return NodeNameTakenError(
        f"another process holds a live lease as node {node}: give every node a name of its own, "
        "or wait until that lease ends"
    )


def no_free_slot(slots: int) -> NoFreeSlotError:
    return NoFreeSlotError(
        f"all {slots} slots are held: give the inbox topic more partitions and set "
        "TIDEWIRE_REGISTRY__SLOTS to their number, or end a node"
    )


def overtaken(node: str, number: int) -> BatchOvertakenError:
    return BatchOvertakenError(
        f"node {node} has told of more since batch number {number}, under the same epoch: tell it again, "
        "as it is now, under a higher number"
    )
