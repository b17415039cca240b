"""Single rules of delivery that a random walk would meet too seldom."""

import pytest

from harness.virtual import VirtualClient, VirtualLog, VirtualNode
from tidewire.config.streams import Stream
from tidewire.protocol.codes import Mode
from tidewire_client.subscription_state import SubscriptionState
from tidewire_gateway.core.limits import Limits

STREAM = Stream(topic="t", table=True, modes=(Mode.LATEST, Mode.EVERY), public=True)


def make_node(log: VirtualLog, stream: Stream = STREAM) -> VirtualNode:
    return VirtualNode(log, stream, Limits(live_timeout=5.0))


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
    assert client.state.recovered == ("changes" if mode is Mode.LATEST else "exact")
    node.read(0, 1)
    node.timers.settle()
    assert client.delivered == [(0, 1)]


def test_position_that_is_never_reached_is_a_truncated_topic() -> None:
    node = make_node(VirtualLog("t", 1))
    client = connect(node, mode="every", since={"epoch": "epoch", "offsets": {"0": 9}})
    node.timers.advance(6.0)
    assert client.state.recovered == "gap"
    assert client.gaps == 1


def test_slice_on_its_way_reaches_a_subscription_before_it_leaves() -> None:
    log = VirtualLog("t", 1)
    node = make_node(log)
    clients = [connect(node, mode="every") for _ in range(450)]
    log.publish(0, "k", b"1")
    node.read_all()
    node.timers.turn()  # flushes, and writes the first slice
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
    first = feed.snapshot
    connect(node)
    assert feed.snapshot is first
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
