"""The part of an event loop that delivery needs: its clock and its calls to come."""

from collections.abc import Callable
from typing import Any, Protocol

__all__ = ["Handle", "Timers"]


class Handle(Protocol):
    def cancel(self) -> None: ...


class Timers(Protocol):
    """An asyncio event loop is one; tests drive another by hand."""

    def time(self) -> float:
        """Monotonic seconds."""
        ...

    def call_soon(self, callback: Callable[..., object], *args: Any) -> Handle: ...

    def call_later(self, delay: float, callback: Callable[..., object], *args: Any) -> Handle: ...

    def call_at(self, when: float, callback: Callable[..., object], *args: Any) -> Handle: ...
