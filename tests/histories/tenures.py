"""Who held which inbox until when, and what was written there that no mailbox has; pure."""

from .entries import Addressed, Published, Tenure
from .violations import Finding, Rule

__all__ = ["Tenures"]

_ALLOWANCE = 1.0
"""Seconds from the write of a node to what a recording client, one of hundreds in its process, calls arrival."""

_Place = tuple[str, int, int]


class Tenures:
    """A message that is not kept can come from an inbox alone: one that its node held then."""

    def __init__(self) -> None:
        self._tenures: dict[str, Tenure] = {}  # by node epoch
        self._addressed: dict[_Place, set[str]] = {}

    def add(self, entry: Tenure | Addressed) -> None:
        if isinstance(entry, Tenure):
            self._tenures[entry.node_epoch] = entry
        else:
            place = entry.epoch, entry.partition, entry.offset
            self._addressed.setdefault(place, set()).add(entry.node_epoch)

    def fault(self, record: Published, node: str, at: float) -> Finding | None:
        """What is wrong with the arrival of a message from a node; nothing where nobody watched the leases."""
        if record.is_kept or not self._tenures:
            return None
        epochs = self._addressed.get((record.epoch, record.partition, record.offset), set())
        held = [t for e in epochs if (t := self._tenures.get(e)) is not None and t.node == node]
        if not held:
            return Finding(Rule.OLD_EPOCH, f"it was never written for {node}", record)
        over_at = max(tenure.over_at for tenure in held)
        if at <= over_at + _ALLOWANCE:
            return None
        text = f"from {node}, {at - over_at:.1f} s after the lease that it was written for"
        return Finding(Rule.OLD_EPOCH, text, record)
