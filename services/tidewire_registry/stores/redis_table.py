"""What Redis holds of nodes, as it is read in one step."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any, NamedTuple

import orjson

from tidewire.targeting.registry import NodeAnnouncement, NodeState

from ..core.leases import is_live
from .port import NodeView

__all__ = ["Holder", "NodeTable", "about_of", "status_of", "table_of", "text"]


class Holder(NamedTuple):
    slot: int
    epoch: str
    address: str


@dataclass(frozen=True, slots=True)
class NodeTable:
    """By node. ``now_ms`` is the store's clock, ``settled`` the last settlement's time as it stands there, or empty."""

    now_ms: int
    settled: str
    holders: Mapping[str, Holder]
    ends: Mapping[str, int]
    frozen: frozenset[str]
    about: Mapping[str, Any]
    status: Mapping[str, Any]

    @property
    def settled_ms(self) -> int | None:
        return int(self.settled) if self.settled else None

    def is_live(self, node: str) -> bool:
        return is_live(self.ends.get(node, 0), self.settled_ms or 0)

    def view(self, node: str, sessions: int) -> NodeView:
        held, about, status = self.holders[node], self.about[node], self.status[node]
        return NodeView(
            node=node,
            slot=held.slot,
            epoch=held.epoch,
            address=held.address,
            zone=about["zone"],
            state=NodeState(status["state"]),
            load=status["load"],
            sessions=sessions,
            lease_ms_left=self.ends.get(node, 0) - self.now_ms,
            is_live=self.is_live(node),
        )


def table_of(answer: Any) -> NodeTable:
    """Reads what script ``NODES`` answers."""
    now, settled, holders, leases, frozen, about, status = answer
    return NodeTable(
        now_ms=int(now),
        settled=text(settled),
        holders={node: _holder(held) for node, held in _pairs(holders)},
        ends={node: int(float(end)) for node, end in _pairs(leases)},
        frozen=frozenset(map(text, frozen)),
        about={node: orjson.loads(told) for node, told in _pairs(about)},
        status={node: orjson.loads(told) for node, told in _pairs(status)},
    )


def about_of(announcement: NodeAnnouncement) -> bytes:
    return orjson.dumps({"zone": announcement.zone})


def status_of(state: NodeState, load: Mapping[str, float]) -> bytes:
    return orjson.dumps({"state": state.value, "load": dict(load)})


def text(answer: Any) -> str:
    return answer.decode() if isinstance(answer, bytes) else str(answer)


def _holder(held: str) -> Holder:
    slot, epoch, _, address = held.split(" ", 3)
    return Holder(int(slot), epoch, address)


def _pairs(flat: Iterable[Any]) -> Iterable[tuple[str, str]]:
    words = iter(map(text, flat))
    return zip(words, words, strict=True)
