"""When a connection is behind, when it has taken what was unsent, and when it takes nothing any more."""

from collections import deque
from dataclasses import dataclass
from enum import Enum, auto

__all__ = ["NEARLY_EMPTY", "Change", "Pressure", "PressureState", "Unsent"]

NEARLY_EMPTY = 1024
"""Bytes unsent in the kernel that count as none: less than a second, even at 1 kB/s."""

_FIRST_LOOK = 0.005
_LONGEST_LOOK = 0.1
_MARKS = 8


@dataclass(frozen=True, slots=True)
class Unsent:
    """The bytes of one connection at one moment.

    ``buffered`` wait in this process; ``in_kernel`` were taken by the kernel and not yet sent; ``sent`` were put on
    the network, ``acknowledged`` arrived at the peer, both counted from the connection's beginning. Where the system
    does not tell, ``in_kernel`` and ``sent`` stay 0 and ``acknowledged`` moves whenever ``buffered`` does.
    """

    buffered: int
    in_kernel: int
    sent: int
    acknowledged: int

    @property
    def total(self) -> int:
        return self.buffered + self.in_kernel

    @property
    def is_drained(self) -> bool:
        return self.buffered == 0 and self.in_kernel <= NEARLY_EMPTY


class PressureState(Enum):
    CALM = auto()
    CONGESTED = auto()
    TRIED = auto()  # has drained; congested at once if what it is given now stays unsent


class Change(Enum):
    """What a look at a connection that is watched has brought."""

    NONE = auto()
    CONGESTED = auto()
    DRAINED = auto()
    STALLED = auto()  # nothing arrived for `stall_timeout`
    CALM = auto()  # needs no watching any more


class Pressure:
    """State of one connection; sizes in bytes, times in seconds.

    Congested beyond ``high_water`` in this process, or when the earliest unsent byte has waited for
    ``unsent_timeout``; drained when hardly anything is unsent, in the kernel neither.
    """

    __slots__ = (
        "_acknowledged",
        "_high_water",
        "_is_doubted",
        "_marks",
        "_moved_at",
        "_released_at",
        "_stall_timeout",
        "_unsent_timeout",
        "look_interval",
        "state",
    )

    def __init__(self, high_water: int, unsent_timeout: float, stall_timeout: float) -> None:
        self._high_water = high_water
        self._unsent_timeout = unsent_timeout
        self._stall_timeout = stall_timeout
        self._marks: deque[tuple[float, int]] | None = None
        self._acknowledged = 0
        self._moved_at = 0.0
        self._released_at = 0.0
        self._is_doubted = False
        self.state = PressureState.CALM
        self.look_interval = _FIRST_LOOK
        """When to look next, while it is congested or tried."""

    @property
    def is_suspect(self) -> bool:
        """Bytes were unsent at the last sweep: the next one has to look, even if none are buffered."""
        return self._marks is not None

    def is_overfull(self, buffered: int) -> bool:
        return buffered > self._high_water

    def overfull(self, now: float, unsent: Unsent) -> None:
        """More than the high-water mark is buffered."""
        self._marks = None
        self._acknowledged = unsent.acknowledged
        self._moved_at = now
        self.state = PressureState.CONGESTED
        self.look_interval = _FIRST_LOOK

    def swept(self, now: float, unsent: Unsent) -> bool:
        """Look at a calm connection, some times a second; true when it is congested from now on."""
        if self.is_overfull(unsent.buffered) or self._waited(now, unsent) >= self._unsent_timeout:
            self.overfull(now, unsent)
            return True
        return False

    def looked(self, now: float, unsent: Unsent) -> Change:
        """Look at a connection that is congested or tried."""
        if self.state is PressureState.CONGESTED:
            return self._look_at_congested(now, unsent)
        return self._look_at_tried(now, unsent)

    def hasten(self) -> None:
        """This process has nothing left to write: the kernel may soon have sent it."""
        self.look_interval = _FIRST_LOOK

    def _look_at_congested(self, now: float, unsent: Unsent) -> Change:
        if unsent.is_drained:
            self.state = PressureState.TRIED
            self._is_doubted = False
            self._released_at = now + self._unsent_timeout
            self.look_interval = _FIRST_LOOK
            return Change.DRAINED
        self._look_less_often()
        if unsent.acknowledged != self._acknowledged:
            self._acknowledged = unsent.acknowledged
            self._moved_at = now
        elif now - self._moved_at >= self._stall_timeout:
            return Change.STALLED
        return Change.NONE

    def _look_at_tried(self, now: float, unsent: Unsent) -> Change:
        """Bytes that are seen unsent once may have been written this moment; twice, they stay."""
        if not unsent.is_drained:
            if self._is_doubted:
                self.overfull(now, unsent)
                return Change.CONGESTED
            self._is_doubted = True
            self.look_interval = _FIRST_LOOK
            return Change.NONE
        self._is_doubted = False
        if now >= self._released_at:
            self.state = PressureState.CALM
            return Change.CALM
        self._look_less_often()
        return Change.NONE

    def _look_less_often(self) -> None:
        self.look_interval = min(self.look_interval * 2, _LONGEST_LOOK)

    def _waited(self, now: float, unsent: Unsent) -> float:
        """How long the earliest unsent byte has waited at least.

        A mark says: at that moment, so many bytes had been queued since the beginning. While fewer are sent, one
        of them is still waiting. Without ``sent`` this is how long nobody has seen the buffer empty.
        """
        if unsent.is_drained:
            self._marks = None
            return 0.0
        if self._marks is None:
            self._marks = deque()
        marks = self._marks
        while marks and unsent.sent >= marks[0][1]:
            marks.popleft()
        if not marks or now - marks[-1][0] >= self._unsent_timeout / _MARKS:
            marks.append((now, unsent.sent + unsent.total))
        return now - marks[0][0]
