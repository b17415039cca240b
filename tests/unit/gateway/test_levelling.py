"""How subscriptions are brought level: piece by piece, at the pace of their sockets, from memory or Kafka."""

import json
from collections.abc import Callable
from copy import deepcopy
from typing import Any

import pytest

from harness.virtual import VirtualClient, VirtualLog, VirtualNode, finish
from tidewire.config.streams import Stream
from tidewire.kafka.records import TopicPartition
from tidewire.protocol.codes import Mode
from tidewire_client.subscription_state import SubscriptionState
from tidewire_gateway.core import recovery
from tidewire_gateway.core.backlog import Backlog
from tidewire_gateway.core.limits import Limits

STREAM = Stream(topic="t", table=True, modes=(Mode.LATEST, Mode.EVERY), public=True)
FILL = "x" * 200


def make_node(log: VirtualLog, *, table: bool = True, **limits: Any) -> VirtualNode:
    stream = STREAM.model_copy(update={"table": table})
    node = VirtualNode(log, stream, Limits(**{"high_water": 2048, **limits}))
    node.read_all()
    node.timers.settle()
    return node


def filled(count: int, keys: int | None = None) -> VirtualLog:
    log = VirtualLog("t", 1)
    publish(log, count, keys)
    return log


def publish(log: VirtualLog, count: int, keys: int | None = None) -> None:
    for _ in range(count):
        n = log.end(0)
        log.publish(0, f"k{n % (keys or 1 << 30)}", json.dumps({"n": n, "fill": FILL}).encode())


class SlowClient(VirtualClient):
    """Its socket is full after ``room`` bytes, until it is drained."""

    def __init__(self, node: VirtualNode, room: int) -> None:
        super().__init__(node, SubscriptionState(), "s")
        self.room = room
        self.unsent = 0
        self.most_unsent = 0

    def write(self, data: bytes) -> None:
        self.unsent += len(data)
        self.most_unsent = max(self.most_unsent, self.unsent)
        self.is_congested = self.unsent > self.room
        super().write(data)

    def drain(self) -> None:
        self.unsent = 0
        super().drain()

    def drain_until(self, is_enough: Callable[[], bool]) -> None:
        for _ in range(1000):
            if is_enough():
                return
            self.drain()
            self.node.timers.advance(0.01)
        raise AssertionError("it never got there")


def newest(client: VirtualClient) -> dict[str, int]:
    return {key: event.data["n"] for key, event in client.state.newest.items()}


def since(offset: int, epoch: str = "epoch") -> dict[str, Any]:
    return {"epoch": epoch, "offsets": {"0": offset}}


@pytest.mark.parametrize("mode", list(Mode))
def test_what_is_lacking_comes_in_pieces_as_the_socket_takes_them(mode: Mode) -> None:
    log = filled(100)
    node = make_node(log)
    client = SlowClient(node, room=1024)
    client.subscribe(mode=mode, since=since(10))
    assert 0 < len(client.delivered) < 20
    client.drain_until(lambda: len(client.delivered) == 90)
    assert client.delivered == [(0, n) for n in range(10, 100)]
    assert client.most_unsent <= 1024 + 2048 + 1024
    assert client.duplicates == 0


@pytest.mark.parametrize("mode", list(Mode))
def test_every_piece_ends_at_a_position_that_is_safe_to_resume_from(mode: Mode) -> None:
    log = filled(60, keys=25)
    node = make_node(log)
    client = SlowClient(node, room=1024)
    client.subscribe(mode=mode, since=since(5))
    for n in range(10):
        publish(log, 5, keys=25)
        node.read_all()
        client.drain()
        node.timers.advance(0.01 * n)
    client.drain_until(lambda: client.state.position is not None and _offset(client) == log.end(0))
    assert len({_offset_of(m) for m in client.moments}) > 5
    for moment in client.moments:
        successor = VirtualClient(make_node(log), deepcopy(moment.state), "s")
        successor.delivered = list(moment.delivered)
        successor.subscribe(mode=mode, since=since(_offset_of(moment)))
        successor.node.timers.advance(1.0)
        if mode is Mode.EVERY:
            assert successor.delivered == [(0, n) for n in range(5, log.end(0))]
        else:
            expected = {n: json.loads(v)["n"] for n, v in log.newest(lambda _: True).items()}
            changed = {key: n for key, n in expected.items() if n >= 5}
            assert {key: n for key, n in newest(successor).items() if key in changed} == changed


def _offset(client: VirtualClient) -> int:
    assert client.state.position is not None
    return client.state.position.offsets[0]


