"""Events as the gateway holds them: encoded once when their record is read."""

from typing import NamedTuple

__all__ = ["Event"]


class Event(NamedTuple):
    """One event of a partition.

    ``entity`` is what coalesces and travels as ``key``; ``group`` is what a channel selects;
    ``encoded`` is the event as it stands in every frame (UTF-8 JSON).
    """

    entity: str
    group: str
    partition: int
    offset: int
    ts_ms: int
    deleted: bool
    encoded: bytes
