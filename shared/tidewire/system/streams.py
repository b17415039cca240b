"""The system's own streams, told like configured ones so that they are made, checked and read like those (pure)."""

from typing import Final

from ..config.streams import Stream
from ..protocol.codes import Mode

__all__ = ["FLOWS", "SYSTEM", "system_streams"]

SYSTEM: Final = "tidewire.system"
FLOWS: Final = "tidewire.flows"
_HOUR_MS: Final = 3_600_000
_DAY_MS: Final = 24 * _HOUR_MS


def system_streams(*, epoch: str = "0", replication: int = 1) -> dict[str, Stream]:
    """By name; each topic is called like its stream. ``epoch``: where the broker has no topic ids.

    How a process was is forgotten a day after its last record, or keys of hosts and processes would gather for ever. A
    configured table may not forget: its snapshots would lack what does not change; whoever lives writes here every two seconds.
    """
    system = Stream(topic=SYSTEM, table=True, epoch=epoch, replication=replication)
    return {
        SYSTEM: system.model_copy(update={"retention_ms": _DAY_MS}),
        FLOWS: Stream(
            topic=FLOWS,
            modes=(Mode.EVERY,),
            retention_ms=_HOUR_MS,
            epoch=epoch,
            replication=replication,
        ),
    }
