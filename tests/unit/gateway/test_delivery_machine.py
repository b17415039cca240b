"""Whatever happens in whatever order, every client ends with what the log says.

Events of before the topic was recreated are the one thing that may be missing, and that is told.
"""

import json
from copy import deepcopy
from typing import Any

from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import (
    Bundle,
    RuleBasedStateMachine,
    consumes,
    initialize,
    multiple,
    precondition,
    rule,
)

from harness.virtual import VirtualClient, VirtualLog, VirtualNode
from tidewire.config.streams import Stream
from tidewire.kafka.partitioning import partition_of
from tidewire.protocol.codes import Mode
from tidewire_client.subscription_state import SubscriptionState
from tidewire_gateway.core.limits import Limits

GROUPS = ("A", "B", "C")
PARTITIONS = 2
STREAM = Stream(
    topic="t",
    partitions=PARTITIONS,
    group="key-prefix",
    table=True,
    modes=(Mode.LATEST, Mode.EVERY),
)
INTERVALS = (0, 50, 250, 1000)
LIMITS = Limits(max_frame_out=1400, live_timeout=3.0)

keys = st.builds("{}/{}".format, st.sampled_from(GROUPS), st.integers(0, 3))
channels = st.sampled_from(("s", *(f"s/{group}" for group in GROUPS)))


def covers(channel: str, key: str) -> bool:
    return channel == "s" or key.startswith(channel.removeprefix("s/") + "/")


