"""A topic that is recreated, or has more partitions, under the running node: nobody stalls, nothing is silent."""

import json
from typing import Any

import pytest

from harness.virtual import VirtualClient, VirtualLog, VirtualNode
from tidewire.config.streams import Stream
from tidewire.kafka.partitioning import partition_of
from tidewire.protocol.codes import Mode
from tidewire_client.position import Position
from tidewire_client.subscription_state import SubscriptionState
from tidewire_gateway.core.limits import Limits

TABLE = Stream(
    topic="t",
    partitions=2,
    group="key-prefix",
    table=True,
    modes=(Mode.LATEST, Mode.EVERY),
    public=True,
)


def make_node(log: VirtualLog, stream: Stream = TABLE) -> VirtualNode:
    node = VirtualNode(log, stream, Limits())
    node.read_all()
    node.timers.settle()
    return node


def publish(log: VirtualLog, key: str, value: Any) -> None:
    log.now_ms += 1
    group = key.partition("/")[0].encode()
    encoded = None if value is None else json.dumps(value).encode()
    log.publish(partition_of(group, log.partitions), key, encoded)


def connect(node: VirtualNode, channel: str = "s", **options: Any) -> VirtualClient:
    client = VirtualClient(node, SubscriptionState(), channel)
    client.subscribe(**options)
    node.timers.settle()
    return client


def noticed(node: VirtualNode) -> None:
    node.notice_topic()
    node.read_all()
    node.timers.advance(1.0)


def newest(client: VirtualClient) -> dict[str, Any]:
    return {key: event.data for key, event in client.state.newest.items()}


def test_table_that_was_recreated_is_replaced_by_a_snapshot_of_the_new_one() -> None:
    log = VirtualLog("t", 2)
    publish(log, "A/1", 1)
    publish(log, "A/2", 1)
    node = make_node(log)
    clients = [connect(node), connect(node, "s/A"), connect(node, interval_ms=250)]
    log.recreate(2)
    publish(log, "A/1", 9)
    noticed(node)
    for client in clients:
        assert newest(client) == {"A/1": 9}
        assert client.state.position is not None
        assert client.state.position.epoch == log.epoch
        assert client.statuses == ["stale", "live"]
        assert client.gaps == 0
    publish(log, "A/1", 10)
    node.read_all()
    node.timers.advance(1.0)
    assert [newest(c) for c in clients] == [{"A/1": 10}] * 3


@pytest.mark.parametrize("mode", list(Mode))
def test_stream_that_was_recreated_is_an_announced_gap_and_goes_on_from_its_beginning(
    mode: Mode,
) -> None:
    stream = TABLE.model_copy(update={"table": False})
    log = VirtualLog("t", 2)
    for n in range(5):
        publish(log, "A/1", n)
    node = make_node(log, stream)
    client = connect(node, mode=mode, snapshot=False)
    log.recreate(2)
    for n in range(3):
        publish(log, f"A/{n}", n)
    noticed(node)
    partition = partition_of(b"A", 2)
    assert client.gap_reasons == ["recreated"]
    assert client.delivered == [(partition, n) for n in range(3)]
    assert client.state.position == Position(log.epoch, {0: log.end(0), 1: log.end(1)})


def test_topic_that_was_recreated_empty_moves_its_clients_to_the_new_epoch() -> None:
    stream = TABLE.model_copy(update={"table": False})
    log = VirtualLog("t", 2)
    publish(log, "A/1", 1)
    node = make_node(log, stream)
    client = connect(node, mode="every")
    log.recreate(2)
    noticed(node)
    assert client.state.position == Position(log.epoch, {0: 0, 1: 0})
    assert client.gap_reasons == ["recreated"]
    publish(log, "A/1", 2)
    node.read_all()
    node.timers.advance(1.0)
    assert client.delivered[-1] == (partition_of(b"A", 2), 0)


def test_topic_that_was_recreated_with_fewer_partitions_leaves_nobody_waiting() -> None:
    log = VirtualLog("t", 4)
    stream = TABLE.model_copy(update={"partitions": 4})
    publish(log, "A/1", 1)
    node = make_node(log, stream)
    clients = [connect(node), connect(node, "s/A"), connect(node, "s/B")]
    log.recreate(1)
    publish(log, "A/1", 2)
    publish(log, "B/1", 2)
    noticed(node)
    assert [newest(c) for c in clients] == [{"A/1": 2, "B/1": 2}, {"A/1": 2}, {"B/1": 2}]


def test_position_of_the_old_topic_is_answered_by_reason() -> None:
    log = VirtualLog("t", 2)
    publish(log, "A/1", 1)
    node = make_node(log)
    log.recreate(2)
    publish(log, "A/2", 2)
    noticed(node)
    since = {"epoch": "epoch", "offsets": {"0": 1, "1": 1}}
    latest, every = connect(node, since=since), connect(node, mode="every", since=since)
    assert latest.state.recovered == "snapshot"
    assert newest(latest) == {"A/2": 2}
    assert every.state.recovered == "gap"
    assert [key_of(log, place) for place in every.delivered] == ["A/2"]


def key_of(log: VirtualLog, place: tuple[int, int]) -> str:
    partition, offset = place
    return (log.records[partition][offset].key or b"").decode()


def grown_apart(before: int, after: int) -> str:
    """A group whose partition is another one after the count has changed."""
    names = (f"G{n}" for n in range(100))
    return next(
        name
        for name in names
        if partition_of(name.encode(), before) != partition_of(name.encode(), after)
    )


@pytest.mark.parametrize("mode", list(Mode))
def test_partitions_that_are_added_are_read_from_their_beginning(mode: Mode) -> None:
    log = VirtualLog("t", 2)
    group = grown_apart(2, 5)
    publish(log, f"{group}/1", 1)
    node = make_node(log)
    clients = [connect(node, mode=mode), connect(node, f"s/{group}", mode=mode)]
    log.partitions = 5
    publish(log, f"{group}/1", 2)
    publish(log, f"{group}/2", 2)
    noticed(node)
    publish(log, f"{group}/1", 3)
    node.read_all()
    node.timers.advance(1.0)
    for client in clients:
        assert client.gaps == 0
        if mode is Mode.LATEST:
            assert newest(client) == {f"{group}/1": 3, f"{group}/2": 2}
        else:
            keys = [key_of(log, place) for place in client.delivered]
            assert keys == [f"{group}/1", f"{group}/2", f"{group}/1"]


def test_node_that_started_after_the_change_resumes_positions_of_before_it() -> None:
    log = VirtualLog("t", 2)
    group = grown_apart(2, 5)
    publish(log, f"{group}/1", 1)
    publish(log, f"{group}/2", 1)
    before = connect(make_node(log), f"s/{group}")
    assert before.state.position is not None
    offsets = {str(p): o for p, o in before.state.position.offsets.items()}
    log.partitions = 5
    publish(log, f"{group}/1", None)
    publish(log, f"{group}/3", 3)
    node = make_node(log)
    fresh = connect(node, f"s/{group}")
    resumed = VirtualClient(node, before.state, f"s/{group}")
    resumed.subscribe(since={"epoch": "epoch", "offsets": offsets})
    node.timers.settle()
    assert resumed.state.recovered == "changes"
    expected = {f"{group}/2": 1, f"{group}/3": 3}
    assert newest(fresh) == expected
    assert newest(resumed) == expected
