"""Which connections a sweep looks at, and what it makes known."""

import asyncio
from collections.abc import Awaitable, Callable
from typing import Any

from tidewire.telemetry.metrics import create_metrics
from tidewire_gateway.instruments import Instruments
from tidewire_gateway.sweep import Sweep

TURNS_FOR_ALL = 8

Body = Callable[[Any], Awaitable[None]]


class Swept:
    """A connection with bytes in this process, or only in the kernel."""

    def __init__(
        self, queued: int = 0, *, waits_in_kernel: bool = False, has_written: bool = False
    ) -> None:
        self.queued = queued
        self.waits_in_kernel = waits_in_kernel
        self.has_written = has_written
        self.is_congested = False
        self.looks = 0

    def sweep(self, _now: float) -> int:
        self.looks += 1
        return self.queued

    @property
    def needs_watching(self) -> bool:
        return self.queued > 0 or self.waits_in_kernel or self.is_congested

    def has_written_since(self, _instant: float) -> bool:
        return self.has_written


def run(connections: Any, body: Body) -> None:
    async def main() -> None:
        await body(Sweep(connections, Instruments(create_metrics("gateway"))))

    asyncio.run(main())


async def turns(sweep: Sweep, count: int) -> None:
    for _ in range(count):
        await sweep.turn()


def test_calm_connections_are_left_alone() -> None:
    calm = [Swept() for _ in range(1000)]
    run(calm, lambda sweep: turns(sweep, 3 * TURNS_FOR_ALL))
    assert sum(connection.looks for connection in calm) == 0


def test_who_was_written_to_is_asked_now_and_then_for_what_the_kernel_holds() -> None:
    active = [Swept(has_written=True) for _ in range(2000)]
    run(active, lambda sweep: turns(sweep, TURNS_FOR_ALL))
    assert {connection.looks for connection in active} == {1}


def test_who_has_bytes_in_the_kernel_alone_is_watched_from_then_on() -> None:
    stuck = Swept(has_written=True, waits_in_kernel=True)

    async def body(sweep: Any) -> None:
        await turns(sweep, TURNS_FOR_ALL)
        looks = stuck.looks
        stuck.has_written = False
        await turns(sweep, 3)
        assert stuck.looks == looks + 3

    run([stuck], body)


def test_who_is_watched_is_looked_at_each_time_until_nothing_is_unsent() -> None:
    slow = Swept(queued=10)

    async def body(sweep: Any) -> None:
        sweep.watch(slow)
        await turns(sweep, 3)
        assert slow.looks == 3
        slow.queued = 0
        await turns(sweep, 3)
        assert slow.looks == 4

    run([slow], body)


def test_queued_bytes_and_who_is_congested_are_known_and_forgotten() -> None:
    slow, slower = Swept(queued=10), Swept(queued=30)
    slower.is_congested = True
    instruments = Instruments(create_metrics("gateway"))

    def known() -> tuple[float, ...]:
        text = instruments.metrics.render("")[0].decode()
        values = dict(line.rsplit(" ", 1) for line in text.splitlines() if line[0] != "#")
        names = ("queued_bytes", "queued_bytes_max", "connections_congested")
        return tuple(float(values[f"tidewire_{name}"]) for name in names)

    async def main() -> None:
        sweep: Any = Sweep([], instruments)
        sweep.watch(slow)
        sweep.watch(slower)
        await sweep.turn()
        assert known() == (40, 30, 1)
        sweep.discard(slower)
        slow.queued = 0
        await sweep.turn()
        assert known() == (0, 0, 0)

    asyncio.run(main())
