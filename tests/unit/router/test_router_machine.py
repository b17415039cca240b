"""Any order of batches, outages, rebalances and crashes: no message is lost, none is routed by guesswork."""

from bisect import bisect_right
from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass, field

from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, rule

from tidewire.targeting.messages import Letter
from tidewire.targeting.registry import Place
from tidewire_router.core.lookups import LookupCache
from tidewire_router.core.partition import PartitionWork, Plan
from tidewire_router.core.remembered import Remembered
from tidewire_router.core.waiting import WaitingLimits, WaitingRoom
from unit.router.routing import NOW_MS, letter, place

LOOKUP_TTL = 5.0
USERS = tuple("abcdefgh")
NODES = tuple(place(f"n{number}") for number in range(3))
PARTITIONS = (0, 1)
ROUTERS = (0, 1)
MAX_WAITING = 5

partitions = st.sampled_from(PARTITIONS)
places = st.frozensets(st.sampled_from(NODES), max_size=2)
moves = st.dictionaries(st.sampled_from(USERS), places)
Posts = list[tuple[str, bool]]
posts = st.lists(
    st.tuples(st.sampled_from(USERS), st.sampled_from([True, True, False])), max_size=8
)


@dataclass
class Truth:
    """Where a user was, and since when; at first nowhere."""

    since: list[float] = field(default_factory=lambda: [float("-inf")])
    places: list[frozenset[Place]] = field(default_factory=lambda: [frozenset()])

    def move(self, now: float, places: frozenset[Place]) -> None:
        self.since.append(now)
        self.places.append(places)

    def now(self) -> tuple[Place, ...]:
        return tuple(sorted(self.places[-1], key=lambda place: place.slot))

    def was(self, places: frozenset[Place], begin: float, end: float) -> bool:
        """Whether the user was at exactly these places at some time between two instants."""
        first, last = bisect_right(self.since, begin) - 1, bisect_right(self.since, end)
        return places in self.places[max(0, first) : last]


class Process:
    """A router: its cache and its waiting room."""

    def __init__(self) -> None:
        self.cache = LookupCache(ttl=LOOKUP_TTL, max_users=6)
        self.room = WaitingRoom(WaitingLimits(max_letters=MAX_WAITING))


class Owned:
    """A partition in the hands of a router, read from what was committed on."""

    def __init__(self, process: Process, partition: int, position: int) -> None:
        self.process = process
        self.work = PartitionWork(partition, process.cache, process.room, Remembered(3))
        self.position = position
        self.sent: defaultdict[tuple[str, Place], list[int]] = defaultdict(list)


def partition_of(user: str) -> int:
    return USERS.index(user) % len(PARTITIONS)