def _offset_of(moment: Any) -> int:
    offset: int = moment.state.position.offsets[0]
    return offset


def test_long_snapshot_goes_out_part_by_part_and_is_true_at_its_position() -> None:
    log = filled(100, keys=50)
    node = make_node(log)
    client = SlowClient(node, room=1024)
    client.subscribe()
    assert client.state.position is None
    publish(log, 30, keys=50)
    node.read_all()
    client.drain_until(lambda: client.state.position is not None)
    client.drain_until(lambda: max(newest(client).values()) == 129)
    expected = {key: json.loads(v)["n"] for key, v in log.newest(lambda _: True).items()}
    assert newest(client) == expected
    assert client.most_unsent <= 1024 + 2048 + 1024


def test_long_snapshot_that_is_under_way_is_shared_with_newcomers() -> None:
    log = filled(100)
    node = make_node(log)
    clients = [SlowClient(node, room=1024) for _ in range(3)]
    for client in clients:
        client.subscribe()
        publish(log, 1)
        node.read_all()
    snapshots = {id(s.snapshot) for c in clients for s in c.subscriptions.values()}
    assert len(snapshots) == 1
    for client in clients:
        client.drain_until(lambda client=client: len(newest(client)) == 103)  # type: ignore[misc]


def test_slow_newcomers_hold_no_more_than_a_few_snapshots_alive() -> None:
    log = filled(100)
    node = make_node(log)
    clients = []
    for _ in range(20):
        client = SlowClient(node, room=1024)
        client.subscribe()
        clients.append(client)
        publish(log, 1)
        node.read_all()
        node.timers.advance(2.0)
    snapshots = {id(s.snapshot) for c in clients for s in c.subscriptions.values()}
    assert len(snapshots) == 4
    for client in clients:
        client.drain_until(lambda client=client: len(newest(client)) == 120)  # type: ignore[misc]


def test_snapshot_begins_anew_after_a_change_of_rate_in_its_middle() -> None:
    log = filled(100)
    node = make_node(log)
    client = SlowClient(node, room=1024)
    client.subscribe()
    client.drain()
    log.publish(0, "k0", None)
    node.read_all()
    client.drain()
    client.update(interval_ms=500)
    client.drain_until(lambda: len(newest(client)) == 99)
    assert "k0" not in client.state.newest


def test_partition_that_is_let_go_in_the_middle_of_a_snapshot_changes_nothing_of_it() -> None:
    log = filled(100)
    node = make_node(log)
    client = SlowClient(node, room=1024)
    client.subscribe()
    log.publish(0, "k0", None)
    node.let_go(0)
    client.drain_until(lambda: len(newest(client)) == 100)
    node.read_all()
    client.drain_until(lambda: len(newest(client)) == 99)


def test_flush_of_more_than_a_frame_is_handed_out_at_the_pace_of_each_socket() -> None:
    log = VirtualLog("t", 1)
    node = make_node(log, max_frame_out=4096)
    slow, fast = SlowClient(node, room=1024), SlowClient(node, room=1 << 30)
    for client in (slow, fast):
        client.subscribe(interval_ms=100)
    publish(log, 100)
    node.read_all()
    node.timers.advance(1.0)
    assert len(newest(fast)) == 100
    assert len(newest(slow)) < 20
    slow.drain_until(lambda: len(newest(slow)) == 100)
    assert slow.most_unsent <= 1024 + 2048 + 1024
    publish(log, 1)
    node.read_all()
    node.timers.advance(1.0)
    assert (slow.duplicates, fast.duplicates) == (0, 0)
    assert len(newest(fast)) == 101


class DeafClient(SlowClient):
    """Takes bytes, and does not look at them."""

    def write(self, data: bytes) -> None:
        self.unsent += len(data)
        self.is_congested = self.unsent > self.room


def test_subscriptions_of_a_slow_socket_have_their_turns_one_after_another() -> None:
    log = filled(200)
    node = make_node(log)
    client = DeafClient(node, room=1024)
    for interval_ms in (100, 250):
        client.subscribe(mode="every", interval_ms=interval_ms, since=since(0))
        client.drain()
    subscriptions = [client.subscriptions[sub] for sub in sorted(client.subscriptions)]
    places = []
    for _ in range(12):
        client.drain()
        places.append([s.standing.offsets[0] for s in subscriptions if s.standing])
    first, second = zip(*places, strict=True)
    assert len(set(first)) > 3
    assert len(set(second)) > 3


