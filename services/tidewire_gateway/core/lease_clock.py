"""A node's right to its inbox slot, by its own monotonic clock (pure)."""

from tidewire.targeting.registry import Lease

__all__ = ["LeaseClock"]


class LeaseClock:
    """Times are monotonic seconds. A lease counts from the *sending* of what granted it: the answer may be late.

    While it is not held nothing from the inbox is delivered; a renewal that is answered after the end does not bring it back.
    """

    __slots__ = ("_ends_at", "lease")

    def __init__(self) -> None:
        self.lease: Lease | None = None
        self._ends_at = float("-inf")

    def granted(self, lease: Lease, sent_at: float) -> None:
        self.lease = lease
        self._ends_at = sent_at + lease.lease_ms / 1000

    def renewed(self, lease_ms: int, sent_at: float, now: float) -> bool:
        """Whether the lease goes on; it does not where it had ended before the answer came."""
        if not self.is_held(now):
            return False
        self._ends_at = max(self._ends_at, sent_at + lease_ms / 1000)
        return True

    def lost(self) -> None:
        self.lease = None
        self._ends_at = float("-inf")

    def is_held(self, now: float) -> bool:
        return self.lease is not None and now < self._ends_at

    def accepts(self, epoch: str, now: float) -> bool:
        """Whether an inbox record under this epoch is for the holder of the lease as it is now."""
        return self.lease is not None and epoch == self.lease.epoch and self.is_held(now)

    @property
    def ends_at(self) -> float:
        return self._ends_at
