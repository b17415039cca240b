"""What a feed gathers, when it flushes, and how a batch becomes frames."""

import json
from math import inf
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from harness.virtual import text_frames
from tidewire.protocol.channels import Channel
from tidewire.protocol.codes import Mode
from tidewire.protocol.positions import Position
from tidewire.protocol.server_frames import encode_event
from tidewire_gateway.core.coalescing import Batch, EveryWindow, LatestWindow
from tidewire_gateway.core.events import Event
from tidewire_gateway.core.feed_index import FeedIndex, well_placed
from tidewire_gateway.core.feeds import Feed, FeedKey, Topology, Urgency
from tidewire_gateway.core.intervals import grant_interval_ms
from tidewire_gateway.core.outbox import updates_frames
from tidewire_gateway.core.partition_log import PartitionLog
from tidewire_gateway.core.snapshots import Snapshot
from tidewire_gateway.core.subscriptions import Subscription, SubscriptionState


def event(offset: int, entity: str = "k", data: bytes = b"1") -> Event:
    encoded = encode_event(entity, data, 0, 0, offset)
    return Event(entity, entity, 0, offset, 0, False, encoded)


entity_lists = st.lists(st.sampled_from("abc"), max_size=30)


@given(entity_lists)
def test_latest_keeps_the_newest_of_each_entity_and_counts_the_rest(entities: list[str]) -> None:
    window = LatestWindow()
    for offset, entity in enumerate(entities):
        window.offer(event(offset, entity))
    batch = window.take_batch()
    newest = {entity: offset for offset, entity in enumerate(entities)}
    assert {e.entity: e.offset for e in batch.events} == newest
    assert len(batch.events) + batch.coalesced == len(entities)
    assert window.take_batch() == Batch([], 0)


@given(entity_lists)
def test_every_keeps_all_in_order(entities: list[str]) -> None:
    window = EveryWindow(1 << 20)
    for offset, entity in enumerate(entities):
        window.offer(event(offset, entity))
    assert [e.offset for e in window.take_batch().events] == list(range(len(entities)))
    assert len(window) == 0


def test_every_asks_for_a_flush_when_it_is_full() -> None:
    window = EveryWindow(100)
    fullness = [window.offer(one) for one in (event(0), event(1, data=b'"' + b"x" * 100 + b'"'))]
    window.take_batch()
    assert [*fullness, window.offer(event(2))] == [False, True, False]


@given(st.lists(st.binary(max_size=60), max_size=30), st.integers(1100, 1400))
def test_split_flush_loses_nothing_and_moves_the_position_last(
    values: list[bytes], max_bytes: int
) -> None:
    events = [event(n, f"k{n}", json.dumps(value.hex()).encode()) for n, value in enumerate(values)]
    position = Position("e", {0: len(values)})
    data = b"".join(updates_frames(7, position, Batch(events, 5), max_bytes))
    frames = [json.loads(text)["payload"] for text in text_frames(data)]
    assert [e["offset"][1] for frame in frames for e in frame["events"]] == list(range(len(values)))
    assert [frame["position"]["offsets"] for frame in frames[:-1]] == [{}] * (len(frames) - 1)
    assert frames[-1]["position"] == {"epoch": "e", "offsets": {"0": len(values)}}
    assert sum(frame["coalesced"] for frame in frames) == 5
    for text in text_frames(data):
        assert len(text) <= max_bytes or len(json.loads(text)["payload"]["events"]) == 1


def test_snapshot_parts_say_that_more_follow() -> None:
    events = [event(n, f"k{n}", b'"' + b"x" * 500 + b'"') for n in range(5)]
    snapshot = Snapshot(
        1, Position("e", {0: 5}), events, is_partial=True, max_bytes=1700, made_at=0.0
    )
    frames = [snapshot.frame(0)]
    while not snapshot.is_last(len(frames) - 1):
        frames.append(snapshot.frame(len(frames)))
    parts: list[dict[str, Any]] = [
        json.loads(text)["payload"] for text in text_frames(b"".join(frames))
    ]
    assert len(parts) > 2
    assert [e["key"] for part in parts for e in part["events"]] == [e.entity for e in events]
    assert [snapshot.events_in(n) for n in range(len(parts))] == [len(p["events"]) for p in parts]
    assert [part["position"]["offsets"] for part in parts] == [{}] * (len(parts) - 1) + [{"0": 5}]
    assert [part.get("more", False) for part in parts] == [True] * (len(parts) - 1) + [False]
    assert all(part["partial"] for part in parts)


@pytest.mark.parametrize(
    ("requested", "minimum", "granted"),
    [
        (None, 0, 0),
        (None, 30, 50),
        (1, 0, 50),
        (50, 0, 50),
        (51, 0, 100),
        (250, 1000, 1000),
        (5000, 0, 5000),
        (5001, 0, 10_000),
        (20_001, 0, 50_000),
        (2_000_001, 0, 3_600_000),
    ],
)
def test_intervals_are_rounded_up_to_shared_steps(
    requested: int | None, minimum: int, granted: int
) -> None:
    assert grant_interval_ms(requested, minimum) == granted


def make_feed(mode: Mode = Mode.LATEST, interval_ms: int = 100) -> Feed:
    topology = Topology("t", "e", 1, logs={0: PartitionLog(0, is_table=True)}, live={0})
    key = FeedKey(Channel("s"), mode, interval_ms)
    return Feed(1, key, topology=topology, partitions=(0,), max_window_bytes=200)


def attended(feed: Feed) -> Feed:
    subscription = Subscription(Nobody(), feed, "s")
    feed.admit(subscription)
    feed.attach(subscription)
    return feed


