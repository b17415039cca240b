"""What every store of the registry does, over memory, the embedded Redis and a real one."""

import random
from collections.abc import AsyncIterator
from dataclasses import dataclass, replace
from typing import Any

import pytest
from redis.asyncio import Redis

from contract.redis_backends import EVERY_REDIS, embedded_redis_url, real_redis_url
from tidewire.errors import TidewireError
from tidewire.targeting.errors import (
    BatchOvertakenError,
    LeaseLostError,
    NodeNameTakenError,
    NoFreeSlotError,
    StoreUnavailableError,
)
from tidewire.targeting.redis_urls import connect
from tidewire.targeting.registry import Batch, Evicted, Lease, NodeAnnouncement, NodeState, Session
from tidewire_registry.core.leases import LeaseRules
from tidewire_registry.stores.memory import MemoryStore
from tidewire_registry.stores.port import RegistryStore
from tidewire_registry.stores.redis import RedisStore

__all__ = ["embedded_redis_url", "real_redis_url"]  # the fixtures

LEASE = 10_000
USERS = ["ann", "bob ü", "a}/b"]
RULES = LeaseRules(lease_ms=LEASE, slots=8, freeze_ms=60_000)


class Clock:
    def __init__(self) -> None:
        self.now_ms = 1_700_000_000_000

    def __call__(self) -> int:
        return self.now_ms


def url_of(kind: str, request: pytest.FixtureRequest) -> str:
    name = "real_redis_url" if kind == "redis" else "embedded_redis_url"
    url: str = request.getfixturevalue(name)
    return url


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture(params=["memory", *EVERY_REDIS])
async def store(request: pytest.FixtureRequest, clock: Clock) -> AsyncIterator[RegistryStore]:
    if request.param == "memory":
        yield MemoryStore(clock, RULES)
        return
    client = connect(url_of(request.param, request))
    await client.flushdb()
    store = RedisStore(client, RULES, now_ms=clock)
    yield store
    await store.close()


@pytest.fixture(params=EVERY_REDIS)
async def client(request: pytest.FixtureRequest) -> AsyncIterator[Redis]:
    client = connect(url_of(request.param, request))
    await client.flushdb()
    yield client
    await client.aclose()


def epoch(number: int) -> str:
    return f"{number:032x}"


def announcement(node: str, **changes: Any) -> NodeAnnouncement:
    return replace(NodeAnnouncement(node, f"http://{node}:1"), **changes)


def session(user: str, connection: str, since_ms: int = 1, device: str | None = None) -> Session:
    return Session(user, connection, since_ms, device)


async def came(store: RegistryStore, node: str, number: int, *sessions: Session) -> list[Evicted]:
    return list(await store.announce(node, epoch(number), Batch(connected=sessions)))


async def connections(store: RegistryStore, user: str) -> dict[str, tuple[str, ...]]:
    places = (await store.lookup([user])).get(user, ())
    return {place.node: place.connections for place in places}


async def test_a_node_gets_a_slot_under_its_epoch(store: RegistryStore) -> None:
    lease = await store.register(announcement("a"), epoch(1))
    assert (lease.slot, lease.epoch, lease.lease_ms) == (0, epoch(1), LEASE)
    assert (await store.register(announcement("b"), epoch(2))).slot == 1


async def test_slots_run_out(store: RegistryStore) -> None:
    slots = {(await store.register(announcement(f"n{i}"), epoch(i))).slot for i in range(8)}
    assert slots == set(range(8))
    with pytest.raises(NoFreeSlotError, match=r"8 slots .* TIDEWIRE_REGISTRY__SLOTS"):
        await store.register(announcement("late"), epoch(9))
    await store.release("n3", epoch(3))
    assert (await store.register(announcement("late"), epoch(9))).slot == 3


