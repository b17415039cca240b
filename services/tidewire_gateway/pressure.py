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

    def unsent(self) -> None:
        """Bytes wait in this process: have the gauge `sweep` some times a second while it `needs_watching`.

        ``write`` is another one from here on. May be told again meanwhile.
        """
        ...

    def emptied(self) -> None:
        """None wait any more, and ``write`` is the one of before."""
        ...

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
    """Costs nothing while every write goes out at once; a timer while something is unsent for too long."""

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
        self._queue = SendQueue(transport)
        self._pressure = Pressure(limits.high_water, limits.unsent_timeout, limits.stall_timeout)
        self._timer: asyncio.TimerHandle | None = None
        self.buffered: Callable[[], int] = self._queue.buffered
        """Bytes that wait in this process."""
        self.write: Callable[[bytes], None] = transport.write
        if self.buffered() or not self._queue.tells_all:
            self.write = self._write_and_look

    def look(self) -> Unsent:
        return self._queue.look()

    def sweep(self, now: float) -> int:
        """Look how long what is unsent has waited, in the kernel too; the bytes that wait in this process."""
        if self.is_calm and self._pressure.swept(now, self._queue.look()):
            self._now_congested()
        return self.buffered()

    @property
    def needs_watching(self) -> bool:
        """Whether anything was unsent at the last sweep, or is now."""
        return self._listener is not None and bool(
            self._pressure.is_suspect
            or self._pressure.state is PressureState.CONGESTED
            or self.buffered()
        )

    def unsent(self) -> None:
        """The transport could not write everything at once."""
        if self._listener is not None:
            self.write = self._write_and_look
            self._listener.unsent()
            self._look_at_buffer()

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
        if self._listener is None:
            return
        if self._queue.tells_all:
            self.write = self._transport.write
            self._listener.emptied()
        if self._pressure.state is PressureState.CONGESTED:
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

    @property
    def is_on_trial(self) -> bool:
        """Whether it has drained a moment ago: `write_on_trial` is to be used."""
        return self._pressure.state is PressureState.TRIED

    def _write_and_look(self, data: bytes) -> None:
        self._transport.write(data)
        if self._listener is not None and self.buffered():
            self._listener.unsent()
            self._look_at_buffer()

    def _look_at_buffer(self) -> None:
        """Be congested where more than the high-water mark is buffered."""
        if self._pressure.state is PressureState.CONGESTED:
            return
        if self._pressure.is_overfull(self.buffered()):
            self._pressure.overfull(self._loop.time(), self._queue.look())
            self._now_congested()

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
