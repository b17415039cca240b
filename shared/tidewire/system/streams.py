"""The system's own streams, told like configured ones so that they are made, checked and read like those (pure)."""

from typing import Final

from ..config.streams import Stream
from ..protocol.codes import Mode

__all__ = ["FLOWS", "SYSTEM", "system_streams"]

SYSTEM: Final = "tidewire.system"
FLOWS: Final = "tidewire.flows"
_HOUR_MS: Final = 3_600_000


def system_streams(*, epoch: str = "0", replication: int = 1) -> dict[str, Stream]:
    """By name; each topic is called like its stream. ``epoch``: where the broker has no topic ids."""
    return {
        SYSTEM: Stream(topic=SYSTEM, table=True, epoch=epoch, replication=replication),
        FLOWS: Stream(
            topic=FLOWS,
            modes=(Mode.EVERY,),
            retention_ms=_HOUR_MS,
            epoch=epoch,
            replication=replication,
        ),
    }