async def test_the_slot_of_an_ended_lease_goes_to_another_under_another_epoch(
    store: RegistryStore, clock: Clock
) -> None:
    for i in range(8):
        await store.register(announcement(f"n{i}"), epoch(i))
    clock.now_ms += LEASE - 1
    for i in range(8):
        if i != 5:
            await store.renew(f"n{i}", epoch(i), NodeState.READY, {})
    clock.now_ms += 1
    with pytest.raises(NoFreeSlotError):
        await store.register(announcement("late"), epoch(9))
    assert (await store.settle()).ended == ("n5",)
    assert (await store.register(announcement("late"), epoch(9))).slot == 5
    with pytest.raises(LeaseLostError, match="register again"):
        await store.renew("n5", epoch(5), NodeState.READY, {})


async def test_a_live_name_is_taken_but_for_its_holder(store: RegistryStore) -> None:
    first = await store.register(announcement("a"), epoch(1))
    with pytest.raises(NodeNameTakenError, match="node a: give every node a name of its own"):
        await store.register(announcement("a"), epoch(2))
    with pytest.raises(NodeNameTakenError):
        await store.register(announcement("a"), epoch(2), replaces=epoch(7))
    again = await store.register(announcement("a"), epoch(2), replaces=epoch(1))
    assert (again.slot, again.epoch) == (first.slot, epoch(2))
    with pytest.raises(LeaseLostError):
        await store.renew("a", epoch(1), NodeState.READY, {})


async def test_a_holder_whose_answer_was_lost_may_ask_again(store: RegistryStore) -> None:
    await store.register(announcement("a"), epoch(1))
    await store.register(announcement("a"), epoch(2), replaces=epoch(1))
    assert (await store.register(announcement("a"), epoch(3), replaces=epoch(1))).slot == 0
    assert (await store.register(announcement("a"), epoch(4), replaces=epoch(1))).epoch == epoch(4)


async def test_after_its_lease_has_ended_a_name_is_free(store: RegistryStore, clock: Clock) -> None:
    await store.register(announcement("a"), epoch(1))
    clock.now_ms += LEASE
    await store.settle()
    assert (await store.register(announcement("a"), epoch(2))).slot == 0


async def test_a_renewed_lease_lasts_from_the_renewal(store: RegistryStore, clock: Clock) -> None:
    await store.register(announcement("a"), epoch(1))
    clock.now_ms += LEASE - 1
    assert await store.renew("a", epoch(1), NodeState.DRAINING, {"connections": 3}) == LEASE
    clock.now_ms += LEASE - 1
    assert (await store.settle()).ended == ()
    [view] = (await store.overview()).nodes
    assert (view.state, view.load, view.is_live) == (NodeState.DRAINING, {"connections": 3}, True)
    assert view.lease_ms_left == 1


async def test_who_was_late_may_renew_until_time_was_settled(
    store: RegistryStore, clock: Clock
) -> None:
    await store.register(announcement("a"), epoch(1))
    clock.now_ms += LEASE + 500
    assert await store.renew("a", epoch(1), NodeState.READY, {}) == LEASE
    assert (await store.settle()).ended == ()
    clock.now_ms += LEASE
    await store.settle()
    with pytest.raises(LeaseLostError):
        await store.renew("a", epoch(1), NodeState.READY, {})


async def test_release_needs_the_epoch_and_may_be_repeated(store: RegistryStore) -> None:
    await store.register(announcement("a"), epoch(1))
    await store.release("a", epoch(2))
    await store.renew("a", epoch(1), NodeState.READY, {})
    await store.release("a", epoch(1))
    await store.release("a", epoch(1))
    with pytest.raises(LeaseLostError):
        await store.renew("a", epoch(1), NodeState.READY, {})
    assert (await store.overview()).nodes == []


async def test_what_a_node_told_is_shown(store: RegistryStore) -> None:
    told = announcement("a", zone="z1", load={"cpu": 0.5})
    await store.register(told, epoch(1))
    await came(store, "a", 1, session("ann", "c1"), session("bob", "c2"))
    [view] = (await store.overview()).nodes
    assert (view.node, view.slot, view.epoch, view.address) == ("a", 0, epoch(1), "http://a:1")
    assert (view.zone, view.load, view.sessions) == ("z1", {"cpu": 0.5}, 2)
    assert await store.addresses(["a", "nobody"]) == {"a": "http://a:1"}