def test_what_memory_lost_is_read_again_once_for_everybody() -> None:
    log = filled(100)
    node = make_node(log, table=False)
    node.evict(0, 60)
    clients = [VirtualClient(node, SubscriptionState(), "s") for _ in range(20)]
    for n, client in enumerate(clients):
        client.subscribe(mode="every", since=since(20 + n))
    assert node.wanted == {TopicPartition("t", 0): 20}
    node.backfill()
    node.timers.advance(1.0)
    assert node.wanted == {}
    for n, client in enumerate(clients):
        assert client.state.recovered == "exact"
        assert client.delivered == [(0, offset) for offset in range(20 + n, 100)]


def test_past_that_is_read_in_stretches_joins_the_log_without_a_hole() -> None:
    log = filled(100)
    node = make_node(log, table=False)
    node.evict(0, 60)
    client = VirtualClient(node, SubscriptionState(), "s")
    client.subscribe(mode="every", since=since(0))
    for _ in range(60):
        node.backfill(most=7)
        node.evict(0, 1)
        node.timers.advance(0.01)
    assert client.delivered == [(0, offset) for offset in range(100)]
    assert client.gaps == 0


def test_position_beyond_reach_is_a_gap_up_to_what_can_be_read_again() -> None:
    log = filled(100)
    node = make_node(log, table=False, backfill_records=30)
    node.evict(0, 60)
    client = VirtualClient(node, SubscriptionState(), "s")
    client.subscribe(mode="every", since=since(5))
    assert client.state.recovered == "gap"
    node.backfill()
    node.timers.advance(1.0)
    assert client.delivered == [(0, offset) for offset in range(30, 100)]


def test_past_that_kafka_deleted_meanwhile_is_an_announced_gap() -> None:
    log = filled(100)
    node = make_node(log, table=False)
    node.evict(0, 60)
    client = VirtualClient(node, SubscriptionState(), "s")
    client.subscribe(mode="every", since=since(5))
    node.topology.logs[0].kept_from = 40
    node.wanted.clear()
    node.delivery.backfilled(TopicPartition("t", 0))
    node.timers.settle()
    assert client.gap_reasons == ["retention"]
    node.backfill()
    node.timers.advance(1.0)
    assert client.delivered == [(0, offset) for offset in range(40, 100)]


def test_past_of_a_topic_that_was_recreated_while_it_was_read_is_dropped() -> None:
    log = filled(100)
    node = make_node(log, table=False)
    node.evict(0, 60)
    client = VirtualClient(node, SubscriptionState(), "s")
    client.subscribe(mode="every", since=since(5))
    held = node._ingest.held_of(TopicPartition("t", 0))
    assert held is not None
    old = log.records[0][:60]
    log.recreate(1)
    publish(log, 80)
    node.notice_topic()
    node.read_all()
    node.evict(0, 70)
    finish(node._ingest.keep_past(TopicPartition("t", 0), held, range(60), old))
    assert node.topology.logs[0].past is None


def test_lagging_client_is_handed_small_pieces_of_newest_values() -> None:
    log = VirtualLog("t", 1)
    node = make_node(log, high_water=32 * 1024)
    client = SlowClient(node, room=1024)
    client.subscribe(interval_ms=0)
    for _ in range(20):
        publish(log, 200, keys=100)
        node.read_all()
        node.timers.advance(0.1)
    client.most_unsent = 0
    client.drain_until(lambda: newest(client).get("k99") == log.end(0) - 1)
    assert client.most_unsent < 8 * 1024
    client.drain()
    assert client.statuses == ["lagging", "live"]


def test_outage_is_told_in_slices_and_to_a_congested_client_when_it_drains() -> None:
    node = make_node(VirtualLog("t", 1))
    clients = [VirtualClient(node, SubscriptionState(), "s") for _ in range(500)]
    for client in clients:
        client.subscribe()
    clients[0].is_congested = True
    node.delivery.connected(False)
    node.timers.turn()
    assert sum("stale" in c.statuses for c in clients) <= 200
    node.timers.settle()
    assert [c.statuses for c in clients] == [[], *[["stale"]] * 499]
    clients[0].drain()
    assert clients[0].statuses == ["stale"]
    node.delivery.connected(True)
    node.timers.settle()
    assert all(c.statuses == ["stale", "live"] for c in clients)