def offered(feed: Feed, offset: int, now: float) -> Urgency | None:
    one = event(offset)
    feed.topology.logs[0].append(one)
    return feed.offer(one, now)


def test_idle_feed_flushes_at_once_and_a_busy_one_at_its_interval() -> None:
    feed = attended(make_feed())
    assert offered(feed, 0, 10.0) is Urgency.NOW
    feed.take_flush(10.0)
    assert offered(feed, 1, 10.05) is Urgency.LATER
    feed.is_scheduled = True
    assert offered(feed, 2, 10.06) is None
    feed.take_flush(10.1)
    assert offered(feed, 3, 10.3) is Urgency.NOW


def test_full_window_flushes_before_its_interval() -> None:
    feed = attended(make_feed(Mode.EVERY))
    feed.take_flush(10.0)
    urgencies = [offered(feed, n, 10.01) for n in range(5)]
    assert urgencies[0] is Urgency.LATER
    assert urgencies[-1] is Urgency.AT_ONCE


class Nobody:
    is_congested = False

    def write(self, data: bytes) -> None:
        raise AssertionError("nothing is written here")


def test_flush_covers_what_was_read_and_names_those_who_join() -> None:
    feed = make_feed()
    early, late = (Subscription(Nobody(), feed, "s") for _ in range(2))
    feed.admit(early)
    feed.join(early, Position("e", {0: 0}))
    assert early.state is SubscriptionState.ATTACHED
    offered(feed, 0, 0.0)
    feed.admit(late)
    feed.join(late, Position("e", {0: 1}))
    assert late.state is SubscriptionState.JOINING
    flush = feed.take_flush(1.0)
    assert flush.joining == [late]
    assert flush.position == Position("e", {0: 1})
    assert flush.prior == Position("e", {0: 0})
    assert feed.sent == {0: 1}


def test_nothing_gathers_for_nobody() -> None:
    feed = make_feed()
    subscription = Subscription(Nobody(), feed, "s")
    feed.admit(subscription)
    feed.join(subscription, Position("e", {0: 0}))
    offered(feed, 0, 0.0)
    feed.drop(subscription)
    assert feed.is_level
    assert feed.is_unused
    assert offered(feed, 1, 9.0) is None
    assert feed.is_level


def test_numbers_of_feeds_are_never_used_again() -> None:
    index = FeedIndex(max_window_bytes=100)
    topology = Topology("t", "e", 1)
    key = FeedKey(Channel("s"), Mode.LATEST, 0)
    first = index.create(key, topology, (0,))
    index.discard(first)
    assert index.find(key) is None
    assert index.create(key, topology, (0,)).sub == first.sub + 1


def make_feeds(index: FeedIndex, *places: tuple[Channel, tuple[int, ...]]) -> list[Feed]:
    topology = Topology("t", "e", 2)
    return [
        index.create(FeedKey(channel, Mode.LATEST, 0), topology, partitions)
        for channel, partitions in places
    ]


def test_feeds_are_found_by_their_stream_and_group() -> None:
    index = FeedIndex(max_window_bytes=100)
    feeds = index.feeds_of("s")
    assert (feeds.whole, feeds.by_group) == ((), {})
    whole, mine, others, _ = make_feeds(
        index,
        (Channel("s"), (0, 1)),
        (Channel("s", "a"), (0,)),
        (Channel("s", "b"), (0,)),
        (Channel("x"), (0, 1)),
    )
    assert feeds is index.feeds_of("s")
    assert (feeds.whole, feeds.by_group) == ((whole,), {"a": (mine,), "b": (others,)})


def test_feeds_may_come_and_go_while_an_event_is_on_its_way_to_them() -> None:
    index = FeedIndex(max_window_bytes=100)
    topology = Topology("t", "e", 1)
    keys = [FeedKey(Channel("s", g), Mode.LATEST, i) for g in (None, "a") for i in (0, 50)]
    made = [index.create(key, topology, (0,)) for key in keys]
    feeds = index.feeds_of("s")
    before = [*feeds.whole, *feeds.by_group["a"]]
    reached = []
    for feed in (*feeds.whole, *feeds.by_group["a"]):
        index.discard(feed)
        reached.append(feed)
    assert reached == before == made
    assert (feeds.whole, feeds.by_group) == ((), {})


def test_shortest_interval_of_a_topic_is_that_of_the_feeds_it_has_now() -> None:
    index = FeedIndex(max_window_bytes=100)
    here, there = Topology("here", "e", 1), Topology("there", "e", 1)
    slow = index.create(FeedKey(Channel("s"), Mode.LATEST, 5000), here, (0,))
    board = [
        index.create(FeedKey(Channel(name), Mode.LATEST, 250), here, (0,)) for name in ("s", "x")
    ]
    index.create(FeedKey(Channel("y"), Mode.LATEST, 0), there, (0,))
    seen = [index.shortest_interval("here")]
    for feed in (*board, slow):
        index.discard(feed)
        seen.append(index.shortest_interval("here"))
    assert seen == [0.25, 0.25, 5.0, inf]
    assert index.shortest_interval("there") == 0.0
    assert index.shortest_interval("nowhere") == inf


def test_event_in_the_wrong_partition_is_not_part_of_its_group_s_channel() -> None:
    index = FeedIndex(max_window_bytes=100)
    here, there = make_feeds(index, (Channel("s", "a"), (0,)), (Channel("s", "b"), (1,)))
    assert well_placed((here, there), event(0, "a")) == [here]