async def test_a_user_is_found_wherever_it_is(store: RegistryStore) -> None:
    await store.register(announcement("b"), epoch(2))
    await store.register(announcement("a"), epoch(1))
    await came(store, "a", 1, session("ann", "c2"), session("ann", "c1"), session("bob", "c3"))
    await came(store, "b", 2, session("ann", "c4", 5, "phone"))
    found = await store.lookup(["ann", "bob", "nobody"])
    assert set(found) == {"ann", "bob"}
    first, second = found["ann"]
    assert (first.node, first.slot, first.epoch, first.address) == (
        "a",
        1,
        epoch(1),
        "http://a:1",
    )
    assert first.connections == ("c1", "c2")
    assert (second.node, second.connections) == ("b", ("c4",))
    assert await store.lookup([]) == {}


async def test_who_went_is_found_no_more(store: RegistryStore) -> None:
    await store.register(announcement("a"), epoch(1))
    await came(store, "a", 1, session("ann", "c1"), session("ann", "c2"))
    gone = Batch(disconnected=[("ann", "c1"), ("ann", "c1"), ("nobody", "c9")])
    assert list(await store.announce("a", epoch(1), gone)) == []
    assert await connections(store, "ann") == {"a": ("c2",)}
    await store.announce("a", epoch(1), Batch(disconnected=[("ann", "c2")]))
    assert await store.lookup(["ann"]) == {}
    assert await store.devices_of("ann") == []


async def test_only_the_holder_announces(store: RegistryStore, clock: Clock) -> None:
    with pytest.raises(LeaseLostError):
        await came(store, "a", 1, session("ann", "c1"))
    await store.register(announcement("a"), epoch(1))
    with pytest.raises(LeaseLostError):
        await came(store, "a", 2, session("ann", "c1"))
    clock.now_ms += LEASE
    await store.settle()
    with pytest.raises(LeaseLostError):
        await store.announce("a", epoch(1), Batch())
    assert await store.devices_of("ann") == []


async def test_a_batch_that_was_overtaken_is_refused_whole(store: RegistryStore) -> None:
    """It was sent before: what it tells was told again, or is over."""
    await store.register(announcement("a"), epoch(1))
    await store.announce("a", epoch(1), Batch([session("bob", "c2")], number=1))
    await store.announce("a", epoch(1), Batch((), [("ann", "c1")], number=3))
    late = Batch([session("ann", "c1")], [("bob", "c2")], number=2)
    for batch in (late, Batch(number=2), Batch()):
        with pytest.raises(BatchOvertakenError, match=r"node a .* tell it again"):
            await store.announce("a", epoch(1), batch)
    assert await connections(store, "ann") == {}
    assert await connections(store, "bob") == {"a": ("c2",)}
    await store.announce("a", epoch(1), replace(late, number=4))
    assert await connections(store, "ann") == {"a": ("c1",)}
    assert await connections(store, "bob") == {}


async def test_an_empty_batch_overtakes_too(store: RegistryStore) -> None:
    await store.register(announcement("a"), epoch(1))
    await store.announce("a", epoch(1), Batch(number=2))
    with pytest.raises(BatchOvertakenError):
        await store.announce("a", epoch(1), Batch([session("ann", "c1")], number=1))


async def test_parts_of_a_batch_have_one_number(store: RegistryStore) -> None:
    await store.register(announcement("a"), epoch(1))
    first, second = ([session(f"u{i}", f"{x}{i}") for i in range(400)] for x in "ab")
    await store.announce("a", epoch(1), Batch(first, number=7))
    gone = [(one.user, one.connection) for one in first]
    await store.announce("a", epoch(1), Batch(second, gone, number=7))
    [view] = (await store.overview()).nodes
    assert view.sessions == 400
    assert await connections(store, "u399") == {"a": ("b399",)}
    with pytest.raises(BatchOvertakenError):
        await store.announce("a", epoch(1), Batch(first, gone, number=6))
    assert await connections(store, "u399") == {"a": ("b399",)}


