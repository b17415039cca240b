"""Single rules of delivery that a random walk would meet too seldom."""

from copy import deepcopy
from itertools import pairwise
from typing import Any

import pytest

from harness.virtual import VirtualClient, VirtualLog, VirtualNode
from tidewire.config.streams import Stream
from tidewire.protocol.codes import Mode
from tidewire_client.position import Position as ClientPosition
from tidewire_client.subscription_state import SubscriptionState
from tidewire_gateway.core.limits import Limits

STREAM = Stream(topic="t", table=True, modes=(Mode.LATEST, Mode.EVERY), public=True)


def make_node(log: VirtualLog, stream: Stream = STREAM, **limits: Any) -> VirtualNode:
    return VirtualNode(log, stream, Limits(**{"live_timeout": 5.0, **limits}))


def connect(node: VirtualNode, **options: object) -> VirtualClient:
    client = VirtualClient(node, SubscriptionState(), "s")
    client.subscribe(**options)
    return client


@pytest.mark.parametrize("mode", list(Mode))
def test_position_that_another_node_read_further_to_waits_for_this_one(mode: Mode) -> None:
    log = VirtualLog("t", 1)
    node = make_node(log)
    log.publish(0, "k", b"1")
    log.publish(0, "k", b"2")
    client = connect(node, mode=mode, since={"epoch": "epoch", "offsets": {"0": 1}})
    assert client.sub is None
    node.read(0, 1)
    node.timers.settle()
    assert client.state.recovered == ("changes" if mode is Mode.LATEST else "exact")
    node.read(0, 1)
    node.timers.settle()
    assert client.delivered == [(0, 1)]


def test_position_beyond_the_end_of_the_topic_is_a_truncated_topic() -> None:
    node = make_node(VirtualLog("t", 1))
    client = connect(node, mode="every", since={"epoch": "epoch", "offsets": {"0": 9}})
    node.timers.advance(6.0)
    assert client.statuses == ["stale"]
    assert client.state.position == ClientPosition("epoch", {0: 9})
    node.measure()
    node.timers.settle()
    assert client.gaps == 1
    assert client.statuses == ["stale", "live"]
    assert client.state.position == ClientPosition("epoch", {0: 0})


@pytest.mark.parametrize("mode", list(Mode))
def test_resume_while_a_partition_is_closed_loses_nothing_and_tells_no_gap(mode: Mode) -> None:
    log = VirtualLog("t", 2)
    node = make_node(log)
    for n in range(10):
        log.publish(n % 2, f"k{n}", b"1")
    node.read_all()
    node.let_go(1)
    client = connect(node, mode=mode, since={"epoch": "epoch", "offsets": {"0": 5, "1": 3}})
    node.timers.advance(6.0)
    assert client.statuses == ["stale"]
    node.begin_anew(1)
    node.read(1, 2)
    node.timers.advance(1.0)
    assert client.delivered == []
    node.read_all()
    node.timers.advance(1.0)
    assert client.delivered == [(1, 3), (1, 4)]
    assert client.statuses == ["stale", "live"]
    assert client.gaps == 0


def test_partition_that_begins_beyond_a_position_is_an_announced_gap() -> None:
    log = VirtualLog("t", 1)
    node = make_node(log, backfill_records=0)
    client = connect(node, mode="every")
    for n in range(8):
        log.publish(0, f"k{n}", b"1")
    node.let_go(0)
    node.begin_anew(0, start=6)
    client.update(interval_ms=500)
    node.timers.settle()
    assert client.gaps == 0
    node.read(0, 10)
    node.timers.advance(1.0)
    assert client.gaps == 1
    assert client.delivered == [(0, 6), (0, 7)]


def test_gap_by_retention_is_named_so() -> None:
    log = VirtualLog("t", 1)
    node = make_node(log)
    client = connect(node, mode="every")
    for _ in range(8):
        log.publish(0, "k", b"1")
    node.let_go(0)
    log.kept_from = 6
    node.begin_anew(0, start=6)
    node.read_all()
    node.timers.settle()
    assert client.gap_reasons == ["retention"]


def test_congested_client_is_written_nothing_that_can_wait() -> None:
    log = VirtualLog("t", 1)
    node = make_node(log)
    log.publish(0, "k", b"1")
    node.read_all()
    client = connect(node, interval_ms=0)
    client.is_congested = True
    log.publish(0, "k", b"2")
    node.read_all()
    node.timers.settle()
    client.update(interval_ms=250)
    other = VirtualClient(node, SubscriptionState(), "s")
    other.is_congested = True
    other.subscribe()
    node.timers.advance(6.0)
    assert (len(client.delivered), other.sub) == (1, None)
    client.drain()
    other.drain()
    assert [c.state.newest["k"].data for c in (client, other)] == [2, 2]
    assert client.statuses == ["lagging", "live"]


def test_feeds_are_flushed_and_written_in_slices() -> None:
    log = VirtualLog("t", 1)
    node = make_node(log)
    stream = [connect(node, mode="every", interval_ms=n % 2 * 50) for n in range(2)]
    many = [connect(node, mode="every") for _ in range(1000)]
    log.publish(0, "k", b"1")
    node.read_all()
    reached = [0]
    while reached[-1] < len(stream) + len(many):
        node.timers.turn()
        reached.append(sum(len(c.delivered) for c in (*stream, *many)))
    assert [after - before for before, after in pairwise(reached)] == [200] * 5 + [2]