class DeliveryMachine(RuleBasedStateMachine):
    """Two nodes over one log; clients come, lag, pause, change rate and move between them."""

    clients = Bundle("clients")

    @initialize(history=st.lists(st.tuples(keys, st.booleans()), max_size=10))
    def begin(self, history: list[tuple[str, bool]]) -> None:
        self.log = VirtualLog("t", PARTITIONS)
        self.count = 0
        for key, is_removal in history:
            self.publish(key, is_removal)
        public = STREAM.model_copy(update={"public": True})
        self.nodes = [VirtualNode(self.log, public, LIMITS) for _ in range(2)]
        for node in self.nodes:
            node.read_all()
        self.everybody: list[VirtualClient] = []

    @rule(key=keys, is_removal=st.booleans())
    def publish(self, key: str, is_removal: bool) -> None:
        self.count += 1
        value = None if is_removal else json.dumps({"n": self.count, "fill": "x" * 150}).encode()
        group = key.partition("/")[0]
        self.log.publish(partition_of(group.encode(), PARTITIONS), key, value)

    @rule(node=st.integers(0, 1), partition=st.integers(0, 1), count=st.integers(1, 5))
    def read(self, node: int, partition: int, count: int) -> None:
        self.nodes[node].read(partition, count)

    @rule(node=st.integers(0, 1), partition=st.integers(0, 1))
    def let_partition_go(self, node: int, partition: int) -> None:
        self.nodes[node].let_go(partition)

    @rule(node=st.integers(0, 1), partition=st.integers(0, 1))
    def begin_partition_anew(self, node: int, partition: int) -> None:
        self.nodes[node].begin_anew(partition)

    @precondition(lambda self: self.count > 5)
    @rule()
    def recreate_topic(self) -> None:
        self.log.recreate(PARTITIONS)
        self.count = 0

    @rule(node=st.integers(0, 1))
    def notice_topic(self, node: int) -> None:
        self.nodes[node].notice_topic()

    @rule(count=st.integers(3, 20))
    def forget_oldest(self, count: int) -> None:
        for node in self.nodes:
            for partition in range(PARTITIONS):
                node.evict(partition, count)

    @rule(node=st.integers(0, 1), most=st.integers(1, 6))
    def backfill(self, node: int, most: int) -> None:
        self.nodes[node].backfill(most)

    @rule(node=st.integers(0, 1))
    def measure(self, node: int) -> None:
        self.nodes[node].measure()

    @rule(node=st.integers(0, 1))
    def turn(self, node: int) -> None:
        self.nodes[node].timers.turn()

    @rule(node=st.integers(0, 1), seconds=st.sampled_from((0.01, 0.05, 0.3, 2.0)))
    def wait(self, node: int, seconds: float) -> None:
        self.nodes[node].timers.advance(seconds)

    @rule(
        target=clients,
        node=st.integers(0, 1),
        channel=channels,
        mode=st.sampled_from(list(Mode)),
        interval_ms=st.sampled_from(INTERVALS),
    )
    def connect(self, node: int, channel: str, mode: Mode, interval_ms: int) -> VirtualClient:
        client = VirtualClient(self.nodes[node], SubscriptionState(), channel)
        client.subscribe(mode=mode, interval_ms=interval_ms)
        return self.joined(client)

    @rule(target=clients, client=consumes(clients), node=st.integers(0, 1), back=st.integers(0, 6))
    def move(self, client: VirtualClient, node: int, back: int) -> Any:
        """Lose the connection, also before the last frames arrived, and resume on some node."""
        client.leave()
        self.everybody.remove(client)
        if not client.moments:
            return multiple()
        last = max(0, len(client.moments) - 1 - back)
        return self.joined(resumed(client, self.nodes[node], last))

    @rule(client=clients)
    def fall_behind(self, client: VirtualClient) -> None:
        client.is_congested = True

    @rule(client=clients)
    def drain(self, client: VirtualClient) -> None:
        client.drain()

    @rule(client=clients, interval_ms=st.sampled_from(INTERVALS))
    def change_rate(self, client: VirtualClient, interval_ms: int) -> None:
        if client.sub is not None:
            client.update(interval_ms=interval_ms)

    @rule(client=clients, paused=st.booleans())
    def pause(self, client: VirtualClient, paused: bool) -> None:
        if client.sub is not None:
            client.update(paused=paused)

    def joined(self, client: VirtualClient) -> VirtualClient:
        self.everybody.append(client)
        return client

    def teardown(self) -> None:
        if not hasattr(self, "everybody"):
            return
        self.settle()
        for client in self.everybody:
            client.drain()
            client.update(paused=False)
        self.settle()
        for client in self.everybody:
            self.check(client)

    def settle(self) -> None:
        for node in self.nodes:
            node.notice_topic()
            node.read_all()
            node.timers.advance(5.0)
            while node.wanted:
                node.backfill()
                node.timers.advance(5.0)

    def check(self, client: VirtualClient) -> None:
        assert set(client.gap_reasons) <= {"recreated"}
        assert client.epoch == self.log.epoch
        if client.state.mode == Mode.LATEST:
            newest = {key: event.data for key, event in client.state.newest.items()}
            expected = self.log.newest(lambda key: covers(client.channel, key))
            assert newest == {key: json.loads(value) for key, value in expected.items()}
        else:
            self.check_every(client)

    def check_every(self, client: VirtualClient) -> None:
        """Each event once, in order, from where the subscription began."""
        for partition, records in self.log.records.items():
            delivered = [offset for where, offset in client.delivered if where == partition]
            matching = [
                r.offset for r in records if covers(client.channel, (r.key or b"").decode())
            ]
            start = client.moments[0].state.position
            assert start is not None
            first = start.offsets.get(partition, 0) if start.epoch == self.log.epoch else 0
            assert delivered == [offset for offset in matching if offset >= first]


def resumed(client: VirtualClient, node: VirtualNode, index: int) -> VirtualClient:
    """A client as it stood when it was handed its ``index``-th position, connected anew."""
    moment = client.moments[index]
    successor = VirtualClient(node, deepcopy(moment.state), client.channel)
    successor.delivered = list(moment.delivered)
    successor.moments = client.moments[: index + 1]
    position = moment.state.position
    assert position is not None
    successor.subscribe(
        mode=moment.state.mode,
        interval_ms=moment.state.interval_ms,
        since={
            "epoch": position.epoch,
            "offsets": {str(p): o for p, o in position.offsets.items()},
        },
    )
    return successor


TestDelivery = DeliveryMachine.TestCase
TestDelivery.settings = settings(max_examples=200, stateful_step_count=40, deadline=None)