async def test_numbers_count_within_an_epoch(store: RegistryStore) -> None:
    await store.register(announcement("a"), epoch(1))
    await store.register(announcement("b"), epoch(2))
    await store.announce("a", epoch(1), Batch(number=1 << 50))
    await store.announce("b", epoch(2), Batch([session("ann", "c1")], number=1))
    await store.renew("a", epoch(1), NodeState.READY, {})
    with pytest.raises(BatchOvertakenError):
        await store.announce("a", epoch(1), Batch(number=(1 << 50) - 1))
    await store.register(announcement("a"), epoch(3), replaces=epoch(1))
    await store.announce("a", epoch(3), Batch([session("ann", "c2")], number=1))
    with pytest.raises(LeaseLostError):
        await store.announce("a", epoch(1), Batch(number=1 << 50))
    await store.release("a", epoch(3))
    await store.register(announcement("a"), epoch(4))
    await store.announce("a", epoch(4), Batch([session("ann", "c3")]))
    assert await connections(store, "ann") == {"a": ("c3",), "b": ("c1",)}


async def test_sessions_end_with_the_lease_at_once(store: RegistryStore, clock: Clock) -> None:
    await store.register(announcement("a"), epoch(1))
    await came(store, "a", 1, *(session(f"u{i}", f"c{i}") for i in range(20)))
    clock.now_ms += LEASE
    await store.settle()
    assert await store.lookup([f"u{i}" for i in range(20)]) == {}
    [device] = await store.devices_of("u3")
    assert (device.connection, device.node, device.is_live) == ("c3", "a", False)


async def test_sessions_of_an_old_epoch_are_over_for_their_own_node_too(
    store: RegistryStore,
) -> None:
    await store.register(announcement("a"), epoch(1))
    await came(store, "a", 1, session("ann", "c1"), session("bob", "c2"))
    await store.register(announcement("a"), epoch(2), replaces=epoch(1))
    assert await store.lookup(["ann", "bob"]) == {}
    await came(store, "a", 2, session("ann", "c1"))
    assert await connections(store, "ann") == {"a": ("c1",)}
    assert await store.lookup(["bob"]) == {}


async def test_sweeping_takes_only_what_is_dead(store: RegistryStore) -> None:
    await store.register(announcement("a"), epoch(1))
    users = [f"user {i}/}}ü" for i in range(30)]
    await came(store, "a", 1, *(session(user, f"c{i}") for i, user in enumerate(users)))
    assert await store.tidy(100) == 0
    await store.register(announcement("a"), epoch(2), replaces=epoch(1))
    await came(store, "a", 2, session(users[0], "c0"))
    swept = 0
    for _ in range(8):
        step = await store.tidy(10)
        assert step <= 10
        swept += step
    assert swept == 29
    assert await connections(store, users[0]) == {"a": ("c0",)}
    assert await store.devices_of(users[1]) == []


async def test_the_oldest_beyond_sixteen_goes_whichever_node_holds_it(
    store: RegistryStore,
) -> None:
    await store.register(announcement("a"), epoch(1))
    await store.register(announcement("b"), epoch(2))
    assert await came(store, "a", 1, *(session("ann", f"a{i}", i) for i in range(9))) == []
    assert await came(store, "b", 2, *(session("ann", f"b{i}", 5 + i) for i in range(7))) == []
    assert await came(store, "b", 2, session("ann", "new", 99)) == [Evicted("ann", "a0", "a")]
    await store.announce("a", epoch(1), Batch(disconnected=[("ann", "a0")]))
    again = await came(store, "b", 2, session("ann", "x", 99), session("ann", "y", 99))
    assert again == [Evicted("ann", "a1", "a"), Evicted("ann", "a2", "a")]


