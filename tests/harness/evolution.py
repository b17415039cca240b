"""What golden vectors of a release may become within its protocol version (pure): the rules of docs/protocol.md, "Evolution"."""

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

__all__ = ["breaks", "holds"]

Vector = Mapping[str, Any]

KEPT_FOR_LATER = frozenset({"unsupported", "unknown_type"})
"""Errors of a node that does not know something yet: what is refused so may be understood later."""
_CLOSES = ("close", "close_on_repetition")
_SEE = 'a change that needs it is a new protocol version (docs/protocol.md, "Evolution")'


def holds(present: object, released: object) -> bool:
    """Whether everything of ``released`` is there as it was; an object may have more fields."""
    match released:
        case dict():
            return isinstance(present, dict) and all(
                name in present and holds(present[name], value) for name, value in released.items()
            )
        case list():
            return (
                isinstance(present, list)
                and len(present) == len(released)
                and all(map(holds, present, released))
            )
        case _:
            return present == released and isinstance(present, bool) == isinstance(released, bool)


def breaks(file: str, released: Sequence[Vector], present: Sequence[Vector]) -> list[str]:
    """A sentence for each released vector of ``file`` that does not hold any more, naming the rule."""
    by_name = {vector["name"]: vector for vector in present}
    return [
        f"{file}: {vector['name']}: {fault}; {_SEE}"
        for vector in released
        for fault in _faults(file, vector, by_name.get(vector["name"]))
    ]


def _faults(file: str, released: Vector, present: Vector | None) -> Iterator[str]:
    if present is None:
        yield "is gone, and what was released stays a vector under its name"
        return
    match file:
        case "client_frames.json":
            yield from _client_faults(released, present)
        case "server_frames.json":
            yield from _server_faults(released, present)
        case "foreign_server_frames.json":
            yield from _foreign_faults(released, present)
        case _:
            yield from _sequence_faults(released, present)


def _client_faults(released: Vector, present: Vector) -> Iterator[str]:
    if present["frame"] != released["frame"]:
        yield "is another frame now, and what clients of the release send stays understood"
    known = released.get("messages", [])
    error = released.get("error")
    is_kept = error is not None and error["code"] in KEPT_FOR_LATER
    if not is_kept and not holds(present.get("messages", []), known):
        yield "is read as something else, and a field keeps its meaning: what is added is optional"
    if not is_kept and present.get("error") != error:
        yield "is answered otherwise, and an error keeps its code"
    if [present.get(n) for n in _CLOSES] != [released.get(n) for n in _CLOSES]:
        yield "ends the connection otherwise, and a close code keeps its duty"


def _server_faults(released: Vector, present: Vector) -> Iterator[str]:
    if not holds(present["messages"], released["messages"]):
        yield "lacks what it had, or has it otherwise, and clients of the release read it"
    if present.get("raw_data") != released.get("raw_data"):
        yield "has other data, and data is the producer's, byte for byte"


def _foreign_faults(released: Vector, present: Vector) -> Iterator[str]:
    if present["frame"] != released["frame"]:
        yield "is another frame now, and what a client has to bear stays"
    if not released.get("fault") and not holds(present.get("messages"), released["messages"]):
        yield "is not borne any more: unknown fields are ignored, unknown types skipped"


def _sequence_faults(released: Vector, present: Vector) -> Iterator[str]:
    if present["frames"] != released["frames"]:
        yield "has other frames, and what nodes of the release send stays understood"
    if not holds(present["expect"], released["expect"]):
        yield "leaves a client elsewhere, and positions, duplicates and gaps keep their rules"