class TwoPartitions:
    """A node that could not read one of two partitions when its client came."""

    def __init__(self, *, room: int = 1024, count: int = 60, **options: Any) -> None:
        self.log = VirtualLog("t", 2)
        publish(self.log, count)
        stream = STREAM.model_copy(update={"partitions": 2})
        self.node = VirtualNode(self.log, stream, Limits(high_water=2048))
        self.node.read_all()
        self.node.let_go(1)
        self.client = SlowClient(self.node, room=room)
        self.client.subscribe(**options)
        self.node.timers.advance(5.5)

    def settle(self) -> None:
        for _ in range(200):
            self.client.drain()
            self.node.timers.advance(0.05)
            self.node.backfill()


@pytest.mark.parametrize("count", [3, 80])
def test_topic_recreated_while_a_late_newcomer_is_handed_its_snapshot(count: int) -> None:
    late = TwoPartitions()
    late.client.drain()
    late.log.recreate(2)
    publish(late.log, count)
    late.node.notice_topic()
    late.node.read_all()
    late.settle()
    assert set(newest(late.client)) == {f"k{n}" for n in range(count)}
    assert late.client.epoch == late.log.epoch


def test_partition_truncated_while_a_late_newcomer_is_handed_its_snapshot() -> None:
    late = TwoPartitions()
    late.client.drain()
    del late.log.records[0][3:]
    late.node.let_go(0)
    late.node.read_all()
    late.settle()
    late.node.measure()
    late.settle()
    assert set(newest(late.client)) == {"k0", "k1", "k2"}


def test_newcomer_in_mode_every_stands_where_a_partition_begins_that_opened_later() -> None:
    late = TwoPartitions(room=1 << 30, mode="every")
    for _ in range(500):
        late.log.publish(1, "z", b"1")
    late.node.begin_anew(1, 500)
    late.node.read_all()
    late.node.timers.advance(1.0)
    assert late.client.state.position is not None
    assert late.client.state.position.offsets == {0: 60, 1: 500}
    late.client.update(paused=True)
    late.client.update(paused=False)
    late.settle()
    assert late.client.delivered == []


def test_congested_newcomer_in_mode_every_asks_for_nothing_older_than_its_beginning() -> None:
    late = TwoPartitions(room=10, mode="every")
    for _ in range(500):
        late.log.publish(1, "z", b"1")
    late.node.begin_anew(1, 490)
    late.node.read_all()
    late.settle()
    assert late.client.delivered == [(1, n) for n in range(490, 500)]
    assert late.node.wanted == {}


def test_joining_writes_nothing_to_a_socket_that_fell_behind() -> None:
    log = VirtualLog("t", 1)
    node = make_node(log)
    feeder = VirtualClient(node, SubscriptionState(), "s")
    feeder.subscribe(interval_ms=1000)
    client = SlowClient(node, room=1 << 30)
    for _ in range(2):
        publish(log, 1)
        node.read_all()
        node.timers.turn()
    client.subscribe(interval_ms=1000)
    client.is_congested = True
    client.unsent = 0
    publish(log, 500)
    node.read_all()
    node.timers.advance(3.0)
    assert client.unsent == 0
    client.drain_until(lambda: len(newest(client)) == 502)
    assert client.statuses == ["lagging", "live"]


@pytest.mark.parametrize("mode", list(Mode))
def test_position_beyond_a_truncated_topic_is_told_though_the_topic_is_busy(mode: Mode) -> None:
    log = filled(100)
    node = make_node(log)
    client = VirtualClient(node, SubscriptionState(), "s")
    client.subscribe(mode=mode, since=since(5000))
    publish(log, 1)
    node.measure()
    node.timers.settle()
    assert client.state.recovered == ("snapshot" if mode is Mode.LATEST else "gap")


def test_positions_that_are_not_ordered_share_a_backlog(monkeypatch: pytest.MonkeyPatch) -> None:
    log = VirtualLog("t", 2)
    for n in range(2000):
        log.publish(n % 2, f"k{n}", json.dumps({"n": n, "fill": FILL}).encode())
    node = VirtualNode(log, STREAM.model_copy(update={"partitions": 2}), Limits(high_water=8192))
    node.read_all()
    built = []

    def counted(*arguments: Any) -> Backlog:
        built.append(arguments)
        return Backlog(*arguments)

    monkeypatch.setattr(recovery, "Backlog", counted)
    clients = []
    for wave in range(4):
        for n in range(10):
            client = DeafClient(node, room=1 << 30)
            offsets = {"0": 100, "1": 90} if (n + wave) % 2 else {"0": 90, "1": 100}
            client.subscribe(since={"epoch": "epoch", "offsets": offsets})
            clients.append(client)
        node.timers.turn()
    node.timers.advance(1.0)
    assert len(built) <= 4
    assert all(s.is_attached for client in clients for s in client.subscriptions.values())