async def test_who_has_to_go_is_found_and_named_until_it_went(store: RegistryStore) -> None:
    await store.register(announcement("a"), epoch(1))
    sessions = [session("ann", f"c{i:02}", i) for i in range(17)]
    assert await came(store, "a", 1, *sessions) == [Evicted("ann", "c00", "a")]
    assert len((await connections(store, "ann"))["a"]) == 17
    assert await came(store, "a", 1, sessions[16]) == [Evicted("ann", "c00", "a")]
    await store.announce("a", epoch(1), Batch(disconnected=[("ann", "c00")]))
    assert await came(store, "a", 1, sessions[16]) == []


async def test_what_is_kept_of_one_user_is_bounded(store: RegistryStore) -> None:
    await store.register(announcement("a"), epoch(1))
    many = [session("ann", f"c{i:03}", i) for i in range(600)]
    evicted = await came(store, "a", 1, *many)
    assert {one.connection for one in evicted} == {f"c{i:03}" for i in range(600 - 16)}
    found = await connections(store, "ann")
    assert set(found["a"]) == {f"c{i:03}" for i in range(600 - 32, 600)}
    [view] = (await store.overview()).nodes
    assert view.sessions == 32


async def test_many_connections_in_one_batch_evict_among_themselves(store: RegistryStore) -> None:
    await store.register(announcement("a"), epoch(1))
    evicted = await came(store, "a", 1, *(session("ann", f"c{i:02}", 100 - i) for i in range(18)))
    assert {one.connection for one in evicted} == {"c16", "c17"}


async def test_dead_connections_do_not_count_as_devices(store: RegistryStore, clock: Clock) -> None:
    await store.register(announcement("a"), epoch(1))
    await came(store, "a", 1, *(session("ann", f"old{i}") for i in range(16)))
    clock.now_ms += LEASE
    await store.settle()
    await store.register(announcement("b"), epoch(2))
    assert await came(store, "b", 2, *(session("ann", f"new{i}") for i in range(16))) == []
    assert len((await connections(store, "ann"))["b"]) == 16


async def test_a_connection_that_is_announced_again_counts_once(store: RegistryStore) -> None:
    await store.register(announcement("a"), epoch(1))
    sessions = [session("ann", f"c{i}", i, "tab") for i in range(16)]
    assert await came(store, "a", 1, *sessions) == []
    assert await came(store, "a", 1, *sessions) == []
    assert len(await store.devices_of("ann")) == 16
    [view] = (await store.overview()).nodes
    assert view.sessions == 16


async def test_devices_are_told_oldest_first(store: RegistryStore) -> None:
    await store.register(announcement("a"), epoch(1))
    await came(store, "a", 1, session("ann", "c1", 9), session("ann", "c2", 3, "the big screen"))
    first, second = await store.devices_of("ann")
    assert (first.connection, first.device, first.since_ms) == ("c2", "the big screen", 3)
    assert (second.connection, second.device, second.is_live) == ("c1", None, True)


async def test_the_sessions_of_a_node_are_told_page_by_page(store: RegistryStore) -> None:
    assert await store.sessions_of("a", None, 10) is None
    await store.register(announcement("a"), epoch(1))
    await came(store, "a", 1, *(session(f"user {i}", f"c{i}", i, "tab") for i in range(700)))
    found, cursor, pages = {}, None, 0
    while pages == 0 or cursor is not None:
        page = await store.sessions_of("a", cursor, 100)
        assert page is not None
        assert page.epoch == epoch(1)
        found.update({one.connection: one for one in page.sessions})
        cursor, pages = page.cursor, pages + 1
    assert pages > 1
    assert len(found) == 700
    assert (found["c7"].user, found["c7"].since_ms, found["c7"].device) == ("user 7", 7, "tab")


async def test_a_thousand_users_are_looked_up_at_once(store: RegistryStore) -> None:
    await store.register(announcement("a"), epoch(1))
    await came(store, "a", 1, *(session(f"u{i}", f"c{i}") for i in range(0, 1000, 3)))
    found = await store.lookup([f"u{i}" for i in range(1000)])
    assert set(found) == {f"u{i}" for i in range(0, 1000, 3)}
    assert found["u999"][0].connections == ("c999",)