class RouterMachine(RuleBasedStateMachine):
    @initialize()
    def begin(self) -> None:
        self.now = 0.0
        self.is_registry_up = True
        self.is_store_up = True
        self.truth = {user: Truth() for user in USERS}
        self.log: dict[int, list[Letter]] = {partition: [] for partition in PARTITIONS}
        self.mailbox: set[tuple[int, int]] = set()
        self.routed: set[tuple[int, int]] = set()
        self.committed = dict.fromkeys(PARTITIONS, 0)
        self.processes = {router: Process() for router in ROUTERS}
        self.owned = {p: Owned(self.processes[p], p, 0) for p in PARTITIONS}
        for number, user in enumerate(USERS[:4]):
            self.truth[user].move(self.now, frozenset(NODES[:number]))
        self.publish_and_route([(user, True) for user in USERS[:4]], 1.0)

    @rule(posts=posts, seconds=st.floats(0.0, 3.0))
    def publish_and_route(self, posts: Posts, seconds: float) -> None:
        """What happens all the time; it comes first, so that most steps are of it."""
        self.publish(posts)
        self.now += seconds
        for partition in PARTITIONS:
            self.route(partition, 4, None)
            self.commit(partition)

    @rule(posts=posts)
    def publish(self, posts: Posts) -> None:
        for user, is_kept in posts:
            partition = partition_of(user)
            log = self.log[partition]
            log.append(letter(user, len(log), is_kept=is_kept, partition=partition))

    @rule(moves=moves)
    def move(self, moves: dict[str, frozenset[Place]]) -> None:
        for user, new in moves.items():
            self.truth[user].move(self.now, new)

    @rule(seconds=st.sampled_from([0.0, LOOKUP_TTL]), before=posts, moves=moves, after=posts)
    def lose_registry(
        self,
        seconds: float,
        before: Posts,
        moves: dict[str, frozenset[Place]],
        after: Posts,
    ) -> None:
        """It goes away; answers run out meanwhile, or do not, and users move, which it will tell later."""
        self.is_registry_up = False
        self.publish_and_route(before, seconds)
        self.move(moves)
        self.publish_and_route(after, 0.0)

    @rule(posts=posts)
    def find_registry(self, posts: Posts) -> None:
        self.is_registry_up = True
        self.publish_and_route(posts, 0.0)

    @rule(posts=posts)
    def lose_store(self, posts: Posts) -> None:
        self.is_store_up = False
        self.publish_and_route(posts, 1.0)
        self.is_store_up = True

    @rule(partition=partitions, count=st.integers(0, 4), written=st.integers(0, 6))
    def crash_amid_a_batch(self, partition: int, count: int, written: int) -> None:
        self.route(partition, count, written)

    def route(self, partition: int, count: int, written: int | None) -> None:
        """A batch. The router crashes once so many records are written, or it finishes."""
        owned = self.owned[partition]
        batch = self.log[partition][owned.position : owned.position + count]
        if not self.is_store_up:
            return
        self.mailbox |= {(partition, x.offset) for x in batch if x.is_kept}
        plan = self._planned(owned, batch)
        if plan is None:
            return  # the batch stands, and is taken again
        if not self._carry_out(partition, plan, written):
            self._crash(owned.process)
            return
        self.routed |= {(partition, x.offset) for x, _ in plan.routes}
        owned.work.finish(plan)
        owned.position += len(batch)

    @rule(partition=partitions)
    def commit(self, partition: int) -> None:
        watermark = self.owned[partition].work.watermark
        if watermark is not None:
            self._check_watermark(partition, watermark)
            self.committed[partition] = watermark

    @rule(partition=partitions, router=st.sampled_from(ROUTERS), is_committed=st.booleans())
    def rebalance(self, partition: int, router: int, is_committed: bool) -> None:
        if is_committed:
            self.commit(partition)
        self.owned[partition].work.let_go()
        self._own(partition, self.processes[router])

    @rule(router=st.sampled_from(ROUTERS))
    def crash(self, router: int) -> None:
        self._crash(self.processes[router])

    @invariant()
    def waiting_is_bounded(self) -> None:
        for process in self.processes.values():
            assert len(process.room) <= MAX_WAITING

    def teardown(self) -> None:
        if not hasattr(self, "log"):
            return
        self.is_registry_up = self.is_store_up = True
        for partition in PARTITIONS:
            while self.owned[partition].position < len(self.log[partition]):
                self.route(partition, 3, None)
            self.route(partition, 0, None)
            self.commit(partition)
            assert self.committed[partition] in {0, len(self.log[partition])}
            everything = {(partition, x.offset) for x in self.log[partition]}
            assert everything <= self.routed
            assert {(partition, x.offset) for x in self.log[partition] if x.is_kept} <= self.mailbox
        assert not any(len(process.room) for process in self.processes.values())

    def _planned(self, owned: Owned, batch: Sequence[Letter]) -> Plan | None:
        owned.work.take(batch, owned.position + len(batch))
        asked = owned.work.users_to_look_up(self.now)
        answers = None
        if self.is_registry_up:
            answers = {user: self.truth[user].now() for user in asked}
            owned.process.cache.put(answers.items(), self.now)
        return owned.work.plan(answers, now_ms=NOW_MS)

    def _carry_out(self, partition: int, plan: Plan, most: int | None) -> bool:
        """Write inbox records, checked one by one; whether all of them were."""
        stale = {(x.user, x.offset) for x, _ in plan.stale}
        assert not (stale and self.is_registry_up)
        for x, places in plan.routes:
            if (x.user, x.offset) not in stale:
                begin = self.now - LOOKUP_TTL
                assert self.truth[x.user].was(frozenset(places), begin, self.now)
        sent = self.owned[partition].sent
        records = [
            (x, p)
            for user, first, last, places in plan.catch_ups
            for x in self.log[partition]
            if x.user == user and x.is_kept and first <= x.offset <= last
            for p in places
        ]
        records += [(x, p) for x, places in plan.routes for p in places]
        for x, p in records[:most]:
            assert not x.is_kept or (partition, x.offset) in self.mailbox
            assert not sent[x.user, p] or sent[x.user, p][-1] < x.offset
            sent[x.user, p].append(x.offset)
        return most is None or most >= len(records)

    def _check_watermark(self, partition: int, watermark: int) -> None:
        assert watermark >= self.committed[partition]
        assert all((partition, offset) in self.routed for offset in range(watermark))

    def _crash(self, process: Process) -> None:
        """It comes back with nothing in its memory."""
        (router,) = [router for router, other in self.processes.items() if other is process]
        self.processes[router] = Process()
        for partition, owned in self.owned.items():
            if owned.process is process:
                self._own(partition, self.processes[router])

    def _own(self, partition: int, process: Process) -> None:
        self.owned[partition] = Owned(process, partition, self.committed[partition])


RouterMachine.TestCase.settings = settings(max_examples=100, stateful_step_count=30)
TestRouterMachine = RouterMachine.TestCase
