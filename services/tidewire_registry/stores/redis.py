"""The registry in Redis: one server, or the primary that Sentinel names.

It must not evict keys (maxmemory-policy noeviction). Where it was restarted, or a replica took over, the last of what was
announced may be lost: every node then loses its lease, and announces its sessions anew.

Redis Cluster is not supported: a step that must be atomic touches a node and its users at once, and a cluster keeps those in
different places.
"""

from collections.abc import Callable, Mapping, Sequence
from typing import Any, Final

from redis.asyncio import Redis

from tidewire.targeting.registry import (
    Batch,
    Evicted,
    Lease,
    NodeAnnouncement,
    NodeState,
    Place,
)

from ..core.leases import LeaseRules, settle
from ..core.sessions import CONNECTIONS_PER_USER, Row, row_of, text_of
from . import lua_nodes, lua_sessions
from .commands import Argument, Commands, Script
from .port import Device, NodeSession, Overview, SessionsPage, Tick
from .redis_table import NodeTable, about_of, status_of, table_of, text
from .refusals import lease_lost, name_taken, no_free_slot, overtaken
from .upkeep import Upkeep

__all__ = ["RedisStore"]

_NODES: Final = "{tidewire:registry}"
_SESSIONS: Final = "tidewire:sessions:"
_KEEP_MS: Final = 86_400_000
"""How long rows stay that nobody renews: those whose index was lost. `RedisStore.tidy` renews the others."""
_PER_SCRIPT: Final = 250
"""Users that one script looks up, or sessions that one takes: Redis does nothing else meanwhile."""
_TAKEN, _FULL = -1, -2
_LOST, _OVERTAKEN = 0, -1

_register, _renew, _release = (
    Script(lua_nodes.REGISTER),
    Script(lua_nodes.RENEW),
    Script(lua_nodes.RELEASE),
)
_announce, _lookup = Script(lua_sessions.ANNOUNCE), Script(lua_sessions.LOOKUP)
_nodes, _apply, _doubt = Script(lua_nodes.NODES), Script(lua_nodes.APPLY), Script(lua_nodes.DOUBT)