async def test_when_most_leases_run_out_at_once_none_ends(
    store: RegistryStore, clock: Clock
) -> None:
    for i in range(6):
        await store.register(announcement(f"n{i}"), epoch(i))
        await came(store, f"n{i}", i, session("ann", f"c{i}"))
    clock.now_ms += LEASE
    tick = await store.settle()
    assert (len(tick.frozen), tick.ended, tick.is_frozen) == (6, (), True)
    assert len(await connections(store, "ann")) == 6
    assert (await store.overview()).is_frozen
    with pytest.raises(NodeNameTakenError):
        await store.register(announcement("n1"), epoch(9))
    await store.renew("n0", epoch(0), NodeState.READY, {})
    assert (await store.settle()).is_frozen
    clock.now_ms += RULES.freeze_ms
    tick = await store.settle()
    assert not tick.is_frozen
    assert len(tick.ended) == 6
    assert await store.lookup(["ann"]) == {}


async def test_while_nobody_settles_sessions_stay(store: RegistryStore, clock: Clock) -> None:
    for i in range(6):
        await store.register(announcement(f"n{i}"), epoch(i))
    await came(store, "n0", 0, session("ann", "c"))
    await store.settle()
    clock.now_ms += 10 * LEASE  # the store was away
    assert await connections(store, "ann") == {"n0": ("c",)}
    assert (await store.settle()).is_frozen
    assert await connections(store, "ann") == {"n0": ("c",)}


async def test_renewals_end_a_freeze(store: RegistryStore, clock: Clock) -> None:
    for i in range(6):
        await store.register(announcement(f"n{i}"), epoch(i))
    clock.now_ms += LEASE
    await store.settle()
    for i in range(6):
        await store.renew(f"n{i}", epoch(i), NodeState.READY, {})
    assert not (await store.settle()).is_frozen
    assert not (await store.overview()).is_frozen


async def test_an_ended_lease_is_forgotten_after_another_lease_time(
    store: RegistryStore, clock: Clock
) -> None:
    await store.register(announcement("a"), epoch(1))
    clock.now_ms += LEASE
    await store.settle()
    [view] = (await store.overview()).nodes
    assert not view.is_live
    clock.now_ms += LEASE
    await store.settle()
    await store.settle()
    assert (await store.overview()).nodes == []


@dataclass(frozen=True)
class Step:
    """One call, the same for every store."""

    number: int
    kind: str
    node: str
    epoch: str
    replaces: str | None
    batch: Batch

    async def on(self, store: RegistryStore) -> object:
        """What the store answers, or how it refuses."""
        try:
            match self.kind:
                case "register":
                    told = announcement(self.node)
                    return await store.register(told, epoch(self.number), replaces=self.replaces)
                case "renew":
                    load = {"step": float(self.number)}
                    return await store.renew(self.node, self.epoch, NodeState.READY, load)
                case "release":
                    await store.release(self.node, self.epoch)
                    return "released"
                case "announce":
                    return list(await store.announce(self.node, self.epoch, self.batch))
                case _:
                    return await store.settle()
        except TidewireError as error:
            return repr(error)


def some_step(chance: random.Random, number: int, held: dict[str, str]) -> Step:
    def some_sessions(count: int) -> list[Session]:
        return [
            session(chance.choice(USERS), f"c{chance.randrange(12)}", chance.randrange(50))
            for _ in range(count)
        ]

    node = f"n{chance.randrange(8)}"
    epoch_of_node = held.get(node, epoch(999))
    return Step(
        number,
        chance.choice(["register", "renew", "release", "announce", "announce", "settle"]),
        node,
        epoch_of_node,
        chance.choice([None, epoch_of_node]),
        Batch(
            some_sessions(3),
            [(one.user, one.connection) for one in some_sessions(2)],
            number=max(0, number - chance.choice([0, 0, 0, 5, 50])),
        ),
    )


