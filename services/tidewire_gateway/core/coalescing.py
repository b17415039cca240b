"""Windows: what a feed gathers between two flushes."""

from collections.abc import Sequence
from typing import NamedTuple

from tidewire.protocol.codes import Mode

from .events import Event

__all__ = ["Batch", "EveryWindow", "LatestWindow", "Window", "make_window"]


class Batch(NamedTuple):
    """What one flush carries; ``coalesced`` counts the events folded away."""

    events: Sequence[Event]
    coalesced: int


class LatestWindow:
    """Keeps the newest event of every entity; bounded by the number of entities."""

    __slots__ = ("_newest", "_offered")

    def __init__(self) -> None:
        self._newest: dict[str, Event] = {}
        self._offered = 0

    def __len__(self) -> int:
        return len(self._newest)

    def offer(self, event: Event) -> bool:
        """Take an event; whether the window is full, which this one never is."""
        self._newest[event.entity] = event
        self._offered += 1
        return False

    def take_batch(self) -> Batch:
        events = list(self._newest.values())
        batch = Batch(events, self._offered - len(events))
        self._newest = {}
        self._offered = 0
        return batch


class EveryWindow:
    """Keeps every event in order; it is full when ``max_bytes`` are reached."""

    __slots__ = ("_bytes", "_events", "_max_bytes")

    def __init__(self, max_bytes: int) -> None:
        self._events: list[Event] = []
        self._bytes = 0
        self._max_bytes = max_bytes

    def __len__(self) -> int:
        return len(self._events)

    def offer(self, event: Event) -> bool:
        """Take an event; whether the window is full."""
        self._events.append(event)
        self._bytes += len(event.encoded)
        return self._bytes >= self._max_bytes

    def take_batch(self) -> Batch:
        batch = Batch(self._events, 0)
        self._events = []
        self._bytes = 0
        return batch


Window = LatestWindow | EveryWindow


def make_window(mode: Mode, max_bytes: int) -> Window:
    return LatestWindow() if mode is Mode.LATEST else EveryWindow(max_bytes)
