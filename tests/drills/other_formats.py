"""A service of a version that forgot the rules of evolution: ``python -m drills.other_formats SERVICE``, told like the real one.

What it writes, or asks for, is no longer what the release does: the drill of rolling upgrades has to find each of them.
"""

import sys
from collections.abc import Callable
from importlib import import_module
from typing import Any

from tidewire.kafka.records import NewRecord, Record
from tidewire.protocol.positions import Position
from tidewire.targeting import messages
from tidewire.targeting.errors import BadMessage, BadMessageError

__all__ = ["main"]

NEW_HEADER = "tidewire-shard"


def last_read_positions() -> None:
    """Positions hold the last offset that was read, in place of the next one."""
    to_wire, from_wire = Position.to_wire, Position.from_wire

    def write(self: Position) -> dict[str, Any]:
        return to_wire(Position(self.epoch, {p: max(0, o - 1) for p, o in self.offsets.items()}))

    def read(value: object) -> Position:
        position = from_wire(value)
        return Position(position.epoch, {p: o and o + 1 for p, o in position.offsets.items()})

    Position.to_wire = write  # type: ignore[method-assign] # the sabotage
    Position.from_wire = read  # type: ignore[method-assign] # the sabotage


def demanding_letters() -> None:
    """A letter must have a header that routers of the release do not write."""
    inbox_record, letter_of = messages.inbox_record, messages.letter_of

    def write(letter: messages.Letter, topic: str, slot: int, epoch: str) -> NewRecord:
        record = inbox_record(letter, topic, slot, epoch)
        return record._replace(headers=[*record.headers, (NEW_HEADER, b"0")])

    def read(record: Record) -> tuple[str, messages.Letter]:
        if NEW_HEADER not in dict(record.headers):
            raise BadMessageError(BadMessage.BAD_HEADERS, f"{NEW_HEADER} is missing")
        return letter_of(record)

    messages.inbox_record = write
    messages.letter_of = read


def other_registry_keys() -> None:
    """The registry keeps nodes under other keys."""
    from tidewire_registry.stores import redis

    redis._NODES = "{tidewire:nodes}"  # type: ignore[misc] # the sabotage


def other_tags() -> None:
    """A channel's tag is written in another way."""
    from tidewire_gateway.core import one_off

    etag_of = one_off.etag_of
    one_off.etag_of = lambda position: f'"2-{etag_of(position)[1:]}'


CHANGES: dict[str, tuple[Callable[[], None], ...]] = {
    "tidewire_gateway": (last_read_positions, demanding_letters, other_tags),
    "tidewire_router": (demanding_letters,),
    "tidewire_registry": (other_registry_keys,),
    "tidewire_publisher": (),
}


def main(service: str) -> int:
    for change in CHANGES[service]:
        change()
    code: int = import_module(f"{service}.__main__").main()
    return code


if __name__ == "__main__":
    sys.exit(main(sys.argv.pop(1)))
