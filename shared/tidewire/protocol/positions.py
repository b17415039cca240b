"""Resume positions: a topic's epoch and, per partition, the next offset to read."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from .codes import ErrorCode
from .errors import ProtocolError

__all__ = ["Position"]

_MAX_OFFSET = 2**63 - 1


@dataclass(frozen=True, slots=True)
class Position:
    """Where a client stands in a channel.

    ``offsets`` maps partition → next offset to read, as Kafka commits them. Every matching record
    below its partition's offset was delivered, superseded by a newer record of its key, or announced
    as a gap (docs/protocol.md, "Position").
    """

    epoch: str
    offsets: Mapping[int, int]

    def to_wire(self) -> dict[str, Any]:
        return {"epoch": self.epoch, "offsets": {str(p): o for p, o in self.offsets.items()}}

    @classmethod
    def from_wire(cls, value: object) -> "Position":
        """Read a client's position.

        Raises ``ProtocolError`` (``bad_request``) for anything but
        ``{"epoch": text, "offsets": {"<partition>": offset}}``.
        """
        match value:
            case {"epoch": str() as epoch, "offsets": dict() as offsets}:
                return cls(epoch, dict(_offset(p, o) for p, o in offsets.items()))
            case _:
                raise _malformed()


def _offset(partition: object, offset: object) -> tuple[int, int]:
    if (
        isinstance(partition, str)
        and partition.isascii()
        and partition.isdigit()
        and len(partition) <= 9
        and isinstance(offset, int)
        and not isinstance(offset, bool)
        and 0 <= offset <= _MAX_OFFSET
    ):
        return int(partition), offset
    raise _malformed()


def _malformed() -> ProtocolError:
    return ProtocolError(
        ErrorCode.BAD_REQUEST,
        'a position is {"epoch": text, "offsets": {"<partition>": <next offset>}}; '
        "hand back the last one received, unchanged",
    )
