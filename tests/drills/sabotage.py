"""A gateway with one protection turned off: ``python -m drills.sabotage NAME``, told like the real one.

Each sabotage changes the program before it serves; none is in the program itself.
"""

import asyncio
import sys
from collections.abc import Callable, Iterator, Mapping

from tidewire.kafka.records import TopicPartition
from tidewire_gateway.__main__ import main

__all__ = ["SABOTAGES"]

FORGET_AFTER = 0.1


def silent_outage() -> None:
    """Nobody is told that the broker is away."""
    from tidewire_gateway.delivery import Delivery

    Delivery.connected = lambda self, is_connected: None  # type: ignore[method-assign] # the sabotage


def eager_assignment() -> None:
    """The assignment changes as often as demand does."""
    from tidewire_gateway import reader

    reader._CHANGE_INTERVAL = 0.0


def hasty_drain() -> None:
    """Every client is told to move, and closed, in the first moment of the window."""
    from tidewire_gateway import drain
    from tidewire_gateway.core.draining import Departure

    def at_once(count: int, window: float) -> Iterator[Departure]:
        return iter([Departure(0.0, 0.01 * window)] * count)

    drain.departures = at_once  # type: ignore[attr-defined] # the sabotage


def no_coalescing() -> None:
    """A feed flushes at once, whatever its interval."""
    from tidewire_gateway.core.feeds import Feed

    Feed.interval = property(lambda self: 0.0)  # type: ignore[method-assign, assignment] # the sabotage


def unwatched_topics() -> None:
    """What a topic is was learnt once; it is never another one afterwards."""
    from tidewire_gateway.topologies import Topologies

    Topologies._change = lambda *args: None  # type: ignore[method-assign] # the sabotage


def no_sharing() -> None:
    """What a backfill has read is forgotten soon after those who asked for it were told."""
    from tidewire_gateway.backfills import Backfills

    fly = Backfills._fly

    async def fly_and_forget(self: Backfills, wanted: Mapping[TopicPartition, int]) -> None:
        await fly(self, wanted)
        await asyncio.sleep(FORGET_AFTER)
        self._let_go(0)

    Backfills._fly = fly_and_forget  # type: ignore[method-assign] # the sabotage


SABOTAGES: dict[str, Callable[[], None]] = {
    sabotage.__name__: sabotage
    for sabotage in (
        silent_outage,
        eager_assignment,
        hasty_drain,
        no_coalescing,
        no_sharing,
        unwatched_topics,
    )
}


if __name__ == "__main__":
    SABOTAGES[sys.argv[1]]()
    sys.argv[1:] = []
    sys.exit(main())
