"""How clients moved between two versions, and when those came back who were moved by a drain."""

from collections import Counter
from collections.abc import Iterable, Sequence
from itertools import pairwise
from typing import NamedTuple

from .code import Code
from .rolling import Departed
from .sightings import Sighting

__all__ = ["Stay", "crossings", "moves", "stays"]


class Stay(NamedTuple):
    """A connection of a client: when it was opened, to which node."""

    at: float
    node: str


def stays(sighting: Sighting) -> Sequence[Stay]:
    """Those that were welcomed, in order."""
    nodes = {welcome.number: welcome.node for welcome in sighting.welcomes}
    return [
        Stay(opened.at, nodes[opened.connection])
        for opened in sighting.opened
        if opened.connection in nodes
    ]


def crossings(
    seen: Iterable[Sighting], departed: Sequence[Departed], first: Code
) -> Counter[tuple[Code, Code]]:
    """How often a client went from a node of one code to one of another; all nodes began with ``first``."""
    counted: Counter[tuple[Code, Code]] = Counter()
    for sighting in seen:
        codes = [_code_at(stay, departed, first) for stay in stays(sighting)]
        counted.update(pair for pair in pairwise(codes) if pair[0] != pair[1])
    return counted


def moves(seen: Iterable[Sighting], gone: Departed, begin: float, end: float) -> list[float]:
    """When clients of a node that was drained opened their next connection, between two instants."""
    return [
        after.at
        for sighting in seen
        for before, after in pairwise(stays(sighting))
        if before.node == gone.node and before.at < gone.asked_at and begin <= after.at <= end
    ]


def _code_at(stay: Stay, departed: Sequence[Departed], first: Code) -> Code:
    """What the node was when the connection was opened."""
    codes = [gone.code for gone in departed if gone.node == stay.node and gone.asked_at < stay.at]
    return codes[-1] if codes else first
