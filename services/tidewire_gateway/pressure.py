"""Watch one connection's unsent bytes: tell when it is behind, when it has drained, and when it is stuck."""

import asyncio
from collections.abc import Callable
from typing import Protocol

from .core.limits import Limits
from .core.pressure import Change, Pressure, PressureState, Unsent
from .send_queue import SendQueue

__all__ = ["PressureGauge", "PressureListener"]


class PressureListener(Protocol):
    """A connection, as its gauge sees it."""

    def congested(self) -> None: ...

    def drained(self) -> None:
        """Write with ``write_on_trial`` from now on; may do so at once, and be congested before it returns."""
        ...

    def calm(self) -> None:
        """Write with ``write`` again."""
        ...

    def stalled(self) -> None:
        """The peer has taken no byte for `Limits.stall_timeout`."""
        ...


class PressureGauge:
    """Costs a call of ``buffered`` per sweep while nothing is unsent; one timer while something is for too long."""

    __slots__ = (
        "_listener",
        "_loop",
        "_pressure",
        "_queue",
        "_timer",
        "_transport",
        "buffered",
        "write",
    )

    def __init__(
        self,
        transport: asyncio.Transport,
        listener: PressureListener,
        limits: Limits,
        loop: asyncio.AbstractEventLoop,
    ) -> None:
        self._transport = transport
        self._listener: PressureListener | None = listener
        self._loop = loop
        self._queue = SendQueue(transport, high_water=limits.high_water)
        self._pressure = Pressure(limits.high_water, limits.unsent_timeout, limits.stall_timeout)
        self._timer: asyncio.TimerHandle | None = None
        self.buffered: Callable[[], int] = self._queue.buffered
        """Bytes that wait in this process."""
        self.write: Callable[[bytes], None] = transport.write
        if not self._queue.tells_all:
            self.write = self._write_and_look

    def look(self) -> Unsent:
        return self._queue.look()

    def sweep(self, now: float, *, is_probed: bool) -> int:
        """Look at a calm connection if something is unsent or ``is_probed``; the bytes that are buffered."""
        buffered = self.buffered()
        is_due = buffered or is_probed or self._pressure.is_suspect
        if is_due and self.is_calm and self._pressure.swept(now, self._queue.look()):
            self._now_congested()
        return buffered

    def overfull(self) -> None:
        """More than the high-water mark is buffered."""
        if self._listener is None or self._pressure.state is PressureState.CONGESTED:
            return
        self._pressure.overfull(self._loop.time(), self._queue.look())
        self._now_congested()

    def write_on_trial(self, data: bytes) -> None:
        """Write, and be congested at once if it is not sent at once: a slow peer so gets one piece at a time."""
        self.write(data)
        if self._pressure.state is PressureState.TRIED and self._listener is not None:
            unsent = self._queue.look()
            if not unsent.is_drained:
                self._pressure.overfull(self._loop.time(), unsent)
                self._now_congested()

    def emptied(self) -> None:
        """Nothing is buffered any more."""
        if self._listener is not None and self._pressure.state is PressureState.CONGESTED:
            self._pressure.hasten()
            self._look()

    def end(self) -> None:
        """The connection is closing: nobody is told anything from here on."""
        self._listener = None  # each refers to the other
        self._stop_looking()

    @property
    def is_calm(self) -> bool:
        """Whether everything that is written goes out, as far as is known."""
        return self._pressure.state is PressureState.CALM and self._listener is not None

    def _write_and_look(self, data: bytes) -> None:
        self._transport.write(data)
        if self._pressure.is_overfull(self.buffered()):
            self.overfull()

    def _now_congested(self) -> None:
        assert self._listener is not None
        self._look_later()
        self._listener.congested()

    def _look(self) -> None:
        listener = self._listener
        assert listener is not None
        change = self._pressure.looked(self._loop.time(), self._queue.look())
        if change is Change.STALLED:
            listener.stalled()
        elif change is Change.CALM:
            self._stop_looking()
            listener.calm()
        else:
            self._look_later()
            if change is Change.CONGESTED:
                listener.congested()
            elif change is Change.DRAINED:
                listener.drained()

    def _stop_looking(self) -> None:
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None

    def _look_later(self) -> None:
        self._stop_looking()
        self._timer = self._loop.call_later(self._pressure.look_interval, self._look)