class RedisStore:
    """Leases run by the clock of Redis, or by ``now_ms`` where it is given; ``timeout``: seconds for each call.

    Owns the client.
    """

    def __init__(
        self,
        client: Redis,
        rules: LeaseRules | None = None,
        *,
        connections_per_user: int = CONNECTIONS_PER_USER,
        timeout: float = 2.0,
        now_ms: Callable[[], int] | None = None,
    ) -> None:
        self._commands = Commands(client, _NODES, timeout)
        self._upkeep = Upkeep(self._commands, _NODES, _SESSIONS, _KEEP_MS)
        self._rules = rules or LeaseRules()
        self._most = connections_per_user
        self._given_now = now_ms

    async def register(
        self, announcement: NodeAnnouncement, epoch: str, *, replaces: str | None = None
    ) -> Lease:
        node = announcement.node
        slot = await self._commands.run(
            _register,
            self._now(),
            node,
            epoch,
            replaces or "",
            announcement.address,
            about_of(announcement),
            status_of(announcement.state, announcement.load),
            self._rules.lease_ms,
            self._rules.slots,
        )
        if slot == _TAKEN:
            raise name_taken(node)
        if slot == _FULL:
            raise no_free_slot(self._rules.slots)
        return Lease(slot, epoch, self._rules.lease_ms)

    async def renew(
        self, node: str, epoch: str, state: NodeState, load: Mapping[str, float]
    ) -> int:
        lease_ms = self._rules.lease_ms
        status = status_of(state, load)
        if not await self._commands.run(_renew, self._now(), node, epoch, status, lease_ms):
            raise lease_lost(node)
        return lease_ms

    async def release(self, node: str, epoch: str) -> None:
        await self._commands.run(_release, node, epoch)

    async def announce(self, node: str, epoch: str, batch: Batch) -> Sequence[Evicted]:
        head = (node, epoch, batch.number, _SESSIONS, self._most, _KEEP_MS)
        calls: list[list[Argument]] = [
            [*head, len(gone), *(word for pair in gone for word in pair)]
            for gone in _chunks(batch.disconnected)
        ]
        for came in _chunks(batch.connected):
            call: list[Argument] = [*head, 0]
            for session in came:
                row = text_of(Row(epoch, session.since_ms, session.device))
                call += (session.user, session.connection, row)
            calls.append(call)
        evicted: dict[Evicted, None] = {}
        for answer in await self._commands.run_each(_announce, calls or [[*head, 0]]):
            if answer == _LOST:
                raise lease_lost(node)
            if answer == _OVERTAKEN:
                raise overtaken(node, batch.number)
            words = iter(map(text, answer))
            evicted.update((Evicted(*x), None) for x in zip(words, words, words, strict=True))
        return list(evicted)

    async def lookup(self, users: Sequence[str]) -> Mapping[str, Sequence[Place]]:
        chunks = _chunks(users)
        calls = [(_SESSIONS, *chunk) for chunk in chunks]
        answers = await self._commands.run_each(_lookup, calls) if calls else ()
        found: dict[str, Sequence[Place]] = {}
        for chunk, (places, rows) in zip(chunks, answers, strict=True):
            _read_lookup(chunk, text(places), text(rows), found)
        return found

    async def settle(self) -> Tick:
        doubted = int(await self._commands.run(_doubt))
        table = await self._table()
        done = settle(table.ends, table.frozen, table.settled_ms, table.now_ms, self._rules)
        changes: list[Argument] = []
        for node in (*done.frozen, *done.forgotten):
            changes += (node, table.ends[node])
        is_applied = await self._commands.run(
            _apply,
            done.now_ms,
            table.settled,
            done.frozen_until_ms,
            len(done.frozen),
            *changes,
        )
        is_frozen = bool(done.frozen) or any(
            table.ends.get(node, 0) > table.now_ms for node in table.frozen
        )
        if not is_applied:  # another process settled meanwhile, and tells what it did
            return Tick((), (), is_frozen, doubted)
        return Tick(done.ended, done.frozen, is_frozen, doubted)

    async def tidy(self, most: int) -> int:
        removed = await self._upkeep.sweep(most)
        await self._upkeep.renew(most)
        return removed

    async def overview(self) -> Overview:
        table = await self._table()
        nodes = sorted(table.holders)
        asked = [("SCARD", _index(table.holders[node].epoch)) for node in nodes]
        counts = await self._commands.ask(asked) if asked else ()
        views = [table.view(node, count) for node, count in zip(nodes, counts, strict=True)]
        return Overview(views, any(view.is_live for view in views if view.node in table.frozen))

    async def addresses(self, nodes: Sequence[str]) -> Mapping[str, str]:
        holders = (await self._table()).holders
        return {node: holders[node].address for node in nodes if node in holders}

    async def sessions_of(self, node: str, cursor: str | None, limit: int) -> SessionsPage | None:
        held = (await self._table()).holders.get(node)
        if held is None:
            return None
        index = _index(held.epoch)
        [(after, members)] = await self._commands.ask(
            [("SSCAN", index, cursor or "0", "COUNT", limit)]
        )
        keys = []
        for member in members:
            connection, _, user = text(member).partition(" ")
            keys.append((user, connection))
        asked = [("HGET", _home(user), connection) for user, connection in keys]
        answers = await self._commands.ask(asked) if asked else ()
        page = []
        for (user, connection), answer in zip(keys, answers, strict=True):
            row = row_of(text(answer)) if answer is not None else None
            if row and row.epoch == held.epoch:
                page.append(NodeSession(user, connection, row.device, row.since_ms))
        return SessionsPage(held.epoch, page, None if int(after) == 0 else text(after))

    async def devices_of(self, user: str) -> Sequence[Device]:
        [answer] = await self._commands.ask([("HGETALL", _home(user))])
        table = await self._table()
        by_epoch = {held.epoch: node for node, held in table.holders.items()}
        devices = []
        for connection, written in answer.items():
            row = row_of(text(written))
            node = by_epoch.get(row.epoch)
            live = node is not None and table.is_live(node)
            devices.append(Device(text(connection), node, row.device, row.since_ms, live))
        return sorted(devices, key=lambda device: (device.since_ms, device.connection))

    async def close(self) -> None:
        await self._commands.close()

    async def _table(self) -> NodeTable:
        return table_of(await self._commands.run(_nodes, self._now()))

    def _now(self) -> Argument:
        return "" if self._given_now is None else self._given_now()


def _home(user: str) -> str:
    return f"{_SESSIONS}{{{user}}}"


def _index(epoch: str) -> str:
    return f"{_NODES}:index:{epoch}"


def _chunks(items: Sequence[Any]) -> list[Sequence[Any]]:
    return [items[i : i + _PER_SCRIPT] for i in range(0, len(items), _PER_SCRIPT)]


def _read_lookup(
    users: Sequence[str], places: str, rows: str, found: dict[str, Sequence[Place]]
) -> None:
    """Adds what script ``LOOKUP`` found for ``users``."""
    if not rows:
        return
    known = [place.split("\t") for place in places.split("\n")]
    connections: dict[tuple[str, str], list[str]] = {}
    for line in rows.split("\n"):
        number, connection, place = line.split("\t")
        connections.setdefault((number, place), []).append(connection)
    by_user: dict[str, list[Place]] = {}
    for (number, place), names in connections.items():
        node, slot, epoch, address = known[int(place)]
        place_of_user = Place(node, int(slot), epoch, address, tuple(sorted(names)))
        by_user.setdefault(users[int(number)], []).append(place_of_user)
    for user, its_places in by_user.items():
        found[user] = sorted(its_places, key=lambda place: place.node)
