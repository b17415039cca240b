"""Announces that nobody answered, and that are carried out all the same, when others have overtaken them."""

from collections.abc import Sequence
from contextlib import suppress

from harness import virtual_targeted
from harness.virtual_processes import answer_of
from harness.virtual_targeted import VirtualWorld
from tidewire.targeting.errors import (
    BatchOvertakenError,
    LeaseLostError,
    RegistryUnavailableError,
)
from tidewire.targeting.registry import Batch, Evicted

__all__ = ["StrayAnnounces"]


class StrayAnnounces:
    """Of all nodes of a world, also of those that start later, until the world is closed."""

    def __init__(self, world: VirtualWorld) -> None:
        self._world = world
        self._strays: list[tuple[str, str, Batch]] = []
        announce = virtual_targeted._Registry.announce

        async def noted(
            registry: virtual_targeted._Registry, node: str, epoch: str, batch: Batch
        ) -> Sequence[Evicted]:
            try:
                return await announce(registry, node, epoch, batch)
            except RegistryUnavailableError:
                self._strays.append((node, epoch, batch))
                raise

        world.patch.setattr(virtual_targeted._Registry, "announce", noted)

    def arrive(self) -> None:
        """Nobody waits for their answers any more."""
        strays, self._strays = self._strays, []
        answer_of(self._world.store.settle())
        for stray in strays:
            with suppress(BatchOvertakenError, LeaseLostError):
                answer_of(self._world.store.announce(*stray))
