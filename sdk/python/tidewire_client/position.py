"""Resume positions: opaque to applications, text when they leave the program."""

import json
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

__all__ = ["Position"]


@dataclass(frozen=True, slots=True)
class Position:
    """Where a subscription stands: topic epoch and, per partition, the next offset to read.

    ``str(position)`` is text for a file or a command line; ``Position.parse`` reads it back.
    """

    epoch: str
    offsets: Mapping[int, int]

    def __str__(self) -> str:
        return json.dumps(self.to_wire(), separators=(",", ":"), ensure_ascii=False)

    def merged(self, moved: "Position") -> "Position":
        """This position with the partitions of ``moved``; another epoch replaces everything."""
        if moved.epoch != self.epoch:
            return moved
        if not moved.offsets:
            return self
        return Position(self.epoch, {**self.offsets, **moved.offsets})

    def to_wire(self) -> dict[str, Any]:
        return {"epoch": self.epoch, "offsets": {str(p): o for p, o in self.offsets.items()}}

    @classmethod
    def from_wire(cls, value: object) -> "Position":
        """Read the wire form. Raises ``ValueError`` for anything else."""
        match value:
            case {"epoch": str() as epoch, "offsets": dict() as offsets}:
                return cls(epoch, {_partition(p): _offset(o) for p, o in offsets.items()})
            case _:
                raise ValueError('a position is {"epoch": text, "offsets": {"0": 17, …}}')

    @classmethod
    def parse(cls, text: str) -> "Position":
        """Read what ``str(position)`` wrote. Raises ``ValueError`` for anything else."""
        return cls.from_wire(json.loads(text))


def _partition(value: object) -> int:
    if isinstance(value, str) and value.isascii() and value.isdigit():
        return int(value)
    raise ValueError("a partition in a position is a number as text")


def _offset(value: object) -> int:
    if isinstance(value, int) and not isinstance(value, bool) and value >= 0:
        return value
    raise ValueError("an offset in a position is a whole number from 0")
