"""The registry in this process's memory: for tests, and where one process is all there is."""

from collections.abc import Callable, Mapping, Sequence, Set
from dataclasses import dataclass, replace
from itertools import islice

from tidewire.targeting.registry import (
    Batch,
    Evicted,
    Lease,
    NodeAnnouncement,
    NodeState,
    Place,
)

from ..core.leases import LeaseRules, is_live, settle
from ..core.sessions import CONNECTIONS_PER_USER, Row, surplus
from .port import Device, NodeSession, NodeView, Overview, SessionsPage, Tick
from .refusals import lease_lost, name_taken, no_free_slot, overtaken

__all__ = ["MemoryStore"]


@dataclass(frozen=True, slots=True)
class _Holder:
    announcement: NodeAnnouncement
    slot: int
    epoch: str
    previous: str | None
    end_ms: int
    is_frozen: bool = False
    number: int = 0


class MemoryStore:
    """``now_ms`` is the clock that leases run by, in milliseconds."""

    def __init__(
        self,
        now_ms: Callable[[], int],
        rules: LeaseRules | None = None,
        connections_per_user: int = CONNECTIONS_PER_USER,
    ) -> None:
        self._now_ms = now_ms
        self._rules = rules or LeaseRules()
        self._most = connections_per_user
        self._holders: dict[str, _Holder] = {}
        self._rows: dict[str, dict[str, Row]] = {}
        self._index: dict[str, dict[tuple[str, str], None]] = {}
        self._settled_ms: int | None = None

    async def register(
        self, announcement: NodeAnnouncement, epoch: str, *, replaces: str | None = None
    ) -> Lease:
        node = announcement.node
        held = self._holders.get(node)
        if held and self._is_live(held) and replaces not in {held.epoch, held.previous or epoch}:
            raise name_taken(node)
        slot = self._slot_for(held)
        if slot is None:
            raise no_free_slot(self._rules.slots)
        self._holders = {n: h for n, h in self._holders.items() if n != node and h.slot != slot}
        end = self._now_ms() + self._rules.lease_ms
        self._holders[node] = _Holder(announcement, slot, epoch, replaces, end)
        self._index[epoch] = {}
        return Lease(slot, epoch, self._rules.lease_ms)

    async def renew(
        self, node: str, epoch: str, state: NodeState, load: Mapping[str, float]
    ) -> int:
        held = self._held(node, epoch)
        self._holders[node] = replace(
            held,
            announcement=replace(held.announcement, state=state, load=dict(load)),
            end_ms=self._now_ms() + self._rules.lease_ms,
            is_frozen=False,
        )
        return self._rules.lease_ms

    async def release(self, node: str, epoch: str) -> None:
        held = self._holders.get(node)
        if held and held.epoch == epoch:
            del self._holders[node]

    async def announce(self, node: str, epoch: str, batch: Batch) -> Sequence[Evicted]:
        held = self._held(node, epoch)
        if batch.number < held.number:
            raise overtaken(node, batch.number)
        self._holders[node] = replace(held, number=batch.number)
        for user, connection in batch.disconnected:
            self._index[epoch].pop((user, connection), None)
            self._remove(user, connection)
        crowded: dict[str, None] = {}
        for session in batch.connected:
            rows = self._rows.setdefault(session.user, {})
            rows[session.connection] = Row(epoch, session.since_ms, session.device)
            self._index[epoch][session.user, session.connection] = None
            if len(rows) > self._most:
                crowded[session.user] = None
        return [one for user in crowded for one in self._judge(user)]

    async def lookup(self, users: Sequence[str]) -> Mapping[str, Sequence[Place]]:
        live = {h.epoch: h for h in self._holders.values() if self._is_live(h)}
        found: dict[str, Sequence[Place]] = {}
        for user in users:
            by_epoch: dict[str, list[str]] = {}
            for connection, row in self._rows.get(user, {}).items():
                if row.epoch in live:
                    by_epoch.setdefault(row.epoch, []).append(connection)
            if by_epoch:
                places = [_place(live[epoch], names) for epoch, names in by_epoch.items()]
                found[user] = sorted(places, key=lambda place: place.node)
        return found

    async def settle(self) -> Tick:
        now = self._now_ms()
        ends = {node: held.end_ms for node, held in self._holders.items()}
        done = settle(ends, self._frozen(), self._settled_ms, now, self._rules)
        for node in done.frozen:
            held = self._holders[node]
            self._holders[node] = replace(held, end_ms=done.frozen_until_ms, is_frozen=True)
        for node in done.forgotten:
            del self._holders[node]
        self._settled_ms = now
        is_frozen = any(self._is_live(self._holders[node]) for node in self._frozen())
        return Tick(done.ended, done.frozen, is_frozen)

    async def tidy(self, most: int) -> int:
        held = {holder.epoch for holder in self._holders.values()}
        for epoch in [e for e in self._index if e not in held]:
            index = self._index[epoch]
            gone = list(islice(index, most))
            removed = 0
            for user, connection in gone:
                del index[user, connection]
                row = self._rows.get(user, {}).get(connection)
                if row and row.epoch == epoch:
                    self._remove(user, connection)
                    removed += 1
            if not index:
                del self._index[epoch]
            if gone:
                return removed
        return 0

    async def overview(self) -> Overview:
        views = [self._view(node) for node in sorted(self._holders)]
        frozen = self._frozen()
        return Overview(views, any(view.is_live for view in views if view.node in frozen))

    async def addresses(self, nodes: Sequence[str]) -> Mapping[str, str]:
        return {
            node: self._holders[node].announcement.address
            for node in nodes
            if node in self._holders
        }

    async def sessions_of(self, node: str, cursor: str | None, limit: int) -> SessionsPage | None:
        held = self._holders.get(node)
        if held is None:
            return None
        first = int(cursor or 0)
        index = self._index[held.epoch]
        page = []
        for user, connection in islice(index, first, first + limit):
            row = self._rows.get(user, {}).get(connection)
            if row and row.epoch == held.epoch:
                page.append(NodeSession(user, connection, row.device, row.since_ms))
        after = first + limit
        return SessionsPage(held.epoch, page, str(after) if after < len(index) else None)

    async def devices_of(self, user: str) -> Sequence[Device]:
        by_epoch = {held.epoch: held for held in self._holders.values()}
        devices = []
        for connection, row in self._rows.get(user, {}).items():
            held = by_epoch.get(row.epoch)
            live = held is not None and self._is_live(held)
            node = held.announcement.node if held else None
            devices.append(Device(connection, node, row.device, row.since_ms, live))
        return sorted(devices, key=lambda device: (device.since_ms, device.connection))

    async def close(self) -> None:
        return

    def _is_live(self, held: _Holder) -> bool:
        return is_live(held.end_ms, self._settled_ms or 0)

    def _held(self, node: str, epoch: str) -> _Holder:
        held = self._holders.get(node)
        if held is None or held.epoch != epoch or not self._is_live(held):
            raise lease_lost(node)
        return held

    def _slot_for(self, held: _Holder | None) -> int | None:
        """The slot it had, one that nobody had for longest, none."""
        if held and held.slot < self._rules.slots:
            return held.slot
        taken = {h.slot: h for h in self._holders.values()}
        for slot in range(self._rules.slots):
            if slot not in taken:
                return slot
        over = [h for h in taken.values() if h.slot < self._rules.slots and not self._is_live(h)]
        return min(over, key=lambda h: (h.end_ms, h.slot)).slot if over else None

    def _frozen(self) -> Set[str]:
        return {node for node, held in self._holders.items() if held.is_frozen}

    def _judge(self, user: str) -> list[Evicted]:
        rows = self._rows[user]
        live = {h.epoch: n for n, h in self._holders.items() if self._is_live(h)}
        for connection in [c for c, row in rows.items() if row.epoch not in live]:
            del rows[connection]
        evicted = [Evicted(user, c, live[rows[c].epoch]) for c in surplus(rows, self._most)]
        for connection in surplus(rows, 2 * self._most):
            self._index[rows.pop(connection).epoch].pop((user, connection), None)
        return evicted

    def _remove(self, user: str, connection: str) -> None:
        rows = self._rows.get(user, {})
        rows.pop(connection, None)
        if not rows:
            self._rows.pop(user, None)

    def _view(self, node: str) -> NodeView:
        held = self._holders[node]
        told = held.announcement
        return NodeView(
            node=node,
            slot=held.slot,
            epoch=held.epoch,
            address=told.address,
            zone=told.zone,
            state=told.state,
            load=told.load,
            sessions=len(self._index[held.epoch]),
            lease_ms_left=held.end_ms - self._now_ms(),
            is_live=self._is_live(held),
        )


def _place(held: _Holder, connections: Sequence[str]) -> Place:
    told = held.announcement
    return Place(told.node, held.slot, held.epoch, told.address, tuple(sorted(connections)))
