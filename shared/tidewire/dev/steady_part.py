"""A part that must come up once and stay: publisher, replay."""

from typing import Any, Final

from .processes import Child, ChildSpec, start_child
from .running import ready_of

__all__ = ["SteadyPart"]

START_TIMEOUT: Final = 60.0


class SteadyPart:
    """``ready`` is its ready line once it said so. `tick` never blocks."""

    def __init__(self, spec: ChildSpec, *, now: float) -> None:
        self.child: Child = start_child(spec)
        self.ready: dict[str, Any] | None = None
        self._deadline = now + START_TIMEOUT

    def tick(self, now: float) -> bool:
        """Look after it; whether it has become ready just now.

        Raises `ChildFailedError` when it ended, or is not ready in time.
        """
        if self.child.exit_code() is not None:
            raise self.child.failure(f"ended by itself ({self.child.describe_end()})")
        if self.ready is not None:
            return False
        self.ready = ready_of(self.child.output())
        if self.ready is None and now >= self._deadline:
            raise self.child.failure(f"was not ready within {START_TIMEOUT:g} s")
        return self.ready is not None
