"""Look at a drill's nodes now and then, beside everything else: bytes queued, memory."""

import time
from collections.abc import Sequence
from typing import NamedTuple

import httpx

from histories.entries import Sample

from .background import Background
from .exposition import parse
from .node import DrillNode

__all__ = ["Look", "Watch"]

INTERVAL = 0.25
PATIENCE = 5.0


class Look(NamedTuple):
    """What a node said at an instant; sizes in bytes."""

    at: float
    node: str
    queued_most: int
    congested: int
    resident: int


class Watch(Background):
    """Looks from a thread of its own until the block is left; a node that does not answer is left out."""

    def __init__(self, nodes: Sequence[DrillNode]) -> None:
        super().__init__("watch")
        self.looks: list[Look] = []
        self._nodes = list(nodes)

    def samples(self) -> list[Sample]:
        """The bytes queued, as a history holds them."""
        return [Sample(at=look.at, node=look.node, bytes=look.queued_most) for look in self.looks]

    def most_queued(self) -> int:
        return max((look.queued_most for look in self.looks), default=0)

    def grown(self, begin: float, end: float) -> int:
        """How much more memory a node held at its most between two instants than when it was first seen."""
        first: dict[str, int] = {}
        most = 0
        for look in self.looks:
            base = first.setdefault(look.node, look.resident)
            if begin <= look.at <= end:
                most = max(most, look.resident - base)
        return most

    def _run(self) -> None:
        with httpx.Client(timeout=PATIENCE, trust_env=False) as http:
            while not self._stopped.wait(INTERVAL):
                for node in self._nodes:
                    self._look(http, node)

    def _look(self, http: httpx.Client, node: DrillNode) -> None:
        try:
            said = parse(http.get(f"{node.internal}/metrics").text)
            resident = node.resident_bytes()
        except (httpx.HTTPError, OSError):
            return
        self.looks.append(
            Look(
                time.monotonic(),
                node.spec.name,
                int(said.total("queued_bytes_max")),
                int(said.total("connections_congested")),
                resident,
            )
        )