def test_joiners_at_one_position_share_one_frame() -> None:
    log = VirtualLog("t", 1)
    node = make_node(log)
    connect(node, interval_ms=1000)
    for key in ("a", "b"):
        log.publish(0, key, b"1")
        node.read_all()
        node.timers.turn()
    late = [FrameKeeper(node, SubscriptionState(), "s") for _ in range(3)]
    for client in late:
        client.subscribe(interval_ms=1000)
    log.publish(0, "c", b"1")
    node.read_all()
    for client in late:
        client.data.clear()
    node.timers.advance(2.0)
    assert len({id(client.data[0]) for client in late}) == 1


def test_full_feed_keeps_one_timer() -> None:
    log = VirtualLog("t", 1)
    node = make_node(log, STREAM)
    connect(node, mode="every", interval_ms=3_600_000)
    node.timers.advance(Limits().live_timeout)  # the timer of unanswered requests is over
    for n in range(20):
        log.publish(0, "k", b'"' + b"x" * 90_000 + b'"')
        node.read_all()
        node.timers.settle()
        assert node.timers.pending <= 1, n


class FrameKeeper(VirtualClient):
    """Keeps the very objects that were written."""

    def __init__(self, node: VirtualNode, state: SubscriptionState, channel: str) -> None:
        super().__init__(node, state, channel)
        self.data: list[bytes] = []

    def write(self, data: bytes) -> None:
        self.data.append(data)
        super().write(data)


def test_slice_on_its_way_reaches_a_subscription_before_it_leaves() -> None:
    log = VirtualLog("t", 1)
    node = make_node(log)
    clients = [connect(node, mode="every") for _ in range(450)]
    log.publish(0, "k", b"1")
    node.read_all()
    node.timers.turn()  # flushes
    node.timers.turn()  # writes the first slice
    assert [len(c.delivered) for c in (clients[0], clients[-1])] == [1, 0]
    clients[-1].update(paused=True)
    assert clients[-1].delivered == [(0, 0)]
    node.timers.settle()
    assert {len(c.delivered) for c in clients} == {1}
    assert {c.duplicates for c in clients} == {0}


def test_snapshot_made_once_serves_all_who_come_at_the_same_position() -> None:
    log = VirtualLog("t", 1)
    node = make_node(log)
    log.publish(0, "k", b"1")
    node.read_all()
    connect(node)
    feed = next(iter(node.index))
    first = feed.shared_snapshot(node.timers.time())
    assert first is not None
    connect(node)
    assert feed.shared_snapshot(node.timers.time()) is first
    log.publish(0, "k", b"2")
    node.read_all()
    late = connect(node)
    assert {k: e.data for k, e in late.state.newest.items()} == {"k": 2}
    assert late.duplicates == 0


def test_joining_subscription_gets_the_part_of_the_flush_its_snapshot_lacks() -> None:
    log = VirtualLog("t", 1)
    node = make_node(log)
    early = connect(node, interval_ms=1000)
    for key in ("a", "b", "c"):
        log.publish(0, key, b"1")
        node.read_all()
        node.timers.turn()
    late = connect(node, interval_ms=1000)
    log.publish(0, "d", b"1")
    node.read_all()
    node.timers.advance(2.0)
    assert early.delivered == [(0, n) for n in range(4)]
    assert late.delivered == [(0, n) for n in range(4)]
    assert late.duplicates == 0


def test_idle_client_sees_a_change_in_the_same_turn_and_a_storm_once_an_interval() -> None:
    log = VirtualLog("t", 1)
    node = make_node(log)
    client = connect(node, mode="latest", interval_ms=250, snapshot=False)
    frames_at = []
    for n in range(100):
        log.publish(0, "k", b"%d" % n)
        node.read_all()
        before = len(client.delivered)
        node.timers.advance(0.01)
        if len(client.delivered) > before:
            frames_at.append(n)
    assert frames_at[0] == 0
    assert len(frames_at) == 4


@pytest.mark.parametrize("mode", list(Mode))
def test_every_position_of_a_flow_is_safe_to_resume_from_on_another_node(mode: Mode) -> None:
    log = VirtualLog("t", 1)
    node = make_node(log)
    client = connect(node, mode=mode, interval_ms=50)
    for n in range(30):
        log.publish(0, f"k{n % 7}", b"%d" % n)
        node.read_all()
        node.timers.advance(0.03)
    node.timers.advance(1.0)
    assert len({m.state.position.offsets[0] for m in client.moments if m.state.position}) > 10
    for moment in client.moments:
        position = moment.state.position
        assert position is not None
        successor = VirtualClient(make_node(log), deepcopy(moment.state), "s")
        successor.delivered = list(moment.delivered)
        successor.node.read_all()
        offsets = {str(p): o for p, o in position.offsets.items()}
        successor.subscribe(mode=mode, since={"epoch": position.epoch, "offsets": offsets})
        successor.node.timers.advance(1.0)
        if mode is Mode.EVERY:
            assert successor.delivered == [(0, n) for n in range(30)]
        else:
            newest = {key: event.data for key, event in successor.state.newest.items()}
            assert newest == {f"k{n % 7}": n for n in range(23, 30)}