@pytest.mark.parametrize("seed", range(12))
async def test_redis_does_what_memory_does(client: Redis, seed: int) -> None:
    """Random histories, each answer compared."""
    clock, chance = Clock(), random.Random(seed)
    rules = replace(RULES, slots=6, freeze_count=3)
    memory = MemoryStore(clock, rules, connections_per_user=3)
    redis = RedisStore(client, rules, connections_per_user=3, now_ms=clock)
    held: dict[str, str] = {}
    for number in range(150):
        step = some_step(chance, number, held)
        clock.now_ms += chance.choice([0, 10, 700, 2500])
        answer = await step.on(memory)
        assert answer == await step.on(redis), step
        if isinstance(answer, Lease):
            held[step.node] = epoch(number)
        assert await memory.lookup(USERS) == await redis.lookup(USERS), step
        assert await memory.overview() == await redis.overview(), step


async def test_a_restarted_redis_gets_its_scripts_again(client: Redis, clock: Clock) -> None:
    store = RedisStore(client, RULES, now_ms=clock)
    await store.register(announcement("a"), epoch(1))
    await client.script_flush()
    assert await store.renew("a", epoch(1), NodeState.READY, {}) == LEASE
    assert await store.lookup(["ann"]) == {}


async def test_an_emptied_redis_has_lost_every_lease(client: Redis, clock: Clock) -> None:
    store = RedisStore(client, RULES, now_ms=clock)
    await store.register(announcement("a"), epoch(1))
    await store.settle()
    await client.flushall()
    with pytest.raises(LeaseLostError):
        await store.renew("a", epoch(1), NodeState.READY, {})
    assert (await store.register(announcement("a"), epoch(2), replaces=epoch(1))).slot == 0


async def test_another_server_makes_nodes_announce_anew(client: Redis, clock: Clock) -> None:
    store = RedisStore(client, RULES, now_ms=clock)
    await store.register(announcement("a"), epoch(1))
    await came(store, "a", 1, session("ann", "c1"))
    assert (await store.settle()).doubted == 0
    await client.set("{tidewire:registry}:server", "another")
    assert (await store.settle()).doubted == 1
    assert (await store.settle()).doubted == 0
    with pytest.raises(LeaseLostError):
        await store.renew("a", epoch(1), NodeState.READY, {})
    with pytest.raises(LeaseLostError):
        await came(store, "a", 1, session("bob", "c2"))
    assert await connections(store, "ann") == {"a": ("c1",)}
    await store.register(announcement("a"), epoch(2), replaces=epoch(1))
    assert await store.renew("a", epoch(2), NodeState.READY, {}) == LEASE


async def test_by_redis_own_clock_leases_run_too(client: Redis) -> None:
    store = RedisStore(client, replace(RULES, lease_ms=60_000))
    await store.register(announcement("a"), epoch(1))
    assert (await store.settle()).ended == ()
    [view] = (await store.overview()).nodes
    assert 0 < view.lease_ms_left <= 60_000


async def test_rows_expire_a_day_after_they_were_last_seen_to(client: Redis, clock: Clock) -> None:
    store = RedisStore(client, RULES, now_ms=clock)
    await store.register(announcement("a"), epoch(1))
    await came(store, "a", 1, session("ann", "c1"))
    key = "tidewire:sessions:{ann}"
    assert 86_000_000 < await client.pttl(key) <= 86_400_000
    await client.pexpire(key, 5000)
    await store.tidy(100)
    assert await client.pttl(key) > 86_000_000


async def test_a_swept_store_holds_nothing_of_the_dead(client: Redis, clock: Clock) -> None:
    store = RedisStore(client, RULES, now_ms=clock)
    await store.register(announcement("a"), epoch(1))
    await store.announce("a", epoch(1), Batch([session("ann", "c1")], number=5))
    await store.release("a", epoch(1))
    assert await store.tidy(10) == 1
    await store.tidy(10)
    assert await client.keys("*") == []


async def test_without_an_answer_the_store_is_unavailable() -> None:
    store = RedisStore(connect("redis://127.0.0.1:1"), RULES, timeout=1.0)
    for asked in (store.settle(), store.lookup(["ann"]), store.overview()):
        with pytest.raises(StoreUnavailableError):
            await asked
    await store.close()
